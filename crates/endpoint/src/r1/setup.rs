//! Settings and initial set-up of the installation.

use appcore::{
    AppError,
    view::{MailTest, QuestionTest, Setting, Setup},
};
use natter_macro::{dto, endpoint};
use ops::console::setup;
use platform::audit::Action;

use crate::{Access, Ctx, Endpoint, EndpointDef, NoInput, RateGroup, Reply, endpoint_trait::Bound};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListSettings>(),
    EndpointDef::of::<ShowSetup>(),
    EndpointDef::of::<FinishSetup>(),
    EndpointDef::of::<TestMail>(),
    EndpointDef::of::<TestQuestion>(),
];

/// List the settings
///
/// Settings of this instance with the source of each value. Secrets are masked.
#[endpoint(GET "/r1/admin/settings", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListSettings {
    type Request = NoInput;
    type Response = Vec<Setting>;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Vec<Setting>>, AppError> {
        Ok(Reply::of(ctx.app().config.described.clone()))
    }
}

/// Show the set-up progress of the installation
#[endpoint(GET "/r1/admin/setup", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowSetup {
    type Request = NoInput;
    type Response = Setup;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<Setup>, AppError> {
        Ok(Reply::of(setup::read(ctx.ops(), ctx.user()?, &ctx.base_url()).await?))
    }
}

#[dto(request)]
pub struct FinishSetupRequest {
    /// False to offer the set-up steps again.
    pub finished: bool,
}

/// Mark the set-up as finished
///
/// The steps are no longer offered.
#[endpoint(PATCH "/r1/admin/setup", tag = "admin", access = Access::Admin, rate = RateGroup::Write)]
impl Endpoint for FinishSetup {
    type Request = FinishSetupRequest;
    type Response = Setup;

    async fn handle(ctx: &Ctx, request: FinishSetupRequest) -> Result<Reply<Setup>, AppError> {
        setup::finish(ctx.ops(), ctx.user()?, request.finished).await?;
        Ok(Reply::of(setup::read(ctx.ops(), ctx.user()?, &ctx.base_url()).await?))
    }
}

/// Send a test e-mail to yourself
///
/// Responds when the mail server has accepted the e-mail, or with its error. At most 20 per hour.
#[endpoint(POST "/r1/admin/setup/mail", tag = "admin", access = Access::Admin, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(70)))]
impl Endpoint for TestMail {
    type Request = NoInput;
    type Response = MailTest;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<MailTest>, AppError> {
        Ok(Reply::of(setup::send_test_mail(ctx.ops(), ctx.user()?).await?))
    }

    async fn handle_after(ctx: &Ctx, _: Option<&()>, result: Result<&Reply<MailTest>, &AppError>) {
        if result.is_ok() {
            ctx.record_audit(Action::MailTested, None).await;
        }
    }
}

/// Send a test prompt to a model
///
/// Uses the default model. At most 20 per hour.
#[endpoint(POST "/r1/admin/setup/question", tag = "admin", access = Access::Admin, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(40)))]
impl Endpoint for TestQuestion {
    type Request = NoInput;
    type Response = QuestionTest;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<QuestionTest>, AppError> {
        Ok(Reply::of(setup::ask_test_question(ctx.ops(), ctx.user()?).await?))
    }
}

//! Subscriptions of users and workspaces.

use appcore::{
    AppError, PaymentId, PaymentMethodId, PlanId, WorkspaceId,
    view::{ChangePreview, Price, Subscription},
};
use billing::payments::subscriptions::{self, PayRequest, Payer};
use natter_macro::{dto, endpoint};
use payment::GatewayName;

use super::payments::BegunPayment;
use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReadSubscription>(),
    EndpointDef::of::<BeginTrial>(),
    EndpointDef::of::<CancelSubscription>(),
    EndpointDef::of::<ResumeSubscription>(),
    EndpointDef::of::<PreviewSubscriptionChange>(),
    EndpointDef::of::<ChangeSubscription>(),
    EndpointDef::of::<PaySubscription>(),
];

#[dto(request)]
pub struct ReadSubscriptionRequest {
    /// Workspace owned or administered by the caller; by default the caller's account.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

#[dto(response)]
pub struct HeldSubscription {
    /// Current or last subscription; null if none.
    #[schema(required)]
    pub subscription: Option<Subscription>,
}

/// Show your subscription
#[endpoint(GET "/r1/subscription", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ReadSubscription {
    type Request = ReadSubscriptionRequest;
    type Response = HeldSubscription;

    async fn handle(
        ctx: &Ctx,
        _request: ReadSubscriptionRequest,
        payer: &Payer,
    ) -> Result<Reply<HeldSubscription>, AppError> {
        Ok(Reply::of(HeldSubscription { subscription: subscriptions::read(ctx.billing(), *payer).await? }))
    }
}

#[dto(request)]
pub struct BeginTrialRequest {
    pub plan_id: PlanId,
}

/// Start a trial of a plan
///
/// Possible once per account and mailbox, if there has been no plan yet. Requires a verified e-mail
/// address. Nothing is charged when the trial ends.
#[endpoint(POST "/r1/subscription/trial", tag = "payments", access = Access::User, rate = RateGroup::Write, status = 201, errors(NotFound, Forbidden, WrongState))]
impl Endpoint for BeginTrial {
    type Request = BeginTrialRequest;
    type Response = Subscription;

    async fn handle(ctx: &Ctx, request: BeginTrialRequest) -> Result<Reply<Subscription>, AppError> {
        Ok(Reply::of(subscriptions::start_trial(ctx.billing(), ctx.user()?, request.plan_id).await?))
    }
}

#[dto(request)]
pub struct CancelSubscriptionRequest {
    pub workspace_id: Option<WorkspaceId>,
}

/// Cancel your subscription
///
/// It ends at the end of the paid period; a trial or an unpaid one ends at once.
#[endpoint(POST "/r1/subscription/cancel", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, WrongState))]
impl Endpoint for CancelSubscription {
    type Request = CancelSubscriptionRequest;
    type Response = Subscription;

    async fn handle(
        ctx: &Ctx,
        _request: CancelSubscriptionRequest,
        payer: &Payer,
    ) -> Result<Reply<Subscription>, AppError> {
        Ok(Reply::of(subscriptions::cancel(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct ResumeSubscriptionRequest {
    pub workspace_id: Option<WorkspaceId>,
}

/// Resume a cancelled subscription
#[endpoint(POST "/r1/subscription/resume", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, WrongState))]
impl Endpoint for ResumeSubscription {
    type Request = ResumeSubscriptionRequest;
    type Response = Subscription;

    async fn handle(
        ctx: &Ctx,
        _request: ResumeSubscriptionRequest,
        payer: &Payer,
    ) -> Result<Reply<Subscription>, AppError> {
        Ok(Reply::of(subscriptions::resume(ctx.billing(), *payer).await?))
    }
}

#[dto(request)]
pub struct PreviewSubscriptionChangeRequest {
    pub plan_id: PlanId,
    /// Seats of a workspace; by default unchanged.
    pub seats: Option<i64>,
    pub workspace_id: Option<WorkspaceId>,
}

/// Preview a change of plan
///
/// The rest of the paid period is credited, to the millisecond. A downgrade takes effect at its
/// end.
#[endpoint(POST "/r1/subscription/change/preview", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, WrongState))]
impl Endpoint for PreviewSubscriptionChange {
    type Request = PreviewSubscriptionChangeRequest;
    type Response = ChangePreview;

    async fn handle(
        ctx: &Ctx,
        request: PreviewSubscriptionChangeRequest,
        payer: &Payer,
    ) -> Result<Reply<ChangePreview>, AppError> {
        Ok(Reply::of(subscriptions::preview(ctx.billing(), *payer, request.plan_id, request.seats).await?))
    }
}

#[dto(request)]
pub struct ChangeSubscriptionRequest {
    pub plan_id: PlanId,
    /// Seats of a workspace; by default unchanged.
    pub seats: Option<i64>,
    /// Shown price per period (`next` of the preview). If it has changed, the request is refused
    /// with 409 `plan_changed`.
    pub price: Option<Price>,
    pub workspace_id: Option<WorkspaceId>,
}

#[dto(response)]
pub struct ChangedSubscription {
    pub subscription: Subscription,
    /// Payment for the difference; null if none.
    #[schema(required)]
    pub payment_id: Option<PaymentId>,
    /// Page on which the payer pays or confirms; null if not needed.
    #[schema(required)]
    pub redirect_url: Option<String>,
}

/// Change the plan or the seats
///
/// An upgrade takes effect at once; the difference is charged to the saved payment method, or paid
/// or confirmed at `redirect_url`. A downgrade takes effect in the next period; a change to the
/// current plan cancels it.
#[endpoint(POST "/r1/subscription/change", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, GatewayOff, PlanChanged, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for ChangeSubscription {
    type Request = ChangeSubscriptionRequest;
    type Response = ChangedSubscription;

    async fn handle(
        ctx: &Ctx,
        request: ChangeSubscriptionRequest,
        payer: &Payer,
    ) -> Result<Reply<ChangedSubscription>, AppError> {
        let ChangeSubscriptionRequest { plan_id, seats, price, workspace_id: _ } = request;
        let changed = subscriptions::change(ctx.billing(), *payer, plan_id, seats, price, ctx.address()).await?;
        Ok(Reply::of(ChangedSubscription {
            subscription: changed.subscription,
            payment_id: changed.payment_id.map(PaymentId),
            redirect_url: changed.redirect_url,
        }))
    }
}

#[dto(request)]
pub struct PaySubscriptionRequest {
    /// Name of the gateway. Defaults to that of `payment_method_id`, or else of the last payment.
    pub gateway: Option<String>,
    /// Saved payment method to charge at once.
    pub payment_method_id: Option<PaymentMethodId>,
    pub workspace_id: Option<WorkspaceId>,
    /// Page of this server to return to; by default `/plans/result`.
    pub return_url: Option<String>,
}

/// Pay the next period manually
///
/// For subscriptions that can't be charged automatically: before the end of a period, and in the
/// grace period.
#[endpoint(POST "/r1/subscription/pay", tag = "payments", access = Access::User, rate = RateGroup::Write, status = 201, requires = Payer(workspace_id), errors(NotFound, GatewayOff, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for PaySubscription {
    type Request = PaySubscriptionRequest;
    type Response = BegunPayment;

    async fn handle(
        ctx: &Ctx,
        request: PaySubscriptionRequest,
        payer: &Payer,
    ) -> Result<Reply<BegunPayment>, AppError> {
        let PaySubscriptionRequest { gateway, payment_method_id, workspace_id: _, return_url } = request;
        let unknown = || AppError::field("gateway", "invalid", "This value isn't available on this server.");
        let gateway = gateway.map(|name| name.parse::<GatewayName>()).transpose().map_err(|_| unknown())?;
        let order = PayRequest { gateway, method_id: payment_method_id, return_url, address: ctx.address() };
        Ok(Reply::of(subscriptions::pay_next_period(ctx.billing(), *payer, order).await?.into()))
    }
}

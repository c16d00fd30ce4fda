//! Subscriptions, and who pays.

use appcore::{
    AppError, PaymentId, PaymentMethodId, PlanId, WorkspaceId,
    view::{ChangePreview, Price, Subscription},
};
use billing::payments::subscriptions::{self, PayOrder, Payer};
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
    /// That of a workspace whose owner or administrator one is. Left out: one's own.
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

#[dto(response)]
pub struct HeldSubscription {
    /// Null: there never was one.
    #[schema(required)]
    pub subscription: Option<Subscription>,
}

/// Read one's subscription
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

/// Try a plan without paying
///
/// Once for each account, and for each mailbox, that has had no plan yet. The account's email address must be verified. Nothing is charged when it ends.
#[endpoint(POST "/r1/subscription/trial", tag = "payments", access = Access::User, rate = RateGroup::Write, status = 201, errors(NotFound, Forbidden, WrongState))]
impl Endpoint for BeginTrial {
    type Request = BeginTrialRequest;
    type Response = Subscription;

    async fn handle(ctx: &Ctx, request: BeginTrialRequest) -> Result<Reply<Subscription>, AppError> {
        Ok(Reply::of(subscriptions::try_out(ctx.billing(), ctx.user()?, request.plan_id).await?))
    }
}

#[dto(request)]
pub struct CancelSubscriptionRequest {
    pub workspace_id: Option<WorkspaceId>,
}

/// Cancel one's subscription
///
/// It ends with the period that is paid. A trial, or what isn't paid, ends at once.
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

/// Have a cancelled subscription go on after all
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
    /// Of a workspace. Left out: as many as now.
    pub seats: Option<i64>,
    pub workspace_id: Option<WorkspaceId>,
}

/// See what a change of plan would come to
///
/// The rest of the paid period is worth its part of the price, by the millisecond. What would be less than now waits for the end of the period.
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
    /// Of a workspace. Left out: as many as now.
    pub seats: Option<i64>,
    /// What a period costs as the payer was shown (`next` of the preview). Where that is something else now: 409 `plan_changed`.
    pub price: Option<Price>,
    pub workspace_id: Option<WorkspaceId>,
}

#[dto(response)]
pub struct ChangedSubscription {
    pub subscription: Subscription,
    /// By which the difference is paid.
    #[schema(required)]
    pub payment_id: Option<PaymentId>,
    /// Where it has to be paid; null: nothing is left to do.
    #[schema(required)]
    pub redirect_url: Option<String>,
}

/// Change the plan or the seats
///
/// What costs more comes at once: the difference is charged to the saved payment method, or paid or confirmed at `redirect_url`. What costs less comes with the next
/// period. The plan that one has takes back such a change.
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
    /// Left out: the one by which it was paid before, or that of `payment_method_id`.
    pub gateway: Option<String>,
    /// A saved payment method, which is charged at once.
    pub payment_method_id: Option<PaymentMethodId>,
    pub workspace_id: Option<WorkspaceId>,
    /// The page of this server to which the browser goes in the end. Left out: `/plans/result`.
    pub return_url: Option<String>,
}

/// Pay the next period by hand
///
/// Where nothing can be charged without the payer, before the end of a period and for a while after it.
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
        let unknown = || AppError::field("gateway", "invalid", "This isn't known here.");
        let gateway = gateway.map(|name| name.parse::<GatewayName>()).transpose().map_err(|_| unknown())?;
        let order = PayOrder { gateway, method_id: payment_method_id, return_url, address: ctx.address() };
        Ok(Reply::of(subscriptions::pay(ctx.billing(), *payer, order).await?.into()))
    }
}

//! Saved payment methods. A payment method can also be saved without a purchase.

use appcore::{
    AppError, Code, PaymentMethodId, PaymentMethodSetupId, Timestamp, WorkspaceId,
    page::{Page, PageRequest},
    view::{PaymentMethod, PaymentMethodSetup},
};
use billing::payments::{
    setups,
    subscriptions::{self, Payer},
};
use natter_macro::{dto, endpoint};
use payment::{DemoSetupOutcome, GatewayName};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Redirect, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListPaymentMethods>(),
    EndpointDef::of::<UsePaymentMethod>(),
    EndpointDef::of::<RemovePaymentMethod>(),
    EndpointDef::of::<OpenPaymentPortal>(),
    EndpointDef::of::<BeginPaymentMethodSetup>(),
    EndpointDef::of::<ReadPaymentMethodSetup>(),
    EndpointDef::of::<EndDemoPaymentMethodSetup>(),
    EndpointDef::of::<FinishPaymentMethodSetup>(),
];

#[dto(request)]
pub struct ListPaymentMethodsRequest {
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the saved payment methods
///
/// Of cards, only brand, last digits and expiry date are stored.
#[endpoint(GET "/r1/payment_methods", tag = "payments", access = Access::User, rate = RateGroup::Read, requires = Payer(workspace_id))]
impl Endpoint for ListPaymentMethods {
    type Request = ListPaymentMethodsRequest;
    type Response = Page<PaymentMethod>;

    async fn handle(
        ctx: &Ctx,
        request: ListPaymentMethodsRequest,
        payer: &Payer,
    ) -> Result<Reply<Page<PaymentMethod>>, AppError> {
        Ok(Reply::of(subscriptions::methods(ctx.billing(), *payer, request.page).await?))
    }
}

#[dto(request)]
pub struct UsePaymentMethodRequest {
    #[from(path)]
    pub id: PaymentMethodId,
    pub workspace_id: Option<WorkspaceId>,
}

/// Make a saved payment method the default
///
/// Used for future charges, including renewals.
#[endpoint(POST "/r1/payment_methods/{id}/default", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, WrongState))]
impl Endpoint for UsePaymentMethod {
    type Request = UsePaymentMethodRequest;
    type Response = PaymentMethod;

    async fn handle(
        ctx: &Ctx,
        request: UsePaymentMethodRequest,
        payer: &Payer,
    ) -> Result<Reply<PaymentMethod>, AppError> {
        Ok(Reply::of(subscriptions::set_default(ctx.billing(), *payer, request.id).await?))
    }
}

#[dto(request)]
pub struct RemovePaymentMethodRequest {
    #[from(path)]
    pub id: PaymentMethodId,
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
}

/// Remove a saved payment method
///
/// Also removed at the gateway. Another one becomes the default if necessary. The last one can't be
/// removed while a plan renews with it.
#[endpoint(DELETE "/r1/payment_methods/{id}", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for RemovePaymentMethod {
    type Request = RemovePaymentMethodRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: RemovePaymentMethodRequest, payer: &Payer) -> Result<Reply<NoData>, AppError> {
        subscriptions::remove(ctx.billing(), *payer, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct OpenPaymentPortalRequest {
    pub workspace_id: Option<WorkspaceId>,
    /// Page of this server to link back to; by default `/plans/billing`.
    pub return_url: Option<String>,
}

#[dto(response)]
pub struct PaymentPortal {
    pub url: String,
}

/// Open the gateway's portal for saved payment methods
#[endpoint(POST "/r1/payment_methods/portal", tag = "payments", access = Access::User, rate = RateGroup::Write, requires = Payer(workspace_id), errors(NotFound, GatewayOff, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for OpenPaymentPortal {
    type Request = OpenPaymentPortalRequest;
    type Response = PaymentPortal;

    async fn handle(
        ctx: &Ctx,
        request: OpenPaymentPortalRequest,
        payer: &Payer,
    ) -> Result<Reply<PaymentPortal>, AppError> {
        Ok(Reply::of(PaymentPortal { url: subscriptions::portal(ctx.billing(), *payer, request.return_url).await? }))
    }
}

#[dto(request)]
pub struct BeginPaymentMethodSetupRequest {
    /// Gateway that has `saves_methods` in `GET /r1/payment_gateways`.
    pub gateway: String,
    pub workspace_id: Option<WorkspaceId>,
    /// Page of this server to return to, with `setup` in its query; by default `/plans/billing`.
    pub return_url: Option<String>,
}

#[dto(response)]
pub struct BegunPaymentMethodSetup {
    pub setup_id: PaymentMethodSetupId,
    /// Page on which the payer enters the payment method.
    pub redirect_url: String,
    /// Time at which `redirect_url` expires.
    pub expires_at: Timestamp,
}

/// Save a payment method without a purchase
///
/// The browser must go to `redirect_url`. Its return does not prove success;
/// `GET /r1/payment_methods/setups/{id}` shows the result.
#[endpoint(POST "/r1/payment_methods/setups", tag = "payments", access = Access::User, rate = RateGroup::Write, status = 201, requires = Payer(workspace_id), errors(NotFound, GatewayOff, WrongState), deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for BeginPaymentMethodSetup {
    type Request = BeginPaymentMethodSetupRequest;
    type Response = BegunPaymentMethodSetup;

    async fn handle(
        ctx: &Ctx,
        request: BeginPaymentMethodSetupRequest,
        payer: &Payer,
    ) -> Result<Reply<BegunPaymentMethodSetup>, AppError> {
        let BeginPaymentMethodSetupRequest { gateway, workspace_id: _, return_url } = request;
        let unknown = || AppError::field("gateway", "invalid", "This value isn't available on this server.");
        let gateway = gateway.parse::<GatewayName>().map_err(|_| unknown())?;
        let begun = setups::start(ctx.billing(), *payer, gateway, return_url).await?;
        Ok(Reply::of(BegunPaymentMethodSetup {
            setup_id: begun.setup_id,
            redirect_url: begun.redirect_url,
            expires_at: begun.expires_at,
        }))
    }
}

#[dto(request)]
pub struct PaymentMethodSetupRequest {
    #[from(path)]
    pub id: PaymentMethodSetupId,
}

/// Show the result of a payment method setup
#[endpoint(GET "/r1/payment_methods/setups/{id}", tag = "payments", access = Access::User, rate = RateGroup::Read, errors(NotFound))]
impl Endpoint for ReadPaymentMethodSetup {
    type Request = PaymentMethodSetupRequest;
    type Response = PaymentMethodSetup;

    async fn handle(ctx: &Ctx, request: PaymentMethodSetupRequest) -> Result<Reply<PaymentMethodSetup>, AppError> {
        Ok(Reply::of(setups::read(ctx.billing(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct EndDemoPaymentMethodSetupRequest {
    #[from(path)]
    pub id: PaymentMethodSetupId,
    /// Result: `saved`, `failed`, `saved_declined` (its charges are declined), or `saved_confirm`
    /// (its charges must be confirmed).
    pub outcome: String,
}

/// Complete a demo payment method setup
///
/// Moves no real money. Available only for the caller's own setups with an enabled demo gateway.
#[endpoint(POST "/r1/payment_methods/setups/{id}/demo", tag = "payments", access = Access::User, rate = RateGroup::Write, errors(NotFound, GatewayOff, WrongState))]
impl Endpoint for EndDemoPaymentMethodSetup {
    type Request = EndDemoPaymentMethodSetupRequest;
    type Response = PaymentMethodSetup;

    async fn handle(
        ctx: &Ctx,
        request: EndDemoPaymentMethodSetupRequest,
    ) -> Result<Reply<PaymentMethodSetup>, AppError> {
        let outcome = match request.outcome.as_str() {
            "saved" => DemoSetupOutcome::Saved,
            "saved_declined" => DemoSetupOutcome::SavedDeclined,
            "saved_confirm" => DemoSetupOutcome::SavedConfirm,
            "failed" => DemoSetupOutcome::Failed,
            _ => {
                let says = "This must be saved, saved_declined, saved_confirm or failed.";
                return Err(AppError::field("outcome", "invalid", says));
            }
        };
        Ok(Reply::of(setups::complete_demo(ctx.billing(), ctx.user()?, request.id, outcome).await?))
    }
}

#[dto(request)]
pub struct FinishPaymentMethodSetupRequest {
    #[from(path)]
    pub gateway: String,
    /// Id of the setup. The gateway may append parameters to it.
    #[from(query)]
    pub setup: Option<String>,
}

/// Return from a payment method setup
///
/// The result is read from the gateway, not from the request. The browser is redirected to the
/// requested page.
#[endpoint(GET "/r1/payment_methods/callback/{gateway}", tag = "payments", access = Access::Public, rate = RateGroup::Read, status = 303, deadline = crate::endpoint_trait::Bound::Fixed(std::time::Duration::from_secs(45)))]
impl Endpoint for FinishPaymentMethodSetup {
    type Request = FinishPaymentMethodSetupRequest;
    type Response = Redirect;

    async fn handle(ctx: &Ctx, request: FinishPaymentMethodSetupRequest) -> Result<Reply<Redirect>, AppError> {
        let gateway = request.gateway.parse::<GatewayName>().map_err(|_| Code::NotFound)?;
        let id = request.setup.as_deref().and_then(|id| id.parse().ok());
        Ok(Reply::redirect(setups::finish(ctx.billing(), gateway, id).await?))
    }
}

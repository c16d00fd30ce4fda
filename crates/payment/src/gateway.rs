//! Interface of payment gateways.

mod name;
mod requests;
mod webhooks;

use std::{ops::RangeInclusive, sync::Arc};

use appcore::{
    Timestamp,
    config::{ConfigError, GatewaySettings, Setting},
};
use async_trait::async_trait;
use url::Url;
use uuid::Uuid;

pub use self::{
    name::{GatewayName, UnknownGateway, settings},
    requests::{
        ChargeAttempt, ChargeOrder, ChargeResult, Checkout, CheckoutOrder, KnownPayment, MethodOwner, PayerPresence,
        RefundOrder, RefundResult, RemoteState, SavedMethod, SetupOrder, SetupState, Snapshot,
    },
    webhooks::{
        MalformedEvent, PaymentUpdate, PaymentWebhookEvent, PaymentWebhookTransport, RefundUpdate, VerifiedWebhook,
        VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse, WebhookSubject,
    },
};
use crate::{Currency, Demo, Money};

/// Static description of a gateway, before it is configured.
pub(crate) struct GatewayKind {
    /// Name in paths, settings and rows.
    pub name: &'static str,
    /// Display name.
    pub label: &'static str,
    /// All settings of the gateway: `payment.{name}.enabled`, and those that it needs to work.
    pub settings: &'static [Setting],
    pub build: fn(&GatewaySettings, &PaymentContext) -> BuildResult,
}

/// A configured gateway, or the reason why it can't be built.
pub type BuildResult = Result<Arc<dyn Gateway>, BuildError>;

/// Environment that gateways are built in.
#[derive(Clone, Debug)]
pub struct PaymentContext {
    /// Public URL of this server, as browsers reach it.
    pub public_url: Url,
}

/// Reason why a gateway can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("failed to generate random bytes: {0}")]
    Random(String),
}

/// Error of a gateway request. The texts are for the log, and contain no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// The outcome is unknown: the request may have been executed.
    #[error("no certain answer: {0}")]
    OutcomeUnknown(String),
    /// The request was not executed, and won't be. Adapters return this only for the gateway's documented final errors.
    #[error("the gateway refuses: {0}")]
    Rejected(String),
}

/// A payment in a gateway's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPayment {
    /// Id of the payment in Natter, as passed to the gateway.
    pub payment_id: Option<Uuid>,
    /// Id of the charge, the same as [`Snapshot::charge`].
    pub charge: String,
    pub money: Money,
    /// Refunded amount, in the currency's smallest unit.
    pub refunded: i64,
}

/// Result of listing the payments of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentListing {
    /// All payments.
    Charges(Vec<ListedPayment>),
    /// The gateway has no list: each payment must be fetched.
    Unsupported,
    /// The gateway has a list, but denies access: each payment must be fetched.
    Denied,
}

/// A payment gateway. Adapters convert amounts to the gateway's format.
#[async_trait]
pub trait Gateway: Send + Sync {
    fn name(&self) -> GatewayName;

    /// Range of amounts per payment, in the currency's smallest unit. `None` if the gateway doesn't accept the
    /// currency.
    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>>;

    /// Creates a checkout. Idempotent: the same order returns the same checkout.
    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError>;

    /// Fetches the state of a payment.
    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError>;

    /// Captures a payment that the payer has approved. For gateways that capture automatically, this only fetches the
    /// state.
    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError>;

    /// Requests a refund.
    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError>;

    /// Fetches the state of a refund without requesting it. `None` if the gateway doesn't know it.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError>;

    /// True if repeating a refund request is idempotent, without a time limit.
    fn has_idempotent_refunds(&self) -> bool {
        true
    }

    /// Lists the payments of a period, as far as the gateway supports it.
    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<PaymentListing, GatewayError>;

    /// Sends a request without side effects, to test the connection and the credentials.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError>;

    /// Transport of the gateway's webhooks.
    fn webhook_transport(&self) -> PaymentWebhookTransport {
        PaymentWebhookTransport::Body
    }

    /// Verifies that a webhook request comes from the gateway. There is no default, because a gateway without
    /// verification must not be trusted.
    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError>;

    /// Parses a verified request.
    fn parse_event(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent>;

    /// Fetches what is missing in an event from the gateway, if the event alone doesn't prove enough to grant credits
    /// or lacks details. Other events are returned unchanged.
    async fn confirm(&self, notice: PaymentWebhookEvent, _now: Timestamp) -> Result<PaymentWebhookEvent, GatewayError> {
        Ok(notice)
    }

    /// Response to a webhook that the gateway expects.
    fn webhook_response(&self, outcome: WebhookOutcome) -> WebhookResponse;

    /// Support for charging saved payment methods; `None` if there is none.
    fn recurring(&self) -> Option<&dyn Recurring> {
        None
    }

    /// The demo gateway's own functions; `None` for gateways with real money.
    fn demo(&self) -> Option<&Demo> {
        None
    }
}

/// Charges of saved payment methods.
///
/// A charge has two steps, so that it is never made twice: the gateway [prepares](Self::prepare) a payment, which costs
/// nothing; after its reference is stored, [that payment](Self::charge) is charged. It is paid once, however often it
/// is charged.
#[async_trait]
pub trait Recurring: Send + Sync {
    /// Payment method that was saved when this payment was made, if any.
    async fn saved_method(&self, payment: &KnownPayment<'_>) -> Result<Option<SavedMethod>, GatewayError>;

    /// Creates a payment that isn't charged yet, and returns its reference at the gateway. Repeating it may create
    /// another payment; only the one whose reference was stored is ever charged.
    async fn prepare(&self, charge: &ChargeOrder<'_>) -> Result<String, GatewayError>;

    /// Charges a prepared payment. Repeating an attempt doesn't charge again. A declined charge is [`RemoteState::Failed`].
    async fn charge(
        &self,
        payment: &KnownPayment<'_>,
        attempt: &ChargeAttempt<'_>,
    ) -> Result<ChargeResult, GatewayError>;

    /// Creates a setup: a page where the payer saves a payment method without paying. Idempotent for the same order.
    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError>;

    /// Fetches the state of a setup.
    async fn fetch_setup(&self, reference: &str) -> Result<SetupState, GatewayError>;

    /// Deletes a saved payment method at the gateway. A method already deleted is no error.
    async fn delete_method(&self, method: &str) -> Result<(), GatewayError>;

    /// URL of the gateway's page where payers manage saved methods; `None` if there is none.
    async fn portal(&self, customer: &str, return_url: &Url) -> Result<Option<String>, GatewayError>;
}

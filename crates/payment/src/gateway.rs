//! What every gateway can do.

mod name;
mod webhooks;
mod requests;

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
    webhooks::{WebhookSubject, WebhookOutcome, WebhookResponse, WebhookRequest, VerifyError, PaymentUpdate, PaymentWebhookEvent, RefundUpdate, PaymentWebhookTransport, MalformedEvent, VerifiedWebhook},
    requests::{
        ChargeAttempt, ChargeOrder, ChargeResult, Checkout, MethodOwner, SavedMethod, KnownPayment, CheckoutOrder, PayerPresence, RefundOrder, RefundResult, RemoteState,
        SetupOrder, SetupState, Snapshot,
    },
};
use crate::{Currency, Demo, Money};

/// A gateway before it is set up: what its file says of it.
pub(crate) struct GatewayKind {
    /// As it stands in paths, settings and rows.
    pub name: &'static str,
    /// As it calls itself.
    pub label: &'static str,
    /// All that can be set of it: `payment.{name}.enabled`, and what it needs.
    pub settings: &'static [Setting],
    pub build: fn(&GatewaySettings, &PaymentContext) -> BuildResult,
}

/// A gateway that is set up, or why it can't be.
pub type BuildResult = Result<Arc<dyn Gateway>, BuildError>;

/// What a gateway is built in.
#[derive(Clone, Debug)]
pub struct PaymentContext {
    /// Where browsers reach this server.
    pub public_url: Url,
}

/// Why a gateway can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("there are no random numbers: {0}")]
    Random(String),
}

/// Why a gateway was asked in vain. The texts are for the log; they hold no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody knows whether it was done.
    #[error("no certain answer: {0}")]
    OutcomeUnknown(String),
    /// It was not done, and won't be: the gateway's final word, which its file knows.
    #[error("the gateway refuses: {0}")]
    Rejected(String),
}

/// A payment as a gateway lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPayment {
    /// As we have named it there.
    pub payment_id: Option<Uuid>,
    /// [`Snapshot::charge`].
    pub charge: String,
    pub money: Money,
    /// What of it went back.
    pub refunded: i64,
}

/// What a gateway can say of a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentListing {
    /// All that was paid.
    Charges(Vec<ListedPayment>),
    /// It doesn't list payments: each of them has to be asked about.
    Unsupported,
    /// It would, and doesn't allow it to us: each of them has to be asked about.
    Denied,
}

/// A payment gateway. Its file converts amounts at its edge.
#[async_trait]
pub trait Gateway: Send + Sync {
    fn name(&self) -> GatewayName;

    /// What one payment may be in a currency, in its smallest unit. None: the gateway doesn't take it.
    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>>;

    /// Makes the place where a payer pays. The same order again is the same place.
    async fn create_checkout(&self, order: &CheckoutOrder<'_>) -> Result<Checkout, GatewayError>;

    /// What became of a payment.
    async fn fetch(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError>;

    /// Takes what the payer has agreed to. Where that happens by itself, it is the same as to fetch.
    async fn capture(&self, payment: &KnownPayment<'_>) -> Result<Snapshot, GatewayError>;

    /// Gives money back.
    async fn refund(&self, order: &RefundOrder<'_>) -> Result<RefundResult, GatewayError>;

    /// What became of a refund, without asking for it. None: the gateway has never heard of it.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<RefundResult>, GatewayError>;

    /// Whether the same order again is the same refund, for as long as it is asked for.
    fn repeats_refunds(&self) -> bool {
        true
    }

    /// What was paid in a time, as far as it can say so.
    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<PaymentListing, GatewayError>;

    /// Asks for something that changes nothing: whether it answers, and knows us.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError>;

    /// How it tells of what has become of something.
    fn telling(&self) -> PaymentWebhookTransport {
        PaymentWebhookTransport::Body
    }

    /// Whether a request is the gateway's. There is no default: a gateway that can't say so must not be believed.
    async fn verify(&self, delivery: &WebhookRequest<'_>) -> Result<VerifiedWebhook, VerifyError>;

    /// What a verified request says.
    fn classify(&self, verified: &VerifiedWebhook) -> Result<PaymentWebhookEvent, MalformedEvent>;

    /// What is so of a notice whose word is not enough to give credits, or that doesn't say all: the gateway is asked, at this moment. Any other
    /// notice stays as it is.
    async fn confirm(&self, notice: PaymentWebhookEvent, _now: Timestamp) -> Result<PaymentWebhookEvent, GatewayError> {
        Ok(notice)
    }

    /// What the gateway wants to hear.
    fn answer(&self, outcome: WebhookOutcome) -> WebhookResponse;

    /// How it charges again what a payer has paid with before. None: it can't.
    fn recurring(&self) -> Option<&dyn Recurring> {
        None
    }

    /// What it does for show. None: it takes real money.
    fn demo(&self) -> Option<&Demo> {
        None
    }
}

/// What a gateway can do with what it has kept of a payer's.
///
/// A charge has two halves, so that it is never made twice: the gateway [prepares](Self::prepare) a payment, which costs nothing; after its
/// reference is stored, [that payment](Self::charge) is charged. However often it is charged, it is paid once.
#[async_trait]
pub trait Recurring: Send + Sync {
    /// What was kept when this was paid. None: nothing.
    async fn kept(&self, payment: &KnownPayment<'_>) -> Result<Option<SavedMethod>, GatewayError>;

    /// Makes a payment that isn't charged yet, and says how the gateway calls it. The same charge again may be another payment, of which
    /// only the one whose reference was stored is ever charged.
    async fn prepare(&self, charge: &ChargeOrder<'_>) -> Result<String, GatewayError>;

    /// Charges what was prepared. The same attempt again is the same charge. What is declined is [`Remote::Failed`].
    async fn charge(&self, payment: &KnownPayment<'_>, attempt: &ChargeAttempt<'_>) -> Result<ChargeResult, GatewayError>;

    /// Makes the place where a payer gives something to be kept, and pays nothing. The same order again is the same place.
    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError>;

    /// What became of that.
    async fn fetch_setup(&self, reference: &str) -> Result<SetupState, GatewayError>;

    /// Has the gateway forget what it has kept. What it has forgotten already is no error.
    async fn forget(&self, method: &str) -> Result<(), GatewayError>;

    /// Where payers see at the gateway what it has kept. None: there is no such page.
    async fn portal(&self, customer: &str, return_url: &Url) -> Result<Option<String>, GatewayError>;
}

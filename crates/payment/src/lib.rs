//! Payment gateways: one adapter per gateway, each implementing the trait [`Gateway`] and listed in one
//! [registry](GatewayName), with the types of amounts, currencies and states.
//!
//! A gateway creates a [checkout](Gateway::create_checkout) to which a payer is sent, and reports the outcome by a
//! webhook. A webhook is parsed only after its [verification](Gateway::verify), and yields one [update](PaymentUpdate)
//! of one payment. The browser's redirect back to Natter proves nothing: it only triggers a [fetch](Gateway::fetch)
//! from the gateway.
//!
//! This crate knows neither the database nor Natter's HTTP API. The transition tables are in [`Stage`] and
//! [`PaymentFacts`]; the crate `billing` applies them.

mod gateway;
mod gateways;
mod http;
mod money;
mod pdf;
mod receipt;
mod signature;
mod state;
mod subscription;

pub(crate) use gateway::GatewayKind;
pub use gateway::{
    BuildError, BuildResult, ChargeAttempt, ChargeOrder, ChargeResult, Checkout, CheckoutOrder, Gateway, GatewayError,
    GatewayName, KnownPayment, ListedPayment, MalformedEvent, MethodOwner, PayerPresence, PaymentContext,
    PaymentListing, PaymentUpdate, PaymentWebhookEvent, PaymentWebhookTransport, Recurring, RefundOrder, RefundResult,
    RefundUpdate, RemoteState, SavedMethod, SetupOrder, SetupState, Snapshot, UnknownGateway, VerifiedWebhook,
    VerifyError, WebhookOutcome, WebhookRequest, WebhookResponse, WebhookSubject, settings,
};
pub use gateways::demo::{Demo, Outcome as DemoOutcome, SetupOutcome as DemoSetupOutcome};
pub use money::{Currency, Money};
pub use pdf::PdfError;
pub use receipt::{Party, Receipt, Tax, write as write_receipt};
pub use state::{DisputeState, PaymentFacts, RefundState, Stage};
pub use subscription::{
    CalculatedPrice, Cycle, DueAction, PlanTerms, SubscriptionSchedule, SubscriptionState, SubscriptionTransition,
    change,
};

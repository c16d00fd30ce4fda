//! Payment gateways: one adapter each behind the trait [`Gateway`], listed in one [registry](GatewayName), with the
//! types of amounts, currencies and states.
//!
//! A gateway creates a [checkout](Gateway::create_checkout) to which a payer is sent, and reports the outcome by a
//! webhook. A webhook is only parsed after its [verification](Gateway::verify), and then states one [update](News) of
//! one payment. The return of a browser proves nothing: it only triggers a [fetch](Gateway::fetch).
//!
//! This crate knows neither the database nor our HTTP API. The transition tables are in [`Stage`] and [`Standing`]; the
//! service applies them.

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
    WebhookSubject, WebhookOutcome, WebhookResponse, ChargeAttempt, BuildResult, ChargeOrder, ChargeResult, Checkout, WebhookRequest, VerifyError, Gateway, GatewayError,
    GatewayName, MethodOwner, SavedMethod, KnownPayment, ListedPayment, PaymentListing, PaymentUpdate, PaymentWebhookEvent, CheckoutOrder, PayerPresence, Recurring, RefundUpdate, RefundOrder,
    RefundResult, RemoteState, SetupOrder, SetupState, Snapshot, PaymentContext, PaymentWebhookTransport, BuildError, UnknownGateway, MalformedEvent,
    VerifiedWebhook, settings,
};
pub use gateways::demo::{Demo, Outcome as DemoOutcome, SetupOutcome as DemoSetupOutcome};
pub use money::{Currency, Money};
pub use pdf::PdfError;
pub use receipt::{Party, Receipt, Tax, write as write_receipt};
pub use state::{DisputeState, RefundState, Stage, PaymentFacts};
pub use subscription::{CalculatedPrice, SubscriptionSchedule, Cycle, DueAction, SubscriptionTransition, SubscriptionState, PlanTerms, change};

//! Payment gateways: one file each behind the trait [`Gateway`], named in one [registry](GatewayName), with the types of amounts, currencies and states.
//!
//! A gateway makes a [checkout](Gateway::create_checkout) to which a payer is sent, and tells later what became of it by a webhook. What it
//! sends is only read after it has been [verified](Gateway::verify), and then says one [thing](News) about one payment. Whatever a browser brings
//! back proves nothing: it only makes us [fetch](Gateway::fetch).
//!
//! This crate knows neither the database nor our requests. Which news changes what stands in [`Stage`] and [`Standing`], as one table; the
//! service applies it.

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

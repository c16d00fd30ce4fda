//! Credits, plans and payments.

mod entitlements;
mod payments;
mod plans;
mod subscriptions;

pub use entitlements::{
    Credits, CurrentPlan, Entitlements, LedgerEntry, QuotaMetric, QuotaUse, StorageUse, WorkspaceEntitlements,
};
pub use payments::{
    AdminPayment, AdminPaymentDetails, AdminPaymentGateway, BillingDetails, CreditNote, DifferenceState, Payment,
    PaymentDifference, PaymentDispute, PaymentEvent, PaymentGateway, PaymentRefund, PaymentStatus, RefundDecision,
    RefundFilter, ReleaseAs,
};
pub use plans::{PlanInterval, PlanKind, PlanName, Price, PricingPlan};
pub use subscriptions::{
    AdminSubscription, ChangePreview, PaymentMethod, PaymentMethodSetup, PlanChange, SetupStatus, Subscription,
    SubscriptionStatus,
};

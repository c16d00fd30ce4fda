//! Requests to gateways, and their results.

use std::net::IpAddr;

use appcore::Timestamp;
use url::Url;
use uuid::Uuid;

use crate::{Money, RefundState};

/// Checkout request.
#[derive(Clone, Debug)]
pub struct CheckoutOrder<'a> {
    /// Id in Natter, which is also the idempotency key.
    pub payment_id: Uuid,
    pub price: Money,
    pub title: &'a str,
    /// URL to which the browser returns, whatever the outcome.
    pub return_url: &'a Url,
    /// URL to which the gateway sends its webhooks.
    pub notify_url: &'a Url,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// IP address of the payer.
    pub address: Option<IpAddr>,
    /// Owner of the payment method, if the gateway should save it for later charges.
    pub save_for: Option<MethodOwner<'a>>,
}

/// Owner of a payment method to be saved.
#[derive(Clone, Copy, Debug)]
pub struct MethodOwner<'a> {
    /// Id of the payer at the gateway, if it has one already.
    pub customer: Option<&'a str>,
    pub email: &'a str,
}

/// A payment method saved at the gateway. Never contains a card number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMethod {
    pub customer: String,
    pub reference: String,
    /// Card brand, such as `visa`.
    pub brand: String,
    pub last4: String,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
}

/// Request to save a payment method without a purchase.
#[derive(Clone, Copy, Debug)]
pub struct SetupOrder<'a> {
    /// Id in Natter, which is also the idempotency key.
    pub setup_id: Uuid,
    pub save_for: MethodOwner<'a>,
    /// URL to which the browser returns, whatever the outcome.
    pub return_url: &'a Url,
    pub expires_at: Timestamp,
}

/// State of a payment-method setup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupState {
    Open,
    Kept(SavedMethod),
    Failed,
    Expired,
}

/// Charge of a saved payment method.
#[derive(Clone, Copy, Debug)]
pub struct ChargeOrder<'a> {
    /// Id in Natter, which is also the idempotency key.
    pub payment_id: Uuid,
    pub price: Money,
    pub title: &'a str,
    pub customer: &'a str,
    pub method: &'a str,
    pub presence: PayerPresence,
}

/// Presence of the payer, who may have to confirm a charge for the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayerPresence {
    /// The payer isn't present: a charge that needs a confirmation fails.
    Absent,
    /// The payer is present, and is sent to the bank if it requires a confirmation.
    Present,
}

/// Attempt to charge a prepared payment.
#[derive(Clone, Copy, Debug)]
pub struct ChargeAttempt<'a> {
    pub method: &'a str,
    pub presence: PayerPresence,
    /// Attempt number; repeating an attempt with the same number doesn't charge again.
    pub number: i64,
    /// URL to which the browser returns after the confirmation.
    pub return_url: &'a Url,
}

/// Result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeResult {
    pub snapshot: Snapshot,
    /// URL at which the payer confirms the charge, if that is necessary.
    pub redirect_url: Option<String>,
}

impl ChargeResult {
    /// Creates a result that needs no action of the payer.
    #[must_use]
    pub const fn from_snapshot(snapshot: Snapshot) -> Self {
        Self { snapshot, redirect_url: None }
    }

    #[must_use]
    pub const fn new_declined() -> Self {
        Self::from_snapshot(Snapshot { remote: RemoteState::Failed, charge: None })
    }
}

/// A created checkout or setup.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// Id at the gateway.
    pub reference: String,
    pub redirect_url: String,
}

/// Stored data of a payment that is fetched from its gateway.
#[derive(Clone, Copy, Debug)]
pub struct KnownPayment<'a> {
    pub payment_id: Uuid,
    pub reference: &'a str,
    /// Id of the charge at the gateway, once the payment was made.
    pub charge: Option<&'a str>,
    pub price: Money,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub now: Timestamp,
}

/// State of a payment at the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// The payer may still pay, or the bank has not decided.
    Open,
    /// The payer has approved; the payment must be [captured](crate::Gateway::capture).
    Approved,
    Paid(Money),
    Failed,
    Expired,
}

/// A payment as the gateway reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub remote: RemoteState,
    pub charge: Option<String>,
}

/// Refund request.
#[derive(Clone, Copy, Debug)]
pub struct RefundOrder<'a> {
    /// Id in Natter, which is also the idempotency key.
    pub refund_id: Uuid,
    pub money: Money,
    pub payment: KnownPayment<'a>,
    /// Time at which the refund was stored here.
    pub created_at: Timestamp,
    /// [`RefundResult::reference`], once the gateway has reported it.
    pub reference: Option<&'a str>,
}

/// Result of a refund request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundResult {
    pub reference: String,
    pub state: RefundState,
}

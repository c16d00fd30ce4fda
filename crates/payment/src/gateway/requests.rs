//! What a gateway is asked for, and what it answers.

use std::net::IpAddr;

use appcore::Timestamp;
use url::Url;
use uuid::Uuid;

use crate::{Money, RefundState};

/// What a payer is to pay for.
#[derive(Clone, Debug)]
pub struct CheckoutOrder<'a> {
    /// Also what makes a repeated request the same one.
    pub payment_id: Uuid,
    pub price: Money,
    pub title: &'a str,
    /// Where the browser goes afterwards, however it ended.
    pub return_url: &'a Url,
    /// Where the gateway tells of it.
    pub notify_url: &'a Url,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Where the payer calls from.
    pub address: Option<IpAddr>,
    /// What it is paid with is to be kept for later charges, where the gateway can do that.
    pub keep: Option<MethodOwner<'a>>,
}

/// For whom a gateway is to keep what is paid with.
#[derive(Clone, Copy, Debug)]
pub struct MethodOwner<'a> {
    /// By which the gateway knows them already.
    pub customer: Option<&'a str>,
    pub email: &'a str,
}

/// What a gateway has kept of a payer's. Never the number of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedMethod {
    pub customer: String,
    pub reference: String,
    /// Such as `visa`.
    pub brand: String,
    pub last4: String,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
}

/// A payment method that is to be kept, without buying anything.
#[derive(Clone, Copy, Debug)]
pub struct SetupOrder<'a> {
    /// Also what makes a repeated request the same one.
    pub setup_id: Uuid,
    pub keep: MethodOwner<'a>,
    /// Where the browser goes afterwards, however it ended.
    pub return_url: &'a Url,
    pub expires_at: Timestamp,
}

/// What became of keeping a payment method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupState {
    Open,
    Kept(SavedMethod),
    Failed,
    Expired,
}

/// A charge of what was kept.
#[derive(Clone, Copy, Debug)]
pub struct ChargeOrder<'a> {
    /// Also what makes a repeated request the same one.
    pub payment_id: Uuid,
    pub price: Money,
    pub title: &'a str,
    pub customer: &'a str,
    pub method: &'a str,
    pub presence: PayerPresence,
}

/// Whether the payer is there to confirm a charge, where their bank wants that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayerPresence {
    /// What wants the payer has failed.
    Absent,
    /// What wants the payer sends them to their bank.
    Present,
}

/// One try to charge what was prepared.
#[derive(Clone, Copy, Debug)]
pub struct ChargeAttempt<'a> {
    pub method: &'a str,
    pub presence: PayerPresence,
    /// Another try with this number is no other charge.
    pub number: i64,
    /// Where the browser goes when the payer has confirmed it.
    pub return_url: &'a Url,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeResult {
    pub snapshot: Snapshot,
    /// Where the payer confirms it.
    pub redirect_url: Option<String>,
}

impl ChargeResult {
    /// There is nothing that the payer would have to do.
    #[must_use]
    pub const fn known(snapshot: Snapshot) -> Self {
        Self { snapshot, redirect_url: None }
    }

    #[must_use]
    pub const fn declined() -> Self {
        Self::known(Snapshot { remote: RemoteState::Failed, charge: None })
    }
}

/// Where a payer pays.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// By which the gateway knows it.
    pub reference: String,
    pub redirect_url: String,
}

/// What we know of a payment that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct KnownPayment<'a> {
    pub payment_id: Uuid,
    pub reference: &'a str,
    /// By which the gateway knows what was paid, once it was.
    pub charge: Option<&'a str>,
    pub price: Money,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub now: Timestamp,
}

/// What the gateway says of a payment now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// The payer may still pay, or the bank has not decided.
    Open,
    /// The payer has agreed, and we have to [capture](crate::Gateway::capture).
    Approved,
    Paid(Money),
    Failed,
    Expired,
}

/// A payment as its gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub remote: RemoteState,
    pub charge: Option<String>,
}

/// What is to go back to a payer.
#[derive(Clone, Copy, Debug)]
pub struct RefundOrder<'a> {
    /// Also what makes a repeated request the same one.
    pub refund_id: Uuid,
    pub money: Money,
    pub payment: KnownPayment<'a>,
    /// When it was written down here.
    pub created_at: Timestamp,
    /// [`Refunded::reference`], once the gateway has named it.
    pub reference: Option<&'a str>,
}

/// What the gateway made of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundResult {
    pub reference: String,
    pub state: RefundState,
}

//! What every gateway can do.

use std::{net::IpAddr, ops::RangeInclusive};

use appcore::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{Currency, DisputeState, Money, RefundState};

macro_rules! gateways {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// A gateway that there is a file for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum GatewayName { $($(#[$doc])* #[serde(rename = $word)] $name),* }

        impl GatewayName {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it stands in paths, settings and rows.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

gateways! {
    /// No real money: it shows how buying works.
    Demo = "demo",
    Stripe = "stripe",
    Paypal = "paypal",
    Momo = "momo",
    Vnpay = "vnpay",
}

/// A name that no gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such gateway")]
pub struct UnknownGateway;

impl std::str::FromStr for GatewayName {
    type Err = UnknownGateway;

    fn from_str(text: &str) -> Result<Self, UnknownGateway> {
        Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(UnknownGateway)
    }
}

impl std::fmt::Display for GatewayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a payer is to pay for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
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
pub struct Known<'a> {
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
pub enum Remote {
    /// The payer may still pay, or the bank has not decided.
    Open,
    /// The payer has agreed, and we have to [capture](Gateway::capture).
    Approved,
    Paid(Money),
    Failed,
    Expired,
}

/// A payment as its gateway sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub remote: Remote,
    pub charge: Option<String>,
}

/// What is to go back to a payer.
#[derive(Clone, Copy, Debug)]
pub struct RefundOrder<'a> {
    /// Also what makes a repeated request the same one.
    pub refund_id: Uuid,
    pub money: Money,
    pub payment: Known<'a>,
}

/// What the gateway made of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    pub reference: String,
    pub state: RefundState,
}

/// A request of a gateway's, as it came.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The value of a header, by its name in small letters.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    pub query: &'a str,
    pub body: &'a [u8],
    pub now: Timestamp,
}

/// A request that is proven to be the gateway's: only gateways can make one.
#[derive(Debug)]
pub struct Verified(pub(crate) Vec<u8>);

impl Verified {
    /// What was signed, to be kept.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.0
    }
}

/// Why a request is not believed. The text is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Forged {
    #[error("{0}")]
    Signature(&'static str),
    /// What is needed to check it can't be had now.
    #[error("it can't be checked: {0}")]
    Unchecked(GatewayError),
}

/// A verified request that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the notice can't be read")]
pub struct Unreadable;

/// Which payment is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum About {
    Payment(Uuid),
    /// [`Checkout::reference`].
    Reference(String),
    /// [`Snapshot::charge`].
    Charge(String),
    Nothing,
}

/// What a notice says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// The payer was there; the bank has not decided.
    Pending,
    /// The payer has agreed, and we have to capture.
    Approved,
    Paid {
        money: Money,
        charge: Option<String>,
    },
    Failed,
    Expired,
    Refund {
        reference: String,
        ours: Option<Uuid>,
        money: Money,
        state: RefundState,
    },
    Dispute {
        reference: String,
        money: Money,
        state: DisputeState,
    },
    /// What we have no use for.
    Other,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for each repetition.
    pub event_id: String,
    /// The gateway's word for it.
    pub kind: String,
    pub about: About,
    /// Not: it comes from another account, or from a test where real money is meant, or the other way round.
    pub is_ours: bool,
    pub news: News,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// Applied now, or before.
    Applied,
    AppliedBefore,
    UnknownPayment,
    WrongAmount,
    BadSignature,
    /// It has to come again.
    OurFailure,
}

/// What a gateway wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    /// What a gateway wants that looks at the status only.
    #[must_use]
    pub fn by_status(outcome: Acknowledged, done: u16) -> Self {
        let status = match outcome {
            Acknowledged::BadSignature => 400,
            Acknowledged::OurFailure => 503,
            _ => done,
        };
        let body = if status == 204 { String::new() } else { "{}".to_owned() };
        Self { status, content_type: "application/json", body }
    }
}

/// Why a gateway was asked in vain. The texts are for the log; they hold no secrets.
#[derive(Clone, Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody knows whether it was done.
    #[error("the gateway is away: {0}")]
    Away(String),
    /// It was not done, and won't be.
    #[error("the gateway refuses: {0}")]
    Refused(String),
}

/// A payment gateway. Its file converts amounts at its edge.
#[async_trait]
pub trait Gateway: Send + Sync {
    fn name(&self) -> GatewayName;

    /// What one payment may be in a currency, in its smallest unit. None: the gateway doesn't take it.
    fn limits(&self, currency: Currency) -> Option<RangeInclusive<i64>>;

    /// Makes the place where a payer pays. The same order again is the same place.
    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError>;

    /// What became of a payment.
    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError>;

    /// Takes what the payer has agreed to. Where that happens by itself, it is the same as to fetch.
    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError>;

    /// Gives money back. The same order again is the same refund.
    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError>;

    /// Whether a request is the gateway's. There is no default: a gateway that can't say so must not be believed.
    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged>;

    /// What a verified request says.
    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable>;

    /// What the gateway wants to hear.
    fn answer(&self, outcome: Acknowledged) -> Answer;
}

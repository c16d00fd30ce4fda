//! What every gateway can do.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    ops::RangeInclusive,
    sync::Arc,
};

use appcore::{
    Timestamp,
    config::{ConfigError, GatewaySettings, Setting},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{
    Currency, Demo, DisputeState, Money, RefundState,
    gateways::{self, GATEWAYS},
};

/// A gateway before it is set up: what its file says of it.
pub(crate) struct Kind {
    /// As it stands in paths, settings and rows.
    pub name: &'static str,
    /// As it calls itself.
    pub label: &'static str,
    /// All that can be set of it: `payment.{name}.enabled`, and what it needs.
    pub settings: &'static [Setting],
    pub build: fn(&GatewaySettings, &Surroundings) -> Built,
}

/// A gateway that is set up, or why it can't be.
pub type Built = Result<Arc<dyn Gateway>, Unbuilt>;

/// What a gateway is built in.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where browsers reach this server.
    pub public_url: Url,
}

/// Why a gateway can't be built.
#[derive(Debug, thiserror::Error)]
pub enum Unbuilt {
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    #[error("there are no random numbers: {0}")]
    Random(String),
}

/// A gateway that there is a file for.
#[derive(Clone, Copy)]
pub struct GatewayName(&'static Kind);

impl GatewayName {
    /// No real money: it shows how buying works.
    pub const DEMO: Self = Self(&gateways::demo::KIND);

    /// All of them, in the order in which they are offered.
    pub fn all() -> impl Iterator<Item = Self> {
        GATEWAYS.into_iter().map(Self)
    }

    pub(crate) const fn of(kind: &'static Kind) -> Self {
        Self(kind)
    }

    /// As it stands in paths, settings and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0.name
    }

    /// As it calls itself.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.0.label
    }

    /// By what is set of it.
    pub fn build(self, settings: &GatewaySettings, around: &Surroundings) -> Built {
        (self.0.build)(settings, around)
    }

    /// Its place among all.
    fn place(self) -> Option<usize> {
        Self::all().position(|one| one == self)
    }
}

/// What can be set of all gateways.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    GATEWAYS.into_iter().flat_map(|kind| kind.settings)
}

impl PartialEq for GatewayName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for GatewayName {}

impl PartialOrd for GatewayName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GatewayName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Hash for GatewayName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that no gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such gateway")]
pub struct UnknownGateway;

impl std::str::FromStr for GatewayName {
    type Err = UnknownGateway;

    fn from_str(text: &str) -> Result<Self, UnknownGateway> {
        Self::all().find(|one| one.as_str() == text).ok_or(UnknownGateway)
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// What it is paid with is to be kept for later charges, where the gateway can do that.
    pub keep: Option<Keep<'a>>,
}

/// For whom a gateway is to keep what is paid with.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// By which the gateway knows them already.
    pub customer: Option<&'a str>,
    pub email: &'a str,
}

/// What a gateway has kept of a payer's. Never the number of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
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
    pub keep: Keep<'a>,
    /// Where the browser goes afterwards, however it ended.
    pub return_url: &'a Url,
    pub expires_at: Timestamp,
}

/// What became of keeping a payment method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetupState {
    Open,
    Kept(Kept),
    Failed,
    Expired,
}

/// A charge of what was kept.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// Also what makes a repeated request the same one.
    pub payment_id: Uuid,
    pub price: Money,
    pub title: &'a str,
    pub customer: &'a str,
    pub method: &'a str,
    pub presence: Presence,
}

/// Whether the payer is there to confirm a charge, where their bank wants that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// What wants the payer has failed.
    Away,
    /// What wants the payer sends them to their bank.
    There,
}

/// One try to charge what was prepared.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub method: &'a str,
    pub presence: Presence,
    /// Another try with this number is no other charge.
    pub number: i64,
    /// Where the browser goes when the payer has confirmed it.
    pub return_url: &'a Url,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    pub snapshot: Snapshot,
    /// Where the payer confirms it.
    pub redirect_url: Option<String>,
}

impl Charged {
    /// There is nothing that the payer would have to do.
    #[must_use]
    pub const fn known(snapshot: Snapshot) -> Self {
        Self { snapshot, redirect_url: None }
    }

    #[must_use]
    pub const fn declined() -> Self {
        Self::known(Snapshot { remote: Remote::Failed, charge: None })
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
    /// When it was written down here.
    pub created_at: Timestamp,
    /// [`Refunded::reference`], once the gateway has named it.
    pub reference: Option<&'a str>,
}

/// What the gateway made of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded {
    pub reference: String,
    pub state: RefundState,
}

/// How a gateway tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// By a POST, in a body of JSON.
    Body,
    /// By a GET, in its query.
    Query,
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
    /// No payment: [`SetupOrder::setup_id`].
    Setup(Uuid),
    Nothing,
}

/// What a gateway tells of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundNews {
    pub reference: String,
    /// [`RefundOrder::refund_id`], where we have asked for it.
    pub ours: Option<Uuid>,
    pub money: Money,
    pub state: RefundState,
    /// When that was so, where the gateway says it.
    #[serde(default)]
    pub at: Option<Timestamp>,
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
    Refund(RefundNews),
    /// Something was refunded: all refunds of the payment, once the gateway [was asked](Gateway::confirm) for them.
    Refunds(Vec<RefundNews>),
    Dispute {
        reference: String,
        /// What it is about. None: the gateway doesn't say that, or in a currency that isn't known here.
        money: Option<Money>,
        state: DisputeState,
    },
    /// Money was paid or refunded, in a currency that isn't known here.
    Foreign,
    /// What we have no use for.
    Other,
}

impl News {
    /// The money that it is about, where that is one sum.
    #[must_use]
    pub const fn money(&self) -> Option<Money> {
        match self {
            Self::Paid { money, .. } => Some(*money),
            Self::Refund(refund) => Some(refund.money),
            Self::Dispute { money, .. } => *money,
            _ => None,
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Each repetition has this id.
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
    #[error("no certain answer: {0}")]
    Away(String),
    /// It was not done, and won't be: the gateway's final word, which its file knows.
    #[error("the gateway refuses: {0}")]
    Refused(String),
}

/// A payment as a gateway lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
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
pub enum Listing {
    /// All that was paid.
    Charges(Vec<Listed>),
    /// It doesn't list payments: each of them has to be asked about.
    Each,
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
    async fn create_checkout(&self, order: &Order<'_>) -> Result<Checkout, GatewayError>;

    /// What became of a payment.
    async fn fetch(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError>;

    /// Takes what the payer has agreed to. Where that happens by itself, it is the same as to fetch.
    async fn capture(&self, payment: &Known<'_>) -> Result<Snapshot, GatewayError>;

    /// Gives money back.
    async fn refund(&self, order: &RefundOrder<'_>) -> Result<Refunded, GatewayError>;

    /// What became of a refund, without asking for it. None: the gateway has never heard of it.
    async fn fetch_refund(&self, order: &RefundOrder<'_>) -> Result<Option<Refunded>, GatewayError>;

    /// Whether the same order again is the same refund, for as long as it is asked for.
    fn repeats_refunds(&self) -> bool {
        true
    }

    /// What was paid in a time, as far as it can say so.
    async fn list(&self, from: Timestamp, until: Timestamp) -> Result<Listing, GatewayError>;

    /// Asks for something that changes nothing: whether it answers, and knows us.
    async fn probe(&self, now: Timestamp) -> Result<(), GatewayError>;

    /// How it tells of what has become of something.
    fn telling(&self) -> Telling {
        Telling::Body
    }

    /// Whether a request is the gateway's. There is no default: a gateway that can't say so must not be believed.
    async fn verify(&self, delivery: &Delivery<'_>) -> Result<Verified, Forged>;

    /// What a verified request says.
    fn classify(&self, verified: &Verified) -> Result<Notice, Unreadable>;

    /// What is so of a notice whose word is not enough to give credits, or that doesn't say all: the gateway is asked, at this moment. Any other
    /// notice stays as it is.
    async fn confirm(&self, notice: Notice, _now: Timestamp) -> Result<Notice, GatewayError> {
        Ok(notice)
    }

    /// What the gateway wants to hear.
    fn answer(&self, outcome: Acknowledged) -> Answer;

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
    async fn kept(&self, payment: &Known<'_>) -> Result<Option<Kept>, GatewayError>;

    /// Makes a payment that isn't charged yet, and says how the gateway calls it. The same charge again may be another payment, of which
    /// only the one whose reference was stored is ever charged.
    async fn prepare(&self, charge: &Charge<'_>) -> Result<String, GatewayError>;

    /// Charges what was prepared. The same attempt again is the same charge. What is declined is [`Remote::Failed`].
    async fn charge(&self, payment: &Known<'_>, attempt: &Attempt<'_>) -> Result<Charged, GatewayError>;

    /// Makes the place where a payer gives something to be kept, and pays nothing. The same order again is the same place.
    async fn create_setup(&self, order: &SetupOrder<'_>) -> Result<Checkout, GatewayError>;

    /// What became of that.
    async fn fetch_setup(&self, reference: &str) -> Result<SetupState, GatewayError>;

    /// Has the gateway forget what it has kept. What it has forgotten already is no error.
    async fn forget(&self, method: &str) -> Result<(), GatewayError>;

    /// Where payers see at the gateway what it has kept. None: there is no such page.
    async fn portal(&self, customer: &str, return_url: &Url) -> Result<Option<String>, GatewayError>;
}

//! Entitlements, credits and quotas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Timestamp, WorkspaceId, credits::MicroCredits, view::stored_by_name};

/// Entitlements of the caller, and how much of them is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// Current plan; null if there is none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Credits; null if users are charged nothing on this server.
    #[schema(required)]
    pub credits: Option<Credits>,
    pub quotas: Vec<QuotaUse>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
}

/// Entitlements of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceEntitlements {
    pub workspace_id: WorkspaceId,
    /// True if the workspace has credits. These pay for its members in its conversations, and for
    /// its API keys.
    pub pays: bool,
    /// Credits, which only the owner and admins can see. Null for others, and if users are charged
    /// nothing on this server.
    #[schema(required)]
    pub credits: Option<Credits>,
    /// Current plan; null if there is none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    pub quotas: Vec<QuotaUse>,
}

/// Current plan of a user or workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Time of the next renewal; null if the plan doesn't renew automatically.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// Time at which the plan ends unless it is renewed; null if it doesn't end.
    #[schema(required)]
    pub cancel_at: Option<Timestamp>,
}

/// Balance of an account, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// Total balance, including reserved credits.
    pub balance: MicroCredits,
    /// Credits reserved for calls in progress.
    pub held: MicroCredits,
    pub available: MicroCredits,
    /// Amount owed, because usage or refunds exceeded the balance. Further credits are used to
    /// settle it first.
    pub owed: MicroCredits,
    /// Total amount of the purchases and grants of which a part is still in the balance.
    pub granted: MicroCredits,
}

/// Quantity that a plan limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMetric {
    /// Number of answers of assistants per day.
    Answers,
    /// Number of calls of `/v1` per day.
    GatewayCalls,
    /// Number of tokens per day.
    Tokens,
    /// Size of the user's files and texts, in bytes.
    Storage,
    /// Number of members of a workspace, not counting guests.
    Members,
}

/// Usage of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    pub metric: QuotaMetric,
    pub used: i64,
    pub limit: i64,
    /// Time at which the usage is reset; null if it is a total that is never reset.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
}

/// Storage used by a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUse {
    /// Size of all files and texts, in bytes. The text of sent messages doesn't count.
    pub bytes: i64,
    /// Maximum size in bytes: the smaller one of the plan's quota and the server's limit per user.
    /// Null if there is neither.
    #[schema(required)]
    pub quota_bytes: Option<i64>,
}

/// Entry of an account's ledger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// Kind of the entry: `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund` or
    /// another.
    pub kind: String,
    /// Amount in micro-credits; negative for debits.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// Origin of the entry, such as `payment:0199…` for a payment.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens", Storage = "storage", Members = "members" }
}

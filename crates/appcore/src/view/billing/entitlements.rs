//! Entitlements, credits and quotas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Timestamp, WorkspaceId, credits::MicroCredits, view::stored_by_name};

/// Entitlements of the caller, and how much of them is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// Current plan; null if none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Credits; null if users are charged nothing.
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
    /// True if the workspace has credits, which pay for its conversations and API keys.
    pub pays: bool,
    /// Credits, only for the owner and admins; null if users are charged nothing.
    #[schema(required)]
    pub credits: Option<Credits>,
    /// Current plan; null if none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    pub quotas: Vec<QuotaUse>,
}

/// Current plan of a user or workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Next renewal; null if not automatic.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// End of the plan unless it is renewed; null if none.
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
    /// Amount owed, settled first from further credits.
    pub owed: MicroCredits,
    /// Total of the purchases and grants that are not used up.
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
    /// Time of the next reset; null if it is never reset.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
}

/// Storage used by a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUse {
    /// Size of files and texts, in bytes, without sent messages.
    pub bytes: i64,
    /// Maximum size in bytes: the plan's quota or the server's limit per user, whichever is
    /// smaller. Null if none.
    #[schema(required)]
    pub quota_bytes: Option<i64>,
}

/// Entry of an account's ledger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// Kind: `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund` or another.
    pub kind: String,
    /// Amount in micro-credits; negative for debits.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// Origin, such as `payment:0199…`.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens", Storage = "storage", Members = "members" }
}

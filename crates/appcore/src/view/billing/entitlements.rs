//! Entitlements, credits and quotas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Timestamp, WorkspaceId, credits::MicroCredits, view::stored_by_name};

/// Entitlements of the caller, and their usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// Current plan. Null if there is none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Null if nothing is charged on this server.
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
    /// True if the workspace has credits, which pay for its members in its conversations and for
    /// its keys.
    pub pays: bool,
    /// Visible to owners and administrators; null if nothing is charged on this server.
    #[schema(required)]
    pub credits: Option<Credits>,
    /// Null if no plan is in force.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    pub quotas: Vec<QuotaUse>,
}

/// Current plan of a user or workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Null if it doesn't renew automatically.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// Time at which it ends unless it is renewed.
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
    /// Negative balance from usage or refunds beyond the balance; the next credits are used to
    /// settle it first.
    pub owed: MicroCredits,
    /// Original amount of the purchases and grants that the balance is left of.
    pub granted: MicroCredits,
}

/// Metric that a plan limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMetric {
    /// Answers of assistants per day.
    Answers,
    /// Calls of `/v1` per day.
    GatewayCalls,
    /// Tokens per day.
    Tokens,
    /// Size of the user's files and texts, in bytes.
    Storage,
    /// Members of a workspace, not counting guests.
    Members,
}

/// Usage of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    pub metric: QuotaMetric,
    pub used: i64,
    pub limit: i64,
    /// Null if the quota is a total and is not reset.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
}

/// Storage used by a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUse {
    /// Size of all files and texts. The text of sent messages doesn't count.
    pub bytes: i64,
    /// The smaller of the plan's quota and the server's limit per user. Null if neither is set.
    #[schema(required)]
    pub quota_bytes: Option<i64>,
}

/// Entry of an account's ledger.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund`, …
    pub kind: String,
    /// Negative for debits.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// Origin of the entry, such as `payment:0199…`.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens", Storage = "storage", Members = "members" }
}

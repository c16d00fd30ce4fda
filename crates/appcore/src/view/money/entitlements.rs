//! Entitlements, credits and quotas.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Timestamp, WorkspaceId, credits::MicroCredits, view::stored_by_name};

/// What somebody may use, and what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitlements {
    /// The plan that is paid for; null: none.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    /// Null: nothing is charged here.
    #[schema(required)]
    pub credits: Option<Credits>,
    pub quotas: Vec<QuotaUse>,
    #[schema(required)]
    pub trial_ends_at: Option<Timestamp>,
}

/// What a workspace has for what is used in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceEntitlements {
    pub workspace_id: WorkspaceId,
    /// Whether it has credits: they pay for its members, in its conversations and by its keys.
    pub pays: bool,
    /// For owners and administrators; null where nothing is charged.
    #[schema(required)]
    pub credits: Option<Credits>,
    /// Null: none that holds.
    #[schema(required)]
    pub plan: Option<CurrentPlan>,
    pub quotas: Vec<QuotaUse>,
}

/// The plan that somebody has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrentPlan {
    pub id: Uuid,
    pub name: String,
    /// Null: it is not renewed by itself.
    #[schema(required)]
    pub renews_at: Option<Timestamp>,
    /// When it ends unless it is renewed.
    #[schema(required)]
    pub cancel_at: Option<Timestamp>,
}

/// Credits, in micro-credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credits {
    /// What is held is part of it.
    pub balance: MicroCredits,
    /// For what is under way.
    pub held: MicroCredits,
    pub available: MicroCredits,
    /// What was used or given back beyond the balance: the next credits pay it first.
    pub owed: MicroCredits,
    /// What the purchases and grants came to of which something is left: the balance is what is left of it.
    pub granted: MicroCredits,
}

/// What a plan allows of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMetric {
    /// Answers of assistants in a day.
    Answers,
    /// Calls of `/v1` in a day.
    GatewayCalls,
    /// Tokens in a day.
    Tokens,
    /// Bytes of one's files and texts.
    Storage,
    /// Members of a workspace, guests not counted.
    Members,
}

/// How much of a quota is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    pub metric: QuotaMetric,
    pub used: i64,
    pub limit: i64,
    /// Null: it is of what is kept, and doesn't begin anew.
    #[schema(required)]
    pub resets_at: Option<Timestamp>,
}

/// Storage used by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StorageUse {
    /// Size of all files and texts. The text of sent messages doesn't count.
    pub bytes: i64,
    /// The smaller of the plan's quota and the server's limit per person. Null: neither is set.
    #[schema(required)]
    pub quota_bytes: Option<i64>,
}

/// One line of somebody's account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LedgerEntry {
    pub id: Uuid,
    /// `purchase`, `grant`, `hold`, `release`, `settle`, `expire`, `refund`, …
    pub kind: String,
    /// Less than nothing: it was taken.
    pub amount: MicroCredits,
    pub balance_after: MicroCredits,
    /// What it was for, such as `payment:0199…`.
    pub source: String,
    #[schema(required)]
    pub note: Option<String>,
    pub created_at: Timestamp,
}

stored_by_name! {
    QuotaMetric { Answers = "answers", GatewayCalls = "gateway_calls", Tokens = "tokens", Storage = "storage", Members = "members" }
}

//! Announcements of the administrators: as these see them, and as those do whom they are for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{UserRole, stored_by_name};
use crate::{BroadcastId, PlanId, Timestamp, UserId, WorkspaceId};

/// How much an announcement matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Critical,
}

/// How an announcement reaches people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastChannel {
    /// Above every page of the app, as long as it lasts.
    Banner,
    /// Among what they are told of (`GET /r1/notifications`), when it begins.
    Notification,
    /// As a notification that wakes their devices as well, unless they are not to be disturbed.
    Push,
    /// One mail to everyone concerned, when it begins.
    Mail,
}

/// How far an announcement has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastStatus {
    /// It begins later.
    Scheduled,
    Active,
    /// Its end has passed.
    Ended,
    /// Taken back, wherever it was.
    Withdrawn,
}

stored_by_name! {
    Severity { Info = "info", Warning = "warning", Critical = "critical" }
    BroadcastChannel { Banner = "banner", Notification = "notification", Push = "push", Mail = "mail" }
    BroadcastStatus { Scheduled = "scheduled", Active = "active", Ended = "ended", Withdrawn = "withdrawn" }
}

/// Whom an announcement is for. `all` stands alone; of the others each narrows it, and any one that a list names is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Everyone with an account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Members of one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub workspace_ids: Vec<WorkspaceId>,
    /// People who have one of these roles in the installation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2)]
    pub roles: Vec<UserRole>,
    /// People who have one of these plans, or a seat in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub plan_ids: Vec<PlanId>,
    /// These people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    pub user_ids: Vec<UserId>,
}

impl Audience {
    /// Whether it names nobody: neither everyone nor anything that narrows it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && !self.narrows()
    }

    /// Whether it names anything beside everyone.
    #[must_use]
    pub fn narrows(&self) -> bool {
        !(self.workspace_ids.is_empty()
            && self.roles.is_empty()
            && self.plan_ids.is_empty()
            && self.user_ids.is_empty())
    }

    /// Whether only the database can tell who is concerned.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        !(self.roles.is_empty() && self.plan_ids.is_empty())
    }
}

/// An announcement, for administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub severity: Severity,
    pub audience: Audience,
    pub channels: Vec<BroadcastChannel>,
    /// Whether people can put it away.
    pub dismissible: bool,
    pub status: BroadcastStatus,
    pub starts_at: Timestamp,
    /// Null: until it is withdrawn.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub withdrawn_at: Option<Timestamp>,
    /// Who wrote it.
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// How many it concerned when it began; before that, when it was written.
    pub recipients: i64,
    /// How many of them it has got to: an app of theirs was told, or has asked.
    pub delivered: i64,
    /// How many have had it before their eyes.
    pub seen: i64,
    /// How many have put it away.
    pub dismissed: i64,
}

/// An announcement, for those whom it concerns, as the `broadcast` event shows it: told when it begins, is changed, is withdrawn or ends. The one
/// with the latest `updated_at` counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "broadcast")]
pub struct ShownBroadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub severity: Severity,
    /// Whether one can put it away.
    pub dismissible: bool,
    /// Only an `active` one is shown.
    pub status: BroadcastStatus,
    pub starts_at: Timestamp,
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub withdrawn_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// Whom an audience reaches now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastPreview {
    pub recipients: u64,
    /// Those of them who are here now, on any instance.
    pub online: u64,
}

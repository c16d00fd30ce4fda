//! Announcements of the administrators, in the admin console and as shown to recipients.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{UserRole, stored_by_name};
use crate::{BroadcastId, PlanId, Timestamp, UserId, WorkspaceId};

/// Severity of an announcement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Critical,
}

/// Delivery channel of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastChannel {
    /// Banner above every page of the app while the announcement is active.
    Banner,
    /// Entry in the list of notifications (`GET /r1/notifications`), when it starts.
    Notification,
    /// Push notification, unless the user has enabled do-not-disturb.
    Push,
    /// One mail to each recipient, when it starts.
    Mail,
}

/// Status of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastStatus {
    /// Starts in the future.
    Scheduled,
    Active,
    /// The end time has passed.
    Ended,
    /// Withdrawn, and hidden everywhere.
    Withdrawn,
}

stored_by_name! {
    Severity { Info = "info", Warning = "warning", Critical = "critical" }
    BroadcastChannel { Banner = "banner", Notification = "notification", Push = "push", Mail = "mail" }
    BroadcastStatus { Scheduled = "scheduled", Active = "active", Ended = "ended", Withdrawn = "withdrawn" }
}

/// Recipients of an announcement. Either `all`, or the intersection of the other criteria; within
/// one list any match is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// All users.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Members of any of these workspaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub workspace_ids: Vec<WorkspaceId>,
    /// Users with one of these server roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2)]
    pub roles: Vec<UserRole>,
    /// Users who have one of these plans, or a seat in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub plan_ids: Vec<PlanId>,
    /// These users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    pub user_ids: Vec<UserId>,
}

impl Audience {
    /// True if the audience has neither `all` nor any other criterion.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && !self.has_criteria()
    }

    /// True if the audience has criteria other than `all`.
    #[must_use]
    pub fn has_criteria(&self) -> bool {
        !(self.workspace_ids.is_empty()
            && self.roles.is_empty()
            && self.plan_ids.is_empty()
            && self.user_ids.is_empty())
    }

    /// True if the database is needed to decide who belongs to the audience.
    #[must_use]
    pub fn needs_database(&self) -> bool {
        !(self.roles.is_empty() && self.plan_ids.is_empty())
    }
}

/// Announcement, as seen by administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub severity: Severity,
    pub audience: Audience,
    pub channels: Vec<BroadcastChannel>,
    /// True if recipients can dismiss it.
    pub dismissible: bool,
    pub status: BroadcastStatus,
    pub starts_at: Timestamp,
    /// Null: until it is withdrawn.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub withdrawn_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Number of recipients when it started or, before that, when it was created.
    pub recipients: i64,
    /// Number of recipients to whose app it was delivered.
    pub delivered: i64,
    /// Number of recipients who have seen it.
    pub seen: i64,
    /// Number of recipients who have dismissed it.
    pub dismissed: i64,
}

/// Announcement, as seen by its recipients. The `broadcast` event is sent when it starts, changes,
/// ends or is withdrawn. The one with the latest `updated_at` wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "broadcast")]
pub struct ShownBroadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub severity: Severity,
    /// True if recipients can dismiss it.
    pub dismissible: bool,
    /// Only `active` announcements are shown.
    pub status: BroadcastStatus,
    pub starts_at: Timestamp,
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub withdrawn_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// Current size of an audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastPreview {
    pub recipients: u64,
    /// Recipients who are online on any instance.
    pub online: u64,
}

//! Announcements by administrators, as shown in the admin console and to recipients.

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
    /// Banner above every page of the app, as long as the announcement is active.
    Banner,
    /// Entry in the list of notifications (`GET /r1/notifications`), created when the announcement
    /// starts.
    Notification,
    /// Push notification, unless the user has turned on "do not disturb".
    Push,
    /// E-mail to each recipient, sent when the announcement starts.
    Mail,
}

/// Status of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastStatus {
    /// The announcement starts in the future.
    Scheduled,
    Active,
    /// The end of the announcement has passed.
    Ended,
    /// The announcement was withdrawn and is no longer shown anywhere.
    Withdrawn,
}

stored_by_name! {
    Severity { Info = "info", Warning = "warning", Critical = "critical" }
    BroadcastChannel { Banner = "banner", Notification = "notification", Push = "push", Mail = "mail" }
    BroadcastStatus { Scheduled = "scheduled", Active = "active", Ended = "ended", Withdrawn = "withdrawn" }
}

/// Recipients of an announcement: all users, or users who match all of the given lists, each by any
/// of its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// True for all users.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// Workspaces of the recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub workspace_ids: Vec<WorkspaceId>,
    /// Server roles of the recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2)]
    pub roles: Vec<UserRole>,
    /// Plans of the recipients, including seats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub plan_ids: Vec<PlanId>,
    /// Individual recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    pub user_ids: Vec<UserId>,
}

impl Audience {
    /// True if the audience selects nobody: `all` is false and all lists are empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && !self.has_criteria()
    }

    /// True if at least one list of the audience isn't empty.
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

/// Announcement, as shown to administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Text in Markdown.
    pub body: String,
    pub severity: Severity,
    pub audience: Audience,
    pub channels: Vec<BroadcastChannel>,
    /// True if recipients can dismiss it.
    pub dismissible: bool,
    pub status: BroadcastStatus,
    pub starts_at: Timestamp,
    /// End; null if it runs until it is withdrawn.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    #[schema(required)]
    pub withdrawn_at: Option<Timestamp>,
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Number of recipients at the start or, before it, at the creation.
    pub recipients: i64,
    /// Number of recipients whose app has received it.
    pub delivered: i64,
    /// Number of recipients who have seen it.
    pub seen: i64,
    /// Number of recipients who have dismissed it.
    pub dismissed: i64,
}

/// Announcement for its recipients. The event `broadcast` is sent when it starts, changes, ends or
/// is withdrawn; the version with the latest `updated_at` is current.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "broadcast")]
pub struct ShownBroadcast {
    pub id: BroadcastId,
    pub title: String,
    /// Text in Markdown.
    pub body: String,
    pub severity: Severity,
    /// True if recipients can dismiss it.
    pub dismissible: bool,
    /// Status; shown only while `active`.
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
    /// Number of recipients who are online on any instance.
    pub online: u64,
}

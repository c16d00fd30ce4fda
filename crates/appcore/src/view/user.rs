//! People, their presence and their signed-in devices.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{Language, Place, SessionId, Timestamp, UploadId, UserId};

/// A person, as others see them; the address and what belongs to signing in only as they see themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was shown to be theirs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// Whether there is a password; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// Whether a code of an authenticator is asked for at sign-in; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// What mail to them is written in; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// Whether others are told their time zone; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_timezone: Option<bool>,
    /// What they chose to be shown as, on all their devices; only as they see themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_presence: Option<ChosenPresence>,
    pub display_name: String,
    pub role: UserRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What they say of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<CustomStatus>,
    /// Where they are by the clock, such as `Europe/Berlin`. Null: it is not known, or they don't show it.
    #[serde(default)]
    #[schema(required)]
    pub timezone: Option<String>,
    pub created_at: Timestamp,
}

/// What somebody looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPicture {
    pub user_id: UserId,
    /// The picture: `/files/{upload_id}/picture`.
    pub upload_id: UploadId,
}

/// What a person is on this whole installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    User,
    Admin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PresenceStatus {
    Online,
    Away,
    Dnd,
    Offline,
}

/// What somebody chose by hand to be shown as while they are here; `online`: as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChosenPresence {
    #[default]
    Online,
    Away,
    Dnd,
}

/// A person's presence, as the `presence` event and the user list show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "presence")]
pub struct Presence {
    pub user_id: UserId,
    pub status: PresenceStatus,
    #[schema(required)]
    pub last_seen: Option<Timestamp>,
    /// What they say of themselves; left out where they say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<CustomStatus>,
}

/// What somebody says of themselves for a while: “In a meeting”.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomStatus {
    pub emoji: Option<String>,
    pub text: Option<String>,
    /// Until then; null: until they take it back.
    pub until: Option<Timestamp>,
}

/// One signed-in device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserSession {
    pub id: SessionId,
    /// Whether it is the one that asks.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// Where the address is, as far as it is known; nobody else is told.
    pub place: Option<Place>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

stored_by_name! {
    UserRole { User = "user", Admin = "admin" }
    ChosenPresence { Online = "online", Away = "away", Dnd = "dnd" }
    PresenceStatus { Online = "online", Away = "away", Dnd = "dnd", Offline = "offline" }
}

//! Users, their presence and their sessions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{GeoLocation, Language, SessionId, Timestamp, UploadId, UserId};

/// User account. E-mail address and sign-in data are returned only to the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// True if the e-mail address is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// True if the account has a password; only for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// True if sign-in requires an authenticator code; only for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// Language of mails; only for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// True if others see the time zone; only for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_timezone: Option<bool>,
    /// Presence chosen by hand; only for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_presence: Option<ChosenPresence>,
    pub display_name: String,
    pub role: UserRole,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<PresenceStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Custom status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<CustomStatus>,
    /// IANA time zone, such as `Europe/Berlin`; null if unknown or not shown.
    #[serde(default)]
    #[schema(required)]
    pub timezone: Option<String>,
    /// Job title; null if none is set.
    #[serde(default)]
    #[schema(required)]
    pub title: Option<String>,
    /// Pronouns, such as "she/her"; null if none are set.
    #[serde(default)]
    #[schema(required)]
    pub pronouns: Option<String>,
    pub created_at: Timestamp,
}

/// Picture of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPicture {
    pub user_id: UserId,
    /// Picture, at `/files/{upload_id}/picture`.
    pub upload_id: UploadId,
}

/// Role of a user on the server.
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

/// Presence to be shown while connected; `online` stands for the actual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChosenPresence {
    #[default]
    Online,
    Away,
    Dnd,
}

/// Presence of a user, in the `presence` event and the list of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "presence")]
pub struct Presence {
    pub user_id: UserId,
    pub status: PresenceStatus,
    #[schema(required)]
    pub last_seen: Option<Timestamp>,
    /// Custom status. Absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_status: Option<CustomStatus>,
}

/// Temporary status, such as “In a meeting”.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomStatus {
    pub emoji: Option<String>,
    pub text: Option<String>,
    /// Time of removal; null if none.
    pub until: Option<Timestamp>,
}

/// Session of a signed-in device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserSession {
    pub id: SessionId,
    /// True for the session of this request.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// Location of the address, if known; only for the user.
    pub place: Option<GeoLocation>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

stored_by_name! {
    UserRole { User = "user", Admin = "admin" }
    ChosenPresence { Online = "online", Away = "away", Dnd = "dnd" }
    PresenceStatus { Online = "online", Away = "away", Dnd = "dnd", Offline = "offline" }
}

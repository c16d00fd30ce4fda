//! Users, their presence and their sessions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{GeoLocation, Language, SessionId, Timestamp, UploadId, UserId};

/// User account. Email address and sign-in data are returned to the user only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// True if the email address is verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// True if the account has a password. Returned to the user only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has_password: Option<bool>,
    /// True if sign-in requires a code of an authenticator app. Returned to the user only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
    /// Language of mails. Returned to the user only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// True if others see the time zone. Returned to the user only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_timezone: Option<bool>,
    /// Presence chosen by hand, on all devices. Returned to the user only.
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
    /// IANA time zone, such as `Europe/Berlin`. Null if it is unknown or not shown.
    #[serde(default)]
    #[schema(required)]
    pub timezone: Option<String>,
    pub created_at: Timestamp,
}

/// Picture of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserPicture {
    pub user_id: UserId,
    /// Picture: `/files/{upload_id}/picture`.
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

/// Presence that the user chose to be shown with while connected; `online`: the actual presence.
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

/// Temporary status text: “In a meeting”.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CustomStatus {
    pub emoji: Option<String>,
    pub text: Option<String>,
    /// End of the status. Null: until it is removed.
    pub until: Option<Timestamp>,
}

/// Signed-in device.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UserSession {
    pub id: SessionId,
    /// True for the session of this request.
    pub current: bool,
    pub user_agent: Option<String>,
    pub address: Option<String>,
    /// Location of the address, if known; returned to the user only.
    pub place: Option<GeoLocation>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

stored_by_name! {
    UserRole { User = "user", Admin = "admin" }
    ChosenPresence { Online = "online", Away = "away", Dnd = "dnd" }
    PresenceStatus { Online = "online", Away = "away", Dnd = "dnd", Offline = "offline" }
}

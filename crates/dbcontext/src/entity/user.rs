//! Accounts of users.

use appcore::{
    Timestamp, UserId,
    view::{ChosenPresence, UserRole},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    pub email: String,
    pub display_name: String,
    /// Folded form of the display name.
    pub search_name: String,
    pub password_hash: Option<String>,
    pub role: UserRole,
    pub email_verified_at: Option<Timestamp>,
    pub language: String,
    pub second_factor: bool,
    pub suspended_at: Option<Timestamp>,
    pub suspended_reason: Option<String>,
    pub suspended_by: Option<UserId>,
    pub status_emoji: Option<String>,
    pub status_text: Option<String>,
    pub status_until: Option<Timestamp>,
    pub timezone: Option<String>,
    pub show_timezone: bool,
    /// Job title.
    pub title: Option<String>,
    pub pronouns: Option<String>,
    /// Presence that the user has set by hand.
    pub chosen_presence: Option<ChosenPresence>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// True if the email address is verified.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.email_verified_at.is_some()
    }
}

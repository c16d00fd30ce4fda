//! A person's account.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// In lower case.
    pub email: String,
    pub display_name: String,
    /// The display name as it is compared.
    pub search_name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: Option<String>,
    pub role: String,
    /// Whether a code of an authenticator is asked for at sign-in.
    pub second_factor: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub is_deleted: bool,
    /// When the owner of the mailbox was shown to be the owner of the account.
    pub email_verified_at: Option<Timestamp>,
    /// What mail to this person is written in.
    pub language: String,
    /// Since when nobody is let in by it.
    pub suspended_at: Option<Timestamp>,
    pub suspended_reason: Option<String>,
    pub suspended_by: Option<UserId>,
    /// By its name in the IANA database.
    pub timezone: Option<String>,
    /// Whether others are told of it.
    pub show_timezone: bool,
    /// What they chose to be shown as: `away` or `dnd`. None: as they are.
    pub chosen_presence: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Whether the address was shown to be its owner's.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        self.email_verified_at.is_some()
    }
}

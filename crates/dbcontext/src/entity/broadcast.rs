//! Announcements to users.

use appcore::{BroadcastId, Timestamp, UserId, view::Severity};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "broadcasts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BroadcastId,
    pub title: String,
    /// Folded form of the title.
    pub search_title: String,
    pub body: String,
    pub severity: Severity,
    /// Audience as JSON; `channels` is JSON too.
    pub audience: String,
    pub channels: String,
    pub dismissible: bool,
    pub starts_at: Timestamp,
    pub ends_at: Option<Timestamp>,
    pub withdrawn_at: Option<Timestamp>,
    pub created_by: UserId,
    pub recipients: i64,
    /// Last state that was published to users, at `announced_at`.
    pub announced_state: Option<String>,
    pub announced_at: Option<Timestamp>,
    /// Last user to whom the email was sent; `mailed_at` is set when all emails are sent.
    pub last_mailed_user_id: Option<UserId>,
    pub mailed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Notification settings of users.

use appcore::{Timestamp, UserId, view::Notify};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notification_settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub level: Notify,
    /// Quiet hours as JSON.
    pub quiet: Option<String>,
    pub dnd_until: Option<Timestamp>,
    pub mail_after_minutes: Option<i64>,
    pub push: bool,
    pub show_text: bool,
    /// Token of the unsubscribe link.
    pub mail_token: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

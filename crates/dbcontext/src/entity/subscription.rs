//! What somebody has paid for until when.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub plan_id: Uuid,
    pub payment_id: Uuid,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

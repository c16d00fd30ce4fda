//! From where somebody has signed in.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "known_devices")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The address; of IPv6 the /64.
    #[sea_orm(primary_key, auto_increment = false)]
    pub network: String,
    /// The browser or program, without the numbers of its version.
    #[sea_orm(primary_key, auto_increment = false)]
    pub agent: String,
    pub last_seen_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

//! A network that is kept out until `expires_at`, unless the ban was lifted before.

use appcore::{BanId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BanId,
    /// In CIDR notation, the host's part zero.
    pub network: String,
    pub reason: String,
    /// Made by the firewall, and not by an administrator.
    pub is_automatic: bool,
    pub created_by: Option<UserId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub lifted_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

//! Banned networks.

use appcore::{BanId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BanId,
    /// CIDR with zero host bits, so that equal networks are equal strings.
    pub network: String,
    pub reason: String,
    /// True if the firewall set the ban. Earlier automatic bans of a network make its next one
    /// longer.
    pub is_automatic: bool,
    pub created_by: Option<UserId>,
    pub expires_at: Timestamp,
    pub lifted_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

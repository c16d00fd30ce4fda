//! Who somebody is at a provider of identities.

use appcore::{IdentityId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "identities")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: IdentityId,
    pub user_id: UserId,
    /// What the settings called the provider when it was linked.
    pub provider: String,
    pub issuer: String,
    pub subject: String,
    /// As the provider said last.
    pub email: Option<String>,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

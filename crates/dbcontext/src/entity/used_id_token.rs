//! An ID token that has opened the door, which it does once.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "used_id_tokens")]
pub struct Model {
    /// SHA-256 of what is signed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub token_hash: Vec<u8>,
    /// From then on it is refused for its age.
    pub expires_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

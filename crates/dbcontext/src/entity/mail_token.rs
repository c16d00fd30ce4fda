//! What a link in a mail proves.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub purpose: String,
    /// What the purpose is about: an account, an invitation.
    pub subject: Uuid,
    /// SHA-256 of the token, which has 256 random bits and so needs no salt.
    pub token_hash: Vec<u8>,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

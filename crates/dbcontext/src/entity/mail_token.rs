//! Tokens of links in emails. A newer email for the same purpose and subject replaces the token.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mail_tokens")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub purpose: String,
    /// Id of the account, invitation or other entity that the token is for, depending on the
    /// purpose.
    pub subject: Uuid,
    /// SHA-256 of a token with 256 random bits.
    pub token_hash: Vec<u8>,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

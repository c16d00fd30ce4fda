//! A key that signs access tokens, shared by all instances.

use appcore::Timestamp;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub kid: String,
    /// PKCS#8, sealed where the operator has set a secret.
    pub private_key: Vec<u8>,
    pub is_sealed: bool,
    /// Whether it signs; the others only verify.
    pub is_active: bool,
    pub created_at: Timestamp,
    /// When another took its place.
    pub retired_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

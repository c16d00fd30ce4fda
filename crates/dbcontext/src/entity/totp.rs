//! Authenticator apps of users.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "totp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub secret: Vec<u8>,
    pub is_sealed: bool,
    pub confirmed_at: Option<Timestamp>,
    /// Newest TOTP time step whose code was used; `used_steps` is a bit set of the steps before it.
    pub newest_step: i64,
    pub used_steps: i64,
    /// Number of wrong codes since `failures_since`, across all sign-ins of the user.
    pub failures: i32,
    pub failures_since: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

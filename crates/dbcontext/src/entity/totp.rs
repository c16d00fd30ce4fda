//! An authenticator app's secret. It counts from when a code has confirmed it.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "totp")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Sealed where the operator has set a secret.
    pub secret: Vec<u8>,
    pub is_sealed: bool,
    pub confirmed_at: Option<Timestamp>,
    /// The newest step of which a code was used.
    pub newest_step: i64,
    /// Bit n: the code of the step n before the newest was used.
    pub used_steps: i64,
    /// Wrong codes since `failures_since`.
    pub failures: i32,
    pub failures_since: Timestamp,
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

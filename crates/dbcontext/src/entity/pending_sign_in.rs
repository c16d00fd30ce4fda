//! Multi-step sign-ins in progress: OAuth, second factor or passkey.

use appcore::{Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_sign_ins")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    pub user_id: Option<UserId>,
    pub handle_hash: Vec<u8>,
    /// State of the sign-in. If it contains secrets, it is sealed with the handle, which only the
    /// client has.
    pub state: Vec<u8>,
    pub failures: i32,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

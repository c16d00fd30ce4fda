//! Private notes of users.

use appcore::{NoteId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// Id of the note, chosen by the client.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: NoteId,
    pub title: String,
    pub content: String,
    pub pinned: bool,
    pub version: i64,
    pub created_at: Timestamp,
    /// Time of the edit according to the client. In contrast, `updated_at` is unique per user.
    pub edited_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

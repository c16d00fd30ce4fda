//! Columns of task boards.

use appcore::{BoardColumnId, ConversationId, Timestamp};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "board_columns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: BoardColumnId,
    pub conversation_id: ConversationId,
    pub name: String,
    pub position: String,
    pub is_done: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

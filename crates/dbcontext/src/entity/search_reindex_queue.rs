//! Queue of messages to index again.

use appcore::MessageId;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "search_reindex_queue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    /// Random value, renewed by each change of the message. The indexer removes the row only if the
    /// value is unchanged, so that a change during indexing is not lost.
    pub revision: Uuid,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Who is in a conversation, and how far they have read. Those who left stay as rows with `is_deleted`.

use appcore::{ConversationId, SectionId, Timestamp, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub role: String,
    pub read_seq: i64,
    pub delivered_seq: i64,
    /// What others were told that they have read, where they have marked some of it as unread since; else less than `read_seq`.
    pub receipt_seq: i64,
    /// The number of the last message that they have read or written.
    pub read_no: i64,
    /// Their name as it is searched and sorted by.
    pub search_name: String,
    pub notify: String,
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub section_id: Option<SectionId>,
    pub joined_at: Timestamp,
    /// How far the conversation had come then; 0 for those who were in it from the beginning.
    pub from_seq: i64,
    /// Since when they are kept out of the channel that somebody removed them from.
    pub removed_at: Option<Timestamp>,
    pub is_deleted: bool,
}

impl ActiveModelBehavior for ActiveModel {}

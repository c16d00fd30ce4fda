//! Members of conversations and their read positions. The row of a former member stays, with
//! `is_deleted`.

use appcore::{
    ConversationId, SectionId, Timestamp, UserId,
    view::{MemberRole, Notify},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: ConversationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub role: MemberRole,
    pub read_seq: i64,
    pub delivered_seq: i64,
    pub joined_at: Timestamp,
    /// Number of the last message that the member has read or written.
    pub read_no: i64,
    /// Folded name of the user, by which members are listed.
    pub search_name: String,
    pub notify: Notify,
    pub muted_until: Option<Timestamp>,
    pub pinned: bool,
    pub section_id: Option<SectionId>,
    /// Sequence number of the last event before the history that the member may read.
    pub from_seq: i64,
    /// True if `notify` overrides the member's general settings.
    pub notify_chosen: bool,
    /// Time at which the member was removed; they can't rejoin the channel while it is set.
    pub removed_at: Option<Timestamp>,
    /// Read position shown to other members. Less than `read_seq` if the member has marked messages
    /// as unread.
    pub receipt_seq: i64,
    pub is_deleted: bool,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

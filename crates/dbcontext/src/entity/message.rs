//! Messages. They have no foreign keys: the writer checks the membership and the conversation while
//! it holds the lock.

use appcore::{
    ConversationId, MessageId, Timestamp,
    view::{MessageStatus, SenderKind},
};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    pub sender_kind: SenderKind,
    pub sender_id: Option<Uuid>,
    pub client_id: Option<String>,
    pub content: String,
    pub status: MessageStatus,
    pub reply_to: Option<MessageId>,
    pub model: Option<String>,
    pub reason: Option<String>,
    pub version: i64,
    pub version_count: i64,
    /// Message with several versions, to whose version `hidden_version` this message belongs. While
    /// set, this message is not shown.
    pub hidden_by: Option<MessageId>,
    pub hidden_version: Option<i64>,
    /// Number of the message among the messages of its conversation; `seq` is its number among all
    /// events.
    pub no: i64,
    /// Mentions as JSON, shown with the message. Mentions are counted in the table `mentions`.
    pub mentions: Option<String>,
    /// Metadata of an assistant's answer as JSON.
    pub answer: Option<String>,
    /// Public view of the tool calls as JSON.
    pub tool_calls: Option<String>,
    /// Attachments as JSON.
    pub attachments: Option<String>,
    /// Root message of the thread that a reply belongs to.
    pub thread_id: Option<MessageId>,
    pub thread_no: Option<i64>,
    pub also_to_conversation: bool,
    /// Summary of the thread of a root message as JSON.
    pub thread: Option<String>,
    pub thread_last_no: Option<i64>,
    pub thread_at: Option<Timestamp>,
    pub solved_at: Option<Timestamp>,
    /// Reactions as JSON, a summary of the table `reactions`.
    pub reactions: Option<String>,
    pub pinned_at: Option<Timestamp>,
    /// Forwarded message as JSON.
    pub forwarded: Option<String>,
    /// Time at which a moderator hid the message; its content is then in `hidden_messages`.
    pub hidden_at: Option<Timestamp>,
    pub previews: Option<String>,
    /// Poll as JSON: its options and a summary of the table `poll_votes`.
    pub poll: Option<String>,
    pub created_at: Timestamp,
    pub edited_at: Option<Timestamp>,
    pub deleted_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

//! Notifications in the inboxes of users.

use appcore::{ConversationId, MessageId, NotificationId, Timestamp, UploadId, UserId, view::NotificationKind};
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: NotificationId,
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    pub message_id: Option<MessageId>,
    /// Root message of the thread, if the message is not shown in the main conversation.
    pub root_id: Option<MessageId>,
    pub actor_id: Option<Uuid>,
    pub detail: Option<String>,
    pub upload_id: Option<UploadId>,
    /// Title; set only for notifications without a message.
    pub title: Option<String>,
    pub text: Option<String>,
    /// Sequence number of the event that the user must read to clear the notification; in a thread,
    /// the number of the reply.
    pub seq: i64,
    pub count: i64,
    pub silent: bool,
    pub group_id: Option<Uuid>,
    pub read_at: Option<Timestamp>,
    pub pushed: bool,
    pub mailed: bool,
    pub created_at: Timestamp,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

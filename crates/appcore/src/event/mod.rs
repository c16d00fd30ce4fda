//! Events, and the envelopes that deliver them.
//!
//! An [`Event`] is visible to clients. Once it is sealed into an [`Envelope`], its payload is
//! serialised: the log stores it, the bus carries it, and every connection gets the same bytes. A
//! [`Signal`] is exchanged between instances and never reaches a client.

mod bus;
pub mod channels;
mod coalesced;
mod durable;
mod envelope;
mod memory;
mod schema;
mod signal;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;
use uuid::Builder;

pub use bus::{BusError, BusMessage, EventBus, Listener, PublishAck};
pub use channels::{ChannelGuard, ChannelInterest, ChannelSet};
pub use coalesced::{Coalesced, ReadPosition};
pub use durable::DurableBody;
pub use envelope::{Envelope, FollowChange, MAX_BATCHED_IDS, SharedEnvelope, Topic};
pub use memory::MemoryBus;
pub use schema::EventSchema;
pub use signal::{ProviderKeyChange, Signal};

use crate::{
    AssistantId, BoardColumnId, BroadcastId, ConversationId, EventId, MessageId, NoteId, NotificationId, ReminderId,
    ScheduledId, SectionId, TaskId, Timestamp, UploadId, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{
        BoardColumn, Credits, CurrentPlan, Member, Message, Notification, OwnSettings, Presence, QuotaUse, Scheduled,
        Section, ShownBroadcast, Task, ThreadSummary, ToolCall, Upload, Warning,
    },
};

/// Event with its payload, in the form that clients get. `kind()` is its `type` in frames, and the
/// title of its schema.
#[derive(Clone, Debug, Serialize, ToSchema, IntoStaticStr)]
#[serde(untagged)]
pub enum Event {
    /// Event that is stored in the log of a conversation, with its sequence number there.
    Durable {
        conversation_id: ConversationId,
        seq: i64,
        #[serde(flatten)]
        body: DurableBody,
    },
    /// The user's own choices in a poll. Sent to the user's connections.
    #[schema(title = "poll.own")]
    #[strum(serialize = "poll.own")]
    OwnVoteChanged {
        conversation_id: ConversationId,
        message_id: MessageId,
        #[schema(max_items = 10)]
        choices: Vec<u8>,
    },
    /// The replies in a thread changed. Sent to viewers of the conversation. Replaces earlier
    /// events about the thread.
    #[schema(title = "thread.updated")]
    #[strum(serialize = "thread.updated")]
    ThreadUpdated {
        conversation_id: ConversationId,
        /// Root message of the thread.
        message_id: MessageId,
        #[schema(required)]
        thread: Option<ThreadSummary>,
    },
    /// The user's own read position in a thread, and whether the user follows it. Sent to the
    /// user's connections.
    #[schema(title = "thread.own")]
    #[strum(serialize = "thread.own")]
    OwnThreadChanged {
        conversation_id: ConversationId,
        message_id: MessageId,
        following: bool,
        read_no: i64,
        unread: i64,
    },
    /// The user saved a message, or removed it from the saved messages. Sent to the user's
    /// connections.
    #[schema(title = "saved.updated")]
    #[strum(serialize = "saved.updated")]
    SavedUpdated { conversation_id: ConversationId, message_id: MessageId, saved: bool },
    /// The user changed a draft on a device. Sent to the user's connections. The draft with the
    /// latest `updated_at` is the current one.
    #[schema(title = "draft.updated")]
    #[strum(serialize = "draft.updated")]
    DraftUpdated {
        conversation_id: ConversationId,
        #[schema(required)]
        thread_id: Option<MessageId>,
        /// Text; empty if the draft was deleted.
        content: String,
        #[schema(required)]
        reply_to: Option<MessageId>,
        updated_at: Timestamp,
    },
    /// A scheduled message was changed, sent or deleted. Sent to the user's connections.
    #[schema(title = "scheduled.updated")]
    #[strum(serialize = "scheduled.updated")]
    ScheduledUpdated {
        conversation_id: ConversationId,
        id: ScheduledId,
        /// Scheduled message after the change. Null if it was sent or deleted.
        #[schema(required)]
        scheduled: Option<Box<Scheduled>>,
    },
    /// A user joined a conversation whose joins and leaves are not stored in its log.
    #[schema(title = "member.added")]
    #[strum(serialize = "member.added")]
    MemberJoined {
        conversation_id: ConversationId,
        member: Member,
        /// Last sequence number of the conversation's events.
        #[serde(skip)]
        last_seq: i64,
    },
    /// A user left a conversation whose joins and leaves are not stored in its log, or was removed
    /// from it.
    #[schema(title = "member.removed")]
    #[strum(serialize = "member.removed")]
    MemberLeft { conversation_id: ConversationId, user_id: UserId },
    /// The role of a member changed, in a conversation whose joins and leaves are not stored in its
    /// log.
    #[schema(title = "member.updated")]
    #[strum(serialize = "member.updated")]
    MemberRoleChanged {
        conversation_id: ConversationId,
        member: Member,
        #[serde(skip)]
        last_seq: i64,
    },
    /// The user's own settings of a conversation changed. Sent to the user's connections.
    #[schema(title = "conversation.own")]
    #[strum(serialize = "conversation.own")]
    OwnSettingsChanged { conversation_id: ConversationId, own: OwnSettings },
    /// The user marked messages as unread. Sent to the user's connections. `read_seq` is the new,
    /// earlier read position.
    #[schema(title = "conversation.unread")]
    #[strum(serialize = "conversation.unread")]
    MarkedUnread {
        conversation_id: ConversationId,
        read_seq: i64,
        /// Number of messages after `read_seq`.
        unread: i64,
        /// Number of messages after `read_seq` that mention the user.
        unread_mentions: i64,
    },
    /// The sections of the user's sidebar after a change. Conversations of a deleted section are in
    /// no section.
    #[schema(title = "sections.changed")]
    #[strum(serialize = "sections.changed")]
    SectionsChanged { sections: Vec<Section> },
    /// A conversation of the user was created. This is the first event of the conversation.
    #[schema(title = "conversation.created")]
    #[strum(serialize = "conversation.created")]
    ConversationCreated { conversation_id: ConversationId },
    /// Delivery and read position of a member. Replaces earlier positions of the member.
    #[schema(title = "receipt")]
    #[strum(serialize = "receipt")]
    Receipt { conversation_id: ConversationId, user_id: UserId, delivered_seq: i64, read_seq: i64 },
    /// Read positions of several members of a larger conversation.
    #[schema(title = "receipts")]
    #[strum(serialize = "receipts")]
    Receipts { conversation_id: ConversationId, items: Vec<ReadPosition> },
    /// Number of members of a larger conversation.
    #[schema(title = "conversation.count")]
    #[strum(serialize = "conversation.count")]
    ConversationCount { conversation_id: ConversationId, member_count: u32 },
    /// Next chunk of an answer that is being written. `offset` is the number of UTF-16 code units
    /// before it.
    #[schema(title = "message.delta")]
    #[strum(serialize = "message.delta")]
    MessageDelta { conversation_id: ConversationId, message_id: MessageId, offset: u64, text: String },
    /// Next chunk of a model's reasoning. `offset` is the number of UTF-16 code units before it.
    #[schema(title = "message.thought")]
    #[strum(serialize = "message.thought")]
    MessageReasoning { conversation_id: ConversationId, message_id: MessageId, offset: u64, text: String },
    /// Current state of a tool call in an answer that is being written.
    #[schema(title = "message.tool_call")]
    #[strum(serialize = "message.tool_call")]
    MessageToolCall { conversation_id: ConversationId, message_id: MessageId, call: Box<ToolCall> },
    /// Current state of another model's answer to the same prompt, next to the answer `answer_id`.
    /// Sent when it starts, when another instance takes it over, when it is complete, and when it
    /// becomes a version of that answer. In between, `message.delta` events contain its own id.
    #[schema(title = "message.compared")]
    #[strum(serialize = "message.compared")]
    MessageCompared {
        conversation_id: ConversationId,
        answer_id: MessageId,
        message: Box<Message>,
        /// Number of the version that the answer has become.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        version: Option<i64>,
    },
    /// A user started or stopped typing. The state expires after 6 seconds unless it is repeated.
    #[schema(title = "typing")]
    #[strum(serialize = "typing")]
    Typing { conversation_id: ConversationId, user_id: UserId, active: bool },
    #[strum(serialize = "presence")]
    Presence(#[schema(inline)] Presence),
    /// Current presence of several users whom the client watches.
    #[schema(title = "presences")]
    #[strum(serialize = "presences")]
    Presences { items: Vec<Presence> },
    /// A workspace of the user changed: its name, its members or their roles. Also sent when it was
    /// deleted.
    #[schema(title = "workspace.changed")]
    #[strum(serialize = "workspace.changed")]
    WorkspaceChanged { workspace_id: WorkspaceId },
    /// Assistants of a workspace were created, changed or deleted.
    #[schema(title = "assistants.changed")]
    #[strum(serialize = "assistants.changed")]
    AssistantsChanged { workspace_id: WorkspaceId },
    /// The knowledge files of an assistant, of a section of the user or (with neither id) of a
    /// workspace changed, or their processing progressed. Sent to users who may see the files, and
    /// at most once a second for a file that is being processed.
    #[schema(title = "knowledge.changed")]
    #[strum(serialize = "knowledge.changed")]
    KnowledgeChanged {
        workspace_id: WorkspaceId,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        assistant_id: Option<AssistantId>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        section_id: Option<SectionId>,
    },
    /// The plan, credits or quotas of the user changed, or one of the user's payments progressed.
    /// Sent to the user's connections, at most once a second.
    #[schema(title = "quota.updated")]
    #[strum(serialize = "quota.updated")]
    QuotaUpdated {
        #[schema(required)]
        plan: Option<CurrentPlan>,
        #[schema(required)]
        credits: Option<Credits>,
        quotas: Vec<QuotaUse>,
        #[schema(required)]
        trial_ends_at: Option<Timestamp>,
    },
    /// The credits of the user's account, or of a workspace that the user pays for, fell below the
    /// threshold. Sent once each time.
    #[schema(title = "credits.low")]
    #[strum(serialize = "credits.low")]
    CreditsLow {
        #[schema(required)]
        workspace_id: Option<WorkspaceId>,
        balance: MicroCredits,
        /// Threshold that the balance fell below.
        threshold: MicroCredits,
    },
    /// A moderator's warning about a message of the user. Sent to the user's connections, and again
    /// when it is acknowledged.
    #[schema(title = "warning")]
    #[strum(serialize = "warning")]
    WarningChanged { warning: Box<Warning> },
    /// Prompts of a workspace were created, changed or deleted.
    #[schema(title = "prompts.changed")]
    #[strum(serialize = "prompts.changed")]
    PromptsChanged { workspace_id: WorkspaceId },
    /// The custom emoji of a workspace changed.
    #[schema(title = "emoji.changed")]
    #[strum(serialize = "emoji.changed")]
    EmojiChanged { workspace_id: WorkspaceId },
    /// A task was added to the board of a conversation. Sent to the conversation's viewers.
    #[schema(title = "task.created")]
    #[strum(serialize = "task.created")]
    TaskCreated { conversation_id: ConversationId, board_version: i64, task: Box<Task> },
    /// A task was changed or moved.
    #[schema(title = "task.updated")]
    #[strum(serialize = "task.updated")]
    TaskUpdated { conversation_id: ConversationId, board_version: i64, task: Box<Task> },
    #[schema(title = "task.deleted")]
    #[strum(serialize = "task.deleted")]
    TaskDeleted { conversation_id: ConversationId, board_version: i64, task_id: TaskId },
    #[schema(title = "column.created")]
    #[strum(serialize = "column.created")]
    ColumnCreated { conversation_id: ConversationId, board_version: i64, column: BoardColumn },
    /// A column was renamed or moved.
    #[schema(title = "column.updated")]
    #[strum(serialize = "column.updated")]
    ColumnUpdated { conversation_id: ConversationId, board_version: i64, column: BoardColumn },
    #[schema(title = "column.deleted")]
    #[strum(serialize = "column.deleted")]
    ColumnDeleted { conversation_id: ConversationId, board_version: i64, column_id: BoardColumnId },
    /// The user changed or deleted a note. Sent to the user's connections. `GET /r1/notes?since=`
    /// returns the content.
    #[schema(title = "note.changed")]
    #[strum(serialize = "note.changed")]
    NoteChanged { note_id: NoteId, version: i64, updated_at: Timestamp },
    /// Progress of the export of a conversation. Sent to the user who requested it, at the start
    /// and then at most once a second.
    #[schema(title = "export.progress")]
    #[strum(serialize = "export.progress")]
    ExportProgress {
        conversation_id: ConversationId,
        upload_id: UploadId,
        /// Number of messages written so far.
        messages: u64,
        /// Number of messages in the conversation when the export started.
        of: u64,
    },
    /// The export of a conversation ended. Sent to the user who requested it. `upload` is null if
    /// it failed.
    #[schema(title = "export.ended")]
    #[strum(serialize = "export.ended")]
    ExportEnded {
        conversation_id: ConversationId,
        upload_id: UploadId,
        #[schema(required)]
        upload: Option<Box<Upload>>,
    },
    /// Tasks that are or were assigned to the user changed. Sent to all of the user's connections,
    /// whatever they display.
    #[schema(title = "tasks.own")]
    #[strum(serialize = "tasks.own")]
    OwnTasksChanged { conversation_id: ConversationId, task_id: TaskId },
    /// A reminder of the user was set or removed. Sent to the user's connections.
    #[schema(title = "reminders.own")]
    #[strum(serialize = "reminders.own")]
    OwnRemindersChanged { reminder_id: ReminderId },
    /// The user's own account changed: name, profile or status. Sent to the user's connections.
    #[schema(title = "account.own")]
    #[strum(serialize = "account.own")]
    OwnAccountChanged { user_id: UserId },
    /// A user's name or picture changed, or their account was deleted. Sent to users who share a
    /// conversation with them or watch their presence.
    #[schema(title = "user.changed")]
    #[strum(serialize = "user.changed")]
    UserChanged {
        user_id: UserId,
        display_name: String,
        /// Picture of the user, which is at `/files/{picture}/picture`. Null if there is none.
        #[schema(required)]
        picture: Option<UploadId>,
        /// True if the account was deleted.
        deleted: bool,
    },
    // Sent to the user's connections. An event with the same `id` replaces the earlier one. (This
    // is not a doc comment, because that would wrap the schema, and the schema would not be found.)
    #[strum(serialize = "notification")]
    Notification(#[schema(inline)] Notification),
    /// Notifications were read. Sent to the user's connections. `ids` is null if all of them were
    /// read.
    #[schema(title = "notifications.read")]
    #[strum(serialize = "notifications.read")]
    NotificationsRead {
        #[schema(required)]
        ids: Option<Vec<NotificationId>>,
    },
    /// The messages or other objects of these notifications were deleted, or the user watched the
    /// answer. Sent to the user's connections.
    #[schema(title = "notifications.withdrawn")]
    #[strum(serialize = "notifications.withdrawn")]
    NotificationsWithdrawn { ids: Vec<NotificationId> },
    #[strum(serialize = "broadcast")]
    Broadcast(#[schema(inline)] ShownBroadcast),
    /// The user dismissed an announcement. Sent to the user's connections.
    #[schema(title = "broadcast.dismissed")]
    #[strum(serialize = "broadcast.dismissed")]
    BroadcastDismissed { id: BroadcastId },
}

impl Event {
    /// Value of the event's `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Durable { body, .. } => body.into(),
            passing => passing.into(),
        }
    }

    /// Message whose text this durable event contains; `None` if there is none, or if the event
    /// creates the message.
    #[must_use]
    pub fn updated_text_message(&self) -> Option<MessageId> {
        if let Self::Durable { body, .. } = self { body.updated_text_message() } else { None }
    }

    /// Position in the conversation's log, for durable events.
    #[must_use]
    pub const fn position(&self) -> Option<LogPosition> {
        match *self {
            Self::Durable { conversation_id, seq, .. } => Some(LogPosition { conversation_id, seq }),
            Self::ConversationCreated { conversation_id } => Some(LogPosition { conversation_id, seq: 0 }),
            _ => None,
        }
    }
}

/// Position of a durable event. `seq` 0 stands for the creation of a conversation. It is in the log
/// so that it can be published again, and precedes all events that a client can request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = Position)]
pub struct LogPosition {
    pub conversation_id: ConversationId,
    pub seq: i64,
}

impl EventId {
    /// Deterministic id of a durable event. It consists of the sequence number and the random half
    /// of the conversation's id.
    #[must_use]
    pub fn for_position(position: LogPosition) -> Self {
        let mut bytes = *position.conversation_id.0.as_bytes();
        bytes[..6].copy_from_slice(&position.seq.to_be_bytes()[2..]);
        Self(Builder::from_custom_bytes(bytes).into_uuid())
    }
}

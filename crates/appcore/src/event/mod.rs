//! Events, and the envelopes that they are delivered in.
//!
//! An [`Event`] is what clients see. Once it is sealed into [`Envelope`] its payload is text that nobody serialises again:
//! the log stores it, the bus carries it, and every connection gets the same bytes. [`Signal`]s are exchanged between
//! instances and never reach a client.

mod bus;
mod durable;
mod envelope;
mod gathered;
mod memory;
mod schema;
mod signal;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;
use uuid::Builder;

pub use bus::{BusError, BusMessage, EventBus, Left, Listener};
pub use durable::DurableBody;
pub use envelope::{Effect, Envelope, MAX_NAMED, SharedEnvelope, Topic};
pub use gathered::{Gathered, ReadPosition};
pub use memory::MemoryBus;
pub use schema::EventSchema;
pub use signal::{KeyFate, Signal};

use crate::{
    AssistantId, BoardColumnId, BroadcastId, ConversationId, EventId, MessageId, NoteId, NotificationId, ReminderId,
    ScheduledId, SectionId, TaskId, Timestamp, UploadId, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{
        BoardColumn, Credits, CurrentPlan, Member, Message, Notification, OwnSettings, Presence, QuotaUse, Scheduled,
        Section, ShownBroadcast, Task, ThreadSummary, ToolCall, Upload, Warning,
    },
};

/// Everything that clients are told, with its payload. `kind()` is its `type` on the wire, and the title of its schema.
#[derive(Clone, Debug, Serialize, ToSchema, IntoStaticStr)]
#[serde(untagged)]
pub enum Event {
    /// An event of the conversation's log, with its number there.
    Durable {
        conversation_id: ConversationId,
        seq: i64,
        #[serde(flatten)]
        body: DurableBody,
    },
    /// What one has chosen in a poll oneself, for one's own connections.
    #[schema(title = "poll.own")]
    #[strum(serialize = "poll.own")]
    PollOwn {
        conversation_id: ConversationId,
        message_id: MessageId,
        #[schema(max_items = 10)]
        choices: Vec<u8>,
    },
    /// There are other replies than there were, for those who view the conversation. The last one counts.
    #[schema(title = "thread.updated")]
    #[strum(serialize = "thread.updated")]
    ThreadUpdated {
        conversation_id: ConversationId,
        /// The message that the thread belongs to.
        message_id: MessageId,
        #[schema(required)]
        thread: Option<ThreadSummary>,
    },
    /// How far one has read a thread, and whether one follows it, for one's own connections.
    #[schema(title = "thread.own")]
    #[strum(serialize = "thread.own")]
    ThreadOwn { conversation_id: ConversationId, message_id: MessageId, following: bool, read_no: i64, unread: i64 },
    /// One has saved a message, or does so no longer, for one's own connections.
    #[schema(title = "saved.updated")]
    #[strum(serialize = "saved.updated")]
    SavedUpdated { conversation_id: ConversationId, message_id: MessageId, saved: bool },
    /// One has written a draft, here or on another device, for one's own connections. The newest one counts.
    #[schema(title = "draft.updated")]
    #[strum(serialize = "draft.updated")]
    DraftUpdated {
        conversation_id: ConversationId,
        #[schema(required)]
        thread_id: Option<MessageId>,
        /// Empty: there is none any more.
        content: String,
        #[schema(required)]
        reply_to: Option<MessageId>,
        updated_at: Timestamp,
    },
    /// A message that is sent later is another, or no longer waits, for one's own connections.
    #[schema(title = "scheduled.updated")]
    #[strum(serialize = "scheduled.updated")]
    ScheduledUpdated {
        conversation_id: ConversationId,
        id: ScheduledId,
        /// Null: it was sent or deleted.
        #[schema(required)]
        scheduled: Option<Box<Scheduled>>,
    },
    /// Somebody joined a conversation whose memberships take no number.
    #[schema(title = "member.added")]
    #[strum(serialize = "member.added")]
    Joined {
        conversation_id: ConversationId,
        member: Member,
        /// How far the conversation had come.
        #[serde(skip)]
        last_seq: i64,
    },
    /// Somebody is no longer in such a conversation.
    #[schema(title = "member.removed")]
    #[strum(serialize = "member.removed")]
    Left { conversation_id: ConversationId, user_id: UserId },
    /// A member of such a conversation has another role.
    #[schema(title = "member.updated")]
    #[strum(serialize = "member.updated")]
    RoleChanged {
        conversation_id: ConversationId,
        member: Member,
        #[serde(skip)]
        last_seq: i64,
    },
    /// What somebody has chosen for a conversation, for their own connections.
    #[schema(title = "conversation.own")]
    #[strum(serialize = "conversation.own")]
    OwnChanged { conversation_id: ConversationId, own: OwnSettings },
    /// Something was marked as unread, for one's own connections: this is where one's own position is now, further back than it was.
    #[schema(title = "conversation.unread")]
    #[strum(serialize = "conversation.unread")]
    MarkedUnread {
        conversation_id: ConversationId,
        read_seq: i64,
        /// Messages behind it.
        unread: i64,
        /// Those of them that mention one.
        unread_mentions: i64,
    },
    /// The folders of one's own sidebar, as they are after a change of them. What was in one that is gone is in none.
    #[schema(title = "sections.changed")]
    #[strum(serialize = "sections.changed")]
    SectionsChanged { sections: Vec<Section> },
    /// A conversation that one is in was made; it is the first of its events.
    #[schema(title = "conversation.created")]
    #[strum(serialize = "conversation.created")]
    ConversationCreated { conversation_id: ConversationId },
    /// How far somebody has got and read. The last one counts.
    #[schema(title = "receipt")]
    #[strum(serialize = "receipt")]
    Receipt { conversation_id: ConversationId, user_id: UserId, delivered_seq: i64, read_seq: i64 },
    /// How far members of a larger conversation have read, gathered.
    #[schema(title = "receipts")]
    #[strum(serialize = "receipts")]
    Receipts { conversation_id: ConversationId, items: Vec<ReadPosition> },
    /// How many members there are.
    #[schema(title = "conversation.count")]
    #[strum(serialize = "conversation.count")]
    ConversationCount { conversation_id: ConversationId, member_count: u32 },
    /// The next piece of an answer that is being written; `offset` counts UTF-16 code units before it.
    #[schema(title = "message.delta")]
    #[strum(serialize = "message.delta")]
    MessageDelta { conversation_id: ConversationId, message_id: MessageId, offset: u64, text: String },
    /// The next piece of what a model thinks before it answers; `offset` counts UTF-16 code units before it.
    #[schema(title = "message.thought")]
    #[strum(serialize = "message.thought")]
    MessageThought { conversation_id: ConversationId, message_id: MessageId, offset: u64, text: String },
    /// A call of a tool for an answer that is being written, as it stands now.
    #[schema(title = "message.tool_call")]
    #[strum(serialize = "message.tool_call")]
    MessageToolCall { conversation_id: ConversationId, message_id: MessageId, call: Box<ToolCall> },
    /// Another model's answer beside the answer `answer_id`, as it is now: when it begins, when another instance takes it over, when it has ended,
    /// and when it has become a version of that answer. What comes in between are `message.delta`s of its own id.
    #[schema(title = "message.compared")]
    #[strum(serialize = "message.compared")]
    MessageCompared {
        conversation_id: ConversationId,
        answer_id: MessageId,
        message: Box<Message>,
        /// The version that it has become.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        version: Option<i64>,
    },
    /// Somebody begins or ends to type. It is over after 6 s unless it is repeated.
    #[schema(title = "typing")]
    #[strum(serialize = "typing")]
    Typing { conversation_id: ConversationId, user_id: UserId, active: bool },
    #[strum(serialize = "presence")]
    Presence(#[schema(inline)] Presence),
    /// People whose presence was asked for, gathered.
    #[schema(title = "presences")]
    #[strum(serialize = "presences")]
    Presences { items: Vec<Presence> },
    /// A workspace of theirs is another than it was: they are in it or no longer are, their role, its name, its end.
    #[schema(title = "workspace.changed")]
    #[strum(serialize = "workspace.changed")]
    WorkspaceChanged { workspace_id: WorkspaceId },
    /// Assistants of a workspace are others than they were: made, changed, deleted.
    #[schema(title = "assistants.changed")]
    #[strum(serialize = "assistants.changed")]
    AssistantsChanged { workspace_id: WorkspaceId },
    /// The files that an assistant knows, those of one's own section, or those of a workspace (with neither id) are others than they were, or went on being read. For those who see it; at
    /// most one a second for a file that is being read.
    #[schema(title = "knowledge.changed")]
    #[strum(serialize = "knowledge.changed")]
    KnowledgeChanged {
        workspace_id: WorkspaceId,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        assistant_id: Option<AssistantId>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        section_id: Option<SectionId>,
    },
    /// What one may use is another, for one's own connections; also when a payment of one's own went on. At most one a second.
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
    /// The credits of somebody's own account have become few, or of a workspace's that one pays for: once for each fall.
    #[schema(title = "credits.low")]
    #[strum(serialize = "credits.low")]
    CreditsLow {
        #[schema(required)]
        workspace_id: Option<WorkspaceId>,
        balance: MicroCredits,
        /// It fell below this.
        threshold: MicroCredits,
    },
    /// A moderator has told one something about a message of one's own, for one's own connections; told again when one has read it.
    #[schema(title = "warning")]
    #[strum(serialize = "warning")]
    Warned { warning: Box<Warning> },
    /// Prompts of a workspace are others than they were: written, changed, deleted.
    #[schema(title = "prompts.changed")]
    #[strum(serialize = "prompts.changed")]
    PromptsChanged { workspace_id: WorkspaceId },
    /// A workspace has other emoji of its own than before.
    #[schema(title = "emoji.changed")]
    #[strum(serialize = "emoji.changed")]
    EmojiChanged { workspace_id: WorkspaceId },
    /// A task was added to the board of a conversation, for those who view it.
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
    /// A column has another name or another place.
    #[schema(title = "column.updated")]
    #[strum(serialize = "column.updated")]
    ColumnUpdated { conversation_id: ConversationId, board_version: i64, column: BoardColumn },
    #[schema(title = "column.deleted")]
    #[strum(serialize = "column.deleted")]
    ColumnDeleted { conversation_id: ConversationId, board_version: i64, column_id: BoardColumnId },
    /// One has written or deleted a note, for one's own connections. What it says now tells `GET /r1/notes?since=`.
    #[schema(title = "note.changed")]
    #[strum(serialize = "note.changed")]
    NoteChanged { note_id: NoteId, version: i64, updated_at: Timestamp },
    /// How far the export of a conversation is, for whoever has asked for it: told when it begins, then once a second at most.
    #[schema(title = "export.progress")]
    #[strum(serialize = "export.progress")]
    ExportProgress {
        conversation_id: ConversationId,
        upload_id: UploadId,
        /// So many messages are written.
        messages: u64,
        /// So many there were when it began.
        of: u64,
    },
    /// The export of a conversation has ended, for whoever has asked for it. Null: it could not be written.
    #[schema(title = "export.ended")]
    #[strum(serialize = "export.ended")]
    ExportEnded {
        conversation_id: ConversationId,
        upload_id: UploadId,
        #[schema(required)]
        upload: Option<Box<Upload>>,
    },
    /// Something has changed about tasks that are, or were, one's own: for one's own connections, whatever they view.
    #[schema(title = "tasks.own")]
    #[strum(serialize = "tasks.own")]
    OwnTasksChanged { conversation_id: ConversationId, task_id: TaskId },
    /// One is to be reminded of something, or no longer is, for one's own connections.
    #[schema(title = "reminders.own")]
    #[strum(serialize = "reminders.own")]
    OwnRemindersChanged { reminder_id: ReminderId },
    /// One's own account is another than it was, for one's own connections: its name, what one says of oneself or chose to be shown as.
    #[schema(title = "account.own")]
    #[strum(serialize = "account.own")]
    OwnAccountChanged { user_id: UserId },
    /// Somebody has another name or another picture, or their account was deleted: for those who share a conversation with them or watch their presence.
    #[schema(title = "user.changed")]
    #[strum(serialize = "user.changed")]
    UserChanged {
        user_id: UserId,
        display_name: String,
        /// Their picture: `/files/{picture}/picture`. Null: they have none.
        #[schema(required)]
        picture: Option<UploadId>,
        /// Whether the account is no longer there.
        deleted: bool,
    },
    // For one's own connections. The same `id` again: it stands for more by now. (Described, its schema would be wrapped and not be found.)
    #[strum(serialize = "notification")]
    Notification(#[schema(inline)] Notification),
    /// These are read, for one's own connections. `ids` is null where all are.
    #[schema(title = "notifications.read")]
    #[strum(serialize = "notifications.read")]
    NotificationsRead {
        #[schema(required)]
        ids: Option<Vec<NotificationId>>,
    },
    /// What these were about is no longer there, for one's own connections.
    #[schema(title = "notifications.withdrawn")]
    #[strum(serialize = "notifications.withdrawn")]
    NotificationsWithdrawn { ids: Vec<NotificationId> },
    #[strum(serialize = "broadcast")]
    Broadcast(#[schema(inline)] ShownBroadcast),
    /// One has put an announcement away, for one's own connections.
    #[schema(title = "broadcast.dismissed")]
    #[strum(serialize = "broadcast.dismissed")]
    BroadcastDismissed { id: BroadcastId },
}

impl Event {
    /// The event's `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Durable { body, .. } => body.into(),
            passing => passing.into(),
        }
    }

    /// The message whose text a durable event carries, unless it is the one that creates it.
    #[must_use]
    pub fn later_text(&self) -> Option<MessageId> {
        if let Self::Durable { body, .. } = self { body.later_text() } else { None }
    }

    /// Its place in the conversation's log, for durable events.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match *self {
            Self::Durable { conversation_id, seq, .. } => Some(Position { conversation_id, seq }),
            Self::ConversationCreated { conversation_id } => Some(Position { conversation_id, seq: 0 }),
            _ => None,
        }
    }
}

/// A durable event's place. `seq` 0 is a conversation's creation: it is in the log so that the relay can repeat it, and
/// comes before everything that a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Position {
    pub conversation_id: ConversationId,
    pub seq: i64,
}

impl EventId {
    /// A durable event has the same id whenever and wherever it is told: its number and the random half of its conversation's id.
    #[must_use]
    pub fn at(position: Position) -> Self {
        let mut bytes = *position.conversation_id.0.as_bytes();
        bytes[..6].copy_from_slice(&position.seq.to_be_bytes()[2..]);
        Self(Builder::from_custom_bytes(bytes).into_uuid())
    }
}

//! Events, and the envelopes that they are delivered in.
//!
//! An [`Event`] is what clients see. Once it is sealed into [`Envelope`] its payload is text that nobody serialises again:
//! the log stores it, the bus carries it, and every connection gets the same bytes. [`Signal`]s are exchanged between
//! instances and never reach a client.

mod bus;
mod envelope;
mod gathered;
mod memory;
mod schema;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{Builder, Uuid};

pub use bus::{BusError, BusMessage, EventBus, Left, Listener};
pub use envelope::{Effect, Envelope, MAX_NAMED, SharedEnvelope, Topic};
pub use gathered::{Gathered, ReadPosition};
pub use memory::MemoryBus;
pub use schema::EventSchema;

use crate::{
    ApiKeyId, AssistantId, BoardColumnId, BroadcastId, ConversationId, EventId, InstanceId, MessageId, NoteId,
    NotificationId, ReminderId, ScheduledId, SectionId, SessionId, TaskId, Timestamp, UploadId, UserId, WorkspaceId,
    credits::MicroCredits,
    view::{
        AssistantMember, BoardColumn, ConversationKind, Credits, CurrentPlan, HistoryScope, Member, MentionAll,
        Message, Notification, OwnSettings, PollResults, Posting, Presence, QuotaUse, Scheduled, Section,
        ShownBroadcast, Task, ThreadSummary, ToolCall, Upload, Warning,
    },
};

/// Everything that clients are told, with its payload. `kind()` is its `type` on the wire, and the title of its schema.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Event {
    /// A message was sent, or an assistant began to answer (`status` `streaming`).
    #[schema(title = "message.created")]
    MessageCreated {
        conversation_id: ConversationId,
        seq: i64,
        message: Box<Message>,
    },
    /// A message was edited, asked again or answered again.
    #[schema(title = "message.updated")]
    MessageUpdated {
        conversation_id: ConversationId,
        seq: i64,
        message: Box<Message>,
        /// Another version of it is shown, and so are other messages after it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        branch_changed: bool,
    },
    #[schema(title = "message.deleted")]
    MessageDeleted {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        /// Of a reply: the message that the thread belongs to.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        thread_id: Option<MessageId>,
        /// And how the thread stands without it.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        thread: Option<ThreadSummary>,
    },
    /// An assistant's answer has ended.
    #[schema(title = "message.completed")]
    MessageCompleted {
        conversation_id: ConversationId,
        seq: i64,
        message: Box<Message>,
    },
    /// An assistant's answer has failed; `reason` is for the reader.
    #[schema(title = "message.failed")]
    MessageFailed {
        conversation_id: ConversationId,
        seq: i64,
        message: Box<Message>,
        reason: String,
    },
    #[schema(title = "reaction.added")]
    ReactionAdded {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        emoji: String,
        user_id: UserId,
    },
    #[schema(title = "reaction.removed")]
    ReactionRemoved {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        emoji: String,
        user_id: UserId,
    },
    #[schema(title = "message.pinned")]
    MessagePinned {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        user_id: UserId,
        pinned_at: Timestamp,
    },
    /// What links in a message lead to is known now, or was taken away.
    #[schema(title = "message.previews")]
    MessagePreviews {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        previews: Vec<crate::view::Preview>,
    },
    #[schema(title = "message.unpinned")]
    MessageUnpinned {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        user_id: UserId,
    },
    /// Somebody has voted, or has taken their vote back, or the poll was closed. `results` are those of `message.poll` from now on.
    #[schema(title = "poll.updated")]
    PollUpdated {
        conversation_id: ConversationId,
        seq: i64,
        message_id: MessageId,
        results: PollResults,
    },
    /// What one has chosen in a poll oneself, for one's own connections.
    #[schema(title = "poll.own")]
    PollOwn {
        conversation_id: ConversationId,
        message_id: MessageId,
        #[schema(max_items = 10)]
        choices: Vec<u8>,
    },
    /// There are other replies than there were, for those who view the conversation. The last one counts.
    #[schema(title = "thread.updated")]
    ThreadUpdated {
        conversation_id: ConversationId,
        /// The message that the thread belongs to.
        message_id: MessageId,
        #[schema(required)]
        thread: Option<ThreadSummary>,
    },
    /// How far one has read a thread, and whether one follows it, for one's own connections.
    #[schema(title = "thread.own")]
    ThreadOwn {
        conversation_id: ConversationId,
        message_id: MessageId,
        following: bool,
        read_no: i64,
        unread: i64,
    },
    /// One has saved a message, or does so no longer, for one's own connections.
    #[schema(title = "saved.updated")]
    SavedUpdated {
        conversation_id: ConversationId,
        message_id: MessageId,
        saved: bool,
    },
    /// One has written a draft, here or on another device, for one's own connections. The newest one counts.
    #[schema(title = "draft.updated")]
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
    ScheduledUpdated {
        conversation_id: ConversationId,
        id: ScheduledId,
        /// Null: it was sent or deleted.
        #[schema(required)]
        scheduled: Option<Box<Scheduled>>,
    },
    #[schema(title = "member.added")]
    MemberAdded {
        conversation_id: ConversationId,
        seq: i64,
        member: Member,
    },
    /// Somebody left or was removed.
    #[schema(title = "member.removed")]
    MemberRemoved {
        conversation_id: ConversationId,
        seq: i64,
        user_id: UserId,
    },
    /// Somebody's role or name is another.
    #[schema(title = "member.updated")]
    MemberUpdated {
        conversation_id: ConversationId,
        seq: i64,
        member: Member,
    },
    /// Somebody joined a conversation whose memberships take no number.
    #[schema(title = "member.added")]
    Joined {
        conversation_id: ConversationId,
        member: Member,
        /// How far the conversation had come.
        #[serde(skip)]
        last_seq: i64,
    },
    /// Somebody is no longer in such a conversation.
    #[schema(title = "member.removed")]
    Left {
        conversation_id: ConversationId,
        user_id: UserId,
    },
    /// A member of such a conversation has another role.
    #[schema(title = "member.updated")]
    RoleChanged {
        conversation_id: ConversationId,
        member: Member,
        #[serde(skip)]
        last_seq: i64,
    },
    /// The kind, the title, the topic, the assistants, the model, or who may do what in it are others.
    #[schema(title = "conversation.updated")]
    ConversationUpdated {
        conversation_id: ConversationId,
        seq: i64,
        kind: ConversationKind,
        #[schema(required)]
        title: Option<String>,
        #[schema(required)]
        topic: Option<String>,
        posting: Posting,
        mention_all: MentionAll,
        history: HistoryScope,
        slow_mode_seconds: i64,
        assistants: Vec<AssistantMember>,
        /// The model that was chosen for a chat with an assistant; left out: the assistant's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    #[schema(title = "conversation.archived")]
    ConversationArchived {
        conversation_id: ConversationId,
        seq: i64,
        archived_at: Timestamp,
    },
    #[schema(title = "conversation.unarchived")]
    ConversationUnarchived {
        conversation_id: ConversationId,
        seq: i64,
    },
    /// What somebody has chosen for a conversation, for their own connections.
    #[schema(title = "conversation.own")]
    OwnChanged {
        conversation_id: ConversationId,
        own: OwnSettings,
    },
    /// Something was marked as unread, for one's own connections: this is where one's own position is now, further back than it was.
    #[schema(title = "conversation.unread")]
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
    SectionsChanged {
        sections: Vec<Section>,
    },
    #[schema(title = "conversation.deleted")]
    ConversationDeleted {
        conversation_id: ConversationId,
        seq: i64,
    },
    /// A conversation that one is in was made; it is the first of its events.
    #[schema(title = "conversation.created")]
    ConversationCreated {
        conversation_id: ConversationId,
    },
    /// How far somebody has got and read. The last one counts.
    #[schema(title = "receipt")]
    Receipt {
        conversation_id: ConversationId,
        user_id: UserId,
        delivered_seq: i64,
        read_seq: i64,
    },
    /// How far members of a larger conversation have read, gathered.
    #[schema(title = "receipts")]
    Receipts {
        conversation_id: ConversationId,
        items: Vec<ReadPosition>,
    },
    /// How many members there are.
    #[schema(title = "conversation.count")]
    ConversationCount {
        conversation_id: ConversationId,
        member_count: u32,
    },
    /// The next piece of an answer that is being written; `offset` counts UTF-16 code units before it.
    #[schema(title = "message.delta")]
    MessageDelta {
        conversation_id: ConversationId,
        message_id: MessageId,
        offset: u64,
        text: String,
    },
    /// The next piece of what a model thinks before it answers; `offset` counts UTF-16 code units before it.
    #[schema(title = "message.thought")]
    MessageThought {
        conversation_id: ConversationId,
        message_id: MessageId,
        offset: u64,
        text: String,
    },
    /// A call of a tool for an answer that is being written, as it stands now.
    #[schema(title = "message.tool_call")]
    MessageToolCall {
        conversation_id: ConversationId,
        message_id: MessageId,
        call: Box<ToolCall>,
    },
    /// Another model's answer beside the answer `answer_id`, as it is now: when it begins, when another instance takes it over, when it has ended,
    /// and when it has become a version of that answer. What comes in between are `message.delta`s of its own id.
    #[schema(title = "message.compared")]
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
    Typing {
        conversation_id: ConversationId,
        user_id: UserId,
        active: bool,
    },
    Presence(#[schema(inline)] Presence),
    /// People whose presence was asked for, gathered.
    #[schema(title = "presences")]
    Presences {
        items: Vec<Presence>,
    },
    /// A workspace of theirs is another than it was: they are in it or no longer are, their role, its name, its end.
    #[schema(title = "workspace.changed")]
    WorkspaceChanged {
        workspace_id: WorkspaceId,
    },
    /// Assistants of a workspace are others than they were: made, changed, deleted.
    #[schema(title = "assistants.changed")]
    AssistantsChanged {
        workspace_id: WorkspaceId,
    },
    /// The files that an assistant knows, those of one's own section, or those of a workspace (with neither id) are others than they were, or went on being read. For those who see it; at
    /// most one a second for a file that is being read.
    #[schema(title = "knowledge.changed")]
    KnowledgeChanged {
        workspace_id: WorkspaceId,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        assistant_id: Option<AssistantId>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        section_id: Option<SectionId>,
    },
    /// What one may use is another, for one's own connections; also when a payment of one's own went on. At most one a second.
    #[schema(title = "quota.updated")]
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
    CreditsLow {
        #[schema(required)]
        workspace_id: Option<WorkspaceId>,
        balance: MicroCredits,
        /// It fell below this.
        threshold: MicroCredits,
    },
    /// A moderator has told one something about a message of one's own, for one's own connections; told again when one has read it.
    #[schema(title = "warning")]
    Warned {
        warning: Box<Warning>,
    },
    /// Prompts of a workspace are others than they were: written, changed, deleted.
    #[schema(title = "prompts.changed")]
    PromptsChanged {
        workspace_id: WorkspaceId,
    },
    /// A workspace has other emoji of its own than before.
    #[schema(title = "emoji.changed")]
    EmojiChanged {
        workspace_id: WorkspaceId,
    },
    /// A task was added to the board of a conversation, for those who view it.
    #[schema(title = "task.created")]
    TaskCreated {
        conversation_id: ConversationId,
        board_version: i64,
        task: Box<Task>,
    },
    /// A task was changed or moved.
    #[schema(title = "task.updated")]
    TaskUpdated {
        conversation_id: ConversationId,
        board_version: i64,
        task: Box<Task>,
    },
    #[schema(title = "task.deleted")]
    TaskDeleted {
        conversation_id: ConversationId,
        board_version: i64,
        task_id: TaskId,
    },
    #[schema(title = "column.created")]
    ColumnCreated {
        conversation_id: ConversationId,
        board_version: i64,
        column: BoardColumn,
    },
    /// A column has another name or another place.
    #[schema(title = "column.updated")]
    ColumnUpdated {
        conversation_id: ConversationId,
        board_version: i64,
        column: BoardColumn,
    },
    #[schema(title = "column.deleted")]
    ColumnDeleted {
        conversation_id: ConversationId,
        board_version: i64,
        column_id: BoardColumnId,
    },
    /// One has written or deleted a note, for one's own connections. What it says now tells `GET /r1/notes?since=`.
    #[schema(title = "note.changed")]
    NoteChanged {
        note_id: NoteId,
        version: i64,
        updated_at: Timestamp,
    },
    /// How far the export of a conversation is, for whoever has asked for it: told when it begins, then once a second at most.
    #[schema(title = "export.progress")]
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
    ExportEnded {
        conversation_id: ConversationId,
        upload_id: UploadId,
        #[schema(required)]
        upload: Option<Box<Upload>>,
    },
    /// Something has changed about tasks that are, or were, one's own: for one's own connections, whatever they view.
    #[schema(title = "tasks.own")]
    OwnTasksChanged {
        conversation_id: ConversationId,
        task_id: TaskId,
    },
    /// One is to be reminded of something, or no longer is, for one's own connections.
    #[schema(title = "reminders.own")]
    OwnRemindersChanged {
        reminder_id: ReminderId,
    },
    /// One's own account is another than it was, for one's own connections: its name, what one says of oneself or chose to be shown as.
    #[schema(title = "account.own")]
    OwnAccountChanged {
        user_id: UserId,
    },
    /// Somebody has another name or another picture, or their account was deleted: for those who share a conversation with them or watch their presence.
    #[schema(title = "user.changed")]
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
    Notification(#[schema(inline)] Notification),
    /// These are read, for one's own connections. `ids` is null where all are.
    #[schema(title = "notifications.read")]
    NotificationsRead {
        #[schema(required)]
        ids: Option<Vec<NotificationId>>,
    },
    /// What these were about is no longer there, for one's own connections.
    #[schema(title = "notifications.withdrawn")]
    NotificationsWithdrawn {
        ids: Vec<NotificationId>,
    },
    Broadcast(#[schema(inline)] ShownBroadcast),
    /// One has put an announcement away, for one's own connections.
    #[schema(title = "broadcast.dismissed")]
    BroadcastDismissed {
        id: BroadcastId,
    },
}

impl Event {
    /// The event's `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::MessageCreated { .. } => "message.created",
            Self::MessageUpdated { .. } => "message.updated",
            Self::MessageDeleted { .. } => "message.deleted",
            Self::MessageCompleted { .. } => "message.completed",
            Self::MessageFailed { .. } => "message.failed",
            Self::ReactionAdded { .. } => "reaction.added",
            Self::ReactionRemoved { .. } => "reaction.removed",
            Self::MessagePinned { .. } => "message.pinned",
            Self::MessagePreviews { .. } => "message.previews",
            Self::MessageUnpinned { .. } => "message.unpinned",
            Self::PollUpdated { .. } => "poll.updated",
            Self::PollOwn { .. } => "poll.own",
            Self::ThreadUpdated { .. } => "thread.updated",
            Self::ThreadOwn { .. } => "thread.own",
            Self::SavedUpdated { .. } => "saved.updated",
            Self::DraftUpdated { .. } => "draft.updated",
            Self::ScheduledUpdated { .. } => "scheduled.updated",
            Self::MemberAdded { .. } | Self::Joined { .. } => "member.added",
            Self::MemberRemoved { .. } | Self::Left { .. } => "member.removed",
            Self::MemberUpdated { .. } | Self::RoleChanged { .. } => "member.updated",
            Self::ConversationArchived { .. } => "conversation.archived",
            Self::ConversationUnarchived { .. } => "conversation.unarchived",
            Self::OwnChanged { .. } => "conversation.own",
            Self::MarkedUnread { .. } => "conversation.unread",
            Self::SectionsChanged { .. } => "sections.changed",
            Self::ConversationUpdated { .. } => "conversation.updated",
            Self::ConversationDeleted { .. } => "conversation.deleted",
            Self::ConversationCreated { .. } => "conversation.created",
            Self::Receipt { .. } => "receipt",
            Self::Receipts { .. } => "receipts",
            Self::ConversationCount { .. } => "conversation.count",
            Self::MessageDelta { .. } => "message.delta",
            Self::MessageThought { .. } => "message.thought",
            Self::MessageToolCall { .. } => "message.tool_call",
            Self::MessageCompared { .. } => "message.compared",
            Self::Typing { .. } => "typing",
            Self::Presence(_) => "presence",
            Self::Presences { .. } => "presences",
            Self::WorkspaceChanged { .. } => "workspace.changed",
            Self::AssistantsChanged { .. } => "assistants.changed",
            Self::KnowledgeChanged { .. } => "knowledge.changed",
            Self::Warned { .. } => "warning",
            Self::PromptsChanged { .. } => "prompts.changed",
            Self::EmojiChanged { .. } => "emoji.changed",
            Self::QuotaUpdated { .. } => "quota.updated",
            Self::CreditsLow { .. } => "credits.low",
            Self::TaskCreated { .. } => "task.created",
            Self::TaskUpdated { .. } => "task.updated",
            Self::TaskDeleted { .. } => "task.deleted",
            Self::ColumnCreated { .. } => "column.created",
            Self::ColumnUpdated { .. } => "column.updated",
            Self::ColumnDeleted { .. } => "column.deleted",
            Self::OwnTasksChanged { .. } => "tasks.own",
            Self::OwnRemindersChanged { .. } => "reminders.own",
            Self::OwnAccountChanged { .. } => "account.own",
            Self::UserChanged { .. } => "user.changed",
            Self::ExportProgress { .. } => "export.progress",
            Self::ExportEnded { .. } => "export.ended",
            Self::NoteChanged { .. } => "note.changed",
            Self::Notification(_) => "notification",
            Self::NotificationsRead { .. } => "notifications.read",
            Self::NotificationsWithdrawn { .. } => "notifications.withdrawn",
            Self::Broadcast(_) => "broadcast",
            Self::BroadcastDismissed { .. } => "broadcast.dismissed",
        }
    }

    /// The message whose text it carries, unless it is the one that creates it.
    #[must_use]
    pub fn later_text(&self) -> Option<MessageId> {
        match self {
            Self::MessageUpdated { message, .. }
            | Self::MessageCompleted { message, .. }
            | Self::MessageFailed { message, .. } => {
                let has_more = !message.tool_calls.is_empty() || !message.attachments.is_empty();
                (!message.content.is_empty() || has_more).then_some(message.id)
            }
            Self::MessagePreviews { message_id, previews, .. } => (!previews.is_empty()).then_some(*message_id),
            _ => None,
        }
    }

    /// Its place in the conversation's log, for durable events.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        match self {
            Self::MessageCreated { conversation_id, seq, .. }
            | Self::MessageUpdated { conversation_id, seq, .. }
            | Self::MessageDeleted { conversation_id, seq, .. }
            | Self::MessageCompleted { conversation_id, seq, .. }
            | Self::MessageFailed { conversation_id, seq, .. }
            | Self::ReactionAdded { conversation_id, seq, .. }
            | Self::ReactionRemoved { conversation_id, seq, .. }
            | Self::MessagePinned { conversation_id, seq, .. }
            | Self::MessagePreviews { conversation_id, seq, .. }
            | Self::MessageUnpinned { conversation_id, seq, .. }
            | Self::PollUpdated { conversation_id, seq, .. }
            | Self::MemberAdded { conversation_id, seq, .. }
            | Self::MemberRemoved { conversation_id, seq, .. }
            | Self::MemberUpdated { conversation_id, seq, .. }
            | Self::ConversationUpdated { conversation_id, seq, .. }
            | Self::ConversationArchived { conversation_id, seq, .. }
            | Self::ConversationUnarchived { conversation_id, seq }
            | Self::ConversationDeleted { conversation_id, seq } => {
                Some(Position { conversation_id: *conversation_id, seq: *seq })
            }
            Self::ConversationCreated { conversation_id } => {
                Some(Position { conversation_id: *conversation_id, seq: 0 })
            }
            Self::ThreadUpdated { .. }
            | Self::ThreadOwn { .. }
            | Self::PollOwn { .. }
            | Self::SavedUpdated { .. }
            | Self::DraftUpdated { .. }
            | Self::ScheduledUpdated { .. }
            | Self::Joined { .. }
            | Self::Left { .. }
            | Self::RoleChanged { .. }
            | Self::OwnChanged { .. }
            | Self::MarkedUnread { .. }
            | Self::SectionsChanged { .. }
            | Self::Receipt { .. }
            | Self::Receipts { .. }
            | Self::ConversationCount { .. }
            | Self::MessageDelta { .. }
            | Self::MessageThought { .. }
            | Self::MessageToolCall { .. }
            | Self::MessageCompared { .. }
            | Self::Typing { .. }
            | Self::Presence(_)
            | Self::Presences { .. }
            | Self::WorkspaceChanged { .. }
            | Self::AssistantsChanged { .. }
            | Self::KnowledgeChanged { .. }
            | Self::Warned { .. }
            | Self::PromptsChanged { .. }
            | Self::EmojiChanged { .. }
            | Self::QuotaUpdated { .. }
            | Self::CreditsLow { .. }
            | Self::TaskCreated { .. }
            | Self::TaskUpdated { .. }
            | Self::TaskDeleted { .. }
            | Self::ColumnCreated { .. }
            | Self::ColumnUpdated { .. }
            | Self::ColumnDeleted { .. }
            | Self::OwnTasksChanged { .. }
            | Self::OwnRemindersChanged { .. }
            | Self::OwnAccountChanged { .. }
            | Self::UserChanged { .. }
            | Self::ExportProgress { .. }
            | Self::ExportEnded { .. }
            | Self::NoteChanged { .. }
            | Self::Notification(_)
            | Self::NotificationsRead { .. }
            | Self::NotificationsWithdrawn { .. }
            | Self::Broadcast(_)
            | Self::BroadcastDismissed { .. } => None,
        }
    }
}

/// A durable event's place. `seq` 0 is a conversation's creation: it is in the log so that the relay can repeat it, and
/// comes before everything that a client can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// What becomes of a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyFate {
    /// It rests for so many milliseconds.
    Rests(u64),
    /// The provider refuses it.
    Off,
    /// The provider takes it again.
    On,
}

/// Messages between instances that clients don't see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// These sign-ins are over: their tokens are refused and their sockets closed (4401).
    SessionsEnded(Vec<SessionId>),
    /// These API keys were revoked: they are refused and their sockets closed (4401).
    ApiKeysRevoked(Vec<ApiKeyId>),
    /// The reader asked this answer to stop.
    StopGeneration(MessageId),
    /// There is a job to claim.
    JobsWaiting,
    /// This network is banned until then. A ban by an administrator refuses everybody and closes connections; an automatic one spares valid
    /// credentials.
    Banned {
        network: IpNet,
        until: Timestamp,
        /// Made by an administrator. Earlier releases don't send it; the table of bans corrects it within seconds.
        #[serde(default)]
        is_manual: bool,
    },
    /// A ban of this network was lifted. The table says whether another one is in force.
    BanLifted(IpNet),
    /// Cached data about this person is out of date.
    UserChanged(UserId),
    /// What the API keys may do has changed that have one of these ids, or whose owner or workspace has.
    KeysChanged(Vec<Uuid>),
    /// The gateway's models are others.
    ModelsChanged,
    /// A payment method was switched on or off.
    PaymentSwitchesChanged,
    /// An administrator lets a provider's key rest until then, or use it again at once.
    ProviderKeyRests { provider: String, key: String, until: Option<Timestamp> },
    /// What the gateway of an instance, `by`, has learned of a provider's key by using it; `key` is its place in the configuration, and
    /// without a model it is about all of them.
    ProviderKeyLearned { by: Uuid, provider: String, key: usize, model: Option<String>, fate: KeyFate },
    /// Whether a connection of this person shows the conversation: whoever has one says [`Signal::Shows`].
    WhoShows { question: Uuid, user_id: UserId, conversation_id: ConversationId },
    /// One does.
    Shows { question: Uuid },
    /// Who has a connection of this person, asked by an instance that has something to tell them: whoever has one says [`Signal::Serves`].
    WhoServes { asked_by: InstanceId, user_id: UserId },
    /// A thread of some instance has one.
    Serves { asked_by: InstanceId, user_id: UserId },
    /// Messages are to be read into the search index again.
    SearchTouched,
    /// Messages may have been lost: holders of a position must catch up. Never sent between instances.
    Gap,
}

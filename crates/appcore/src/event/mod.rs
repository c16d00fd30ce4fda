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
    ApiKeyId, ConversationId, EventId, MessageId, SessionId, Timestamp, UserId, WorkspaceId,
    view::{
        AssistantMember, ConversationKind, Credits, CurrentPlan, HistoryScope, Member, MentionAll, Message,
        OwnSettings, Posting, Presence, QuotaUse, Section, ToolCall,
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
    /// A call of a tool for an answer that is being written, as it stands now.
    #[schema(title = "message.tool_call")]
    MessageToolCall {
        conversation_id: ConversationId,
        message_id: MessageId,
        call: Box<ToolCall>,
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
    /// Prompts of a workspace are others than they were: written, changed, deleted.
    #[schema(title = "prompts.changed")]
    PromptsChanged {
        workspace_id: WorkspaceId,
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
            Self::MemberAdded { .. } | Self::Joined { .. } => "member.added",
            Self::MemberRemoved { .. } | Self::Left { .. } => "member.removed",
            Self::MemberUpdated { .. } | Self::RoleChanged { .. } => "member.updated",
            Self::ConversationArchived { .. } => "conversation.archived",
            Self::ConversationUnarchived { .. } => "conversation.unarchived",
            Self::OwnChanged { .. } => "conversation.own",
            Self::SectionsChanged { .. } => "sections.changed",
            Self::ConversationUpdated { .. } => "conversation.updated",
            Self::ConversationDeleted { .. } => "conversation.deleted",
            Self::ConversationCreated { .. } => "conversation.created",
            Self::Receipt { .. } => "receipt",
            Self::Receipts { .. } => "receipts",
            Self::ConversationCount { .. } => "conversation.count",
            Self::MessageDelta { .. } => "message.delta",
            Self::MessageToolCall { .. } => "message.tool_call",
            Self::Typing { .. } => "typing",
            Self::Presence(_) => "presence",
            Self::Presences { .. } => "presences",
            Self::WorkspaceChanged { .. } => "workspace.changed",
            Self::AssistantsChanged { .. } => "assistants.changed",
            Self::PromptsChanged { .. } => "prompts.changed",
            Self::QuotaUpdated { .. } => "quota.updated",
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
            Self::Joined { .. }
            | Self::Left { .. }
            | Self::RoleChanged { .. }
            | Self::OwnChanged { .. }
            | Self::SectionsChanged { .. }
            | Self::Receipt { .. }
            | Self::Receipts { .. }
            | Self::ConversationCount { .. }
            | Self::MessageDelta { .. }
            | Self::MessageToolCall { .. }
            | Self::Typing { .. }
            | Self::Presence(_)
            | Self::Presences { .. }
            | Self::WorkspaceChanged { .. }
            | Self::AssistantsChanged { .. }
            | Self::PromptsChanged { .. }
            | Self::QuotaUpdated { .. } => None,
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
    /// This network is banned until then: its requests are refused and its connections closed.
    Banned { network: IpNet, until: Timestamp },
    /// A ban of this network was lifted. The table says whether another one is in force.
    BanLifted(IpNet),
    /// Cached data about this person is out of date.
    UserChanged(UserId),
    /// What the API keys may do has changed that have one of these ids, or whose owner or workspace has.
    KeysChanged(Vec<Uuid>),
    /// The gateway's models are others.
    ModelsChanged,
    /// A way to pay was switched on or off.
    PaymentSwitchesChanged,
    /// An administrator lets a provider's key rest until then, or use it again at once.
    ProviderKeyRests { provider: String, key: String, until: Option<Timestamp> },
    /// What the gateway of an instance, `by`, has learned of a provider's key by using it; `key` is its place in the configuration, and
    /// without a model it is about all of them.
    ProviderKeyLearned { by: Uuid, provider: String, key: usize, model: Option<String>, fate: KeyFate },
    /// Messages may have been lost: holders of a position must catch up. Never sent between instances.
    Gap,
}

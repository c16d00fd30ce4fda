//! Changes that the writer commits, and their outcomes.

use appcore::{
    AppError, AssistantId, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId,
    text::{ClientId, Content},
    view::{
        AnswerStats, AssistantMember, ConversationKind, Forwarded, HistoryScope, Member, MemberRole, Mention,
        MentionAll, MentionScope, Message, MessageStatus, NewPoll, Posting, Preview,
    },
};
use platform::audit::NewAuditEntry;

use crate::events::jobs::AnswerOptions;

/// Change of one conversation. The writer authorises it inside the transaction.
#[derive(Clone, Debug)]
pub enum Change {
    Create(Box<CreateConversation>),
    /// Change by a member, authorised by the member's role in the conversation.
    Member {
        by: Actor,
        action: MemberAction,
    },
    /// Change by the server, or by an administrator of the installation, who need not be a member.
    Server {
        conversation_id: ConversationId,
        action: ServerAction,
    },
}

/// Member who makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
}

/// Action of a member.
#[derive(Clone, Debug)]
pub enum MemberAction {
    Send(Box<SendMessage>),
    Edit(EditMessage),
    EditPrompt(EditPrompt),
    /// Switches to another version of a prompt or an answer.
    ShowVersion {
        message_id: MessageId,
        index: i64,
    },
    /// Requests another model's answer for comparison with an assistant's message.
    Compare {
        message_id: MessageId,
        asking: AnswerOptions,
    },
    /// Requests a new version of an assistant's message.
    Regenerate {
        message_id: MessageId,
        asking: AnswerOptions,
    },
    Delete(DeleteMessage),
    /// Removes the link previews of the member's own message.
    RemovePreviews {
        message_id: MessageId,
    },
    React(React),
    Pin(Pin),
    Solve(Solve),
    Vote(Vote),
    /// Closes the member's own poll.
    ClosePoll {
        message_id: MessageId,
    },
    Update(UpdateConversation),
    /// Makes a channel read-only, or writable again.
    Archive {
        archived: bool,
    },
    Convert {
        kind: ConversationKind,
    },
    DeleteConversation,
    AddMember {
        user_id: UserId,
    },
    AddAssistant {
        assistant_id: AssistantId,
    },
    /// Removes another member, or the member who acts.
    RemoveMember {
        user_id: UserId,
    },
    /// Changes a member's role. `Owner` transfers the ownership.
    SetRole {
        user_id: UserId,
        role: MemberRole,
    },
}

impl MemberAction {
    /// Turns the action into a change by this member.
    #[must_use]
    pub const fn by_member(self, user_id: UserId, conversation_id: ConversationId) -> Change {
        Change::Member { by: Actor { conversation_id, user_id }, action: self }
    }
}

/// Action that needs no member role.
#[derive(Clone, Debug)]
pub enum ServerAction {
    Hide(HideMessage),
    /// Sets the title of a conversation that has none.
    SuggestTitle {
        title: String,
    },
    /// Deletes the conversation on behalf of an administrator of the installation.
    DeleteByAdmin {
        entry: NewAuditEntry,
    },
    /// Removes a user who has left the workspace or deleted their account. If the user owned the
    /// conversation, another member becomes the owner.
    Depart {
        user_id: UserId,
    },
    /// Makes a member the owner, on behalf of an administrator of the installation.
    HandOver {
        user_id: UserId,
        entry: NewAuditEntry,
    },
    StartAnswer(StartAnswer),
    FinishAnswer(Box<FinishAnswer>),
    /// Replaces the text of an answer by that of the worker that has taken the answer over.
    ReplaceAnswerText {
        answer_id: MessageId,
        content: String,
    },
    SetTranscript(SetTranscript),
    SetPreviews(SetPreviews),
    /// Deletes the conversation because its workspace is gone or its last member leaves.
    Dissolve,
}

impl ServerAction {
    /// Turns the action into a change of the given conversation.
    #[must_use]
    pub const fn on_conversation(self, conversation_id: ConversationId) -> Change {
        Change::Server { conversation_id, action: self }
    }
}

#[derive(Clone, Debug)]
pub struct SendMessage {
    pub client_id: ClientId,
    pub content: Content,
    pub reply_to: Option<MessageId>,
    pub mentions: Vec<Mention>,
    /// Users who are notified by `@here`.
    pub here_recipients: Vec<UserId>,
    /// Ids of the sender's uploads.
    pub attachments: Vec<UploadId>,
    /// Thread in which the message is a reply.
    pub thread: Option<InThread>,
    /// Origin of a forwarded message, which the sender may read.
    pub forwarded: Option<Forwarded>,
    /// True if link previews are shown.
    pub has_previews: bool,
    /// Poll to create with the message.
    pub poll: Option<NewPoll>,
    pub asking: AnswerOptions,
}

/// Thread that a message is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InThread {
    /// Root message of the thread.
    pub root_id: MessageId,
    /// True if the reply is also shown in the main conversation.
    pub also_to_conversation: bool,
}

impl SendMessage {
    /// Returns the messages that this message refers to.
    pub(super) fn refers_to(&self) -> impl Iterator<Item = MessageId> + use<> {
        self.reply_to.into_iter().chain(self.thread.map(|thread| thread.root_id))
    }

    /// True if the message mentions `@all` or `@here`.
    pub fn mentions_many(&self) -> bool {
        MentionScope::from_mentions(&self.mentions) != MentionScope::Named
    }
}

#[derive(Clone, Debug)]
pub struct EditMessage {
    pub message_id: MessageId,
    pub content: Content,
    /// New mentions; `None` leaves them unchanged.
    pub mentions: Option<Vec<Mention>>,
    /// Users who are notified by an `@here` that the edit adds.
    pub here_recipients: Vec<UserId>,
}

/// Replaces the text of a prompt, keeps the old text as a version, and requests a new answer.
#[derive(Clone, Debug)]
pub struct EditPrompt {
    pub message_id: MessageId,
    pub content: Content,
    pub asking: AnswerOptions,
}

#[derive(Clone, Copy, Debug)]
pub struct DeleteMessage {
    pub message_id: MessageId,
    /// False if the caller knows that there is only text to delete; see
    /// [`Message::has_more`](appcore::view::Message::has_more).
    pub has_more: bool,
}

/// Hides the content of a message, or shows it again.
#[derive(Clone, Debug)]
pub struct HideMessage {
    pub message_id: MessageId,
    /// Moderator who hides or shows the message.
    pub by: UserId,
    pub is_hidden: bool,
    pub entry: NewAuditEntry,
}

/// Adds or removes an emoji reaction.
#[derive(Clone, Debug)]
pub struct React {
    pub message_id: MessageId,
    pub emoji: String,
    pub is_added: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub message_id: MessageId,
    pub is_pinned: bool,
}

/// Marks a thread as solved, or reopens it.
#[derive(Clone, Copy, Debug)]
pub struct Solve {
    /// Root message of the thread.
    pub message_id: MessageId,
    pub is_solved: bool,
}

/// Creation of a conversation. The caller has already checked that the members and assistants
/// belong to the workspace.
#[derive(Clone, Debug)]
pub struct CreateConversation {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub posting: Posting,
    pub mention_all: MentionAll,
    pub history: HistoryScope,
    pub created_by: UserId,
    pub members: Vec<(UserId, MemberRole)>,
    pub assistant: Option<AssistantId>,
    /// Uniqueness key: for a direct conversation the pair of users, otherwise the creator with an
    /// id that the creator has chosen.
    pub pair_key: Option<String>,
}

/// Update of a conversation. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug)]
pub struct UpdateConversation {
    pub title: Option<Option<String>>,
    pub topic: Option<Option<String>>,
    pub posting: Option<Posting>,
    /// Model of an assistant chat.
    pub model: Option<Option<String>>,
    pub mention_all: Option<MentionAll>,
    pub slow_mode_seconds: Option<i64>,
    /// Word filter as JSON.
    pub word_filter: Option<Option<String>>,
    /// Audit log entry, if the update is audited.
    pub entry: Option<NewAuditEntry>,
}

/// Creates an assistant's message. After a takeover by another worker, resets the existing message.
#[derive(Clone, Debug)]
pub struct StartAnswer {
    pub answer_id: MessageId,
    pub assistant_id: AssistantId,
    pub reply_to: Option<MessageId>,
    /// Answer with which this one is compared. If set, the message was already created together
    /// with its job.
    pub compared_with: Option<MessageId>,
    pub model: Option<String>,
}

/// Finishes an assistant's message, unless it is already finished.
#[derive(Clone, Debug)]
pub struct FinishAnswer {
    pub answer_id: MessageId,
    pub content: String,
    pub status: MessageStatus,
    /// Reason for a failure, shown to the reader.
    pub reason: Option<String>,
    pub model: Option<String>,
    pub figures: Option<AnswerStats>,
    /// Reasoning of the model.
    pub thoughts: Option<String>,
}

/// Stores the transcript of a voice note. `None` means that the transcription failed.
#[derive(Clone, Debug)]
pub struct SetTranscript {
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub transcript: Option<String>,
}

/// Stores the link previews of a message.
#[derive(Clone, Debug)]
pub struct SetPreviews {
    pub message_id: MessageId,
    /// Time of the edit that led to the text of the previews; `None` if the text was never edited.
    pub edited_at: Option<Timestamp>,
    pub previews: Vec<Preview>,
}

/// Casts a vote in a poll. It replaces the member's earlier vote; an empty list withdraws it.
#[derive(Clone, Debug)]
pub struct Vote {
    pub message_id: MessageId,
    /// Indices of the chosen options, ascending and without duplicates.
    pub choices: Vec<u8>,
}

impl Change {
    /// Returns the conversation to lock; `None` for a conversation that is being created.
    pub(super) const fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Create(_) => None,
            Self::Member { by, .. } => Some(by.conversation_id),
            Self::Server { conversation_id, .. } => Some(*conversation_id),
        }
    }

    /// True if the change runs no queries of its own, because its reads and writes are combined
    /// with those of the other changes.
    pub(super) const fn is_batchable(&self) -> bool {
        let Self::Member { action, .. } = self else { return false };
        matches!(
            action,
            MemberAction::Send(_)
                | MemberAction::Edit(_)
                | MemberAction::Delete(DeleteMessage { has_more: false, .. })
                | MemberAction::React(_)
                | MemberAction::Pin(_)
                | MemberAction::Solve(_)
        )
    }

    /// True for a message with attachments. Its uploads are locked while the message is stored.
    pub(super) fn has_files(&self) -> bool {
        matches!(self, Self::Member { action: MemberAction::Send(send), .. } if !send.attachments.is_empty())
    }

    /// Returns the users whose role the change depends on: the actor, and the user whose membership
    /// changes.
    pub(super) fn people(&self) -> Vec<UserId> {
        let (actor, subject) = match self {
            Self::Create(_) => (None, None),
            Self::Member { by, action } => (Some(by.user_id), action.subject()),
            Self::Server { action, .. } => (None, action.subject()),
        };
        actor.into_iter().chain(subject).collect()
    }
}

impl MemberAction {
    /// Returns the user whose membership changes.
    const fn subject(&self) -> Option<UserId> {
        match self {
            Self::AddMember { user_id } | Self::RemoveMember { user_id } | Self::SetRole { user_id, .. } => {
                Some(*user_id)
            }
            _ => None,
        }
    }
}

impl ServerAction {
    /// Returns the user whose membership changes.
    const fn subject(&self) -> Option<UserId> {
        match self {
            Self::Depart { user_id } | Self::HandOver { user_id, .. } => Some(*user_id),
            _ => None,
        }
    }
}

/// Returns the member actions with their actors.
pub(super) fn member_actions(changes: &[Change]) -> impl Iterator<Item = (Actor, &MemberAction)> {
    changes
        .iter()
        .filter_map(|change| if let Change::Member { by, action } = change { Some((*by, action)) } else { None })
}

/// Result of sending a message.
#[derive(Clone, Debug)]
pub struct Sent {
    pub message: Message,
    /// True if the `client_id` was already used; `message` is then the earlier message.
    pub duplicate: bool,
}

/// Result of creating a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    New(ConversationId),
    /// The pair already has a conversation, or this conversation was already created.
    Existing,
}

/// Result of a change.
#[derive(Clone, Debug)]
pub enum Outcome {
    Sent(Box<Sent>),
    Message(Box<Message>),
    Created(Created),
    Member(Member),
    Assistant(AssistantMember),
    Done,
}

impl Outcome {
    pub fn sent(self) -> Result<Sent, AppError> {
        if let Self::Sent(sent) = self { Ok(*sent) } else { Err(self.unexpected()) }
    }

    pub fn message(self) -> Result<Message, AppError> {
        if let Self::Message(message) = self { Ok(*message) } else { Err(self.unexpected()) }
    }

    pub fn created(self) -> Result<Created, AppError> {
        if let Self::Created(created) = self { Ok(created) } else { Err(self.unexpected()) }
    }

    pub fn member(self) -> Result<Member, AppError> {
        if let Self::Member(member) = self { Ok(member) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> AppError {
        AppError::internal(anyhow::anyhow!("unexpected outcome from the writer: {:?}", std::mem::discriminant(self)))
    }
}

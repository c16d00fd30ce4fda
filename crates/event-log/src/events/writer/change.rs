//! The changes that the writer commits, and their outcomes.

use appcore::{
    AppError, AssistantId, ConversationId, MessageId, Timestamp, UploadId, UserId, WorkspaceId,
    text::{ClientId, Content},
    view::{
        AnswerFigures, AssistantMember, ConversationKind, Forwarded, HistoryScope, Member, MemberRole, Mention,
        MentionAll, Message, MessageStatus, NewPoll, Posting, Preview, Reach,
    },
};
use platform::audit::Entry;

use crate::events::jobs::AnswerOptions;

/// A change of one conversation. Whether it is allowed is decided inside the transaction.
#[derive(Clone, Debug)]
pub enum Change {
    Create(Box<CreateConversation>),
    /// Decided by the member's standing in the conversation.
    Member {
        by: Actor,
        action: MemberAction,
    },
    /// By the server itself, or by an administrator of the installation, who need not be a member.
    Server {
        conversation_id: ConversationId,
        action: ServerAction,
    },
}

/// The author of a change, as a member of the conversation that it is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
}

/// An action of a member.
#[derive(Clone, Debug)]
pub enum MemberAction {
    Send(Box<SendMessage>),
    Edit(EditMessage),
    AskAgain(AskAgain),
    /// Shows another version of a prompt or an answer.
    ShowVersion {
        message_id: MessageId,
        index: i64,
    },
    /// Has another model answer beside an assistant's message.
    Compare {
        message_id: MessageId,
        asking: AnswerOptions,
    },
    /// Asks for an assistant's message again.
    Regenerate {
        message_id: MessageId,
        asking: AnswerOptions,
    },
    Delete(DeleteMessage),
    /// Removes the previews of the member's own message.
    RemovePreviews {
        message_id: MessageId,
    },
    React(React),
    Pin(Pin),
    Solve(Solve),
    Vote(Vote),
    /// Ends a poll of the member's.
    ClosePoll {
        message_id: MessageId,
    },
    Update(UpdateConversation),
    /// Makes a channel read-only, or opens it again.
    Archive {
        archived: bool,
    },
    /// Converts the conversation to another kind.
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
    /// Removes another member, or the member who asks for it.
    RemoveMember {
        user_id: UserId,
    },
    /// Gives a member a role. `Owner` transfers the ownership.
    SetRole {
        user_id: UserId,
        role: MemberRole,
    },
}

impl MemberAction {
    /// Makes it a change by this member of the conversation.
    #[must_use]
    pub const fn by(self, user_id: UserId, conversation_id: ConversationId) -> Change {
        Change::Member { by: Actor { conversation_id, user_id }, action: self }
    }
}

/// An action that no member's standing decides.
#[derive(Clone, Debug)]
pub enum ServerAction {
    Hide(HideMessage),
    /// Names a conversation that has no title.
    SuggestTitle {
        title: String,
    },
    /// Deletes the conversation, by an administrator of the installation.
    EndConversation {
        entry: Entry,
    },
    /// Removes somebody who has left the workspace or deleted their account. Their ownership passes to another member.
    Depart {
        user_id: UserId,
    },
    /// Makes a member the owner, by an administrator of the installation.
    HandOver {
        user_id: UserId,
        entry: Entry,
    },
    BeginAnswer(BeginAnswer),
    FinishAnswer(Box<FinishAnswer>),
    /// Replaces the text of an answer that another worker had begun by that of the worker that took it over.
    OvertakeAnswer {
        answer_id: MessageId,
        content: String,
    },
    SetTranscript(SetTranscript),
    SetPreviews(SetPreviews),
    /// Deletes the conversation, because its workspace is gone or its last member leaves.
    Dissolve,
}

impl ServerAction {
    /// Makes it a change of this conversation.
    #[must_use]
    pub const fn on(self, conversation_id: ConversationId) -> Change {
        Change::Server { conversation_id, action: self }
    }
}

#[derive(Clone, Debug)]
pub struct SendMessage {
    pub client_id: ClientId,
    pub content: Content,
    pub reply_to: Option<MessageId>,
    pub mentions: Vec<Mention>,
    /// Whom `@here` means.
    pub here: Vec<UserId>,
    /// Files of the sender.
    pub attachments: Vec<UploadId>,
    /// Where it is a reply in a thread.
    pub thread: Option<InThread>,
    /// The message that it passes on, which the sender may read.
    pub forwarded: Option<Forwarded>,
    /// What its links lead to is shown.
    pub has_previews: bool,
    /// What people are to choose from.
    pub poll: Option<NewPoll>,
    pub asking: AnswerOptions,
}

/// The thread that a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InThread {
    /// The message that the thread belongs to.
    pub root_id: MessageId,
    /// It is shown in the main line too.
    pub also_to_conversation: bool,
}

impl SendMessage {
    /// The messages that it belongs to.
    pub(super) fn refers_to(&self) -> impl Iterator<Item = MessageId> + use<> {
        self.reply_to.into_iter().chain(self.thread.map(|thread| thread.root_id))
    }

    /// Whether it mentions everybody, or everybody who is here.
    pub fn mentions_many(&self) -> bool {
        Reach::of(&self.mentions) != Reach::Named
    }
}

#[derive(Clone, Debug)]
pub struct EditMessage {
    pub message_id: MessageId,
    pub content: Content,
    /// Whom it mentions from now on; none: those whom it does.
    pub mentions: Option<Vec<Mention>>,
    /// Whom `@here` means, where it was not there before.
    pub here: Vec<UserId>,
}

/// Replaces a prompt's text, keeps the earlier one as a version, and asks the assistant again.
#[derive(Clone, Debug)]
pub struct AskAgain {
    pub message_id: MessageId,
    pub content: Content,
    pub asking: AnswerOptions,
}

#[derive(Clone, Copy, Debug)]
pub struct DeleteMessage {
    pub message_id: MessageId,
    /// More than its text goes with it, as far as the caller knows: see [`Message::has_more`](appcore::view::Message::has_more).
    pub has_more: bool,
}

/// Hides what a message says, or shows it again.
#[derive(Clone, Debug)]
pub struct HideMessage {
    pub message_id: MessageId,
    /// The moderator.
    pub by: UserId,
    pub is_hidden: bool,
    pub entry: Entry,
}

/// Adds a reaction with an emoji, or removes it.
#[derive(Clone, Debug)]
pub struct React {
    pub message_id: MessageId,
    pub emoji: String,
    pub is_added: bool,
}

/// Pins or unpins a message.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub message_id: MessageId,
    pub is_pinned: bool,
}

/// Marks a thread as solved, or as open again.
#[derive(Clone, Copy, Debug)]
pub struct Solve {
    /// The message that the thread belongs to.
    pub message_id: MessageId,
    pub is_solved: bool,
}

/// People and assistants were checked against the workspace before.
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
    /// What it is the only one for: of a `single` the pair, else who begins it with the id that they have chosen.
    pub pair_key: Option<String>,
}

/// `None` leaves a field as it is; an inner `None` takes it away.
#[derive(Clone, Debug)]
pub struct UpdateConversation {
    pub title: Option<Option<String>>,
    pub topic: Option<Option<String>>,
    pub posting: Option<Posting>,
    /// For a chat with an assistant.
    pub model: Option<Option<String>>,
    pub mention_all: Option<MentionAll>,
    pub slow_mode_seconds: Option<i64>,
    /// As JSON.
    pub word_filter: Option<Option<String>>,
    /// What the audit log says of it, where it says anything.
    pub entry: Option<Entry>,
}

/// Creates an assistant's message, or puts it back to its beginning where another worker had begun it.
#[derive(Clone, Debug)]
pub struct BeginAnswer {
    pub answer_id: MessageId,
    pub assistant_id: AssistantId,
    pub reply_to: Option<MessageId>,
    /// The answer that it is written beside: it was created with its job.
    pub beside: Option<MessageId>,
    pub model: Option<String>,
}

/// Ends an assistant's message, unless it has ended already.
#[derive(Clone, Debug)]
pub struct FinishAnswer {
    pub answer_id: MessageId,
    pub content: String,
    pub status: MessageStatus,
    /// Why it failed, for the reader.
    pub reason: Option<String>,
    pub model: Option<String>,
    pub figures: Option<AnswerFigures>,
    /// What the model thought before it.
    pub thoughts: Option<String>,
}

/// Stores the transcript of a voice note. `None`: it could not be transcribed.
#[derive(Clone, Debug)]
pub struct SetTranscript {
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub transcript: Option<String>,
}

/// Stores the previews of the links in a message.
#[derive(Clone, Debug)]
pub struct SetPreviews {
    pub message_id: MessageId,
    /// They are of the text since then.
    pub edited_at: Option<Timestamp>,
    pub previews: Vec<Preview>,
}

/// Votes in a poll. Replaces the member's earlier vote; no choices withdraw it.
#[derive(Clone, Debug)]
pub struct Vote {
    pub message_id: MessageId,
    /// By the places of the options, each once, in their order.
    pub choices: Vec<u8>,
}

impl Change {
    /// The conversation whose lock it needs; a new one has none yet.
    pub(super) const fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Create(_) => None,
            Self::Member { by, .. } => Some(by.conversation_id),
            Self::Server { conversation_id, .. } => Some(*conversation_id),
        }
    }

    /// Whether it asks the database nothing by itself: what it needs is read for all of them together, and so is what it stores.
    pub(super) const fn is_gathered(&self) -> bool {
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

    /// Whether it is a message with files, which are locked while it is stored.
    pub(super) fn has_files(&self) -> bool {
        matches!(self, Self::Member { action: MemberAction::Send(send), .. } if !send.attachments.is_empty())
    }

    /// The people whose standing in the conversation decides: the actor, and the person whose membership changes.
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
    /// The person whose membership it changes.
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
    /// The person whose membership it changes.
    const fn subject(&self) -> Option<UserId> {
        match self {
            Self::Depart { user_id } | Self::HandOver { user_id, .. } => Some(*user_id),
            _ => None,
        }
    }
}

/// Selects the actions of members, each with its actor.
pub(super) fn member_actions(changes: &[Change]) -> impl Iterator<Item = (Actor, &MemberAction)> {
    changes
        .iter()
        .filter_map(|change| if let Change::Member { by, action } = change { Some((*by, action)) } else { None })
}

/// A message that was sent, now or before.
#[derive(Clone, Debug)]
pub struct Sent {
    pub message: Message,
    /// The same `client_id` had been seen: this is the earlier message.
    pub duplicate: bool,
}

/// What became of a new conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    New(ConversationId),
    /// The pair has one already, or this one had been committed before.
    Existing,
}

/// The answer to a change.
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
        AppError::internal(anyhow::anyhow!("the writer answered something else: {:?}", std::mem::discriminant(self)))
    }
}

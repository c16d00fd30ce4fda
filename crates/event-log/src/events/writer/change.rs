//! What can be asked of the writer, and what it answers.

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

/// One change of one conversation. Who may make it is decided inside the transaction.
#[derive(Clone, Debug)]
pub enum Change {
    Send(SendMessage),
    Edit(EditMessage),
    /// A prompt's text is changed, with the text before it kept as a version, and the assistant asked again.
    AskAgain(AskAgain),
    ShowVersion(ShowVersion),
    Compare(Compare),
    Delete(DeleteMessage),
    Hide(HideMessage),
    React(React),
    Pin(Pin),
    Solve(Solve),
    Create(Box<CreateConversation>),
    Update(UpdateConversation),
    Archive(Archive),
    Convert(Convert),
    SuggestTitle(SuggestTitle),
    DeleteConversation(DeleteConversation),
    EndConversation(EndConversation),
    AddMember(AddMember),
    AddAssistant(AddAssistant),
    RemoveMember(RemoveMember),
    Depart(Depart),
    SetRole(SetRole),
    HandOver(HandOver),
    BeginAnswer(BeginAnswer),
    FinishAnswer(FinishAnswer),
    OvertakeAnswer(OvertakeAnswer),
    Regenerate(Regenerate),
    SetTranscript(SetTranscript),
    SetPreviews(SetPreviews),
    Vote(Vote),
    ClosePoll(ClosePoll),
    /// Ends a conversation whose workspace is no longer there.
    Dissolve(ConversationId),
}

#[derive(Clone, Debug)]
pub struct SendMessage {
    pub conversation_id: ConversationId,
    pub sender: UserId,
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
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub content: Content,
    /// Whom it mentions from now on; none: those whom it does.
    pub mentions: Option<Vec<Mention>>,
    /// Whom `@here` means, where it was not there before.
    pub here: Vec<UserId>,
}

/// Gives a prompt another text and has it answered again.
#[derive(Clone, Debug)]
pub struct AskAgain {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub content: Content,
    pub asking: AnswerOptions,
}

#[derive(Clone, Debug)]
pub struct ShowVersion {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub index: i64,
}

#[derive(Clone, Debug)]
pub struct DeleteMessage {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    /// More than its text goes with it, as far as the caller knows: see [`Message::has_more`](appcore::view::Message::has_more).
    pub has_more: bool,
}

/// A moderator hides what a message says, or shows it again.
#[derive(Clone, Debug)]
pub struct HideMessage {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    pub by: UserId,
    pub is_hidden: bool,
    /// What the audit log says of it.
    pub entry: Entry,
}

/// Somebody reacts with an emoji, or takes that back.
#[derive(Clone, Debug)]
pub struct React {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub emoji: String,
    pub is_added: bool,
}

/// Pins a message, or takes its pin away.
#[derive(Clone, Copy, Debug)]
pub struct Pin {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub is_pinned: bool,
}

/// Marks a thread as solved, or as open again.
#[derive(Clone, Copy, Debug)]
pub struct Solve {
    pub conversation_id: ConversationId,
    pub by: UserId,
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
    pub conversation_id: ConversationId,
    pub by: UserId,
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

/// Makes it one that can only be read, or one that is used again.
#[derive(Clone, Copy, Debug)]
pub struct Archive {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub archived: bool,
}

/// Makes it one of another kind.
#[derive(Clone, Copy, Debug)]
pub struct Convert {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub kind: ConversationKind,
}

/// A title for a conversation that has none.
#[derive(Clone, Debug)]
pub struct SuggestTitle {
    pub conversation_id: ConversationId,
    pub title: String,
}

#[derive(Clone, Debug)]
pub struct DeleteConversation {
    pub conversation_id: ConversationId,
    pub by: UserId,
}

/// Deletes a conversation, by an administrator of the installation, who need not be in it.
#[derive(Clone, Debug)]
pub struct EndConversation {
    pub conversation_id: ConversationId,
    /// What the audit log says of it.
    pub entry: Entry,
}

#[derive(Clone, Debug)]
pub struct AddMember {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub user_id: UserId,
}

#[derive(Clone, Debug)]
pub struct AddAssistant {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub assistant_id: AssistantId,
}

/// Oneself (leaving) or somebody else.
#[derive(Clone, Debug)]
pub struct RemoveMember {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub user_id: UserId,
}

/// Somebody goes for good: out of the workspace, or altogether. Their ownership passes on.
#[derive(Clone, Debug)]
pub struct Depart {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
}

/// `Owner` hands the ownership over.
#[derive(Clone, Debug)]
pub struct SetRole {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub user_id: UserId,
    pub role: MemberRole,
}

/// Makes a member the owner, by an administrator of the installation, who need not be in it.
#[derive(Clone, Debug)]
pub struct HandOver {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    /// What the audit log says of it.
    pub entry: Entry,
}

/// Creates an assistant's message, or puts it back to its beginning where another worker had begun it.
#[derive(Clone, Debug)]
pub struct BeginAnswer {
    pub conversation_id: ConversationId,
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
    pub conversation_id: ConversationId,
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

/// Lets the text of an answer that another worker had begun be overtaken by that of the one who took it over.
#[derive(Clone, Debug)]
pub struct OvertakeAnswer {
    pub conversation_id: ConversationId,
    pub answer_id: MessageId,
    pub content: String,
}

/// Asks for an assistant's message again.
#[derive(Clone, Debug)]
pub struct Regenerate {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub asking: AnswerOptions,
}

/// Has another model answer beside an assistant's message.
#[derive(Clone, Debug)]
pub struct Compare {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    pub asking: AnswerOptions,
}

/// Says in a message what is said in one of its voice notes; nothing: nobody could tell.
#[derive(Clone, Debug)]
pub struct SetTranscript {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    pub upload_id: UploadId,
    pub transcript: Option<String>,
}

/// Shows what the links in a message lead to, or takes that away.
#[derive(Clone, Debug)]
pub struct SetPreviews {
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    /// Who asks for it; none: what was read of the pages.
    pub by: Option<UserId>,
    /// They are of the text since then.
    pub edited_at: Option<Timestamp>,
    pub previews: Vec<Preview>,
}

/// Chooses in a poll, instead of what one had chosen there; nothing: takes one's vote back.
#[derive(Clone, Debug)]
pub struct Vote {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
    /// By the places of the options, each once, in their order.
    pub choices: Vec<u8>,
}

/// Ends a poll: nobody votes in it any more.
#[derive(Clone, Debug)]
pub struct ClosePoll {
    pub conversation_id: ConversationId,
    pub by: UserId,
    pub message_id: MessageId,
}

impl Change {
    /// The conversation whose lock it needs; a new one has none yet.
    pub(super) fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Create(_) => None,
            Self::Send(SendMessage { conversation_id, .. })
            | Self::Edit(EditMessage { conversation_id, .. })
            | Self::AskAgain(AskAgain { conversation_id, .. })
            | Self::ShowVersion(ShowVersion { conversation_id, .. })
            | Self::Delete(DeleteMessage { conversation_id, .. })
            | Self::Hide(HideMessage { conversation_id, .. })
            | Self::React(React { conversation_id, .. })
            | Self::Pin(Pin { conversation_id, .. })
            | Self::Solve(Solve { conversation_id, .. })
            | Self::Update(UpdateConversation { conversation_id, .. })
            | Self::Archive(Archive { conversation_id, .. })
            | Self::Convert(Convert { conversation_id, .. })
            | Self::SuggestTitle(SuggestTitle { conversation_id, .. })
            | Self::DeleteConversation(DeleteConversation { conversation_id, .. })
            | Self::EndConversation(EndConversation { conversation_id, .. })
            | Self::AddMember(AddMember { conversation_id, .. })
            | Self::AddAssistant(AddAssistant { conversation_id, .. })
            | Self::RemoveMember(RemoveMember { conversation_id, .. })
            | Self::Depart(Depart { conversation_id, .. })
            | Self::SetRole(SetRole { conversation_id, .. })
            | Self::HandOver(HandOver { conversation_id, .. })
            | Self::BeginAnswer(BeginAnswer { conversation_id, .. })
            | Self::FinishAnswer(FinishAnswer { conversation_id, .. })
            | Self::OvertakeAnswer(OvertakeAnswer { conversation_id, .. })
            | Self::Regenerate(Regenerate { conversation_id, .. })
            | Self::Compare(Compare { conversation_id, .. })
            | Self::SetTranscript(SetTranscript { conversation_id, .. })
            | Self::SetPreviews(SetPreviews { conversation_id, .. })
            | Self::Vote(Vote { conversation_id, .. })
            | Self::ClosePoll(ClosePoll { conversation_id, .. })
            | Self::Dissolve(conversation_id) => Some(*conversation_id),
        }
    }

    /// Whether it asks the database nothing by itself: what it needs is read for all of them together, and so is what it stores.
    pub(super) const fn is_gathered(&self) -> bool {
        matches!(
            self,
            Self::Send(_)
                | Self::Edit(_)
                | Self::Delete(DeleteMessage { has_more: false, .. })
                | Self::React(_)
                | Self::Pin(_)
                | Self::Solve(_)
        )
    }

    /// Whether it is a message with files, which are locked while it is stored.
    pub(super) const fn has_files(&self) -> bool {
        matches!(self, Self::Send(send) if !send.attachments.is_empty())
    }

    /// The people whose standing in the conversation decides.
    pub(super) fn people(&self) -> Vec<UserId> {
        match self {
            Self::Create(_)
            | Self::SuggestTitle(_)
            | Self::BeginAnswer(_)
            | Self::FinishAnswer(_)
            | Self::OvertakeAnswer(_)
            | Self::SetTranscript(_)
            | Self::SetPreviews(SetPreviews { by: None, .. })
            // By an administrator of the installation, who need not be in it.
            | Self::Hide(_)
            | Self::EndConversation(_)
            | Self::Dissolve(_) => Vec::new(),
            Self::Send(SendMessage { sender, .. }) => vec![*sender],
            Self::SetPreviews(SetPreviews { by: Some(by), .. }) => vec![*by],
            Self::Depart(Depart { user_id, .. }) | Self::HandOver(HandOver { user_id, .. }) => vec![*user_id],
            Self::Edit(EditMessage { by, .. })
            | Self::AskAgain(AskAgain { by, .. })
            | Self::ShowVersion(ShowVersion { by, .. })
            | Self::Delete(DeleteMessage { by, .. })
            | Self::React(React { by, .. })
            | Self::Pin(Pin { by, .. })
            | Self::Solve(Solve { by, .. })
            | Self::Vote(Vote { by, .. })
            | Self::ClosePoll(ClosePoll { by, .. })
            | Self::Update(UpdateConversation { by, .. })
            | Self::Archive(Archive { by, .. })
            | Self::Convert(Convert { by, .. })
            | Self::DeleteConversation(DeleteConversation { by, .. })
            | Self::AddAssistant(AddAssistant { by, .. })
            | Self::Regenerate(Regenerate { by, .. })
            | Self::Compare(Compare { by, .. }) => vec![*by],
            Self::AddMember(AddMember { by, user_id, .. })
            | Self::RemoveMember(RemoveMember { by, user_id, .. })
            | Self::SetRole(SetRole { by, user_id, .. }) => {
                vec![*by, *user_id]
            }
        }
    }
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

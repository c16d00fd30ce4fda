//! One batch: what its changes need is read ([`load`]), each change is made in turn ([`apply`]), and what comes of it is gathered to be stored
//! together ([`close`]).

mod apply;
mod close;
mod load;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use appcore::{
    AppError, Code, ConversationId, MessageId, Timestamp, UserId,
    event::{DurableBody, Envelope, Event, Topic},
    text::Content,
    view::{Capabilities, ConversationKind, MemberRole, Message},
};
use dbcontext::query::{
    batches::{ConversationState, NewEvent, NewMessage},
    conversations::MemberAssistant,
    jobs::NewJob,
    mentions::NewMention,
};
use jobs::Stored;
use platform::word_filter::Filter;
use uuid::Uuid;

use super::{
    answers::{ANSWERS_RETRY_AFTER, MAX_OPEN_ANSWERS},
    edits::Edits,
    files::Files,
    limits::Limits,
    memory::Known,
    statements::Statements,
};
use crate::events::jobs::AnswerJob;

pub(super) use close::Closed;

/// A person's standing in a conversation.
#[derive(Clone, Debug)]
pub(super) struct ActingMember {
    pub role: MemberRole,
    pub display_name: String,
}

impl ActingMember {
    fn parse(role: &str, display_name: String) -> Result<Self, AppError> {
        Ok(Self { role: role.parse().map_err(AppError::internal)?, display_name })
    }
}

pub(super) struct Batch<'a> {
    pub db: &'a Statements<'a>,
    limits: &'a Limits,
    pub now: Timestamp,
    id: Option<Uuid>,
    conversations: HashMap<ConversationId, Known>,
    /// Some of it was not read but remembered.
    pub is_remembered: bool,
    /// Messages by `client_id`: sent before, or earlier in this group.
    pub sent: HashMap<(ConversationId, UserId, String), Message>,
    /// What is edited.
    pub edits: Edits,
    /// What replies may point to.
    pub replied: HashSet<(ConversationId, MessageId, UserId)>,
    /// The assistants of conversations, and those that somebody mentions there though they are in none.
    pub assistants: HashMap<ConversationId, Vec<MemberAssistant>>,
    pub mentioned: HashMap<(ConversationId, UserId), Vec<MemberAssistant>>,
    /// How many answers are open for those who may ask for more.
    pub open_answers: HashMap<UserId, usize>,
    /// Who of those who write where only admins may is one because of their role in the workspace.
    pub workspace_admins: HashSet<(ConversationId, UserId)>,
    /// When people wrote last where there is slow mode, and who writes there now.
    pub turns: HashMap<(ConversationId, UserId), Timestamp>,
    pub new_turns: BTreeMap<(ConversationId, UserId), Timestamp>,
    /// Something that people wrote was taken out of the database.
    pub has_removed_text: bool,
    moved: BTreeSet<ConversationId>,
    /// How many numbers of events and messages it has given out.
    numbers: u64,
    /// Whose standing was relied on where that takes no number.
    relied_on: BTreeSet<(ConversationId, UserId)>,
    pub new_messages: Vec<NewMessage>,
    /// Whom messages mention from now on (`true`), and whom they don't any more.
    pub mentions: BTreeMap<NewMention, bool>,
    /// The files that messages of this batch are to carry.
    pub files: Files,
    events: Vec<NewEvent>,
    envelopes: Vec<Envelope>,
    jobs: Vec<NewJob>,
}

impl<'a> Batch<'a> {
    /// Nothing is known yet: [`Self::lock`] or [`Self::look`] reads what the changes will ask.
    pub fn new(db: &'a Statements<'a>, limits: &'a Limits, now: Timestamp, relayed: bool) -> Self {
        Self {
            db,
            limits,
            now,
            id: relayed.then(Uuid::now_v7),
            conversations: HashMap::new(),
            is_remembered: false,
            sent: HashMap::new(),
            edits: Edits::default(),
            replied: HashSet::new(),
            assistants: HashMap::new(),
            mentioned: HashMap::new(),
            open_answers: HashMap::new(),
            workspace_admins: HashSet::new(),
            turns: HashMap::new(),
            new_turns: BTreeMap::new(),
            has_removed_text: false,
            moved: BTreeSet::new(),
            numbers: 0,
            relied_on: BTreeSet::new(),
            new_messages: Vec::new(),
            mentions: BTreeMap::new(),
            files: Files::default(),
            events: Vec::new(),
            envelopes: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Bytes that a workspace's files may have; 0: no limit.
    pub const fn workspace_bytes(&self) -> i64 {
        self.limits.workspace_bytes
    }

    /// A conversation of this group that is there.
    pub fn conversation(&self, id: ConversationId) -> Result<&ConversationState, AppError> {
        self.conversations.get(&id).map(|known| &known.state).ok_or_else(|| Code::NotFound.into())
    }

    pub fn conversation_mut(&mut self, id: ConversationId) -> Result<&mut ConversationState, AppError> {
        self.conversations.get_mut(&id).map(|known| &mut known.state).ok_or_else(|| Code::NotFound.into())
    }

    /// What is asked of the words that are written there.
    pub fn filter(&self, id: ConversationId) -> Option<&Filter> {
        self.conversations.get(&id).and_then(|known| known.filter.as_ref())
    }

    /// It was changed.
    pub fn reread_filter(&mut self, id: ConversationId) {
        if let Some(known) = self.conversations.get_mut(&id) {
            known.reread_filter();
        }
    }

    pub fn kind(&self, id: ConversationId) -> Result<ConversationKind, AppError> {
        self.conversation(id)?.kind.parse().map_err(AppError::internal)
    }

    pub fn capabilities(&self, id: ConversationId) -> Result<&'static Capabilities, AppError> {
        Ok(self.kind(id)?.capabilities())
    }

    /// From now on the conversation is gone for the changes that follow.
    pub fn forget(&mut self, id: ConversationId) {
        self.conversations.remove(&id);
    }

    /// Somebody's standing; whoever is no member learns nothing.
    pub fn standing(&self, id: ConversationId, user: UserId) -> Result<&ActingMember, AppError> {
        self.conversations.get(&id).and_then(|known| known.standings.get(&user)).ok_or_else(|| Code::NotFound.into())
    }

    pub fn set_standing(&mut self, id: ConversationId, user: UserId, standing: Option<ActingMember>) {
        let Some(known) = self.conversations.get_mut(&id) else { return };
        match standing {
            Some(standing) => known.standings.insert(user, standing),
            None => known.standings.remove(&user),
        };
    }

    /// Appends a durable event, and returns the number of the conversation that it takes.
    pub fn emit(&mut self, id: ConversationId, body: DurableBody) -> Result<i64, AppError> {
        self.emit_with(id, |_| body)
    }

    /// As [`Self::emit`], for an event that tells its own number.
    pub fn emit_with(&mut self, id: ConversationId, body: impl FnOnce(i64) -> DurableBody) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        let seq = conversation.last_seq + 1;
        conversation.last_seq = seq;
        self.numbers += 1;
        self.moved.insert(id);
        let envelope = self.append(id, seq, &Event::Durable { conversation_id: id, seq, body: body(seq) })?;
        self.envelopes.push(envelope);
        Ok(seq)
    }

    /// The number of a conversation's next message.
    pub fn next_no(&mut self, id: ConversationId) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        conversation.last_no += 1;
        let no = conversation.last_no;
        self.numbers += 1;
        Ok(no)
    }

    /// Tells something that is not kept, once all this is committed.
    pub fn tell_passing(&mut self, event: &Event, topic: Topic) -> Result<(), AppError> {
        self.envelopes.push(Envelope::seal(event, topic, self.now).map_err(AppError::internal)?);
        Ok(())
    }

    /// Appends the creation of a conversation, which comes before its first number, and tells its members.
    pub fn emit_created(&mut self, id: ConversationId, members: &[UserId]) -> Result<(), AppError> {
        let envelope = self.append(id, 0, &Event::ConversationCreated { conversation_id: id })?;
        self.envelopes.extend(envelope.created(members));
        Ok(())
    }

    /// Appends an event to the log, and seals it for everyone who follows the conversation.
    fn append(&mut self, id: ConversationId, seq: i64, event: &Event) -> Result<Envelope, AppError> {
        let envelope = Envelope::seal(event, Topic::Conversation(id), self.now).map_err(AppError::internal)?;
        self.events.push(NewEvent {
            conversation_id: id,
            seq,
            kind: envelope.kind.clone(),
            payload: String::from_utf8(envelope.payload.to_vec()).map_err(AppError::internal)?,
            created_at: self.now,
            outbox_id: self.id,
            message_id: event.later_text(),
        });
        Ok(envelope)
    }

    /// Writes anew what carries a message's later text and is not stored yet.
    pub fn rewrite_pending(
        &mut self,
        id: MessageId,
        rewritten: impl Fn(&str) -> Result<String, AppError>,
    ) -> Result<(), AppError> {
        for event in self.events.iter_mut().filter(|event| event.message_id == Some(id)) {
            event.payload = rewritten(&event.payload)?;
            event.message_id = None;
        }
        Ok(())
    }

    /// Refuses a text that is too long for this conversation.
    pub fn check_length(&self, id: ConversationId, content: &Content) -> Result<(), AppError> {
        content.check_length(self.limits.messages.max_chars_in(self.kind(id)?))
    }

    pub fn ask(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// Asks for a job on somebody's behalf: those are taken in turn.
    pub fn ask_for(&mut self, job: &impl Stored, id: ConversationId, by: UserId) -> Result<(), AppError> {
        let workspace_id = self.conversation(id)?.workspace_id;
        self.ask(job.new_job_for((by, workspace_id))?);
        Ok(())
    }

    /// Whether an answer with this concurrency key is asked for in this batch.
    pub fn asks(&self, concurrency_key: &str) -> bool {
        self.jobs.iter().any(|job| job.concurrency_key == concurrency_key)
    }

    /// Asks for an assistant's answer on somebody's behalf.
    pub fn ask_answer(&mut self, job: &AnswerJob, by: UserId) -> Result<(), AppError> {
        self.ask_for(job, job.conversation_id, by)?;
        *self.open_answers.entry(by).or_default() += 1;
        Ok(())
    }

    /// Refuses `more` answers to whom too many are owed already.
    pub fn check_open_answers(&self, by: UserId, more: usize) -> Result<(), AppError> {
        let open = self.open_answers.get(&by).copied().unwrap_or_default();
        if more > 0 && open + more > MAX_OPEN_ANSWERS {
            return Err(AppError::Refused {
                code: Code::TooManyAnswers,
                message: None,
                retry_after: Some(ANSWERS_RETRY_AFTER),
            });
        }
        Ok(())
    }
}

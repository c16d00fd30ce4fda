//! One batch of changes: [`load`] reads what the changes need, [`apply`] executes them in order, and
//! [`close`] collects the statements and events to store and publish.

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
use jobs::JobPayload;
use platform::word_filter::CompiledWordFilter;
use uuid::Uuid;

use super::{
    Outboxes,
    answers::{ANSWERS_RETRY_AFTER, MAX_OPEN_ANSWERS},
    conversation_cache::CachedConversation,
    edits::Edits,
    files::BatchAttachments,
    limits::Limits,
    statements::Statements,
};
use crate::events::jobs::AnswerJob;

pub(super) use close::ClosedBatch;

/// Role and name of a member in a conversation.
#[derive(Clone, Debug)]
pub(super) struct ActingMember {
    pub role: MemberRole,
    pub display_name: String,
}

pub(super) struct Batch<'a> {
    pub db: &'a Statements<'a>,
    limits: &'a Limits,
    pub now: Timestamp,
    id: Option<Uuid>,
    conversations: HashMap<ConversationId, CachedConversation>,
    /// True if some of the state came from the cache instead of the database.
    pub used_cache: bool,
    /// Messages by `client_id`, of earlier batches and of this one.
    pub sent: HashMap<(ConversationId, UserId, String), Message>,
    /// Messages that this batch changes in place.
    pub edits: Edits,
    /// Messages to which replies may refer.
    pub replyable: HashSet<(ConversationId, MessageId, UserId)>,
    /// Assistants that are members of the conversations. `mentioned` has those that a user has
    /// mentioned in a conversation of which they aren't members.
    pub assistants: HashMap<ConversationId, Vec<MemberAssistant>>,
    pub mentioned: HashMap<(ConversationId, UserId), Vec<MemberAssistant>>,
    /// Number of unfinished answers per user, for the users who may request more in this batch.
    pub open_answers: HashMap<UserId, usize>,
    /// Users with administrator rights through their workspace role. Loaded only for users whose
    /// change requires administrator rights.
    pub workspace_admins: HashSet<(ConversationId, UserId)>,
    /// Time of each user's last message in conversations with slow mode; `new_last_writes` has the
    /// updates by this batch.
    pub last_writes: HashMap<(ConversationId, UserId), Timestamp>,
    pub new_last_writes: BTreeMap<(ConversationId, UserId), Timestamp>,
    /// True if the batch has deleted user text from the database.
    pub has_removed_text: bool,
    outboxes: Outboxes,
    advanced: BTreeSet<ConversationId>,
    /// Number of sequence numbers and message numbers assigned so far.
    assigned_numbers: u64,
    /// Members whose role the batch has relied on, in conversations where role changes don't
    /// increment `last_seq`.
    checked_roles: BTreeSet<(ConversationId, UserId)>,
    pub new_messages: Vec<NewMessage>,
    /// Mentions to add (`true`) or to remove (`false`).
    pub mentions: BTreeMap<NewMention, bool>,
    /// Files attached to messages of this batch.
    pub files: BatchAttachments,
    events: Vec<NewEvent>,
    envelopes: Vec<Envelope>,
    jobs: Vec<NewJob>,
}

impl<'a> Batch<'a> {
    /// Creates an empty batch; [`Self::lock`] or `Self::look` loads the state that the changes
    /// need.
    pub fn new(db: &'a Statements<'a>, limits: &'a Limits, now: Timestamp, outboxes: Outboxes) -> Self {
        Self {
            db,
            limits,
            now,
            outboxes,
            id: outboxes.any().then(Uuid::now_v7),
            conversations: HashMap::new(),
            used_cache: false,
            sent: HashMap::new(),
            edits: Edits::default(),
            replyable: HashSet::new(),
            assistants: HashMap::new(),
            mentioned: HashMap::new(),
            open_answers: HashMap::new(),
            workspace_admins: HashSet::new(),
            last_writes: HashMap::new(),
            new_last_writes: BTreeMap::new(),
            has_removed_text: false,
            advanced: BTreeSet::new(),
            assigned_numbers: 0,
            checked_roles: BTreeSet::new(),
            new_messages: Vec::new(),
            mentions: BTreeMap::new(),
            files: BatchAttachments::default(),
            events: Vec::new(),
            envelopes: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Returns the limit for the files of a workspace, in bytes; 0 means unlimited.
    pub const fn workspace_bytes(&self) -> i64 {
        self.limits.workspace_bytes
    }

    /// Returns a loaded conversation; `NotFound` if it doesn't exist.
    pub fn conversation(&self, id: ConversationId) -> Result<&ConversationState, AppError> {
        self.conversations.get(&id).map(|known| &known.state).ok_or_else(|| Code::NotFound.into())
    }

    pub fn conversation_mut(&mut self, id: ConversationId) -> Result<&mut ConversationState, AppError> {
        self.conversations.get_mut(&id).map(|known| &mut known.state).ok_or_else(|| Code::NotFound.into())
    }

    /// Returns the word filter of a conversation.
    pub fn filter(&self, id: ConversationId) -> Option<&CompiledWordFilter> {
        self.conversations.get(&id).and_then(|known| known.filter.as_ref())
    }

    /// Parses the word filter again after it was changed.
    pub fn reload_filter(&mut self, id: ConversationId) {
        if let Some(known) = self.conversations.get_mut(&id) {
            known.reload_filter();
        }
    }

    pub fn kind(&self, id: ConversationId) -> Result<ConversationKind, AppError> {
        Ok(self.conversation(id)?.kind)
    }

    pub fn capabilities(&self, id: ConversationId) -> Result<&'static Capabilities, AppError> {
        Ok(self.kind(id)?.capabilities())
    }

    /// Removes a deleted conversation, so that later changes of the batch get `NotFound`.
    pub fn remove_conversation(&mut self, id: ConversationId) {
        self.conversations.remove(&id);
    }

    /// Returns the membership of a user. Fails with `NotFound` if the user isn't a member, so that
    /// the conversation's existence isn't revealed.
    pub fn acting_member(&self, id: ConversationId, user: UserId) -> Result<&ActingMember, AppError> {
        self.conversations.get(&id).and_then(|known| known.members.get(&user)).ok_or_else(|| Code::NotFound.into())
    }

    pub fn set_acting_member(&mut self, id: ConversationId, user: UserId, standing: Option<ActingMember>) {
        let Some(known) = self.conversations.get_mut(&id) else { return };
        match standing {
            Some(standing) => known.members.insert(user, standing),
            None => known.members.remove(&user),
        };
    }

    /// Appends a durable event and returns the sequence number assigned to it.
    pub fn emit(&mut self, id: ConversationId, body: DurableBody) -> Result<i64, AppError> {
        self.emit_with(id, |_| body)
    }

    /// Appends a durable event whose body contains its own sequence number; see [`Self::emit`].
    pub fn emit_with(&mut self, id: ConversationId, body: impl FnOnce(i64) -> DurableBody) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        let seq = conversation.last_seq + 1;
        conversation.last_seq = seq;
        self.assigned_numbers += 1;
        self.advanced.insert(id);
        let envelope = self.append(id, seq, &Event::Durable { conversation_id: id, seq, body: body(seq) })?;
        self.envelopes.push(envelope);
        Ok(seq)
    }

    /// Assigns the number of the conversation's next message.
    pub fn next_no(&mut self, id: ConversationId) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        conversation.last_no += 1;
        let no = conversation.last_no;
        self.assigned_numbers += 1;
        Ok(no)
    }

    /// Publishes an ephemeral event after the commit. Such an event isn't stored in the log.
    pub fn emit_ephemeral(&mut self, event: &Event, topic: Topic) -> Result<(), AppError> {
        self.envelopes.push(Envelope::seal(event, topic, self.now).map_err(AppError::internal)?);
        Ok(())
    }

    /// Appends the creation of a conversation, at position 0, and publishes it to its members.
    pub fn emit_created(&mut self, id: ConversationId, members: &[UserId]) -> Result<(), AppError> {
        let envelope = self.append(id, 0, &Event::ConversationCreated { conversation_id: id })?;
        self.envelopes.extend(envelope.creation_envelopes(members));
        Ok(())
    }

    /// Appends an event to the log and returns its envelope for the conversation's subscribers.
    fn append(&mut self, id: ConversationId, seq: i64, event: &Event) -> Result<Envelope, AppError> {
        let envelope = Envelope::seal(event, Topic::Conversation(id), self.now).map_err(AppError::internal)?;
        self.events.push(NewEvent {
            conversation_id: id,
            seq,
            kind: envelope.kind.clone(),
            payload: String::from_utf8(envelope.payload.to_vec()).map_err(AppError::internal)?,
            created_at: self.now,
            outbox_id: self.id,
            message_id: event.updated_text_message(),
        });
        Ok(envelope)
    }

    /// Rewrites those events of this batch that contain an outdated text of the message.
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

    /// Fails if the text exceeds the maximum length of this conversation.
    pub fn check_length(&self, id: ConversationId, content: &Content) -> Result<(), AppError> {
        content.check_length(self.limits.messages.max_chars_in(self.kind(id)?))
    }

    pub fn enqueue(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// Enqueues a job on behalf of a user. Such jobs are scheduled fairly among users.
    pub fn enqueue_for(&mut self, job: &impl JobPayload, id: ConversationId, by: UserId) -> Result<(), AppError> {
        let workspace_id = self.conversation(id)?.workspace_id;
        self.enqueue(job.new_job_for((by, workspace_id))?);
        Ok(())
    }

    /// True if this batch has enqueued an answer with this concurrency key.
    pub fn has_enqueued(&self, concurrency_key: &str) -> bool {
        self.jobs.iter().any(|job| job.concurrency_key == concurrency_key)
    }

    /// Enqueues an assistant's answer on behalf of a user.
    pub fn enqueue_answer(&mut self, job: &AnswerJob, by: UserId) -> Result<(), AppError> {
        self.enqueue_for(job, job.conversation_id, by)?;
        *self.open_answers.entry(by).or_default() += 1;
        Ok(())
    }

    /// Fails if `more` further answers would exceed the user's limit.
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

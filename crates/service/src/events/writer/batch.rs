//! One group: what its changes need is read, each change is applied in turn, and what comes of it is gathered to be stored together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use appcore::{
    AppError, Code, ConversationId, MessageId, Timestamp, UserId, config,
    event::{Envelope, Event, Signal, Topic},
    text::Content,
    view::{Capabilities, ConversationKind, MemberRole, Message, SenderKind},
};
use dbcontext::query::{
    self, Piece,
    batches::{ConversationState, Head, NewEvent, NewMessage, SeenAt},
    conversations::MemberAssistant,
    jobs::NewJob,
    mentions::NewMention,
};
use sea_orm::{ConnectionTrait as _, DatabaseExecutor, DatabaseTransaction};
use uuid::Uuid;

use super::{
    answers::{ANSWERS_RETRY_AFTER, MAX_OPEN_ANSWERS},
    change::{Change, Outcome},
    edits::Edits,
    memory::{Known, Memory},
    messages,
};
use crate::jobs::{AnswerJob, Job as _};

/// A group to which nothing is added any more.
pub(super) struct Closed {
    /// The conversations that get events, as they were before.
    pub seen: Vec<SeenAt>,
    pub pieces: Vec<Piece>,
    pub envelopes: Vec<Envelope>,
    pub signals: Vec<Signal>,
    /// Its note, where other instances have to hear of it.
    pub batch: Option<Uuid>,
    /// The conversations as they are once all this is stored.
    pub conversations: HashMap<ConversationId, Known>,
}

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
    pub db: &'a DatabaseExecutor<'a>,
    limits: &'a config::Messages,
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
    pub replied: HashSet<(ConversationId, MessageId)>,
    /// The assistants of conversations, and those that somebody mentions there though they are in none.
    pub assistants: HashMap<ConversationId, Vec<MemberAssistant>>,
    pub mentioned: HashMap<(ConversationId, UserId), Vec<MemberAssistant>>,
    /// How many answers are open for those who may ask for more.
    pub open_answers: HashMap<UserId, usize>,
    /// Who of those who write where only admins may is one because of their role in the workspace.
    pub workspace_admins: HashSet<(ConversationId, UserId)>,
    /// Something that people wrote was taken out of the database.
    pub has_removed_text: bool,
    moved: BTreeSet<ConversationId>,
    /// Whose standing was relied on where that takes no number.
    relied_on: BTreeSet<(ConversationId, UserId)>,
    pub new_messages: Vec<NewMessage>,
    pub new_mentions: Vec<NewMention>,
    events: Vec<NewEvent>,
    envelopes: Vec<Envelope>,
    jobs: Vec<NewJob>,
}

impl<'a> Batch<'a> {
    /// Nothing is known yet: [`Self::lock`] or [`Self::look`] reads what the changes will ask.
    pub fn new(db: &'a DatabaseExecutor<'a>, limits: &'a config::Messages, now: Timestamp, relayed: bool) -> Self {
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
            has_removed_text: false,
            moved: BTreeSet::new(),
            relied_on: BTreeSet::new(),
            new_messages: Vec::new(),
            new_mentions: Vec::new(),
            events: Vec::new(),
            envelopes: Vec::new(),
            jobs: Vec::new(),
        }
    }

    /// Locks the conversations and reads what the changes will ask, in as many statements as there are kinds of questions.
    pub async fn lock(mut self, txn: &DatabaseTransaction, changes: &[Change]) -> Result<Self, AppError> {
        let ids: BTreeSet<ConversationId> = changes.iter().filter_map(Change::conversation_id).collect();
        if ids.is_empty() {
            return Ok(self);
        }
        self.conversations =
            query::batches::lock(txn, ids).await?.into_iter().map(|row| (row.id, Known::new(row))).collect();
        let people = people(changes);
        if !people.is_empty() {
            for row in query::batches::standings(self.db, &people).await? {
                let standing = ActingMember::parse(&row.role, row.display_name)?;
                self.set_standing(row.conversation_id, row.user_id, Some(standing));
            }
        }
        messages::load_repeated(&mut self, changes).await?;
        messages::load(&mut self, changes).await?;
        Ok(self)
    }

    /// Reads what messages will ask and is not remembered, without a lock.
    pub async fn look(mut self, changes: &[Change], memory: &mut Memory) -> Result<Self, AppError> {
        let mut unknown = Vec::new();
        let mut half_known = HashMap::new();
        for people in people(changes).chunk_by(|(one, _), (next, _)| one == next) {
            let id = people[0].0;
            let Some(known) = memory.take(id) else {
                unknown.extend_from_slice(people);
                continue;
            };
            if people.iter().all(|(_, user)| known.standings.contains_key(user)) {
                self.is_remembered = true;
                self.conversations.insert(id, known);
            } else {
                unknown.extend_from_slice(people);
                half_known.insert(id, known);
            }
        }
        if !unknown.is_empty() {
            for row in query::batches::seen(self.db, &unknown).await? {
                let id = row.conversation.id;
                let seq = row.conversation.last_seq;
                self.conversations.entry(id).or_insert_with(|| {
                    let unmoved = half_known.remove(&id).filter(|known: &Known| known.state.last_seq == seq);
                    unmoved.unwrap_or_else(|| Known::new(row.conversation))
                });
                let standing = match (row.role, row.display_name) {
                    (Some(role), Some(name)) => Some(ActingMember::parse(&role, name)?),
                    _ => None,
                };
                self.set_standing(id, row.user_id, standing);
            }
        }
        messages::load(&mut self, changes).await?;
        Ok(self)
    }

    /// Makes the changes one after the other, those that are gathered first; each has an outcome of its own.
    pub async fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<Result<Outcome, AppError>>, AppError> {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by_key(|place| !changes[*place].is_gathered());
        let mut outcomes: Vec<(usize, Result<Outcome, AppError>)> = Vec::with_capacity(changes.len());
        for place in order {
            let change = &changes[place];
            if !change.is_gathered() {
                // The others read and change the same messages where they are stored.
                query::execute(self.db, self.edits.take_pieces(self.db.get_database_backend(), self.now)?).await?;
            }
            match self.apply(change).await {
                Err(error @ (AppError::Internal(_) | AppError::Unavailable(_))) => return Err(error),
                outcome => outcomes.push((place, outcome)),
            }
        }
        outcomes.sort_by_key(|(place, _)| *place);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn apply(&mut self, change: &Change) -> Result<Outcome, AppError> {
        if let Some(id) = change.conversation_id()
            && self.capabilities(id).is_ok_and(|able| !able.members_are_durable)
        {
            self.relied_on.extend(change.people().into_iter().map(|user| (id, user)));
        }
        match change {
            Change::Send(change) => messages::send(self, change),
            Change::Edit(change) => messages::edit(self, change),
            Change::AskAgain(change) => super::versions::ask_again(self, change).await,
            Change::ShowVersion(change) => super::versions::show(self, change).await,
            Change::Delete(change) => messages::delete(self, change).await,
            Change::Create(change) => super::conversations::create(self, change).await,
            Change::Update(change) => super::conversations::update(self, change).await,
            Change::Archive(change) => super::conversations::archive(self, change).await,
            Change::Convert(change) => super::conversations::convert(self, change).await,
            Change::SuggestTitle(change) => super::conversations::suggest_title(self, change).await,
            Change::DeleteConversation(change) => super::conversations::delete(self, change).await,
            Change::AddMember(change) => super::conversations::add_member(self, change).await,
            Change::AddAssistant(change) => super::conversations::add_assistant(self, change).await,
            Change::RemoveMember(change) => super::conversations::remove_member(self, change).await,
            Change::Depart(change) => super::departures::depart(self, change).await,
            Change::SetRole(change) => super::conversations::set_role(self, change).await,
            Change::BeginAnswer(change) => super::answers::begin(self, change).await,
            Change::FinishAnswer(change) => super::answers::finish(self, change).await,
            Change::OvertakeAnswer(change) => super::answers::overtake(self, change).await,
            Change::Regenerate(change) => super::answers::regenerate(self, change).await,
            Change::Dissolve(id) => super::conversations::dissolve(self, *id).await,
        }
    }

    /// A conversation of this group that is there.
    pub fn conversation(&self, id: ConversationId) -> Result<&ConversationState, AppError> {
        self.conversations.get(&id).map(|known| &known.state).ok_or_else(|| Code::NotFound.into())
    }

    pub fn conversation_mut(&mut self, id: ConversationId) -> Result<&mut ConversationState, AppError> {
        self.conversations.get_mut(&id).map(|known| &mut known.state).ok_or_else(|| Code::NotFound.into())
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

    /// Appends a durable event: takes the conversation's next number, and makes the event with it.
    pub fn emit(&mut self, id: ConversationId, make: impl FnOnce(i64) -> Event) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        let seq = conversation.last_seq + 1;
        conversation.last_seq = seq;
        self.moved.insert(id);
        let envelope = self.append(id, seq, &make(seq))?;
        self.envelopes.push(envelope);
        Ok(seq)
    }

    /// The number of a conversation's next message.
    pub fn next_no(&mut self, id: ConversationId) -> Result<i64, AppError> {
        let conversation = self.conversation_mut(id)?;
        conversation.last_no += 1;
        Ok(conversation.last_no)
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
            group_id: self.id,
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
        content.check_length(self.limits.max_chars_in(self.kind(id)?))
    }

    pub fn ask(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// Whether an answer with this concurrency key is asked for in this batch.
    pub fn asks(&self, concurrency_key: &str) -> bool {
        self.jobs.iter().any(|job| job.concurrency_key == concurrency_key)
    }

    /// Asks for an assistant's answer on somebody's behalf.
    pub fn ask_answer(&mut self, job: &AnswerJob, by: UserId) -> Result<(), AppError> {
        let workspace_id = self.conversation(job.conversation_id)?.workspace_id;
        *self.open_answers.entry(by).or_default() += 1;
        self.ask(NewJob { owner: Some((by, workspace_id)), ..job.new_job()? });
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

    /// What has gathered, as what is to be executed, told, and said to this process.
    pub fn close(mut self, told: &[Uuid]) -> Result<Closed, AppError> {
        let backend = self.db.get_database_backend();
        let heads: Vec<Head> = self
            .moved
            .iter()
            .filter_map(|id| self.conversations.get(id))
            .map(|known| Head { id: known.state.id, last_seq: known.state.last_seq, last_no: known.state.last_no })
            .collect();
        let mut written: BTreeMap<(ConversationId, UserId), i64> = BTreeMap::new();
        for message in self.new_messages.iter().filter(|message| message.sender_kind == SenderKind::User.as_str()) {
            if let Some(sender) = message.sender_id {
                written.insert((message.conversation_id, UserId(sender)), message.no);
            }
        }
        let mut seen: BTreeMap<ConversationId, SeenAt> = BTreeMap::new();
        for event in &self.events {
            let id = event.conversation_id;
            let last_seq = event.seq - 1;
            seen.entry(id).or_insert_with(|| SeenAt { id, last_seq, members: Vec::new() });
        }
        for (id, user) in &self.relied_on {
            if let (Some(seen), Ok(member)) = (seen.get_mut(id), self.standing(*id, *user)) {
                seen.members.push((*user, member.role.as_str()));
            }
        }
        let mut pieces = self.edits.take_pieces(backend, self.now)?;
        if !self.new_messages.is_empty() {
            pieces.push(query::batches::insert_messages(backend, self.new_messages)?);
        }
        if !written.is_empty() {
            pieces.push(query::batches::read_by_writing(backend, &written)?);
        }
        if !self.new_mentions.is_empty() {
            pieces.push(query::mentions::insert(backend, self.new_mentions)?);
        }
        let noted = self.id.filter(|_| !self.events.is_empty());
        if !self.events.is_empty() {
            pieces.push(query::batches::insert(backend, self.events)?);
        }
        if let Some(id) = noted {
            pieces.push(query::batches::insert_outbox_entry(backend, id, self.now)?);
        }
        if !heads.is_empty() {
            pieces.push(query::batches::advance(backend, &heads, self.now)?);
        }
        if !told.is_empty() {
            pieces.push(query::batches::remove_outbox_entries(backend, told)?);
        }
        let mut signals = Vec::new();
        if !self.jobs.is_empty() {
            signals.push(Signal::JobsWaiting);
            pieces.push(query::jobs::insert(backend, self.jobs, self.now)?);
        }
        Ok(Closed {
            seen: seen.into_values().collect(),
            pieces,
            envelopes: self.envelopes,
            signals,
            batch: noted,
            conversations: self.conversations,
        })
    }
}

/// The people whose standing the changes ask for.
fn people(changes: &[Change]) -> Vec<(ConversationId, UserId)> {
    let people: BTreeSet<(ConversationId, UserId)> = changes
        .iter()
        .filter_map(|change| change.conversation_id().map(|id| change.people().into_iter().map(move |user| (id, user))))
        .flatten()
        .collect();
    people.into_iter().collect()
}

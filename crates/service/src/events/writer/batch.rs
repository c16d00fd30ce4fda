//! One group: what its changes need is read, each change is applied in turn, and what comes of it is gathered to be stored together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use appcore::{
    AppError, Code, ConversationId, MessageId, Timestamp, UserId,
    event::{Audience, Envelope, Event, Signal},
    view::{ConversationKind, MemberRole, Message},
};
use dbcontext::query::{
    self, Piece,
    batches::{ConversationState, NewEvent, NewMessage},
    conversations::MemberAssistant,
    jobs::NewJob,
};
use sea_orm::{ConnectionTrait as _, DatabaseExecutor, DatabaseTransaction};
use uuid::Uuid;

use super::{
    change::{Change, Outcome},
    memory::{Known, Memory},
    messages,
};

/// A group to which nothing is added any more.
pub(super) struct Closed {
    /// The conversations that get events, and how far they had come before.
    pub seen: Vec<(ConversationId, i64)>,
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
    pub now: Timestamp,
    id: Option<Uuid>,
    conversations: HashMap<ConversationId, Known>,
    /// Some of it was not read but remembered.
    pub is_remembered: bool,
    /// Messages by `client_id`: sent before, or earlier in this group.
    pub sent: HashMap<(ConversationId, UserId, String), Message>,
    /// What replies may point to.
    pub replied: HashSet<(ConversationId, MessageId)>,
    pub assistants: HashMap<ConversationId, Vec<MemberAssistant>>,
    moved: BTreeSet<ConversationId>,
    pub new_messages: Vec<NewMessage>,
    events: Vec<NewEvent>,
    envelopes: Vec<Envelope>,
    jobs: Vec<NewJob>,
}

impl<'a> Batch<'a> {
    /// Nothing is known yet: [`Self::lock`] or [`Self::look`] reads what the changes will ask.
    pub fn new(db: &'a DatabaseExecutor<'a>, now: Timestamp, relayed: bool) -> Self {
        Self {
            db,
            now,
            id: relayed.then(Uuid::now_v7),
            conversations: HashMap::new(),
            is_remembered: false,
            sent: HashMap::new(),
            replied: HashSet::new(),
            assistants: HashMap::new(),
            moved: BTreeSet::new(),
            new_messages: Vec::new(),
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

    /// Makes the changes one after the other; each has an outcome of its own.
    pub async fn apply_all(&mut self, changes: &[Change]) -> Result<Vec<Result<Outcome, AppError>>, AppError> {
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes {
            match self.apply(change).await {
                Err(error @ (AppError::Internal(_) | AppError::Unavailable(_))) => return Err(error),
                outcome => outcomes.push(outcome),
            }
        }
        Ok(outcomes)
    }

    async fn apply(&mut self, change: &Change) -> Result<Outcome, AppError> {
        match change {
            Change::Send(change) => messages::send(self, change),
            Change::Edit(change) => messages::edit(self, change).await,
            Change::Delete(change) => messages::delete(self, change).await,
            Change::Create(change) => super::conversations::create(self, change).await,
            Change::Update(change) => super::conversations::update(self, change).await,
            Change::DeleteConversation(change) => super::conversations::delete(self, change).await,
            Change::AddMember(change) => super::conversations::add_member(self, change).await,
            Change::AddAssistant(change) => super::conversations::add_assistant(self, change).await,
            Change::RemoveMember(change) => super::conversations::remove_member(self, change).await,
            Change::Depart(change) => super::departures::depart(self, change).await,
            Change::SetRole(change) => super::conversations::set_role(self, change).await,
            Change::BeginAnswer(change) => super::answers::begin(self, change).await,
            Change::FinishAnswer(change) => super::answers::finish(self, change).await,
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
        self.append(id, seq, &make(seq), Audience::Conversation(id))?;
        Ok(seq)
    }

    /// Appends an event whose number is known.
    pub fn append(&mut self, id: ConversationId, seq: i64, event: &Event, audience: Audience) -> Result<(), AppError> {
        let envelopes = Envelope::seal(event, audience, self.now).map_err(AppError::internal)?;
        self.events.push(NewEvent {
            conversation_id: id,
            seq,
            kind: envelopes.kind.clone(),
            payload: String::from_utf8(envelopes.payload.to_vec()).map_err(AppError::internal)?,
            created_at: self.now,
            group_id: self.id,
        });
        self.envelopes.push(envelopes);
        Ok(())
    }

    pub fn ask(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// What has gathered, as what is to be executed, told, and said to this process.
    pub fn close(self, told: &[Uuid]) -> Result<Closed, AppError> {
        let backend = self.db.get_database_backend();
        let heads: Vec<(ConversationId, i64)> = self
            .moved
            .iter()
            .filter_map(|id| self.conversations.get(id).map(|known| (*id, known.state.last_seq)))
            .collect();
        let mut seen: BTreeMap<ConversationId, i64> = BTreeMap::new();
        for event in &self.events {
            seen.entry(event.conversation_id).or_insert(event.seq - 1);
        }
        let mut pieces = Vec::new();
        if !self.new_messages.is_empty() {
            pieces.push(query::batches::insert_messages(backend, self.new_messages)?);
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
            seen: seen.into_iter().collect(),
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

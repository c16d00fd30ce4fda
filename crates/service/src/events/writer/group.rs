//! One group: what its changes need is read under the locks, each change is applied in turn, and all is stored together.

use std::collections::{BTreeSet, HashMap, HashSet};

use appcore::{
    AppError, Code, ConversationId, MessageId, Timestamp, UserId,
    event::{Audience, Event, News, Signal},
    view::{ConversationKind, MemberRole, Message},
};
use dbcontext::{
    Database,
    constraint::app_error,
    query::{
        self,
        conversations::MemberAssistant,
        events::{LockedConversation, NewEvent, NewMessage},
        jobs::NewJob,
    },
};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction};
use uuid::Uuid;

use super::{
    change::{Change, Outcome},
    messages,
};

/// What a committed group hands back.
pub(super) struct Committed {
    pub outcomes: Vec<Result<Outcome, AppError>>,
    pub news: Vec<News>,
    pub signals: Vec<Signal>,
    /// Its note, where other instances have to hear of it.
    pub group: Option<Uuid>,
}

/// A person's standing in a conversation.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub role: MemberRole,
    pub display_name: String,
}

pub(super) struct Group<'a> {
    pub txn: &'a DatabaseTransaction,
    pub now: Timestamp,
    id: Option<Uuid>,
    conversations: HashMap<ConversationId, LockedConversation>,
    standings: HashMap<(ConversationId, UserId), Standing>,
    /// Messages by `client_id`: sent before, or earlier in this group.
    pub sent: HashMap<(ConversationId, UserId, String), Message>,
    /// What replies may point to.
    pub replied: HashSet<(ConversationId, MessageId)>,
    pub assistants: HashMap<ConversationId, Vec<MemberAssistant>>,
    moved: BTreeSet<ConversationId>,
    pub new_messages: Vec<NewMessage>,
    events: Vec<NewEvent>,
    news: Vec<News>,
    jobs: Vec<NewJob>,
}

/// Commits `changes` in one transaction, and takes away the notes of `told` groups with it. An error means that nothing was committed
/// or, when the connection broke in the commit itself, that nobody knows; a repeated `client_id` finds out.
pub(super) async fn commit(
    db: &Database,
    changes: &[Change],
    now: Timestamp,
    relayed: bool,
    told: &[Uuid],
) -> Result<Committed, AppError> {
    let txn = db.begin().await.map_err(app_error)?;
    let mut group = Group::load(&txn, changes, now, relayed).await?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        match group.apply(change).await {
            Err(error @ (AppError::Internal(_) | AppError::Unavailable(_))) => return Err(error),
            outcome => outcomes.push(outcome),
        }
    }
    let signals = if group.jobs.is_empty() { Vec::new() } else { vec![Signal::JobsWaiting] };
    let (news, group_id) = group.store(told).await?;
    txn.commit().await.map_err(app_error)?;
    Ok(Committed { outcomes, news, signals, group: group_id })
}

impl<'a> Group<'a> {
    /// Locks the conversations and reads what the changes will ask, in as many statements as there are kinds of questions.
    async fn load(
        txn: &'a DatabaseTransaction,
        changes: &[Change],
        now: Timestamp,
        relayed: bool,
    ) -> Result<Self, AppError> {
        let mut group = Self {
            txn,
            now,
            id: relayed.then(Uuid::now_v7),
            conversations: HashMap::new(),
            standings: HashMap::new(),
            sent: HashMap::new(),
            replied: HashSet::new(),
            assistants: HashMap::new(),
            moved: BTreeSet::new(),
            new_messages: Vec::new(),
            events: Vec::new(),
            news: Vec::new(),
            jobs: Vec::new(),
        };
        let ids: BTreeSet<ConversationId> = changes.iter().filter_map(Change::conversation_id).collect();
        if ids.is_empty() {
            return Ok(group);
        }
        group.conversations = query::events::lock(txn, ids).await?.into_iter().map(|row| (row.id, row)).collect();
        let people: BTreeSet<(ConversationId, UserId)> = changes
            .iter()
            .filter_map(|change| {
                change.conversation_id().map(|id| change.people().into_iter().map(move |user| (id, user)))
            })
            .flatten()
            .collect();
        if !people.is_empty() {
            let people: Vec<_> = people.into_iter().collect();
            for row in query::events::standings(txn, &people).await? {
                let role = row.role.parse().map_err(AppError::internal)?;
                group
                    .standings
                    .insert((row.conversation_id, row.user_id), Standing { role, display_name: row.display_name });
            }
        }
        messages::load(&mut group, changes).await?;
        Ok(group)
    }

    async fn apply(&mut self, change: &Change) -> Result<Outcome, AppError> {
        match change {
            Change::Send(change) => messages::send(self, change),
            Change::Edit(change) => messages::edit(self, change).await,
            Change::Delete(change) => messages::delete(self, change).await,
            Change::Create(change) => super::rooms::create(self, change).await,
            Change::Update(change) => super::rooms::update(self, change).await,
            Change::DeleteConversation(change) => super::rooms::delete(self, change).await,
            Change::AddMember(change) => super::rooms::add_member(self, change).await,
            Change::AddAssistant(change) => super::rooms::add_assistant(self, change).await,
            Change::RemoveMember(change) => super::rooms::remove_member(self, change).await,
            Change::SetRole(change) => super::rooms::set_role(self, change).await,
            Change::BeginAnswer(change) => super::answers::begin(self, change).await,
            Change::FinishAnswer(change) => super::answers::finish(self, change).await,
            Change::Regenerate(change) => super::answers::regenerate(self, change).await,
        }
    }

    /// A conversation of this group that is there.
    pub fn conversation(&self, id: ConversationId) -> Result<&LockedConversation, AppError> {
        self.conversations.get(&id).ok_or_else(|| Code::NotFound.into())
    }

    pub fn conversation_mut(&mut self, id: ConversationId) -> Result<&mut LockedConversation, AppError> {
        self.conversations.get_mut(&id).ok_or_else(|| Code::NotFound.into())
    }

    pub fn kind(&self, id: ConversationId) -> Result<ConversationKind, AppError> {
        self.conversation(id)?.kind.parse().map_err(AppError::internal)
    }

    /// From now on the conversation is gone for the changes that follow.
    pub fn forget(&mut self, id: ConversationId) {
        self.conversations.remove(&id);
    }

    /// Somebody's standing; whoever is no member learns nothing.
    pub fn standing(&self, id: ConversationId, user: UserId) -> Result<&Standing, AppError> {
        self.conversation(id)?;
        self.standings.get(&(id, user)).ok_or_else(|| Code::NotFound.into())
    }

    pub fn set_standing(&mut self, id: ConversationId, user: UserId, standing: Option<Standing>) {
        match standing {
            Some(standing) => self.standings.insert((id, user), standing),
            None => self.standings.remove(&(id, user)),
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
        let news = News::seal(event, audience, self.now).map_err(AppError::internal)?;
        self.events.push(NewEvent {
            conversation_id: id,
            seq,
            kind: news.kind.clone(),
            payload: String::from_utf8(news.payload.to_vec()).map_err(AppError::internal)?,
            created_at: self.now,
            group_id: self.id,
        });
        self.news.push(news);
        Ok(())
    }

    pub fn ask(&mut self, job: NewJob) {
        self.jobs.push(job);
    }

    /// Stores what has gathered, and forgets the groups that were told; returns the news to tell.
    async fn store(self, told: &[Uuid]) -> Result<(Vec<News>, Option<Uuid>), AppError> {
        let backend = self.txn.get_database_backend();
        let mut pieces = Vec::new();
        if !self.new_messages.is_empty() {
            pieces.push(query::events::insert_messages(backend, &self.new_messages)?);
        }
        let noted = self.id.filter(|_| !self.events.is_empty());
        if !self.events.is_empty() {
            pieces.push(query::events::insert(backend, &self.events)?);
        }
        if let Some(id) = noted {
            pieces.push(query::events::insert_group(backend, id, self.now)?);
        }
        let heads: Vec<(ConversationId, i64)> = self
            .moved
            .iter()
            .filter_map(|id| self.conversations.get(id).map(|conversation| (*id, conversation.last_seq)))
            .collect();
        if !heads.is_empty() {
            pieces.push(query::events::advance(backend, &heads, self.now)?);
        }
        if !told.is_empty() {
            pieces.push(query::events::remove_groups(backend, told)?);
        }
        if !pieces.is_empty() {
            query::execute(self.txn, pieces).await?;
        }
        if !self.jobs.is_empty() {
            query::jobs::insert(self.txn, self.jobs, self.now).await?;
        }
        Ok((self.news, noted))
    }
}

//! Conversations, their members and messages; workspaces, boards, notes, announcements, moderation,
//! exports and offboarding.
//!
//! Owns the rows of workspaces, memberships and conversations, and the rules for changing them;
//! each change of a conversation goes through the writer of `event-log`. Uses `assistants` for
//! answers and `files` for attachments. REST endpoints and real-time sessions call it.

pub mod admin;
pub mod boards;
pub mod broadcasts;
mod channels;
mod create;
pub mod exports;
mod member_settings;
mod members;
pub mod messages;
pub mod moderation;
pub mod notes;
pub mod offboarding;
pub mod sections;
pub mod share;
pub mod workspaces;

use std::{collections::HashMap, ops::Deref, sync::Arc};

use appcore::{
    AppError, Code, ConversationId, UserId,
    auth::{Permission, Principal},
    page::{Page, PageRequest},
    text_field::{parse_line, validate_search_text},
    view::{AssistantMember, Conversation, ConversationKind, Member, MentionAll, Message, Posting},
};
pub use dbcontext::query::following::{ConnectionSubscriptions, SubscribedConversation};
use dbcontext::{
    ReplicaReader,
    query::{self, conversations::SeenConversation},
};

use assistants::AssistantsService;
pub use channels::join;
pub use create::{NewConversation, create};
pub use dbcontext::query::conversations::Filter;
use event_log::{
    EventLogService,
    events::{MemberAction, UpdateConversation},
};
use files::FilesService;
use gateway::GatewayService;
use identity::{IdentityService, membership};
pub use member_settings::{MemberSettingsChange, set_member_settings};
pub use members::{JoinedMember, add_member, leave, member, members, remove_member, set_role};
use platform::{
    Core,
    audit::{Action, NewAuditEntry},
    batcher::Batcher,
};

/// State of conversations and workspaces of an instance. Dereferences to [`Core`].
pub struct ConversationsService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub files: Arc<FilesService>,
    pub gateway: Arc<GatewayService>,
    pub assistants: Arc<AssistantsService>,
    /// Batches concurrent look-ups of subscriptions, which are numerous when many clients reconnect
    /// at once.
    subscriptions: Arc<Batcher<UserId, ConnectionSubscriptions>>,
}

impl ConversationsService {
    pub fn build(assistants: Arc<AssistantsService>) -> Arc<Self> {
        Arc::new(Self {
            core: Arc::clone(&assistants.core),
            identity: Arc::clone(&assistants.identity),
            events: Arc::clone(&assistants.events),
            files: Arc::clone(&assistants.files),
            gateway: Arc::clone(&assistants.gateway),
            assistants,
            subscriptions: Arc::default(),
        })
    }
}

impl Deref for ConversationsService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

pub const MAX_TITLE_CHARS: usize = 120;
/// Maximum slow-mode interval of a channel, in seconds.
pub const MAX_SLOW_SECONDS: i64 = 21_600;
pub const MAX_TOPIC_CHARS: usize = 500;

/// Number of members listed in a conversation; the member list returns all of them in pages.
const LISTED_MEMBERS: u32 = 20;

/// Conversations of the caller, most recent activity first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<Conversation>, AppError> {
    validate_search_text(&filter.text)?;
    let db = service.db.replica().await;
    let (rows, total) = query::conversations::list(&db, by.user_id, &filter, page).await?;
    Ok(Page::new(views(service, &db, rows).await?, page, total))
}

/// Open conversations of a workspace, joined or not, largest first. Guests are refused.
pub async fn browse(
    service: &ConversationsService,
    by: &Principal,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<Conversation>, AppError> {
    validate_search_text(&filter.text)?;
    let workspace_id =
        membership::resolve(&service.identity, by, filter.workspace_id, Permission::CreateContent).await?.id;
    let filter = Filter { workspace_id: Some(workspace_id), ..filter };
    let db = service.db.replica().await;
    let (rows, total) = query::conversations::list_open(&db, by.user_id, &filter, page).await?;
    Ok(Page::new(views(service, &db, rows).await?, page, total))
}

/// Conversation that the caller may read, with its first members.
pub async fn find(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
) -> Result<Conversation, AppError> {
    // Also the response to a write, for which the replica would not be ready yet.
    let db = service.db.primary();
    let row = query::conversations::find(&db, by.user_id, id).await?.ok_or(Code::NotFound)?;
    views(service, &db, vec![row]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

/// Partial update of a conversation. `None` leaves a field unchanged; a blank text clears it.
#[derive(Clone, Debug, Default)]
pub struct ConversationChange {
    pub title: Option<String>,
    pub topic: Option<String>,
    pub posting: Option<Posting>,
    /// Model that answers in a chat with an assistant.
    pub model: Option<String>,
    pub mention_all: Option<MentionAll>,
    pub slow_mode_seconds: Option<i64>,
}

pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    change: ConversationChange,
) -> Result<Conversation, AppError> {
    let line = |field, text: Option<&str>, max| match text {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Ok(Some(None)),
        Some(text) => parse_line(field, text, max).map(|text| Some(Some(text))),
    };
    if change.slow_mode_seconds.is_some_and(|seconds| !(0..=MAX_SLOW_SECONDS).contains(&seconds)) {
        return Err(AppError::field("slow_mode_seconds", "invalid", "Choose up to 6 hours."));
    }
    let update = UpdateConversation {
        title: line("title", change.title.as_deref(), MAX_TITLE_CHARS)?,
        topic: line("topic", change.topic.as_deref(), MAX_TOPIC_CHARS)?,
        posting: change.posting,
        model: match change.model.as_deref().map(str::trim) {
            Some("") => Some(None),
            Some(model) => Some(Some(gateway::check_available(&service.gateway, model)?)),
            None => None,
        },
        mention_all: change.mention_all,
        slow_mode_seconds: change.slow_mode_seconds,
        word_filter: None,
        entry: change
            .slow_mode_seconds
            .map(|_| NewAuditEntry::by_principal(by, Action::SlowModeChanged, Some(id.to_string()))),
    };
    service.events.writer.submit(MemberAction::Update(update).by_member(by.user_id, id)).await?;
    find(service, by, id).await
}

/// Archives a channel or a chat with an assistant, which makes it read-only, or restores it.
pub async fn archive(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    archived: bool,
) -> Result<Conversation, AppError> {
    service.events.writer.submit(MemberAction::Archive { archived }.by_member(by.user_id, id)).await?;
    find(service, by, id).await
}

/// Converts a conversation to another kind.
pub async fn convert(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    kind: ConversationKind,
) -> Result<Conversation, AppError> {
    service.events.writer.submit(MemberAction::Convert { kind }.by_member(by.user_id, id)).await?;
    find(service, by, id).await
}

pub async fn delete(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<(), AppError> {
    service.events.writer.submit(MemberAction::DeleteConversation.by_member(by.user_id, id)).await?;
    Ok(())
}

/// Conversations and workspaces that a user's connections subscribe to.
pub async fn subscriptions(service: &ConversationsService, user: UserId) -> Result<ConnectionSubscriptions, AppError> {
    let db = service.db.clone();
    let read = move |users: Vec<UserId>| {
        let db = db.clone();
        async move { query::following::of_users(db.reader(), &users).await }
    };
    service.subscriptions.get(user, read).await
}

/// Reads the result of [`following`] for many users at once. Users without conversations and
/// workspaces are omitted.
pub async fn subscriptions_of_many(
    service: &ConversationsService,
    users: &[UserId],
) -> Result<HashMap<UserId, ConnectionSubscriptions>, AppError> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    query::following::of_users(service.db.reader(), users).await
}

/// Loads members, assistants and last messages of the rows in one query each.
async fn views(
    service: &ConversationsService,
    db: &ReplicaReader<'_>,
    rows: Vec<SeenConversation>,
) -> Result<Vec<Conversation>, AppError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ConversationId> = rows.iter().map(|row| row.id).collect();
    let mut members: HashMap<ConversationId, Vec<Member>> = HashMap::new();
    let listed = query::members::of_conversations(db, &ids, LISTED_MEMBERS).await?;
    for (id, member) in members::with_presence(service, listed).await {
        members.entry(id).or_default().push(member);
    }
    let mut assistants: HashMap<ConversationId, Vec<AssistantMember>> = HashMap::new();
    for row in query::conversations::assistants(db, &ids).await? {
        assistants.entry(row.conversation_id).or_default().push(row.into());
    }
    let mut last: HashMap<ConversationId, Message> = HashMap::new();
    for row in query::messages::newest_of(db, &ids).await? {
        last.insert(row.conversation_id, row.try_into()?);
    }
    rows.into_iter()
        .map(|row| {
            let own = row.own_membership();
            Ok(Conversation {
                id: row.id,
                kind: row.kind,
                capabilities: row.kind.client_capabilities(),
                workspace_id: row.workspace_id,
                title: row.title,
                topic: row.topic,
                last_seq: row.last_seq,
                unread: own.map_or(0, |own| own.unread),
                read_seq: own.map_or(0, |own| own.read_seq),
                own,
                posting: row.posting,
                mention_all: row.mention_all,
                history: row.history,
                slow_mode_seconds: row.slow_mode_seconds,
                is_default: row.is_default,
                archived_at: row.archived_at,
                member_count: row.member_count.unsigned_abs(),
                // The row is the newest message of the conversation. It is omitted if the reader
                // may not see it.
                last_message: last.remove(&row.id).filter(|message| message.seq > row.reads_after),
                members: members.remove(&row.id),
                assistants: assistants.remove(&row.id).unwrap_or_default(),
                model: row.model,
                created_at: row.created_at,
                last_activity_at: row.last_activity_at,
            })
        })
        .collect()
}

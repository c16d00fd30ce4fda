//! Conversations. Reads return only those that the user may read.

use appcore::{
    AppError, AssistantId, Code, ConversationId, SectionId, Timestamp, UserId, WorkspaceId,
    page::PageRequest,
    view::{
        self, AssistantMember, ConversationKind, HistoryScope, MemberRole, MentionAll, Notify, Posting, Visibility,
    },
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult,
    IntoActiveModel as _, QueryFilter, QuerySelect, Set, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::{
    access, members, mentions, notifications, notifier::MAX_DIRECT_CONVERSATION_MEMBERS, raw, rows::Rows, single,
};
use crate::{
    constraint::{app_error, unique_violation},
    entity::{conversation, conversation_assistant, conversation_count},
};

/// Conversation as seen by a user who may read it. Membership fields are `None` if the user is not a member.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenConversation {
    pub id: ConversationId,
    pub workspace_id: WorkspaceId,
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub last_seq: i64,
    pub last_activity_at: Timestamp,
    pub created_at: Timestamp,
    pub archived_at: Option<Timestamp>,
    pub is_default: bool,
    pub posting: Posting,
    pub model: Option<String>,
    pub mention_all: MentionAll,
    pub history: HistoryScope,
    pub slow_mode_seconds: i64,
    /// Sequence number of the last event before the history that the reader may see.
    pub reads_after: i64,
    pub member_count: i64,
    pub role: Option<MemberRole>,
    pub read_seq: Option<i64>,
    pub unread: Option<i64>,
    pub unread_mentions: i64,
    pub notify: Option<Notify>,
    pub notify_chosen: Option<bool>,
    pub muted_until: Option<Timestamp>,
    pub pinned: Option<bool>,
    pub section_id: Option<SectionId>,
}

impl SeenConversation {
    /// The reader's membership.
    #[must_use]
    pub fn own_membership(&self) -> Option<view::OwnMembership> {
        let (role, notify) = self.role.zip(self.notify)?;
        Some(view::OwnMembership {
            role,
            read_seq: self.read_seq.unwrap_or(0),
            unread: self.unread.unwrap_or(0).max(0),
            unread_mentions: self.unread_mentions,
            settings: view::OwnSettings {
                notify,
                notify_chosen: self.notify_chosen.unwrap_or(false),
                muted_until: self.muted_until,
                pinned: self.pinned.unwrap_or(false),
                section_id: self.section_id,
            },
        })
    }
}

/// Number of mentions above which counting stops.
const MAX_COUNTED_MENTIONS: u32 = 1_000;

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub workspace_id: Option<WorkspaceId>,
    pub kind: Option<ConversationKind>,
    /// Text that the title contains, in any case.
    pub text: String,
    /// If true, lists only archived conversations, otherwise only the others.
    pub archived: bool,
    /// If set, lists only conversations of which the user is a member (`true`) or is not (`false`).
    pub joined: Option<bool>,
}

impl Filter {
    /// SQL conditions on the conversation `c`; their values are appended to `values`.
    fn conditions(&self, values: &mut Vec<Value>) -> String {
        let mut sql = format!(" AND c.archived_at IS {}NULL", if self.archived { "NOT " } else { "" });
        if let Some(joined) = self.joined {
            sql.push_str(&format!(" AND m.user_id IS {}NULL", if joined { "NOT " } else { "" }));
        }
        let mut condition = |text: &str, value: Value| {
            values.push(value);
            sql.push_str(&format!(" AND {}", text.replace("{}", &format!("${}", values.len()))));
        };
        if let Some(id) = self.workspace_id {
            condition("c.workspace_id = {}", id.into());
        }
        if let Some(kind) = self.kind {
            condition("c.kind = {}", kind.as_str().into());
        }
        let text = ::search::fold_name(&self.text);
        if !text.is_empty() {
            condition("c.search_title LIKE {} ESCAPE '\\'", members::like_pattern(&text).into());
        }
        sql
    }
}

/// SQL select list for a conversation as one user sees it. Expects the aliases `c` (conversation),
/// `n` (counts) and `m` (the user's membership, may be null).
fn seen_columns(backend: DatabaseBackend) -> String {
    let everybody = mentions::everyone_literal(backend);
    let reads_after = access::member_history_start("c", "m");
    let level = notifications::level_expression(MAX_DIRECT_CONVERSATION_MEMBERS);
    format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.topic, c.last_seq, c.last_message_at AS last_activity_at, c.created_at, c.archived_at, c.is_default, \
         c.posting, c.model, c.mention_all, c.history, c.slow_mode_seconds, COALESCE({reads_after}, 0) AS reads_after, COALESCE(n.members, 0) AS member_count, m.role, m.read_seq, c.last_no - m.read_no AS unread, {level} AS notify, m.notify_chosen, m.muted_until, \
         m.pinned, m.section_id, (SELECT COUNT(*) FROM (SELECT 1 FROM mentions x WHERE x.user_id IN (m.user_id, {everybody}) \
           AND x.conversation_id = c.id AND x.no > m.read_no LIMIT {MAX_COUNTED_MENTIONS}) AS mentioned) AS unread_mentions"
    )
}

/// Tables of a user's own conversations. SQLite joins the tables of a `CROSS JOIN` in this order;
/// otherwise it may start with all conversations of the workspace.
const OWN: &str = "FROM conversation_members m CROSS JOIN conversations c LEFT JOIN conversation_counts n ON n.conversation_id = c.id \
    WHERE m.user_id = $1 AND NOT m.is_deleted AND c.id = m.conversation_id AND NOT c.is_deleted";

const ANY: &str = "FROM conversations c LEFT JOIN conversation_counts n ON n.conversation_id = c.id \
    LEFT JOIN conversation_members m ON m.conversation_id = c.id AND m.user_id = $1 AND NOT m.is_deleted WHERE NOT c.is_deleted";

/// Lists a user's conversations by last activity, with the total.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    filter: &Filter,
    page: PageRequest,
) -> Result<(Vec<SeenConversation>, u64), AppError> {
    let mut values = vec![user.into()];
    let rows = format!("{OWN}{}", filter.conditions(&mut values));
    select(db, &rows, values, "c.last_message_at DESC, c.id DESC", page).await
}

/// Lists the open conversations of a workspace, by number of members, with the total count. The
/// caller must not be a guest there.
pub async fn list_open<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    filter: &Filter,
    page: PageRequest,
) -> Result<(Vec<SeenConversation>, u64), AppError> {
    let mut values = vec![user.into()];
    let rows = format!("{ANY}{} AND {}", filter.conditions(&mut values), access::is_open_to("c", "$1"));
    select(db, &rows, values, "COALESCE(n.members, 0) DESC, c.search_title, c.id", page).await
}

async fn select<C: ConnectionTrait>(
    db: &C,
    rows: &str,
    values: Vec<Value>,
    order: &str,
    page: PageRequest,
) -> Result<(Vec<SeenConversation>, u64), AppError> {
    let backend = db.get_database_backend();
    // The subquery limits the columns to the rows of the page; otherwise SQLite would also compute them for the rows
    // before the page.
    let sql = format!(
        "{} {ANY} AND c.id IN (SELECT c.id {rows} ORDER BY {order} LIMIT {} OFFSET {}) ORDER BY {order}",
        seen_columns(backend),
        page.page_size,
        page.offset()
    );
    let items = raw::find::<_, SeenConversation>(db, sql, values.clone()).await?;
    Ok((items, super::page::count(db, rows, values).await?))
}

/// Finds a conversation that `user` may read.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: ConversationId,
) -> Result<Option<SeenConversation>, AppError> {
    let backend = db.get_database_backend();
    let sql = format!(
        "{} {ANY} AND c.id = $2 AND (m.user_id IS NOT NULL OR {})",
        seen_columns(backend),
        access::is_open_to("c", "$1")
    );
    raw::find_one::<_, SeenConversation>(db, sql, [user.into(), id.into()]).await
}

/// True if another open conversation of the workspace has this title, ignoring case.
pub async fn is_title_taken<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    title: &str,
    other_than: ConversationId,
) -> Result<bool, AppError> {
    let sql = format!(
        "SELECT 1 AS one FROM conversations c WHERE c.workspace_id = $1 AND c.search_title = $2 AND c.id <> $3 AND {} AND NOT c.is_deleted",
        access::is_open("c")
    );
    let values = [workspace.into(), ::search::fold_name(title).into(), other_than.into()];
    raw::exists(db, sql, values).await
}

/// Finds a conversation by its pair key: the key of a pair of users, or an id chosen by the
/// creator.
pub async fn by_pair_key<C: ConnectionTrait>(db: &C, pair_key: &str) -> Result<Option<ConversationId>, AppError> {
    let found = conversation::Entity::find()
        .filter(conversation::Column::PairKey.eq(pair_key))
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(found.map(|row| row.id))
}

/// Lists the conversations of a workspace, optionally only those of `member`, whose ids are greater
/// than `last`, ordered by id.
pub async fn of_workspace<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    member: Option<UserId>,
    last: Option<ConversationId>,
    most: u64,
) -> Result<Vec<ConversationId>, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        id: ConversationId,
    }
    let mut values: Vec<Value> = vec![workspace.into(), last.map_or(Uuid::nil(), |last| last.0).into()];
    let of = if let Some(user) = member {
        values.push(user.into());
        "conversation_members m CROSS JOIN conversations c WHERE m.user_id = $3 AND NOT m.is_deleted AND c.id = m.conversation_id AND"
    } else {
        "conversations c WHERE"
    };
    let sql = format!(
        "SELECT c.id FROM {of} c.workspace_id = $1 AND c.id > $2 AND NOT c.is_deleted ORDER BY c.id LIMIT {most}"
    );
    let found = raw::find::<_, Found>(db, &sql, values).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}

/// Inserts a conversation. Returns `false` if its pair key or its title is taken, or if the row itself exists because a
/// commit with unknown outcome is retried.
pub async fn insert<C: ConnectionTrait>(db: &C, row: conversation::Model) -> Result<bool, AppError> {
    let id = row.id;
    // Uses a conflict clause, because in PostgreSQL a failed insert would abort the transaction.
    let nothing = OnConflict::new().do_nothing().to_owned();
    let new = conversation::Entity::insert(row.into_active_model()).on_conflict(nothing);
    if new.exec_without_returning(db).await.map_err(app_error)? == 0 {
        return Ok(false);
    }
    single::insert(db, conversation_count::ActiveModel { conversation_id: Set(id), members: Set(0) }).await?;
    Ok(true)
}

/// Default channel of a workspace.
pub async fn default_of<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
) -> Result<Option<ConversationId>, AppError> {
    #[derive(FromQueryResult)]
    struct Found {
        id: ConversationId,
    }
    let sql = "SELECT id FROM conversations WHERE workspace_id = $1 AND is_default AND NOT is_deleted";
    Ok(raw::find_one::<_, Found>(db, sql, [workspace.into()]).await?.map(|row| row.id))
}

/// Inserts the default channel of a new workspace; returns the existing one if another instance was faster.
pub async fn insert_default<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    title: &str,
    created_by: UserId,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = conversation::Model {
        id: ConversationId::new(),
        workspace_id: workspace,
        kind: ConversationKind::PublicChannel,
        title: Some(title.to_owned()),
        topic: None,
        search_title: Some(::search::fold_name(title)),
        pair_key: None,
        last_seq: 0,
        last_no: 0,
        last_activity_at: now,
        last_message_at: now,
        created_by,
        created_at: now,
        archived_at: None,
        is_default: true,
        posting: view::Posting::Everyone,
        model: None,
        mention_all: view::MentionAll::Everyone,
        history: view::HistoryScope::All,
        slow_mode_seconds: 0,
        word_filter: None,
        is_deleted: false,
    };
    insert(db, row).await?;
    Ok(())
}

/// Inserts the default channel of a new workspace, unless another instance was faster.
pub async fn word_filter<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<String>, AppError> {
    let found = conversation::Entity::find_by_id(id).one(db).await.map_err(app_error)?;
    Ok(found.and_then(|row| row.word_filter))
}

/// Settings that the managers of a conversation can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub kind: ConversationKind,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub posting: view::Posting,
    /// Model chosen for an assistant chat.
    pub model: Option<String>,
    pub mention_all: view::MentionAll,
    pub history: view::HistoryScope,
    pub slow_mode_seconds: i64,
    /// Word filter as JSON.
    pub word_filter: Option<String>,
}

/// Updates the settings. Returns `false` if another open conversation of the workspace has the
/// title. An unchanged title keeps its folded form, to which a number may have been appended to
/// make it unique.
pub async fn update_settings<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    settings: &Settings,
    is_renamed: bool,
) -> Result<(), AppError> {
    let folded = settings.title.as_deref().map(::search::fold_name);
    let row = conversation::ActiveModel {
        id: Set(id),
        kind: Set(settings.kind),
        search_title: if is_renamed { Set(folded) } else { NotSet },
        title: Set(settings.title.clone()),
        topic: Set(settings.topic.clone()),
        posting: Set(settings.posting),
        model: Set(settings.model.clone()),
        mention_all: Set(settings.mention_all),
        history: Set(settings.history),
        slow_mode_seconds: Set(settings.slow_mode_seconds),
        word_filter: Set(settings.word_filter.clone()),
        ..Default::default()
    };
    match row.update(db).await {
        Ok(_) => Ok(()),
        Err(error) if unique_violation(&error) => Err(Code::NameTaken.into()),
        Err(error) => Err(app_error(error)),
    }
}

/// Updates the settings. Fails if another open conversation of the workspace has the title. An unchanged title keeps
/// its folded form, which may end with a number.
pub async fn set_archived<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    at: Option<Timestamp>,
) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), archived_at: Set(at), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Clears the pair key so that the pair can start another conversation.
pub async fn clear_pair_key<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), pair_key: Set(None), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Soft-deletes a conversation and clears its pair key.
pub async fn delete<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), is_deleted: Set(true), pair_key: Set(None), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Workspace of a conversation; `None` if the conversation doesn't exist.
pub async fn workspace<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<WorkspaceId>, AppError> {
    conversation::Entity::find_by_id(id)
        .select_only()
        .column(conversation::Column::WorkspaceId)
        .into_tuple()
        .one(db)
        .await
        .map_err(app_error)
}

/// Model chosen for an assistant chat.
pub async fn model<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<Option<String>, AppError> {
    let chosen: Option<Option<String>> = conversation::Entity::find_by_id(id)
        .select_only()
        .column(conversation::Column::Model)
        .into_tuple()
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(chosen.flatten())
}

/// Assistant that is a member of a conversation.
#[derive(Clone, Debug, FromQueryResult)]
pub struct MemberAssistant {
    pub conversation_id: ConversationId,
    pub assistant_id: AssistantId,
    pub name: String,
    pub model: Option<String>,
    pub model_choice: bool,
    pub glyph: Option<String>,
    pub hue: Option<i32>,
    pub visibility: Visibility,
    pub created_by: Option<UserId>,
}

impl MemberAssistant {
    /// True if the user may address the assistant.
    #[must_use]
    pub fn is_usable_by(&self, user: UserId) -> bool {
        self.visibility == Visibility::Workspace || self.created_by == Some(user)
    }
}

impl From<MemberAssistant> for AssistantMember {
    fn from(row: MemberAssistant) -> Self {
        let picture = super::assistants::picture(row.glyph, row.hue);
        Self { id: row.assistant_id, name: row.name, model: row.model, model_choice: row.model_choice, picture }
    }
}

pub async fn assistants<C: ConnectionTrait>(db: &C, ids: &[ConversationId]) -> Result<Vec<MemberAssistant>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT p.conversation_id, p.assistant_id, a.name, a.model, a.model_choice, a.glyph, a.hue, a.visibility, a.created_by FROM {} JOIN conversation_assistants p ON p.conversation_id = w.id \
         JOIN assistants a ON a.id = p.assistant_id AND NOT a.is_deleted ORDER BY p.joined_at",
        asked.table()
    );
    asked.find::<_, MemberAssistant>(db, sql).await
}

/// Adds an assistant to a conversation; returns `false` if it is a member already.
pub async fn add_assistant<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    assistant: AssistantId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let there = conversation_assistant::Entity::find_by_id((id, assistant)).one(db).await.map_err(app_error)?;
    if there.is_some() {
        return Ok(false);
    }
    let row = conversation_assistant::ActiveModel {
        conversation_id: Set(id),
        assistant_id: Set(assistant),
        joined_at: Set(now),
    };
    conversation_assistant::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(true)
}

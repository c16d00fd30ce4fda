//! Conversations: seen by their members only.

use appcore::{
    AppError, AssistantId, ConversationId, Timestamp, UserId, WorkspaceId, page::PageRequest, view::AssistantMember,
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Set, Statement, sea_query::Query,
};

use super::rows::Rows;
use crate::{
    constraint::app_error,
    entity::{conversation, conversation_assistant, conversation_member},
};

/// A conversation as one of its members sees it.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenConversation {
    pub id: ConversationId,
    pub workspace_id: appcore::WorkspaceId,
    pub kind: String,
    pub title: Option<String>,
    pub topic: Option<String>,
    pub last_seq: i64,
    pub last_activity_at: Timestamp,
    pub created_at: Timestamp,
    pub role: String,
    pub read_seq: i64,
    pub unread: i64,
    pub member_count: i64,
}

/// Unread messages are counted up to here; past it nobody cares how many.
const MOST_UNREAD: u32 = 10_000;

fn seen() -> String {
    format!(
        "SELECT c.id, c.workspace_id, c.kind, c.title, c.topic, c.last_seq, c.last_activity_at, c.created_at, m.role, m.read_seq, \
         (SELECT COUNT(*) FROM conversation_members o WHERE o.conversation_id = c.id AND NOT o.is_deleted) AS member_count, \
         (SELECT COUNT(*) FROM (SELECT 1 FROM messages n WHERE n.conversation_id = c.id AND n.seq > m.read_seq \
           AND n.deleted_at IS NULL AND n.hidden_by IS NULL AND (n.sender_id IS NULL OR n.sender_id <> m.user_id) LIMIT {MOST_UNREAD}) AS unread_messages) AS unread \
         FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
         WHERE m.user_id = $1 AND NOT m.is_deleted"
    )
}

/// A person's own conversations, newest activity first, and how many there are.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    page: PageRequest,
) -> Result<(Vec<SeenConversation>, u64), AppError> {
    let backend = db.get_database_backend();
    let sql = format!(
        "{} ORDER BY c.last_activity_at DESC, c.id DESC LIMIT {} OFFSET {}",
        seen(),
        page.page_size,
        page.offset()
    );
    let items = SeenConversation::find_by_statement(Statement::from_sql_and_values(backend, sql, [user.into()]))
        .all(db)
        .await
        .map_err(app_error)?;
    let own = "FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id AND NOT c.is_deleted \
                 WHERE m.user_id = $1 AND NOT m.is_deleted";
    Ok((items, super::page::count(db, own, [user.into()]).await?))
}

/// A conversation that `user` is in.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    id: ConversationId,
) -> Result<Option<SeenConversation>, AppError> {
    let sql = format!("{} AND c.id = $2", seen());
    SeenConversation::find_by_statement(Statement::from_sql_and_values(
        db.get_database_backend(),
        sql,
        [user.into(), id.into()],
    ))
    .one(db)
    .await
    .map_err(app_error)
}

/// The conversation of a pair.
pub async fn of_pair<C: ConnectionTrait>(db: &C, pair_key: &str) -> Result<Option<ConversationId>, AppError> {
    let found = conversation::Entity::find()
        .filter(conversation::Column::PairKey.eq(pair_key))
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(found.map(|row| row.id))
}

/// Conversations of a workspace, those that `member` is in or all, in the order of their ids after `last`.
pub async fn of_workspace<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    member: Option<UserId>,
    last: Option<ConversationId>,
    most: u64,
) -> Result<Vec<ConversationId>, AppError> {
    let mut query = conversation::Entity::find()
        .select_only()
        .column(conversation::Column::Id)
        .filter(conversation::Column::WorkspaceId.eq(workspace))
        .filter(conversation::Column::IsDeleted.eq(false));
    if let Some(user) = member {
        let theirs = Query::select()
            .column(conversation_member::Column::ConversationId)
            .from(conversation_member::Entity)
            .and_where(conversation_member::Column::UserId.eq(user))
            .and_where(conversation_member::Column::IsDeleted.eq(false))
            .to_owned();
        query = query.filter(conversation::Column::Id.in_subquery(theirs));
    }
    if let Some(last) = last {
        query = query.filter(conversation::Column::Id.gt(last));
    }
    query.order_by_asc(conversation::Column::Id).limit(most).into_tuple().all(db).await.map_err(app_error)
}

/// Stores a new conversation; `false` when the pair already has one, or when this very one is there: a commit of unknown outcome was tried again.
pub async fn insert<C: ConnectionTrait>(db: &C, row: conversation::Model) -> Result<bool, AppError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "INSERT INTO conversations (id, workspace_id, kind, title, topic, pair_key, last_seq, last_activity_at, created_by, created_at, is_deleted) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, FALSE) ON CONFLICT DO NOTHING",
        [
            row.id.into(),
            row.workspace_id.into(),
            row.kind.into(),
            row.title.into(),
            row.topic.into(),
            row.pair_key.into(),
            row.last_seq.into(),
            row.last_activity_at.into(),
            row.created_by.into(),
            row.created_at.into(),
        ],
    );
    Ok(db.execute_raw(statement).await.map_err(app_error)?.rows_affected() > 0)
}

pub async fn set_names<C: ConnectionTrait>(
    db: &C,
    id: ConversationId,
    title: Option<String>,
    topic: Option<String>,
) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), title: Set(title), topic: Set(topic), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Lets a pair begin another conversation.
pub async fn release_pair<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), pair_key: Set(None), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Takes a conversation out of every answer. A pair may then begin another one.
pub async fn delete<C: ConnectionTrait>(db: &C, id: ConversationId) -> Result<(), AppError> {
    conversation::ActiveModel { id: Set(id), is_deleted: Set(true), pair_key: Set(None), ..Default::default() }
        .update(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// An assistant of a conversation, with its name and model.
#[derive(Clone, Debug, FromQueryResult)]
pub struct MemberAssistant {
    pub conversation_id: ConversationId,
    pub assistant_id: AssistantId,
    pub name: String,
    pub model: Option<String>,
}

impl From<MemberAssistant> for AssistantMember {
    fn from(row: MemberAssistant) -> Self {
        Self { id: row.assistant_id, name: row.name, model: row.model }
    }
}

/// The assistants of these conversations.
pub async fn assistants<C: ConnectionTrait>(db: &C, ids: &[ConversationId]) -> Result<Vec<MemberAssistant>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT p.conversation_id, p.assistant_id, a.name, a.model FROM {} JOIN conversation_assistants p ON p.conversation_id = w.id \
         JOIN assistants a ON a.id = p.assistant_id AND NOT a.is_deleted ORDER BY p.joined_at",
        asked.table()
    );
    MemberAssistant::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// Makes an assistant a member; `false` when it is one already.
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

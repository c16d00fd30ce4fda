//! Drafts of messages: one per conversation or thread; the newest wins.

use appcore::{AppError, MessageId, UserId, page::PageRequest, view::Draft};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, Value};
use uuid::Uuid;

use super::{page, raw};
use crate::{constraint::app_error, entity::draft};

impl From<draft::Model> for Draft {
    fn from(row: draft::Model) -> Self {
        Self {
            conversation_id: row.conversation_id,
            thread_id: Some(row.thread_id).filter(|id| !id.is_nil()).map(MessageId),
            content: row.content,
            reply_to: row.reply_to,
            updated_at: row.updated_at,
        }
    }
}

/// Id of the draft's thread, or the nil UUID for the main conversation.
fn thread_key(draft: &Draft) -> Uuid {
    draft.thread_id.map_or(Uuid::nil(), |id| id.0)
}

/// Stores a draft; returns `false` if a newer one is stored.
pub async fn upsert<C: ConnectionTrait>(db: &C, user: UserId, draft: &Draft) -> Result<bool, AppError> {
    let sql = "INSERT INTO drafts (user_id, conversation_id, thread_id, content, reply_to, updated_at) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (user_id, conversation_id, thread_id) DO UPDATE SET content = excluded.content, reply_to = excluded.reply_to, \
               updated_at = excluded.updated_at WHERE drafts.updated_at <= excluded.updated_at";
    let values: Vec<Value> = vec![
        user.into(),
        draft.conversation_id.into(),
        thread_key(draft).into(),
        draft.content.clone().into(),
        draft.reply_to.into(),
        draft.updated_at.into(),
    ];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Finds the stored draft for the conversation and thread of the draft `like`.
pub async fn find<C: ConnectionTrait>(db: &C, user: UserId, like: &Draft) -> Result<Option<Draft>, AppError> {
    let found = draft::Entity::find_by_id((user, like.conversation_id, thread_key(like))).one(db).await;
    Ok(found.map_err(app_error)?.map(Draft::from))
}

/// Number of a user's drafts.
pub async fn count<C: ConnectionTrait>(db: &C, user: UserId) -> Result<u64, AppError> {
    draft::Entity::find()
        .filter(draft::Column::UserId.eq(user))
        .filter(draft::Column::Content.ne(""))
        .count(db)
        .await
        .map_err(app_error)
}

/// Lists a user's drafts, newest first, with the total count. Includes those of conversations that the user can no
/// longer read, because their text belongs to the user.
pub async fn list<C: ConnectionTrait>(db: &C, user: UserId, page: PageRequest) -> Result<(Vec<Draft>, u64), AppError> {
    let rows = "FROM drafts d WHERE d.user_id = $1 AND d.content <> ''";
    let sql = format!(
        "SELECT d.* {rows} \
         ORDER BY d.updated_at DESC, d.conversation_id, d.thread_id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = raw::find::<_, draft::Model>(db, sql, [user.into()]).await?;
    let total = page::count(db, rows, [user.into()]).await?;
    Ok((found.into_iter().map(Draft::from).collect(), total))
}

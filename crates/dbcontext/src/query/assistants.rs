//! Assistants. Members see the assistants of their workspace; everyone sees the default assistant.

use appcore::{AppError, AssistantId, ConversationId, Timestamp, UserId, WorkspaceId, page::PageRequest, view};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter,
    Set, Value,
};
use uuid::uuid;

use super::{
    conversations::MemberAssistant,
    raw,
    rows::{Column, Rows},
};
use crate::{
    constraint::{app_error, unique_violation},
    entity::assistant::{self, Model},
};

/// Id of the default assistant, which the migration inserts.
pub const DEFAULT_ID: AssistantId = AssistantId(uuid!("01900000-0000-7000-8000-00000000a551"));

impl TryFrom<Model> for view::Assistant {
    type Error = AppError;

    /// View of the assistant as its creator sees it.
    fn try_from(row: Model) -> Result<Self, AppError> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            model: row.model,
            system_prompt: row.system_prompt,
            temperature: row.temperature.map(|hundredths| f64::from(hundredths) / 100.0),
            max_answer_tokens: row.max_answer_tokens.map(i32::unsigned_abs),
            picture: picture(row.glyph, row.hue),
            tools_enabled: row.tools_enabled,
            tools: match row.tools {
                Some(tools) => serde_json::from_str(&tools).map_err(AppError::internal)?,
                None => Vec::new(),
            },
            visibility: row.visibility,
            answers_mentions: row.answers_mentions,
            model_choice: row.model_choice,
            starters: match row.starters {
                Some(starters) => serde_json::from_str(&starters).map_err(AppError::internal)?,
                None => Vec::new(),
            },
            is_default: row.id == DEFAULT_ID,
            may_edit: true,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Avatar of an assistant.
#[must_use]
pub fn picture(glyph: Option<String>, hue: Option<i32>) -> Option<view::Picture> {
    glyph.map(|glyph| view::Picture { glyph, hue: hue.and_then(|hue| u16::try_from(hue).ok()) })
}

/// Inserts an assistant; its name must be unused in its workspace.
pub async fn insert<C: ConnectionTrait>(db: &C, row: Model) -> Result<Model, AppError> {
    row.into_active_model().insert(db).await.map_err(name_taken)
}

/// Updates an assistant; its name must be unused in its workspace.
pub async fn update<C: ConnectionTrait>(db: &C, row: Model) -> Result<Model, AppError> {
    row.into_active_model().reset_all().update(db).await.map_err(name_taken)
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "This workspace already has an assistant with this name.")
    } else {
        app_error(error)
    }
}

/// Soft-deletes an assistant and removes it from its conversations.
pub async fn delete<C: ConnectionTrait>(db: &C, id: AssistantId, now: Timestamp) -> Result<(), AppError> {
    soft_delete(db, "id = $1", vec![id.into(), now.into()]).await
}

/// Deletes the private assistants of a user. Shared ones stay, without a creator.
pub async fn remove_creator<C: ConnectionTrait>(db: &C, user: UserId, now: Timestamp) -> Result<(), AppError> {
    soft_delete(db, "created_by = $1 AND visibility = 'private'", vec![user.into(), now.into()]).await?;
    assistant::Entity::update_many()
        .set(assistant::ActiveModel { created_by: Set(None), ..Default::default() })
        .filter(assistant::Column::CreatedBy.eq(user))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

async fn soft_delete<C: ConnectionTrait>(db: &C, which: &str, values: Vec<Value>) -> Result<(), AppError> {
    let sql = format!(
        "UPDATE assistants SET is_deleted = TRUE, system_prompt = NULL, starters = NULL, tools = NULL, updated_at = $2 WHERE {which}"
    );
    raw::run(db, &sql, values).await
}

/// Condition that the user bound to `user` may talk to the assistant `a`, provided that the user is
/// not a guest.
fn usable_by(user: &str) -> String {
    format!("(a.visibility = '{}' OR a.created_by = {user})", view::Visibility::Workspace)
}

/// Condition that the assistant is in a conversation of the user `$2`. Guests see only such
/// assistants.
const IN_A_CONVERSATION: &str = "EXISTS (SELECT 1 FROM conversation_assistants p \
    JOIN conversations c ON c.id = p.conversation_id AND NOT c.is_deleted \
    JOIN conversation_members o ON o.conversation_id = p.conversation_id AND o.user_id = $2 AND NOT o.is_deleted \
    WHERE p.assistant_id = a.id)";

/// Finds an assistant that `reader` may see.
pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: AssistantId) -> Result<Option<Model>, AppError> {
    let usable = usable_by("$2");
    let sql = format!(
        "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted AND (a.workspace_id IS NULL OR {usable} AND EXISTS ( \
         SELECT 1 FROM workspace_members m JOIN workspaces w ON w.id = m.workspace_id AND NOT w.is_deleted \
         WHERE m.workspace_id = a.workspace_id AND m.user_id = $2 AND NOT m.is_deleted \
           AND (m.role <> 'guest' OR {IN_A_CONVERSATION})))"
    );
    find_by_sql(db, &sql, vec![id.into(), reader.into()]).await
}

/// Finds an assistant that `user` may add to conversations of this workspace.
pub async fn usable_in<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
    id: AssistantId,
) -> Result<Option<Model>, AppError> {
    let usable = usable_by("$3");
    let sql = format!(
        "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted AND (a.workspace_id IS NULL OR a.workspace_id = $2 AND {usable})"
    );
    find_by_sql(db, &sql, vec![id.into(), workspace.into(), user.into()]).await
}

/// Finds an assistant by its id, without an access check.
pub async fn get<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<Option<Model>, AppError> {
    find_by_sql(db, "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted", vec![id.into()]).await
}

/// Lists the default assistant and the assistants of a workspace that `user` may talk to, with the
/// total count. For a guest, lists the assistants in the guest's conversations.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
    is_guest: bool,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let met = if is_guest { format!(" AND {IN_A_CONVERSATION}") } else { String::new() };
    let theirs = format!("(a.workspace_id = $1 AND {}{met})", usable_by("$2"));
    let seen = format!("FROM assistants a WHERE NOT a.is_deleted AND (a.workspace_id IS NULL OR {theirs})");
    let values = || -> Vec<Value> { vec![workspace.into(), user.into()] };
    let order = "ORDER BY CASE WHEN a.workspace_id IS NULL THEN 0 ELSE 1 END, a.search_name, a.id";
    let sql = format!("SELECT a.* {seen} {order} LIMIT {} OFFSET {}", page.page_size, page.offset());
    let items = raw::find::<_, Model>(db, sql, values()).await?;
    Ok((items, super::page::count(db, &seen, values()).await?))
}

/// Values for the placeholders in an assistant's instructions.
#[derive(Clone, Debug, Default, FromQueryResult)]
pub struct Names {
    pub workspace: Option<String>,
    pub user: Option<String>,
}

/// Names of a conversation's workspace and of the user who asks.
pub async fn names<C: ConnectionTrait>(
    db: &C,
    conversation: ConversationId,
    user: Option<UserId>,
) -> Result<Names, AppError> {
    let sql = "SELECT w.name AS workspace, u.display_name AS \"user\" FROM conversations c JOIN workspaces w ON w.id = c.workspace_id \
               LEFT JOIN users u ON u.id = $2 AND NOT u.is_deleted WHERE c.id = $1";
    let values = [conversation.into(), user.into()];
    Ok(raw::find_one::<_, Names>(db, sql, values).await?.unwrap_or_default())
}

/// Possible mention of an assistant, by folded name or by id.
#[derive(Clone, Debug)]
pub struct Mention {
    pub conversation_id: ConversationId,
    /// User who wrote the mention.
    pub user_id: UserId,
    pub name: Option<String>,
    pub assistant_id: Option<AssistantId>,
}

/// Resolves mentions to assistants of the conversation's workspace that the user may talk to, even if they are not in
/// the conversation. Guests may only talk to assistants in their conversations.
pub async fn resolve_mentions<C: ConnectionTrait>(
    db: &C,
    mentions: Vec<Mention>,
) -> Result<Vec<(UserId, MemberAssistant)>, AppError> {
    #[derive(FromQueryResult)]
    struct MentionedAssistant {
        user_id: UserId,
        #[sea_orm(nested)]
        assistant: MemberAssistant,
    }
    let columns =
        [Column::Uuid("conversation_id"), Column::Uuid("user_id"), Column::Text("name"), Column::Uuid("assistant_id")];
    let rows = mentions.into_iter().map(|mention| {
        let assistant = mention.assistant_id.map(|id| id.0);
        [mention.conversation_id.0.into(), mention.user_id.0.into(), mention.name.into(), assistant.into()]
    });
    let asked = Rows::new(db.get_database_backend(), columns, rows);
    let usable = usable_by("w.user_id");
    let meant = |matches: &str| {
        format!(
            "SELECT w.user_id, w.conversation_id, a.id AS assistant_id, a.name, a.model, a.model_choice, a.glyph, a.hue, a.visibility, a.created_by \
             FROM mentioned w JOIN assistants a ON {matches} AND NOT a.is_deleted AND a.answers_mentions"
        )
    };
    // Uses two queries, so that each can use its own index.
    let by_id = meant(&format!(
        "a.id = w.assistant_id AND (a.workspace_id IS NULL OR a.workspace_id = w.workspace_id AND {usable})"
    ));
    let by_name = meant(&format!("a.workspace_id = w.workspace_id AND a.search_name = w.name AND {usable}"));
    let default = meant("a.workspace_id IS NULL AND a.search_name = w.name");
    let sql = format!(
        "WITH mentioned AS MATERIALIZED (SELECT w.conversation_id, w.user_id, w.name, w.assistant_id, c.workspace_id FROM {} \
           JOIN conversations c ON c.id = w.conversation_id \
           JOIN workspace_members o ON o.workspace_id = c.workspace_id AND o.user_id = w.user_id AND NOT o.is_deleted AND o.role <> 'guest') \
         {by_id} UNION ALL {by_name} UNION ALL {default}",
        asked.table()
    );
    let found = asked.find::<_, MentionedAssistant>(db, sql).await?;
    Ok(found.into_iter().map(|row| (row.user_id, row.assistant)).collect())
}

async fn find_by_sql<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Option<Model>, AppError> {
    raw::find_one::<_, Model>(db, sql, values).await
}

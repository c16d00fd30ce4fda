//! Assistants: those of a workspace are seen by its members, the default one by everybody.

use appcore::{AppError, AssistantId, UserId, WorkspaceId, page::PageRequest, view};
use sea_orm::{ActiveModelTrait, ConnectionTrait, FromQueryResult, IntoActiveModel, Statement, Value};
use uuid::uuid;

use crate::{
    constraint::{app_error, unique_violation},
    entity::assistant::Model,
};

/// The assistant that everybody has, made with the table.
pub const DEFAULT_ID: AssistantId = AssistantId(uuid!("01900000-0000-7000-8000-00000000a551"));

impl From<Model> for view::Assistant {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            model: row.model,
            system_prompt: row.system_prompt,
            is_default: row.id == DEFAULT_ID,
            created_at: row.created_at,
        }
    }
}

/// Stores a new assistant. Its name must be free in its workspace.
pub async fn insert<C: ConnectionTrait>(db: &C, row: Model) -> Result<Model, AppError> {
    row.into_active_model().insert(db).await.map_err(|error| {
        if unique_violation(&error) {
            AppError::field("name", "taken", "This workspace already has an assistant with this name.")
        } else {
            app_error(error)
        }
    })
}

/// Whether an assistant is in a conversation of `$2`: the way in which guests see any.
const IN_A_CONVERSATION: &str = "EXISTS (SELECT 1 FROM conversation_assistants p \
    JOIN conversations c ON c.id = p.conversation_id AND NOT c.is_deleted \
    JOIN conversation_members o ON o.conversation_id = p.conversation_id AND o.user_id = $2 AND NOT o.is_deleted \
    WHERE p.assistant_id = a.id)";

/// An assistant that `reader` may see.
pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: AssistantId) -> Result<Option<Model>, AppError> {
    let sql = format!(
        "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted AND (a.workspace_id IS NULL OR EXISTS ( \
         SELECT 1 FROM workspace_members m JOIN workspaces w ON w.id = m.workspace_id AND NOT w.is_deleted \
         WHERE m.workspace_id = a.workspace_id AND m.user_id = $2 AND NOT m.is_deleted \
           AND (m.role <> 'guest' OR {IN_A_CONVERSATION})))"
    );
    one(db, &sql, vec![id.into(), reader.into()]).await
}

/// An assistant that can be a member of this workspace's conversations.
pub async fn usable_in<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    id: AssistantId,
) -> Result<Option<Model>, AppError> {
    let sql = "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted AND (a.workspace_id IS NULL OR a.workspace_id = $2)";
    one(db, sql, vec![id.into(), workspace.into()]).await
}

/// An assistant by its id, for those who were checked already.
pub async fn get<C: ConnectionTrait>(db: &C, id: AssistantId) -> Result<Option<Model>, AppError> {
    one(db, "SELECT a.* FROM assistants a WHERE a.id = $1 AND NOT a.is_deleted", vec![id.into()]).await
}

/// The default assistant and those of a workspace, and how many they are; for a guest of it those that they meet there.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    guest: Option<UserId>,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let theirs = match guest {
        None => "a.workspace_id = $1".to_owned(),
        Some(_) => format!("(a.workspace_id = $1 AND {IN_A_CONVERSATION})"),
    };
    let seen = format!("FROM assistants a WHERE NOT a.is_deleted AND (a.workspace_id IS NULL OR {theirs})");
    let values = || -> Vec<Value> { [Some(workspace.into()), guest.map(Value::from)].into_iter().flatten().collect() };
    let backend = db.get_database_backend();
    let order = "ORDER BY CASE WHEN a.workspace_id IS NULL THEN 0 ELSE 1 END, a.search_name, a.id";
    let sql = format!("SELECT a.* {seen} {order} LIMIT {} OFFSET {}", page.page_size, page.offset());
    let items = Model::find_by_statement(Statement::from_sql_and_values(backend, sql, values()))
        .all(db)
        .await
        .map_err(app_error)?;
    Ok((items, super::page::count(db, &seen, values()).await?))
}

async fn one<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<Option<Model>, AppError> {
    Model::find_by_statement(Statement::from_sql_and_values(db.get_database_backend(), sql, values))
        .one(db)
        .await
        .map_err(app_error)
}

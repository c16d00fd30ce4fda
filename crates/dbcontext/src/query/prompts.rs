//! Prompt templates: one's own, and those that a workspace shares.

use appcore::{AppError, PromptId, Timestamp, UserId, WorkspaceId, page::PageRequest, view::Visibility};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use super::members;
use crate::constraint::{app_error, unique_violation};

/// A prompt, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct PromptRow {
    pub id: PromptId,
    pub workspace_id: WorkspaceId,
    /// None: its author has left, and it is shared.
    pub created_by: Option<UserId>,
    pub command: String,
    pub title: String,
    /// The title as it is compared.
    pub search_title: String,
    pub content: String,
    pub visibility: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A prompt that somebody may use.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenPrompt {
    #[sea_orm(nested)]
    pub prompt: PromptRow,
    pub author_name: Option<String>,
    /// What they are in its workspace.
    pub role: Option<String>,
}

const SEEN: &str = "SELECT p.*, u.display_name AS author_name";
const PROMPTS: &str = "FROM prompts p LEFT JOIN users u ON u.id = p.created_by AND NOT u.is_deleted";

pub async fn insert<C: ConnectionTrait>(db: &C, row: &PromptRow) -> Result<(), AppError> {
    let sql = "INSERT INTO prompts (id, workspace_id, created_by, command, title, search_title, content, visibility, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    execute(db, sql, values(row)).await
}

pub async fn update<C: ConnectionTrait>(db: &C, row: &PromptRow) -> Result<(), AppError> {
    let sql = "UPDATE prompts SET workspace_id = $2, created_by = $3, command = $4, title = $5, search_title = $6, content = $7, \
               visibility = $8, created_at = $9, updated_at = $10 WHERE id = $1";
    execute(db, sql, values(row)).await
}

fn values(row: &PromptRow) -> Vec<Value> {
    vec![
        row.id.into(),
        row.workspace_id.into(),
        row.created_by.into(),
        row.command.clone().into(),
        row.title.clone().into(),
        row.search_title.clone().into(),
        row.content.clone().into(),
        row.visibility.clone().into(),
        row.created_at.into(),
        row.updated_at.into(),
    ]
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: PromptId) -> Result<(), AppError> {
    execute(db, "DELETE FROM prompts WHERE id = $1", vec![id.into()]).await
}

/// A prompt that `reader` may use.
pub async fn find<C: ConnectionTrait>(db: &C, reader: UserId, id: PromptId) -> Result<Option<SeenPrompt>, AppError> {
    let shared = Visibility::Workspace.as_str();
    let sql = format!(
        "{SEEN}, m.role {PROMPTS} JOIN workspaces w ON w.id = p.workspace_id AND NOT w.is_deleted \
         JOIN workspace_members m ON m.workspace_id = p.workspace_id AND m.user_id = $2 AND NOT m.is_deleted \
         WHERE p.id = $1 AND (p.created_by = $2 OR p.visibility = '{shared}' AND m.role <> 'guest')"
    );
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [id.into(), reader.into()]);
    SeenPrompt::find_by_statement(statement).one(db).await.map_err(app_error)
}

/// Somebody's own prompts in a workspace that they are in, and those that it shares, by their commands; and how many there are. `text` in
/// small letters is how the command begins, or in the title.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    user: UserId,
    sees_shared: bool,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<SeenPrompt>, u64), AppError> {
    let shared = if sees_shared { format!(" OR p.visibility = '{}'", Visibility::Workspace) } else { String::new() };
    let mut of = format!("{PROMPTS} WHERE p.workspace_id = $1 AND (p.created_by = $2{shared})");
    let mut values: Vec<Value> = vec![workspace.into(), user.into()];
    if !text.is_empty() {
        of.push_str(" AND (p.command LIKE $3 ESCAPE '\\' OR p.search_title LIKE $4 ESCAPE '\\')");
        let within = members::contains(text);
        values.extend([within[1..].into(), members::contains(&::search::folded_line(text)).into()]);
    }
    let backend = db.get_database_backend();
    let sql = format!(
        "{SEEN}, NULL AS role {of} ORDER BY p.command, CASE WHEN p.visibility = 'private' THEN 0 ELSE 1 END, p.id LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let found = SeenPrompt::find_by_statement(Statement::from_sql_and_values(backend, sql, values.clone()));
    Ok((found.all(db).await.map_err(app_error)?, super::page::count(db, &of, values).await?))
}

/// How many a workspace shares, or how many `owner` keeps there.
pub async fn count<C: ConnectionTrait>(db: &C, workspace: WorkspaceId, owner: Option<UserId>) -> Result<u64, AppError> {
    let (of, values): (_, Vec<Value>) = match owner {
        Some(owner) => (
            "FROM prompts p WHERE p.workspace_id = $1 AND p.visibility = 'private' AND p.created_by = $2",
            vec![workspace.into(), owner.into()],
        ),
        None => ("FROM prompts p WHERE p.workspace_id = $1 AND p.visibility = 'workspace'", vec![workspace.into()]),
    };
    super::page::count(db, of, values).await
}

/// Removes what a person kept to themselves; what they shared stays, without their name.
pub async fn forget_author<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    let own = "DELETE FROM prompts WHERE created_by = $1 AND visibility = 'private'";
    execute(db, own, vec![user.into()]).await?;
    execute(db, "UPDATE prompts SET created_by = NULL WHERE created_by = $1", vec![user.into()]).await
}

async fn execute<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<(), AppError> {
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values))
        .await
        .map_err(command_taken)?;
    Ok(())
}

fn command_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("command", "taken", "There's already a prompt with this command. Choose another one.")
    } else {
        app_error(error)
    }
}

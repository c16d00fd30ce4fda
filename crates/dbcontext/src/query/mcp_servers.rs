//! Servers of tools.

use appcore::{AppError, McpServerId, Timestamp, page::PageRequest};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

use super::rows::Rows;
use crate::constraint::{app_error, unique_violation};

/// A server, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct McpServerRow {
    pub id: McpServerId,
    pub name: String,
    /// The name as it is compared.
    pub search_name: String,
    pub description: Option<String>,
    pub transport: String,
    pub auth: String,
    pub url: Option<String>,
    pub command: Option<String>,
    pub secrets: Option<Vec<u8>>,
    pub is_sealed: bool,
    /// JSON.
    pub secret_names: String,
    pub is_enabled: bool,
    pub offered_to: String,
    /// JSON.
    pub tools: String,
    /// JSON.
    pub prompts: String,
    /// JSON.
    pub modes: String,
    pub checked_at: Option<Timestamp>,
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const COLUMNS: [&str; 20] = [
    "id",
    "name",
    "search_name",
    "description",
    "transport",
    "auth",
    "url",
    "command",
    "secrets",
    "is_sealed",
    "secret_names",
    "is_enabled",
    "offered_to",
    "tools",
    "prompts",
    "modes",
    "checked_at",
    "error",
    "created_at",
    "updated_at",
];

/// Stores a new server. Its name must be free.
pub async fn insert<C: ConnectionTrait>(db: &C, row: McpServerRow) -> Result<(), AppError> {
    let places: Vec<String> = (1..=COLUMNS.len()).map(|place| format!("${place}")).collect();
    let sql = format!("INSERT INTO mcp_servers ({}) VALUES ({})", COLUMNS.join(", "), places.join(", "));
    execute(db, &sql, values(row)).await.map(|_| ())
}

/// Stores what has become of a server; `false`: it is gone. Its name must be free.
pub async fn update<C: ConnectionTrait>(db: &C, row: McpServerRow) -> Result<bool, AppError> {
    let set: Vec<String> =
        COLUMNS.iter().enumerate().skip(1).map(|(place, column)| format!("{column} = ${}", place + 1)).collect();
    let sql = format!("UPDATE mcp_servers SET {} WHERE id = $1", set.join(", "));
    Ok(execute(db, &sql, values(row)).await? > 0)
}

/// Notes what a server has told of its tools and of its prompts, unless it was changed meanwhile.
pub async fn note_tools<C: ConnectionTrait>(
    db: &C,
    id: McpServerId,
    as_of: Timestamp,
    found: Result<(String, String), String>,
    now: Timestamp,
) -> Result<(), AppError> {
    let (tools, prompts, error) = match found {
        Ok((tools, prompts)) => (Some(tools), Some(prompts), None),
        Err(error) => (None, None, Some(error)),
    };
    let sql = "UPDATE mcp_servers SET tools = COALESCE($3, tools), prompts = COALESCE($6, prompts), error = $4, checked_at = $5 \
               WHERE id = $1 AND updated_at = $2";
    let values = vec![id.into(), as_of.into(), tools.into(), error.into(), now.into(), prompts.into()];
    execute(db, sql, values).await.map(|_| ())
}

pub async fn delete<C: ConnectionTrait>(db: &C, id: McpServerId) -> Result<bool, AppError> {
    Ok(execute(db, "DELETE FROM mcp_servers WHERE id = $1", vec![id.into()]).await? > 0)
}

pub async fn find<C: ConnectionTrait>(db: &C, id: McpServerId) -> Result<Option<McpServerRow>, AppError> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT * FROM mcp_servers WHERE id = $1",
        [id.into()],
    );
    McpServerRow::find_by_statement(statement).one(db).await.map_err(app_error)
}

/// Those of these that are there.
pub async fn find_all<C: ConnectionTrait>(db: &C, ids: &[McpServerId]) -> Result<Vec<McpServerRow>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!("SELECT s.* FROM mcp_servers s JOIN {} ON s.id = w.id", asked.table());
    McpServerRow::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)
}

/// How many there are.
pub async fn count<C: ConnectionTrait>(db: &C) -> Result<u64, AppError> {
    super::page::count(db, "FROM mcp_servers", vec![]).await
}

/// All of them by name, or those that are enabled, and of these only what is offered to everyone.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    which: Which,
    page: PageRequest,
) -> Result<(Vec<McpServerRow>, u64), AppError> {
    let which = match which {
        Which::All => "TRUE",
        Which::Enabled => "is_enabled",
        Which::OfferedToEveryone => "is_enabled AND offered_to = 'everyone'",
    };
    let from = format!("FROM mcp_servers WHERE {which}");
    let sql = format!("SELECT * {from} ORDER BY search_name LIMIT {} OFFSET {}", page.page_size, page.offset());
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = McpServerRow::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok((rows, super::page::count(db, &from, vec![]).await?))
}

/// Which servers are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    Enabled,
    OfferedToEveryone,
}

fn values(row: McpServerRow) -> Vec<Value> {
    vec![
        row.id.into(),
        row.name.into(),
        row.search_name.into(),
        row.description.into(),
        row.transport.into(),
        row.auth.into(),
        row.url.into(),
        row.command.into(),
        row.secrets.into(),
        row.is_sealed.into(),
        row.secret_names.into(),
        row.is_enabled.into(),
        row.offered_to.into(),
        row.tools.into(),
        row.prompts.into(),
        row.modes.into(),
        row.checked_at.into(),
        row.error.into(),
        row.created_at.into(),
        row.updated_at.into(),
    ]
}

async fn execute<C: ConnectionTrait>(db: &C, sql: &str, values: Vec<Value>) -> Result<u64, AppError> {
    let done = db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await;
    done.map(|done| done.rows_affected()).map_err(name_taken)
}

fn name_taken(error: DbErr) -> AppError {
    if unique_violation(&error) {
        AppError::field("name", "taken", "Another server has this name.")
    } else {
        app_error(error)
    }
}

//! Accounts of people that are connected with servers of tools, and what Natter is to the authorization servers of these.

use std::collections::HashMap;

use appcore::{AppError, McpServerId, Timestamp, UserId, page::PageRequest, view::ExportedToolConnection};
use sea_orm::{ConnectionTrait, DatabaseBackend, FromQueryResult, Statement, Value};

use super::{raw, rows::Rows};
use crate::constraint::app_error;

/// A connection, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ConnectionRow {
    pub user_id: UserId,
    pub server_id: McpServerId,
    pub tokens: Vec<u8>,
    pub is_sealed: bool,
    /// Of the access token.
    pub expires_at: Option<Timestamp>,
    /// The person has to sign in anew.
    pub is_expired: bool,
    /// Another one with each change of the tokens.
    pub version: i64,
}

/// Tokens that are kept.
#[derive(Clone, Debug)]
pub struct NewTokens {
    pub tokens: Vec<u8>,
    pub is_sealed: bool,
    pub expires_at: Option<Timestamp>,
}

/// What Natter is to an authorization server.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ClientRow {
    pub server_id: McpServerId,
    /// Where Natter has registered itself; none: an administrator has entered it.
    pub issuer: Option<String>,
    pub redirect_uri: Option<String>,
    pub client_id: String,
    pub secret: Option<Vec<u8>>,
    pub is_sealed: bool,
    pub expires_at: Option<Timestamp>,
}

/// A server that somebody can connect an account with.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ConnectableRow {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    /// One has to sign in anew, for all or for a part of what it has. None: nothing is connected.
    pub is_expired: Option<bool>,
    pub connected_at: Option<Timestamp>,
}

/// Keeps a connection, in place of the one before. The first version is the time: none is given twice, though one was removed meanwhile.
pub async fn put<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
    new: NewTokens,
    now: Timestamp,
) -> Result<(), AppError> {
    let sql = "INSERT INTO mcp_connections (user_id, server_id, tokens, is_sealed, expires_at, is_expired, version, created_at) \
               VALUES ($1, $2, $3, $4, $5, FALSE, $6, $6) ON CONFLICT (user_id, server_id) DO UPDATE SET tokens = excluded.tokens, \
               is_sealed = excluded.is_sealed, expires_at = excluded.expires_at, is_expired = FALSE, lacks_scope = FALSE, claimed_until = NULL, \
               version = mcp_connections.version + 1, created_at = excluded.created_at";
    let NewTokens { tokens, is_sealed, expires_at } = new;
    let values = vec![user.into(), server.into(), tokens.into(), is_sealed.into(), expires_at.into(), now.into()];
    raw::run(db, sql, values).await
}

/// Somebody's connection with a server.
pub async fn find<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<ConnectionRow>, AppError> {
    let sql = "SELECT user_id, server_id, tokens, is_sealed, expires_at, is_expired, version FROM mcp_connections \
               WHERE user_id = $1 AND server_id = $2";
    raw::find_one(db, sql, vec![user.into(), server.into()]).await
}

/// Begins to renew the tokens of this version; `false`: another worker does, or has. A refresh token may be good once.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    row: &ConnectionRow,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, AppError> {
    let sql = "UPDATE mcp_connections SET claimed_until = $4 WHERE user_id = $1 AND server_id = $2 AND version = $3 \
               AND NOT is_expired AND (claimed_until IS NULL OR claimed_until < $5)";
    let values = vec![row.user_id.into(), row.server_id.into(), row.version.into(), until.into(), now.into()];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Keeps tokens that were renewed; `false`: the connection is another one by now, or gone.
pub async fn renew<C: ConnectionTrait>(db: &C, row: &ConnectionRow, new: NewTokens) -> Result<bool, AppError> {
    let sql = "UPDATE mcp_connections SET tokens = $4, is_sealed = $5, expires_at = $6, claimed_until = NULL, version = version + 1 \
               WHERE user_id = $1 AND server_id = $2 AND version = $3";
    let NewTokens { tokens, is_sealed, expires_at } = new;
    let values = vec![
        row.user_id.into(),
        row.server_id.into(),
        row.version.into(),
        tokens.into(),
        is_sealed.into(),
        expires_at.into(),
    ];
    Ok(raw::execute(db, sql, values).await? > 0)
}

/// Leaves the tokens as they are for whoever needs them next.
pub async fn release<C: ConnectionTrait>(db: &C, row: &ConnectionRow) -> Result<(), AppError> {
    let sql = "UPDATE mcp_connections SET claimed_until = NULL WHERE user_id = $1 AND server_id = $2 AND version = $3";
    raw::run(db, sql, vec![row.user_id.into(), row.server_id.into(), row.version.into()]).await
}

/// The tokens of this version are good for nothing: the person has to sign in anew.
pub async fn expire<C: ConnectionTrait>(db: &C, row: &ConnectionRow) -> Result<(), AppError> {
    let sql = "UPDATE mcp_connections SET is_expired = TRUE, claimed_until = NULL \
               WHERE user_id = $1 AND server_id = $2 AND version = $3";
    raw::run(db, sql, vec![row.user_id.into(), row.server_id.into(), row.version.into()]).await
}

/// What is asked for as well when somebody signs in at a server.
pub async fn extra_scope<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<String>, AppError> {
    extra(db, user, server, "").await
}

/// [`extra_scope`], locked until the transaction ends.
pub async fn lock_extra_scope<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<String>, AppError> {
    let lock = if db.get_database_backend() == DatabaseBackend::Postgres { " FOR UPDATE" } else { "" };
    extra(db, user, server, lock).await
}

async fn extra<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
    lock: &str,
) -> Result<Option<String>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        extra_scope: Option<String>,
    }
    let sql = format!("SELECT extra_scope FROM mcp_connections WHERE user_id = $1 AND server_id = $2{lock}");
    let row: Option<Row> = raw::find_one(db, &sql, vec![user.into(), server.into()]).await?;
    Ok(row.and_then(|row| row.extra_scope))
}

/// Has it be asked for; none: no more than at first. The tokens are good for everything else meanwhile.
pub async fn want<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
    scope: Option<String>,
) -> Result<(), AppError> {
    let sql = "UPDATE mcp_connections SET extra_scope = $3, lacks_scope = $4 WHERE user_id = $1 AND server_id = $2";
    let lacks = scope.is_some();
    raw::run(db, sql, vec![user.into(), server.into(), scope.into(), lacks.into()]).await
}

/// Removes a connection; `false`: there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, server: McpServerId) -> Result<bool, AppError> {
    let sql = "DELETE FROM mcp_connections WHERE user_id = $1 AND server_id = $2";
    Ok(raw::execute(db, sql, vec![user.into(), server.into()]).await? > 0)
}

/// Forgets what somebody has connected.
pub async fn forget_user<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM mcp_connections WHERE user_id = $1", vec![user.into()]).await
}

/// Forgets what was connected with a server, and what Natter is to its authorization server.
pub async fn forget_server<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    raw::execute(db, "DELETE FROM mcp_connections WHERE server_id = $1", vec![server.into()]).await?;
    raw::run(db, "DELETE FROM mcp_clients WHERE server_id = $1", vec![server.into()]).await
}

/// The enabled servers that somebody can connect an account with, or has: those that are offered to them, by name.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    is_admin: bool,
    page: PageRequest,
) -> Result<(Vec<ConnectableRow>, u64), AppError> {
    let from = "FROM mcp_servers s LEFT JOIN mcp_connections c ON c.server_id = s.id AND c.user_id = $1 \
                WHERE s.is_enabled AND s.auth = 'oauth' AND ($2 OR s.offered_to = 'everyone' OR c.user_id IS NOT NULL)";
    let values: Vec<Value> = vec![user.into(), is_admin.into()];
    let sql = format!(
        "SELECT s.id, s.name, s.description, (c.is_expired OR c.lacks_scope) AS is_expired, c.created_at AS connected_at {from} \
         ORDER BY s.search_name LIMIT {} OFFSET {}",
        page.page_size,
        page.offset()
    );
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values.clone());
    let rows = ConnectableRow::find_by_statement(statement).all(db).await.map_err(app_error)?;
    Ok((rows, super::page::count(db, from, values).await?))
}

/// What somebody has connected, for their export, by the servers' names. Tokens are no part of it.
pub async fn exported<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<ExportedToolConnection>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        server: String,
        connected_at: Timestamp,
        is_expired: bool,
    }
    let sql = "SELECT s.name AS server, c.created_at AS connected_at, (c.is_expired OR c.lacks_scope) AS is_expired \
               FROM mcp_connections c JOIN mcp_servers s ON s.id = c.server_id WHERE c.user_id = $1 ORDER BY s.search_name";
    let rows: Vec<Row> = raw::find(db, sql, vec![user.into()]).await?;
    let view = |Row { server, connected_at, is_expired }| ExportedToolConnection { server, connected_at, is_expired };
    Ok(rows.into_iter().map(view).collect())
}

/// What Natter is to the authorization server of a server.
pub async fn client<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<Option<ClientRow>, AppError> {
    let sql = "SELECT server_id, issuer, redirect_uri, client_id, secret, is_sealed, expires_at FROM mcp_clients WHERE server_id = $1";
    raw::find_one(db, sql, vec![server.into()]).await
}

/// What administrators have entered as the client of these servers.
pub async fn entered_clients<C: ConnectionTrait>(
    db: &C,
    servers: &[McpServerId],
) -> Result<HashMap<McpServerId, String>, AppError> {
    #[derive(FromQueryResult)]
    struct Entered {
        server_id: McpServerId,
        client_id: String,
    }
    let asked = Rows::ids(db.get_database_backend(), servers.iter().map(|id| id.0));
    let sql = format!(
        "SELECT c.server_id, c.client_id FROM mcp_clients c JOIN {} ON c.server_id = w.id WHERE c.issuer IS NULL",
        asked.table()
    );
    let found = Entered::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|one| (one.server_id, one.client_id)).collect())
}

/// Keeps it, in place of what was.
pub async fn put_client<C: ConnectionTrait>(db: &C, row: ClientRow) -> Result<(), AppError> {
    let sql = "INSERT INTO mcp_clients (server_id, issuer, redirect_uri, client_id, secret, is_sealed, expires_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (server_id) DO UPDATE SET issuer = excluded.issuer, \
               redirect_uri = excluded.redirect_uri, client_id = excluded.client_id, secret = excluded.secret, \
               is_sealed = excluded.is_sealed, expires_at = excluded.expires_at";
    let values = vec![
        row.server_id.into(),
        row.issuer.into(),
        row.redirect_uri.into(),
        row.client_id.into(),
        row.secret.into(),
        row.is_sealed.into(),
        row.expires_at.into(),
    ];
    raw::run(db, sql, values).await
}

/// Forgets it.
pub async fn remove_client<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM mcp_clients WHERE server_id = $1", vec![server.into()]).await
}

//! OAuth connections of users to MCP servers, and Natter's client registrations at their authorization servers.

use std::collections::HashMap;

use appcore::{AppError, McpServerId, Timestamp, UserId, page::PageRequest, view::ExportedToolConnection};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, QueryFilter, QuerySelect,
    Select, Set, UpdateMany, Value, sea_query::Expr,
};

use super::{raw, rows::Rows, single};
pub use crate::entity::{mcp_client::Model as ClientRow, mcp_connection::Model as ConnectionRow};
use crate::{
    constraint::app_error,
    entity::{
        mcp_client,
        mcp_connection::{ActiveModel, Column, Entity},
    },
};

/// Tokens to store.
#[derive(Clone, Debug)]
pub struct NewTokens {
    pub tokens: Vec<u8>,
    pub is_sealed: bool,
    pub expires_at: Option<Timestamp>,
}

/// MCP server that a user can connect an account to.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ConnectableRow {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    /// True if the user must sign in again, either completely or for additional scope; `None` if
    /// the user isn't connected.
    pub is_expired: Option<bool>,
    pub connected_at: Option<Timestamp>,
}

/// Inserts or replaces a connection. The first version number is the current time, so that versions
/// stay unique after a connection is deleted and created again.
pub async fn upsert<C: ConnectionTrait>(
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

pub async fn find<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<ConnectionRow>, AppError> {
    Entity::find_by_id((user, server)).one(db).await.map_err(app_error)
}

/// Claims the renewal of the tokens of this version, so that only one worker uses the refresh
/// token, which may be single-use. Returns `false` if another worker has claimed or renewed the
/// tokens.
pub async fn claim<C: ConnectionTrait>(
    db: &C,
    row: &ConnectionRow,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, AppError> {
    let claimed = at_version(row)
        .set(ActiveModel { claimed_until: Set(Some(until)), ..Default::default() })
        .filter(Column::IsExpired.eq(false))
        .filter(Column::ClaimedUntil.is_null().or(Column::ClaimedUntil.lt(now)));
    Ok(claimed.exec(db).await.map_err(app_error)?.rows_affected > 0)
}

/// Stores renewed tokens; returns `false` if the connection was replaced or deleted.
pub async fn renew<C: ConnectionTrait>(db: &C, row: &ConnectionRow, new: NewTokens) -> Result<bool, AppError> {
    let NewTokens { tokens, is_sealed, expires_at } = new;
    let renewed = ActiveModel {
        tokens: Set(tokens),
        is_sealed: Set(is_sealed),
        expires_at: Set(expires_at),
        claimed_until: Set(None),
        ..Default::default()
    };
    let next = Expr::col(Column::Version).add(1);
    let done = at_version(row).set(renewed).col_expr(Column::Version, next).exec(db).await.map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Builds an update of a connection that applies only if its version is still that of `row`.
fn at_version(row: &ConnectionRow) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::UserId.eq(row.user_id))
        .filter(Column::ServerId.eq(row.server_id))
        .filter(Column::Version.eq(row.version))
}

/// Releases the claim without changing the tokens.
pub async fn release<C: ConnectionTrait>(db: &C, row: &ConnectionRow) -> Result<(), AppError> {
    let released = ActiveModel { claimed_until: Set(None), ..Default::default() };
    at_version(row).set(released).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Marks the tokens of this version as invalid; the user must then sign in again.
pub async fn expire<C: ConnectionTrait>(db: &C, row: &ConnectionRow) -> Result<(), AppError> {
    let expired = ActiveModel { is_expired: Set(true), claimed_until: Set(None), ..Default::default() };
    at_version(row).set(expired).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Returns the additional scope to request when the user next signs in at a server.
pub async fn extra_scope<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<String>, AppError> {
    extra(db, Entity::find_by_id((user, server))).await
}

/// [`extra_scope`], locked until the transaction ends.
pub async fn lock_extra_scope<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
) -> Result<Option<String>, AppError> {
    extra(db, Entity::find_by_id((user, server)).lock_exclusive()).await
}

async fn extra<C: ConnectionTrait>(db: &C, connection: Select<Entity>) -> Result<Option<String>, AppError> {
    let scope = connection.select_only().column(Column::ExtraScope).into_tuple::<Option<String>>();
    Ok(scope.one(db).await.map_err(app_error)?.flatten())
}

/// Sets the additional scope; `None` clears it. Until the user signs in again, the tokens stay
/// valid for other calls.
pub async fn set_extra_scope<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    server: McpServerId,
    scope: Option<String>,
) -> Result<(), AppError> {
    let wanted = ActiveModel { lacks_scope: Set(scope.is_some()), extra_scope: Set(scope), ..Default::default() };
    Entity::update_many()
        .set(wanted)
        .filter(Column::UserId.eq(user))
        .filter(Column::ServerId.eq(server))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Deletes a connection; returns `false` if there is none.
pub async fn remove<C: ConnectionTrait>(db: &C, user: UserId, server: McpServerId) -> Result<bool, AppError> {
    Ok(Entity::delete_by_id((user, server)).exec(db).await.map_err(app_error)?.rows_affected > 0)
}

/// Deletes all connections of a user.
pub async fn remove_of_user<C: ConnectionTrait>(db: &C, user: UserId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::UserId.eq(user)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes all connections to a server, and the client registration.
pub async fn remove_of_server<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    Entity::delete_many().filter(Column::ServerId.eq(server)).exec(db).await.map_err(app_error)?;
    remove_client(db, server).await
}

/// Lists the enabled servers that are offered to the user and to which an account can be connected,
/// by name, with the state of the user's connection.
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
    let rows = raw::find::<_, ConnectableRow>(db, sql, values.clone()).await?;
    Ok((rows, super::page::count(db, from, values).await?))
}

/// Returns the connections of a user for the data export, by the name of the server. Tokens are
/// left out.
pub async fn exported<C: ConnectionTrait>(db: &C, user: UserId) -> Result<Vec<ExportedToolConnection>, AppError> {
    #[derive(FromQueryResult)]
    struct ExportedConnection {
        server: String,
        connected_at: Timestamp,
        is_expired: bool,
    }
    let sql = "SELECT s.name AS server, c.created_at AS connected_at, (c.is_expired OR c.lacks_scope) AS is_expired \
               FROM mcp_connections c JOIN mcp_servers s ON s.id = c.server_id WHERE c.user_id = $1 ORDER BY s.search_name";
    let rows: Vec<ExportedConnection> = raw::find(db, sql, vec![user.into()]).await?;
    let view = |ExportedConnection { server, connected_at, is_expired }| ExportedToolConnection {
        server,
        connected_at,
        is_expired,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Client registration at the authorization server of an MCP server.
pub async fn client<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<Option<ClientRow>, AppError> {
    mcp_client::Entity::find_by_id(server).one(db).await.map_err(app_error)
}

/// Returns the client registrations for these servers that administrators have entered.
pub async fn manual_clients<C: ConnectionTrait>(
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
    let found = asked.find::<_, Entered>(db, sql).await?;
    Ok(found.into_iter().map(|one| (one.server_id, one.client_id)).collect())
}

/// Inserts or replaces a client registration.
pub async fn put_client<C: ConnectionTrait>(db: &C, row: ClientRow) -> Result<(), AppError> {
    let changed = [
        mcp_client::Column::Issuer,
        mcp_client::Column::RedirectUri,
        mcp_client::Column::ClientId,
        mcp_client::Column::Secret,
        mcp_client::Column::IsSealed,
        mcp_client::Column::ExpiresAt,
    ];
    single::upsert(db, row.into_active_model(), [mcp_client::Column::ServerId], changed).await
}

pub async fn remove_client<C: ConnectionTrait>(db: &C, server: McpServerId) -> Result<(), AppError> {
    mcp_client::Entity::delete_by_id(server).exec(db).await.map_err(app_error)?;
    Ok(())
}

//! Connections to tool servers: one per server and instance, opened on demand and closed when idle.
//! A server with user accounts has one connection per user.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as Lock, PoisonError, Weak},
    time::Duration,
};

use appcore::{McpServerId, Timestamp, UserId, config, view::McpTransport};
use dbcontext::query::mcp_servers::McpServerRow;
use mcp::{CallResult, Client, HeaderName, HeaderValue, Limits, McpError, Program, Prompt, Server, Tool};
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

use super::{
    oauth::{self, AccessToken},
    secrets,
    shared_lazy::SharedLazy,
};
use crate::AssistantsService;

/// Idle timeout of a connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
const AUTHORIZATION: &str = "authorization";

/// Connection pool of this instance.
pub struct Connections {
    limits: Limits,
    slots: Lock<HashMap<Key, Arc<ConnectionSlot>>>,
}

/// Id of the server, and of the user with whose account it is called.
type Key = (McpServerId, Option<UserId>);

/// Slot of the connection pool.
struct ConnectionSlot {
    /// `updated_at` of the server when the connection was opened. If the server was changed since,
    /// it is connected again.
    server_version: Timestamp,
    /// Version of the access token that the connection uses. If the token was renewed, the server
    /// is connected again.
    token: Option<i64>,
    client: Arc<SharedLazy<Arc<Client>>>,
    last_used: Lock<Instant>,
}

impl Connections {
    pub(crate) fn build(config: &config::Mcp) -> Arc<Self> {
        let limits = Limits { call: config.call_timeout, result: config.max_result_bytes, ..Limits::default() };
        let connections = Arc::new(Self { limits, slots: Lock::default() });
        tokio::spawn(close_idle(Arc::downgrade(&connections)));
        connections
    }

    /// Calls a tool for a user. Failed calls are never repeated, because they may have taken
    /// effect; except for calls that the server rejected because of the token.
    pub(super) async fn call(
        &self,
        service: &AssistantsService,
        row: &McpServerRow,
        user: UserId,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallResult, McpError> {
        let call = |client: Arc<Client>| {
            let arguments = arguments.clone();
            async move { client.call(tool, arguments).await }
        };
        self.with_client(service, row, user, call).await
    }

    /// Lists the tools and prompts of a server over a new connection, so that no cached list is
    /// returned.
    pub(super) async fn list_offered(
        &self,
        service: &AssistantsService,
        row: &McpServerRow,
        user: UserId,
    ) -> Result<(Vec<Tool>, Vec<Prompt>), McpError> {
        self.close(row.id);
        let offered =
            |client: Arc<Client>| async move { Ok::<_, McpError>((client.tools().await?, client.prompts().await?)) };
        self.with_client(service, row, user, offered).await
    }

    /// Returns the text that a server renders for a prompt.
    pub(super) async fn prompt(
        &self,
        service: &AssistantsService,
        row: &McpServerRow,
        user: UserId,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<String, McpError> {
        let prompt = |client: Arc<Client>| {
            let arguments = arguments.clone();
            async move { client.prompt(name, arguments).await }
        };
        self.with_client(service, row, user, prompt).await
    }

    /// Closes the connections to a server after the running calls have ended.
    pub(super) fn close(&self, id: McpServerId) {
        self.locked_slots().retain(|(connection_target, _), _| *connection_target != id);
    }

    /// Closes a user's connection to a server.
    pub(super) fn close_for(&self, id: McpServerId, user: UserId) {
        self.locked_slots().remove(&(id, Some(user)));
    }

    /// Runs a request for a user. If the token is rejected, it is renewed and the request repeated
    /// once. Missing scopes are recorded for the next sign-in.
    async fn with_client<T, F>(
        &self,
        service: &AssistantsService,
        row: &McpServerRow,
        user: UserId,
        work: impl Fn(Arc<Client>) -> F,
    ) -> Result<T, McpError>
    where
        F: Future<Output = Result<T, McpError>>,
    {
        let Some(access) = oauth::access(service, row, user, None).await? else {
            return work(self.client(service, row, None).await?).await;
        };
        let mut asked = match self.client(service, row, Some((user, &access))).await {
            Ok(client) => work(client).await,
            Err(error) => Err(error),
        };
        if matches!(asked, Err(McpError::Credentials)) {
            let access =
                oauth::access(service, row, user, Some(access.version)).await?.ok_or(McpError::AccountNotConnected)?;
            asked = match self.client(service, row, Some((user, &access))).await {
                Ok(client) => work(client).await,
                Err(error) => Err(error),
            };
            if matches!(asked, Err(McpError::Credentials)) {
                oauth::mark_expired(service, row.id, user, access.version).await;
                return Err(McpError::AccountNotConnected);
            }
        }
        if let Err(McpError::Scope(challenge)) = &asked {
            oauth::record_scope(service, row.id, user, challenge).await;
        }
        asked
    }

    async fn client(
        &self,
        service: &AssistantsService,
        row: &McpServerRow,
        signed_in: Option<(UserId, &AccessToken)>,
    ) -> Result<Arc<Client>, McpError> {
        let place = self.slot(row, signed_in);
        let connect = || {
            let (connection_target, limits) =
                (connection_target(service, row, signed_in.map(|(_, access)| access))?, self.limits.clone());
            Ok(async move { Client::connect(connection_target, limits).await.map(Arc::new) })
        };
        place.client.get(|client| !client.is_closed(), connect).await
    }

    fn slot(&self, row: &McpServerRow, signed_in: Option<(UserId, &AccessToken)>) -> Arc<ConnectionSlot> {
        let mut places = self.locked_slots();
        let now = Instant::now();
        let (user, token) = signed_in.map(|(user, access)| (user, access.version)).unzip();
        let is_it = |place: &&Arc<ConnectionSlot>| place.server_version == row.updated_at && place.token == token;
        if let Some(place) = places.get(&(row.id, user)).filter(is_it) {
            *place.last_used.lock().unwrap_or_else(PoisonError::into_inner) = now;
            return Arc::clone(place);
        }
        let place = Arc::new(ConnectionSlot {
            server_version: row.updated_at,
            token,
            client: Arc::default(),
            last_used: Lock::new(now),
        });
        places.insert((row.id, user), Arc::clone(&place));
        place
    }

    // The map is consistent between any two statements, so a poisoned lock is safe to use.
    fn locked_slots(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<ConnectionSlot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn close_idle(connections: Weak<Connections>) {
    let mut tick = tokio::time::interval(SWEEP_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(connections) = connections.upgrade() else { return };
        let is_used = |place: &ConnectionSlot| {
            place.last_used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < IDLE_TIMEOUT
        };
        connections.locked_slots().retain(|_, place| is_used(place));
    }
}

/// Address or program of a server, with its credentials.
fn connection_target(
    service: &AssistantsService,
    row: &McpServerRow,
    access: Option<&AccessToken>,
) -> Result<Server, McpError> {
    let kept = secrets::open(row, service.config.auth.key_encryption_secret.as_ref()).map_err(|error| {
        tracing::error!(%error, connection_target = %row.id, "failed to decrypt secrets of tool server");
        McpError::Credentials
    })?;
    if row.transport == McpTransport::Stdio {
        let known = service.config.mcp.commands.iter().find(|known| Some(&known.name) == row.command.as_ref());
        let Some(known) = known else {
            return Err(McpError::StartFailed("this server's configuration doesn't name it any more".to_owned()));
        };
        let mut environment = known.env_pairs();
        // Only environment variables that the operator allows are passed, because a variable may
        // change what the program does.
        let allowed = kept.into_iter().filter(|(name, _)| known.env_names.contains(name));
        environment.extend(allowed.map(|(name, value)| (name, value.into())));
        return Ok(Server::Program(Program { command: known.command.clone(), environment }));
    }
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| McpError::Credentials)?;
        value.set_sensitive(true);
        Ok((HeaderName::try_from(name).map_err(|_| McpError::Credentials)?, value))
    };
    // The account of the user takes precedence over shared credentials.
    let token = access.map(|access| (AUTHORIZATION.to_owned(), format!("Bearer {}", access.token.expose())));
    let headers = kept.into_iter().chain(token).map(header).collect::<Result<_, McpError>>()?;
    let url = row.url.as_deref().and_then(|url| Url::parse(url).ok());
    let url = url.ok_or_else(|| McpError::Unreachable("its address isn't one".to_owned()))?;
    // The HTTP client can reach only this address and follows no redirects.
    let http = service.outgoing.client_for(&url).map_err(|error| McpError::Unreachable(error.to_string()))?;
    Ok(Server::Address { url: url.into(), headers, http })
}

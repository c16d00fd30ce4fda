//! MCP servers, which provide tools to assistants.

use std::collections::BTreeMap;

use appcore::{
    AppError, McpServerId,
    page::{Page, PageRequest},
    view::{
        McpAuth, McpCommand, McpServer, McpTransport, OfferedServer, PromptText, ToolConnected, ToolConnection,
        ToolMode, ToolSignIn, ToolVisibility,
    },
};
use assistants::tools::{
    ServerFields,
    oauth::{self, ClientFields, RedirectParams},
    server_prompts, servers,
};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};
use platform::audit::Action;

use crate::{Access, Bound, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListOfferedServers>(),
    EndpointDef::of::<UseServerPrompt>(),
    EndpointDef::of::<ListToolConnections>(),
    EndpointDef::of::<SignInToToolServer>(),
    EndpointDef::of::<ConnectToolServer>(),
    EndpointDef::of::<DisconnectToolServer>(),
    EndpointDef::of::<ListMcpCommands>(),
    EndpointDef::of::<ListMcpServers>(),
    EndpointDef::of::<AddMcpServer>(),
    EndpointDef::of::<ShowMcpServer>(),
    EndpointDef::of::<ChangeMcpServer>(),
    EndpointDef::of::<RemoveMcpServer>(),
    EndpointDef::of::<RefreshMcpServer>(),
];

#[dto(request)]
pub struct ListMcpServersRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List the MCP servers whose tools you can give to assistants
///
/// Administrators get all enabled servers, others those offered to everyone.
#[endpoint(GET "/r1/mcp_servers", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListOfferedServers {
    type Request = ListMcpServersRequest;
    type Response = Page<OfferedServer>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<OfferedServer>>, AppError> {
        Ok(Reply::of(servers::list_offered(ctx.assistants(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct UseServerPromptRequest {
    #[from(path)]
    pub id: McpServerId,
    /// Name of one of the server's `prompts`.
    pub name: String,
    /// Arguments by name, each up to 2,000 characters.
    pub arguments: Option<BTreeMap<String, String>>,
}

/// Render a prompt of an MCP server
///
/// Returns the text for review; no message is sent.
#[endpoint(POST "/r1/mcp_servers/{id}/prompts", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(WrongState), deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for UseServerPrompt {
    type Request = UseServerPromptRequest;
    type Response = PromptText;

    async fn handle(ctx: &Ctx, request: UseServerPromptRequest) -> Result<Reply<PromptText>, AppError> {
        let UseServerPromptRequest { id, name, arguments } = request;
        let text =
            server_prompts::render(ctx.assistants(), ctx.user()?, id, &name, arguments.unwrap_or_default()).await?;
        Ok(Reply::of(PromptText { text }))
    }
}

/// List the MCP servers that you can connect an account with
///
/// Lists the servers offered to the caller or connected by them. If `state` is `expired`, the user
/// must connect again.
#[endpoint(GET "/r1/mcp_connections", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListToolConnections {
    type Request = ListMcpServersRequest;
    type Response = Page<ToolConnection>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<ToolConnection>>, AppError> {
        Ok(Reply::of(oauth::list(ctx.assistants(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct SignInToToolServerRequest {
    #[from(path)]
    pub id: McpServerId,
    /// Page of the app to return to in the end.
    #[schema(max_length = 2_000)]
    pub next: Option<String>,
}

/// Start connecting an account with an MCP server
///
/// Finds the authorization server (RFC 9728, RFC 8414), registers a client there if needed (RFC
/// 7591), and returns the authorization URL for the browser (OAuth 2.1 with PKCE, RFC 8707). The
/// browser returns to `/tools/connected/{id}` with the parameters for `POST /r1/mcp_connections`,
/// or to `/tools/connected` if an administrator registered the client.
#[endpoint(POST "/r1/mcp_servers/{id}/connection", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(WrongState), deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for SignInToToolServer {
    type Request = SignInToToolServerRequest;
    type Response = ToolSignIn;

    async fn handle(ctx: &Ctx, request: SignInToToolServerRequest) -> Result<Reply<ToolSignIn>, AppError> {
        let url = oauth::start(ctx.assistants(), ctx.user()?, request.id, request.next.as_deref()).await?;
        Ok(Reply::of(ToolSignIn { url }))
    }
}

#[dto(request)]
pub struct ConnectToolServerRequest {
    /// Server id in the path of the browser's return; omitted for `/tools/connected`.
    pub server_id: Option<McpServerId>,
    pub state: String,
    pub code: Option<String>,
    /// Error code if the authorization server or the user refused.
    pub error: Option<String>,
    /// Issuer of the authorization response (RFC 9207).
    pub iss: Option<String>,
}

/// Connect an account with an MCP server
///
/// Takes the parameters with which the browser returned. Valid once, within ten minutes, for the
/// user who started.
#[endpoint(POST "/r1/mcp_connections", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(OauthState, OauthDenied, WrongState, NotFound), deadline = Bound::Fixed(std::time::Duration::from_secs(30)))]
impl Endpoint for ConnectToolServer {
    type Request = ConnectToolServerRequest;
    type Response = ToolConnected;

    async fn handle(ctx: &Ctx, request: ConnectToolServerRequest) -> Result<Reply<ToolConnected>, AppError> {
        let ConnectToolServerRequest { server_id, state, code, error, iss } = request;
        let returned = RedirectParams { server_id, state, code, error, issuer: iss };
        Ok(Reply::of(oauth::finish(ctx.assistants(), ctx.user()?, returned).await?))
    }
}

/// Disconnect your account from an MCP server
///
/// Deletes the connection's tokens, and revokes them if supported (RFC 7009).
#[endpoint(DELETE "/r1/mcp_servers/{id}/connection", tag = "assistants", access = Access::User, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(30)))]
impl Endpoint for DisconnectToolServer {
    type Request = McpServerRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: McpServerRequest) -> Result<Reply<NoData>, AppError> {
        oauth::disconnect(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// List the commands of local MCP servers
///
/// Commands are defined only in the configuration (`mcp.commands`).
#[endpoint(GET "/r1/admin/mcp_commands", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListMcpCommands {
    type Request = ListMcpServersRequest;
    type Response = Page<McpCommand>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<McpCommand>>, AppError> {
        Ok(Reply::of(servers::commands(ctx.assistants(), request.page)))
    }
}

/// List all MCP servers
#[endpoint(GET "/r1/admin/mcp_servers", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListMcpServers {
    type Request = ListMcpServersRequest;
    type Response = Page<McpServer>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<McpServer>>, AppError> {
        Ok(Reply::of(servers::list(ctx.assistants(), request.page).await?))
    }
}

#[dto(request)]
pub struct AddMcpServerRequest {
    #[schema(min_length = 1, max_length = 60)]
    pub name: String,
    #[schema(max_length = 300)]
    pub description: Option<String>,
    pub transport: McpTransport,
    /// URL of an `http` server: https, or allowed by the setting `outgoing.allow`.
    #[schema(max_length = 2_000)]
    pub url: Option<String>,
    /// Command of a `stdio` server, from `GET /r1/admin/mcp_commands`.
    pub command: Option<String>,
    /// Headers of an `http` server, or environment variables of a `stdio` server. Stored encrypted,
    /// never returned.
    pub secrets: Option<BTreeMap<String, String>>,
    /// Authentication at the server; if omitted, `secrets`.
    pub auth: Option<McpAuth>,
    /// OAuth client id; if omitted, Natter registers itself if the authorization server supports
    /// it.
    #[schema(max_length = 500)]
    pub client_id: Option<String>,
    /// Client secret of `client_id`. Stored encrypted, never returned.
    #[schema(max_length = 2_000)]
    pub client_secret: Option<String>,
    /// True (the default) if the server can be used.
    pub is_enabled: Option<bool>,
    /// Users to whom the server is offered; by default only administrators.
    pub visible_to: Option<ToolVisibility>,
}

/// Add an MCP server
///
/// `POST …/refresh` loads its tools afterwards.
#[endpoint(POST "/r1/admin/mcp_servers", tag = "admin", access = Access::Admin, rate = RateGroup::Write, status = 201, requires = Confirmed, errors(WrongState))]
impl Endpoint for AddMcpServer {
    type Request = AddMcpServerRequest;
    type Response = McpServer;

    async fn handle(ctx: &Ctx, request: AddMcpServerRequest, by: &Confirmed) -> Result<Reply<McpServer>, AppError> {
        let secrets = request.secrets.unwrap_or_default();
        let fields = ServerFields {
            name: Some(request.name),
            description: Some(request.description),
            url: request.url,
            command: request.command,
            secrets: secrets.into_iter().map(|(name, value)| (name, Some(value))).collect(),
            auth: request.auth,
            client: ClientFields { id: request.client_id.map(Some), secret: request.client_secret.map(Some) },
            is_enabled: request.is_enabled,
            visible_to: request.visible_to,
            modes: BTreeMap::new(),
        };
        Ok(Reply::of(servers::create(ctx.assistants(), by, request.transport, fields).await?))
    }
}

#[dto(request)]
pub struct McpServerRequest {
    #[from(path)]
    pub id: McpServerId,
}

/// Show an MCP server
#[endpoint(GET "/r1/admin/mcp_servers/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowMcpServer {
    type Request = McpServerRequest;
    type Response = McpServer;

    async fn handle(ctx: &Ctx, request: McpServerRequest) -> Result<Reply<McpServer>, AppError> {
        Ok(Reply::of(servers::find(ctx.assistants(), request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeMcpServerRequest {
    #[from(path)]
    pub id: McpServerId,
    #[schema(min_length = 1, max_length = 60)]
    pub name: Option<String>,
    /// Description. If null, it is removed.
    #[schema(max_length = 300)]
    pub description: Option<Option<String>>,
    /// URL; changing it deletes the stored secrets.
    #[schema(max_length = 2_000)]
    pub url: Option<String>,
    /// Command; changing it deletes the stored secrets.
    pub command: Option<String>,
    /// Secrets to set, by name; null removes one.
    pub secrets: Option<BTreeMap<String, Option<String>>>,
    /// Authentication. Changing it or the URL deletes the users' connections.
    pub auth: Option<McpAuth>,
    /// OAuth client id; null removes it. Changing it deletes the client secret.
    #[schema(max_length = 500)]
    pub client_id: Option<Option<String>>,
    /// Client secret. If null, it is removed.
    #[schema(max_length = 2_000)]
    pub client_secret: Option<Option<String>>,
    pub is_enabled: Option<bool>,
    pub visible_to: Option<ToolVisibility>,
    /// Modes by tool name; omitted tools keep theirs.
    pub modes: Option<BTreeMap<String, ToolMode>>,
}

/// Change an MCP server
///
/// Omitted fields stay unchanged. Applies to later calls.
#[endpoint(PATCH "/r1/admin/mcp_servers/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for ChangeMcpServer {
    type Request = ChangeMcpServerRequest;
    type Response = McpServer;

    async fn handle(ctx: &Ctx, request: ChangeMcpServerRequest, by: &Confirmed) -> Result<Reply<McpServer>, AppError> {
        let fields = ServerFields {
            name: request.name,
            description: request.description,
            url: request.url,
            command: request.command,
            secrets: request.secrets.unwrap_or_default(),
            auth: request.auth,
            client: ClientFields { id: request.client_id, secret: request.client_secret },
            is_enabled: request.is_enabled,
            visible_to: request.visible_to,
            modes: request.modes.unwrap_or_default(),
        };
        Ok(Reply::of(servers::update(ctx.assistants(), by, request.id, fields).await?))
    }
}

/// Remove an MCP server
///
/// Assistants can no longer use its tools.
#[endpoint(DELETE "/r1/admin/mcp_servers/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RemoveMcpServer {
    type Request = McpServerRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: McpServerRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        servers::remove(ctx.assistants(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Refresh the tools of an MCP server
///
/// The tools are stored until the next refresh. If the server can't be reached, `error` has the
/// reason. The user who asked must confirm each call of a new tool (`ask`), even if the server
/// declares it read-only.
#[endpoint(POST "/r1/admin/mcp_servers/{id}/refresh", tag = "admin", access = Access::Admin, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for RefreshMcpServer {
    type Request = McpServerRequest;
    type Response = McpServer;
    type Loaded = McpServerId;

    async fn handle_before(_: &Ctx, request: &mut McpServerRequest) -> Result<McpServerId, AppError> {
        Ok(request.id)
    }

    async fn handle(ctx: &Ctx, _: McpServerRequest, id: &McpServerId) -> Result<Reply<McpServer>, AppError> {
        Ok(Reply::of(servers::refresh(ctx.assistants(), ctx.user()?, *id).await?))
    }

    async fn handle_after(ctx: &Ctx, id: Option<&McpServerId>, result: Result<&Reply<McpServer>, &AppError>) {
        if let (Some(id), Ok(_)) = (id, result) {
            ctx.record_audit(Action::McpServerChanged, Some(id.to_string())).await;
        }
    }
}

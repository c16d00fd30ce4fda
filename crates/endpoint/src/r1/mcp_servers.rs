//! Servers of tools for assistants.

use std::collections::BTreeMap;

use appcore::{
    AppError, McpServerId,
    page::{Page, PageRequest},
    view::{
        McpAuth, McpCommand, McpServer, McpTransport, OfferedServer, OfferedTo, PromptText, ToolConnected,
        ToolConnection, ToolMode, ToolSignIn,
    },
};
use assistants::tools::{
    ServerFields,
    oauth::{self, ClientFields, Returned},
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

/// List the servers of tools that one may give to assistants
///
/// Those that are offered to everyone; for administrators of the installation all that are enabled.
#[endpoint(GET "/r1/mcp_servers", tag = "assistants", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListOfferedServers {
    type Request = ListMcpServersRequest;
    type Response = Page<OfferedServer>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<OfferedServer>>, AppError> {
        Ok(Reply::of(servers::offered(ctx.assistants(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct UseServerPromptRequest {
    #[from(path)]
    pub id: McpServerId,
    /// One of the server's `prompts`.
    pub name: String,
    /// By the names of its arguments, each up to 2,000 characters.
    pub arguments: Option<BTreeMap<String, String>>,
}

/// Have a server make the text of one of its prompts
///
/// Nothing is sent with it: it is for whoever asks, to be looked at first.
#[endpoint(POST "/r1/mcp_servers/{id}/prompts", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(WrongState), deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for UseServerPrompt {
    type Request = UseServerPromptRequest;
    type Response = PromptText;

    async fn handle(ctx: &Ctx, request: UseServerPromptRequest) -> Result<Reply<PromptText>, AppError> {
        let UseServerPromptRequest { id, name, arguments } = request;
        let text =
            server_prompts::make(ctx.assistants(), ctx.user()?, id, &name, arguments.unwrap_or_default()).await?;
        Ok(Reply::of(PromptText { text }))
    }
}

/// List the servers of tools that one can connect an account with
///
/// Those that are offered to the caller, and those that they have connected. Where `state` is `expired` one signs in anew.
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
    /// The page of the app to go on at.
    #[schema(max_length = 2_000)]
    pub next: Option<String>,
}

/// Begin to connect an account with a server of tools
///
/// Finds out where that server is signed in to (RFC 9728, RFC 8414), registers Natter there where that is needed (RFC 7591), and answers with the
/// address for the browser (OAuth 2.1 with PKCE, RFC 8707). It comes back to `/tools/connected/{id}` of the app (to `/tools/connected` where an
/// administrator has registered the client by hand) with what `POST /r1/mcp_connections` takes.
#[endpoint(POST "/r1/mcp_servers/{id}/connection", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(WrongState), deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for SignInToToolServer {
    type Request = SignInToToolServerRequest;
    type Response = ToolSignIn;

    async fn handle(ctx: &Ctx, request: SignInToToolServerRequest) -> Result<Reply<ToolSignIn>, AppError> {
        let url = oauth::begin(ctx.assistants(), ctx.user()?, request.id, request.next.as_deref()).await?;
        Ok(Reply::of(ToolSignIn { url }))
    }
}

#[dto(request)]
pub struct ConnectToolServerRequest {
    /// The server in the path that the browser came back to; left out where that was `/tools/connected`.
    pub server_id: Option<McpServerId>,
    pub state: String,
    pub code: Option<String>,
    /// Where the authorization server has refused, or the person has.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
}

/// Connect an account with a server of tools
///
/// With what the browser has brought back from the authorization server. It is good once, within ten minutes, for whoever began.
#[endpoint(POST "/r1/mcp_connections", tag = "assistants", access = Access::User, rate = RateGroup::Write, errors(OauthState, OauthDenied, WrongState, NotFound), deadline = Bound::Fixed(std::time::Duration::from_secs(30)))]
impl Endpoint for ConnectToolServer {
    type Request = ConnectToolServerRequest;
    type Response = ToolConnected;

    async fn handle(ctx: &Ctx, request: ConnectToolServerRequest) -> Result<Reply<ToolConnected>, AppError> {
        let ConnectToolServerRequest { server_id, state, code, error, iss } = request;
        let returned = Returned { server_id, state, code, error, issuer: iss };
        Ok(Reply::of(oauth::finish(ctx.assistants(), ctx.user()?, returned).await?))
    }
}

/// Disconnect one's account from a server of tools
///
/// Its tokens are forgotten, and revoked where the authorization server takes that (RFC 7009).
#[endpoint(DELETE "/r1/mcp_servers/{id}/connection", tag = "assistants", access = Access::User, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(30)))]
impl Endpoint for DisconnectToolServer {
    type Request = McpServerRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: McpServerRequest) -> Result<Reply<NoData>, AppError> {
        oauth::disconnect(ctx.assistants(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// List the programs that have tools
///
/// They stand in the configuration (`mcp.commands`) and nowhere else: no request can name a program to be run.
#[endpoint(GET "/r1/admin/mcp_commands", tag = "admin", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListMcpCommands {
    type Request = ListMcpServersRequest;
    type Response = Page<McpCommand>;

    async fn handle(ctx: &Ctx, request: ListMcpServersRequest) -> Result<Reply<Page<McpCommand>>, AppError> {
        Ok(Reply::of(servers::commands(ctx.assistants(), request.page)))
    }
}

/// List the servers of tools
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
    /// For `http`: https, or what `outgoing.allow` names.
    #[schema(max_length = 2_000)]
    pub url: Option<String>,
    /// For `stdio`: one of `GET /r1/admin/mcp_commands`.
    pub command: Option<String>,
    /// Headers for `http`, variables for `stdio`. Kept encrypted, and never shown again.
    pub secrets: Option<BTreeMap<String, String>>,
    /// Left out, `secrets`.
    pub auth: Option<McpAuth>,
    /// For `oauth`: by which the authorization server knows Natter. Left out, Natter registers itself there, where it may.
    #[schema(max_length = 500)]
    pub client_id: Option<String>,
    /// Kept encrypted, and never shown again.
    #[schema(max_length = 2_000)]
    pub client_secret: Option<String>,
    /// Left out, true.
    pub is_enabled: Option<bool>,
    /// Left out, administrators.
    pub visible_to: Option<OfferedTo>,
}

/// Add a server of tools
///
/// Its tools are asked for with `POST …/refresh`.
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

/// Show a server of tools
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
    /// Null takes it away.
    #[schema(max_length = 300)]
    pub description: Option<Option<String>>,
    /// Another place forgets the secrets.
    #[schema(max_length = 2_000)]
    pub url: Option<String>,
    /// Another program forgets the secrets.
    pub command: Option<String>,
    /// Those that are named are changed; null removes one.
    pub secrets: Option<BTreeMap<String, Option<String>>>,
    /// Another way, or another address, forgets the accounts that people have connected.
    pub auth: Option<McpAuth>,
    /// Null takes it away. Another one forgets the secret.
    #[schema(max_length = 500)]
    pub client_id: Option<Option<String>>,
    /// Null takes it away.
    #[schema(max_length = 2_000)]
    pub client_secret: Option<Option<String>>,
    pub is_enabled: Option<bool>,
    pub visible_to: Option<OfferedTo>,
    /// What is done with tools, by their names. Those that are left out stay as they are.
    pub modes: Option<BTreeMap<String, ToolMode>>,
}

/// Change a server of tools
///
/// Calls that begin later are made so. What is left out stays as it is.
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

/// Remove a server of tools
///
/// Assistants that have its tools do without them.
#[endpoint(DELETE "/r1/admin/mcp_servers/{id}", tag = "admin", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed)]
impl Endpoint for RemoveMcpServer {
    type Request = McpServerRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: McpServerRequest, by: &Confirmed) -> Result<Reply<NoData>, AppError> {
        servers::remove(ctx.assistants(), by, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

/// Ask a server for its tools
///
/// They are kept, and offered as they are until somebody asks again. Where the server can't be reached, `error` says why. A tool that is new is
/// called without asking (`auto`) where the server says that it changes nothing, else whoever asked the assistant is asked (`ask`).
#[endpoint(POST "/r1/admin/mcp_servers/{id}/refresh", tag = "admin", access = Access::Admin, rate = RateGroup::Write, deadline = Bound::Fixed(std::time::Duration::from_secs(90)))]
impl Endpoint for RefreshMcpServer {
    type Request = McpServerRequest;
    type Response = McpServer;
    type Facts = McpServerId;

    async fn handle_before(_: &Ctx, request: &mut McpServerRequest) -> Result<McpServerId, AppError> {
        Ok(request.id)
    }

    async fn handle(ctx: &Ctx, _: McpServerRequest, id: &McpServerId) -> Result<Reply<McpServer>, AppError> {
        Ok(Reply::of(servers::refresh(ctx.assistants(), ctx.user()?, *id).await?))
    }

    async fn handle_after(ctx: &Ctx, id: Option<&McpServerId>, result: Result<&Reply<McpServer>, &AppError>) {
        if let (Some(id), Ok(_)) = (id, result) {
            ctx.note(Action::McpServerChanged, Some(id.to_string())).await;
        }
    }
}

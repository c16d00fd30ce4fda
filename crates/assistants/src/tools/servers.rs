//! Tool servers: administration, and the views for creators of assistants.

use std::collections::{BTreeMap, HashSet};

use appcore::{
    AppError, Code, McpServerId,
    auth::Principal,
    page::{Page, PageRequest},
    text_field::parse_line,
    view::{
        AssistantTools, McpAuth, McpCommand, McpServer, McpTool, McpTransport, OfferedServer, OfferedTool, ToolMode,
        ToolVisibility,
    },
};
use dbcontext::{
    constraint::app_error,
    query::{
        mcp_connections,
        mcp_servers::{self as rows, McpServerFilter, McpServerRow},
        tool_permissions,
    },
};
use mcp::{HeaderName, HeaderValue, Tool};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;
use url::Url;

use super::{
    builtin,
    oauth::{self, ClientFields},
    secrets, server_prompts,
};
use crate::AssistantsService;

const MAX_NAME: usize = 60;
const MAX_DESCRIPTION: usize = 300;
const MAX_URL: usize = 2_000;
const MAX_SECRETS: usize = 20;
const MAX_SECRET: usize = 8 * 1024;
/// Maximum number of servers per installation.
const MAX_SERVERS: u64 = 100;
/// Maximum number of servers per assistant.
const MAX_CHOSEN: usize = 20;
/// Headers that the protocol sets itself.
const RESERVED: [&str; 9] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

/// Partial update of a server. `None` leaves a field unchanged; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct ServerFields {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub url: Option<String>,
    pub command: Option<String>,
    pub secrets: BTreeMap<String, Option<String>>,
    pub auth: Option<McpAuth>,
    pub client: ClientFields,
    pub is_enabled: Option<bool>,
    pub visible_to: Option<ToolVisibility>,
    pub modes: BTreeMap<String, ToolMode>,
}

/// Lists the servers for administrators.
pub async fn list(service: &AssistantsService, page: PageRequest) -> Result<Page<McpServer>, AppError> {
    let (items, total) = rows::list(service.db.reader(), McpServerFilter::All, page).await?;
    let ids: Vec<McpServerId> = items.iter().map(|row| row.id).collect();
    let mut clients = mcp_connections::manual_clients(service.db.reader(), &ids).await?;
    let items = items.into_iter().map(|row| {
        let client_id = clients.remove(&row.id);
        view(row, client_id)
    });
    Ok(Page::new(items.collect::<Result<_, _>>()?, page, total))
}

/// Returns a server for administrators.
pub async fn find(service: &AssistantsService, id: McpServerId) -> Result<McpServer, AppError> {
    let row = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    to_view(service.db.reader(), row).await
}

/// Converts a server to its view, which includes the OAuth client entered for it.
async fn to_view<C: ConnectionTrait>(db: &C, row: McpServerRow) -> Result<McpServer, AppError> {
    let client_id = mcp_connections::manual_clients(db, &[row.id]).await?.remove(&row.id);
    view(row, client_id)
}

/// Lists the programs in the configuration that can be used as local servers.
#[must_use]
pub fn commands(service: &AssistantsService, page: PageRequest) -> Page<McpCommand> {
    let all = &service.config.mcp.commands;
    let (offset, size) = (usize::try_from(page.offset()), usize::try_from(page.page_size));
    let seen = all.iter().skip(offset.unwrap_or(usize::MAX)).take(size.unwrap_or(usize::MAX));
    let items = seen.map(|known| McpCommand { name: known.name.clone(), env_names: known.env_names.clone() }).collect();
    Page::new(items, page, all.len() as u64)
}

/// Adds a server without tools; [`refresh`] loads them.
pub async fn create(
    service: &AssistantsService,
    by: &Principal,
    transport: McpTransport,
    fields: ServerFields,
) -> Result<McpServer, AppError> {
    if rows::count(service.db.reader()).await? >= MAX_SERVERS {
        return Err(AppError::refused(Code::WrongState, format!("There can be up to {MAX_SERVERS} servers.")));
    }
    let now = service.clock.now();
    let mut row = McpServerRow {
        id: McpServerId::new(),
        name: String::new(),
        search_name: String::new(),
        description: None,
        transport,
        url: None,
        command: None,
        auth: McpAuth::Secrets,
        secrets: None,
        is_sealed: false,
        secret_names: "[]".to_owned(),
        is_enabled: true,
        offered_to: ToolVisibility::Admins,
        tools: "[]".to_owned(),
        prompts: "[]".to_owned(),
        modes: "{}".to_owned(),
        checked_at: None,
        error: None,
        created_at: now,
        updated_at: now,
    };
    // A missing name is treated as an empty one, which is refused.
    let name = Some(fields.name.clone().unwrap_or_default());
    let (url, command) = match transport {
        McpTransport::Http => (Some(fields.url.clone().unwrap_or_default()), fields.command.clone()),
        McpTransport::Stdio => (fields.url.clone(), Some(fields.command.clone().unwrap_or_default())),
    };
    let client = fields.client.clone();
    apply(service, &mut row, ServerFields { name, url, command, ..fields })?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert(&tx, row.clone()).await?;
    oauth::enter_client(service, &tx, row.id, client).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::McpServerAdded, Some(row.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    to_view(service.db.writer(), row).await
}

/// Changes a server. Running calls are not affected.
pub async fn update(
    service: &AssistantsService,
    by: &Principal,
    id: McpServerId,
    fields: ServerFields,
) -> Result<McpServer, AppError> {
    let mut row = rows::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    let (before, client) = ((row.auth, row.url.clone()), fields.client.clone());
    apply(service, &mut row, fields)?;
    // The timestamp always increases, because a connection belongs to one version of the server.
    row.updated_at = service.clock.now().max(row.updated_at.plus(std::time::Duration::from_millis(1)));
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::update(&tx, row.clone()).await? {
        return Err(Code::NotFound.into());
    }
    // Connected accounts are removed, because they belong to the previous address.
    if before != (row.auth, row.url.clone()) {
        mcp_connections::remove_of_server(&tx, id).await?;
    }
    oauth::enter_client(service, &tx, id, client).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::McpServerChanged, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    service.tools.close(id);
    to_view(service.db.writer(), row).await
}

/// Removes a server. The assistants that use its tools lose them.
pub async fn remove(service: &AssistantsService, by: &Principal, id: McpServerId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::delete(&tx, id).await? {
        return Err(Code::NotFound.into());
    }
    tool_permissions::remove_of_server(&tx, id).await?;
    mcp_connections::remove_of_server(&tx, id).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::McpServerRemoved, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    service.tools.close(id);
    Ok(())
}

/// Connects to a server, with the caller's account if it has accounts, and stores its tools and
/// prompts. A failure is reported in the returned view.
pub async fn refresh(service: &AssistantsService, by: &Principal, id: McpServerId) -> Result<McpServer, AppError> {
    let row = rows::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    let found = match service.tools.list_offered(service, &row, by.user_id).await {
        Ok((tools, prompts)) => Ok((json(&tools)?, json(&prompts)?)),
        Err(error) => {
            service.tools.close(id);
            Err(error.to_string())
        }
    };
    rows::record_tools(service.db.writer(), id, row.updated_at, found, service.clock.now()).await?;
    find_now(service, id).await
}

async fn find_now(service: &AssistantsService, id: McpServerId) -> Result<McpServer, AppError> {
    let row = rows::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    to_view(service.db.writer(), row).await
}

/// Servers whose tools the caller may give to assistants.
pub async fn list_offered(
    service: &AssistantsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<OfferedServer>, AppError> {
    let (items, total) = rows::list(service.db.reader(), filter_for(by), page).await?;
    let offered = |row: McpServerRow| {
        let (tools, modes, prompts) = (tools(&row)?, modes(&row)?, server_prompts::list(&row)?);
        let tools = tools.into_iter().filter_map(|tool| {
            let mode = mode_of(&tool, &modes);
            let Tool { name, title, description, .. } = tool;
            (mode != ToolMode::Off).then_some(OfferedTool { name, title, description, mode })
        });
        Ok::<_, AppError>(OfferedServer {
            id: row.id,
            name: row.name,
            description: row.description,
            tools: tools.collect(),
            prompts,
        })
    };
    Ok(Page::new(items.into_iter().map(offered).collect::<Result<_, _>>()?, page, total))
}

fn filter_for(by: &Principal) -> McpServerFilter {
    if by.is_admin() { McpServerFilter::Enabled } else { McpServerFilter::OfferedToEveryone }
}

/// Validates the tools given to an assistant and serialises them. Tools that the assistant already
/// has may stay, even if the caller could not add them.
pub(crate) async fn validate_choice(
    service: &AssistantsService,
    by: &Principal,
    before: Option<&str>,
    chosen: Vec<AssistantTools>,
) -> Result<Option<String>, AppError> {
    if chosen.len() > MAX_CHOSEN {
        return Err(AppError::field("tools", "too_long", format!("Choose up to {MAX_CHOSEN} servers.")));
    }
    let before: Vec<AssistantTools> = match before {
        Some(before) => serde_json::from_str(before).map_err(AppError::internal)?,
        None => Vec::new(),
    };
    let ids: Vec<McpServerId> = chosen.iter().map(|choice| choice.server_id).collect();
    if ids.iter().collect::<HashSet<_>>().len() != ids.len() {
        return Err(AppError::field("tools", "invalid", "Name each server once."));
    }
    let mut known = rows::find_all(service.db.reader(), &ids).await?;
    if ids.contains(&builtin::SERVER) {
        // All built-in tools may be chosen; which of them are enabled depends on the workspace.
        known.push(builtin::server(&BTreeMap::new())?);
    }
    for choice in &chosen {
        if before.contains(choice) {
            continue;
        }
        let may_give = |row: &&McpServerRow| {
            let is_offered = by.is_admin() || row.offered_to == ToolVisibility::Everyone;
            row.id == choice.server_id && row.is_enabled && is_offered
        };
        let Some(row) = known.iter().find(may_give) else {
            return Err(AppError::field("tools", "unknown", "This server isn't available. Choose another one."));
        };
        let tools = tools(row)?;
        let is_known = |name: &String| tools.iter().any(|tool| tool.name == *name);
        if choice.tools.iter().flatten().any(|name| !is_known(name)) {
            return Err(AppError::field("tools", "unknown", "This server doesn't have all of these tools."));
        }
    }
    if chosen.is_empty() { Ok(None) } else { json(&chosen).map(Some) }
}

fn apply(service: &AssistantsService, row: &mut McpServerRow, fields: ServerFields) -> Result<(), AppError> {
    let is_http = row.transport == McpTransport::Http;
    if let Some(name) = fields.name {
        row.name = parse_line("name", &name, MAX_NAME)?;
        row.search_name = ::search::fold_name(&row.name);
    }
    if let Some(description) = fields.description {
        let text = description.as_deref().map(str::trim).filter(|text| !text.is_empty());
        row.description = text.map(|text| parse_line("description", text, MAX_DESCRIPTION)).transpose()?;
    }
    if let Some(url) = fields.url {
        let url = if is_http { parse_url(service, &url)? } else { return Err(wrong_transport("url")) };
        // Secrets are removed if the origin changes, because they belong to the address for which
        // they were entered.
        if row.url.as_deref().is_some_and(|before| !same_origin(before, &url)) && row.secrets.is_some() {
            secrets::set(row, &BTreeMap::new(), None)?;
        }
        row.url = Some(url);
    }
    if let Some(command) = fields.command {
        if is_http {
            return Err(wrong_transport("command"));
        }
        if !service.config.mcp.commands.iter().any(|known| known.name == command) {
            let message = "Choose a program from this server's configuration (mcp.commands).";
            return Err(AppError::field("command", "unknown", message));
        }
        if row.command.as_ref().is_some_and(|before| *before != command) && row.secrets.is_some() {
            secrets::set(row, &BTreeMap::new(), None)?;
        }
        row.command = Some(command);
    }
    if let Some(auth) = fields.auth {
        if auth == McpAuth::Oauth && !is_http {
            return Err(AppError::field("auth", "invalid", "Only servers with an address support sign-in."));
        }
        row.auth = auth;
    }
    if !fields.secrets.is_empty() {
        update_secrets(service, row, fields.secrets)?;
    }
    if !fields.modes.is_empty() {
        let (tools, mut known) = (tools(row)?, modes(row)?);
        for (name, mode) in fields.modes {
            if !tools.iter().any(|tool| tool.name == name) {
                return Err(AppError::field("modes", "unknown", "This server has no such tool."));
            }
            known.insert(name, mode);
        }
        row.modes = json(&known)?;
    }
    row.is_enabled = fields.is_enabled.unwrap_or(row.is_enabled);
    row.offered_to = fields.visible_to.unwrap_or(row.offered_to);
    Ok(())
}

fn wrong_transport(field: &'static str) -> AppError {
    AppError::field(field, "invalid", "Enter an address (http) or a program (stdio).")
}

fn parse_url(service: &AssistantsService, text: &str) -> Result<String, AppError> {
    let url = Url::parse(text.trim()).ok().filter(|url| text.len() <= MAX_URL && url.has_host());
    let Some(mut url) = url else { return Err(AppError::field("url", "invalid", "Enter a full address.")) };
    url.set_fragment(None);
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AppError::field("url", "invalid", "Enter credentials as a header, not in the address."));
    }
    service.outgoing.check(&url).map_err(|_| {
        let message = "This server isn't allowed to connect to this address. Use https, or add it to outgoing.allow.";
        AppError::field("url", "forbidden", message)
    })?;
    Ok(url.into())
}

fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

fn update_secrets(
    service: &AssistantsService,
    row: &mut McpServerRow,
    changed: BTreeMap<String, Option<String>>,
) -> Result<(), AppError> {
    let key = service.config.auth.key_encryption_secret.as_ref();
    let mut kept = secrets::open(row, key)?;
    for (name, value) in changed {
        // Header names are case-insensitive.
        let name = if row.transport == McpTransport::Http { name.to_ascii_lowercase() } else { name };
        match value {
            Some(value) => {
                check_secret(service, row, &name, &value)?;
                kept.insert(name, value);
            }
            None => drop(kept.remove(&name)),
        }
    }
    if kept.len() > MAX_SECRETS {
        return Err(AppError::field("secrets", "too_long", format!("Add up to {MAX_SECRETS}.")));
    }
    secrets::set(row, &kept, key)
}

fn check_secret(service: &AssistantsService, row: &McpServerRow, name: &str, value: &str) -> Result<(), AppError> {
    let refused = |message: &'static str| Err(AppError::field("secrets", "invalid", message));
    if value.len() > MAX_SECRET {
        return refused("This value is too long.");
    }
    if row.transport == McpTransport::Http {
        if HeaderName::try_from(name).is_err() || HeaderValue::from_str(value).is_err() {
            return refused("Enter a name, and a value on one line.");
        }
        if RESERVED.contains(&name) || name.starts_with("mcp-") {
            return refused("Natter sets this header itself.");
        }
        return Ok(());
    }
    let command = service.config.mcp.commands.iter().find(|known| Some(&known.name) == row.command.as_ref());
    if !command.is_some_and(|command| command.env_names.iter().any(|known| known == name)) {
        return refused("This server's configuration (mcp.commands) doesn't let admins set this variable.");
    }
    if value.contains('\0') {
        return refused("This value isn't valid.");
    }
    Ok(())
}

/// Returns the tools that a server offers.
pub(super) fn tools(row: &McpServerRow) -> Result<Vec<Tool>, AppError> {
    serde_json::from_str(&row.tools).map_err(AppError::internal)
}

/// Modes of a server's tools by name.
pub(super) fn modes(row: &McpServerRow) -> Result<BTreeMap<String, ToolMode>, AppError> {
    serde_json::from_str(&row.modes).map_err(AppError::internal)
}

/// Returns the mode of a tool: the administrator's choice or, if there is none, confirmation. The
/// server's declarations don't matter.
pub(super) fn mode_of(tool: &Tool, modes: &BTreeMap<String, ToolMode>) -> ToolMode {
    modes.get(&tool.name).copied().unwrap_or(ToolMode::Ask)
}

fn view(row: McpServerRow, client_id: Option<String>) -> Result<McpServer, AppError> {
    let modes = modes(&row)?;
    let tool = |tool: Tool| McpTool {
        mode: mode_of(&tool, &modes),
        name: tool.name,
        title: tool.title,
        description: tool.description,
        is_read_only: tool.is_read_only,
    };
    Ok(McpServer {
        id: row.id,
        tools: tools(&row)?.into_iter().map(tool).collect(),
        prompts: server_prompts::list(&row)?,
        secret_names: secrets::names(&row)?,
        auth: row.auth,
        client_id,
        name: row.name,
        description: row.description,
        transport: row.transport,
        url: row.url,
        command: row.command,
        is_enabled: row.is_enabled,
        visible_to: row.offered_to,
        checked_at: row.checked_at,
        error: row.error,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, AppError> {
    serde_json::to_string(value).map_err(AppError::internal)
}

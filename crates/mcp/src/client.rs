//! Connection to an MCP server.

use std::future::Future;

use rmcp::{
    RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, GetPromptRequestParams, Implementation,
        PaginatedRequestParams, ReadResourceRequestParams,
    },
    service::{RunningService, ServiceError},
    transport::{
        StreamableHttpClientTransport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    CallResult, Limits, McpError, Prompt, Server, Tool,
    process::Process,
    prompts::{self, MAX_PROMPTS},
    resources,
    tool::{self, MAX_TOOLS},
};

/// Maximum number of pages of a listing.
const MAX_PAGES: usize = 16;
/// Maximum size of an HTTP error response that is read, in bytes.
const MAX_ERROR_BODY: usize = 4 * 1024;

/// A connection that serves any number of concurrent calls. Dropping it closes the connection.
pub struct Client {
    service: RunningService<RoleClient, ClientConfig>,
    limits: Limits,
    /// Process of a local server. It is dropped after the service.
    _process: Option<Process>,
}

impl Client {
    /// Connects to a server and initialises the session.
    pub async fn connect(server: Server, limits: Limits) -> Result<Self, McpError> {
        let introduction =
            ClientConfig::new(ClientCapabilities::default(), Implementation::new("natter", env!("CARGO_PKG_VERSION")));
        match server {
            Server::Program(program) => {
                let (process, input, output) = Process::start(&program)?;
                let transport = AsyncRwTransport::new(output, input).with_max_line_length(limits.message);
                let service = with_timeout(limits.connect, introduction.serve(transport)).await?;
                Ok(Self { service, limits, _process: Some(process) })
            }
            Server::Address { url, headers, http } => {
                let config = StreamableHttpClientTransportConfig::with_uri(url)
                    .custom_headers(headers)
                    .max_sse_event_size(limits.message)
                    .max_json_response_size(limits.message)
                    .max_error_response_size(MAX_ERROR_BODY);
                let transport = StreamableHttpClientTransport::with_client(http, config);
                let service = with_timeout(limits.connect, introduction.serve(transport)).await?;
                Ok(Self { service, limits, _process: None })
            }
        }
    }

    /// True if the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.service.is_closed() || self.service.is_transport_closed()
    }

    /// Lists the server's tools. If it has resources, the two tools for them are included.
    pub async fn tools(&self) -> Result<Vec<Tool>, McpError> {
        with_timeout(self.limits.call, async {
            let able = self.service.peer().peer_info().map(|info| info.capabilities.clone()).unwrap_or_default();
            let (mut offered, mut cursor) = (Vec::new(), None);
            // A server that offers only resources has no tools to list.
            let pages = if able.tools.is_none() && able.resources.is_some() { 0 } else { MAX_PAGES };
            for _ in 0..pages {
                let page = self.service.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await?;
                offered.extend(page.tools);
                cursor = page.next_cursor;
                if cursor.is_none() || offered.len() >= MAX_TOOLS {
                    break;
                }
            }
            let mut kept = tool::validate_tools(offered);
            if able.resources.is_some() {
                kept.retain(|tool| ![resources::LIST_TOOL, resources::READ_TOOL].contains(&tool.name.as_str()));
                kept.truncate(MAX_TOOLS - resources::TOOL_COUNT);
                kept.extend(resources::tools());
            }
            Ok::<_, McpError>(kept)
        })
        .await
    }

    /// Lists the server's prompts.
    pub async fn prompts(&self) -> Result<Vec<Prompt>, McpError> {
        let has_some = self.service.peer().peer_info().is_some_and(|info| info.capabilities.prompts.is_some());
        if !has_some {
            return Ok(Vec::new());
        }
        with_timeout(self.limits.call, async {
            let (mut offered, mut cursor) = (Vec::new(), None);
            for _ in 0..MAX_PAGES {
                let page = PaginatedRequestParams::default().with_cursor(cursor);
                let page = self.service.peer().list_prompts(Some(page)).await?;
                offered.extend(page.prompts);
                cursor = page.next_cursor;
                if cursor.is_none() || offered.len() >= MAX_PROMPTS {
                    break;
                }
            }
            Ok::<_, McpError>(prompts::validate_prompts(offered))
        })
        .await
    }

    /// Renders a prompt with these arguments.
    pub async fn prompt(&self, name: &str, arguments: Map<String, Value>) -> Result<String, McpError> {
        let asked = GetPromptRequestParams::new(name).with_arguments(arguments);
        let said = with_timeout(self.limits.call, self.service.peer().get_prompt(asked)).await?;
        Ok(prompts::render_messages(said.messages, self.limits.result))
    }

    /// Calls a tool. Dropping the future sends a cancellation to the server.
    pub async fn call(&self, name: &str, arguments: Map<String, Value>) -> Result<CallResult, McpError> {
        match name {
            resources::LIST_TOOL => return with_timeout(self.limits.call, self.list_resources()).await,
            resources::READ_TOOL => {
                return with_timeout(self.limits.call, self.read_resource(resources::uri(&arguments)?)).await;
            }
            _ => {}
        }
        let call = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let result = with_timeout(self.limits.call, self.service.peer().call_tool(call)).await?;
        Ok(tool::result(result, self.limits.result))
    }

    async fn list_resources(&self) -> Result<CallResult, McpError> {
        let (mut found, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.peer().list_resources(Some(page)).await?;
            found.extend(page.resources);
            cursor = page.next_cursor;
            if cursor.is_none() || found.len() >= resources::MAX_LISTED {
                break;
            }
        }
        // Many servers have no resource templates and reject the method.
        let templates = match self.service.peer().list_resource_templates(None).await {
            Ok(page) => page.resource_templates,
            Err(ServiceError::McpError(_)) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(tool::text(&resources::render_listing(&found, &templates), self.limits.result))
    }

    async fn read_resource(&self, uri: &str) -> Result<CallResult, McpError> {
        let read = self.service.peer().read_resource(ReadResourceRequestParams::new(uri)).await?;
        Ok(tool::resource(read.contents, self.limits.result))
    }
}

async fn with_timeout<T, E: Into<McpError>>(
    limit: std::time::Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, McpError> {
    timeout(limit, work).await.map_err(|_| McpError::Timeout)?.map_err(Into::into)
}

//! Tools of assistants: MCP servers and tool calls.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, McpServerId, Timestamp, ToolCallId, ToolPermissionId, UserId};

/// MCP server, as shown to administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpServer {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    pub transport: McpTransport,
    /// URL of an `http` server.
    pub url: Option<String>,
    /// Command of a `stdio` server in the configuration.
    pub command: Option<String>,
    /// Authentication of calls to the server.
    pub auth: McpAuth,
    /// OAuth client id, if an administrator entered one. The client secret is never returned.
    pub client_id: Option<String>,
    /// Names of the headers or environment variables that are set.
    pub secret_names: Vec<String>,
    pub is_enabled: bool,
    /// Users who may give the server's tools to assistants.
    pub visible_to: ToolVisibility,
    /// Tools at `checked_at`.
    pub tools: Vec<McpTool>,
    /// Prompts at `checked_at`.
    pub prompts: Vec<OfferedPrompt>,
    /// Time at which the tools and prompts were last listed.
    pub checked_at: Option<Timestamp>,
    /// Error of the last attempt to list them.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Tool of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpTool {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// True if the server declares that the tool changes nothing.
    pub is_read_only: bool,
    pub mode: ToolMode,
}

/// MCP server whose tools the caller may give to assistants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedServer {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    /// Tools that are not disabled.
    pub tools: Vec<OfferedTool>,
    pub prompts: Vec<OfferedPrompt>,
}

/// Prompt of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedPrompt {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub arguments: Vec<OfferedPromptArgument>,
}

/// Argument of an MCP server's prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedPromptArgument {
    pub name: String,
    pub description: Option<String>,
    pub is_required: bool,
}

/// Text of an MCP server's prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptText {
    pub text: String,
}

/// Tool that can be given to assistants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedTool {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mode: ToolMode,
}

/// Built-in tools of a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceTools {
    /// Server id that stands for the built-in tools.
    pub server_id: McpServerId,
    pub name: String,
    pub tools: Vec<OfferedTool>,
}

/// Command of an MCP server, from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpCommand {
    pub name: String,
    /// Environment variables that an administrator may set.
    pub env_names: Vec<String>,
}

/// Tools of one server that an assistant may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantTools {
    pub server_id: McpServerId,
    /// Names of the tools; null for all of them.
    pub tools: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpTransport {
    Http,
    /// The server is a program on the same machine as Natter.
    Stdio,
}

/// Authentication of calls to an MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpAuth {
    /// Headers or environment variables that an administrator has set. They are the same for all
    /// users.
    Secrets,
    /// OAuth account that each user connects for themselves. Only for `http` servers.
    Oauth,
}

/// MCP server that the user can connect an account with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolConnection {
    pub server_id: McpServerId,
    /// Name of the server.
    pub server: String,
    pub description: Option<String>,
    pub state: ToolConnectionState,
    pub connected_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolConnectionState {
    /// The user has not connected an account.
    None,
    Connected,
    /// The user has to sign in again.
    Expired,
}

/// Start of the sign-in at an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolSignIn {
    /// URL to open in a browser.
    pub url: String,
}

/// Account that was connected with an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolConnected {
    pub server_id: McpServerId,
    /// Name of the server.
    pub server: String,
    /// Page of the app to return to.
    pub next: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OfferedTo)]
pub enum ToolVisibility {
    /// All users who may create assistants.
    Everyone,
    /// Administrators of the server.
    Admins,
}

/// Handling of a model's request to call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// The tool is called without confirmation.
    Auto,
    /// The tool is called after the user who asked has allowed it.
    Ask,
    /// The tool is not offered to the model.
    Off,
}

/// Tool call in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: ToolCallId,
    /// Server of the tool, to connect an account with; absent in old calls.
    #[serde(default)]
    pub server_id: Option<McpServerId>,
    /// Name of the server.
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub status: ToolCallStatus,
    /// Arguments as JSON; truncated in messages, complete in an answer's details.
    pub arguments: String,
    /// True if the user has edited the arguments.
    #[serde(default)]
    pub is_edited: bool,
    /// True if later calls may be allowed too (`remember`).
    #[serde(default)]
    pub may_remember: bool,
    /// Result; truncated in messages, up to 32 KiB in an answer's details. Untrusted data.
    pub result: Option<String>,
    /// Number of images in the result, at `GET …/tool_calls/{call_id}/pictures/{number}` from 1 on.
    #[serde(default)]
    pub pictures: u32,
    /// Position in the answer's text, in UTF-16 code units.
    pub at: u64,
    /// User who may decide a waiting call.
    pub asker_id: UserId,
    /// Time until which the call can be decided.
    pub expires_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolCallStatus {
    /// The call waits for the user's permission.
    Waiting,
    /// The call was allowed but has not started yet.
    Queued,
    Running,
    Done,
    /// The tool or its server failed.
    Failed,
    /// The tool was not called, because the user has not connected an account with the server, or
    /// the connection has expired.
    Unconnected,
    /// The user has denied the call.
    Refused,
    /// The user has neither allowed nor denied the call in time.
    Expired,
    /// The call was interrupted, because the instance or the answer stopped. It may have taken
    /// effect, and is not repeated.
    Interrupted,
    /// The answer ended before the call started.
    Stopped,
}

/// Tool call with the schema of its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDetails {
    #[serde(flatten)]
    pub call: ToolCall,
    /// JSON Schema of the arguments; null if the tool is gone.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<serde_json::Value>,
}

/// Tool that an assistant may call without confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolPermission {
    pub id: ToolPermissionId,
    pub assistant_id: AssistantId,
    pub assistant_name: String,
    pub server_id: McpServerId,
    /// Name of the tool's server.
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub created_at: Timestamp,
}

/// Decision of the user on a waiting tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolDecision {
    Allow,
    Deny,
}

stored_by_name! {
    McpTransport { Http = "http", Stdio = "stdio" }
    McpAuth { Secrets = "secrets", Oauth = "oauth" }
    ToolVisibility { Everyone = "everyone", Admins = "admins" }
    ToolMode { Auto = "auto", Ask = "ask", Off = "off" }
    ToolCallStatus {
        Waiting = "waiting", Queued = "queued", Running = "running", Done = "done", Failed = "failed",
        Unconnected = "unconnected", Refused = "refused",
        Expired = "expired", Interrupted = "interrupted", Stopped = "stopped"
    }
}

//! Tools of assistants: MCP servers and tool calls.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, McpServerId, Timestamp, ToolCallId, ToolPermissionId, UserId};

/// MCP server, as seen by administrators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpServer {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    pub transport: McpTransport,
    /// URL, for `http`.
    pub url: Option<String>,
    /// Name of the command in the configuration, for `stdio`.
    pub command: Option<String>,
    /// Authentication of calls to the server.
    pub auth: McpAuth,
    /// OAuth client id at its authorization server, if an administrator has entered one. The secret
    /// is never returned.
    pub client_id: Option<String>,
    /// Names of its headers or environment variables. Their values are never returned.
    pub secret_names: Vec<String>,
    pub is_enabled: bool,
    /// Users who may give its tools to assistants.
    pub visible_to: ToolVisibility,
    /// Tools as of `checked_at`.
    pub tools: Vec<McpTool>,
    /// Prompts as of `checked_at`.
    pub prompts: Vec<OfferedPrompt>,
    /// Time of the last listing.
    pub checked_at: Option<Timestamp>,
    /// Error of the last listing.
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

/// Natter's built-in tools in a workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceTools {
    /// Id by which they are given to assistants.
    pub server_id: McpServerId,
    pub name: String,
    pub tools: Vec<OfferedTool>,
}

/// MCP server command in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpCommand {
    pub name: String,
    /// Environment variables that an administrator may set.
    pub env_names: Vec<String>,
}

/// Tools of a server that an assistant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantTools {
    pub server_id: McpServerId,
    /// Null: all tools.
    pub tools: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpTransport {
    Http,
    /// Program on the server's machine.
    Stdio,
}

/// Authentication of calls to an MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpAuth {
    /// Headers or environment variables set by an administrator, the same for all users.
    Secrets,
    /// Each user connects their own account (OAuth); only for `http`.
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
    /// No account is connected.
    None,
    Connected,
    /// The user has to sign in again.
    Expired,
}

/// Sign-in page of an MCP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolSignIn {
    /// URL to open in a browser.
    pub url: String,
}

/// Connected account of an MCP server.
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
    /// All users who create assistants.
    Everyone,
    /// Administrators of the server.
    Admins,
}

/// Handling of a model's request to call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// Called without confirmation.
    Auto,
    /// Called after the user who asked has allowed it.
    Ask,
    /// Not offered to the model.
    Off,
}

/// Tool call in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: ToolCallId,
    /// Server, with which an account can be connected. Absent in old calls.
    #[serde(default)]
    pub server_id: Option<McpServerId>,
    /// Name of the server.
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub status: ToolCallStatus,
    /// JSON; truncated in a message, complete in the details of an answer.
    pub arguments: String,
    /// True if the user has edited the arguments.
    #[serde(default)]
    pub is_edited: bool,
    /// True if the user may allow future calls, too (`remember`).
    #[serde(default)]
    pub may_remember: bool,
    /// Result; truncated in a message, up to 32 KiB in the details of an answer. Untrusted data.
    pub result: Option<String>,
    /// Number of images in the result: `GET …/tool_calls/{call_id}/pictures/{number}`, from 1.
    #[serde(default)]
    pub pictures: u32,
    /// Offset in the content, in UTF-16 code units.
    pub at: u64,
    /// User who may decide about it while it is waiting.
    pub asker_id: UserId,
    /// Deadline of the decision.
    pub expires_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolCallStatus {
    /// Waiting for the user's permission.
    Waiting,
    /// Allowed, not started yet.
    Queued,
    Running,
    Done,
    /// The tool or its server failed.
    Failed,
    /// The user has no account connected with the server, or its sign-in has expired. The tool was
    /// not called.
    Unconnected,
    /// Denied by the user.
    Refused,
    /// Not decided in time.
    Expired,
    /// Interrupted while running, because the instance or the answer stopped. It may have taken
    /// effect, and was not called again.
    Interrupted,
    /// The answer ended first.
    Stopped,
}

/// Tool call with the schema of its arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDetails {
    #[serde(flatten)]
    pub call: ToolCall,
    /// JSON Schema of the arguments. Null if the tool doesn't exist any more.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<serde_json::Value>,
}

/// A tool that an assistant may call without asking the caller again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolPermission {
    pub id: ToolPermissionId,
    pub assistant_id: AssistantId,
    pub assistant_name: String,
    pub server_id: McpServerId,
    /// The server's name.
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub created_at: Timestamp,
}

/// Decision on a waiting tool call.
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

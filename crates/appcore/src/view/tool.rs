//! Tools of assistants: the servers that have them, and calls of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stored_by_name;
use crate::{AssistantId, McpServerId, Timestamp, ToolCallId, ToolPermissionId, UserId};

/// A server of tools, as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpServer {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    pub transport: McpTransport,
    /// Where it is, for `http`.
    pub url: Option<String>,
    /// Which of the programs of the configuration it is, for `stdio`.
    pub command: Option<String>,
    /// How it is asked who calls.
    pub auth: McpAuth,
    /// By which Natter is known to its authorization server, where an administrator has entered that. The secret is never shown.
    pub client_id: Option<String>,
    /// The names of its headers, or of its environment. Their values are never shown.
    pub secret_names: Vec<String>,
    pub is_enabled: bool,
    /// Who may give its tools to assistants.
    pub visible_to: OfferedTo,
    /// As they were found last.
    pub tools: Vec<McpTool>,
    /// Its prompts, as they were found last.
    pub prompts: Vec<OfferedPrompt>,
    /// When its tools were asked for last.
    pub checked_at: Option<Timestamp>,
    /// What was wrong then.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpTool {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    /// By the server's own word: it changes nothing.
    pub is_read_only: bool,
    pub mode: ToolMode,
}

/// A server whose tools the caller may give to assistants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedServer {
    pub id: McpServerId,
    pub name: String,
    pub description: Option<String>,
    /// Without those that are off.
    pub tools: Vec<OfferedTool>,
    pub prompts: Vec<OfferedPrompt>,
}

/// A text to begin with that a server makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedPrompt {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub arguments: Vec<OfferedPromptArgument>,
}

/// What a server's prompt is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedPromptArgument {
    pub name: String,
    pub description: Option<String>,
    pub is_required: bool,
}

/// What a server's prompt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromptText {
    pub text: String,
}

/// A tool that may be given to assistants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferedTool {
    pub name: String,
    pub title: Option<String>,
    pub description: Option<String>,
    pub mode: ToolMode,
}

/// Natter's own tools, as a workspace uses them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceTools {
    /// By which assistants are given them.
    pub server_id: McpServerId,
    pub name: String,
    pub tools: Vec<OfferedTool>,
}

/// A program of the configuration that has tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct McpCommand {
    pub name: String,
    /// What an administrator may put into its environment.
    pub env_names: Vec<String>,
}

/// The tools of a server that an assistant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantTools {
    pub server_id: McpServerId,
    /// Null: all of them.
    pub tools: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpTransport {
    Http,
    /// A program on the server's own machine.
    Stdio,
}

/// How a server knows who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum McpAuth {
    /// By the headers or the environment that an administrator has entered, the same for everyone.
    Secrets,
    /// Each person connects an account of theirs (OAuth); for `http` alone.
    Oauth,
}

/// A server that one can connect an account with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolConnection {
    pub server_id: McpServerId,
    /// The server's name.
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
    /// One has to sign in anew.
    Expired,
}

/// Where one signs in to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolSignIn {
    /// For a browser.
    pub url: String,
}

/// An account was connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolConnected {
    pub server_id: McpServerId,
    /// The server's name.
    pub server: String,
    /// The page of the app where one came from.
    pub next: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OfferedTo {
    /// Whoever makes an assistant.
    Everyone,
    /// Administrators of the installation.
    Admins,
}

/// What happens when a model wants to call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolMode {
    /// It is called.
    Auto,
    /// Whoever asked the assistant is asked first.
    Ask,
    /// It isn't offered.
    Off,
}

/// A call of a tool, in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: ToolCallId,
    /// With which an account can be connected. Left out of what was called before this was kept.
    #[serde(default)]
    pub server_id: Option<McpServerId>,
    /// The server's name.
    pub server: String,
    pub tool: String,
    pub title: Option<String>,
    pub status: ToolCallStatus,
    /// JSON; cut in a message, whole in an answer's details.
    pub arguments: String,
    /// Whoever asked has changed the arguments.
    #[serde(default)]
    pub is_edited: bool,
    /// Whoever asked may allow it for later, too (`remember`).
    #[serde(default)]
    pub may_remember: bool,
    /// Cut in a message, up to 32 KiB in an answer's details. Data, whatever it says.
    pub result: Option<String>,
    /// How many pictures the result has: `GET …/tool_calls/{call_id}/pictures/{number}`, from 1.
    #[serde(default)]
    pub pictures: u32,
    /// Where in the content it stands, in UTF-16 code units.
    pub at: u64,
    /// Who may decide about it, where it waits.
    pub asker_id: UserId,
    /// Until when it waits.
    pub expires_at: Option<Timestamp>,
    pub duration_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolCallStatus {
    /// Whoever asked has to allow it.
    Waiting,
    /// It will be called.
    Queued,
    Running,
    Done,
    /// The tool or its server failed.
    Failed,
    /// Whoever asked has no account connected with the server, or its sign-in has expired. It was not called.
    Unconnected,
    /// Whoever asked denied it.
    Refused,
    /// Nobody decided in time.
    Expired,
    /// It was broken off while it ran: the instance stopped, or the answer was. It may have taken effect, and was not called again.
    Interrupted,
    /// The answer ended before it did.
    Stopped,
}

/// A call with what its arguments may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ToolCallDetails {
    #[serde(flatten)]
    pub call: ToolCall,
    /// The JSON Schema of its arguments. Null: the tool isn't there any more.
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

/// What somebody says to a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolDecision {
    Allow,
    Deny,
}

stored_by_name! {
    McpTransport { Http = "http", Stdio = "stdio" }
    McpAuth { Secrets = "secrets", Oauth = "oauth" }
    OfferedTo { Everyone = "everyone", Admins = "admins" }
    ToolMode { Auto = "auto", Ask = "ask", Off = "off" }
    ToolCallStatus {
        Waiting = "waiting", Queued = "queued", Running = "running", Done = "done", Failed = "failed",
        Unconnected = "unconnected", Refused = "refused",
        Expired = "expired", Interrupted = "interrupted", Stopped = "stopped"
    }
}

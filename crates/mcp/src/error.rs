//! Errors of MCP servers, with messages for users.

use rmcp::service::{ClientInitializeError, ServiceError};

/// Maximum length of a server's text quoted in a message, in characters.
const MAX_QUOTED_CHARS: usize = 300;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum McpError {
    /// The program could not be started.
    #[error("The program couldn't be started: {0}")]
    StartFailed(String),
    /// The connection failed or was lost.
    #[error("The server can't be reached: {0}")]
    Unreachable(String),
    #[error("The server didn't answer in time.")]
    Timeout,
    /// The server violated the protocol.
    #[error("The server sent something Natter couldn't read.")]
    Garbled,
    /// The server rejected the credentials.
    #[error("The server refused the credentials.")]
    Credentials,
    /// The credentials lack a scope; holds the challenge of the `WWW-Authenticate` header.
    #[error("The credentials don't have enough permissions.")]
    Scope(String),
    /// The user has to sign in to the server.
    #[error("No account is connected with this server, or its sign-in has expired.")]
    AccountNotConnected,
    /// The server returned an error; holds its message.
    #[error("The server refused: {0}")]
    Refused(String),
}

impl From<ServiceError> for McpError {
    fn from(error: ServiceError) -> Self {
        if error.is_authorization_required() {
            return Self::Credentials;
        }
        if let Some(challenge) = scope_challenge(error.auth_challenge()) {
            return Self::Scope(challenge);
        }
        match error {
            ServiceError::McpError(data) => Self::Refused(quoted(&data.message)),
            ServiceError::Timeout { .. } => Self::Timeout,
            ServiceError::TransportSend(error) => Self::Unreachable(quoted(&error.to_string())),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } => {
                Self::Unreachable("the connection was closed".to_owned())
            }
            _ => Self::Garbled,
        }
    }
}

impl From<ClientInitializeError> for McpError {
    fn from(error: ClientInitializeError) -> Self {
        if error.is_authorization_required() {
            return Self::Credentials;
        }
        if let Some(challenge) = scope_challenge(error.auth_challenge()) {
            return Self::Scope(challenge);
        }
        match error {
            ClientInitializeError::JsonRpcError(data) => Self::Refused(quoted(&data.message)),
            ClientInitializeError::TransportError { error, .. } => Self::Unreachable(quoted(&error.to_string())),
            ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::Cancelled => {
                Self::Unreachable("the connection was closed".to_owned())
            }
            _ => Self::Garbled,
        }
    }
}

/// Returns the challenge if it names the missing scope.
fn scope_challenge(challenge: Option<&str>) -> Option<String> {
    challenge.filter(|told| told.contains("insufficient_scope") && told.contains("scope=")).map(str::to_owned)
}

/// Returns the beginning of a text on one line, for quoting in a message.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_QUOTED_CHARS).collect()
}

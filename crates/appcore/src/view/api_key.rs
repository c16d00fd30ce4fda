//! API keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, GatewayEndpoint, RestrictedParameter};
use crate::{ApiKeyId, Timestamp, WorkspaceId, auth::Scope};

/// API key of a user. The key itself is returned only once, when it is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// First characters of the key, by which its owner can recognise it.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// Time of the last use, accurate to the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Workspace whose budget also counts the usage, in addition to the owner's. The key becomes
    /// invalid when its owner leaves the workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Models that the key may call; if empty, all models.
    pub models: Vec<String>,
    /// Endpoints of `/v1` that the key may call; if empty, all of them.
    pub endpoints: Vec<GatewayEndpoint>,
    /// Restricted parameters that may be passed through to the provider, as far as the provider's
    /// settings allow them. If null, all that the settings allow are passed.
    pub passthrough: Option<Vec<RestrictedParameter>>,
    /// Maximum number of requests per minute; null if there is no limit.
    pub rpm: Option<u32>,
    /// Maximum number of tokens per minute; null if there is no limit.
    pub tpm: Option<u32>,
    /// Maximum number of concurrent requests; null if there is no limit.
    pub parallel: Option<u32>,
    pub budget: Option<Budget>,
    /// Time until which the previous secret is accepted after a rotation.
    pub previous_until: Option<Timestamp>,
}

//! API keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, GatewayEndpoint, RestrictedParameter};
use crate::{ApiKeyId, Timestamp, WorkspaceId, auth::Scope};

/// API key of a user. The key itself is returned once, when it is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// First characters of the key, for its owner to recognise it.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// Accurate to the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Workspace whose budget pays for its use, in addition to the owner's. The key is invalid once
    /// its owner leaves the workspace.
    pub workspace_id: Option<WorkspaceId>,
    /// Models that the key may use. Empty: all models.
    pub models: Vec<String>,
    /// Parts of `/v1` that the key may call. Empty: all.
    pub endpoints: Vec<GatewayEndpoint>,
    /// Restricted parameters that are passed through to the provider, as far as its settings allow. Null: all that these allow.
    pub passthrough: Option<Vec<RestrictedParameter>>,
    /// Maximum number of requests per minute.
    pub rpm: Option<u32>,
    /// Maximum number of tokens per minute.
    pub tpm: Option<u32>,
    /// Maximum number of concurrent requests.
    pub parallel: Option<u32>,
    pub budget: Option<Budget>,
    /// Time until which the key from before the last rotation is accepted.
    pub previous_until: Option<Timestamp>,
}

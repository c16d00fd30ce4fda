//! API keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, GatewayEndpoint, GatewayPass};
use crate::{ApiKeyId, Timestamp, WorkspaceId, auth::Scope};

/// A key by which a program acts for its owner. The key itself is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// How the key begins, so that its owner recognises it.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// To the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Whose budget its use counts against, beside its owner's. It ends with its owner's membership there.
    pub workspace_id: Option<WorkspaceId>,
    /// Models that it may ask for. None named: every model.
    pub models: Vec<String>,
    /// Parts of `/v1` that it may call. None named: all.
    pub endpoints: Vec<GatewayEndpoint>,
    /// Restricted parameters that are passed through to the provider, as far as its settings allow. Null: all that these allow.
    pub passthrough: Option<Vec<GatewayPass>>,
    /// Requests in a minute.
    pub rpm: Option<u32>,
    /// Tokens in a minute.
    pub tpm: Option<u32>,
    /// Requests at the same time.
    pub parallel: Option<u32>,
    pub budget: Option<Budget>,
    /// Until when the key from before the last rotation is accepted.
    pub previous_until: Option<Timestamp>,
}

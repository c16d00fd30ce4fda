//! API keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Budget, BudgetLimit, EndUserSource, GatewayEndpoint, RestrictedParameter};
use crate::{ApiKeyId, Timestamp, WorkspaceId, auth::Scope};

/// API key. The secret is returned only at its creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// First characters, for recognition.
    pub prefix: String,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<Timestamp>,
    /// Last use, accurate to the minute.
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Workspace whose budget counts the usage as well. The key becomes invalid when its owner
    /// leaves it.
    pub workspace_id: Option<WorkspaceId>,
    /// Allowed models; if empty, all.
    pub models: Vec<String>,
    /// Allowed endpoints of `/v1`; if empty, all.
    pub endpoints: Vec<GatewayEndpoint>,
    /// Restricted parameters to pass through, as far as the provider's settings allow; null for
    /// all.
    pub passthrough: Option<Vec<RestrictedParameter>>,
    /// Maximum requests per minute; null for no limit.
    pub rpm: Option<u32>,
    /// Maximum tokens per minute; null for no limit.
    pub tpm: Option<u32>,
    /// Maximum concurrent requests; null for no limit.
    pub parallel: Option<u32>,
    pub budget: Option<Budget>,
    /// Source of the end user of a call.
    pub end_users: EndUserSource,
    /// Budget of each end user.
    pub end_user_budget: Option<BudgetLimit>,
    /// Budgets of single end users in place of `end_user_budget`.
    pub end_user_budgets: BTreeMap<String, BudgetLimit>,
    /// Budgets for the calls of single models, by their names.
    pub model_budgets: BTreeMap<String, BudgetLimit>,
    /// Budgets for the calls with single tags.
    pub tag_budgets: BTreeMap<String, BudgetLimit>,
    /// Time until which the previous secret is valid.
    pub previous_until: Option<Timestamp>,
}

//! Restrictions of an API key in addition to its scopes.

use std::{str::FromStr, sync::Arc};

use appcore::{
    WorkspaceId,
    view::{BudgetScope, GatewayEndpoint, RestrictedParameter},
};
use dbcontext::query::{api_keys::ApiKeyStatus, budgets::BudgetId};
use platform::rate_limits::KeyLimit;
use uuid::Uuid;

/// Restrictions of a key, cached together with its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPolicy {
    pub workspace_id: Option<WorkspaceId>,
    /// Allowed models; empty allows all.
    pub models: Vec<String>,
    /// Allowed endpoints; empty allows all.
    pub endpoints: Vec<GatewayEndpoint>,
    /// Allowed pass-through parameters that affect routing or cost. `None` allows all that the
    /// provider supports.
    pub passes: Option<Arc<[RestrictedParameter]>>,
    pub limit: KeyLimit,
    /// Budgets that apply to the key. If there are none, budget checks need no query.
    pub budgets: Vec<BudgetId>,
}

impl KeyPolicy {
    pub fn from_row(row: &ApiKeyStatus) -> Self {
        let is_there = |bit: i64| row.budgets & bit != 0;
        let scopes = [
            (1, BudgetScope::Key, Some(row.id.0)),
            (2, BudgetScope::User, Some(row.user_id.0)),
            (4, BudgetScope::Workspace, row.workspace_id.map(|id| id.0)),
        ];
        let budget = |(bit, scope, id): (i64, BudgetScope, Option<Uuid>)| {
            id.filter(|_| is_there(bit)).map(|id| BudgetId { scope, id })
        };
        Self {
            workspace_id: row.workspace_id,
            models: models(row.models.as_deref()),
            endpoints: endpoints(row.endpoints.as_deref()),
            passes: passes(row.passes.as_deref()).map(Into::into),
            limit: KeyLimit {
                rpm: parse_limit(row.rpm),
                tpm: parse_limit(row.tpm),
                parallel: parse_limit(row.parallel),
            },
            budgets: scopes.into_iter().filter_map(budget).collect(),
        }
    }
}

pub fn models(stored: Option<&str>) -> Vec<String> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub fn endpoints(stored: Option<&str>) -> Vec<GatewayEndpoint> {
    stored.map(parse_names).unwrap_or_default()
}

pub fn passes(stored: Option<&str>) -> Option<Vec<RestrictedParameter>> {
    stored.map(parse_names)
}

/// Parses a comma-separated list. Names that this version doesn't know are skipped.
fn parse_names<T: FromStr>(stored: &str) -> Vec<T> {
    stored.split(',').filter_map(|name| name.parse().ok()).collect()
}

pub fn parse_limit(stored: Option<i64>) -> Option<u32> {
    stored.and_then(|number| u32::try_from(number).ok())
}

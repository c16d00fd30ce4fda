//! Restrictions of an API key in addition to its scopes.

use std::{collections::BTreeMap, str::FromStr, sync::Arc};

use appcore::{
    WorkspaceId,
    view::{BudgetLimit, BudgetScope, EndUserSource, GatewayEndpoint, RestrictedParameter},
};
use dbcontext::query::{api_keys::ApiKeyStatus, budgets::BudgetId};
use platform::rate_limits::KeyLimit;
use serde::{Deserialize, Serialize};
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
    pub end_users: EndUserSource,
    /// Budgets of parts of the key's calls.
    pub scoped_budgets: Arc<ScopedBudgets>,
}

/// Budgets of parts of a key's calls, as the column `scoped_budgets` stores them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScopedBudgets {
    /// Budget of each end user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<BudgetLimit>,
    /// Budgets of single end users in place of `end_user`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub end_users: BTreeMap<String, BudgetLimit>,
    /// Budgets for the calls of single models, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, BudgetLimit>,
    /// Budgets for the calls with single tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, BudgetLimit>,
}

impl ScopedBudgets {
    /// Parses the stored budgets. Unreadable ones count as none.
    #[must_use]
    pub fn parse(stored: Option<&str>) -> Self {
        stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Encodes the budgets for storage; `None` if there are none.
    pub fn to_stored(&self) -> serde_json::Result<Option<String>> {
        if *self == Self::default() { Ok(None) } else { serde_json::to_string(self).map(Some) }
    }

    /// Returns the limit of a part of the key's calls; `None` if it has none.
    #[must_use]
    pub fn limit_of(&self, scope: BudgetScope, name: &str) -> Option<BudgetLimit> {
        match scope {
            BudgetScope::Key | BudgetScope::User | BudgetScope::Workspace => None,
            BudgetScope::EndUser => self.end_users.get(name).copied().or(self.end_user),
            BudgetScope::Model => self.models.get(name).copied(),
            BudgetScope::Tag => self.tags.get(name).copied(),
        }
    }
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
            end_users: parse_end_users(row.end_users.as_deref()),
            scoped_budgets: Arc::new(ScopedBudgets::parse(row.scoped_budgets.as_deref())),
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

/// Parses the source of end users. Names that this version doesn't know count as the default.
pub fn parse_end_users(stored: Option<&str>) -> EndUserSource {
    stored.and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// Parses a comma-separated list. Names that this version doesn't know are skipped.
fn parse_names<T: FromStr>(stored: &str) -> Vec<T> {
    stored.split(',').filter_map(|name| name.parse().ok()).collect()
}

pub fn parse_limit(stored: Option<i64>) -> Option<u32> {
    stored.and_then(|number| u32::try_from(number).ok())
}

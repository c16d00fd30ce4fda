//! Requested changes of a [key policy](key_policy::KeyPolicy).

use std::collections::BTreeMap;

use appcore::{
    AppError, WorkspaceId,
    auth::{Permission, Principal},
    view::{BudgetLimit, EndUserSource, GatewayEndpoint, RestrictedParameter},
};
use dbcontext::entity::api_key;
use identity::{
    accounts::key_policy::{self, ScopedBudgets},
    membership,
};

use crate::{BillingIdentity, GatewayService, model_lists};

/// Maximum number of models in a key's list.
const MAX_MODELS: usize = 200;
const MAX_MODEL_BYTES: usize = 200;
/// Maximum budget, so that sums of budgets fit into 64 bits.
const MAX_BUDGET: i64 = 1_000_000_000_000_000;
const MAX_PER_MINUTE: u32 = 1_000_000_000;
const MAX_PARALLEL: u32 = 100_000;
/// Maximum number of end users, models or tags with budgets of their own.
const MAX_NAMED_BUDGETS: usize = 100;

/// Changes of a key's policy; `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct PolicyChange {
    pub workspace_id: Option<Option<WorkspaceId>>,
    pub models: Option<Vec<String>>,
    pub endpoints: Option<Vec<GatewayEndpoint>>,
    pub passthrough: Option<Option<Vec<RestrictedParameter>>>,
    pub rpm: Option<Option<u32>>,
    pub tpm: Option<Option<u32>>,
    pub parallel: Option<Option<u32>>,
    pub budget: Option<Option<BudgetLimit>>,
    pub end_users: Option<EndUserSource>,
    pub end_user_budget: Option<Option<BudgetLimit>>,
    pub end_user_budgets: Option<BTreeMap<String, BudgetLimit>>,
    pub model_budgets: Option<BTreeMap<String, BudgetLimit>>,
    pub tag_budgets: Option<BTreeMap<String, BudgetLimit>>,
}

impl PolicyChange {
    /// Validates the changes.
    pub async fn check(&self, service: &GatewayService, by: &Principal) -> Result<(), AppError> {
        if let Some(Some(workspace)) = self.workspace_id {
            membership::authorize(&service.identity, by, workspace, Permission::CreateContent).await?;
        }
        if let Some(models) = &self.models {
            if models.len() > MAX_MODELS {
                return Err(AppError::field("models", "too_long", format!("At most {MAX_MODELS} models.")));
            }
            for model in models {
                if model.len() > MAX_MODEL_BYTES || service.find_model(model).is_none() {
                    let shown: String = model.chars().take(80).collect();
                    let message = format!("This server has no model “{shown}”.");
                    return Err(AppError::field("models", "unknown", message));
                }
            }
        }
        for (name, limit, most) in [
            ("rpm", self.rpm, MAX_PER_MINUTE),
            ("tpm", self.tpm, MAX_PER_MINUTE),
            ("parallel", self.parallel, MAX_PARALLEL),
        ] {
            if limit.flatten().is_some_and(|limit| limit == 0 || limit > most) {
                return Err(AppError::field(
                    name,
                    "invalid",
                    format!("Choose a number from 1 to {most}, or no limit."),
                ));
            }
        }
        for (field, budget) in [("budget.limit", self.budget), ("end_user_budget.limit", self.end_user_budget)] {
            budget.flatten().map_or(Ok(()), |budget| check_budget(field, budget))?;
        }
        check_named("end_user_budgets", self.end_user_budgets.as_ref(), ::ai::parse_end_user)?;
        check_named("tag_budgets", self.tag_budgets.as_ref(), ::ai::parse_tag)?;
        // An alias stands for the name of its model, which usage is counted by.
        let known = |name: &str| service.find_model(name).map(|_| name.to_owned());
        check_named("model_budgets", self.model_budgets.as_ref(), known)
    }

    /// Applies the changes to the key's row; the budget has its own row.
    pub(crate) fn apply(self, service: &GatewayService, row: &mut api_key::Model) -> Result<(), AppError> {
        let is_about_models = self.models.is_some() || self.workspace_id.is_some();
        if let Some(workspace) = self.workspace_id {
            row.workspace_id = workspace;
        }
        if let Some(mut models) = self.models {
            let mut seen = std::collections::HashSet::new();
            models.retain(|model| seen.insert(model.clone()));
            let list = serde_json::to_string(&models).map_err(AppError::internal)?;
            row.models = (!models.is_empty()).then_some(list);
        }
        if let Some(endpoints) = self.endpoints {
            let names = join_names(endpoints.into_iter().map(GatewayEndpoint::as_str));
            row.endpoints = (!names.is_empty()).then_some(names);
        }
        if let Some(passthrough) = self.passthrough {
            row.passes = passthrough.map(|names| join_names(names.into_iter().map(RestrictedParameter::as_str)));
        }
        for (limit, column) in [(self.rpm, &mut row.rpm), (self.tpm, &mut row.tpm), (self.parallel, &mut row.parallel)]
        {
            if let Some(limit) = limit {
                *column = limit.map(i64::from);
            }
        }
        if let Some(source) = self.end_users {
            row.end_users = Some(source.as_str().to_owned());
        }
        let mut scoped = ScopedBudgets::parse(row.scoped_budgets.as_deref());
        scoped.end_user = self.end_user_budget.unwrap_or(scoped.end_user);
        scoped.end_users = self.end_user_budgets.unwrap_or(scoped.end_users);
        scoped.tags = self.tag_budgets.unwrap_or(scoped.tags);
        if let Some(models) = self.model_budgets {
            let name_of = |name: String| service.find_model(&name).map_or(name, |model| model.name.to_string());
            scoped.models = models.into_iter().map(|(name, limit)| (name_of(name), limit)).collect();
        }
        row.scoped_budgets = scoped.to_stored().map_err(AppError::internal)?;
        if is_about_models { check_models(service, row) } else { Ok(()) }
    }
}

/// Joins the names for storage, without duplicates.
fn join_names(names: impl Iterator<Item = &'static str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join(",")
}

/// Fails if the key's list contains a model that its owner or workspace may not use.
fn check_models(service: &GatewayService, row: &api_key::Model) -> Result<(), AppError> {
    let asker = BillingIdentity { user_id: row.user_id, workspace_id: row.workspace_id };
    for name in key_policy::models(row.models.as_deref()) {
        model_lists::check(service, asker, &name, "models")?;
    }
    Ok(())
}

/// Checks budgets by name. `parse` returns the form in which calls have the name.
fn check_named(
    field: &'static str,
    budgets: Option<&BTreeMap<String, BudgetLimit>>,
    parse: impl Fn(&str) -> Option<String>,
) -> Result<(), AppError> {
    let Some(budgets) = budgets else { return Ok(()) };
    if budgets.len() > MAX_NAMED_BUDGETS {
        return Err(AppError::field(field, "too_long", format!("At most {MAX_NAMED_BUDGETS} budgets.")));
    }
    for (name, budget) in budgets {
        if parse(name).as_deref() != Some(name.as_str()) {
            let shown: String = name.chars().take(80).collect();
            return Err(AppError::field(field, "invalid", format!("“{shown}” can't have a budget. Check the name.")));
        }
        check_budget(field, *budget)?;
    }
    Ok(())
}

pub(super) fn check_budget(field: &'static str, budget: BudgetLimit) -> Result<(), AppError> {
    if (0..=MAX_BUDGET).contains(&budget.limit.0) {
        return Ok(());
    }
    Err(AppError::field(field, "invalid", format!("Choose an amount from 0 to {MAX_BUDGET} micro-credits.")))
}

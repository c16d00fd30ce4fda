//! Model lists: restrict users and workspaces to some models.
//!
//! A key, a user and a workspace may each have a list, and a model must be in all of them. The
//! lists are kept in memory and reloaded together with the models, so a check needs no database
//! statement.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use appcore::{
    AppError, Code,
    auth::Principal,
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::{BudgetScope, ModelList},
};
use dbcontext::{
    constraint::app_error,
    entity::model_list,
    query::{budgets::BudgetId, model_lists as rows},
};
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

use crate::{
    BillingIdentity, GatewayService, budgets,
    models::{Model, Table},
};

/// Maximum number of models per list.
const MAX_MODELS: usize = 200;

/// Owner of the list that excludes a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOwner {
    Person,
    Workspace,
}

/// All model lists, as loaded by this instance.
#[derive(Debug, Default)]
pub(super) struct ModelLists(RwLock<HashMap<BudgetId, Vec<String>>>);

impl ModelLists {
    pub fn replace(&self, rows: Vec<model_list::Model>) {
        let read = |row: model_list::Model| {
            let models = serde_json::from_str(&row.models).unwrap_or_else(|_| {
                // A list that can't be read allows no model instead of all models.
                tracing::error!(id = %row.scope_id, "failed to read model list");
                Vec::new()
            });
            (BudgetId { scope: row.scope, id: row.scope_id }, models)
        };
        let lists = rows.into_iter().map(read).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = lists;
    }

    fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Returns the owner of a list that excludes the model, or `None` if the model may be used.
    pub fn find_excluding(&self, table: &Table, asker: BillingIdentity, model: &Model) -> Option<ListOwner> {
        let lists = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if lists.is_empty() {
            return None;
        }
        let refuses = |scope: BudgetScope, id: Uuid| {
            lists.get(&BudgetId { scope, id }).is_some_and(|names| names.is_empty() || !table.allows(names, model))
        };
        if asker.workspace_id.is_some_and(|id| refuses(BudgetScope::Workspace, id.0)) {
            return Some(ListOwner::Workspace);
        }
        refuses(BudgetScope::User, asker.user_id.0).then_some(ListOwner::Person)
    }
}

/// True if any user or workspace has a model list.
pub fn any_exist(service: &GatewayService) -> bool {
    !service.lists.is_empty()
}

/// Fails with an error on `field` if the requester may not use the model.
pub fn check(
    service: &GatewayService,
    asker: BillingIdentity,
    name: &str,
    field: &'static str,
) -> Result<(), AppError> {
    let table = service.table();
    let Some(model) = table.find(name) else { return Ok(()) };
    let whose = match service.lists.find_excluding(&table, asker, &model) {
        None => return Ok(()),
        Some(ListOwner::Workspace) => "This workspace",
        Some(ListOwner::Person) => "You",
    };
    let message = format!("{whose} may not use the model “{}”. Choose another one, or ask an admin.", model.name);
    Err(AppError::field(field, "not_allowed", message))
}

/// Lists all model lists.
pub async fn list(service: &GatewayService, page: PageRequest) -> Result<Page<ModelList>, AppError> {
    let (found, total) = rows::list(service.db.reader(), page).await?;
    let items: Result<_, AppError> = found.into_iter().map(view).collect();
    Ok(Page::new(items?, page, total))
}

/// Restricts a user or a workspace to some models, with immediate effect on every instance.
pub async fn set(
    service: &GatewayService,
    by: &Principal,
    scope: BudgetScope,
    id: Uuid,
    mut models: Vec<String>,
) -> Result<ModelList, AppError> {
    let mut seen = std::collections::HashSet::new();
    models.retain(|model| seen.insert(model.clone()));
    if models.is_empty() || models.len() > MAX_MODELS {
        return Err(AppError::field("models", "invalid", format!("Choose 1 to {MAX_MODELS} models.")));
    }
    if let Some(unknown) = models.iter().find(|model| service.find_model(model).is_none()) {
        let shown: String = unknown.chars().take(80).collect();
        return Err(AppError::field("models", "unknown", format!("This server has no model “{shown}”.")));
    }
    if !budgets::exists(service, scope, id).await? {
        return Err(Code::NotFound.into());
    }
    let row = model_list::Model {
        scope,
        scope_id: id,
        models: serde_json::to_string(&models).map_err(AppError::internal)?,
        updated_at: service.clock.now(),
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::upsert(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ModelListChanged, Some(format!("{scope}:{id}"))))
        .await?;
    tx.commit().await.map_err(app_error)?;
    announce_lists_changed(service).await?;
    view(row)
}

/// Removes the restriction of a user or a workspace.
pub async fn remove(service: &GatewayService, by: &Principal, scope: BudgetScope, id: Uuid) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::remove(&tx, BudgetId { scope, id }).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ModelListRemoved, Some(format!("{scope}:{id}"))))
        .await?;
    tx.commit().await.map_err(app_error)?;
    announce_lists_changed(service).await
}

pub(super) async fn announce_lists_changed(service: &GatewayService) -> Result<(), AppError> {
    service.reload().await?;
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::ModelsChanged)]));
    Ok(())
}

fn view(row: model_list::Model) -> Result<ModelList, AppError> {
    let models = serde_json::from_str(&row.models).map_err(AppError::internal)?;
    Ok(ModelList { scope: row.scope, id: row.scope_id, models })
}

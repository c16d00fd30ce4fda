//! Model definitions of administrators, and model listings.

use std::{borrow::Cow, sync::Arc};

use appcore::{
    AppError, Code, WorkspaceId,
    auth::{Permission, Principal},
    event::{BusMessage, Signal},
    page::{Page, PageRequest},
    view::{GatewayModel, ModelCapabilities, ModelDefinition, ModelParameterLimits, ModelPrice, UsableModel},
};
use dbcontext::{constraint::app_error, query::gateway_models as rows};
use identity::membership;
use platform::audit::{self, Action, NewAuditEntry};

use super::{DEMO, MAX_NAME_BYTES, Model, Source, Table};
use crate::{BillingIdentity, GatewayService};

const MAX_ALIASES: usize = 50;
const MAX_DEPLOYMENTS: usize = 50;
const MAX_WEIGHT: u32 = 1_000_000;
/// Maximum price per million tokens, so that any cost fits into 64 bits.
const MAX_PRICE: i64 = 1_000_000_000_000;
/// Maximum context window and output length, in tokens.
const MAX_TOKENS: u64 = 1_000_000_000;
/// Maximum number of models that administrators can define.
const MAX_MODELS: usize = 2_000;
/// Maximum length of the description of thinking parameters, in bytes; a list of all efforts fits.
const MAX_THINKING_LEN: usize = 200;
/// Maximum length of the settings of what a model accepts, in bytes.
const MAX_ACCEPTS_LEN: usize = 500;
/// Maximum length of a search text, in characters.
const MAX_SEARCH_CHARS: usize = 100;

fn view(model: &Model) -> GatewayModel {
    GatewayModel {
        name: model.name.to_string(),
        definition: model.definition.clone(),
        source: match model.source {
            Source::Admin => "admin".into(),
            Source::Configuration => "configuration".into(),
        },
        charged: model.price,
        price_version: model.price_version.to_string(),
    }
}

/// Lists models for administrators, filtered by a part of their names or deployments.
pub fn list(service: &GatewayService, sought: Option<&str>, page: PageRequest) -> Result<Page<GatewayModel>, AppError> {
    let sought = ::search::fold_name(sought.unwrap_or_default());
    if sought.chars().count() > MAX_SEARCH_CHARS {
        return Err(AppError::field("q", "too_long", format!("Use {MAX_SEARCH_CHARS} characters or fewer.")));
    }
    let table = service.table();
    let found = table.models().filter(|model| model.matches(&sought));
    Ok(paginate(found.map(|model| view(model.as_ref())), page))
}

/// Returns one model for administrators.
pub fn find(service: &GatewayService, name: &str) -> Result<GatewayModel, AppError> {
    let found = service.table().models.get(name).map(|model| view(model));
    found.ok_or_else(|| Code::NotFound.into())
}

/// Lists the models that the caller may use in the app, optionally in a workspace. Models refused
/// for a missing price are excluded.
pub async fn list_usable(
    service: &GatewayService,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<UsableModel>, AppError> {
    if let Some(workspace_id) = workspace_id {
        membership::authorize(&service.identity, by, workspace_id, Permission::View).await?;
    }
    let (table, asker) = (service.table(), BillingIdentity { user_id: by.user_id, workspace_id });
    Ok(paginate(to_usable_models(service, &table, |model| service.lists_for(&table, asker, model)).into_iter(), page))
}

/// Returns the models that satisfy `may_use`, in the form shown to their users.
pub(crate) fn to_usable_models(
    service: &GatewayService,
    table: &Table,
    may_use: impl Fn(&Model) -> bool,
) -> Vec<UsableModel> {
    let default = default_name(service).and_then(|default| table.find(&default)).map(|model| Arc::clone(&model.name));
    let usable = |model: &Arc<Model>| {
        let definition = &model.definition;
        UsableModel {
            name: model.name.to_string(),
            aliases: definition.aliases.clone(),
            is_default: default.as_deref() == Some(&*model.name),
            provider: definition.deployments.first().map(|deployment| deployment.provider.clone()),
            context_window: definition.capabilities.context_window,
            capabilities: definition.capabilities.clone(),
            price: model.price,
        }
    };
    table.models().filter(|model| may_use(model)).map(usable).collect()
}

/// Returns the name of the default model; `None` if the only provider lists no models.
pub(crate) fn default_name(service: &GatewayService) -> Option<Cow<'_, str>> {
    let ai = &service.config.ai;
    if let Some(added) = service.ai().added_default_model() {
        return Some(added.into());
    }
    let first = || match ai.providers.first() {
        Some(provider) => provider.models.first().map(String::as_str),
        None => Some(DEMO),
    };
    ai.default_model.as_deref().map(str::trim).filter(|name| !name.is_empty()).or_else(first).map(Cow::Borrowed)
}

fn paginate<T>(all: impl Iterator<Item = T>, page: PageRequest) -> Page<T> {
    let all: Vec<T> = all.collect();
    let total = all.len() as u64;
    let (offset, size) = (usize::try_from(page.offset()), usize::try_from(page.page_size));
    let items = all.into_iter().skip(offset.unwrap_or(usize::MAX)).take(size.unwrap_or(usize::MAX)).collect();
    Page::new(items, page, total)
}

/// Creates or replaces the definition of a model.
pub async fn define_model(
    service: &GatewayService,
    by: &Principal,
    name: &str,
    definition: ModelDefinition,
) -> Result<GatewayModel, AppError> {
    check(service, name, &definition)?;
    let text = serde_json::to_string(&definition).map_err(AppError::internal)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::upsert(&tx, name, text, service.clock.now()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ModelChanged, Some(name.to_owned()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_models_changed(service).await?;
    find(service, name)
}

/// Removes an administrator's definition; a model of the configuration then applies again.
pub async fn remove(service: &GatewayService, by: &Principal, name: &str) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::remove(&tx, name).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::ModelRemoved, Some(name.to_owned()))).await?;
    tx.commit().await.map_err(app_error)?;
    announce_models_changed(service).await
}

/// Makes all instances reload models and providers. This instance has reloaded them when the
/// function returns.
pub(crate) async fn announce_models_changed(service: &GatewayService) -> Result<(), AppError> {
    service.reload().await?;
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::ModelsChanged)]));
    Ok(())
}

fn check(service: &GatewayService, name: &str, definition: &ModelDefinition) -> Result<(), AppError> {
    let table = service.table();
    if !is_name(name) {
        return Err(AppError::field("name", "invalid", NAME_RULE));
    }
    let is_new = table.models.get(name).is_none_or(|known| known.source != Source::Admin);
    if is_new && table.models().filter(|model| model.source == Source::Admin).count() >= MAX_MODELS {
        return Err(AppError::refused(Code::WrongState, format!("There can be up to {MAX_MODELS} models.")));
    }
    if definition.aliases.len() > MAX_ALIASES {
        return Err(AppError::field("aliases", "too_long", format!("At most {MAX_ALIASES} aliases.")));
    }
    for alias in &definition.aliases {
        if !is_name(alias) || alias == name {
            return Err(AppError::field("aliases", "invalid", NAME_RULE));
        }
        let others = table.names.get(alias).filter(|model| *model.name != *name && model.source == Source::Admin);
        if others.is_some() {
            let message = format!("Another model already uses the name {alias}.");
            return Err(AppError::field("aliases", "taken", message));
        }
    }
    let is_alias = table.names.get(name).is_some_and(|model| *model.name != *name && model.source == Source::Admin);
    if is_alias {
        return Err(AppError::field("name", "taken", "Another model has this name as its alias."));
    }
    let is_configured = service.is_configured(name);
    if definition.deployments.len() > MAX_DEPLOYMENTS || (definition.deployments.is_empty() && !is_configured) {
        let message = format!("Add 1 to {MAX_DEPLOYMENTS} deployments.");
        return Err(AppError::field("deployments", "invalid", message));
    }
    for (place, deployment) in definition.deployments.iter().enumerate() {
        let is_demo = table.providers.is_empty() && deployment.provider == DEMO;
        if !is_demo && !table.providers.iter().any(|(provider, _)| *provider == deployment.provider) {
            let message = "This provider doesn't exist. Add it first.";
            return Err(AppError::field(format!("deployments.{place}.provider"), "unknown", message));
        }
        if !is_name(&deployment.model) {
            return Err(AppError::field(format!("deployments.{place}.model"), "invalid", NAME_RULE));
        }
        if deployment.weight > MAX_WEIGHT || deployment.priority > MAX_WEIGHT {
            let message = format!("Weight and priority can be up to {MAX_WEIGHT}.");
            return Err(AppError::field(format!("deployments.{place}.weight"), "invalid", message));
        }
    }
    let fallbacks = &definition.fallbacks;
    for (field, names) in [
        ("fallbacks.context_length", &fallbacks.context_length),
        ("fallbacks.content_policy", &fallbacks.content_policy),
        ("fallbacks.failure", &fallbacks.failure),
    ] {
        if names.len() > MAX_DEPLOYMENTS || names.iter().any(|other| other == name || !table.names.contains_key(other))
        {
            return Err(AppError::field(field, "unknown", "Choose other models of this server."));
        }
    }
    let ModelCapabilities { context_window, max_output, .. } = definition.capabilities;
    if [context_window, max_output].into_iter().flatten().any(|tokens| tokens > MAX_TOKENS) {
        let message = format!("Context window and longest answer can be up to {MAX_TOKENS} tokens.");
        return Err(AppError::field("capabilities", "invalid", message));
    }
    let ModelParameterLimits { thinking, accepts, .. } = &definition.parameters;
    let is_long = thinking.as_ref().is_some_and(|thinking| thinking.len() > MAX_THINKING_LEN);
    let without_accepts = ModelParameterLimits { accepts: None, ..definition.parameters.clone() };
    if is_long || ::ai::ModelParamOverrides::read(&without_accepts, None).is_none() {
        let message = "Write `none`, `any`, or `efforts`, `adaptive`, `levels` or `budget` with what they take, such as `efforts:low,high`.";
        return Err(AppError::field("parameters.thinking", "invalid", message));
    }
    let is_long = accepts.as_ref().is_some_and(|accepts| accepts.len() > MAX_ACCEPTS_LEN);
    if is_long || ::ai::ModelParamOverrides::read(&definition.parameters, None).is_none() {
        let message = "Write settings such as `system=first images=no`, separated by spaces.";
        return Err(AppError::field("parameters.accepts", "invalid", message));
    }
    if definition.price.and_then(|price| price.long).is_some_and(|long| long.above > MAX_TOKENS) {
        return Err(AppError::field("price", "invalid", format!("An input can have up to {MAX_TOKENS} tokens.")));
    }
    match definition.price {
        Some(price) if !prices_of(price).all(|amount| (0..=MAX_PRICE).contains(&amount)) => {
            let message = format!("Prices are from 0 to {MAX_PRICE} micro-credits for a million tokens.");
            Err(AppError::field("price", "invalid", message))
        }
        _ => Ok(()),
    }
}

fn prices_of(price: ModelPrice) -> impl Iterator<Item = i64> {
    let ModelPrice { input, output, cached, cache_write, audio, audio_output, search, container, image, long } = price;
    let long = long.map(|long| [Some(long.input), Some(long.output), long.cached, long.cache_write]);
    let all = [Some(input), Some(output), cached, cache_write, audio, audio_output, search, container, image];
    all.into_iter().chain(long.into_iter().flatten()).flatten().map(|amount| amount.0)
}

const NAME_RULE: &str = "Names have up to 120 characters, without spaces and control characters.";

/// True if the name is valid. The slash is the only valid character that needs escaping in a URL
/// path.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(|letter| letter.is_ascii_graphic())
}

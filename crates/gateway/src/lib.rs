//! AI gateway: access to models, limits, cost and usage.
//!
//! Owns the tables of service accounts, models, providers, key policies, budgets, usage and stored
//! responses. Calls providers through the crate `ai` and reserves credits through `billing`. Used by
//! assistants and by the endpoints under `/v1`.
//!
//! A call is [authorized](authorize) before it is sent, which yields an [`Admission`] with the
//! route to the model, and [settled](Admission::settle) when it has ended in any way. For known
//! keys and models this needs no database statement: key policies are cached with the credential
//! status ([`KeyPolicy`]), models are in an in-memory table ([`models`]), rate limits are counted
//! in Redis or locally ([`platform::rate_limits`]), and usage rows are written in groups
//! ([`writer`]). A budget or a charge may require a transaction, which is batched with others
//! ([`billing::reservations`]).

mod admission;
mod assistant_usage;
mod batched_calls;
pub mod budgets;
mod call_details;
mod cost;
pub mod custom_providers;
mod embed;
mod internal_calls;
mod journal;
pub mod keys;
mod learned_settings;
pub mod model_lists;
pub mod models;
mod policy;
mod prices;
mod provider_client;
pub mod providers;
mod reservations;
mod response_cache;
mod response_store;
pub mod service_accounts;
#[cfg(test)]
mod tests;
mod transcribe;
pub mod usage;
pub mod usage_export;
mod usage_row;
mod writer;

use std::{
    collections::HashSet,
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use ::ai::{GatewayError, KeyStateChange};
use appcore::{
    ApiKeyId, AppError, Code, UserId,
    auth::{Credential, Principal},
    event::{BusMessage, EventBus, Listener, Signal},
    view::{BudgetScope, UsableModel},
};
use bytes::Bytes;
use dbcontext::query::{self, budgets::BudgetId, gateway_models};
use uuid::Uuid;

pub use ::ai::{Ai, Capability, CapabilityCheck, CheckVerdict};
pub use admission::{
    Admission, CallOutcome, CallRequest, Refusal, authorize, authorize_endpoint, authorize_queued, route_to_count,
};
pub use assistant_usage::{AnswerUsage, record, resolve_model};
pub use batched_calls::{
    BatchCost, BatchQuote, BatchReservation, BatchedCall, adopt_batch_reservation, quote_batched, reserve_batch,
    settle_batched,
};
use billing::BillingService;
pub use cost::cost;
pub use embed::{EmbedCause, EmbedFailure, Embedded, Embedder, embed, embedder};
pub use identity::accounts::key_policy::KeyPolicy;
use identity::{IdentityService, accounts::api_keys};
pub use internal_calls::InternalModelCall;
use jobs::catch_panic;
pub use models::{Model, check_available};
use platform::{Core, chunked_delete::delete_in_chunks, rate_limits::KeyLimits, start_error, work_pools::WorkOwner};
pub use policy::PolicyChange;
pub use prices::{check_price, shipped_price};
pub use provider_client::connect;
pub use reservations::{
    BillingIdentity, ModelCall, ModelCallReservation, PendingReservations, ReservationGuard, queue_answers,
    reserve_model_call,
};
pub use response_cache::{CacheDirectives, CacheKey, CachedAnswer};
pub use transcribe::{MAX_RECORDING_BYTES, StoredRecording, check_dictation, dictate, transcribe};

use self::{
    journal::{AbandonedRows, Journal},
    model_lists::ModelLists,
    models::{Models, Table},
    response_cache::ResponseCache,
    response_store::RedisResponseStore,
    writer::UsageLedger,
};

/// Interval of reloading the models while the bus is unavailable.
const RELOAD_INTERVAL: Duration = Duration::from_secs(4);
/// Interval of the retention clean-up.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
const MAX_DELETED_PER_STATEMENT: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

/// Gateway service of an instance. Dereferences to [`Core`].
pub struct GatewayService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub billing: Arc<BillingService>,
    /// Id by which this instance recognises its own signals.
    id: Uuid,
    ai: Arc<Ai>,
    /// Tokens used per provider key since the start.
    key_tokens: providers::KeyTokens,
    models: Models,
    /// Model lists of users and workspaces.
    lists: ModelLists,
    /// Users and workspaces that have a budget.
    scoped: RwLock<HashSet<BudgetId>>,
    /// Budgets of parts of keys' calls that exist.
    known_budgets: budgets::KnownBudgets,
    limits: KeyLimits,
    /// Limit of requests per minute for keys that have none of their own.
    default_rpm: Option<u32>,
    answers: ResponseCache,
    writer: UsageLedger,
    /// Held while learned settings of models are changed, in memory and in the database.
    learning: tokio::sync::Mutex<()>,
}

impl GatewayService {
    /// Connects the providers, loads the models and starts the usage writer.
    pub async fn build(billing: Arc<BillingService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&billing.core);
        let Core { config, clock, db, redis, .. } = &*core;
        let ai = Arc::new(connect(config)?);
        if let Some(redis) = redis {
            ai.set_response_store(Arc::new(RedisResponseStore::new(redis.clone())));
        }
        let (journal, left_behind) = Journal::open(&config.server.data_dir);
        let service = Arc::new(Self {
            id: Uuid::now_v7(),
            ai,
            key_tokens: providers::KeyTokens::default(),
            models: Models::new(&config.ai),
            lists: ModelLists::default(),
            scoped: RwLock::default(),
            known_budgets: budgets::KnownBudgets::default(),
            limits: KeyLimits::start(redis.clone()),
            default_rpm: Some(config.gateway.default_rpm).filter(|most| config.rate_limit.enabled && *most > 0),
            answers: ResponseCache::new(config.gateway.cache),
            writer: UsageLedger::start(db.clone(), clock.clone(), Arc::clone(&billing.reservations), journal),
            learning: tokio::sync::Mutex::default(),
            core,
            identity: Arc::clone(&billing.identity),
            billing,
        });
        service.load(left_behind).await.map_err(start_error)?;
        service.publish_key_changes(Arc::downgrade(&service.bus));
        learned_settings::store_changes(&service);
        tokio::spawn(handle_signals(Arc::downgrade(&service), service.bus.subscribe(), Arc::downgrade(&service.bus)));
        tokio::spawn(run_retention(Arc::downgrade(&service)));
        Ok(service)
    }

    /// Loads models and budgets, and books the usage left behind by a killed process.
    async fn load(&self, left_behind: AbandonedRows) -> Result<(), AppError> {
        self.reload().await?;
        self.reload_scopes().await?;
        self.book(&left_behind.rows).await?;
        left_behind.remove();
        Ok(())
    }

    /// Client of all providers.
    #[must_use]
    pub fn ai(&self) -> &Arc<Ai> {
        &self.ai
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.models.table()
    }

    /// Returns the model with this name or alias.
    #[must_use]
    pub fn find_model(&self, name: &str) -> Option<Arc<Model>> {
        self.table().find(name)
    }

    fn is_configured(&self, name: &str) -> bool {
        self.models.is_configured(name)
    }

    /// True if the key may call the model: the lists of the key, its owner and its workspace allow
    /// it.
    fn allows(&self, table: &Table, caller: &GatewayCaller, model: &Model) -> bool {
        table.allows(&caller.policy.models, model) && self.lists.find_excluding(table, caller.asker(), model).is_none()
    }

    /// True if the model is listed for the key: it may call the model, and the model isn't refused
    /// for a missing price.
    fn lists_for_key(&self, table: &Table, caller: &GatewayCaller, model: &Model) -> bool {
        table.allows(&caller.policy.models, model) && self.lists_for(table, caller.asker(), model)
    }

    /// True if the model is listed for the requester: no list excludes it, and it isn't refused for
    /// a missing price.
    fn lists_for(&self, table: &Table, asker: BillingIdentity, model: &Model) -> bool {
        self.lists.find_excluding(table, asker, model).is_none() && self.check_price(&model.name, Some(model)).is_ok()
    }

    async fn reload(&self) -> Result<(), AppError> {
        custom_providers::load(&self.db, &self.ai, self.config.auth.key_encryption_secret.as_ref()).await?;
        let defined = gateway_models::all(self.db.writer()).await?;
        if self.models.replace(defined, self.ai.added_providers()) {
            self.answers.clear();
        }
        self.lists.replace(query::model_lists::all(self.db.writer()).await?);
        learned_settings::load(self).await
    }

    /// Waits until all usage so far is written.
    pub async fn flush(&self) {
        self.writer.flush().await;
    }

    /// Called on shutdown: writes pending usage and releases local allotments.
    pub async fn shut_down(&self) {
        self.writer.flush().await;
        if let Err(error) = self.billing.reservations.return_allotments(None).await {
            tracing::warn!(%error, "failed to release local allotments, they expire by themselves");
        }
    }

    /// Publishes state changes of provider keys to the other instances.
    fn publish_key_changes(&self, bus: Weak<dyn EventBus>) {
        let by = self.id;
        self.ai.set_key_listener(move |KeyStateChange { provider, key, model, fate }| {
            if let Some(bus) = bus.upgrade() {
                let signal = Signal::ProviderKeyObserved { by, provider, key, model, fate };
                // An instance that misses the signal learns the state of the key from its own
                // requests.
                drop(bus.publish(vec![BusMessage::Signal(signal)]));
            }
        });
    }

    /// Invalidates cached budget state of these keys, users or workspaces.
    pub(crate) fn invalidate_budgets(&self, ids: &[Uuid]) {
        self.billing.payers.clear_shortfalls(ids);
        let parts = self.known_budgets.remove(ids);
        self.billing.reservations.close_allotments(ids);
        self.billing.reservations.close_allotments(&parts);
    }

    /// Records that a budget of a user or workspace was created or removed.
    fn record_budget(&self, budget: BudgetId, is_there: bool) {
        let mut scoped = self.scoped.write().unwrap_or_else(PoisonError::into_inner);
        if is_there {
            scoped.insert(budget);
        } else {
            scoped.remove(&budget);
        }
    }

    /// Reloads the billing accounts and the budgets of users and workspaces.
    async fn reload_budgets(&self) -> Result<(), AppError> {
        self.billing.reload_payers().await?;
        self.reload_scopes().await
    }

    async fn reload_scopes(&self) -> Result<(), AppError> {
        let scoped = query::budgets::scoped(self.db.writer()).await?.into_iter().collect();
        *self.scoped.write().unwrap_or_else(PoisonError::into_inner) = scoped;
        Ok(())
    }

    /// True if answers for this user may count against a budget.
    pub fn may_have_budgets(&self, user_id: UserId) -> bool {
        let scoped = self.scoped.read().unwrap_or_else(PoisonError::into_inner);
        scoped.contains(&BudgetId { scope: BudgetScope::User, id: user_id.0 })
            || scoped.iter().any(|budget| budget.scope == BudgetScope::Workspace)
    }

    /// Returns the budgets that an answer in a chat counts against.
    fn budgets_of(&self, asker: BillingIdentity) -> Vec<BudgetId> {
        let user = BudgetId { scope: BudgetScope::User, id: asker.user_id.0 };
        let workspace = asker.workspace_id.map(|id| BudgetId { scope: BudgetScope::Workspace, id: id.0 });
        let scoped = self.scoped.read().unwrap_or_else(PoisonError::into_inner);
        [Some(user), workspace].into_iter().flatten().filter(|budget| scoped.contains(budget)).collect()
    }

    /// Number of requests waiting to be recorded, and number of those dropped because too many
    /// waited.
    #[must_use]
    pub fn backlog(&self) -> (usize, u64) {
        self.writer.backlog()
    }
}

/// Announces that a key, or the spending limit of a user or workspace, has changed. This instance
/// applies the change before this returns, the others soon after.
async fn announce_changed(service: &GatewayService, id: Uuid) {
    api_keys::announce_changed(&service.identity, vec![id]).await;
    service.invalidate_budgets(&[id]);
}

impl Deref for GatewayService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// Reloads models and budgets on signals of the bus.
async fn handle_signals(gateway: Weak<GatewayService>, mut listener: Listener, bus: Weak<dyn EventBus>) {
    let mut tick = tokio::time::interval(RELOAD_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // True if a reload has failed and must be repeated.
    let mut is_behind = false;
    loop {
        let is_due = tokio::select! {
            message = listener.recv() => match message {
                Some(BusMessage::Signal(Signal::ModelsChanged)) => true,
                Some(BusMessage::Signal(Signal::Gap)) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.billing.reservations.close_all_allotments();
                    }
                    true
                }
                Some(BusMessage::Signal(Signal::KeysChanged(ids))) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.invalidate_budgets(&ids);
                        if let Err(error) = gateway.reload_budgets().await {
                            tracing::warn!(%error, "failed to reload budgets");
                            is_behind = true;
                        }
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ProviderKeyPaused { provider, key, until })) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.pause_key(&provider, &key, until);
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ProviderSettingsForgotten { provider, model })) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.ai.clear_learned(&provider, &model);
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ResponseDeleted { key_id, id })) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.ai.remove_response(key_id, &id);
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ProviderKeyObserved { by, provider, key, model, fate })) => {
                    if let Some(gateway) = gateway.upgrade().filter(|gateway| gateway.id != by) {
                        gateway.ai.apply_key_state(&KeyStateChange { provider, key, model, fate });
                    }
                    false
                }
                Some(_) => false,
                None => return,
            },
            _ = tick.tick() => is_behind || bus.upgrade().is_some_and(|bus| !bus.is_connected()),
        };
        let Some(gateway) = gateway.upgrade() else { return };
        if is_due {
            let models = gateway.reload().await;
            let read = models.and(gateway.reload_budgets().await);
            is_behind = read.is_err();
            if let Err(error) = read {
                tracing::warn!(%error, "failed to reload models and budgets");
            }
        }
    }
}

/// Deletes requests older than the configured retention, of which daily totals are kept, and
/// budgets of end users that don't call any more.
async fn run_retention(gateway: Weak<GatewayService>) {
    let mut tick = tokio::time::interval(CLEANUP_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        let days = gateway.config.gateway.retention_days;
        let before = gateway.clock.now().minus(DAY * days);
        let delete_requests = || query::usage::delete_before(gateway.db.writer(), before, MAX_DELETED_PER_STATEMENT);
        if days > 0
            && let Err(error) = catch_panic(delete_in_chunks(MAX_DELETED_PER_STATEMENT, delete_requests)).await
        {
            tracing::warn!(%error, "failed to delete expired requests");
        }
        let delete_budgets = || gateway.delete_idle_budgets(MAX_DELETED_PER_STATEMENT);
        if let Err(error) = catch_panic(delete_in_chunks(MAX_DELETED_PER_STATEMENT, delete_budgets)).await {
            tracing::warn!(%error, "failed to delete idle budgets of end users");
        }
    }
}

/// Authenticated program that calls the gateway.
#[derive(Clone, Debug)]
pub struct GatewayCaller {
    pub principal: Principal,
    pub key_id: ApiKeyId,
    pub policy: Arc<KeyPolicy>,
}

impl GatewayCaller {
    fn asker(&self) -> BillingIdentity {
        BillingIdentity { user_id: self.principal.user_id, workspace_id: self.policy.workspace_id }
    }

    /// Owner of the processing of large bodies: the owner of the key.
    #[must_use]
    pub fn work_owner(&self) -> WorkOwner {
        self.asker().work_owner()
    }
}

/// Authenticates an API key. Only API keys are accepted, regardless of their scopes.
pub async fn authenticate(service: &GatewayService, key: &str) -> Result<GatewayCaller, AppError> {
    let (principal, policy) = api_keys::authenticate_key(&service.identity, key).await?;
    let Credential::ApiKey { id: key_id, .. } = principal.credential else { return Err(Code::Unauthenticated.into()) };
    Ok(GatewayCaller { principal, key_id, policy })
}

/// Authenticates the key of work that continues after its request, by the id of the key.
pub async fn authenticate_by_id(service: &GatewayService, id: ApiKeyId) -> Result<GatewayCaller, AppError> {
    let (principal, policy) = api_keys::authenticate_by_id(&service.identity, id).await?;
    Ok(GatewayCaller { principal, key_id: id, policy })
}

/// Returns the models that the key may call, with all their names. Models refused for a missing
/// price are excluded.
#[must_use]
pub fn models(service: &GatewayService, caller: &GatewayCaller) -> Vec<UsableModel> {
    let table = service.table();
    models::to_usable_models(service, &table, |model| service.lists_for_key(&table, caller, model))
}

/// True if the key may call the model with this name or alias.
#[must_use]
pub fn may_call(service: &GatewayService, caller: &GatewayCaller, name: &str) -> bool {
    let table = service.table();
    table.find(name).is_some_and(|model| service.lists_for_key(&table, caller, &model))
}

/// Deletes a stored response on every instance.
pub async fn delete_response(service: &GatewayService, key_id: ApiKeyId, id: &str) -> Result<(), GatewayError> {
    service.ai.delete_response(key_id, id).await?;
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::ResponseDeleted { key_id, id: id.to_owned() })]));
    Ok(())
}

/// Stores the answer to a request in the response cache.
pub async fn cache_answer(
    service: &GatewayService,
    question: CacheKey,
    content_type: &'static str,
    body: Bytes,
    model: String,
) {
    service.answers.insert(question, content_type, body, model).await;
}

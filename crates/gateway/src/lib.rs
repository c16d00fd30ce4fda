//! The gateway: who may ask which model for how much, and what was used.
//!
//! Owns the rows of models, providers, keys' policies, budgets, usage and stored answers. Providers are called by the crate `ai`. Uses `billing` for
//! holds; assistants and the endpoints below `/v1` ask it.
//!
//! A call is [authorized](authorize) before it goes out, which gives an [`Admission`] with the way to the model, and [settled](Admission::settle)
//! when it is over, however it ends. For a key and a model that are known this takes no statement: the key's rules are cached with its standing
//! ([`KeyPolicy`]), models are in a table ([`models`]), limits are counted in Redis or here ([`platform::rate_limits`]), and rows are written in groups
//! ([`writer`]). Only where there is a budget, or a call is paid for, may there be a transaction, gathered with those of others ([`billing::holds`]).

pub mod added;
mod admission;
pub mod budgets;
mod cache;
mod connect;
mod cost;
mod embed;
mod hold;
mod journal;
pub mod keys;
pub mod model_lists;
pub mod models;
mod policy;
mod prices;
pub mod providers;
mod record;
mod shelf;
mod side;
#[cfg(test)]
mod tests;
mod transcribe;
pub mod usage;
mod usage_row;
mod writer;

use std::{
    collections::HashSet,
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use ::ai::KeyNews;
use appcore::{
    ApiKeyId, AppError, Code, UserId,
    auth::{Credential, Principal},
    event::{BusMessage, EventBus, Listener, Signal},
    view::{BudgetScope, UsableModel},
};
use bytes::Bytes;
use dbcontext::query::{self, budgets::BudgetId, gateway_models};
use uuid::Uuid;

pub use ::ai::Ai;
pub use admission::{Admission, CallRequest, Outcome, Refusal, authorize, route_to_count};
use billing::BillingService;
pub use cache::{CacheWish, KeptAnswer, Question};
pub use connect::connect;
pub use cost::cost;
pub use embed::{EmbedCause, EmbedFailure, Embedded, Embedder, embed, embedder};
pub use hold::{Asker, Held, QueuedHold, Round, RoundHold, hold_round, queue_answers};
pub use identity::accounts::key_policy::KeyPolicy;
use identity::{IdentityService, accounts::api_keys};
use jobs::caught;
pub use models::{Model, known_model};
use platform::{Core, batch_delete::in_parts, rate_limits::KeyLimits, start_error, work_pools::WorkOwner};
pub use policy::PolicyChange;
pub use prices::check_price;
pub use record::{AnswerUse, answering, record};
pub use side::SideCall;
pub use transcribe::{KeptRecording, MAX_RECORDING, check_dictation, dictate, transcribe};

use self::{
    cache::Answers,
    journal::{Journal, LeftBehind},
    model_lists::ModelLists,
    models::{Models, Table},
    shelf::RedisShelf,
    writer::Writer,
};

/// How often the models are read anew while the bus is away.
const READ_AGAIN: Duration = Duration::from_secs(4);
/// How often old requests are forgotten.
const SWEEP: Duration = Duration::from_secs(3_600);
const SWEEP_ROWS: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

/// State of the gateway of an instance. Dereferences to [`Core`].
pub struct GatewayService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub billing: Arc<BillingService>,
    /// Tells what this instance said from what others did.
    id: Uuid,
    ai: Arc<Ai>,
    /// Tokens used with each provider's keys since the start.
    key_tokens: providers::KeyTokens,
    models: Models,
    /// The models that people and workspaces are limited to.
    lists: ModelLists,
    /// The budgets of people and workspaces that there are.
    scoped: RwLock<HashSet<BudgetId>>,
    limits: KeyLimits,
    /// Requests in a minute of a key that has no such limit of its own.
    default_rpm: Option<u32>,
    answers: Answers,
    writer: Writer,
}

impl GatewayService {
    /// Connects the providers, reads the models, and starts to write what is used.
    pub async fn build(billing: Arc<BillingService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&billing.core);
        let Core { config, clock, db, redis, .. } = &*core;
        let ai = Arc::new(connect(&config.ai, &config.outgoing)?);
        if let Some(redis) = redis {
            ai.share_on(Arc::new(RedisShelf::new(redis.clone())));
        }
        let (journal, left_behind) = Journal::open(&config.server.data_dir);
        let service = Arc::new(Self {
            id: Uuid::now_v7(),
            ai,
            key_tokens: providers::KeyTokens::default(),
            models: Models::new(&config.ai),
            lists: ModelLists::default(),
            scoped: RwLock::default(),
            limits: KeyLimits::start(redis.clone()),
            default_rpm: Some(config.gateway.default_rpm).filter(|most| config.rate_limit.enabled && *most > 0),
            answers: Answers::new(config.gateway.cache),
            writer: Writer::start(db.clone(), clock.clone(), Arc::clone(&billing.holds), journal),
            core,
            identity: Arc::clone(&billing.identity),
            billing,
        });
        service.load(left_behind).await.map_err(start_error)?;
        service.tell_of_keys(Arc::downgrade(&service.bus));
        tokio::spawn(follow(Arc::downgrade(&service), service.bus.listen(), Arc::downgrade(&service.bus)));
        if service.config.gateway.retention_days > 0 {
            tokio::spawn(forget_old(Arc::downgrade(&service)));
        }
        Ok(service)
    }

    /// Reads models and budgets, and books what a killed program has left.
    async fn load(&self, left_behind: LeftBehind) -> Result<(), AppError> {
        self.reload().await?;
        self.reload_scopes().await?;
        self.book(&left_behind.rows).await?;
        left_behind.remove();
        Ok(())
    }

    /// The way to all providers.
    #[must_use]
    pub fn ai(&self) -> &Arc<Ai> {
        &self.ai
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.models.table()
    }

    /// The model that goes by this name or alias.
    #[must_use]
    pub fn find_model(&self, name: &str) -> Option<Arc<Model>> {
        self.table().find(name)
    }

    fn is_configured(&self, name: &str) -> bool {
        self.models.is_configured(name)
    }

    /// Whether a key may call a model: by its own list, its owner's and its workspace's.
    fn allows(&self, table: &Table, caller: &Caller, model: &Model) -> bool {
        table.allows(&caller.policy.models, model) && self.lists.refusing(table, caller.asker(), model).is_none()
    }

    /// Whether a key is told of a model: one that it may call, and whose price refuses it to nobody.
    fn shows(&self, table: &Table, caller: &Caller, model: &Model) -> bool {
        table.allows(&caller.policy.models, model) && self.offers(table, caller.asker(), model)
    }

    /// Whether somebody is told of a model: neither a list of theirs nor its price refuses it.
    fn offers(&self, table: &Table, asker: Asker, model: &Model) -> bool {
        self.lists.refusing(table, asker, model).is_none() && self.check_price(&model.name, Some(model)).is_ok()
    }

    async fn reload(&self) -> Result<(), AppError> {
        added::load(&self.db, &self.ai, self.config.auth.key_encryption_secret.as_ref()).await?;
        let defined = gateway_models::all(self.db.writer()).await?;
        if self.models.replace(defined, self.ai.added()) {
            self.answers.forget_all();
        }
        self.lists.replace(query::model_lists::all(self.db.writer()).await?);
        Ok(())
    }

    /// Waits until what was used so far is written.
    pub async fn flush(&self) {
        self.writer.flush().await;
    }

    /// Before the program ends: writes what was used, and gives back what is held in advance.
    pub async fn end(&self) {
        self.writer.flush().await;
        if let Err(error) = self.billing.holds.give_back(None).await {
            tracing::warn!(%error, "what is held in advance is free only when it expires");
        }
    }

    /// Has the other instances hear what this one learns of the providers' keys.
    fn tell_of_keys(&self, bus: Weak<dyn EventBus>) {
        let by = self.id;
        self.ai.tell_to(move |KeyNews { provider, key, model, fate }| {
            if let Some(bus) = bus.upgrade() {
                let signal = Signal::ProviderKeyLearned { by, provider, key, model, fate };
                // Whoever does not hear it learns it by itself.
                drop(bus.publish(vec![BusMessage::Signal(signal)]));
            }
        });
    }

    /// The budgets of these keys, people or workspaces are others now.
    pub(crate) fn budgets_changed(&self, ids: &[Uuid]) {
        self.billing.payers.look_again(ids);
        self.billing.holds.changed(ids);
    }

    /// There is such a budget of a person or a workspace now, or there is none any more.
    fn note_budget(&self, budget: BudgetId, is_there: bool) {
        let mut scoped = self.scoped.write().unwrap_or_else(PoisonError::into_inner);
        if is_there {
            scoped.insert(budget);
        } else {
            scoped.remove(&budget);
        }
    }

    /// Reads again what calls count against: who pays, and the budgets of people and workspaces.
    async fn reload_budgets(&self) -> Result<(), AppError> {
        self.billing.reload_payers().await?;
        self.reload_scopes().await
    }

    async fn reload_scopes(&self) -> Result<(), AppError> {
        let scoped = query::budgets::scoped(self.db.writer()).await?.into_iter().collect();
        *self.scoped.write().unwrap_or_else(PoisonError::into_inner) = scoped;
        Ok(())
    }

    /// Whether answers for this person may count against a budget.
    pub fn may_have_budgets(&self, user_id: UserId) -> bool {
        let scoped = self.scoped.read().unwrap_or_else(PoisonError::into_inner);
        scoped.contains(&BudgetId { scope: BudgetScope::User, id: user_id.0 })
            || scoped.iter().any(|budget| budget.scope == BudgetScope::Workspace)
    }

    /// The budgets that an answer in a chat counts against.
    fn budgets_of(&self, asker: Asker) -> Vec<BudgetId> {
        let user = BudgetId { scope: BudgetScope::User, id: asker.user_id.0 };
        let workspace = asker.workspace_id.map(|id| BudgetId { scope: BudgetScope::Workspace, id: id.0 });
        let scoped = self.scoped.read().unwrap_or_else(PoisonError::into_inner);
        [Some(user), workspace].into_iter().flatten().filter(|budget| scoped.contains(budget)).collect()
    }

    /// Requests that wait to be recorded, and those that never were, because too many waited.
    #[must_use]
    pub fn backlog(&self) -> (usize, u64) {
        self.writer.figures()
    }
}

/// Announces that a key, or what a person or a workspace may spend, changed. This instance applies it before this returns, the others soon after.
async fn announce_changed(service: &GatewayService, id: Uuid) {
    api_keys::tell_changed(&service.identity, vec![id]).await;
    service.budgets_changed(&[id]);
}

impl Deref for GatewayService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// Learns of changed models.
async fn follow(gateway: Weak<GatewayService>, mut listener: Listener, bus: Weak<dyn EventBus>) {
    let mut tick = tokio::time::interval(READ_AGAIN);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Something has changed that could not be read.
    let mut is_behind = false;
    loop {
        let is_due = tokio::select! {
            message = listener.recv() => match message {
                Some(BusMessage::Signal(Signal::ModelsChanged)) => true,
                Some(BusMessage::Signal(Signal::Gap)) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.billing.holds.all_changed();
                    }
                    true
                }
                Some(BusMessage::Signal(Signal::KeysChanged(ids))) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.budgets_changed(&ids);
                        if let Err(error) = gateway.reload_budgets().await {
                            tracing::warn!(%error, "which budgets there are could not be read anew");
                            is_behind = true;
                        }
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ProviderKeyRests { provider, key, until })) => {
                    if let Some(gateway) = gateway.upgrade() {
                        gateway.rest_key(&provider, &key, until);
                    }
                    false
                }
                Some(BusMessage::Signal(Signal::ProviderKeyLearned { by, provider, key, model, fate })) => {
                    if let Some(gateway) = gateway.upgrade().filter(|gateway| gateway.id != by) {
                        gateway.ai.hear(&KeyNews { provider, key, model, fate });
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
                tracing::warn!(%error, "the gateway's models and budgets could not be read anew");
            }
        }
    }
}

/// Forgets what is older than the setting says; the sums of days stay.
async fn forget_old(gateway: Weak<GatewayService>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(gateway) = gateway.upgrade() else { return };
        let before = gateway.clock.now().minus(DAY * gateway.config.gateway.retention_days);
        let forget = || query::usage::forget(gateway.db.writer(), before, SWEEP_ROWS);
        if let Err(error) = caught(in_parts(SWEEP_ROWS, forget)).await {
            tracing::warn!(%error, "old requests were not removed");
        }
    }
}

/// A program that calls the gateway.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    pub key_id: ApiKeyId,
    pub policy: Arc<KeyPolicy>,
}

impl Caller {
    fn asker(&self) -> Asker {
        Asker { user_id: self.principal.user_id, workspace_id: self.policy.workspace_id }
    }

    /// On whose behalf large bodies are processed: the key's owner.
    #[must_use]
    pub fn work_owner(&self) -> WorkOwner {
        self.asker().work_owner()
    }
}

/// Whose key this is. Only keys are let in, whatever they may be used for.
pub async fn authenticate(service: &GatewayService, key: &str) -> Result<Caller, AppError> {
    let (principal, policy) = api_keys::authenticate_key(&service.identity, key).await?;
    let Credential::ApiKey { id: key_id, .. } = principal.credential else { return Err(Code::Unauthenticated.into()) };
    Ok(Caller { principal, key_id, policy })
}

/// The models that a key may call, under all their names; none that is refused for having no price.
#[must_use]
pub fn models(service: &GatewayService, caller: &Caller) -> Vec<UsableModel> {
    let table = service.table();
    models::usable_of(service, &table, |model| service.shows(&table, caller, model))
}

/// Whether a key may call the model that goes by this name.
#[must_use]
pub fn may_call(service: &GatewayService, caller: &Caller, name: &str) -> bool {
    let table = service.table();
    table.find(name).is_some_and(|model| service.shows(&table, caller, &model))
}

/// Keeps the answer to a question for those who ask it again.
pub async fn keep(
    service: &GatewayService,
    question: Question,
    content_type: &'static str,
    body: Bytes,
    model: String,
) {
    service.answers.keep(question, content_type, body, model).await;
}

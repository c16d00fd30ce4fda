//! Admission of calls, and their settlement.

mod refusal;

use std::{sync::Arc, time::Instant};

use ::ai::{CallHistory, Meter, RequestLabels, Route, SearchCounts, TokenEstimate, ToolUses, Usage};
use appcore::{
    ApiKeyId, Code, Timestamp, UserId, WorkspaceId,
    auth::Scope,
    credits::MicroCredits,
    view::{GatewayEndpoint, QuotaMetric},
};
use billing::reservations::{Amounts, Origin};
use bytes::Bytes;
use platform::{
    rate_limits::{KeyLimit, KeyLimitStates, KeySlot},
    work_pools::WorkOwner,
};

pub use self::refusal::Refusal;
use crate::{
    BillingIdentity, CacheDirectives, CacheKey, CachedAnswer, GatewayCaller, GatewayService,
    assistant_usage::MIN_FAILED_STATUS,
    call_details::CallDetails,
    cost::{cost, cost_of_searches, max_cost, most_output, with_search_rounds},
    models::Model,
    reservations::{ChargePlan, Payer, ReservationGuard},
    usage_row::{ServedCall, UsageRow, count, tokens},
    writer::UsageEntry,
};

/// Deployment recorded for a call that was answered from the cache.
const CACHE_DEPLOYMENT: &str = "cache";
/// Maximum length of a caller's text in a usage row, in characters.
const MAX_TEXT_CHARS: usize = 200;

/// Properties of a requested call.
#[derive(Clone, Copy, Debug)]
pub struct CallRequest<'a> {
    pub model: &'a str,
    pub request_id: &'a str,
    pub labels: &'a RequestLabels,
    pub estimate: TokenEstimate,
}

/// Admitted call. If it is dropped without being settled, it costs nothing.
#[must_use]
pub struct Admission {
    gateway: Arc<GatewayService>,
    key_id: ApiKeyId,
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
    labels: RequestLabels,
    endpoint: GatewayEndpoint,
    requested_model: String,
    request_id: String,
    model: Arc<Model>,
    limit: KeyLimit,
    figures: KeyLimitStates,
    counted_tokens: u32,
    /// Slot that counts against the key's limit of parallel calls until the call ends.
    _slot: Option<KeySlot>,
    /// Reservations of the call, and their total.
    reservation: ReservationGuard,
    amount: MicroCredits,
    /// Maximum number of output tokens, as far as known.
    most_output: u64,
    /// True if the caller sets no output limit.
    has_open_output: bool,
    /// Reservations to extend, if the call may cost more than is reserved.
    extendable: Option<Arc<ChargePlan>>,
    max_amounts: Amounts,
    created_at: Timestamp,
    started_at: Instant,
}

/// Result of a call.
#[derive(Clone, Debug, Default)]
pub struct CallOutcome {
    /// HTTP status sent to the client; 499 if it disconnected.
    pub status: u16,
    pub usage: Usage,
    /// Upstream name of the model that answered.
    pub model: String,
    pub deployment: String,
    /// Last characters of the provider's key, if it is long enough to show them.
    pub key_tail: Option<String>,
    pub first_token_at: Option<Instant>,
    pub tries: u32,
    pub history: CallHistory,
}

impl CallOutcome {
    /// Reads the result from the meter of a call.
    #[must_use]
    pub fn from_meter(meter: &Meter, status: u16) -> Self {
        let served = meter.served();
        Self {
            status,
            usage: meter.usage(),
            model: served.model,
            deployment: served.provider,
            key_tail: served.key_tail,
            first_token_at: meter.first_token_at(),
            tries: meter.attempts(),
            history: meter.history(),
        }
    }
}

/// Admits or refuses a call. Until it is settled, it counts against the key's limits and budgets.
pub async fn authorize(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Admission, Refusal> {
    let admitted = admit(service, caller, endpoint, request).await;
    if let Err(refusal) = &admitted {
        record_refused(service, caller, endpoint, request, refusal);
    }
    admitted
}

/// Admits or refuses a call like [`authorize`]. A rate limit leaves no usage row, because the call
/// waits for it.
pub async fn authorize_queued(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Admission, Refusal> {
    let admitted = admit(service, caller, endpoint, request).await;
    if let Err(refusal) = &admitted
        && !matches!(refusal, Refusal::RateLimited(_))
    {
        record_refused(service, caller, endpoint, request, refusal);
    }
    admitted
}

/// Returns the route of a token-counting request. Counting is free, so it needs no reservation and
/// doesn't count against the requests per minute: agents count tokens before every turn.
pub fn route_to_count(
    service: &GatewayService,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    model: &str,
) -> Result<Arc<Route>, Refusal> {
    find_allowed(service, caller, endpoint, model).map(|model| Arc::clone(&model.route))
}

/// Fails if the key may not call the endpoint.
pub fn authorize_endpoint(caller: &GatewayCaller, endpoint: GatewayEndpoint) -> Result<(), Refusal> {
    caller.principal.require_scope(Scope::Gateway).map_err(|_| Refusal::ScopeMissing)?;
    let allowed = &caller.policy.endpoints;
    if allowed.is_empty() || allowed.contains(&endpoint) { Ok(()) } else { Err(Refusal::EndpointNotAllowed) }
}

/// Returns the model, if this key may call it on this endpoint.
pub(crate) fn find_allowed(
    service: &GatewayService,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    asked: &str,
) -> Result<Arc<Model>, Refusal> {
    authorize_endpoint(caller, endpoint)?;
    let table = service.table();
    let model = table.find(asked).filter(|model| service.allows(&table, caller, model));
    let model = model.ok_or_else(|| Refusal::UnknownModel(asked.to_owned()))?;
    service.check_price(asked, Some(model.as_ref()))?;
    Ok(model)
}

async fn admit(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Admission, Refusal> {
    let policy = &caller.policy;
    let model = find_allowed(service, caller, endpoint, request.model)?;
    let (estimate, searches) = service.estimate_of(caller, endpoint, &model.route, request.estimate);
    let (request, has_open_tools) = (CallRequest { estimate, ..request }, estimate.has_open_tools);
    let most_output = service.most_output(&model, endpoint, request.estimate);
    // Without an output limit, only the actual output tokens are counted.
    let output = request.estimate.max_output.map_or(0, |_| most_output);
    let tokens = request.estimate.input.saturating_add(output);
    let limit = KeyLimit { rpm: policy.limit.rpm.or(service.default_rpm), ..policy.limit };
    let taken = service.limits.admit(caller.key_id, limit, tokens).await.map_err(Refusal::RateLimited)?;
    let user_id = caller.principal.user_id;
    let worst = service.max_cost_with_searches(&model, endpoint, request.estimate, searches.by_gateway);
    let payer = Payer { user_id, workspace_id: policy.workspace_id, account: None };
    let budgets = service.budgets_of_call(caller, &model, request.labels, worst.cost).await.map_err(Refusal::Failed)?;
    let bill = service.charge_plan(payer, &budgets, QuotaMetric::GatewayCalls, worst);
    let held = service.reserve_all(&bill, worst, Origin::Allotments).await?;
    let worst = Amounts { count: 0, ..worst };
    let has_open_output = request.estimate.max_output.is_none();
    let may_outgrow =
        has_open_output || has_open_tools || searches.by_gateway > 0 || service.ai.may_ignore_limits(&model.route);
    let is_growing = may_outgrow && !bill.is_empty() && worst.cost > MicroCredits::ZERO;
    let payer = Payer { account: held.account(), ..payer };
    let growing =
        is_growing.then(|| service.charge_plan(payer, &budgets, QuotaMetric::GatewayCalls, worst)).map(Arc::new);
    Ok(Admission {
        gateway: Arc::clone(service),
        key_id: caller.key_id,
        user_id,
        workspace_id: policy.workspace_id,
        labels: request.labels.clone(),
        endpoint,
        requested_model: truncate(request.model),
        request_id: truncate(request.request_id),
        model,
        limit,
        figures: taken.figures,
        counted_tokens: taken.tokens,
        _slot: taken.slot,
        reservation: held,
        amount: worst.cost,
        most_output,
        has_open_output,
        extendable: growing,
        max_amounts: worst,
        created_at: service.clock.now(),
        started_at: Instant::now(),
    })
}

/// Records a refused call of a model that the key may use, so that its owner can find it in the
/// usage log.
fn record_refused(
    service: &GatewayService,
    caller: &GatewayCaller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
    refusal: &Refusal,
) {
    let status = match refusal {
        Refusal::ScopeMissing | Refusal::EndpointNotAllowed | Refusal::UnknownModel(_) => return,
        Refusal::NoPrice(_) => Code::Forbidden.status(),
        Refusal::OutOfBudget(_) | Refusal::OutOfCredits | Refusal::QuotaReached(_)
            if endpoint == GatewayEndpoint::Messages =>
        {
            Code::BudgetExceeded.status()
        }
        Refusal::RateLimited(_) | Refusal::OutOfBudget(_) | Refusal::OutOfCredits | Refusal::QuotaReached(_) => {
            Code::RateLimited.status()
        }
        Refusal::Failed(error) => error.code().status(),
    };
    let Some(model) = service.find_model(request.model) else { return };
    let row = UsageRow {
        created_at: service.clock.now(),
        request_id: truncate(request.request_id),
        key_id: Some(caller.key_id),
        asker: caller.asker(),
        labels: request.labels.clone(),
        endpoint: endpoint.as_str().to_owned(),
        requested_model: truncate(request.model),
        model_name: model.name.to_string(),
        price_version: model.price_version.to_string(),
    };
    let row = row.refused(status, &CallDetails::refused(refusal));
    service.writer.push(UsageEntry { row: Some(row), model: Arc::clone(&model.name), settlements: Vec::new() });
}

impl GatewayService {
    /// Returns the estimate of a call on this route, with the tools that are passed on to the provider:
    /// others cost nothing. Also returns the number of web searches.
    pub(super) fn estimate_of(
        &self,
        caller: &GatewayCaller,
        endpoint: GatewayEndpoint,
        route: &Route,
        estimate: TokenEstimate,
    ) -> (TokenEstimate, SearchCounts) {
        let passes = caller.policy.passes.as_deref();
        let has_tools = match endpoint {
            GatewayEndpoint::Chat => self.ai.passes_web_search(route, passes),
            GatewayEndpoint::Responses => self.ai.passes_hosted_tools(route, passes),
            _ => true,
        };
        let tools = if has_tools { estimate.tools } else { ToolUses::default() };
        let searches = estimate.search.map(|demand| self.ai.most_searches(route, passes, demand)).unwrap_or_default();
        let tools = ToolUses { searches: tools.searches.max(searches.by_provider), ..tools };
        (TokenEstimate { tools, has_open_tools: has_tools && estimate.has_open_tools, ..estimate }, searches)
    }

    /// Returns the cost of the given usage of a model.
    fn cost(&self, model: &Model, usage: &Usage) -> MicroCredits {
        let of_model = model.price.as_ref().map_or(MicroCredits::ZERO, |price| cost(price, usage));
        of_model + cost_of_searches(self.config.web_search.price, usage.gateway_searches.unwrap_or(0))
    }

    /// Returns the maximum cost of a call.
    pub(super) fn max_cost(&self, model: &Model, endpoint: GatewayEndpoint, wanted: TokenEstimate) -> Amounts {
        self.max_cost_with_searches(model, endpoint, wanted, 0)
    }

    /// Returns the maximum cost of a call for which the gateway searches the web at most `searches`
    /// times.
    fn max_cost_with_searches(
        &self,
        model: &Model,
        endpoint: GatewayEndpoint,
        wanted: TokenEstimate,
        searches: u64,
    ) -> Amounts {
        let wanted = with_search_rounds(wanted, searches);
        let output = self.most_output(model, endpoint, wanted);
        let always = u64::from(model.route.searches_always());
        let tools = ToolUses { searches: wanted.tools.searches.max(always), ..wanted.tools };
        let wanted = TokenEstimate { tools, ..wanted };
        let of_model = model.price.as_ref().map_or(MicroCredits::ZERO, |price| max_cost(price, wanted, output));
        let cost = of_model + cost_of_searches(self.config.web_search.price, searches);
        Amounts { cost, tokens: count(Some(wanted.input.saturating_add(output))), count: 1 }
    }

    /// Returns the maximum number of output tokens of all choices of a call.
    pub(super) fn most_output(&self, model: &Model, endpoint: GatewayEndpoint, wanted: TokenEstimate) -> u64 {
        if endpoint == GatewayEndpoint::Embeddings {
            return 0;
        }
        most_output(wanted, self.config.gateway.assumed_output, model.max_output)
    }
}

impl Admission {
    /// Returns the route of the call.
    #[must_use]
    pub fn route(&self) -> Arc<Route> {
        Arc::clone(&self.model.route)
    }

    /// Owner of the processing of large bodies: the owner of the key.
    #[must_use]
    pub const fn work_owner(&self) -> WorkOwner {
        WorkOwner::User { user: self.user_id, workspace: self.workspace_id }
    }

    /// True if the model has a price per image.
    #[must_use]
    pub fn has_image_price(&self) -> bool {
        self.model.price.as_ref().is_some_and(|price| price.image.is_some())
    }

    /// True if anything is reserved for the call.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.reservation.is_empty()
    }

    /// Maximum number of output tokens: the requested limit, otherwise the number reserved without
    /// one.
    #[must_use]
    pub fn most_output(&self) -> u64 {
        self.most_output
    }

    /// Returns the remaining limits of the key, for `x-ratelimit-*` headers.
    #[must_use]
    pub fn figures(&self) -> KeyLimitStates {
        self.figures
    }

    /// Returns the cache key of the call.
    #[must_use]
    pub fn cache_key(&self, body: Bytes, betas: Option<String>) -> CacheKey {
        CacheKey { key_id: self.key_id, endpoint: self.endpoint, betas, body }
    }

    /// Returns the cached answer to an identical request.
    pub async fn find_cached(&self, question: &CacheKey, wish: CacheDirectives) -> Option<Arc<CachedAnswer>> {
        self.gateway.answers.find(question, wish).await
    }

    /// Settles a call that was answered from the cache. It costs nothing and uses no tokens.
    pub fn settle_cached(self, answer: &CachedAnswer) -> MicroCredits {
        let none = Usage { input: Some(0), output: Some(0), ..Usage::default() };
        let deployment = CACHE_DEPLOYMENT.to_owned();
        let model = answer.model.clone();
        self.settle(CallOutcome { status: 200, usage: none, model, deployment, ..CallOutcome::default() })
    }

    /// Returns a future that reserves the same amount again, if the call needs more. That is the
    /// case if its output is unlimited and it is about to exceed its reservation, or if it has
    /// exceeded the reservation because its tools are unlimited or the provider ignores the limit.
    #[must_use]
    pub fn extend_reservation(
        &self,
        usage: &Usage,
    ) -> Option<impl Future<Output = Result<ReservationGuard, Refusal>> + Send + use<>> {
        let bill = Arc::clone(self.extendable.as_ref()?);
        let room = if self.has_open_output { self.amount.0 / 10 } else { 0 };
        let is_outgrown = self.cost(usage).0 > self.amount.0 - room;
        let (gateway, worst) = (Arc::clone(&self.gateway), self.max_amounts);
        is_outgrown.then_some(async move { gateway.reserve_all(&bill, worst, Origin::Allotments).await })
    }

    /// True if the call has used up its reservation.
    #[must_use]
    pub fn is_used_up(&self, usage: &Usage) -> bool {
        self.cost(usage) >= self.amount
    }

    /// Adds a reservation to the call.
    pub fn add_reservation(&mut self, held: ReservationGuard) {
        self.reservation.add(held);
        self.amount += self.max_amounts.cost;
    }

    /// Returns the cost of the given usage.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> MicroCredits {
        self.gateway.cost(&self.model, usage)
    }

    /// Settles a call whose client has disconnected.
    pub fn settle_disconnected(self, meter: &Meter, status: u16) -> MicroCredits {
        let usage = meter.usage_after_disconnect(Instant::now(), self.most_output);
        self.settle(CallOutcome { usage, ..CallOutcome::from_meter(meter, status) })
    }

    /// Settles the call: usage row, daily totals, budgets and limits. Doesn't block; returns the
    /// cost.
    pub fn settle(self, outcome: CallOutcome) -> MicroCredits {
        let CallOutcome { status, usage, model, deployment, key_tail, first_token_at, tries, history } = outcome;
        let cost = self.gateway.cost(&self.model, &usage);
        self.gateway.limits.adjust_tokens(self.key_id, self.limit, self.counted_tokens, usage.total());
        self.gateway.key_tokens.add(&deployment, key_tail.as_deref(), usage.total());
        let row = UsageRow {
            created_at: self.created_at,
            request_id: self.request_id,
            key_id: Some(self.key_id),
            asker: BillingIdentity { user_id: self.user_id, workspace_id: self.workspace_id },
            labels: self.labels,
            endpoint: self.endpoint.as_str().to_owned(),
            requested_model: self.requested_model,
            model_name: self.model.name.to_string(),
            price_version: self.model.price_version.to_string(),
        };
        let row = row.served(ServedCall {
            usage: &usage,
            cost,
            model,
            deployment,
            status,
            first_token: first_token_at.map(|at| at.saturating_duration_since(self.started_at)),
            duration: self.started_at.elapsed(),
            tries,
            history,
            batch_price_percent: None,
        });
        // Failed calls without usage don't count as calls.
        let counts = row.status < MIN_FAILED_STATUS || tokens(&row) > 0;
        self.reservation.settle(row, Arc::clone(&self.model.name), i64::from(counts));
        cost
    }
}

/// Truncates a caller's text for storage and removes NUL, which databases don't accept.
pub(crate) fn truncate(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').take(MAX_TEXT_CHARS).collect()
}

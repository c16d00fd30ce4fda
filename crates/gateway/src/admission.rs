//! Letting a call in, and counting it when it is over.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use ::ai::{ErrorKind, GatewayError, Meter, Route, ToolUses, Usage, Wanted};
use appcore::{
    ApiKeyId, AppError, Code, Timestamp, UserId, WorkspaceId,
    auth::Scope,
    credits::MicroCredits,
    view::{BudgetScope, GatewayEndpoint, ModelPrice, QuotaMetric, QuotaUse},
};
use billing::holds::{Amounts, Origin, Purse, Shortage};
use bytes::Bytes;
use dbcontext::query::budgets::CounterId;
use platform::{
    rate_limits::{Exceeded, Figures, KeyLimit, KeyMeasure, KeySlot},
    work_pools::WorkOwner,
};
use serde_json::json;

use crate::{
    Asker, CacheWish, Caller, GatewayService, KeptAnswer, Question,
    budgets::UsedUp,
    cost::{cost, most_output, worst_cost},
    hold::{Bill, Held, Payer},
    models::Model,
    record::FAILED,
    usage_row::{Served, UsageRow, count, tokens},
    writer::Entry,
};

/// What stands in the row of a call as its deployment that no provider was asked for.
const CACHE: &str = "cache";
/// The longest text of a caller's that a row keeps.
const MAX_TEXT: usize = 200;

/// What a call asks for.
#[derive(Clone, Copy, Debug)]
pub struct CallRequest<'a> {
    pub model: &'a str,
    pub request_id: &'a str,
    pub wanted: Wanted,
}

/// Why a call is not let in.
#[derive(Debug)]
pub enum Refusal {
    ScopeMissing,
    EndpointNotAllowed,
    /// There is no such model, or the key may not use it: which of the two is nobody's business.
    UnknownModel(String),
    /// Nobody knows what the model costs, and the setting says to refuse then.
    NoPrice(String),
    RateLimited(Exceeded),
    OutOfBudget(UsedUp),
    OutOfCredits,
    QuotaReached(QuotaUse),
    Failed(AppError),
}

impl Refusal {
    /// The sentence that a person reads.
    #[must_use]
    pub fn sentence(&self) -> Cow<'static, str> {
        match self {
            Self::ScopeMissing => Code::ScopeMissing.sentence().into(),
            Self::EndpointNotAllowed => "This API key may not call this endpoint.".into(),
            Self::UnknownModel(model) => {
                format!("The model `{}` doesn't exist, or this key may not use it.", shortened(model)).into()
            }
            Self::NoPrice(model) => {
                format!("The model `{}` has no price yet. Ask your admin to set one.", shortened(model)).into()
            }
            Self::RateLimited(exceeded) => match exceeded.measure {
                KeyMeasure::Requests => {
                    "This API key has reached its requests per minute. Wait, then try again.".into()
                }
                KeyMeasure::Tokens => "This API key has reached its tokens per minute. Wait, then try again.".into(),
                KeyMeasure::Parallel => {
                    "This API key has too many requests at the same time. Wait, then try again.".into()
                }
            },
            Self::OutOfBudget(used_up) => {
                let whose = match used_up.scope {
                    BudgetScope::Key => "The budget of this API key",
                    BudgetScope::User => "The budget of this API key's owner",
                    BudgetScope::Workspace => "The budget of this API key's workspace",
                };
                match used_up.resets_at {
                    Some(at) => format!("{whose} is used up until {at}.").into(),
                    None => format!("{whose} is used up.").into(),
                }
            }
            Self::QuotaReached(QuotaUse { resets_at: Some(at), .. }) => {
                format!("The plan's limit for today is reached. It begins anew at {at}.").into()
            }
            Self::QuotaReached(_) => Code::QuotaReached.sentence().into(),
            Self::OutOfCredits => Code::OutOfCredits.sentence().into(),
            Self::Failed(error) => error.sentence(),
        }
    }

    /// How long to wait before it is worth trying again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(exceeded) => Some(exceeded.retry_after),
            Self::Failed(error) => error.retry_after(),
            _ => None,
        }
    }

    /// What is left of the key's limits, where they are known.
    #[must_use]
    pub fn figures(&self) -> Figures {
        match self {
            Self::RateLimited(exceeded) => exceeded.figures,
            _ => Figures::default(),
        }
    }
}

impl From<Shortage> for Refusal {
    fn from(Shortage { purse, used, limit, resets_at }: Shortage) -> Self {
        match purse {
            Purse::Credits(_) => Self::OutOfCredits,
            Purse::Counter(CounterId::Budget(budget)) => Self::OutOfBudget(UsedUp { scope: budget.scope, resets_at }),
            Purse::Counter(CounterId::Quota(metric, _)) => {
                Self::QuotaReached(QuotaUse { metric, used, limit, resets_at })
            }
        }
    }
}

impl Refusal {
    /// What helps, where something has run out: for the person who reads what a program was answered.
    const fn help(&self) -> Option<&'static str> {
        match self {
            Self::OutOfCredits => Some("Buy some at /plans."),
            Self::QuotaReached(_) => Some("Larger plans are at /plans."),
            Self::OutOfBudget(UsedUp { scope: BudgetScope::Key, .. }) => Some("Its owner can raise it."),
            Self::OutOfBudget(_) => Some("Ask your admin to raise it."),
            _ => None,
        }
    }

    /// What helps, where something has run out: for a program that shows it.
    fn next(&self) -> Option<serde_json::Value> {
        match self {
            Self::OutOfCredits => Some(json!({ "next": "buy_credits" })),
            Self::QuotaReached(quota) => Some(json!({
                "next": "change_plan", "metric": quota.metric, "limit": quota.limit, "resets_at": quota.resets_at,
            })),
            Self::OutOfBudget(UsedUp { scope, resets_at }) => {
                Some(json!({ "next": "ask_admin", "scope": scope, "resets_at": resets_at }))
            }
            _ => None,
        }
    }
}

impl From<Refusal> for AppError {
    fn from(refusal: Refusal) -> Self {
        let (message, retry_after, next) = (Some(refusal.sentence()), refusal.retry_after(), refusal.next());
        let code = match refusal {
            Refusal::Failed(error) => return error,
            Refusal::ScopeMissing | Refusal::EndpointNotAllowed => Code::ScopeMissing,
            Refusal::UnknownModel(_) => Code::NotFound,
            Refusal::NoPrice(_) => Code::WrongState,
            Refusal::RateLimited(_) => Code::RateLimited,
            Refusal::OutOfBudget(_) => Code::BudgetExceeded,
            Refusal::QuotaReached(_) => Code::QuotaReached,
            Refusal::OutOfCredits => Code::OutOfCredits,
        };
        match next {
            Some(details) => Self::Detailed { code, message, details: Box::new(details) },
            None => Self::Refused { code, message, retry_after },
        }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::UnknownModel(model) => return Self::unknown_model(model),
            Refusal::ScopeMissing | Refusal::EndpointNotAllowed | Refusal::NoPrice(_) => ErrorKind::Forbidden,
            Refusal::RateLimited(_) => ErrorKind::RateLimited,
            Refusal::OutOfBudget(_) | Refusal::OutOfCredits | Refusal::QuotaReached(_) => ErrorKind::OutOfBudget,
            Refusal::Failed(error) => match error.code().status() {
                503 => ErrorKind::Unavailable,
                _ => ErrorKind::Internal,
            },
        };
        let sentence = match refusal.help() {
            Some(help) => format!("{} {help}", refusal.sentence()).into(),
            None => refusal.sentence(),
        };
        let error = Self::new(kind, sentence);
        match refusal.retry_after() {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

/// A call that was let in. Dropped without being settled it costs nothing.
#[must_use]
pub struct Admission {
    gateway: Arc<GatewayService>,
    key_id: ApiKeyId,
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
    endpoint: GatewayEndpoint,
    requested_model: String,
    request_id: String,
    model: Arc<Model>,
    limit: KeyLimit,
    figures: Figures,
    counted_tokens: u32,
    /// Until the call is over it is one of those at the same time.
    _slot: Option<KeySlot>,
    /// All that is held for it, and how much that is.
    held: Held,
    amount: MicroCredits,
    /// The most tokens that its answers may have, as far as is known.
    most_output: u64,
    /// Its caller allows its answers any length.
    has_open_output: bool,
    /// What it counts against, where it may cost more than is held for it.
    growing: Option<Arc<Bill>>,
    worst: Amounts,
    created_at: Timestamp,
    began: Instant,
}

/// How a call ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The status that the client got; 499 where it left.
    pub status: u16,
    pub usage: Usage,
    /// The upstream's name of the model that answered.
    pub model: String,
    pub deployment: String,
    /// The last characters of the provider's key, where it has enough to show them.
    pub key_tail: Option<String>,
    pub first_token_at: Option<Instant>,
    pub tries: u32,
}

impl Outcome {
    /// What the meter of a call says.
    #[must_use]
    pub fn of(meter: &Meter, status: u16) -> Self {
        let served = meter.served();
        Self {
            status,
            usage: meter.usage(),
            model: served.model,
            deployment: served.provider,
            key_tail: served.key_tail,
            first_token_at: meter.first_token_at(),
            tries: meter.tries(),
        }
    }
}

/// Lets a call in, or says why not. Until it is settled it counts against the key's limits and budgets.
pub async fn authorize(
    service: &Arc<GatewayService>,
    caller: &Caller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Admission, Refusal> {
    let admitted = admit(service, caller, endpoint, request).await;
    if let Err(refusal) = &admitted {
        note_refused(service, caller, endpoint, request, refusal);
    }
    admitted
}

/// Where a question goes whose tokens are only counted. That costs nothing, so that nothing is held for it and it is none of the requests of a minute: agents
/// count before each turn.
pub fn route_to_count(service: &GatewayService, caller: &Caller, model: &str) -> Result<Arc<Route>, Refusal> {
    allowed(service, caller, GatewayEndpoint::Messages, model).map(|model| Arc::clone(&model.route))
}

/// The model, where this key may call it here.
fn allowed(
    service: &GatewayService,
    caller: &Caller,
    endpoint: GatewayEndpoint,
    asked: &str,
) -> Result<Arc<Model>, Refusal> {
    let policy = &caller.policy;
    caller.principal.require_scope(Scope::Gateway).map_err(|_| Refusal::ScopeMissing)?;
    if !policy.endpoints.is_empty() && !policy.endpoints.contains(&endpoint) {
        return Err(Refusal::EndpointNotAllowed);
    }
    let table = service.table();
    let model = table.find(asked).filter(|model| service.allows(&table, caller, model));
    let model = model.ok_or_else(|| Refusal::UnknownModel(asked.to_owned()))?;
    service.check_price(asked, Some(model.as_ref()))?;
    Ok(model)
}

async fn admit(
    service: &Arc<GatewayService>,
    caller: &Caller,
    endpoint: GatewayEndpoint,
    request: CallRequest<'_>,
) -> Result<Admission, Refusal> {
    let policy = &caller.policy;
    let model = allowed(service, caller, endpoint, request.model)?;
    // Tools cost nothing where they are left out.
    let passes = policy.passes.as_deref();
    let has_tools = match endpoint {
        GatewayEndpoint::Chat => service.ai.hands_on_searches(&model.route, passes),
        GatewayEndpoint::Responses => service.ai.hands_on_tools(&model.route, passes),
        _ => true,
    };
    let tools = if has_tools { request.wanted.tools } else { ToolUses::default() };
    let has_open_tools = has_tools && request.wanted.has_open_tools;
    let request = CallRequest { wanted: Wanted { tools, has_open_tools, ..request.wanted }, ..request };
    let most_output = service.most_output(&model, endpoint, request.wanted);
    // Who names no limit is counted for what the answer has, once it is there.
    let output = request.wanted.max_output.map_or(0, |_| most_output);
    let tokens = request.wanted.input.saturating_add(output);
    let limit = KeyLimit { rpm: policy.limit.rpm.or(service.default_rpm), ..policy.limit };
    let taken = service.limits.take(caller.key_id, limit, tokens).await.map_err(Refusal::RateLimited)?;
    let user_id = caller.principal.user_id;
    let worst = service.worst_case(&model, endpoint, request.wanted);
    let payer = Payer { user_id, workspace_id: policy.workspace_id, account: None };
    let bill = service.bill(payer, &policy.budgets, QuotaMetric::GatewayCalls, worst);
    let held = service.hold(&bill, worst, Origin::Blocks).await?;
    let worst = Amounts { count: 0, ..worst };
    let has_open_output = request.wanted.max_output.is_none();
    let may_outgrow = has_open_output || has_open_tools || service.ai.may_ignore_limits(&model.route);
    let is_growing = may_outgrow && !bill.is_empty() && worst.cost > MicroCredits::ZERO;
    let payer = Payer { account: held.account(), ..payer };
    let growing =
        is_growing.then(|| service.bill(payer, &policy.budgets, QuotaMetric::GatewayCalls, worst)).map(Arc::new);
    Ok(Admission {
        gateway: Arc::clone(service),
        key_id: caller.key_id,
        user_id,
        workspace_id: policy.workspace_id,
        endpoint,
        requested_model: shortened(request.model),
        request_id: shortened(request.request_id),
        model,
        limit,
        figures: taken.figures,
        counted_tokens: taken.tokens,
        _slot: taken.slot,
        held,
        amount: worst.cost,
        most_output,
        has_open_output,
        growing,
        worst,
        created_at: service.clock.now(),
        began: Instant::now(),
    })
}

/// Writes down a call of a model that the key may use, and that was not let in all the same: whoever looks for it finds it.
fn note_refused(
    service: &GatewayService,
    caller: &Caller,
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
        request_id: shortened(request.request_id),
        key_id: Some(caller.key_id),
        asker: caller.asker(),
        endpoint: endpoint.as_str().to_owned(),
        requested_model: shortened(request.model),
        price_version: model.price_version.to_string(),
    };
    let row = row.refused(status);
    service.writer.push(Entry { row: Some(row), model: Arc::clone(&model.name), settlements: Vec::new() });
}

impl GatewayService {
    /// What a call costs at most.
    pub(super) fn worst_case(&self, model: &Model, endpoint: GatewayEndpoint, wanted: Wanted) -> Amounts {
        let output = self.most_output(model, endpoint, wanted);
        let always = u64::from(model.route.searches_always());
        let tools = ToolUses { searches: wanted.tools.searches.max(always), ..wanted.tools };
        let wanted = Wanted { tools, ..wanted };
        let cost = model.price.as_ref().map_or(MicroCredits::ZERO, |price| worst_cost(price, wanted, output));
        Amounts { cost, tokens: count(Some(wanted.input.saturating_add(output))), count: 1 }
    }

    /// The most tokens that all answers to a call may have.
    fn most_output(&self, model: &Model, endpoint: GatewayEndpoint, wanted: Wanted) -> u64 {
        if endpoint == GatewayEndpoint::Embeddings {
            return 0;
        }
        most_output(wanted, self.config.gateway.assumed_output, model.most_output)
    }
}

impl Admission {
    /// Where the call may go.
    #[must_use]
    pub fn route(&self) -> Arc<Route> {
        Arc::clone(&self.model.route)
    }

    /// On whose behalf large bodies are processed: the key's owner.
    #[must_use]
    pub const fn work_owner(&self) -> WorkOwner {
        WorkOwner::Person { user: self.user_id, workspace: self.workspace_id }
    }

    /// Whether what it may cost is held somewhere.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// The most tokens that its answers may have: what it names, else what is held for one that names none.
    #[must_use]
    pub fn most_output(&self) -> u64 {
        self.most_output
    }

    /// What is left of the key's limits, for `x-ratelimit-*`.
    #[must_use]
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// What is asked, as the cache knows it.
    #[must_use]
    pub fn question(&self, body: Bytes, betas: Option<String>) -> Question {
        Question { key_id: self.key_id, endpoint: self.endpoint, betas, body }
    }

    /// The answer that the same question got before.
    pub async fn kept(&self, question: &Question, wish: CacheWish) -> Option<Arc<KeptAnswer>> {
        self.gateway.answers.find(question, wish).await
    }

    /// Counts a call that got its answer from the cache. It costs nothing, and no token was used for it.
    pub fn settle_kept(self, answer: &KeptAnswer) -> MicroCredits {
        let none = Usage { input: Some(0), output: Some(0), ..Usage::default() };
        let deployment = CACHE.to_owned();
        let model = answer.model.clone();
        self.settle(Outcome { status: 200, usage: none, model, deployment, ..Outcome::default() })
    }

    /// Holds as much again, where the call is about to cost more than is held for it, as its caller allows its answer any length; and where it does,
    /// as its tools have no bound, or its server takes no notice of the limit.
    #[must_use]
    pub fn growth(&self, usage: &Usage) -> Option<impl Future<Output = Result<Held, Refusal>> + Send + use<>> {
        let bill = Arc::clone(self.growing.as_ref()?);
        let room = if self.has_open_output { self.amount.0 / 10 } else { 0 };
        let is_outgrown = self.cost(usage).0 > self.amount.0 - room;
        let (gateway, worst) = (Arc::clone(&self.gateway), self.worst);
        is_outgrown.then_some(async move { gateway.hold(&bill, worst, Origin::Blocks).await })
    }

    /// Whether it has used all that is held for it.
    #[must_use]
    pub fn is_used_up(&self, usage: &Usage) -> bool {
        self.cost(usage) >= self.amount
    }

    /// This is held beside what was held before.
    pub fn grown(&mut self, held: Held) {
        self.held.add(held);
        self.amount += self.worst.cost;
    }

    /// What the call costs with this usage.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> MicroCredits {
        self.model.price.as_ref().map_or(MicroCredits::ZERO, |price| cost(price, usage))
    }

    /// Counts a call whose caller has left.
    pub fn settle_left(self, meter: &Meter, status: u16) -> MicroCredits {
        let usage = meter.usage_left(Instant::now(), self.most_output);
        self.settle(Outcome { usage, ..Outcome::of(meter, status) })
    }

    /// Counts the call: its row, the sums of its day, budgets and limits. Takes no time; what it costs comes back.
    pub fn settle(self, outcome: Outcome) -> MicroCredits {
        let Outcome { status, usage, model, deployment, key_tail, first_token_at, tries } = outcome;
        let cost = self.model.price.as_ref().map_or(MicroCredits::ZERO, |price: &ModelPrice| cost(price, &usage));
        self.gateway.limits.correct(self.key_id, self.limit, self.counted_tokens, usage.total());
        self.gateway.key_tokens.add(&deployment, key_tail.as_deref(), usage.total());
        let row = UsageRow {
            created_at: self.created_at,
            request_id: self.request_id,
            key_id: Some(self.key_id),
            asker: Asker { user_id: self.user_id, workspace_id: self.workspace_id },
            endpoint: self.endpoint.as_str().to_owned(),
            requested_model: self.requested_model,
            price_version: self.model.price_version.to_string(),
        };
        let row = row.served(Served {
            usage: &usage,
            cost,
            model,
            deployment,
            status,
            first_token: first_token_at.map(|at| at.saturating_duration_since(self.began)),
            duration: self.began.elapsed(),
            tries,
        });
        // A call that came to nothing is not counted.
        let counts = row.status < FAILED || tokens(&row) > 0;
        self.held.settle(row, Arc::clone(&self.model.name), i64::from(counts));
        cost
    }
}

/// As much of a caller's text as is kept and shown; databases can't keep a NUL.
fn shortened(text: &str) -> String {
    text.chars().filter(|letter| *letter != '\0').take(MAX_TEXT).collect()
}

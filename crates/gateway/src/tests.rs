//! Tests of keys, budgets and usage on each database, with a clock controlled by the tests.

mod budget_tests;
mod hold_tests;
mod key_tests;
mod part_tests;
mod price_tests;

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use ::ai::{CallHistory, FailedAttempt, RequestLabels, TokenEstimate, ToolUses, Usage};
use appcore::{
    ApiKeyId, Code, Timestamp, UserId,
    auth::{Principal, Scope},
    config::SettingsTable,
    credits::MicroCredits,
    page::PageRequest,
    view::{
        BudgetLimit, BudgetPeriod, BudgetScope, GatewayEndpoint, ModelDefinition, ModelDeployment, ModelPrice,
        UsageGrouping, UsageRefusal,
    },
};
use billing::{
    BillingService, credits,
    ledger::{self, AccountHolder},
};
use dbcontext::query::{
    budgets::{self as rows, BudgetId},
    ledger as ledger_rows, workspaces,
};
use identity::{IdentityService, accounts::Confirmed, membership::WorkspaceChangeEvent};
use platform::rate_limits::KeyMeasure;
use stage::{Stage, create_workspace, principal, sign_up, stages, until};
use uuid::Uuid;

use crate::{
    Admission, AnswerUsage, BillingIdentity, CallOutcome, CallRequest, GatewayCaller, GatewayService,
    InternalModelCall, ModelCall, PolicyChange, Refusal, authenticate, authorize, budgets,
    keys::{self, KeyChange, NewApiKey},
    may_call, models, queue_answers, record, reserve_model_call,
    usage::{self, UsageQuery},
};

const SETTINGS: &[(&str, &str)] = &[
    ("ai.providers.main.kind", "openai"),
    ("ai.providers.main.base_url", "http://127.0.0.1:9/v1"),
    ("ai.providers.main.models", "small,large"),
    ("ai.model_map.fast", "main/small"),
];

/// Price of one micro-credit per input token and ten per output token.
const PRICE: ModelPrice = ModelPrice {
    input: MicroCredits(1_000_000),
    output: MicroCredits(10_000_000),
    cached: None,
    cache_write: None,
    audio: None,
    audio_output: None,
    search: None,
    container: None,
    image: None,
    long: None,
};

static NO_LABELS: RequestLabels = RequestLabels { end_user: None, tags: Vec::new() };

async fn instance_with(stage: &Stage, settings: &[(&str, &str)]) -> Arc<GatewayService> {
    let core =
        stage.core(stage.config(&SettingsTable::with_settings(billing::payments::settings()), settings)).await.unwrap();
    let billing = BillingService::build(IdentityService::build(core).await.unwrap()).await.unwrap();
    billing.start();
    GatewayService::build(billing).await.unwrap()
}

/// Starts an instance whose model `small` has a price, and signs up a user.
async fn instance(stage: &Stage) -> Arc<GatewayService> {
    instance_with(stage, SETTINGS).await
}

async fn priced(service: &GatewayService, by: &Principal) {
    priced_at(service, by, PRICE).await;
}

async fn priced_at(service: &GatewayService, by: &Principal, price: ModelPrice) {
    let definition = ModelDefinition {
        deployments: vec![ModelDeployment {
            provider: "main".to_owned(),
            model: "upstream-small".to_owned(),
            weight: 1,
            priority: 0,
        }],
        aliases: vec!["fast".to_owned()],
        price: Some(price),
        ..ModelDefinition::default()
    };
    models::define_model(service, by, "small", definition).await.unwrap();
}

async fn confirmed(service: &GatewayService, by: &Principal) -> Confirmed {
    Confirmed::authorize(&service.identity, by).await.unwrap()
}

async fn key(service: &GatewayService, by: &Principal, policy: PolicyChange) -> (ApiKeyId, String) {
    let new = NewApiKey {
        name: "A program".to_owned(),
        scopes: [Scope::Gateway].into_iter().collect(),
        expires_at: None,
        policy,
    };
    let (made, key) = keys::create(service, &confirmed(service, by).await, new).await.unwrap();
    (made.id, key.expose().to_owned())
}

async fn caller(service: &GatewayService, key: &str) -> GatewayCaller {
    authenticate(service, key).await.unwrap()
}

fn request(model: &str) -> CallRequest<'_> {
    CallRequest { model, request_id: "req-1", labels: &NO_LABELS, estimate: TokenEstimate::text_only(100, Some(10)) }
}

async fn ask(service: &Arc<GatewayService>, caller: &GatewayCaller, model: &str) -> Result<Admission, Refusal> {
    authorize(service, caller, GatewayEndpoint::Chat, request(model)).await
}

fn used(input: u64, output: u64) -> CallOutcome {
    CallOutcome {
        status: 200,
        usage: Usage { input: Some(input), output: Some(output), ..Usage::default() },
        model: "upstream-small".to_owned(),
        deployment: "main".to_owned(),
        key_tail: None,
        first_token_at: None,
        tries: 1,
        history: CallHistory::default(),
    }
}

fn per(limit: i64, period: BudgetPeriod) -> BudgetLimit {
    BudgetLimit { limit: MicroCredits(limit), period }
}

fn with_budget(limit: i64) -> PolicyChange {
    PolicyChange { budget: Some(Some(per(limit, BudgetPeriod::Day))), ..PolicyChange::default() }
}

async fn spent_and_held(service: &GatewayService, id: BudgetId) -> (i64, i64) {
    let row = rows::find(service.db.writer(), id).await.unwrap().unwrap();
    (row.spent.0, row.held.0)
}

fn first_page() -> PageRequest {
    PageRequest::new(None, None)
}

#[tokio::test]
async fn explains_a_request_by_its_id() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, with_budget(200)).await;
        let caller = caller(&service, &secret).await;
        let failed = FailedAttempt {
            provider: "main".to_owned(),
            model: "upstream-small".to_owned(),
            error: "provider_busy",
            duration: Duration::from_millis(12),
        };
        let history = CallHistory { failed_attempts: vec![failed], repairs: vec!["images=no".to_owned()] };
        ask(&service, &caller, "fast").await.ok().unwrap().settle(CallOutcome { history, ..used(100, 10) });
        assert!(ask(&service, &caller, "fast").await.is_err());
        let find = async |by| usage::find_request(&service, by, "req-1", first_page()).await;
        let calls = find(&anna).await.unwrap().items;
        let [served, refused] = &calls[..] else { panic!("{calls:?}") };
        assert_eq!((served.model_name.as_deref(), served.price), (Some("small"), Some(PRICE)));
        assert_eq!((served.failed_attempts[0].error.as_str(), served.refusal), ("provider_busy", None));
        assert_eq!(served.repairs, ["images=no"]);
        assert_eq!((refused.refusal, refused.request.status), (Some(UsageRefusal::KeyBudget), 429));
        let ben = principal(&service.identity, &sign_up(&service.identity, "Ben").await).await;
        assert_eq!(find(&ben).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn counts_a_settled_call_once_in_every_grouping_and_a_dropped_one_never() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (id, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        drop(ask(&service, &caller, "small").await.ok().unwrap());
        for _ in 0..3 {
            let admission = ask(&service, &caller, "fast").await.ok().unwrap();
            assert_eq!(admission.settle(used(100, 5)), MicroCredits(150));
        }
        let query = UsageQuery { user_id: Some(anna.user_id), ..UsageQuery::default() };
        let requests = usage::list_requests(&service, &anna, query, first_page()).await.unwrap();
        assert_eq!(requests.total, 3);
        let row = &requests.items[0];
        assert_eq!((row.asked_model.as_str(), row.model.as_str()), ("fast", "upstream-small"));
        assert_eq!((row.cost, row.key_id, row.input_tokens), (MicroCredits(150), Some(id), 100));
        assert!(row.price_version.starts_with("admin:"), "{}", row.price_version);
        for (grouping, expected) in [
            (UsageGrouping::Day, "2027-01-15".to_owned()),
            (UsageGrouping::Model, "small".to_owned()),
            (UsageGrouping::Key, id.to_string()),
            (UsageGrouping::User, anna.user_id.to_string()),
            (UsageGrouping::EndUser, String::new()),
        ] {
            let groups = usage::list_groups(&service, &anna, query, None, grouping, first_page()).await.unwrap();
            assert_eq!(groups.total, 1, "{grouping}");
            let group = &groups.items[0];
            assert_eq!((&group.key, group.requests, group.cost), (&expected, 3, MicroCredits(450)));
        }
        for (model, total) in [("small", 1), ("large", 0)] {
            let by = UsageGrouping::Day;
            let groups = usage::list_groups(&service, &anna, query, Some(model), by, first_page()).await.unwrap();
            assert_eq!(groups.total, total, "{model}");
        }
        let stranger = principal(&service.identity, &sign_up(&service.identity, "Ben").await).await;
        assert_eq!(
            usage::list_requests(&service, &stranger, UsageQuery::default(), first_page()).await.unwrap().total,
            0
        );
        let theirs = usage::list_requests(&service, &stranger, query, first_page()).await.unwrap_err();
        assert_eq!(theirs.code(), Code::Forbidden);
    }
}

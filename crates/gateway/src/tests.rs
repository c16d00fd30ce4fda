//! Keys, budgets and usage on each database, with a clock that the tests move.

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use ::ai::{ToolUses, Usage, Wanted};
use appcore::{
    ApiKeyId, Code, Timestamp, UserId,
    auth::{Principal, Scope},
    config::Table,
    credits::MicroCredits,
    page::PageRequest,
    view::{
        BudgetLimit, BudgetPeriod, BudgetScope, GatewayEndpoint, ModelDefinition, ModelDeployment, ModelPrice,
        UsageGrouping,
    },
};
use billing::{
    BillingService, credits,
    ledger::{self, Holder},
};
use dbcontext::query::{
    budgets::{self as rows, BudgetId},
    ledger as ledger_rows, workspaces,
};
use identity::{IdentityService, accounts::Confirmed, membership::ChangeNotice};
use platform::rate_limits::KeyMeasure;
use stage::{Stage, create_workspace, principal, sign_up, stages, until};
use uuid::Uuid;

use crate::{
    Admission, AnswerUse, Asker, CallRequest, Caller, GatewayService, Outcome, PolicyChange, Refusal, Round, SideCall,
    authenticate, authorize, budgets, hold_round,
    keys::{self, KeyChange, NewApiKey},
    may_call, models, queue_answers, record,
    usage::{self, UsageQuery},
};

const SETTINGS: &[(&str, &str)] = &[
    ("ai.providers.main.kind", "openai"),
    ("ai.providers.main.base_url", "http://127.0.0.1:9/v1"),
    ("ai.providers.main.models", "small,large"),
    ("ai.model_map.fast", "main/small"),
];

/// A token read costs one micro-credit, a token written ten.
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

async fn instance_with(stage: &Stage, settings: &[(&str, &str)]) -> Arc<GatewayService> {
    let core = stage.core(stage.config(&Table::with(billing::payments::settings()), settings)).await.unwrap();
    let billing = BillingService::build(IdentityService::build(core).await.unwrap()).await.unwrap();
    billing.start();
    GatewayService::build(billing).await.unwrap()
}

/// An instance whose model `small` has a price, and somebody with an account.
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
    models::put(service, by, "small", definition).await.unwrap();
}

async fn confirmed(service: &GatewayService, by: &Principal) -> Confirmed {
    Confirmed::ask(&service.identity, by).await.unwrap()
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

async fn caller(service: &GatewayService, key: &str) -> Caller {
    authenticate(service, key).await.unwrap()
}

fn request(model: &str) -> CallRequest<'_> {
    CallRequest { model, request_id: "req-1", wanted: Wanted::words(100, Some(10)) }
}

async fn ask(service: &Arc<GatewayService>, caller: &Caller, model: &str) -> Result<Admission, Refusal> {
    authorize(service, caller, GatewayEndpoint::Chat, request(model)).await
}

fn used(input: u64, output: u64) -> Outcome {
    Outcome {
        status: 200,
        usage: Usage { input: Some(input), output: Some(output), ..Usage::default() },
        model: "upstream-small".to_owned(),
        deployment: "main".to_owned(),
        key_tail: None,
        first_token_at: None,
        tries: 1,
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
async fn a_call_is_counted_once_by_every_grouping_and_a_dropped_one_never() {
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
        let requests = usage::requests(&service, &anna, query, first_page()).await.unwrap();
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
        ] {
            let groups = usage::grouped(&service, &anna, query, None, grouping, first_page()).await.unwrap();
            assert_eq!(groups.total, 1, "{grouping}");
            let group = &groups.items[0];
            assert_eq!((&group.key, group.requests, group.cost), (&expected, 3, MicroCredits(450)));
        }
        for (model, total) in [("small", 1), ("large", 0)] {
            let by = UsageGrouping::Day;
            let groups = usage::grouped(&service, &anna, query, Some(model), by, first_page()).await.unwrap();
            assert_eq!(groups.total, total, "{model}");
        }
        let stranger = principal(&service.identity, &sign_up(&service.identity, "Ben").await).await;
        assert_eq!(usage::requests(&service, &stranger, UsageQuery::default(), first_page()).await.unwrap().total, 0);
        let theirs = usage::requests(&service, &stranger, query, first_page()).await.unwrap_err();
        assert_eq!(theirs.code(), Code::Forbidden);
    }
}

#[tokio::test]
async fn two_hundred_racing_calls_on_two_instances_never_overdraw() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let other = if stage.is_sqlite() { Arc::clone(&service) } else { instance(&stage).await };
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // Each call may cost 200.
        let (id, secret) = key(&service, &anna, with_budget(2_000)).await;
        let callers = [caller(&service, &secret).await, caller(&other, &secret).await];
        until(async || other.find_model("small").is_some_and(|model| model.price.is_some())).await;
        let racing = (0..200).map(|n| {
            let (service, caller) = if n % 2 == 0 { (&service, &callers[0]) } else { (&other, &callers[1]) };
            let (service, caller) = (Arc::clone(service), caller.clone());
            tokio::spawn(async move { ask(&service, &caller, "small").await })
        });
        let racing: Vec<_> = racing.collect();
        let mut admitted = Vec::new();
        for call in racing {
            match call.await.unwrap() {
                Ok(admission) => admitted.push(admission),
                Err(Refusal::OutOfBudget(used_up)) => assert_eq!(used_up.scope, BudgetScope::Key),
                Err(refusal) => panic!("{refusal:?}"),
            }
        }
        assert_eq!(admitted.len(), 10);
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        assert_eq!(spent_and_held(&service, budget).await, (0, 2_000));
        for (n, admission) in admitted.into_iter().enumerate() {
            // One is dropped: its client left before anything was said.
            if n > 0 {
                admission.settle(used(100, 10));
            }
        }
        service.flush().await;
        other.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (1_800, 0));
        ask(&service, &callers[0], "small").await.ok().unwrap().settle(used(100, 10));
        assert!(matches!(ask(&service, &callers[0], "small").await, Err(Refusal::OutOfBudget(_))));
        stage.pass(86_400);
        assert!(ask(&service, &callers[0], "small").await.is_ok(), "the next day begins anew");
    }
}

/// A model whose calls cost 200 at most, and two instances of which each knows a key with this budget. SQLite has one instance.
async fn pair(stage: &Stage, limit: i64) -> ([(Arc<GatewayService>, Caller); 2], Principal, BudgetId) {
    let service = instance(stage).await;
    let other = if stage.is_sqlite() { Arc::clone(&service) } else { instance(stage).await };
    let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
    priced(&service, &anna).await;
    let (id, secret) = key(&service, &anna, with_budget(limit)).await;
    let callers = [caller(&service, &secret).await, caller(&other, &secret).await];
    until(async || other.find_model("small").is_some_and(|model| model.price.is_some())).await;
    let [one, two] = callers;
    ([(service, one), (other, two)], anna, BudgetId { scope: BudgetScope::Key, id: id.0 })
}

/// Calls until there is something reserved for the next ones.
async fn make_busy(service: &Arc<GatewayService>, caller: &Caller) {
    let budget = BudgetId { scope: BudgetScope::Key, id: caller.key_id.0 };
    until(async || {
        drop(ask(service, caller, "small").await.ok().unwrap());
        let (reserved, _) = service.billing.holds.unseen(budget.into());
        reserved > MicroCredits::ZERO
    })
    .await;
}

#[tokio::test]
async fn calls_of_a_busy_key_take_from_blocks_and_never_overdraw_either() {
    const CALLS: i64 = 1_000;
    for stage in stages().await {
        let (instances, _, budget) = pair(&stage, 200 * CALLS).await;
        for (service, caller) in &instances {
            make_busy(service, caller).await;
        }
        let racing = instances.iter().flat_map(|instance| std::iter::repeat_n(instance, 4)).map(|(service, caller)| {
            let (service, caller) = (Arc::clone(service), caller.clone());
            tokio::spawn(async move {
                let mut admitted = Vec::new();
                while let Ok(admission) = ask(&service, &caller, "small").await {
                    admitted.push(admission);
                }
                admitted
            })
        });
        let mut admitted = Vec::new();
        for calls in racing.collect::<Vec<_>>() {
            admitted.extend(calls.await.unwrap());
        }
        assert!(admitted.len() as i64 <= CALLS, "{}", admitted.len());
        // What one instance had reserved is the other's after a moment.
        until(async || {
            for (service, caller) in &instances {
                while let Ok(admission) = ask(service, caller, "small").await {
                    admitted.push(admission);
                }
            }
            admitted.len() as i64 >= CALLS
        })
        .await;
        assert_eq!(admitted.len() as i64, CALLS);
        let (service, _) = &instances[0];
        assert_eq!(spent_and_held(service, budget).await, (0, 200 * CALLS));
        admitted.into_iter().for_each(|admission| _ = admission.settle(used(100, 5)));
        for (service, _) in &instances {
            service.end().await;
        }
        assert_eq!(spent_and_held(service, budget).await, (150 * CALLS, 0), "nothing is booked twice or lost");
    }
}

#[tokio::test]
async fn what_is_reserved_is_not_shown_as_held_and_goes_with_the_budget() {
    for stage in stages().await {
        let ([(service, caller), _], anna, budget) = pair(&stage, 1_000_000).await;
        make_busy(&service, &caller).await;
        service.flush().await;
        assert!(spent_and_held(&service, budget).await.1 > 0);
        let call = ask(&service, &caller, "small").await.ok().unwrap();
        let shown = async || {
            let keys = keys::list(&service, &caller.principal, first_page()).await.unwrap();
            let budget = keys.items[0].budget.clone().unwrap();
            (budget.spent.0, budget.held.0)
        };
        assert_eq!(shown().await, (0, 200));
        call.settle(used(100, 5));
        assert_eq!(shown().await, (150, 0));
        let smaller = KeyChange { policy: with_budget(150), ..KeyChange::default() };
        keys::update(&service, &confirmed(&service, &anna).await, caller.key_id, smaller).await.unwrap();
        assert!(matches!(ask(&service, &caller, "small").await, Err(Refusal::OutOfBudget(_))));
        until(async || spent_and_held(&service, budget).await == (150, 0)).await;
    }
}

#[tokio::test]
async fn budgets_of_key_person_and_workspace_all_hold_and_the_refusal_names_which() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let workspace = create_workspace(&service, anna.user_id).await;
        let policy = PolicyChange { workspace_id: Some(Some(workspace)), ..with_budget(1_000_000) };
        let (id, secret) = key(&service, &anna, policy).await;
        assert!(ask(&service, &caller(&service, &secret).await, "small").await.is_ok());
        for (scope, of) in [(BudgetScope::User, anna.user_id.0), (BudgetScope::Workspace, workspace.0)] {
            budgets::set(&service, &anna, scope, of, per(50, BudgetPeriod::None)).await.unwrap();
            match ask(&service, &caller(&service, &secret).await, "small").await {
                Err(Refusal::OutOfBudget(used_up)) => assert_eq!((used_up.scope, used_up.resets_at), (scope, None)),
                _ => panic!("the budget of the {scope} does not hold"),
            }
            budgets::lift(&service, &anna, scope, of).await.unwrap();
            assert!(ask(&service, &caller(&service, &secret).await, "small").await.is_ok());
        }
        service.flush().await;
        let own = BudgetId { scope: BudgetScope::Key, id: id.0 };
        assert_eq!(spent_and_held(&service, own).await, (0, 0), "who was refused by one holds nothing in another");
        let lifted = PolicyChange { budget: Some(None), ..PolicyChange::default() };
        let change = KeyChange { policy: lifted, ..KeyChange::default() };
        assert_eq!(keys::update(&service, &confirmed(&service, &anna).await, id, change).await.unwrap().budget, None);
        assert!(caller(&service, &secret).await.policy.budgets.is_empty());
    }
}

#[tokio::test]
async fn what_costs_nothing_is_let_in_however_used_up_budgets_and_credits_are() {
    for stage in stages().await {
        let settings = [SETTINGS, &[("payment.demo.enabled", "true")]].concat();
        let service = instance_with(&stage, &settings).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let workspace = create_workspace(&service, anna.user_id).await;
        let (_, without_credits) = key(&service, &anna, PolicyChange::default()).await;
        let policy = PolicyChange { workspace_id: Some(Some(workspace)), ..with_budget(0) };
        let (_, without_budget) = key(&service, &anna, policy).await;
        let without_credits = caller(&service, &without_credits).await;
        assert!(matches!(ask(&service, &without_credits, "small").await, Err(Refusal::OutOfCredits)));
        for (scope, of) in [(BudgetScope::User, anna.user_id.0), (BudgetScope::Workspace, workspace.0)] {
            budgets::set(&service, &anna, scope, of, per(0, BudgetPeriod::None)).await.unwrap();
        }
        let without_budget = caller(&service, &without_budget).await;
        assert!(matches!(ask(&service, &without_budget, "small").await, Err(Refusal::OutOfBudget(_))));
        let asker = Asker { user_id: anna.user_id, workspace_id: Some(workspace) };
        let queue = async |model: &str| queue_answers(&service, asker, model, 2).await.map(drop);
        assert_eq!(queue("small").await.unwrap_err().code(), Code::BudgetExceeded);

        // Nobody has given `large` a price, and `small` has one of nothing from now on.
        let free = ModelPrice { input: MicroCredits::ZERO, output: MicroCredits::ZERO, ..PRICE };
        priced_at(&service, &anna, free).await;
        for model in ["large", "small"] {
            for caller in [&without_credits, &without_budget] {
                let call = ask(&service, caller, model).await.unwrap_or_else(|refusal| panic!("{model}: {refusal:?}"));
                assert_eq!(call.settle(used(100, 10)), MicroCredits::ZERO);
            }
            queue(model).await.unwrap();
            let round = Round { model, estimated_input: 100, max_output: None, queued: None, is_first: true };
            drop(hold_round(&service, asker, round).await.unwrap());
        }
    }
}

#[tokio::test]
async fn an_answer_in_a_chat_counts_against_the_budgets_of_who_asks_and_of_the_workspace() {
    for stage in stages().await {
        let (service, other) = (instance(&stage).await, instance(&stage).await);
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let workspace = create_workspace(&service, anna.user_id).await;
        let asker = Asker { user_id: anna.user_id, workspace_id: Some(workspace) };
        let queue = async || queue_answers(&service, asker, "small", 1).await;
        assert!(queue().await.unwrap().is_none(), "there is no budget");
        for (scope, of) in [(BudgetScope::User, anna.user_id.0), (BudgetScope::Workspace, workspace.0)] {
            let budget = BudgetId { scope, id: of };
            // One answer may cost 32,000 tokens read and 4,096 written.
            budgets::set(&service, &anna, scope, of, per(100_000, BudgetPeriod::None)).await.unwrap();
            drop(queue().await.unwrap().unwrap());
            service.flush().await;
            assert_eq!(spent_and_held(&service, budget).await, (0, 0), "it was not sent");
            let queued = queue().await.unwrap().unwrap();
            let ids = queued.ids();
            assert_eq!(ids.len(), 1);
            queued.hand_over();
            assert_eq!(spent_and_held(&service, budget).await, (0, 72_960));
            let refused = queue().await.err().unwrap();
            assert_eq!(refused.code(), Code::BudgetExceeded);
            assert!(refused.sentence().contains("Ask an admin to raise it"), "{}", refused.sentence());

            until(async || other.may_have_budgets(anna.user_id)).await;
            until(async || other.find_model("small").is_some_and(|model| model.price.is_some())).await;
            let outcome = used(100, 5);
            let answer = AnswerUse {
                user_id: anna.user_id,
                workspace_id: None,
                answer_id: uuid::Uuid::now_v7(),
                model: "small".to_owned(),
                usage: outcome.usage,
                served: ::ai::Served::default(),
                tries: 1,
                status: 200,
                first_token: None,
                duration: Duration::from_secs(1),
            };
            let round =
                |queued, is_first| Round { model: "small", estimated_input: 100, max_output: None, queued, is_first };
            let first = hold_round(&other, asker, round(ids.first().copied(), true)).await.unwrap();
            assert_eq!(spent_and_held(&service, budget).await, (0, 72_960), "what was held for it stays so");
            assert_eq!(record(&other, answer.clone(), Some(first)), Some(MicroCredits(150)));
            other.flush().await;
            assert_eq!(spent_and_held(&service, budget).await, (150, 0));
            let mut second = hold_round(&other, asker, round(None, false)).await.unwrap();
            assert_eq!(spent_and_held(&service, budget).await, (150, 41_060));
            assert!(second.is_outgrown(&used(100, 4_000).usage) && !second.is_outgrown(&used(100, 3_000).usage));
            second.grow().await.unwrap();
            second.grow().await.unwrap();
            assert!(!second.is_outgrown(&used(100, 8_000).usage), "it may use what is held to the end");
            assert!(second.is_outgrown(&used(100, 8_300).usage));
            assert_eq!(second.grow().await.unwrap_err().code(), Code::BudgetExceeded);
            assert_eq!(record(&other, answer.clone(), Some(second)), Some(MicroCredits(150)));
            other.end().await;
            assert_eq!(spent_and_held(&service, budget).await, (300, 0));
            budgets::lift(&service, &anna, scope, of).await.unwrap();
            until(async || !other.may_have_budgets(anna.user_id)).await;
        }
    }
}

#[tokio::test]
async fn a_stream_that_outgrows_what_is_held_for_it_holds_more_while_there_is_more() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // 4,096 tokens are held for an answer of any length: 41,060 with the question.
        let (id, secret) = key(&service, &anna, with_budget(100_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let limited = ask(&service, &caller, "small").await.ok().unwrap();
        assert!(limited.growth(&used(100, 10).usage).is_none(), "its caller limits it");
        drop(limited);
        service.flush().await;
        let question = CallRequest { wanted: Wanted::words(100, None), ..request("small") };
        let mut stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        assert!(stream.growth(&used(100, 3_000).usage).is_none());
        let more = stream.growth(&used(100, 4_000).usage).unwrap().await.ok().unwrap();
        stream.grown(more);
        assert_eq!(spent_and_held(&service, budget).await, (0, 82_120));
        assert!(stream.growth(&used(100, 5_000).usage).is_none());
        let refused = stream.growth(&used(100, 8_000).usage).unwrap().await;
        assert!(matches!(refused, Err(Refusal::OutOfBudget(_))));
        stream.settle(used(100, 8_000));
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (80_100, 0));
    }
}

#[tokio::test]
async fn what_is_held_for_somebody_who_left_meanwhile_is_free_again() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (id, secret) = key(&service, &anna, with_budget(1_000_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let question = CallRequest { wanted: Wanted::words(100, None), ..request("small") };
        let stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        let mut growth = Box::pin(stream.growth(&used(100, 4_000).usage).unwrap());
        assert!(poll_fn(|context| Poll::Ready(growth.as_mut().poll(context).is_pending())).await);
        drop((growth, stream));
        // What is asked later is decided later.
        drop(ask(&service, &caller, "small").await.ok().unwrap());
        until(async || spent_and_held(&service, budget).await == (0, 0)).await;
    }
}

#[tokio::test]
async fn a_stream_that_searches_more_than_is_held_for_it_holds_more_while_there_is_more() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced_at(&service, &anna, ModelPrice { search: Some(MicroCredits(1_000)), ..PRICE }).await;
        let (id, secret) = key(&service, &anna, with_budget(5_000)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let asking = async |has_open_tools: bool| {
            let tools = ToolUses { searches: 2, ..ToolUses::default() };
            let wanted = Wanted { tools, has_open_tools, ..Wanted::words(100, Some(10)) };
            let question = CallRequest { wanted, ..request("small") };
            authorize(&service, &caller, GatewayEndpoint::Messages, question).await.ok().unwrap()
        };
        let searched = |times: u64| Usage { searches: Some(times), ..used(100, 10).usage };
        let bounded = asking(false).await;
        assert!(bounded.growth(&searched(3)).is_none(), "its caller bounds it");
        drop(bounded);
        service.flush().await;
        // Two searches are held, and 200 for the tokens.
        let mut stream = asking(true).await;
        assert!(stream.growth(&searched(2)).is_none());
        let more = stream.growth(&searched(3)).unwrap().await.ok().unwrap();
        stream.grown(more);
        assert_eq!(spent_and_held(&service, budget).await, (0, 4_400));
        assert!(stream.growth(&searched(4)).is_none());
        assert!(matches!(stream.growth(&searched(5)).unwrap().await, Err(Refusal::OutOfBudget(_))));
        stream.settle(Outcome { usage: searched(4), ..used(100, 10) });
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (4_200, 0));
    }
}

#[tokio::test]
async fn a_stream_that_outgrows_what_is_held_for_it_owes_nothing_that_was_held() {
    for stage in stages().await {
        let settings = [SETTINGS, &[("payment.demo.enabled", "true")]].concat();
        let service = instance_with(&stage, &settings).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // All but a hundred of it are held in the end.
        let (holder, present) = (Holder::Person(anna.user_id), MicroCredits(82_220));
        credits::give(&service.billing, &confirmed(&service, &anna).await, holder, present, "A present".to_owned())
            .await
            .unwrap();
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let question = CallRequest { wanted: Wanted::words(100, None), ..request("small") };
        let mut stream = authorize(&service, &caller, GatewayEndpoint::Chat, question).await.ok().unwrap();
        let more = stream.growth(&used(100, 4_000).usage).unwrap().await.ok().unwrap();
        stream.grown(more);
        stream.settle(used(100, 8_000));
        service.flush().await;
        let account = ledger_rows::account(service.db.writer(), anna.user_id.0).await.unwrap().unwrap();
        assert_eq!((account.balance.0, account.owed.0, account.held.0), (2_120, 0, 0));
        let wanted = ledger_rows::Wanted {
            account_id: Some(anna.user_id.0),
            from: Timestamp(0),
            to: Timestamp(i64::MAX),
            before: Uuid::max(),
        };
        let entries = ledger_rows::after(service.db.writer(), wanted, Uuid::nil(), 100).await.unwrap();
        assert!(entries.iter().all(|entry| entry.kind != "owed"), "{entries:#?}");
        assert!(ledger::verify(&service.db).await.unwrap().1.is_empty());
    }
}

#[tokio::test]
async fn what_nobody_settles_is_free_again_and_its_late_cost_is_booked() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (id, secret) = key(&service, &anna, with_budget(200)).await;
        let caller = caller(&service, &secret).await;
        let budget = BudgetId { scope: BudgetScope::Key, id: id.0 };
        let lost = ask(&service, &caller, "small").await.ok().unwrap();
        assert!(matches!(ask(&service, &caller, "small").await, Err(Refusal::OutOfBudget(_))));
        stage.pass(79);
        service.billing.holds.renew().await.unwrap();
        stage.pass(79);
        service.billing.holds.sweep().await.unwrap();
        assert_eq!(spent_and_held(&service, budget).await, (0, 200), "a call that is under way keeps its hold");
        // As when its instance dies, which then renews nothing.
        stage.pass(2);
        service.billing.holds.sweep().await.unwrap();
        assert_eq!(spent_and_held(&service, budget).await, (0, 0));
        lost.settle(used(100, 5));
        service.flush().await;
        assert_eq!(spent_and_held(&service, budget).await, (150, 0));
    }
}

#[tokio::test]
async fn a_change_of_a_key_holds_at_once_on_the_other_instance() {
    for stage in stages().await {
        let (service, other) = (instance(&stage).await, instance(&stage).await);
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        let (id, secret) = key(&service, &anna, PolicyChange::default()).await;
        assert!(ask(&other, &caller(&other, &secret).await, "large").await.is_ok());
        let only = PolicyChange { models: Some(vec!["fast".to_owned()]), ..PolicyChange::default() };
        keys::update(
            &service,
            &confirmed(&service, &anna).await,
            id,
            KeyChange { policy: only, ..KeyChange::default() },
        )
        .await
        .unwrap();
        until(async || !caller(&other, &secret).await.policy.models.is_empty()).await;
        let refused = ask(&other, &caller(&other, &secret).await, "large").await;
        assert!(matches!(refused, Err(Refusal::UnknownModel(_))));
        assert!(ask(&other, &caller(&other, &secret).await, "small").await.is_ok(), "it is what the alias stands for");

        let unknown = PolicyChange { models: Some(vec!["none".to_owned()]), ..PolicyChange::default() };
        let change = KeyChange { policy: unknown, ..KeyChange::default() };
        assert_eq!(
            keys::update(&service, &confirmed(&service, &anna).await, id, change).await.unwrap_err().code(),
            Code::Invalid
        );

        let (_, rotated) =
            keys::rotate(&service, &confirmed(&service, &anna).await, id, Duration::from_secs(60)).await.unwrap();
        assert_eq!(caller(&other, rotated.expose()).await.key_id, id);
        assert_eq!(caller(&other, &secret).await.key_id, id, "the one before is good for a minute");
        stage.pass(61);
        assert!(authenticate(&service, &secret).await.is_err() && authenticate(&other, &secret).await.is_err());
        let (_, last) = keys::rotate(&service, &confirmed(&service, &anna).await, id, Duration::ZERO).await.unwrap();
        until(async || authenticate(&other, rotated.expose()).await.is_err()).await;
        assert!(authenticate(&other, last.expose()).await.is_ok());
    }
}

#[tokio::test]
async fn a_key_ends_with_its_owners_membership_and_others_endpoints_are_closed_to_it() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        let workspace = create_workspace(&service, anna.user_id).await;
        let policy = PolicyChange {
            workspace_id: Some(Some(workspace)),
            endpoints: Some(vec![GatewayEndpoint::Embeddings]),
            rpm: Some(Some(1)),
            ..PolicyChange::default()
        };
        let (_, secret) = key(&service, &anna, policy).await;
        let program = caller(&service, &secret).await;
        assert!(matches!(ask(&service, &program, "small").await, Err(Refusal::EndpointNotAllowed)));
        let embed = async || authorize(&service, &program, GatewayEndpoint::Embeddings, request("small")).await;
        assert_eq!(embed().await.ok().unwrap().figures().requests.unwrap().remaining, 0);
        match embed().await {
            Err(Refusal::RateLimited(exceeded)) => assert_eq!(exceeded.measure, KeyMeasure::Requests),
            _ => panic!("it is one too many"),
        }
        workspaces::delete(service.db.writer(), workspace, service.clock.now()).await.unwrap();
        ChangeNotice::ended(workspace).tell(&service.identity);
        until(async || authenticate(&service, &secret).await.is_err()).await;
        let foreign = PolicyChange { workspace_id: Some(Some(workspace)), ..PolicyChange::default() };
        let new = NewApiKey {
            name: "Another".to_owned(),
            scopes: [Scope::Gateway].into_iter().collect(),
            expires_at: None,
            policy: foreign,
        };
        assert_eq!(
            keys::create(&service, &confirmed(&service, &anna).await, new).await.unwrap_err().code(),
            Code::NotFound
        );
        let nobody = budgets::set(&service, &anna, BudgetScope::User, UserId::new().0, per(1, BudgetPeriod::Day)).await;
        assert_eq!(nobody.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_model_whose_price_nobody_knows_is_refused_whatever_somebody_asks_it_for() {
    const REFUSE: (&str, &str) = ("gateway.unknown_price", "refuse");
    for stage in stages().await {
        let service = instance_with(&stage, &[SETTINGS, &[REFUSE]].concat()).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let asker = Asker { user_id: anna.user_id, workspace_id: None };
        let round = async |service: &Arc<GatewayService>, model: &str| {
            let round = Round { model, estimated_input: 100, max_output: None, queued: None, is_first: true };
            hold_round(service, asker, round).await.map(drop)
        };
        let side = async |model: &str| {
            let model = service.find_model(model).unwrap();
            SideCall::begin(&service, asker, &model, (GatewayEndpoint::Chat, 100)).await.map(drop)
        };
        assert!(ask(&service, &caller, "small").await.is_ok());
        round(&service, "small").await.unwrap();
        side("small").await.unwrap();
        assert!(matches!(ask(&service, &caller, "large").await, Err(Refusal::NoPrice(_))));
        assert!(matches!(side("large").await, Err(Refusal::NoPrice(_))));
        let refused = round(&service, "large").await.unwrap_err();
        assert_eq!((&*refused.fields()[0].field, &*refused.fields()[0].code), ("model", "no_price"));
        let listed = models::usable(&service, &anna, None, first_page()).await.unwrap().items;
        for shown in [listed, models(&service, &caller)] {
            assert_eq!(shown.iter().map(|model| &*model.name).collect::<Vec<_>>(), ["small"]);
        }
        assert!(may_call(&service, &caller, "fast") && !may_call(&service, &caller, "large"));

        let without_provider = instance_with(&stage, &[REFUSE]).await;
        round(&without_provider, "demo").await.unwrap();
        let listed = models::usable(&without_provider, &anna, None, first_page()).await.unwrap().items;
        assert!(listed.iter().any(|model| model.name == "demo"), "it is never refused");
    }
}

#[tokio::test]
async fn a_wrong_price_can_be_undone() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let cost = async || ask(&service, &caller, "small").await.ok().unwrap().cost(&used(100, 0).usage);
        assert_eq!(cost().await, MicroCredits(100));
        models::remove(&service, &anna, "small").await.unwrap();
        assert_eq!(cost().await, MicroCredits::ZERO, "nobody knows its price, and none is asked");
        assert_eq!(models::remove(&service, &anna, "small").await.unwrap_err().code(), Code::NotFound);
    }
}

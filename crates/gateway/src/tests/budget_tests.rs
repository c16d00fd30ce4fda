//! Tests of budgets: concurrent calls, local allotments of busy keys, and refusals.

use super::*;

#[tokio::test]
async fn concurrent_calls_on_two_instances_never_overdraw() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let other = if stage.is_sqlite() { Arc::clone(&service) } else { instance(&stage).await };
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // Each call may cost 200 micro-credits.
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
            // The first call is dropped, as if its client had disconnected before the answer.
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
        assert!(ask(&service, &callers[0], "small").await.is_ok(), "a new period starts the next day");
    }
}

/// Creates a model whose calls cost at most 200 micro-credits, and two instances with a key that
/// has this budget. On SQLite both are the same instance.
async fn pair(stage: &Stage, limit: i64) -> ([(Arc<GatewayService>, GatewayCaller); 2], Principal, BudgetId) {
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

/// Makes calls until the instance has reserved an allotment for the next ones.
async fn make_busy(service: &Arc<GatewayService>, caller: &GatewayCaller) {
    let budget = BudgetId { scope: BudgetScope::Key, id: caller.key_id.0 };
    until(async || {
        drop(ask(service, caller, "small").await.ok().unwrap());
        let (reserved, _) = service.billing.reservations.unposted(budget.into());
        reserved > MicroCredits::ZERO
    })
    .await;
}

#[tokio::test]
async fn allotments_of_busy_keys_never_overdraw() {
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
        // The allotment of one instance becomes available to the other one after a moment.
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
            service.shut_down().await;
        }
        assert_eq!(spent_and_held(service, budget).await, (150 * CALLS, 0), "nothing is booked twice or lost");
    }
}

#[tokio::test]
async fn allotments_are_not_shown_as_reserved_and_end_with_the_budget() {
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
async fn enforces_key_user_and_workspace_budgets_and_names_the_exceeded_one() {
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
                _ => panic!("the budget of the {scope} isn't enforced"),
            }
            budgets::remove(&service, &anna, scope, of).await.unwrap();
            assert!(ask(&service, &caller(&service, &secret).await, "small").await.is_ok());
        }
        service.flush().await;
        let own = BudgetId { scope: BudgetScope::Key, id: id.0 };
        assert_eq!(
            spent_and_held(&service, own).await,
            (0, 0),
            "a call refused by one budget reserves nothing in others"
        );
        let lifted = PolicyChange { budget: Some(None), ..PolicyChange::default() };
        let change = KeyChange { policy: lifted, ..KeyChange::default() };
        assert_eq!(keys::update(&service, &confirmed(&service, &anna).await, id, change).await.unwrap().budget, None);
        assert!(caller(&service, &secret).await.policy.budgets.is_empty());
    }
}

#[tokio::test]
async fn admits_free_calls_without_budget_and_credits() {
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
        let asker = BillingIdentity { user_id: anna.user_id, workspace_id: Some(workspace) };
        let queue = async |model: &str| queue_answers(&service, asker, model, 2).await.map(drop);
        assert_eq!(queue("small").await.unwrap_err().code(), Code::BudgetExceeded);

        // `large` has no price, and `small` has a price of zero from now on.
        let free = ModelPrice { input: MicroCredits::ZERO, output: MicroCredits::ZERO, ..PRICE };
        priced_at(&service, &anna, free).await;
        for model in ["large", "small"] {
            for caller in [&without_credits, &without_budget] {
                let call = ask(&service, caller, model).await.unwrap_or_else(|refusal| panic!("{model}: {refusal:?}"));
                assert_eq!(call.settle(used(100, 10)), MicroCredits::ZERO);
            }
            queue(model).await.unwrap();
            let round = ModelCall { model, estimated_input: 100, max_output: None, queued: None, is_first: true };
            drop(reserve_model_call(&service, asker, round).await.unwrap());
        }
    }
}

#[tokio::test]
async fn answers_count_against_the_budgets_of_user_and_workspace() {
    for stage in stages().await {
        let (service, other) = (instance(&stage).await, instance(&stage).await);
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let workspace = create_workspace(&service, anna.user_id).await;
        let asker = BillingIdentity { user_id: anna.user_id, workspace_id: Some(workspace) };
        let queue = async || queue_answers(&service, asker, "small", 1).await;
        assert!(queue().await.unwrap().is_none(), "there is no budget");
        for (scope, of) in [(BudgetScope::User, anna.user_id.0), (BudgetScope::Workspace, workspace.0)] {
            let budget = BudgetId { scope, id: of };
            // One answer reserves the price of 32,000 input tokens and 4,096 output tokens.
            budgets::set(&service, &anna, scope, of, per(100_000, BudgetPeriod::None)).await.unwrap();
            drop(queue().await.unwrap().unwrap());
            service.flush().await;
            assert_eq!(spent_and_held(&service, budget).await, (0, 0), "the answer wasn't queued");
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
            let answer = AnswerUsage {
                user_id: anna.user_id,
                workspace_id: None,
                answer_id: uuid::Uuid::now_v7(),
                model: "small".to_owned(),
                usage: outcome.usage,
                served: ::ai::ServedBy::default(),
                tries: 1,
                history: CallHistory::default(),
                status: 200,
                first_token: None,
                duration: Duration::from_secs(1),
            };
            let round = |queued, is_first| ModelCall {
                model: "small",
                estimated_input: 100,
                max_output: None,
                queued,
                is_first,
            };
            let first = reserve_model_call(&other, asker, round(ids.first().copied(), true)).await.unwrap();
            assert_eq!(spent_and_held(&service, budget).await, (0, 72_960), "its reservation stays");
            assert_eq!(record(&other, answer.clone(), Some(first)), Some(MicroCredits(150)));
            other.flush().await;
            assert_eq!(spent_and_held(&service, budget).await, (150, 0));
            let mut second = reserve_model_call(&other, asker, round(None, false)).await.unwrap();
            assert_eq!(spent_and_held(&service, budget).await, (150, 41_060));
            assert!(second.is_exceeded(&used(100, 4_000).usage) && !second.is_exceeded(&used(100, 3_000).usage));
            second.extend().await.unwrap();
            second.extend().await.unwrap();
            assert!(!second.is_exceeded(&used(100, 8_000).usage), "the reservation may be used up");
            assert!(second.is_exceeded(&used(100, 8_300).usage));
            assert_eq!(second.extend().await.unwrap_err().code(), Code::BudgetExceeded);
            assert_eq!(record(&other, answer.clone(), Some(second)), Some(MicroCredits(150)));
            other.shut_down().await;
            assert_eq!(spent_and_held(&service, budget).await, (300, 0));
            budgets::remove(&service, &anna, scope, of).await.unwrap();
            until(async || !other.may_have_budgets(anna.user_id)).await;
        }
    }
}

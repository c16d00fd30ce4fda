//! Tests of the parts of a key's calls, such as those for an end user: usage and budgets.

use super::*;

async fn authorize_for(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    name: &str,
) -> Result<Admission, Refusal> {
    let labels = RequestLabels { end_user: Some(name.to_owned()), tags: Vec::new() };
    authorize(service, caller, GatewayEndpoint::Chat, CallRequest { labels: &labels, ..request("small") }).await
}

async fn authorize_tagged(
    service: &Arc<GatewayService>,
    caller: &GatewayCaller,
    tags: &[&str],
) -> Result<Admission, Refusal> {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let labels = RequestLabels { end_user: None, tags };
    authorize(service, caller, GatewayEndpoint::Chat, CallRequest { labels: &labels, ..request("small") }).await
}

fn budgets_per_end_user(each: Option<i64>, single: &[(&str, i64)]) -> PolicyChange {
    let single = single.iter().map(|(name, limit)| ((*name).to_owned(), per(*limit, BudgetPeriod::Day)));
    PolicyChange {
        end_user_budget: Some(each.map(|limit| per(limit, BudgetPeriod::Day))),
        end_user_budgets: Some(single.collect()),
        ..PolicyChange::default()
    }
}

#[tokio::test]
async fn counts_usage_by_end_user() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        for name in ["ben", "cleo", "ben"] {
            authorize_for(&service, &caller, name).await.ok().unwrap().settle(used(100, 5));
        }
        ask(&service, &caller, "small").await.ok().unwrap().settle(used(100, 5));
        let query = UsageQuery { user_id: Some(anna.user_id), ..UsageQuery::default() };
        let by = async |query, grouping| {
            let groups = usage::list_groups(&service, &anna, query, Some("small"), grouping, first_page()).await;
            let groups = groups.unwrap().items.into_iter();
            groups.map(|group| (group.key, group.requests, group.cost.0)).collect::<Vec<_>>()
        };
        let named = |name: &str, requests, cost| (name.to_owned(), requests, cost);
        let mut groups = by(query, UsageGrouping::EndUser).await;
        groups.sort();
        assert_eq!(groups, [named("", 1, 150), named("ben", 2, 300), named("cleo", 1, 150)]);
        let of_ben = UsageQuery { end_user: Some("ben"), ..query };
        assert_eq!(by(of_ben, UsageGrouping::Day).await, [named("2027-01-15", 2, 300)]);
        assert_eq!(by(of_ben, UsageGrouping::Model).await, [named("small", 2, 300)]);
        let rows = usage::list_requests(&service, &anna, of_ben, first_page()).await.unwrap();
        assert_eq!((rows.total, rows.items[0].end_user.as_deref()), (2, Some("ben")));
    }
}

#[tokio::test]
async fn limits_each_end_user() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        // A call costs 200 micro-credits.
        let (id, secret) = key(&service, &anna, budgets_per_end_user(Some(200), &[("vip", 400)])).await;
        let program = caller(&service, &secret).await;
        for (name, calls) in [("ben", 1), ("cleo", 1), ("vip", 2)] {
            for _ in 0..calls {
                authorize_for(&service, &program, name).await.ok().unwrap().settle(used(100, 10));
            }
            match authorize_for(&service, &program, name).await {
                Err(Refusal::OutOfBudget(used_up)) => assert_eq!(used_up.scope, BudgetScope::EndUser),
                _ => panic!("{name} has used up the budget"),
            }
        }
        assert!(ask(&service, &program, "small").await.is_ok(), "there is no end user");

        // A new limit counts what was spent before.
        let change = async |policy| {
            let by = confirmed(&service, &anna).await;
            keys::update(&service, &by, id, KeyChange { policy, ..KeyChange::default() }).await.unwrap();
            caller(&service, &secret).await
        };
        service.flush().await;
        let program = change(budgets_per_end_user(Some(400), &[])).await;
        authorize_for(&service, &program, "ben").await.ok().unwrap().settle(used(100, 10));
        assert!(authorize_for(&service, &program, "ben").await.is_err());
        assert!(authorize_for(&service, &program, "vip").await.is_err());
        let program = change(budgets_per_end_user(None, &[])).await;
        assert!(authorize_for(&service, &program, "ben").await.is_ok());
        let program = change(budgets_per_end_user(Some(200), &[])).await;
        service.flush().await;
        assert!(authorize_for(&service, &program, "ben").await.is_err());
        stage.pass(86_400);
        assert!(authorize_for(&service, &program, "ben").await.is_ok(), "a new period starts the next day");
        assert_eq!(service.delete_idle_budgets(10).await.unwrap(), 0, "the new period has begun");
        service.flush().await;
        stage.pass(2 * 86_400);
        assert_eq!(service.delete_idle_budgets(10).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn counts_usage_by_tag() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        for tags in [&["a", "say \"b\""][..], &["a"], &["aa"], &[]] {
            authorize_tagged(&service, &caller, tags).await.ok().unwrap().settle(used(100, 5));
        }
        let query = UsageQuery { user_id: Some(anna.user_id), ..UsageQuery::default() };
        let groups = usage::list_groups(&service, &anna, query, None, UsageGrouping::Tag, first_page()).await.unwrap();
        let mut counts: Vec<_> = groups.items.into_iter().map(|group| (group.key, group.requests)).collect();
        counts.sort();
        let expected = [("a", 2), ("aa", 1), ("say \"b\"", 1)].map(|(tag, requests)| (tag.to_owned(), requests));
        assert_eq!(counts, expected);
        for (tag, total) in [("a", 2), ("say \"b\"", 1), ("b", 0)] {
            let query = UsageQuery { tag: Some(tag), ..query };
            let rows = usage::list_requests(&service, &anna, query, first_page()).await.unwrap();
            assert_eq!(rows.total, total, "{tag}");
            assert!(rows.items.iter().all(|row| row.tags.contains(&tag.to_owned())));
            let by = UsageGrouping::Day;
            let days = usage::list_groups(&service, &anna, query, None, by, first_page()).await.unwrap();
            assert_eq!(days.items.iter().map(|day| day.requests).sum::<u64>(), total, "{tag}");
        }
    }
}

#[tokio::test]
async fn limits_models_and_tags() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let named = |name: &str, limit| Some([(name.to_owned(), per(limit, BudgetPeriod::Day))].into());
        let change = async |policy, id| {
            let by = confirmed(&service, &anna).await;
            keys::update(&service, &by, id, KeyChange { policy, ..KeyChange::default() }).await.unwrap()
        };
        // A call costs 200 micro-credits.
        let (id, secret) =
            key(&service, &anna, PolicyChange { tag_budgets: named("a", 200), ..PolicyChange::default() }).await;
        let program = caller(&service, &secret).await;
        authorize_tagged(&service, &program, &["b", "a"]).await.ok().unwrap().settle(used(100, 10));
        let refused = authorize_tagged(&service, &program, &["a"]).await;
        assert!(matches!(refused, Err(Refusal::OutOfBudget(used_up)) if used_up.scope == BudgetScope::Tag));
        authorize_tagged(&service, &program, &["b"]).await.ok().unwrap().settle(used(100, 10));
        service.flush().await;
        // The alias stands for the model, which has been called twice.
        let policy = PolicyChange { model_budgets: named("fast", 600), ..PolicyChange::default() };
        let changed = change(policy, id).await;
        assert_eq!(changed.model_budgets.keys().collect::<Vec<_>>(), ["small"]);
        assert_eq!(changed.tag_budgets.len(), 1, "the other budgets stay");
        let program = caller(&service, &secret).await;
        ask(&service, &program, "small").await.ok().unwrap().settle(used(100, 10));
        let refused = ask(&service, &program, "small").await;
        assert!(matches!(refused, Err(Refusal::OutOfBudget(used_up)) if used_up.scope == BudgetScope::Model));
        assert!(ask(&service, &program, "large").await.is_ok());
        let unknown = PolicyChange { model_budgets: named("none", 1), ..PolicyChange::default() };
        let by = confirmed(&service, &anna).await;
        let refused = keys::update(&service, &by, id, KeyChange { policy: unknown, ..KeyChange::default() }).await;
        assert_eq!(refused.unwrap_err().code(), Code::Invalid);
    }
}

#[tokio::test]
async fn rejects_invalid_names_of_end_users() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        for name in ["", " ben", "b\u{0}en", &"b".repeat(257)] {
            let new = NewApiKey {
                name: "A program".to_owned(),
                scopes: [Scope::Gateway].into_iter().collect(),
                expires_at: None,
                policy: budgets_per_end_user(None, &[(name, 200)]),
            };
            let refused = keys::create(&service, &confirmed(&service, &anna).await, new).await.unwrap_err();
            assert_eq!(refused.code(), Code::Invalid, "{name:?}");
        }
    }
}

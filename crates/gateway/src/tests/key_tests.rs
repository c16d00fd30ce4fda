//! Tests of keys: changes on other instances, and the end of a membership.

use super::*;

#[tokio::test]
async fn key_changes_apply_immediately_on_other_instances() {
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
        assert!(
            ask(&other, &caller(&other, &secret).await, "small").await.is_ok(),
            "the alias resolves to an allowed model"
        );

        let unknown = PolicyChange { models: Some(vec!["none".to_owned()]), ..PolicyChange::default() };
        let change = KeyChange { policy: unknown, ..KeyChange::default() };
        assert_eq!(
            keys::update(&service, &confirmed(&service, &anna).await, id, change).await.unwrap_err().code(),
            Code::Invalid
        );

        let (_, rotated) =
            keys::rotate(&service, &confirmed(&service, &anna).await, id, Duration::from_secs(60)).await.unwrap();
        assert_eq!(caller(&other, rotated.expose()).await.key_id, id);
        assert_eq!(caller(&other, &secret).await.key_id, id, "the previous secret is valid for a minute");
        stage.pass(61);
        assert!(authenticate(&service, &secret).await.is_err() && authenticate(&other, &secret).await.is_err());
        let (_, last) = keys::rotate(&service, &confirmed(&service, &anna).await, id, Duration::ZERO).await.unwrap();
        until(async || authenticate(&other, rotated.expose()).await.is_err()).await;
        assert!(authenticate(&other, last.expose()).await.is_ok());
    }
}

#[tokio::test]
async fn key_ends_with_its_owners_membership_and_is_limited_to_its_endpoints() {
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
            _ => panic!("one call too many"),
        }
        workspaces::delete(service.db.writer(), workspace, service.clock.now()).await.unwrap();
        WorkspaceChangeEvent::workspace_ended(workspace).publish(&service.identity);
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

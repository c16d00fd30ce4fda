//! Tests of unknown and wrong prices.

use super::*;

#[tokio::test]
async fn refuses_models_without_price_on_every_path() {
    const REFUSE: (&str, &str) = ("gateway.unknown_price", "refuse");
    for stage in stages().await {
        let service = instance_with(&stage, &[SETTINGS, &[REFUSE]].concat()).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let asker = BillingIdentity { user_id: anna.user_id, workspace_id: None };
        let round = async |service: &Arc<GatewayService>, model: &str| {
            let round = ModelCall { model, estimated_input: 100, max_output: None, queued: None, is_first: true };
            reserve_model_call(service, asker, round).await.map(drop)
        };
        let side = async |model: &str| {
            let model = service.find_model(model).unwrap();
            InternalModelCall::reserve(&service, asker, &model, (GatewayEndpoint::Chat, 100)).await.map(drop)
        };
        assert!(ask(&service, &caller, "small").await.is_ok());
        round(&service, "small").await.unwrap();
        side("small").await.unwrap();
        assert!(matches!(ask(&service, &caller, "large").await, Err(Refusal::NoPrice(_))));
        assert!(matches!(side("large").await, Err(Refusal::NoPrice(_))));
        let refused = round(&service, "large").await.unwrap_err();
        assert_eq!((&*refused.fields()[0].field, &*refused.fields()[0].code), ("model", "no_price"));
        let listed = models::list_usable(&service, &anna, None, first_page()).await.unwrap().items;
        for shown in [listed, models(&service, &caller)] {
            assert_eq!(shown.iter().map(|model| &*model.name).collect::<Vec<_>>(), ["small"]);
        }
        assert!(may_call(&service, &caller, "fast") && !may_call(&service, &caller, "large"));

        let without_provider = instance_with(&stage, &[REFUSE]).await;
        round(&without_provider, "demo").await.unwrap();
        let listed = models::list_usable(&without_provider, &anna, None, first_page()).await.unwrap().items;
        assert!(listed.iter().any(|model| model.name == "demo"), "the demo model is never refused");
    }
}

#[tokio::test]
async fn wrong_price_can_be_corrected() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let anna = principal(&service.identity, &sign_up(&service.identity, "Anna").await).await;
        priced(&service, &anna).await;
        let (_, secret) = key(&service, &anna, PolicyChange::default()).await;
        let caller = caller(&service, &secret).await;
        let cost = async || ask(&service, &caller, "small").await.ok().unwrap().cost(&used(100, 0).usage);
        assert_eq!(cost().await, MicroCredits(100));
        models::remove(&service, &anna, "small").await.unwrap();
        assert_eq!(cost().await, MicroCredits::ZERO, "an unknown price is charged as zero");
        assert_eq!(models::remove(&service, &anna, "small").await.unwrap_err().code(), Code::NotFound);
    }
}

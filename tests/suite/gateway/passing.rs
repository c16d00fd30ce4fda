//! What passes to a provider that speaks the caller's form, and what doesn't.

use super::*;

#[tokio::test]
async fn what_chooses_another_model_or_price_passes_only_where_the_settings_say_so() {
    let extra = json!({ "models": ["dear"], "provider": { "order": ["x"] }, "service_tier": "priority", "store": true,
        "odd": { "provider": 1 } });
    for (kind, door) in [(UpstreamKind::OpenAi, DOORS[0]), (UpstreamKind::Anthropic, DOORS[2])] {
        for (passes, expected) in [("", None), ("provider", Some(&extra["provider"]))] {
            let setup = Setup::new();
            let setup = if passes.is_empty() { setup } else { setup.set("ai.providers.fake.passes", passes) };
            let stage = Stage::with(setup, kind).await;
            let mut asked = asked_at(door, false);
            asked.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(stage.program.post(door, asked).await.status, 200);
            let came = stage.upstream.asked().pop().unwrap().body;
            for left_out in ["models", "service_tier", "store"] {
                assert_eq!(came.get(left_out), None, "{kind:?} {came}");
            }
            assert_eq!((came.get("provider"), &came["odd"]), (expected, &extra["odd"]), "{kind:?} {came}");
        }
    }
}

#[tokio::test]
async fn files_of_the_provider_s_account_are_nobody_s() {
    for (kind, door, part) in [
        (UpstreamKind::OpenAi, DOORS[0], json!({ "type": "file", "file": { "file_id": "file-1" } })),
        (
            UpstreamKind::Anthropic,
            DOORS[2],
            json!({ "type": "document", "source": { "type": "file", "file_id": "f" } }),
        ),
    ] {
        let stage = Stage::with(Setup::new(), kind).await;
        let mut asked = asked_at(door, false);
        asked["messages"][0]["content"] = json!([part]);
        let refused = stage.program.post(door, asked).await;
        assert!(refused.status == 400 && refused.text().contains("Send the file itself"), "{kind:?}: {refused:?}");
        assert!(stage.upstream.asked().is_empty(), "{kind:?}");
    }
}

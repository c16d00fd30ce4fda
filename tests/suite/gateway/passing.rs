//! Passthrough of parameters to providers that use the caller's format.

use super::*;

#[tokio::test]
async fn passes_model_and_price_parameters_only_where_allowed() {
    let extra = json!({ "models": ["dear"], "provider": { "order": ["x"] }, "service_tier": "priority", "store": true,
        "odd": { "provider": 1 } });
    for (kind, style) in [(UpstreamKind::OpenAi, API_STYLES[0]), (UpstreamKind::Anthropic, API_STYLES[2])] {
        for (passes, expected) in [("", None), ("provider", Some(&extra["provider"]))] {
            let setup = Setup::new();
            let setup = if passes.is_empty() { setup } else { setup.set("ai.providers.fake.passes", passes) };
            let stage = Stage::with(setup, kind).await;
            let mut asked = asked_at(style, false);
            asked.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(stage.program.post(style, asked).await.status, 200);
            let came = stage.upstream.asked().pop().unwrap().body;
            for left_out in ["models", "service_tier", "store"] {
                assert_eq!(came.get(left_out), None, "{kind:?} {came}");
            }
            assert_eq!((came.get("provider"), &came["odd"]), (expected, &extra["odd"]), "{kind:?} {came}");
        }
    }
}

#[tokio::test]
async fn restricts_provider_pass_through_per_key() {
    let setup = Setup::new().set("ai.providers.fake.passes", "provider,service_tier");
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    let ask = async |key: &Value| {
        let mut asked = asked_at(API_STYLES[0], false);
        asked["provider"] = json!({ "order": ["x"] });
        asked["service_tier"] = json!("priority");
        asked["models"] = json!(["dear"]);
        assert_eq!(keys::program(&stage.app, key).post(API_STYLES[0], asked).await.status, 200);
        let came = stage.upstream.asked().pop().unwrap().body;
        ["provider", "service_tier", "models"].map(|field| came.get(field).is_some())
    };
    let usual = keys::make(&stage.anna, json!({})).await;
    assert_eq!((&usual["passthrough"], ask(&usual).await), (&Value::Null, [true, true, false]));
    let narrow = keys::make(&stage.anna, json!({ "passthrough": ["provider", "models", "provider"] })).await;
    assert_eq!(narrow["passthrough"], json!(["provider", "models"]));
    assert_eq!(ask(&narrow).await, [true, false, false], "a key can't pass fields that its provider blocks");
    for (passes, expected) in [(json!([]), [false; 3]), (Value::Null, [true, true, false])] {
        let changed = stage.anna.patch(&keys::path(&narrow), json!({ "passthrough": passes })).await.data();
        assert_eq!((&changed["passthrough"], ask(&narrow).await), (&passes, expected));
    }
    stage.anna.patch(&keys::path(&narrow), json!({ "passthrough": ["metadata"] })).await.names_field("passthrough");
}

#[tokio::test]
async fn sends_max_tokens_to_openai_compatible_servers() {
    let stage = Stage::start().await;
    for both in [false, true] {
        let mut asked = question(false);
        let fields = asked.as_object_mut().unwrap();
        fields.insert("max_completion_tokens".to_owned(), json!(50));
        if !both {
            fields.remove("max_tokens");
        }
        assert_eq!(stage.program.post(API_STYLES[0], asked).await.status, 200);
        let came = stage.upstream.asked().pop().unwrap().body;
        let limits = (&came["max_tokens"], came.get("max_completion_tokens"));
        assert_eq!(limits, (&json!(50), None), "{came}");
    }
}

#[tokio::test]
async fn blocks_access_to_files_of_the_providers_account() {
    for (kind, style, part) in [
        (UpstreamKind::OpenAi, API_STYLES[0], json!({ "type": "file", "file": { "file_id": "file-1" } })),
        (
            UpstreamKind::Anthropic,
            API_STYLES[2],
            json!({ "type": "document", "source": { "type": "file", "file_id": "f" } }),
        ),
    ] {
        let stage = Stage::with(Setup::new(), kind).await;
        let mut asked = asked_at(style, false);
        asked["messages"][0]["content"] = json!([part]);
        let refused = stage.program.post(style, asked).await;
        assert!(refused.status == 400 && refused.text().contains("Send the file itself"), "{kind:?}: {refused:?}");
        assert!(stage.upstream.asked().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn returns_the_requested_response_form_regardless_of_the_provider() {
    let setup = Setup::new().set("ai.providers.fake.responses", true);
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    let style = API_STYLES[1];
    let text = json!({ "type": "output_text", "text": "Hello.", "annotations": [] });
    let message =
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text] });
    let response = json!({ "id": "resp_1", "object": "response", "status": "completed", "error": null, "output": [message],
        "usage": { "input_tokens": 5, "output_tokens": 2 } });
    stage.upstream.then(Behaviour::Body(response.clone()));
    let answer = stage.program.post(style, asked_at(style, true)).await;
    assert_eq!(streamed_text(&answer), "Hello.");
    let frames = frames(&answer);
    let (first, last) = (frames.first().unwrap(), frames.last().unwrap());
    assert_eq!((&first["type"], &last["type"]), (&json!("response.created"), &json!("response.completed")));
    assert_eq!(last["response"], response);

    let created =
        json!({ "type": "response.created", "sequence_number": 0, "response": { "id": "resp_1", "error": null } });
    let completed = json!({ "type": "response.completed", "sequence_number": 1, "response": response });
    stage.upstream.then(Behaviour::Frames(vec![created, completed]));
    let answer = stage.program.post(style, asked_at(style, false)).await;
    assert_eq!((answer.status, &answer.body), (200, &response), "{answer:?}");

    // The response can be referred to like any other.
    stage.upstream.then(Behaviour::Body(response.clone()));
    let mut next = asked_at(style, false);
    next["previous_response_id"] = json!("resp_1");
    assert_eq!(stage.program.post(style, next).await.status, 200);
    let asked = stage.upstream.asked().pop().unwrap().body;
    assert_eq!(asked["input"][1]["content"][0]["text"], "Hello.", "{asked}");
}

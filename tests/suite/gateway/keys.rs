//! API keys with rules: creation, changes and rotation.

use support::{Application, Caller, Credentials, Member, Setup, Upstream, UpstreamKind, Value, json};

/// Creates a key with these rules.
pub(super) async fn make(owner: &Member, rules: Value) -> Value {
    let mut body = json!({ "name": "A program", "scopes": ["gateway", "read"] });
    body.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    owner.post("/r1/api_keys", body).await.data_with(201)
}

pub(super) fn path(key: &Value) -> String {
    format!("/r1/api_keys/{}", key["id"].as_str().unwrap())
}

pub(super) fn program(app: &Application, key: &Value) -> Caller {
    Caller::new(&app.url(), Credentials::Bearer(key["key"].as_str().unwrap().to_owned()))
}

#[tokio::test]
async fn shows_changes_and_removes_key_rules() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.model_map.fast", "fake/small").start().await;
    let anna = app.sign_up("Anna").await;
    let models: Value = anna.get("/r1/models").await.data();
    let model = models["items"][0]["name"].as_str().unwrap().to_owned();
    let rules = json!({
        "models": [model, "fast"], "endpoints": ["chat", "embeddings"], "rpm": 60, "tpm": 1000, "parallel": 2,
        "budget": { "limit": 5_000_000, "period": "month" },
    });
    let key = make(&anna, rules.clone()).await;
    for field in ["models", "endpoints", "rpm", "tpm", "parallel"] {
        assert_eq!(key[field], rules[field], "{field}");
    }
    assert_eq!((&key["budget"]["limit"], &key["budget"]["spent"]), (&json!(5_000_000), &json!(0)));
    assert!(key["budget"]["resets_at"].is_string());

    let lifted = json!({ "rpm": null, "tpm": 2000, "budget": null, "models": null });
    let changed = anna.patch(&path(&key), lifted).await.data();
    assert_eq!((&changed["rpm"], &changed["tpm"], &changed["budget"]), (&Value::Null, &json!(2000), &Value::Null));
    assert_eq!((&changed["models"], &changed["parallel"]), (&json!([]), &json!(2)));
    assert_eq!(anna.get("/r1/api_keys").await.data()["items"][0]["tpm"], 2000);

    let ben = app.sign_up("Ben").await;
    ben.patch(&path(&key), json!({ "rpm": 1 })).await.refused(404, "not_found");
    for (field, body) in [
        ("models", json!({ "models": ["no-such-model"] })),
        ("endpoints", json!({ "endpoints": ["paintings"] })),
        ("rpm", json!({ "rpm": 0 })),
        ("budget", json!({ "budget": { "limit": 1, "period": "year" } })),
        ("budget.limit", json!({ "budget": { "limit": -1, "period": "day" } })),
        ("expires_at", json!({ "expires_at": "2001-01-01T00:00:00Z" })),
        ("nothing", json!({ "nothing": 1 })),
    ] {
        anna.patch(&path(&key), body).await.names_field(field);
    }
    let teams = ben.post("/r1/workspaces", json!({ "name": "Theirs" })).await.data_with(201);
    anna.patch(&path(&key), json!({ "workspace_id": teams["id"] })).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_rotated_key_keeps_its_identity() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    let first = make(&anna, json!({ "budget": { "limit": 7, "period": "none" } })).await;
    let rotate = format!("{}/rotate", path(&first));
    program(&app, &first).get("/r1/users/me").await.data();

    let second = anna.post(&rotate, json!({ "grace_seconds": 3600 })).await.data();
    assert_eq!((&second["id"], &second["budget"]["limit"]), (&first["id"], &json!(7)));
    assert!(second["previous_until"].is_string());
    for key in [&first, &second] {
        program(&app, key).get("/r1/users/me").await.data();
    }
    let third = anna.post(&rotate, json!({})).await.data();
    assert_eq!(third["previous_until"], Value::Null);
    for key in [&first, &second] {
        program(&app, key).get("/r1/users/me").await.refused(401, "unauthenticated");
    }
    program(&app, &third).get("/r1/users/me").await.data();
    anna.post(&rotate, json!({ "grace_seconds": 99_999_999 })).await.names_field("grace_seconds");
    anna.delete(&path(&first)).await.data();
    program(&app, &third).get("/r1/users/me").await.refused(401, "unauthenticated");
    anna.post(&rotate, json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn enforces_the_models_and_rate_limits_of_a_key() {
    let stage = super::Stage::start().await;
    let path = "/v1/chat/completions";
    let rules = json!({ "models": ["small"], "endpoints": ["chat"], "rpm": 2 });
    let key = make(&stage.anna, rules).await;
    let caller = program(&stage.app, &key);
    let mut large = super::question(false);
    large["model"] = json!("large");
    let refused = caller.post(path, large).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (404, &json!("model_not_found")));
    assert_eq!(caller.post("/v1/responses", super::question(false)).await.status, 403);
    let listed = caller.get("/v1/models").await;
    assert!(listed.body["data"].as_array().unwrap().iter().all(|model| model["id"] != "large"), "{listed:?}");

    for remaining in ["1", "0"] {
        let answer = caller.post(path, super::question(false)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(remaining));
    }
    let limited = caller.post(path, super::question(true)).await;
    assert_eq!((limited.status, &limited.body["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(limited.header("retry-after").is_some() && limited.header("retry-after-ms").is_some());
    stage.anna.patch(&self::path(&key), json!({ "rpm": null })).await.data();
    assert_eq!(caller.post(path, super::question(false)).await.status, 200);
}

#[tokio::test]
async fn applies_the_default_limit_and_does_not_count_token_counting() {
    let setup = Setup::new().set("rate_limit.enabled", true).set("gateway.default_rpm", 2);
    let stage = super::Stage::with(setup, UpstreamKind::OpenAi).await;
    for _ in 0..3 {
        let counted = stage.program.post("/v1/messages/count_tokens", super::question(false)).await;
        assert_eq!((counted.status, counted.header("x-ratelimit-limit-requests")), (200, None), "{counted:?}");
    }
    let path = "/v1/chat/completions";
    for remaining in ["1", "0"] {
        let answer = stage.program.post(path, super::question(false)).await;
        assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, Some("2")), "{answer:?}");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(remaining));
    }
    let refused = stage.program.post(path, super::question(false)).await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (429, &json!("rate_limit_error")));
    assert!(refused.header("retry-after").is_some() && refused.header("retry-after-ms").is_some());
    let own = make(&stage.anna, json!({ "rpm": 100 })).await;
    let answer = program(&stage.app, &own).post(path, super::question(false)).await;
    assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, Some("100")), "{answer:?}");

    let setup = Setup::new().set("rate_limit.enabled", true).set("gateway.default_rpm", 0);
    let stage = super::Stage::with(setup, UpstreamKind::OpenAi).await;
    let answer = stage.program.post(path, super::question(false)).await;
    assert_eq!((answer.status, answer.header("x-ratelimit-limit-requests")), (200, None), "{answer:?}");
}

//! Fallbacks if a provider or one of its keys fails.

use std::time::{Duration, Instant};

use super::*;

/// Two providers that serve the model `small`, in this order.
pub(super) struct Two {
    pub(super) stage: Stage,
    pub(super) second: Upstream,
}

impl Two {
    pub(super) async fn start(keys: &str) -> Self {
        let (first, second) =
            (Upstream::start(UpstreamKind::OpenAi).await, Upstream::start(UpstreamKind::OpenAi).await);
        let app = Setup::new()
            .provider(&first)
            .set("ai.providers.fake.keys", keys)
            .set("ai.providers.spare.kind", "openai")
            .set("ai.providers.spare.base_url", second.url())
            .set("ai.providers.spare.keys", "key-of-spare")
            .set("ai.providers.spare.models", "other")
            .start()
            .await;
        let deployments = json!([
            { "provider": "fake", "model": "small", "priority": 0 }, { "provider": "spare", "model": "other", "priority": 1 },
        ]);
        app.admin().await.put("/r1/admin/models/small", json!({ "deployments": deployments })).await.data();
        let anna = app.sign_up("Anna").await;
        let program = anna.program(&["gateway"]).await;
        Self { stage: Stage { app, upstream: first, anna, program }, second }
    }
}

#[tokio::test]
async fn explains_the_attempts_of_a_request() {
    let Two { stage, second } = Two::start("key-one").await;
    second.always(Behaviour::answer("From the second."));
    stage.upstream.always(Behaviour::Refuse(500, None));
    let caller = super::keys::program(&stage.app, &super::keys::make(&stage.anna, json!({})).await);
    let answer = caller.post("/v1/chat/completions", super::question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let path = format!("/r1/usage/requests/{}", answer.header("x-request-id").unwrap());
    let calls = stage.anna.get(&path).await.data();
    let call = &calls["items"][0];
    assert_eq!(
        (&call["model_name"], &call["model"], &call["deployment"]),
        (&json!("small"), &json!("other"), &json!("spare"))
    );
    let failed = &call["failed_attempts"][0];
    assert_eq!((&failed["provider"], &failed["error"]), (&json!("fake"), &json!("provider_unavailable")), "{call}");
    assert_eq!((&call["repairs"], &call["refusal"]), (&json!([]), &Value::Null));
    let ben = stage.app.sign_up("Ben").await;
    ben.get(&path).await.refused(404, "not_found");
    stage.app.admin().await.get(&path).await.data();
}

#[tokio::test]
async fn falls_back_to_another_deployment_before_the_first_frame() {
    let Two { stage, second } = Two::start("key-one").await;
    second.always(Behaviour::answer("From the second."));
    // The provider sends an error response, an error as the first frame of a stream, and an empty
    // stream.
    let limited =
        json!({ "error": { "message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded" } });
    for failure in [
        Behaviour::Frames(Vec::new()),
        Behaviour::Frames(vec![limited]),
        Behaviour::Refuse(500, None),
        Behaviour::Refuse(429, Some(1)),
    ] {
        for style in API_STYLES {
            stage.upstream.always(failure.clone());
            let answer = stage.program.post(style, asked_at(style, true)).await;
            assert_eq!(streamed_text(&answer), "From the second.", "{failure:?} {style}: {answer:?}");
            assert_eq!(answer.header("x-natter-model"), Some("other"));
            // The first provider isn't called while it is in backoff.
            assert!(matches!(answer.header("x-natter-tries"), Some("1" | "2" | "3")), "{answer:?}");
        }
    }
    let Two { stage, second } = Two::start("key-one").await;
    stage.upstream.always(Behaviour::fail("One two "));
    let answer = stage.program.post(API_STYLES[0], question(true)).await;
    assert_eq!(streamed_text(&answer), "One two ", "{answer:?}");
    assert!(answer.text().contains("\"error\":{"), "{answer:?}");
    assert_eq!(second.asked().len(), 0, "no fallback after partial output");
}

/// Reactivates a key, as an administrator.
async fn revive(stage: &Stage, key: &str) {
    let path = format!("/r1/admin/providers/fake/keys/{key}/revive");
    stage.app.admin().await.post(&path, json!({})).await.data();
}

#[tokio::test]
async fn reports_the_shortest_wait_while_every_key_backs_off() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.providers.fake.keys", "key-one,key-two").start().await;
    let anna = app.sign_up("Anna").await;
    let program = anna.program(&["gateway"]).await;
    let stage = Stage { app, upstream, anna, program };
    for wait in [90, 30] {
        stage.upstream.then(Behaviour::Refuse(429, Some(wait)));
    }
    for stream in [false, true] {
        for style in API_STYLES {
            let answer = stage.program.post(style, asked_at(style, stream)).await;
            assert_eq!(answer.status, 429, "{style}: {answer:?}");
            let wait: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            let millis: u32 = answer.header("retry-after-ms").unwrap().parse().unwrap();
            assert!((15..=30).contains(&wait) && millis <= wait * 1_000, "{style}: {wait} {millis}");
            let kind = &answer.body["error"]["type"];
            assert!(kind == "rate_limit_error" && answer.header("x-should-retry") != Some("false"), "{answer:?}");
        }
    }
    assert_eq!(stage.upstream.asked().len(), 2, "a key in backoff was used");

    // A short backoff ends by itself.
    revive(&stage, "0").await;
    revive(&stage, "1").await;
    stage.upstream.then(Behaviour::Refuse(429, Some(1)));
    stage.upstream.then(Behaviour::Refuse(429, Some(1)));
    assert_eq!(stage.program.post(API_STYLES[0], question(false)).await.status, 429);
    support::wait_until("the keys are ready again", async || {
        stage.program.post(API_STYLES[0], question(false)).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn administrators_see_and_forget_what_refusals_taught() {
    let mut stage = Stage::start().await;
    let asked = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello" }], "temperature": 0.5 });
    let message = "Unsupported value: 'temperature' does not support 0.5 with this model.";
    stage.upstream.then(refusal(400, None, message, "unsupported_value"));
    let answer = stage.program.post("/v1/chat/completions", asked.clone()).await;
    assert_eq!((answer.status, stage.upstream.asked().len()), (200, 2), "{answer:?}");
    let admin = stage.app.admin().await;
    let learned = async || admin.get("/r1/admin/providers").await.data()[0]["learned"].clone();
    let seen = learned().await;
    assert_eq!(seen[0]["setting"], "drop=temperature", "{seen}");
    let model = seen[0]["model"].as_str().unwrap().to_owned();

    // A restarted instance knows it from the database.
    let stored = "SELECT count(*) FROM learned_model_settings";
    support::wait_until("the setting is stored", async || stage.app.database.number(stored).await == 1).await;
    stage.app.instances[0].terminate().await;
    stage.app.instances[0].start_again().await;
    assert_eq!(learned().await, seen);
    assert_eq!(stage.program.post("/v1/chat/completions", asked).await.status, 200);
    let sent = stage.upstream.asked();
    assert_eq!((sent.len(), sent[2].body.get("temperature")), (3, None), "the request was not adapted");

    admin.post("/r1/admin/providers/fake/forget", json!({ "model": model })).await.data();
    assert_eq!(learned().await, json!([]));
    let again = admin.post("/r1/admin/providers/fake/forget", json!({ "model": model })).await;
    assert_eq!((again.status, &again.body["code"]), (404, &json!("not_found")));
    let log = admin.get("/r1/admin/audit_log").await.data();
    assert_eq!(log["items"][0]["action"], "gateway.provider_settings_forgotten", "{log}");
}

/// Error in OpenAI's format.
fn refusal(status: u16, wait: Option<u32>, message: &str, code: &str) -> Behaviour {
    let error = json!({ "message": message, "type": "tokens", "param": null, "code": code });
    Behaviour::RefuseWith(status, wait, json!({ "error": error }))
}

#[tokio::test]
async fn retries_without_stream_options_if_the_provider_rejects_them() {
    let stage = Stage::start().await;
    let words = json!({ "object": "error", "message": { "detail": [{ "type": "extra_forbidden", "loc": ["body", "stream_options"] }] } });
    stage.upstream.then(Behaviour::RefuseWith(422, None, words));
    stage.upstream.always(Behaviour::answer("Hello from the upstream."));
    for (style, times) in [(API_STYLES[0], 2), (API_STYLES[0], 3), (API_STYLES[2], 4)] {
        let answer = stage.program.post(style, question(true)).await;
        assert_eq!(streamed_text(&answer), "Hello from the upstream.", "{style}: {answer:?}");
        let asked = stage.upstream.asked();
        let tells_usage = |at: usize| asked[at].body.get("stream_options").is_some();
        assert_eq!((asked.len(), tells_usage(0), tells_usage(times - 1)), (times, true, false), "{style}");
    }
}

#[tokio::test]
async fn rejects_invalid_stream_options() {
    let setup = Setup::new().set("ai.providers.fake.responses", true);
    let stage = Stage::with(setup, UpstreamKind::OpenAi).await;
    stage.upstream.always(Behaviour::answer("Hello from the upstream."));
    let ours = json!({ "include_usage": true });
    for (style, options) in [(API_STYLES[0], json!({ "odd": 1 })), (API_STYLES[1], ours.clone())] {
        stage.upstream.then(refusal(400, None, "Unknown parameter: 'stream_options.odd'.", "unknown_parameter"));
        let mut asked = asked_at(style, true);
        asked["stream_options"] = options;
        let answer = stage.program.post(style, asked).await;
        assert_eq!(answer.status, 400, "{style}: {answer:?}");
    }
    let answer = stage.program.post(API_STYLES[0], question(true)).await;
    assert_eq!(streamed_text(&answer), "Hello from the upstream.", "{answer:?}");
    let asked = stage.upstream.asked();
    assert_eq!((asked.len(), &asked[2].body["stream_options"]), (3, &ours));
}

#[tokio::test]
async fn one_members_large_question_does_not_affect_others() {
    let stage = Stage::start().await;
    let ben = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
    let admin = stage.app.admin().await;
    let mut large = question(false);
    large["messages"][0]["content"] = json!("word ".repeat(100_000));
    let limited = refusal(
        429,
        Some(3_600),
        "Rate limit reached for small on tokens per min (TPM): Limit 200000, Used 150000, Requested 125040.",
        "rate_limit_exceeded",
    );
    let too_large = refusal(
        429,
        None,
        "Request too large for small on tokens per min (TPM): Limit 30000, Requested 125040.",
        "rate_limit_exceeded",
    );
    let too_dear = refusal(
        402,
        None,
        "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 3434.",
        "credits",
    );
    let flagged = refusal(403, None, "Your input was flagged for \"violence\".", "moderation");
    let abroad =
        refusal(403, None, "Country, region, or territory not supported", "unsupported_country_region_territory");
    for (behaviour, expected) in [(limited, 429), (too_large, 400), (too_dear, 400), (flagged, 400), (abroad, 502)] {
        stage.upstream.then(behaviour.clone());
        let refused = stage.program.post(API_STYLES[0], large.clone()).await;
        assert_eq!(refused.status, expected, "{behaviour:?}: {refused:?}");
        for style in API_STYLES {
            let answer = ben.post(style, asked_at(style, false)).await;
            assert_eq!(answer.status, 200, "{behaviour:?} {style}: {answer:?}");
        }
        let providers = admin.get("/r1/admin/providers").await.data();
        assert_eq!(providers[0]["keys"][0]["state"], "ready", "{behaviour:?}");
        let asked = stage.upstream.asked().len();
        let again = stage.program.post(API_STYLES[0], large.clone()).await;
        let is_resting = expected == 429;
        assert_eq!(again.status, if is_resting { 429 } else { 200 }, "{behaviour:?}: {again:?}");
        assert_eq!(stage.upstream.asked().len(), asked + usize::from(!is_resting), "{behaviour:?}");
        revive(&stage, "0").await;
    }

    // A small question that is refused too shows that the size wasn't the reason.
    for body in [large, question(false)] {
        stage.upstream.then(Behaviour::Refuse(429, Some(3_600)));
        assert_eq!(stage.program.post(API_STYLES[0], body).await.status, 429);
    }
    let asked = stage.upstream.asked().len();
    let refused = ben.post(API_STYLES[0], question(false)).await;
    assert_eq!((refused.status, stage.upstream.asked().len()), (429, asked), "{refused:?}");
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(wait <= 30, "no other key is available: {refused:?}");
}

#[tokio::test]
async fn sends_requests_too_large_for_a_model_to_its_fallback() {
    let Two { stage, second } = Two::start("key-one").await;
    second.always(Behaviour::answer("From the larger one."));
    let definition = json!({
        "deployments": [{ "provider": "fake", "model": "small" }], "fallbacks": { "context_length": ["other"] },
    });
    stage.app.admin().await.put("/r1/admin/models/small", definition).await.data();
    let message = "Request too large for small on tokens per min (TPM): Limit 30000, Requested 125040.";
    stage.upstream.always(refusal(429, None, message, "rate_limit_exceeded"));
    let answer = stage.program.post(API_STYLES[0], question(true)).await;
    assert_eq!(streamed_text(&answer), "From the larger one.", "{answer:?}");
}

#[tokio::test]
async fn disables_a_rejected_key_until_a_probe_succeeds() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("ai.providers.fake.keys", "key-one,key-two").start().await;
    let anna = app.sign_up("Anna").await;
    let (program, admin) = (anna.program(&["gateway"]).await, app.admin().await);
    let states = async || {
        let providers = admin.get("/r1/admin/providers").await.data();
        providers[0]["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["state"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = states().await;
    assert_eq!(before[0], before[1]);
    upstream.then(Behaviour::Refuse(401, None));
    // The other key is used, so the caller doesn't notice the failure.
    assert_eq!(program.post(API_STYLES[0], question(false)).await.status, 200);
    let after = states().await;
    assert_eq!(after.iter().filter(|state| **state == before[0]).count(), 1, "{after:?}");
    assert!(after.iter().any(|state| state == "off"), "{after:?}");
    // If both keys are disabled, the next request is used to test one of them.
    upstream.then(Behaviour::Refuse(401, None));
    let refused = program.post(API_STYLES[0], question(false)).await;
    assert_ne!(refused.status, 401, "the caller's own key is valid: {refused:?}");
    support::wait_until("a key is ready again", async || {
        program.post(API_STYLES[0], question(false)).await.status == 200
    })
    .await;
    assert!(states().await.contains(&before[0]));
}

#[tokio::test]
async fn an_unreachable_provider_does_not_delay_other_requests() {
    // A server that accepts connections and stays silent, and a closed port.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let mut setup = Setup::new().provider(&upstream);
    for (name, port) in [("silent", silent.local_addr().unwrap().port()), ("gone", support::free_port())] {
        setup = setup
            .set(&format!("ai.providers.{name}.kind"), "openai")
            .set(&format!("ai.providers.{name}.base_url"), format!("http://127.0.0.1:{port}/v1"))
            .set(&format!("ai.providers.{name}.keys"), "key-of-the-dead")
            .set(&format!("ai.providers.{name}.models"), format!("of-{name}"));
    }
    let app = setup.start().await;
    let anna = app.sign_up("Anna").await;
    let program = anna.program(&["gateway"]).await;
    let hanging = {
        let mut body = question(false);
        body["model"] = json!("of-silent");
        tokio::spawn(program.request(reqwest::Method::POST, API_STYLES[0]).json(&body).send())
    };
    let (_socket, _) = silent.accept().await.unwrap();
    let began = Instant::now();
    let listed = program.get("/v1/models").await;
    let ids: Vec<&str> =
        listed.body["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(ids.contains(&"of-silent") && ids.contains(&"small"), "{ids:?}");
    assert_eq!(program.post(API_STYLES[0], question(false)).await.status, 200);
    anna.get("/r1/models").await.data();
    assert!(began.elapsed() < Duration::from_secs(10), "unreachable providers delay no other request");
    let mut body = question(false);
    body["model"] = json!("of-gone");
    let answer = program.post(API_STYLES[0], body).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (503, &json!("provider_unavailable")), "{answer:?}");
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test]
async fn an_alias_is_allowed_wherever_its_model_is() {
    let stage = Stage::start().await;
    let definition = json!({ "aliases": ["quick"] });
    stage.app.admin().await.put("/r1/admin/models/small", definition).await.data();
    for allowed in ["small", "quick"] {
        let key = keys::make(&stage.anna, json!({ "models": [allowed] })).await;
        let caller = keys::program(&stage.app, &key);
        for asked in ["small", "quick"] {
            for style in API_STYLES {
                let mut body = asked_at(style, false);
                body["model"] = json!(asked);
                let answer = caller.post(style, body).await;
                assert_eq!(answer.status, 200, "{asked} with {allowed} allowed: {answer:?}");
            }
        }
        let mut body = question(false);
        body["model"] = json!("large");
        assert_eq!(caller.post(API_STYLES[0], body).await.status, 404);
        let listed = caller.get("/v1/models").await;
        let ids: Vec<&str> =
            listed.body["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
        assert!(ids.contains(&"small") && !ids.contains(&"large"), "{ids:?}");
    }
    let unknown = json!({ "name": "x", "scopes": ["gateway"], "models": ["small", "nothing"] });
    stage.anna.post("/r1/api_keys", unknown).await.names_field("models");
}

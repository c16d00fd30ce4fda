//! AI providers that administrators add at run time.

use support::{Engine, wait_until};

use super::*;

const LIST: &str = "/r1/admin/providers";
const KEY: &str = "sk-the-first-of-its-keys-0001";
const OTHER_KEY: &str = "sk-the-second-of-its-keys-0002";

fn setup() -> Setup {
    let setup = Setup::new().set("outgoing.allow", "127.0.0.1").set("ai.titles", "words");
    // With SQLite, the key for encryption is in a file.
    if Engine::of_this_run() == Engine::Postgres { sealing(setup) } else { setup }
}

fn sealing(setup: Setup) -> Setup {
    setup.set("auth.key_encryption_secret", "a long random text that nobody guesses")
}

fn local(upstream: &Upstream) -> Value {
    json!({ "name": "local", "kind": "openai", "base_url": upstream.url(), "keys": [KEY], "models": ["small"] })
}

async fn ask(program: &Member, model: &str) -> Answer {
    let mut body = question(false);
    body["model"] = json!(model);
    program.post(API_STYLES[0], body).await
}

fn last_key(upstream: &Upstream) -> Option<String> {
    upstream.asked().last().and_then(|asked| asked.key.clone())
}

#[tokio::test]
async fn adds_uses_changes_and_removes_a_provider_without_a_restart() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let program = anna.program(&["gateway"]).await;
    assert_eq!(ask(&program, "small").await.status, 404);
    anna.post(LIST, local(&upstream)).await.refused(403, "forbidden");

    let added = admin.post(LIST, local(&upstream)).await.data_with(201);
    assert_eq!((&added["source"], &added["base_url"]), (&json!("console"), &json!(upstream.url())));
    assert_eq!((&added["models"], &added["keys"][0]["tail"]), (&json!(["small"]), &json!("0001")));
    assert_eq!(added["keys"][0]["has_key"], true);
    assert_eq!(ask(&program, "small").await.status, 200);
    assert_eq!(last_key(&upstream).as_deref(), Some(KEY));
    // The provider also replaces the demo model as the default.
    let usable = anna.get("/r1/models?page_size=200").await.data();
    let usable = usable["items"].as_array().unwrap();
    let names: Vec<_> = usable.iter().map(|model| (&model["name"], &model["is_default"])).collect();
    assert_eq!(names, [(&json!("small"), &json!(true))]);
    assert_eq!(ask(&program, "local/small").await.status, 200);
    assert_eq!(ask(&program, "local/other").await.status, 404, "unlisted models are refused");
    let (asked, chat) = (upstream.asked().len(), anna.open_assistant().await);
    anna.send_message(&chat, "Hello?").await;
    wait_until("assistants use the provider", || async { upstream.asked().len() > asked }).await;
    // The provider's key is stored encrypted and never returned.
    let listed = admin.get(LIST).await.data().to_string();
    assert!(!listed.contains(KEY), "{listed}");
    assert_eq!(app.database.number("SELECT COUNT(*) FROM ai_providers WHERE keys IS NOT NULL").await, 1);

    let path = format!("{LIST}/local");
    let change =
        json!({ "add_keys": [OTHER_KEY], "remove_keys": ["0"], "models": ["large"], "requests_per_minute": 500 });
    let changed = admin.patch(&path, change).await.data();
    assert_eq!((&changed["models"], &changed["requests_per_minute"]), (&json!(["large"]), &json!(500)));
    assert_eq!((changed["keys"].as_array().unwrap().len(), &changed["keys"][0]["tail"]), (1, &json!("0002")));
    assert_eq!(ask(&program, "small").await.status, 404);
    assert_eq!(ask(&program, "large").await.status, 200);
    assert_eq!(last_key(&upstream).as_deref(), Some(OTHER_KEY));
    admin.patch(&path, json!({ "remove_keys": ["1"] })).await.names_field("remove_keys");
    admin.patch(&path, json!({ "add_keys": [OTHER_KEY] })).await.names_field("keys");
    let lifted = admin.patch(&path, json!({ "requests_per_minute": null })).await.data();
    assert_eq!((&lifted["requests_per_minute"], &lifted["models"]), (&json!(null), &json!(["large"])));

    // A model definition uses the provider.
    let definition = json!({ "deployments": [{ "provider": "local", "model": "large" }] });
    admin.put("/r1/admin/models/best", definition).await.data();
    let refused = admin.delete(&path).await;
    refused.refused(409, "wrong_state");
    assert!(refused.body["message"].as_str().unwrap().contains("best"), "{refused:?}");
    admin.delete("/r1/admin/models/best").await.data();
    admin.delete(&path).await.data();
    assert_eq!(admin.get(LIST).await.data(), json!([]));
    assert_eq!(ask(&program, "large").await.status, 404);
    admin.delete(&path).await.refused(404, "not_found");
    let log = admin.get("/r1/admin/audit_log").await.data().to_string();
    for action in ["gateway.provider_added", "gateway.provider_changed", "gateway.provider_removed"] {
        assert!(log.contains(action), "{action} is not in {log}");
    }
    assert!(!log.contains("sk-the"), "{log}");
}

#[tokio::test]
async fn changing_the_address_does_not_leak_a_providers_keys() {
    let (upstream, other) = (Upstream::start(UpstreamKind::OpenAi).await, Upstream::start(UpstreamKind::OpenAi).await);
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let program = anna.program(&["gateway"]).await;
    admin.post(LIST, local(&upstream)).await.data_with(201);
    let path = format!("{LIST}/local");
    // If only the path of the URL changes, the keys are kept.
    let same = format!("{}/", upstream.url().trim_end_matches('/'));
    let changed = admin.patch(&path, json!({ "base_url": same })).await.data();
    assert_eq!(changed["keys"][0]["tail"], "0001");
    // With another port, the keys are deleted. Changing it back doesn't restore them.
    for address in [other.url(), upstream.url()] {
        let moved = admin.patch(&path, json!({ "base_url": address })).await.data();
        assert!(!moved.to_string().contains("0001"), "{moved}");
        ask(&program, "small").await;
    }
    assert!(!other.asked().is_empty(), "the new address is called");
    assert!(
        other.asked().iter().all(|asked| asked.key.as_deref() != Some(KEY)),
        "the old key was sent to the new address"
    );
    assert_eq!(app.database.number("SELECT COUNT(*) FROM ai_providers WHERE keys IS NOT NULL").await, 0);
    let change = json!({ "base_url": other.url(), "add_keys": [OTHER_KEY] });
    let moved = admin.patch(&path, change).await.data();
    assert_eq!(moved["keys"][0]["tail"], "0002");
    assert_eq!(ask(&program, "small").await.status, 200);
    assert_eq!(last_key(&other).as_deref(), Some(OTHER_KEY));
    let public = admin.patch(&path, json!({ "base_url": null })).await.data();
    assert!(!public.to_string().contains("0002"), "{public}");
}

#[tokio::test]
async fn rejects_an_unreachable_provider() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = setup().provider(&upstream).start().await;
    let admin = app.admin().await;
    for (field, value) in [
        ("name", json!("Local!")),
        ("name", json!("demo")),
        // The name is used in the configuration file.
        ("name", json!("fake")),
        ("kind", json!("telepathy")),
        ("base_url", json!("nowhere")),
        // The address is not listed in `outgoing.allow`.
        ("base_url", json!("http://127.0.0.2:1/v1")),
        ("base_url", json!("https://10.0.0.1/v1")),
        ("base_url", json!("https://key@example.test/v1")),
        ("keys", json!(["two words"])),
        ("keys", json!([KEY, KEY])),
        ("models", json!([])),
        ("models", json!(["two words"])),
        ("requests_per_minute", json!(0)),
    ] {
        let mut body = local(&upstream);
        body[field] = value;
        admin.post(LIST, body).await.names_field(field);
    }
    admin.patch(&format!("{LIST}/fake"), json!({ "models": ["other"] })).await.refused(409, "wrong_state");
    admin.delete(&format!("{LIST}/fake")).await.refused(409, "wrong_state");
    admin.post(LIST, local(&upstream)).await.data_with(201);
    admin.post(LIST, local(&upstream)).await.names_field("name");
    // The default is still the first model of the configuration.
    let providers = admin.get(LIST).await.data();
    let sources: Vec<_> = providers.as_array().unwrap().iter().map(|one| (&one["name"], &one["source"])).collect();
    assert_eq!(sources, [(&json!("fake"), &json!("configuration")), (&json!("local"), &json!("console"))]);
    let usable = admin.get("/r1/models?page_size=200").await.data();
    let is_default = |model: &&Value| model["is_default"] == true;
    let default = usable["items"].as_array().unwrap().iter().find(is_default).unwrap();
    assert_eq!(default["provider"], "fake");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn a_provider_added_on_one_instance_is_used_by_all() {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let app = sealing(setup()).instances(2).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        let there = anna.program(&["gateway"]).await.at(&app.instances[1].url());
        admin.post(LIST, local(&upstream)).await.data_with(201);
        wait_until("the other instance uses the provider", || async { ask(&there, "small").await.status == 200 }).await;
        assert_eq!(last_key(&upstream).as_deref(), Some(KEY));
        admin.delete(&format!("{LIST}/local")).await.data();
        wait_until("the other one has forgotten it", || async { ask(&there, "small").await.status == 404 }).await;
    }
}

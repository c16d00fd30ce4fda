//! Models that administrators define, and who sees them.

use support::{Setup, Upstream, UpstreamKind, Value, json};

async fn setup() -> (Upstream, support::Application) {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    (upstream, app)
}

fn named<'a>(page: &'a Value, name: &str) -> Option<&'a Value> {
    page["items"].as_array().unwrap().iter().find(|model| model["name"] == name)
}

#[tokio::test]
async fn resolves_models_by_name_and_provider() {
    let (_upstream, app) = setup().await;
    let admin = app.admin().await;
    let configured = admin.get("/r1/admin/models").await.data();
    let body = json!({ "aliases": ["Schnellste"], "deployments": [configured["items"][0]["deployments"][0]] });
    admin.put("/r1/admin/models/org%2Fbest", body).await.data();
    let found = async |q: &str| {
        let page = admin.get(&format!("/r1/admin/models?q={q}")).await.data();
        (page["total"].as_u64().unwrap(), named(&page, "org/best").is_some())
    };
    for name in ["BEST", "schnell", "g%2Fb"] {
        assert_eq!(found(name).await, (1, true), "{name}");
    }
    let all = admin.get("/r1/admin/models").await.data()["total"].as_u64().unwrap();
    assert_eq!(found("fake").await, (all, true), "all models are of this provider");
    assert_eq!(found("nothing+of+the+kind").await, (0, false));
    admin.get(&format!("/r1/admin/models?q={}", "a".repeat(101))).await.names_field("q");
}

#[tokio::test]
async fn defines_uses_and_removes_a_model() {
    let (_upstream, app) = setup().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let configured = admin.get("/r1/admin/models").await.data();
    let first = configured["items"][0].clone();
    let deployment = first["deployments"][0].clone();
    assert_eq!(first["source"], "configuration");
    let body = json!({
        "aliases": ["quick"], "deployments": [deployment], "price": { "input": 250_000, "output": 2_000_000 },
        "capabilities": { "context_window": 128_000, "images": true },
    });
    let path = "/r1/admin/models/org%2Fbest";
    let defined = admin.put(path, body.clone()).await.data();
    assert_eq!((&defined["name"], &defined["source"]), (&json!("org/best"), &json!("admin")));
    assert_eq!(defined["charged"]["output"], 2_000_000);
    let seen = anna.get("/r1/models?page_size=200").await.data();
    let best = named(&seen, "org/best").unwrap();
    assert_eq!((&best["aliases"], &best["context_window"]), (&json!(["quick"]), &json!(128_000)));
    assert_eq!(best["capabilities"]["images"], true);
    anna.post("/r1/api_keys", json!({ "name": "x", "scopes": ["gateway"], "models": ["quick"] })).await.data_with(201);

    let other = "/r1/admin/models/other";
    for (field, wrong) in [
        ("aliases", json!({ "aliases": ["quick"], "deployments": [deployment] })),
        ("deployments", json!({})),
        ("deployments.0.provider", json!({ "deployments": [{ "provider": "nowhere", "model": "m" }] })),
        ("fallbacks.failure", json!({ "deployments": [deployment], "fallbacks": { "failure": ["nothing"] } })),
        ("price", json!({ "deployments": [deployment], "price": { "input": -1, "output": 1 } })),
        ("capabilities", json!({ "deployments": [deployment], "capabilities": { "flies": true } })),
        (
            "parameters.thinking",
            json!({ "deployments": [deployment], "parameters": { "thinking": "efforts:enormous" } }),
        ),
        ("parameters.thinking", json!({ "deployments": [deployment], "parameters": { "thinking": "budget:9..8" } })),
    ] {
        admin.put(other, wrong).await.names_field(field);
    }
    admin.put("/r1/admin/models/quick", json!({ "deployments": [deployment] })).await.names_field("name");
    anna.put(path, body).await.refused(403, "forbidden");
    admin.delete(path).await.data();
    admin.get(path).await.refused(404, "not_found");
    assert!(named(&anna.get("/r1/models?page_size=200").await.data(), "org/best").is_none());
}

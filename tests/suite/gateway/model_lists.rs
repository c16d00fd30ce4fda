//! Model lists, which restrict users and workspaces.

use support::{Caller, Credentials, wait_until};

use super::*;
use crate::assistants::Chat;

fn at(stage: &Stage, place: usize, key: &Value) -> Caller {
    Caller::new(&stage.app.instances[place].url(), Credentials::Bearer(key["key"].as_str().unwrap().to_owned()))
}

async fn listed(caller: &Caller) -> Vec<String> {
    let models = caller.get("/v1/models").await;
    let all = models.body["data"].as_array().unwrap_or_else(|| panic!("{models:?}"));
    all.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

fn asked(model: &str) -> Value {
    let mut body = question(false);
    body["model"] = json!(model);
    body
}

#[tokio::test]
async fn intersects_the_model_lists_of_key_owner_and_workspace() {
    let stage = Stage::start().await;
    let (admin, anna) = (stage.app.admin().await, &stage.anna);
    let alias = json!({ "aliases": ["quick"] });
    admin.put("/r1/admin/models/small", alias).await.data();
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let of_team = format!("/r1/admin/model_lists/workspace/{}", team["id"].as_str().unwrap());
    let of_anna = format!("/r1/admin/model_lists/user/{}", anna.id);
    // These keys are created before any limit is set.
    let every = keys::make(anna, json!({ "workspace_id": team["id"] })).await;
    let large = keys::make(anna, json!({ "workspace_id": team["id"], "models": ["large", "small"] })).await;
    let own = keys::make(anna, json!({})).await;

    let set = admin.put(&of_team, json!({ "models": ["quick", "quick"] })).await.data();
    assert_eq!((&set["scope"], &set["models"]), (&json!("workspace"), &json!(["quick"])));
    assert_eq!(admin.get("/r1/admin/model_lists").await.data()["items"][0]["id"], team["id"]);
    for key in [&every, &large] {
        let caller = at(&stage, 0, key);
        for style in API_STYLES {
            let mut body = asked_at(style, false);
            for (model, status) in [("small", 200), ("quick", 200), ("large", 404)] {
                body["model"] = json!(model);
                let answer = caller.post(style, body.clone()).await;
                assert_eq!(answer.status, status, "{style} {model}: {answer:?}");
            }
        }
        let names = listed(&caller).await;
        assert!(names.contains(&"small".to_owned()) && !names.contains(&"large".to_owned()), "{names:?}");
        assert_eq!(caller.get("/v1/models/large").await.status, 404);
    }
    assert_eq!(
        at(&stage, 0, &own).post(API_STYLES[0], asked("large")).await.status,
        200,
        "keys outside the workspace are unaffected"
    );

    // A model that isn't in the workspace's list is refused when a key is created or changed.
    let new = |rules: Value| {
        let mut body = json!({ "name": "x", "scopes": ["gateway"] });
        body.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        body
    };
    let outside = new(json!({ "workspace_id": team["id"], "models": ["small", "large"] }));
    anna.post("/r1/api_keys", outside).await.names_field("models");
    anna.patch(&keys::path(&every), json!({ "models": ["large"] })).await.names_field("models");
    anna.patch(&keys::path(&own), json!({ "models": ["large"] })).await.data();
    anna.patch(&keys::path(&own), json!({ "workspace_id": team["id"] })).await.names_field("models");
    anna.patch(&keys::path(&large), json!({ "name": "Renamed" })).await.data();

    // The list of a user applies to all of the user's keys. A model must be in both lists.
    admin.put(&of_anna, json!({ "models": ["large"] })).await.data();
    assert_eq!(listed(&at(&stage, 0, &every)).await, [] as [String; 0]);
    assert_eq!(at(&stage, 0, &own).post(API_STYLES[0], asked("small")).await.status, 404);
    let seen = anna.get("/r1/models").await.data();
    assert_eq!((&seen["total"], &seen["items"][0]["name"]), (&json!(1), &json!("large")));
    let there = format!("/r1/models?workspace_id={}", team["id"].as_str().unwrap());
    assert_eq!(anna.get(&there).await.data()["total"], 0);
    stage.app.sign_up("Ben").await.get(&there).await.refused(404, "not_found");

    for path in [&of_team, &of_anna] {
        admin.delete(path).await.data();
        admin.delete(path).await.refused(404, "not_found");
    }
    assert_eq!(at(&stage, 0, &every).post(API_STYLES[0], asked("large")).await.status, 200);
    for (path, body) in [(&of_team, json!({ "models": [] })), (&of_team, json!({ "models": ["nothing"] }))] {
        admin.put(path, body).await.names_field("models");
    }
    anna.put(&of_anna, json!({ "models": ["small"] })).await.refused(403, "forbidden");
    let of_key = format!("/r1/admin/model_lists/key/{}", every["id"].as_str().unwrap());
    for path in [of_key, format!("/r1/admin/model_lists/user/{}", support::new_id())] {
        admin.put(&path, json!({ "models": ["small"] })).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn assistants_use_only_models_allowed_in_the_workspace() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    let admin = chat.app.admin().await;
    let workspace = chat.anna.get(&format!("/r1/conversations/{}", chat.id)).await.data()["workspace_id"].clone();
    let path = format!("/r1/admin/model_lists/workspace/{}", workspace.as_str().unwrap());
    admin.put(&path, json!({ "models": ["large"] })).await.data();
    let refused = chat.anna.send_as(&chat.id, &support::new_id(), "Hello?").await;
    refused.names_field("model");
    assert_eq!(chat.upstream.asked().len(), 0);
    admin.put(&path, json!({ "models": ["small"] })).await.data();
    chat.ask("Hello?").await;
    chat.ended("message.completed").await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn workspace_model_lists_apply_at_once_on_every_instance() {
        let stage = Stage::with(Setup::new().instances(2), UpstreamKind::OpenAi).await;
        let admin = stage.app.admin().await;
        let team = stage.anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
        let key = keys::make(&stage.anna, json!({ "workspace_id": team["id"] })).await;
        let path = format!("/r1/admin/model_lists/workspace/{}", team["id"].as_str().unwrap());
        let callers = [at(&stage, 0, &key), at(&stage, 1, &key)];
        for caller in &callers {
            assert_eq!(caller.post(API_STYLES[0], asked("small")).await.status, 200);
        }
        admin.put(&path, json!({ "models": ["large"] })).await.data();
        for caller in &callers {
            wait_until("the model list applies", async || {
                caller.post(API_STYLES[0], asked("small")).await.status == 404
            })
            .await;
            assert!(!listed(caller).await.contains(&"small".to_owned()));
            assert_eq!(caller.post(API_STYLES[0], asked("large")).await.status, 200);
        }
        admin.at(&stage.app.instances[1].url()).delete(&path).await.data();
        for caller in &callers {
            wait_until("the model list is removed", async || {
                caller.post(API_STYLES[0], asked("small")).await.status == 200
            })
            .await;
        }
    }
}

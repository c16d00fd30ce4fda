//! Budgets that administrators set for users and workspaces.

use support::{Application, Behaviour, Caller, Credentials, Setup, UpstreamKind, Value, json, wait_until};

use super::{Stage, keys, question};
use crate::assistants::Chat;

#[tokio::test]
async fn administrators_set_list_and_remove_budgets() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let team = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let of_anna = format!("/r1/admin/budgets/user/{}", anna.id);
    let of_team = format!("/r1/admin/budgets/workspace/{}", team["id"].as_str().unwrap());
    let limit = json!({ "limit": 3_000_000, "period": "week" });
    for path in [&of_anna, &of_team] {
        let set = admin.put(path, limit.clone()).await.data();
        assert_eq!((&set["limit"], &set["spent"], &set["held"]), (&json!(3_000_000), &json!(0), &json!(0)));
    }
    let listed = admin.get("/r1/admin/budgets").await.data();
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(2), &json!(anna.id)));
    anna.put(&of_anna, limit.clone()).await.refused(403, "forbidden");
    admin.put(&of_anna, json!({ "limit": -1, "period": "week" })).await.names_field("limit");
    let nobody = format!("/r1/admin/budgets/user/{}", support::new_id());
    admin.put(&nobody, limit.clone()).await.refused(404, "not_found");
    admin.put(&format!("/r1/admin/budgets/moon/{}", anna.id), limit).await.refused(404, "not_found");
    admin.delete(&of_anna).await.data();
    admin.delete(&of_anna).await.refused(404, "not_found");
    assert_eq!(admin.get("/r1/admin/budgets").await.data()["total"], 1);
}

/// Creates a stage whose model `small` costs one micro-credit per token, and a key with a budget.
pub(super) async fn spending(limit: i64) -> (Stage, Value, Caller) {
    spending_on(UpstreamKind::OpenAi, limit).await
}

pub(super) async fn spending_on(kind: UpstreamKind, limit: i64) -> (Stage, Value, Caller) {
    priced(Stage::with(Setup::new(), kind).await, limit).await
}

pub(super) async fn spending_with(setup: Setup, limit: i64) -> (Stage, Value, Caller) {
    priced(Stage::with(setup, UpstreamKind::OpenAi).await, limit).await
}

async fn priced(stage: Stage, limit: i64) -> (Stage, Value, Caller) {
    let price = json!({ "input": 1_000_000, "output": 1_000_000 });
    stage.app.admin().await.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    let key = keys::make(&stage.anna, json!({ "budget": { "limit": limit, "period": "month" } })).await;
    let caller = Caller::new(&stage.app.url(), Credentials::Bearer(key["key"].as_str().unwrap().to_owned()));
    (stage, key, caller)
}

/// Returns the amount that a key has spent, when all of its calls are booked.
pub(super) async fn spent(stage: &Stage, key: &Value) -> i64 {
    stage.anna.get("/r1/usage").await.data();
    let budget = async || {
        let listed = stage.anna.get("/r1/api_keys").await.data();
        listed["items"].as_array().unwrap().iter().find(|one| one["id"] == key["id"]).unwrap()["budget"].clone()
    };
    // The reservation for an answer is released after the answer.
    wait_until("the key's reservations are released", async || budget().await["held"] == 0).await;
    budget().await["spent"].as_i64().unwrap()
}

#[tokio::test]
async fn books_spending_once_and_reports_exhausted_budgets_in_every_api() {
    let (stage, key, caller) = spending(100_000).await;
    let answer = caller.post("/v1/chat/completions", question(false)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cost: i64 = answer.header("x-natter-cost").unwrap().parse().unwrap();
    assert_eq!(spent(&stage, &key).await, cost);
    let rows = stage.anna.get(&format!("/r1/usage/requests?key_id={}", key["id"].as_str().unwrap())).await.data();
    let row = &rows["items"][0];
    assert_eq!((&rows["total"], &row["cost"], &row["endpoint"]), (&json!(1), &json!(cost), &json!("chat")));
    assert_eq!(row["request_id"].as_str(), answer.header("x-request-id"));

    stage.anna.patch(&keys::path(&key), json!({ "budget": { "limit": cost, "period": "month" } })).await.data();
    for (path, status, kind) in [
        ("/v1/chat/completions", 429, "insufficient_quota"),
        ("/v1/responses", 429, "insufficient_quota"),
        ("/v1/messages", 402, "billing_error"),
    ] {
        let refused = caller.post(path, question(false)).await;
        assert_eq!((refused.status, &refused.body["error"]["type"]), (status, &json!(kind)), "{refused:?}");
        assert_eq!(refused.header("x-should-retry"), Some("false"));
    }
    assert_eq!(spent(&stage, &key).await, cost);
    let rows = stage.anna.get(&format!("/r1/usage/requests?key_id={}", key["id"].as_str().unwrap())).await.data();
    let statuses: Vec<&Value> = rows["items"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, [402, 429, 429, 200], "{rows}");
    stage.anna.patch(&keys::path(&key), json!({ "budget": null })).await.data();
    assert_eq!(caller.post("/v1/chat/completions", question(false)).await.status, 200);
}

#[tokio::test]
async fn does_not_charge_calls_that_fail_before_output() {
    let (stage, key, caller) = spending(1_000_000).await;
    stage.upstream.always(Behaviour::Refuse(400, None));
    assert_eq!(caller.post("/v1/chat/completions", question(false)).await.status, 400);
    assert_eq!(spent(&stage, &key).await, 0);
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    assert_eq!((&rows["items"][0]["status"], &rows["items"][0]["cost"]), (&json!(400), &json!(0)));
}

#[tokio::test]
async fn refuses_insufficient_budgets_before_calling_the_provider() {
    let setup = Setup::new().set("gateway.assumed_output", 100).set("ai.context_tokens", 1_000);
    let mut chat = Chat::start(setup, UpstreamKind::OpenAi).await;
    let admin = chat.app.admin().await;
    let charge = async |each: i64| {
        let price = json!({ "input": each, "output": each });
        admin.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    };
    charge(1_000_000).await;
    let workspace = chat.anna.get(&format!("/r1/conversations/{}", chat.id)).await.data()["workspace_id"].clone();
    let budgets = [format!("user/{}", chat.anna.id), format!("workspace/{}", workspace.as_str().unwrap())];
    for budget in budgets.map(|budget| format!("/r1/admin/budgets/{budget}")) {
        let set = async |limit: i64| admin.put(&budget, json!({ "limit": limit, "period": "none" })).await.data();
        set(1_000_000).await;
        chat.ask("Hello?").await;
        chat.ended("message.completed").await;
        // The reservation for the answer is released only after the end of the answer was sent.
        let listed = async || admin.get("/r1/admin/budgets").await.data();
        wait_until("the reservation is released", async || listed().await["items"][0]["held"] == 0).await;
        let listed = listed().await;
        assert_eq!(listed["total"], 1, "{listed}");
        let shown = &listed["items"][0];
        assert!(shown["spent"].as_i64().unwrap() > 0, "{shown}");
        // The budget leaves 1,000 micro-credits, but an answer may cost up to 1,100.
        set(shown["spent"].as_i64().unwrap() + 1_000).await;
        let refused = chat.anna.send_as(&chat.id, &support::new_id(), "Again?").await;
        refused.refused(402, "budget_exceeded");
        let said = refused.body["message"].as_str().unwrap_or_default();
        assert!(said.contains("AI budget is used up"), "{refused:?}");
        // Calls that cost nothing are still answered.
        charge(0).await;
        chat.ask("For nothing?").await;
        chat.ended("message.completed").await;
        charge(1_000_000).await;
        admin.delete(&budget).await.data();
    }
    chat.ask("And now?").await;
    chat.ended("message.completed").await;
}

//! Parts of a key's calls: usage and budgets of end users, models and tags.

use reqwest::Method;
use support::{Caller, Value, json};

use super::{Stage, budgets::spending, keys, question};

async fn send_named(caller: &Caller, path: &str, named: &Value) -> support::Answer {
    let mut body = question(false);
    body.as_object_mut().unwrap().extend(named.as_object().unwrap().clone());
    caller.post(path, body).await
}

async fn recorded_end_users(stage: &Stage) -> Vec<Value> {
    let rows = stage.anna.get("/r1/usage/requests").await.data();
    rows["items"].as_array().unwrap().iter().map(|row| row["end_user"].clone()).collect()
}

#[tokio::test]
async fn reads_the_end_user_from_bodies_and_trusted_headers() {
    let (stage, key, caller) = spending(1_000_000).await;
    for (path, named) in [
        ("/v1/chat/completions", json!({ "user": "ben" })),
        ("/v1/responses", json!({ "safety_identifier": "ben", "input": "Hello?" })),
        ("/v1/messages", json!({ "metadata": { "user_id": "ben" } })),
        ("/v1/chat/completions", json!({})),
    ] {
        let answer = send_named(&caller, path, &named).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(recorded_end_users(&stage).await, [Value::Null, json!("ben"), json!("ben"), json!("ben")]);

    let with_header = async || {
        let request = caller.request(Method::POST, "/v1/chat/completions").json(&question(false));
        caller.send(request.header("x-openwebui-user-email", "cleo@example.org")).await
    };
    assert_eq!(with_header().await.status, 200);
    assert_eq!(recorded_end_users(&stage).await[0], Value::Null, "the key doesn't trust headers");
    stage.anna.patch(&keys::path(&key), json!({ "end_users": "headers" })).await.data();
    assert_eq!(with_header().await.status, 200);
    assert_eq!(recorded_end_users(&stage).await[0], "cleo@example.org");

    let groups = stage.anna.get("/r1/usage?group=end_user").await.data();
    let counts: Vec<_> =
        groups["items"].as_array().unwrap().iter().map(|group| (&group["key"], &group["requests"])).collect();
    for expected in [("ben", 3), ("", 2), ("cleo@example.org", 1)] {
        assert!(counts.contains(&(&json!(expected.0), &json!(expected.1))), "{groups}");
    }
    let of_ben = stage.anna.get("/r1/usage/requests?end_user=ben").await.data();
    assert_eq!(of_ben["total"], 3);
}

#[tokio::test]
async fn refuses_an_end_user_whose_budget_is_used_up() {
    let (stage, key, caller) = spending(1_000_000).await;
    let named = |name: &str| json!({ "user": name, "metadata": { "user_id": name } });
    let cost =
        send_named(&caller, "/v1/chat/completions", &named("ben")).await.header("x-natter-cost").unwrap().to_owned();
    let limit = json!({ "limit": cost.parse::<i64>().unwrap(), "period": "month" });
    let changed = stage.anna.patch(&keys::path(&key), json!({ "end_user_budget": limit })).await.data();
    assert_eq!(changed["end_user_budget"], limit);
    for (path, status, kind) in [
        ("/v1/chat/completions", 429, "insufficient_quota"),
        ("/v1/responses", 429, "insufficient_quota"),
        ("/v1/messages", 402, "billing_error"),
    ] {
        let refused = send_named(&caller, path, &named("ben")).await;
        assert_eq!((refused.status, &refused.body["error"]["type"]), (status, &json!(kind)), "{refused:?}");
        assert!(refused.body["error"]["message"].as_str().unwrap().contains("end user"), "{refused:?}");
    }
    let single = json!({ "ben": { "limit": 1_000_000, "period": "month" } });
    stage.anna.patch(&keys::path(&key), json!({ "end_user_budgets": single })).await.data();
    assert_eq!(send_named(&caller, "/v1/chat/completions", &named("ben")).await.status, 200);
    for (field, body) in [
        ("end_user_budget.limit", json!({ "end_user_budget": { "limit": -1, "period": "day" } })),
        ("end_user_budgets", json!({ "end_user_budgets": { " ben": { "limit": 1, "period": "day" } } })),
        ("end_users", json!({ "end_users": "cookies" })),
    ] {
        stage.anna.patch(&keys::path(&key), body).await.names_field(field);
    }
}

#[tokio::test]
async fn counts_and_limits_calls_by_tag_and_model() {
    let (stage, key, caller) = spending(1_000_000).await;
    let tagged = async |tags: &str| {
        let request = caller.request(Method::POST, "/v1/chat/completions").json(&question(false));
        caller.send(request.header("x-natter-tags", tags)).await
    };
    let answer = tagged("billing, eu").await;
    let cost: i64 = answer.header("x-natter-cost").unwrap().parse().unwrap();
    let in_body = send_named(&caller, "/v1/messages", &json!({ "metadata": { "tags": "eu" } })).await;
    assert_eq!(in_body.status, 200, "{in_body:?}");
    let groups = stage.anna.get("/r1/usage?group=tag").await.data();
    let counts: Vec<_> =
        groups["items"].as_array().unwrap().iter().map(|group| (&group["key"], &group["requests"])).collect();
    assert_eq!(counts.len(), 2, "{groups}");
    for expected in [("eu", 2), ("billing", 1)] {
        assert!(counts.contains(&(&json!(expected.0), &json!(expected.1))), "{groups}");
    }
    let rows = stage.anna.get("/r1/usage/requests?tag=billing").await.data();
    assert_eq!((&rows["total"], &rows["items"][0]["tags"]), (&json!(1), &json!(["billing", "eu"])));

    let limit = json!({ "limit": cost, "period": "month" });
    let changed = stage.anna.patch(&keys::path(&key), json!({ "tag_budgets": { "billing": limit } })).await.data();
    assert_eq!(changed["tag_budgets"]["billing"], limit);
    assert_eq!((tagged("billing").await.status, tagged("eu").await.status), (429, 200));
    stage
        .anna
        .patch(&keys::path(&key), json!({ "tag_budgets": null, "model_budgets": { "small": limit } }))
        .await
        .data();
    let refused = tagged("billing").await;
    assert_eq!((refused.status, &refused.body["error"]["type"]), (429, &json!("insufficient_quota")), "{refused:?}");
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("for this model"), "{refused:?}");
    for (field, body) in [
        ("model_budgets", json!({ "model_budgets": { "no-such-model": limit } })),
        ("tag_budgets", json!({ "tag_budgets": { "a,b": limit } })),
    ] {
        stage.anna.patch(&keys::path(&key), body).await.names_field(field);
    }
    stage.anna.patch(&keys::path(&key), json!({ "model_budgets": null })).await.data();
    assert_eq!(tagged("billing").await.status, 200);
}

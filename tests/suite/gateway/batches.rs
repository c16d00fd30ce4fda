//! Batches, `/v1/batches` and `/v1/messages/batches`.

use support::{Caller, wait_until};

use super::{files::upload, *};

const CHAT: &str = "/v1/chat/completions";

pub(super) fn request(id: &str, body: Value) -> String {
    json!({ "custom_id": id, "method": "POST", "url": CHAT, "body": body }).to_string()
}

/// Creates a batch of these lines.
pub(super) async fn create(program: &Caller, lines: &[String]) -> Value {
    let file = upload(program, &[("purpose", "batch")], &lines.join("\n")).await;
    assert_eq!(file.status, 200, "{file:?}");
    let body = json!({ "input_file_id": file.body["id"], "endpoint": CHAT, "completion_window": "24h",
        "metadata": { "made": "here" } });
    let created = program.post("/v1/batches", body).await;
    assert_eq!((created.status, &created.body["status"]), (200, &json!("validating")), "{created:?}");
    created.body
}

/// Creates a batch of plain questions.
pub(super) async fn create_questions(program: &Caller, count: usize) -> Value {
    let lines: Vec<String> = (0..count).map(|at| request(&format!("q{at}"), question(false))).collect();
    create(program, &lines).await
}

pub(super) async fn find(program: &Caller, batch: &Value) -> Value {
    program.get(&format!("/v1/batches/{}", batch["id"].as_str().unwrap())).await.body
}

/// Waits until a batch has this status, and returns it.
pub(super) async fn wait_for(program: &Caller, batch: &Value, status: &str) -> Value {
    wait_until(status, async || find(program, batch).await["status"] == status).await;
    find(program, batch).await
}

/// Waits until this number of requests has succeeded.
pub(super) async fn wait_for_results(program: &Caller, batch: &Value, count: usize) {
    let reached = async || find(program, batch).await["request_counts"]["completed"] == count;
    wait_until("requests are done", reached).await;
}

/// Returns the lines of a result file by custom id.
pub(super) async fn results(program: &Caller, file: &Value) -> Vec<Value> {
    let content = program.get(&format!("/v1/files/{}/content", file.as_str().unwrap())).await;
    assert_eq!(content.status, 200, "{content:?}");
    content.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Creates a key whose second request waits for its limit.
async fn limited_key(owner: &Member) -> Value {
    keys::make(owner, json!({ "rpm": 1 })).await
}

#[tokio::test]
async fn runs_a_batch_and_separates_failed_requests() {
    let stage = Stage::start().await;
    let lines = [request("a", question(false)), request("b", question(true)), request("c", question(false))];
    let batch = create(&stage.program, &lines).await;
    let ended = wait_for(&stage.program, &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 3, "completed": 2, "failed": 1 }));
    assert_eq!((&ended["metadata"], &ended["errors"]), (&json!({ "made": "here" }), &Value::Null));
    for time in ["in_progress_at", "finalizing_at", "completed_at", "expires_at"] {
        assert!(ended[time].is_i64(), "{ended}");
    }
    let output = results(&stage.program, &ended["output_file_id"]).await;
    let ids: Vec<&Value> = output.iter().map(|line| &line["custom_id"]).collect();
    assert_eq!(ids, ["a", "c"]);
    for line in &output {
        assert_eq!((&line["response"]["status_code"], &line["error"]), (&json!(200), &Value::Null));
        let text = &line["response"]["body"]["choices"][0]["message"]["content"];
        assert_eq!(text, "Hello from the upstream.", "{line}");
    }
    let errors = results(&stage.program, &ended["error_file_id"]).await;
    assert_eq!((errors.len(), &errors[0]["custom_id"]), (1, &json!("b")));
    let response = &errors[0]["response"];
    assert_eq!((&response["status_code"], &response["body"]["error"]["param"]), (&json!(400), &json!("stream")));
    let usage = stage.anna.get("/r1/usage/requests").await.data();
    let rows = usage["items"].as_array().unwrap();
    let is_of_batch = |row: &&Value| row["request_id"].as_str().is_some_and(|id| id.starts_with("batch_req_"));
    assert_eq!(rows.iter().filter(is_of_batch).count(), 2, "{usage}");

    let other = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
    assert_eq!(find(&other, &batch).await["error"]["type"], "invalid_request_error");
    assert_eq!(other.get("/v1/batches").await.body["data"], json!([]));
    let listed = stage.program.get("/v1/batches?limit=1").await.body;
    assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&batch["id"], &json!(false)));
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    assert_eq!(stage.program.post(&path, json!({})).await.status, 400);
}

#[tokio::test]
async fn reports_the_errors_of_an_input_file() {
    let stage = Stage::start().await;
    let mut large = question(false);
    large["model"] = json!("large");
    let lines = [request("a", question(false)), "{".to_owned(), request("a", question(false)), request("b", large)];
    let batch = create(&stage.program, &lines).await;
    let failed = wait_for(&stage.program, &batch, "failed").await;
    let errors = failed["errors"]["data"].as_array().unwrap();
    let found: Vec<_> = errors.iter().map(|error| (error["line"].as_i64(), error["code"].as_str().unwrap())).collect();
    let expected = [(Some(2), "invalid_json_line"), (Some(3), "duplicate_custom_id"), (Some(4), "mismatched_model")];
    assert_eq!(found, expected);
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
}

#[tokio::test]
async fn refuses_invalid_batches() {
    let stage = Stage::start().await;
    let file = upload(&stage.program, &[("purpose", "user_data")], "{}").await.body;
    let body = json!({ "input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h" });
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        body
    };
    for (body, param) in [
        (body.clone(), "input_file_id"),
        (with("endpoint", json!("/v1/rerank")), "endpoint"),
        (with("completion_window", json!("1h")), "completion_window"),
        (with("metadata", json!([])), "metadata"),
        (with("output_expires_after", json!({ "anchor": "created_at" })), "output_expires_after.seconds"),
    ] {
        let refused = stage.program.post("/v1/batches", body).await;
        assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!(param)), "{refused:?}");
    }
    assert_eq!(stage.program.post("/v1/batches", with("input_file_id", json!("file-0"))).await.status, 404);
    for endpoints in [json!(["chat"]), json!(["batches", "embeddings"])] {
        let key = keys::make(&stage.anna, json!({ "endpoints": endpoints })).await;
        assert_eq!(keys::program(&stage.app, &key).post("/v1/batches", body.clone()).await.status, 403);
    }
}

#[tokio::test]
async fn cancels_the_requests_that_were_not_started() {
    let stage = Stage::start().await;
    let program = keys::program(&stage.app, &limited_key(&stage.anna).await);
    let batch = create_questions(&program, 3).await;
    wait_for_results(&program, &batch, 1).await;
    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    assert_eq!(program.post(&path, json!({})).await.body["status"], "cancelling");
    let ended = wait_for(&program, &batch, "cancelled").await;
    assert_eq!(ended["request_counts"]["completed"], 1);
    assert_eq!(results(&program, &ended["output_file_id"]).await.len(), 1);
    let errors = results(&program, &ended["error_file_id"]).await;
    let codes: Vec<&Value> = errors.iter().map(|line| &line["error"]["code"]).collect();
    assert_eq!(codes, ["batch_cancelled", "batch_cancelled"]);
    assert_eq!(stage.upstream.asked().len(), 1);
}

#[tokio::test]
async fn resumes_after_a_restart_without_repeating_requests() {
    let mut stage = Stage::start().await;
    let key = limited_key(&stage.anna).await;
    let program = keys::program(&stage.app, &key);
    let batch = create_questions(&program, 3).await;
    wait_for_results(&program, &batch, 1).await;
    stage.app.instances[0].kill().await;
    stage.app.instances[0].start_again().await;
    stage.anna.patch(&keys::path(&key), json!({ "rpm": null })).await.data();
    let ended = wait_for(&program, &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 3, "completed": 3, "failed": 0 }));
    assert_eq!(results(&program, &ended["output_file_id"]).await.len(), 3);
    assert_eq!(stage.upstream.asked().len(), 3);
}

#[tokio::test]
async fn fails_the_remaining_requests_of_a_revoked_key() {
    let stage = Stage::start().await;
    let key = limited_key(&stage.anna).await;
    let batch = create_questions(&keys::program(&stage.app, &key), 2).await;
    // Another key of the same owner sees the batch.
    wait_for_results(&stage.program, &batch, 1).await;
    stage.anna.delete(&keys::path(&key)).await.data();
    let ended = wait_for(&stage.program, &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 2, "completed": 1, "failed": 1 }));
    let errors = results(&stage.program, &ended["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["status_code"], 401, "{errors:?}");
}

#[tokio::test]
async fn runs_a_message_batch() {
    let stage = Stage::with(Setup::new(), UpstreamKind::Anthropic).await;
    let program = &stage.program;
    let params = |stream| json!({ "custom_id": if stream { "bad" } else { "good" }, "params": question(stream) });
    let body = json!({ "requests": [params(false), params(true)] });
    let created = program.post("/v1/messages/batches", body).await;
    assert_eq!((created.status, &created.body["type"]), (200, &json!("message_batch")), "{created:?}");
    let batch = created.body;
    assert_eq!((&batch["processing_status"], &batch["results_url"]), (&json!("in_progress"), &Value::Null));
    assert_eq!(batch["request_counts"]["processing"], 2);
    let path = format!("/v1/messages/batches/{}", batch["id"].as_str().unwrap());
    wait_until("the batch ends", async || program.get(&path).await.body["processing_status"] == "ended").await;
    let ended = program.get(&path).await.body;
    let counts = json!({ "processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0 });
    assert_eq!(ended["request_counts"], counts);
    assert!(ended["results_url"].as_str().unwrap().ends_with(&format!("{path}/results")), "{ended}");
    assert!(ended["ended_at"].as_str().unwrap().ends_with('Z'), "{ended}");
    let text = program.get(&format!("{path}/results")).await.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[0]["custom_id"]), (2, &json!("good")));
    assert_eq!(lines[0]["result"]["message"]["content"][0]["text"], "Hello from the upstream.", "{text}");
    let error = &lines[1]["result"];
    assert_eq!(
        (&error["type"], &error["error"]["error"]["type"]),
        (&json!("errored"), &json!("invalid_request_error"))
    );

    assert_eq!(program.get("/v1/files").await.body["data"], json!([]), "internal files are listed");
    let listed = program.get("/v1/messages/batches?limit=1").await.body;
    assert_eq!((&listed["first_id"], &listed["has_more"]), (&batch["id"], &json!(false)));
    let other = stage.app.sign_up("Ben").await.program(&["gateway"]).await;
    for path in [path.clone(), format!("{path}/results")] {
        let refused = other.get(&path).await;
        assert_eq!((refused.status, &refused.body["error"]["type"]), (404, &json!("not_found_error")), "{refused:?}");
    }
    assert_eq!(program.post(&format!("{path}/cancel"), json!({})).await.status, 400);
    assert_eq!(program.delete(&path).await.body["type"], "message_batch_deleted");
    assert_eq!(program.get(&path).await.status, 404);
    for (body, part) in [(json!({ "requests": [] }), "A batch has from"), (json!({}), "requests")] {
        let refused = program.post("/v1/messages/batches", body).await;
        assert_eq!((refused.status, &refused.body["type"]), (400, &json!("error")), "{refused:?}");
        assert!(refused.text().contains(part), "{refused:?}");
    }
}

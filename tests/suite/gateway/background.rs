//! Responses that are created in the background, `POST /v1/responses` with `background: true`.

use reqwest::Method;
use support::{Caller, wait_until};

use super::*;

fn request() -> Value {
    json!({ "model": "small", "background": true, "input": "Hello?" })
}

fn path(response: &Value) -> String {
    format!("/v1/responses/{}", response["id"].as_str().unwrap())
}

/// Creates a response in the background.
pub(super) async fn create(program: &Caller, body: Value) -> Value {
    let created = program.post("/v1/responses", body).await;
    assert_eq!((created.status, &created.body["status"]), (200, &json!("queued")), "{created:?}");
    created.body
}

/// Waits until a response has this status, and returns it.
pub(super) async fn wait_for(program: &Caller, response: &Value, status: &str) -> Value {
    let path = path(response);
    wait_until(status, async || program.get(&path).await.body["status"] == status).await;
    program.get(&path).await.body
}

fn numbers(frames: &[Value]) -> Vec<u64> {
    frames.iter().map(|frame| frame["sequence_number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn executes_a_response_after_it_was_answered() {
    let stage = Stage::start().await;
    let program = &stage.program;
    let tagged = program.request(Method::POST, "/v1/responses").json(&request()).header("x-natter-tags", "night");
    let created = program.send(tagged).await.body;
    assert_eq!((&created["background"], &created["output"]), (&json!(true), &json!([])), "{created}");
    let ended = wait_for(program, &created, "completed").await;
    assert_eq!(ended["output"][0]["content"][0]["text"], "Hello from the upstream.", "{ended}");
    for field in ["id", "created_at", "background", "store"] {
        assert_eq!(ended[field], created[field], "{field}");
    }
    let usage = stage.anna.get("/r1/usage/requests?tag=night").await.data();
    let is_of_response = |row: &&Value| row["request_id"] == created["id"];
    let rows: Vec<&Value> = usage["items"].as_array().unwrap().iter().filter(is_of_response).collect();
    assert_eq!((rows.len(), &rows[0]["status"]), (1, &json!(200)), "{usage}");

    let items = program.get(&format!("{}/input_items", path(&created))).await.body;
    assert_eq!(items["data"][0]["content"][0]["text"], "Hello?", "{items}");
    let other = stage.anna.program(&["gateway"]).await;
    assert_eq!(other.get(&path(&created)).await.status, 404);
    assert_eq!(other.delete(&path(&created)).await.status, 404);
    assert_eq!(program.delete(&path(&created)).await.body["deleted"], true);
    assert_eq!(program.get(&path(&created)).await.status, 404);
}

#[tokio::test]
async fn a_stream_can_be_resumed() {
    let stage = Stage::start().await;
    let mut asked = request();
    asked["stream"] = json!(true);
    let answer = stage.program.post("/v1/responses", asked).await;
    assert_eq!(streamed_text(&answer), "Hello from the upstream.");
    let all = frames(&answer);
    let expected: Vec<u64> = (0..all.len() as u64).collect();
    assert_eq!(numbers(&all), expected);
    let kinds: Vec<&Value> = all.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds[..3], ["response.created", "response.queued", "response.in_progress"]);
    assert_eq!(kinds[kinds.len() - 1], "response.completed");
    let id = all[0]["response"]["id"].as_str().unwrap();
    for after in [0, 2, 4] {
        let path = format!("/v1/responses/{id}?stream=true&starting_after={after}");
        assert_eq!(frames(&stage.program.get(&path).await), all[after + 1..]);
    }
}

#[tokio::test]
async fn a_request_continues_a_response_that_has_ended() {
    let stage = Stage::start().await;
    stage.upstream.then(Behaviour::answer("You said hello."));
    let first = create(&stage.program, request()).await;
    wait_for(&stage.program, &first, "completed").await;
    let mut next = json!({ "model": "small", "input": "What did I say?", "previous_response_id": first["id"] });
    let answer = stage.program.post("/v1/responses", next.clone()).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("completed")), "{answer:?}");
    let asked = stage.upstream.asked().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("Hello?") && asked.contains("You said hello.") && asked.contains("What did I say?"));

    next["background"] = json!(true);
    let second = create(&stage.program, next.clone()).await;
    assert_eq!(second["previous_response_id"], first["id"]);
    wait_for(&stage.program, &second, "completed").await;
    let asked = stage.upstream.asked().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("You said hello.") && asked.contains("What did I say?"), "{asked}");
    stage.program.delete(&path(&first)).await;
    let refused = stage.program.post("/v1/responses", next).await;
    assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!("previous_response_id")), "{refused:?}");
    // It stays part of the response that continues it.
    let more = json!({ "model": "small", "input": "And?", "previous_response_id": answer.body["id"] });
    let continued = stage.program.post("/v1/responses", more).await;
    assert_eq!(continued.status, 200, "{continued:?}");
    let asked = stage.upstream.asked().pop().unwrap().body["messages"].to_string();
    assert!(asked.contains("You said hello.") && asked.contains("And?"), "{asked}");
}

#[tokio::test]
async fn cancels_a_response_in_progress() {
    let stage = Stage::start().await;
    stage.upstream.then(Behaviour::Hang);
    let created = create(&stage.program, request()).await;
    wait_until("the provider is called", async || stage.upstream.asked().len() == 1).await;
    let continued = json!({ "model": "small", "input": "And?", "previous_response_id": created["id"] });
    assert_eq!(stage.program.post("/v1/responses", continued).await.status, 400);
    let cancel = format!("{}/cancel", path(&created));
    for _ in 0..2 {
        let cancelled = stage.program.post(&cancel, json!({})).await;
        assert_eq!((cancelled.status, &cancelled.body["status"]), (200, &json!("cancelled")), "{cancelled:?}");
    }
    // The call is settled when its job has noticed the cancellation.
    wait_until("the call is settled", async || {
        let usage = stage.anna.get("/r1/usage/requests").await.data();
        usage["items"].as_array().unwrap().iter().any(|row| row["request_id"] == created["id"])
    })
    .await;
    assert_eq!(stage.program.get(&path(&created)).await.body["status"], "cancelled");
    let frames = frames(&stage.program.get(&format!("{}?stream=true", path(&created))).await);
    assert_eq!(frames.last().unwrap()["type"], "response.cancelled");
}

#[tokio::test]
async fn reports_the_error_of_a_failed_response() {
    let stage = Stage::start().await;
    let refusal = json!({ "error": { "message": "The input is bad.", "type": "invalid_request_error" } });
    stage.upstream.always(Behaviour::RefuseWith(400, None, refusal));
    let created = create(&stage.program, request()).await;
    let failed = wait_for(&stage.program, &created, "failed").await;
    assert!(failed["error"]["message"].as_str().unwrap().contains("The input is bad."), "{failed}");
    assert_eq!((&failed["id"], &failed["output"]), (&created["id"], &json!([])));
}

#[tokio::test]
async fn refuses_what_cannot_run_in_the_background() {
    let stage = Stage::start().await;
    let with = |field: &str, value: Value| {
        let mut body = request();
        body[field] = value;
        body
    };
    for (body, status, param) in [
        (with("store", json!(false)), 400, "store"),
        (with("conversation", json!("conv_1")), 400, "conversation"),
        (with("model", json!("none")), 404, "model"),
        (with("previous_response_id", json!("resp_bg0")), 400, "previous_response_id"),
    ] {
        let refused = stage.program.post("/v1/responses", body).await;
        assert_eq!((refused.status, &refused.body["error"]["param"]), (status, &json!(param)), "{refused:?}");
    }
    let key = keys::make(&stage.anna, json!({ "endpoints": ["chat"] })).await;
    assert_eq!(keys::program(&stage.app, &key).post("/v1/responses", request()).await.status, 403);
    assert!(stage.upstream.asked().is_empty(), "the provider was called");
}

#[tokio::test]
async fn is_executed_again_after_a_restart() {
    let mut stage = Stage::start().await;
    stage.upstream.then(Behaviour::Hang);
    let created = create(&stage.program, request()).await;
    wait_until("the provider is called", async || stage.upstream.asked().len() == 1).await;
    stage.app.instances[0].kill().await;
    stage.app.instances[0].start_again().await;
    let ended = wait_for(&stage.program, &created, "completed").await;
    assert_eq!(ended["output"][0]["content"][0]["text"], "Hello from the upstream.", "{ended}");
}

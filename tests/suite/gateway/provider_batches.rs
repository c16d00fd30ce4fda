//! Batches that the batch API of a provider executes.

use support::{BatchJob, JobCreation, JobResult, wait_until};

use super::{
    batches::{create, create_questions, find, request, results, wait_for},
    *,
};

const CHAT: &str = "/v1/chat/completions";
/// Forms of batch APIs.
const FORMS: [UpstreamKind; 2] = [UpstreamKind::OpenAi, UpstreamKind::Anthropic];

/// Starts instances with a provider whose batch API executes batches of the model `small` at half of
/// its price of one micro-credit per token.
pub(super) async fn started(setup: Setup, kind: UpstreamKind) -> Stage {
    let stage = Stage::with(setup, kind).await;
    let accepts = format!("batch={} batch_price=50", kind.as_str());
    let model = json!({ "price": { "input": 1_000_000, "output": 1_000_000 }, "parameters": { "accepts": accepts } });
    stage.app.admin().await.put("/r1/admin/models/small", model).await.data();
    for instance in &stage.app.instances {
        // Each instance loads the model independently.
        let admin = stage.app.admin().await.at(&instance.url());
        wait_until("the model is known", async || {
            admin.get("/r1/admin/models/small").await.data()["parameters"]["accepts"] == accepts.as_str()
        })
        .await;
    }
    stage
}

/// Waits until a job was submitted, and returns it.
pub(super) async fn submitted(stage: &Stage) -> BatchJob {
    wait_until("a job is submitted", async || !stage.upstream.jobs().is_empty()).await;
    stage.upstream.jobs().remove(0)
}

fn cancel_path(batch: &Value) -> String {
    format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap())
}

/// Usage rows of the requests of batches, with their details.
async fn usage_of_batches(stage: &Stage) -> Vec<Value> {
    let usage = stage.anna.get("/r1/usage/requests").await.data();
    let mut rows = Vec::new();
    for row in usage["items"].as_array().unwrap() {
        let id = row["request_id"].as_str().unwrap();
        if id.starts_with("batch_req_") {
            rows.push(stage.anna.get(&format!("/r1/usage/requests/{id}")).await.data()["items"][0].clone());
        }
    }
    rows
}

#[tokio::test]
async fn executes_batches_at_the_price_of_the_provider() {
    for kind in FORMS {
        let stage = started(Setup::new(), kind).await;
        let lines = [request("a", question(false)), request("b", question(true)), request("c", question(false))];
        let batch = create(&stage.program, &lines).await;
        let job = submitted(&stage).await;
        let body = if kind == UpstreamKind::OpenAi { "body" } else { "params" };
        assert_eq!(job.requests.len(), 2, "the invalid request is left out");
        for request in &job.requests {
            assert_eq!(
                (&request[body]["model"], &request[body]["max_tokens"]),
                (&json!("small"), &json!(100)),
                "{request}"
            );
            assert_eq!(
                request["url"],
                if kind == UpstreamKind::OpenAi { json!("/v1/chat/completions") } else { Value::Null }
            );
        }
        assert_eq!(find(&stage.program, &batch).await["status"], "in_progress");
        stage.upstream.finish_jobs();
        let ended = wait_for(&stage.program, &batch, "completed").await;
        assert_eq!(ended["request_counts"], json!({ "total": 3, "completed": 2, "failed": 1 }));
        let output = results(&stage.program, &ended["output_file_id"]).await;
        let ids: Vec<&Value> = output.iter().map(|line| &line["custom_id"]).collect();
        assert_eq!(ids, ["a", "c"]);
        for line in &output {
            let message = &line["response"]["body"]["choices"][0]["message"];
            assert_eq!(message["content"], "Hello from the upstream.", "{line}");
        }
        let errors = results(&stage.program, &ended["error_file_id"]).await;
        assert_eq!((errors.len(), &errors[0]["response"]["body"]["error"]["param"]), (1, &json!("stream")));
        let rows = usage_of_batches(&stage).await;
        assert_eq!(rows.len(), 2, "{rows:?}");
        for row in &rows {
            let billed = (&row["cost"], &row["batch_price_percent"], &row["input_tokens"]);
            assert_eq!(billed, (&json!(5), &json!(50), &json!(7)), "{row}");
            assert_eq!((&row["deployment"], &row["price"]["input"]), (&json!("fake"), &json!(1_000_000)), "{row}");
        }
        assert!(stage.upstream.asked().is_empty(), "a request was sent on its own");
        assert_eq!(
            (stage.upstream.jobs().len(), stage.upstream.stored_files()),
            (1, if kind == UpstreamKind::OpenAi { 0 } else { 2 })
        );
    }
}

#[tokio::test]
async fn answers_message_batches_by_a_provider_of_either_form() {
    for kind in FORMS {
        let stage = started(Setup::new(), kind).await;
        let program = &stage.program;
        let requests = json!([{ "custom_id": "one", "params": question(false) }, { "custom_id": "two", "params": question(false) }]);
        let created = program.post("/v1/messages/batches", json!({ "requests": requests })).await;
        assert_eq!(created.status, 200, "{created:?}");
        assert_eq!(submitted(&stage).await.requests.len(), 2);
        stage.upstream.plan_results(&[JobResult::Answer, JobResult::Refuse(400)]);
        stage.upstream.finish_jobs();
        let path = format!("/v1/messages/batches/{}", created.body["id"].as_str().unwrap());
        wait_until("the batch ends", async || program.get(&path).await.body["processing_status"] == "ended").await;
        let text = program.get(&format!("{path}/results")).await.text();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["result"]["message"]["content"][0]["text"], "Hello from the upstream.", "{text}");
        let error = &lines[1]["result"];
        assert_eq!((&lines[1]["custom_id"], &error["type"]), (&json!("two"), &json!("errored")), "{text}");
        assert_eq!(error["error"]["error"]["type"], "invalid_request_error", "{text}");
    }
}

#[tokio::test]
async fn executes_requests_that_the_provider_could_not_answer() {
    for kind in FORMS {
        let stage = started(Setup::new(), kind).await;
        let batch = create_questions(&stage.program, 4).await;
        submitted(&stage).await;
        stage.upstream.plan_results(&[
            JobResult::Refuse(400),
            JobResult::Refuse(500),
            JobResult::Expired,
            JobResult::Answer,
        ]);
        stage.upstream.finish_jobs();
        let ended = wait_for(&stage.program, &batch, "expired").await;
        assert_eq!(ended["request_counts"], json!({ "total": 4, "completed": 2, "failed": 1 }));
        let errors = results(&stage.program, &ended["error_file_id"]).await;
        assert_eq!((&errors[0]["custom_id"], &errors[0]["response"]["status_code"]), (&json!("q0"), &json!(400)));
        assert_eq!((&errors[1]["custom_id"], &errors[1]["error"]["code"]), (&json!("q2"), &json!("batch_expired")));
        // The server's failure was followed by a request of its own, at the ordinary price.
        assert_eq!(stage.upstream.asked().len(), 1);
        let mut costs: Vec<i64> =
            usage_of_batches(&stage).await.iter().map(|row| row["cost"].as_i64().unwrap()).collect();
        costs.sort_unstable();
        assert_eq!(costs, [0, 5, 10]);
    }
}

#[tokio::test]
async fn passes_a_cancellation_on_to_the_provider() {
    for kind in FORMS {
        let stage = started(Setup::new(), kind).await;
        let batch = create_questions(&stage.program, 3).await;
        submitted(&stage).await;
        stage.upstream.plan_results(&[JobResult::Answer]);
        assert_eq!(stage.program.post(&cancel_path(&batch), json!({})).await.body["status"], "cancelling");
        let ended = wait_for(&stage.program, &batch, "cancelled").await;
        assert_eq!(ended["request_counts"]["completed"], 1, "an answer that was paid for is kept");
        let errors = results(&stage.program, &ended["error_file_id"]).await;
        let codes: Vec<&Value> = errors.iter().map(|line| &line["error"]["code"]).collect();
        assert_eq!(codes, ["batch_cancelled", "batch_cancelled"]);
        assert_eq!((stage.upstream.jobs()[0].cancellations, stage.upstream.asked().len()), (1, 0));
    }
}

#[tokio::test]
async fn executes_a_batch_that_the_provider_does_not_accept() {
    for (kind, creation) in [
        (UpstreamKind::OpenAi, JobCreation::Refuse(400)),
        (UpstreamKind::OpenAi, JobCreation::Refuse(401)),
        (UpstreamKind::OpenAi, JobCreation::Fail),
        (UpstreamKind::Anthropic, JobCreation::Refuse(429)),
    ] {
        let stage = started(Setup::new(), kind).await;
        stage.upstream.on_job(creation);
        let batch = create_questions(&stage.program, 2).await;
        let ended = wait_for(&stage.program, &batch, "completed").await;
        assert_eq!(ended["request_counts"]["completed"], 2, "{creation:?}");
        assert_eq!(stage.upstream.asked().len(), 2, "{creation:?}");
        let rows = usage_of_batches(&stage).await;
        assert!(rows.iter().all(|row| row["cost"] == 10 && row["batch_price_percent"].is_null()), "{rows:?}");
    }
}

#[tokio::test]
async fn an_administrator_switches_batch_apis_off() {
    let stage = started(Setup::new(), UpstreamKind::OpenAi).await;
    let model = json!({ "parameters": { "accepts": "batch=no" } });
    stage.app.admin().await.put("/r1/admin/models/small", model).await.data();
    let batch = create_questions(&stage.program, 1).await;
    wait_for(&stage.program, &batch, "completed").await;
    assert_eq!((stage.upstream.jobs().len(), stage.upstream.asked().len()), (0, 1));
}

#[tokio::test]
async fn a_job_whose_creation_was_not_confirmed_is_found_again() {
    for kind in FORMS {
        let mut stage = started(Setup::new(), kind).await;
        stage.upstream.on_job(JobCreation::Silent);
        let batch = create_questions(&stage.program, 2).await;
        submitted(&stage).await;
        stage.app.instances[0].kill().await;
        stage.upstream.on_job(JobCreation::Accept);
        stage.app.instances[0].start_again().await;
        stage.upstream.finish_jobs();
        let ended = wait_for(&stage.program, &batch, "completed").await;
        assert_eq!(ended["request_counts"]["completed"], 2);
        assert_eq!((stage.upstream.jobs().len(), stage.upstream.asked().len()), (1, 0), "submitted twice");
    }
}

#[tokio::test]
async fn reserves_the_cost_of_a_job_until_it_has_ended() {
    let stage = started(Setup::new(), UpstreamKind::OpenAi).await;
    let key = keys::make(&stage.anna, json!({ "budget": { "limit": 200, "period": "month" } })).await;
    let program = keys::program(&stage.app, &key);
    let budget = async || {
        let listed = stage.anna.get("/r1/api_keys").await.data();
        listed["items"].as_array().unwrap().iter().find(|one| one["id"] == key["id"]).unwrap()["budget"].clone()
    };
    // At half of its price, a request costs at most 50 micro-credits and its input.
    let batch = create_questions(&program, 3).await;
    submitted(&stage).await;
    let held = budget().await["held"].as_i64().unwrap();
    assert!((150..200).contains(&held), "{held}");
    let refused = program.post(CHAT, question(false)).await;
    assert_eq!(refused.status, 429, "the budget is reserved: {refused:?}");
    stage.upstream.finish_jobs();
    wait_for(&program, &batch, "completed").await;
    wait_until("the rest is released", async || budget().await["held"] == 0).await;
    assert_eq!(budget().await["spent"], 15);

    // What can't be reserved is executed here, as far as the budget suffices.
    let batch = create_questions(&program, 30).await;
    let ended = wait_for(&program, &batch, "completed").await;
    assert_eq!(stage.upstream.jobs().len(), 1);
    assert!(ended["request_counts"]["completed"].as_i64().unwrap() > 0, "{ended}");
}

#[tokio::test]
async fn cancels_the_jobs_of_a_revoked_key() {
    let stage = started(Setup::new(), UpstreamKind::Anthropic).await;
    let key = keys::make(&stage.anna, json!({})).await;
    let batch = create_questions(&keys::program(&stage.app, &key), 2).await;
    submitted(&stage).await;
    stage.upstream.plan_results(&[JobResult::Answer]);
    stage.anna.delete(&keys::path(&key)).await.data();
    let ended = wait_for(&stage.program, &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 2, "completed": 1, "failed": 1 }));
    let errors = results(&stage.program, &ended["error_file_id"]).await;
    assert_eq!(errors[0]["response"]["status_code"], 401, "{errors:?}");
    assert_eq!(stage.upstream.jobs()[0].cancellations, 1);
}

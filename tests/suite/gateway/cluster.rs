//! Gateway across instances: they share limits, budgets and permissions.

use std::sync::Arc;

use support::{Caller, Credentials, wait_until};
use tokio::task::JoinSet;

use super::*;

/// Starts several instances with one AI provider, whose model `small` costs one micro-credit per
/// token.
async fn several(count: usize) -> Stage {
    let stage = Stage::with(Setup::new().instances(count), UpstreamKind::OpenAi).await;
    let price = json!({ "price": { "input": 1_000_000, "output": 1_000_000 } });
    stage.app.admin().await.put("/r1/admin/models/small", price).await.data();
    for at in 0..count {
        let program = stage.program.at(&stage.app.instances[at].url());
        // Each instance loads the price independently.
        wait_until("the price is known", async || {
            program.post(API_STYLES[0], question(false)).await.header("x-natter-cost") == Some("10")
        })
        .await;
    }
    stage
}

/// Returns a program for each instance, all with this key.
fn everywhere(stage: &Stage, key: &Value) -> Vec<Caller> {
    let credentials = Credentials::Bearer(key["key"].as_str().unwrap().to_owned());
    stage.app.instances.iter().map(|instance| Caller::new(&instance.url(), credentials.clone())).collect()
}

/// Sends requests concurrently, to all instances and API styles in turn. Returns the answers.
async fn race(callers: &[Caller], times: usize) -> Vec<Answer> {
    let callers = Arc::new(callers.to_vec());
    let mut racing = JoinSet::new();
    for n in 0..times {
        let callers = Arc::clone(&callers);
        let style = API_STYLES[(n / callers.len()) % 3];
        racing.spawn(async move { callers[n % callers.len()].post(style, asked_at(style, false)).await });
    }
    racing.join_all().await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn five_instances_enforce_one_shared_limit() {
    let stage = several(5).await;
    let key = keys::make(&stage.anna, json!({ "rpm": 10 })).await;
    let callers = everywhere(&stage, &key);
    let answers = race(&callers, 60).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (10, 50));
    // Makes each instance book its pending usage, because a new budget includes the spending that
    // was booked before.
    for instance in &stage.app.instances {
        stage.anna.at(&instance.url()).get("/r1/usage").await.data();
    }
    let path = keys::path(&key);
    let anna = stage.anna.at(&stage.app.instances[3].url());
    anna.patch(&path, json!({ "rpm": null, "budget": { "limit": 1_000, "period": "day" } })).await.data();
    wait_until("every instance accepts the key again", async || {
        let mut all = true;
        for caller in &callers {
            all &= caller.get("/v1/models").await.status == 200;
        }
        all
    })
    .await;
    // Each call reserves more than 100 micro-credits and costs 10.
    let answers = race(&callers, 200).await;
    let admitted = count(&answers, 200);
    assert!((5..=100).contains(&admitted), "{admitted}");
    assert_eq!(admitted + count(&answers, 429) + count(&answers, 402), 200, "{answers:?}");
    let spent = async || {
        let mut spent = Vec::new();
        for instance in &stage.app.instances {
            stage.anna.at(&instance.url()).get("/r1/usage").await.data();
        }
        for instance in &stage.app.instances {
            let listed = stage.anna.at(&instance.url()).get("/r1/api_keys").await.data();
            let found = listed["items"].as_array().unwrap().iter().find(|one| one["id"] == key["id"]).cloned().unwrap();
            spent.push(found["budget"]["spent"].as_i64().unwrap());
        }
        spent
    };
    // The ten calls before the budget was set count too, because they are in the same period.
    let counted = i64::try_from(10 + admitted).unwrap();
    assert_eq!(spent().await, [10 * counted; 5], "every instance reports the same spending");
    // If a key's permissions are changed or it is deleted, that takes effect on every instance.
    anna.patch(&path, json!({ "models": ["large"], "budget": null })).await.data();
    for caller in &callers {
        wait_until("the key is limited to one model", async || {
            caller.post(API_STYLES[0], question(false)).await.status == 404
        })
        .await;
        let listed = caller.get("/v1/models").await;
        let ids: Vec<&Value> = listed.body["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
        assert!(ids.iter().all(|id| id.as_str().unwrap().contains("large")) && !ids.is_empty(), "{ids:?}");
    }
    anna.delete(&path).await.data();
    for caller in &callers {
        wait_until("the key is deleted", async || caller.get("/v1/models").await.status == 401).await;
    }
}

#[tokio::test]
async fn resolves_previous_responses_on_another_instance() {
    let stage = Stage::with(Setup::new().instances(2), UpstreamKind::OpenAi).await;
    let key = keys::make(&stage.anna, json!({})).await;
    let stranger = keys::make(&stage.anna, json!({})).await;
    let (callers, strangers) = (everywhere(&stage, &key), everywhere(&stage, &stranger));
    let refused = async |caller: &Caller, body: Value| {
        let answer = caller.post(API_STYLES[1], body).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        answer.body["error"]["code"].clone()
    };
    let mut asked = json!({ "model": "small", "input": "Weather?" });
    let mut last = Value::Null;
    // Each turn goes to a different instance than the one before. A stream ends only after its
    // response is stored.
    for turn in 0..4 {
        let is_streamed = turn % 2 == 0;
        stage.upstream.always(Behaviour::CallTools(vec![("weather".to_owned(), json!({ "turn": turn }))]));
        asked["stream"] = json!(is_streamed);
        asked["tools"] = json!([{ "type": "function", "name": "weather", "parameters": { "type": "object" } }]);
        let answer = callers[turn % 2].post(API_STYLES[1], asked.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        last = if is_streamed { frames(&answer).pop().unwrap()["response"].clone() } else { answer.body.clone() };
        let came = stage.upstream.asked().pop().unwrap().body;
        let calls = came["messages"].as_array().unwrap().iter().filter(|message| message["tool_calls"].is_array());
        assert_eq!(calls.count(), turn, "all previous turns: {came}");
        let items = last["output"].as_array().unwrap();
        let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
        let result = json!({ "type": "function_call_output", "call_id": call["call_id"], "output": "sunny" });
        asked = json!({ "model": "small", "input": [result], "previous_response_id": last["id"] });
    }
    // The response can also be referred to by its items, but only by the same caller.
    let call = last["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap();
    let result = json!({ "type": "function_call_output", "call_id": call["call_id"], "output": "sunny" });
    let reference = json!({ "type": "item_reference", "id": call["id"] });
    let named = json!({ "model": "small", "input": [{ "role": "user", "content": "Weather?" }, reference, result] });
    for caller in &callers {
        let answer = caller.post(API_STYLES[1], named.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for caller in &strangers {
        assert_eq!(refused(caller, asked.clone()).await, "previous_response_not_found");
    }
    // A response with `store: false` is not stored.
    let private = json!({ "model": "small", "input": "Weather?", "store": false });
    let said = callers[0].post(API_STYLES[1], private).await.body["id"].clone();
    for caller in &callers {
        let asked = json!({ "model": "small", "input": "more", "previous_response_id": said });
        assert_eq!(refused(caller, asked).await, "previous_response_not_found");
    }
}

#[tokio::test]
async fn shows_and_deletes_stored_responses_on_every_instance() {
    let stage = Stage::with(Setup::new().instances(2), UpstreamKind::OpenAi).await;
    let callers = everywhere(&stage, &keys::make(&stage.anna, json!({})).await);
    let stranger = stage.anna.program(&["gateway"]).await;
    stage.upstream.always(Behaviour::answer("Sunny."));
    let said = callers[0].post("/v1/responses", json!({ "model": "small", "input": "Weather?" })).await;
    assert_eq!(said.status, 200, "{said:?}");
    let id = said.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}");

    for caller in &callers {
        let shown = caller.get(&path).await;
        assert_eq!((shown.status, &shown.body["output"]), (200, &said.body["output"]), "{shown:?}");
        let items = caller.get(&format!("{path}/input_items")).await.body;
        assert_eq!(items["data"][0]["content"], json!([{ "type": "input_text", "text": "Weather?" }]), "{items}");
        let refused = caller.post(&format!("{path}/cancel"), json!({})).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(stranger.get(&path).await.status, 404);
    assert_eq!(stranger.delete(&path).await.status, 404);
    let next = json!({ "model": "small", "input": "Why?", "previous_response_id": id });
    let next = callers[1].post("/v1/responses", next).await.body["id"].clone();
    let deleted = callers[1].delete(&path).await;
    assert_eq!((deleted.status, &deleted.body), (200, &json!({ "id": id, "object": "response", "deleted": true })));
    for caller in &callers {
        // The other instance learns of the deletion from the bus, and has the response in memory until then.
        wait_until("the response can't be continued", async || {
            let more = json!({ "model": "small", "input": "More?", "previous_response_id": id });
            let continued = caller.post("/v1/responses", more).await;
            continued.body["error"]["code"] == "previous_response_not_found"
        })
        .await;
        let gone = caller.get(&path).await;
        assert_eq!((gone.status, &gone.body["error"]["type"]), (404, &json!("invalid_request_error")), "{gone:?}");
        // It stays part of the response that continues it.
        let more = json!({ "model": "small", "input": "More?", "previous_response_id": next });
        let continued = caller.post("/v1/responses", more).await;
        assert_eq!(continued.status, 200, "{continued:?}");
        let asked = stage.upstream.asked().pop().unwrap().body["messages"].to_string();
        assert!(asked.contains("Weather?") && asked.contains("Why?") && asked.contains("More?"), "{asked}");
    }
}

#[tokio::test]
async fn workspace_keys_end_with_membership_and_workspace_on_every_instance() {
    let stage = several(2).await;
    let ben = stage.app.sign_up("Ben").await;
    let team = stage.anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let path = format!("/r1/workspaces/{}", team["id"].as_str().unwrap());
    stage.anna.post(&format!("{path}/members"), json!({ "user_id": ben.id })).await.data_with(201);
    let mut keys = Vec::new();
    for owner in [&stage.anna, &ben] {
        let key = keys::make(owner, json!({ "workspace_id": team["id"] })).await;
        keys.push(everywhere(&stage, &key));
    }
    for caller in keys.iter().flatten() {
        assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200);
    }
    let there = stage.anna.at(&stage.app.instances[1].url());
    there.delete(&format!("{path}/members/{}", ben.id)).await.data();
    for caller in &keys[1] {
        wait_until("Ben's key is refused", async || caller.post(API_STYLES[0], question(false)).await.status == 401)
            .await;
    }
    for caller in &keys[0] {
        assert_eq!(caller.post(API_STYLES[0], question(false)).await.status, 200, "Anna is still a member");
    }
    there.delete(&path).await.data();
    for caller in &keys[0] {
        wait_until("the workspace's key is refused", async || {
            caller.post(API_STYLES[0], question(false)).await.status == 401
        })
        .await;
    }
}

#[tokio::test]
async fn concurrent_bookings_in_overlapping_budgets_are_all_counted() {
    const CALLS: usize = 400;
    let stage = several(2).await;
    let (admin, ben) = (stage.app.admin().await, stage.app.sign_up("Ben").await);
    // Anna has called each instance once so that it loads the price. A new budget counts calls that are recorded.
    let recorded = "SELECT CAST(COALESCE(sum(cost), 0) AS bigint) FROM usage_days";
    wait_until("the first calls are recorded", async || stage.app.database.number(recorded).await == 20).await;
    let team = stage.anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let team = team["id"].as_str().unwrap();
    let members = format!("/r1/workspaces/{team}/members");
    stage.anna.post(&members, json!({ "user_id": ben.id })).await.data_with(201);
    let limit = json!({ "limit": 100_000_000, "period": "month" });
    let scopes = [format!("workspace/{team}"), format!("user/{}", stage.anna.id), format!("user/{}", ben.id)];
    for scope in &scopes {
        admin.put(&format!("/r1/admin/budgets/{scope}"), limit.clone()).await.data();
    }
    let mut callers = Vec::new();
    for owner in [&stage.anna, &ben, &stage.anna, &ben] {
        let key = keys::make(owner, json!({ "workspace_id": team, "budget": limit })).await;
        callers.extend(everywhere(&stage, &key));
    }
    let answers = race(&callers, CALLS).await;
    assert_eq!(count(&answers, 200), CALLS, "{:?}", answers.iter().find(|answer| answer.status != 200));
    for instance in &stage.app.instances {
        stage.anna.at(&instance.url()).get("/r1/usage").await.data();
    }
    let listed = admin.get("/r1/admin/budgets").await.data();
    let spent = |id: &str| {
        let found = listed["items"].as_array().unwrap().iter().find(|budget| budget["id"] == id);
        found.unwrap()["spent"].as_u64().unwrap()
    };
    let calls = CALLS as u64;
    assert_eq!((spent(team), spent(&stage.anna.id), spent(&ben.id)), (calls * 10, calls * 5 + 20, calls * 5));
    let asked = format!("SELECT count(*) FROM usage_requests WHERE workspace_id = '{team}' AND status = 200");
    assert_eq!(stage.app.database.number(&asked).await, i64::try_from(CALLS).unwrap(), "no row is lost");
    let summed = "SELECT CAST(sum(requests) AS bigint) FROM usage_days";
    let single = "SELECT count(*) FROM usage_requests";
    assert_eq!(stage.app.database.number(summed).await, stage.app.database.number(single).await);
    for instance in &stage.app.instances {
        let log = instance.log();
        let stuck: Vec<&String> =
            log.iter().filter(|line| line.contains("deadlock") || line.contains("could not be written")).collect();
        assert!(stuck.is_empty(), "{stuck:?}");
    }
}

#[tokio::test]
async fn a_background_response_survives_the_loss_of_an_instance() {
    let mut stage = several(2).await;
    let before = stage.upstream.asked().len();
    let key = keys::make(&stage.anna, json!({})).await;
    let callers = everywhere(&stage, &key);
    stage.upstream.then(Behaviour::Hang);
    let body = json!({ "model": "small", "background": true, "input": "Hello?" });
    let created = background::create(&callers[0], body).await;
    wait_until("the provider is called", async || stage.upstream.asked().len() > before).await;
    background::wait_for(&callers[1], &created, "in_progress").await;
    // Whichever instance executes it, the other one or the next start continues.
    for at in 0..2 {
        stage.app.instances[at].kill().await;
        stage.app.instances[at].start_again().await;
    }
    let ended = background::wait_for(&callers[1], &created, "completed").await;
    let same = background::wait_for(&callers[0], &created, "completed").await;
    assert_eq!(ended, same);
}

#[tokio::test]
async fn a_batch_survives_the_loss_of_an_instance() {
    let mut stage = several(2).await;
    let before = stage.upstream.asked().len();
    let key = keys::make(&stage.anna, json!({ "rpm": 1 })).await;
    let callers = everywhere(&stage, &key);
    let batch = batches::create_questions(&callers[0], 3).await;
    // The other instance knows the batch and its files.
    batches::wait_for_results(&callers[1], &batch, 1).await;
    stage.app.instances[0].kill().await;
    let anna = stage.anna.at(&stage.app.instances[1].url());
    anna.patch(&keys::path(&key), json!({ "rpm": null })).await.data();
    let ended = batches::wait_for(&callers[1], &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 3, "completed": 3, "failed": 0 }));
    let path = format!("/v1/files/{}/content", ended["output_file_id"].as_str().unwrap());
    assert_eq!(callers[1].get(&path).await.text().lines().count(), 3);
    // No request was in progress when the instance was killed, so none is repeated.
    assert_eq!(stage.upstream.asked().len() - before, 3);
}

#[tokio::test]
async fn another_instance_collects_the_results_of_a_job() {
    let mut stage = provider_batches::started(Setup::new().instances(2), UpstreamKind::OpenAi).await;
    let batch = batches::create_questions(&stage.program, 3).await;
    provider_batches::submitted(&stage).await;
    // Whichever instance has submitted it, the other one polls it at least for a while.
    for at in 0..2 {
        stage.app.instances[at].kill().await;
        stage.app.instances[at].start_again().await;
    }
    stage.upstream.finish_jobs();
    let ended = batches::wait_for(&stage.program, &batch, "completed").await;
    assert_eq!(ended["request_counts"], json!({ "total": 3, "completed": 3, "failed": 0 }));
    assert_eq!((stage.upstream.jobs().len(), stage.upstream.asked().len()), (1, 0));
}

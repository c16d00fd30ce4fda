//! Indexing of files: crashes, errors of the provider, and changes of the model.

use support::{Behaviour, Setup, json, wait_until};

use super::{HANDBOOK, Library};

/// Returns a text of more than a hundred chunks. Each contains a word that is in no other.
fn long_text() -> String {
    (0..130).map(|n| format!("# Chapter {n}\n\nThe word of this chapter is word{n}x.\n\n")).collect()
}

#[tokio::test]
async fn indexes_a_file_once_despite_a_kill() {
    let mut library = Library::start().await;
    library.upstream.embed(Behaviour::step(""));
    let file = library.give("long.md", "text/markdown", long_text()).await;
    // Two calls are answered, and the third is in progress.
    library.upstream.release(2);
    library.upstream.wait_until_asked(3).await;
    wait_until("two batches are stored", || async { library.file(&file).await["embedded"] == 64 }).await;
    library.app.instances[0].kill().await;
    library.upstream.embed(Behaviour::answer(""));
    library.app.instances[0].start_again().await;
    let ready = library.until(&file, "ready").await;
    assert_eq!((&ready["pieces"], &ready["embedded"]), (&json!(130), &json!(130)));
    assert_eq!(library.rows("knowledge_chunks").await, 130);
    let sum = "SELECT CAST(SUM(count) AS BIGINT) FROM knowledge_vectors";
    assert_eq!(library.app.database.number(sum).await, 130);
    assert_eq!(library.rows("knowledge_vectors").await, 5);
    // Only the call that was in progress is repeated.
    let asked: usize = library.embedded().iter().map(|body| body["input"].as_array().unwrap().len()).sum();
    assert!(asked <= 130 + 2 * 32, "{asked} texts");
    let mut socket = library.anna.connect().await;
    let chat = library.chat().await;
    let answer = library.ask(&mut socket, &chat, "Which chapter has word97x?", "It is 97 [1].").await;
    assert_eq!(answer["answer"]["citations"][0]["heading"], "Chapter 97", "{answer}");
}

#[tokio::test]
async fn a_file_waits_for_an_unavailable_embedding_model_and_can_be_retried() {
    let library = Library::start_with(Setup::new().set("jobs.backoff", "600")).await;
    library.upstream.embed(Behaviour::Refuse(503, None));
    let file = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    wait_until("the file shows the error", || async {
        let file = library.file(&file).await;
        file["state"] == "waiting" && file["error"].is_string()
    })
    .await;
    library.upstream.embed(Behaviour::answer(""));
    let retry = format!("{}/{}/retry", library.path(), file["id"].as_str().unwrap());
    let again = library.anna.post(&retry, json!({})).await.data();
    // Indexing may already have started.
    assert!(["waiting", "reading"].contains(&again["state"].as_str().unwrap()), "{again}");
    assert_eq!(again["error"], json!(null));
    // The provider's key may be in backoff for some seconds.
    wait_until("the file is indexed", || async {
        let now = library.file(&file).await;
        if now["state"] == "waiting" && now["error"].is_string() {
            library.anna.post(&retry, json!({})).await;
        }
        now["state"] == "ready"
    })
    .await;
    assert_eq!(library.file(&file).await["error"], json!(null));
    wait_until("no indexing job is left", || async { library.rows("jobs WHERE kind = 'read_knowledge'").await == 0 })
        .await;
}

#[tokio::test]
async fn records_failed_files_as_dead_letters_with_their_cause() {
    let library = Library::start_with(Setup::new().set("jobs.max_attempts", 1)).await;
    library.upstream.embed(Behaviour::Refuse(503, None));
    let file = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    let failed = library.until(&file, "failed").await;
    assert_eq!((&failed["pieces"], &failed["embedded"]), (&json!(3), &json!(0)), "the file is chunked already");
    let admin = library.app.admin().await;
    wait_until("the job is a dead letter", || async {
        let dead = admin.get("/r1/admin/jobs?status=dead&kind=read_knowledge").await.data();
        dead["items"].as_array().unwrap().iter().any(|job| job["error"].as_str().is_some_and(|error| !error.is_empty()))
    })
    .await;
    // An administrator can requeue the job too.
    library.upstream.embed(Behaviour::answer(""));
    wait_until("the file is indexed", || async {
        admin.post("/r1/admin/jobs/requeue", json!({ "kind": "read_knowledge" })).await.data();
        library.file(&file).await["state"] == "ready"
    })
    .await;
}

#[tokio::test]
async fn changing_the_embedding_model_embeds_all_files_again() {
    let library = Library::start().await;
    let file = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    library.until(&file, "ready").await;
    // From here on, the same name refers to another model.
    let admin = library.app.admin().await;
    let body = json!({ "deployments": [{ "provider": "fake", "model": "embed-other" }] });
    admin.put("/r1/admin/models/embed-words", body).await.data_with(200);
    wait_until("the file is embedded by the other model", || async {
        let other = "knowledge_files WHERE space = 'embed-other' AND state = 'ready'";
        library.rows(other).await == 1
    })
    .await;
    assert_eq!((library.rows("knowledge_chunks").await, library.rows("knowledge_vectors").await), (3, 1));
    let models: Vec<_> = library.embedded().iter().map(|body| body["model"].clone()).collect();
    assert_eq!(models, ["embed-words", "embed-other"]);
    let mut socket = library.anna.connect().await;
    let chat = library.chat().await;
    let answer = library.ask(&mut socket, &chat, "How many days of leave?", "Twenty-five [1].").await;
    assert_eq!(answer["answer"]["citations"][0]["heading"], "House › Leave");
}

#[tokio::test]
async fn lists_the_embedding_cost_of_a_file() {
    let library = Library::start().await;
    let price = json!({ "price": { "input": 1_000_000, "output": 1_000_000 } });
    library.app.admin().await.put("/r1/admin/models/embed-words", price).await.data();
    let given = library.give("handbook.md", "text/markdown", HANDBOOK).await;
    assert_eq!(given["cost"], 0);
    let cost = library.until(&given, "ready").await["cost"].as_i64().unwrap();
    assert!(cost > 0, "{cost}");
    let booked = format!(
        "SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM usage_requests WHERE request_id = '{}'",
        given["id"].as_str().unwrap()
    );
    wait_until("the cost is booked", || async { library.app.database.number(&booked).await == cost }).await;
}

//! Failures of AI providers, and the reasons that readers see.

use support::{Application, Behaviour, Engine, PATIENCE, Setup, UpstreamKind, Value, json, wait_until_equal};

use super::Chat;

/// Asks a question whose answer fails. Returns the content of the answer and the reason that is
/// displayed.
async fn fail(chat: &mut Chat) -> (Value, String) {
    let answer = chat.ask("Hello?").await;
    let failed = chat.ended("message.failed").await;
    let message = &failed["message"];
    assert_eq!((&message["id"], &message["status"]), (&json!(answer), &json!("failed")));
    assert_eq!(message["reason"], failed["reason"]);
    assert_eq!(chat.message(&answer).await, *message);
    (message["content"].clone(), failed["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn retries_a_short_provider_failure_transparently() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let mut chat = Chat::start(Setup::new(), kind).await;
        chat.upstream.then(Behaviour::Refuse(500, None));
        chat.upstream.then(Behaviour::Refuse(429, Some(1)));
        chat.upstream.then(Behaviour::answer("At last."));
        chat.ask("Hello?").await;
        assert_eq!(chat.ended("message.completed").await["message"]["content"], "At last.");
        assert_eq!(chat.upstream.asked().len(), 3);
    }
}

#[tokio::test]
async fn fails_a_retryable_answer_if_the_provider_is_unavailable() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(500, None));
    let (content, reason) = fail(&mut chat).await;
    assert_eq!(content, "");
    assert_eq!(reason, "The AI provider is unavailable. Try again in a minute.");
    assert_eq!(chat.upstream.asked().len(), 4, "one attempt and three retries");

    chat.upstream.always(Behaviour::answer("Back again."));
    let answer = chat.answers().await[0]["id"].as_str().unwrap().to_owned();
    let again = chat.anna.post(&format!("/r1/messages/{answer}/regenerate"), json!({})).await.data();
    assert!(again["reason"].is_null());
    let completed = chat.ended("message.completed").await;
    assert_eq!(
        (&completed["message"]["id"], &completed["message"]["content"]),
        (&json!(answer), &json!("Back again."))
    );
    assert_eq!(chat.answers().await.len(), 1);
}

#[tokio::test]
async fn a_long_retry_after_fails_the_answer_at_once() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(429, Some(100)));
    let (_, reason) = fail(&mut chat).await;
    // The provider has only one key, which is used again before the delay that the provider has
    // asked for is over.
    assert_eq!(reason, "The AI provider is busy. Try again in a minute.");
    assert_eq!(chat.upstream.asked().len(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_keeps_its_text_and_fails() {
    for kind in [UpstreamKind::OpenAi, UpstreamKind::Gemini] {
        let mut chat = Chat::start(Setup::new(), kind).await;
        for (behaviour, expected) in [
            (Behaviour::cut("Half an "), "The answer was cut off. Try again."),
            (Behaviour::garbage("Half an "), "The AI provider sent an answer Natter couldn't read. Try again."),
        ] {
            chat.upstream.then(behaviour);
            let (content, reason) = fail(&mut chat).await;
            assert_eq!((content, reason), (json!("Half an "), expected.to_owned()));
        }
        assert_eq!(chat.upstream.asked().len(), 2, "no retry after the first token");
    }
}

#[tokio::test]
async fn a_silent_provider_stream_times_out() {
    let mut chat = Chat::start(Setup::new().set("ai.idle_timeout", 1), UpstreamKind::OpenAi).await;
    chat.upstream.then(Behaviour::stall("Wait for "));
    let (content, reason) = fail(&mut chat).await;
    assert_eq!(content, "Wait for ");
    assert_eq!(reason, "The AI provider took too long to answer. Try again.");
}

#[tokio::test]
async fn reports_a_rejected_provider_key_to_administrators_only() {
    let mut chat = Chat::start(Setup::new(), UpstreamKind::OpenAi).await;
    chat.upstream.always(Behaviour::Refuse(401, None));
    let (_, reason) = fail(&mut chat).await;
    assert!(reason.contains("Ask an admin"), "{reason}");
    assert!(!chat.app.instances[0].log().iter().any(|line| line.contains("key-one")), "a key was logged");
}

/// Inserts a job that no worker can process, with this number of previous attempts.
async fn insert_nonsense(app: &Application, kind: &str, claims: u32) {
    let id = match app.database.engine {
        Engine::Sqlite => "randomblob(16)",
        Engine::Postgres => "gen_random_uuid()",
    };
    let sql = format!(
        "INSERT INTO jobs (id, kind, concurrency_key, subject, payload, status, attempt, due_at, stop_requested, created_at, updated_at) \
         VALUES ({id}, '{kind}', 'nonsense', {id}, '\"nonsense\"', 'waiting', {claims}, 0, FALSE, 0, 0)"
    );
    app.database.run(&sql).await;
}

#[tokio::test]
async fn retries_a_failing_job_and_moves_it_to_the_dead_letters() {
    let app = Application::start().await;
    // This job is due before the others. So when these are done, a worker must already have seen
    // it.
    insert_nonsense(&app, "of_a_later_version", 0).await;
    insert_nonsense(&app, "mail", 0).await;
    insert_nonsense(&app, "mail", 4).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let postponed = format!("status = 'waiting' AND attempt = 1 AND due_at > {now} + 50000 AND due_at < {now} + 90000");
    let dead = "status = 'dead' AND attempt = 5 AND due_at IS NULL";
    for fate in [postponed.as_str(), dead] {
        let count = format!("SELECT count(*) FROM jobs WHERE {fate} AND error LIKE '%nonsense%'");
        wait_until_equal(&format!("jobs with {fate}"), &1, || app.database.number(&count)).await;
    }
    // A job of a kind that only another version knows waits for that version. It uses up no
    // attempts.
    let waits = "SELECT COUNT(*) FROM jobs WHERE kind = 'of_a_later_version' AND status = 'waiting' AND attempt = 0";
    assert_eq!(app.database.number(waits).await, 1);
}

#[tokio::test]
async fn invalid_provider_settings_prevent_start_up_with_an_explanation() {
    let app = Application::start().await;
    for (key, value) in [("ai.default_model", "no-such-model"), ("ai.providers.fake.keys", "secret\u{1}key")] {
        let name = |key: &str| format!("NATTER__{}", key.replace('.', "__").to_uppercase());
        let output = tokio::process::Command::new(support::natter())
            .arg("serve")
            .env(name("ai.providers.fake.kind"), "openai")
            .env(name("ai.providers.fake.keys"), "key")
            .env(name("ai.providers.fake.models"), "small")
            .env(name("server.port"), support::free_port().to_string())
            .env(name("server.data_dir"), app.folder().join("other"))
            .env(name(key), value)
            .current_dir(app.folder())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("not serving").unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(key), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

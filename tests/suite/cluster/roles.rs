//! Roles of instances: readiness of each, and workers for some kinds of jobs.

use support::{Engine, MeteredApplication, Setup, Upstream, UpstreamKind, json, wait_until};

/// URL of a bus that is never reached.
const NO_BUS: &str = "redis://127.0.0.1:1";

/// Status and reasons in the response of `/health`.
async fn health(url: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{url}/health")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn workers_are_ready_without_a_bus_and_web_instances_are_not() {
    let setup = |role: &str| {
        let setup = Setup::new().on(Engine::Postgres).set("redis.url", "").set("bus.url", NO_BUS);
        setup.set("server.role", role)
    };
    let (web, worker) = tokio::join!(setup("web").start(), setup("worker").start());
    let (status, reasons) = health(&web.url()).await;
    assert_eq!(status, 503, "{reasons}");
    assert!(reasons.contains("this instance isn't ready"), "{reasons}");
    let (status, reasons) = health(&worker.url()).await;
    assert_eq!(status, 200, "{reasons}");
    assert!(reasons.contains("updates between instances take up to a second"), "{reasons}");
}

#[tokio::test]
async fn each_worker_runs_its_kinds_of_jobs() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let setup = Setup::new().on(Engine::Postgres).provider(&upstream).set("server.role", "web");
    let role = ("server.role", "worker");
    let (answers, others) = ([role, ("jobs.kinds", "answer")], [role, ("jobs.kinds", "*,!answer")]);
    let cluster = MeteredApplication::start_different(setup, &[&answers, &others]).await;
    let anna = cluster.app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    for _ in 0..3 {
        anna.send_message(&chat, "Who answers?").await;
        socket.expect_in("message.completed", &chat).await;
    }
    anna.post(&format!("/r1/conversations/{chat}/export"), json!({ "format": "json" })).await.data_with(202);
    let done = async |instance: usize, kind: &str| {
        let series = format!("natter_jobs_total{{kind=\"{kind}\",outcome=\"done\"}}");
        cluster.find_metric(instance, &series).await.unwrap_or(0)
    };
    wait_until("all jobs are done", async || done(1, "answer").await == 3 && done(2, "export").await == 1).await;
    for (instance, kind) in [(0, "answer"), (2, "answer"), (0, "export"), (1, "export"), (1, "mail")] {
        assert_eq!(done(instance, kind).await, 0, "instance {instance} ran a job of kind {kind}");
    }
}

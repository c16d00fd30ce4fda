//! Answers across instances: all instances show them, and another instance continues them if one
//! dies.

use support::{
    Application, Behaviour, Engine, Instance, Member, MeteredApplication, PostgresServer, Setup, Socket, Upstream,
    UpstreamKind, json, wait_until,
};

use super::{append, begun, read_up_to, stored};

/// Text of the answer that is continued. From its second word on it is longer than the previous
/// text.
const CARRIED_ON: &str = "Carried onwards, again";

/// Two instances, with a member who is connected to both.
struct Pair {
    app: Application,
    upstream: Upstream,
    anna: Member,
    chat: String,
    sockets: Vec<Socket>,
}

impl Pair {
    async fn start() -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let app = Setup::new().instances(2).provider(&upstream).start().await;
        let anna = app.sign_up("Anna").await;
        let chat = anna.open_assistant().await;
        let mut sockets = Vec::new();
        for instance in &app.instances {
            sockets.push(anna.at(&instance.url()).connect().await);
        }
        Self { app, upstream, anna, chat, sockets }
    }

    /// Asks a question and waits for the first two words of the answer. Returns the id of the
    /// answer and the index of the instance that generates it.
    async fn begin(&mut self) -> (String, usize) {
        self.begin_with(Behaviour::stall("First second ")).await
    }

    async fn begin_with(&mut self, behaviour: Behaviour) -> (String, usize) {
        self.upstream.then(behaviour);
        self.anna.send_message(&self.chat, "Go").await;
        let answer = begun(&mut self.sockets[0], &self.chat).await;
        for socket in &mut self.sockets {
            read_up_to(socket, &self.chat, "First second ").await;
        }
        stored(&self.anna, &answer, "First second ").await;
        let mut writer = None;
        for (index, socket) in self.sockets.iter().enumerate() {
            let instance = socket.hello["instance_id"].as_str().unwrap();
            let leased = format!("SELECT count(*) FROM jobs WHERE status = 'running' AND leased_by = '{instance}'");
            if self.app.database.number(&leased).await == 1 {
                writer = Some(index);
            }
        }
        (answer, writer.expect("one instance writes it"))
    }

    /// The other instance generates the answer from the start. Readers see the old text until the
    /// new one is longer.
    async fn other_carries_on(&mut self, answer: &str, other: usize) {
        self.upstream.wait_until_asked(2).await;
        let anna = self.anna.at(&self.app.instances[other].url());
        let socket = &mut self.sockets[other];
        self.upstream.release(1);
        let message = anna.get(&format!("/r1/messages/{answer}")).await.data();
        assert_eq!((&message["status"], &message["content"]), (&json!("streaming"), &json!("First second ")));
        self.upstream.release(1);
        let updated = socket.expect_in("message.updated", &self.chat).await;
        assert_eq!(updated.payload["message"]["id"], json!(answer));
        let mut text = updated.payload["message"]["content"].as_str().unwrap().to_owned();
        assert_eq!(text, "Carried onwards, ");
        self.upstream.release(1);
        append(&mut text, &socket.expect_in("message.delta", &self.chat).await);
        assert_eq!(text, CARRIED_ON);
        let completed = socket.expect_in("message.completed", &self.chat).await;
        assert_eq!(completed.payload["message"]["content"], CARRIED_ON);
        let history = anna.history(&self.chat).await;
        assert_eq!(history.len(), 2, "one question, one answer: {history:?}");
    }
}

#[tokio::test]
async fn continues_an_answer_after_its_instance_is_killed() {
    let mut pair = Pair::start().await;
    let (answer, writer) = pair.begin().await;
    pair.upstream.then(Behaviour::step(CARRIED_ON));
    pair.app.instances[writer].kill().await;
    pair.other_carries_on(&answer, 1 - writer).await;
}

#[tokio::test]
async fn continues_a_compared_answer_on_the_other_instance() {
    let mut pair = Pair::start().await;
    let (first, writer) = pair.begin().await;
    pair.upstream.then(Behaviour::stall("Beside it "));
    let path = format!("/r1/messages/{first}");
    let compared = pair.anna.post(&format!("{path}/compare"), json!({ "model": "large" })).await.data_with(201);
    let second = compared["id"].as_str().unwrap();
    stored(&pair.anna, second, "Beside it ").await;
    let instance = pair.sockets[writer].hello["instance_id"].as_str().unwrap();
    let leased = format!("SELECT count(*) FROM jobs WHERE status = 'running' AND leased_by = '{instance}'");
    let are_both_there = pair.app.database.number(&leased).await == 2;
    pair.upstream.always(Behaviour::answer(CARRIED_ON));
    pair.app.instances[writer].kill().await;
    let anna = pair.anna.at(&pair.app.instances[1 - writer].url());
    if !are_both_there {
        // The other instance is still generating it.
        anna.post(&format!("/r1/messages/{second}/stop"), json!({})).await.data();
    }
    let is_whole = async || anna.get(&path).await.data()["versions"] == json!({ "index": 1, "count": 2 });
    wait_until("the second answer is a version of the first", is_whole).await;
    let message = anna.get(&path).await.data();
    assert_eq!((&message["status"], &message["content"]), (&json!("complete"), &json!(CARRIED_ON)));
    let shown = anna.put(&format!("{path}/version"), json!({ "index": 2 })).await.data();
    assert_eq!(shown["content"], if are_both_there { CARRIED_ON } else { "Beside it " });
    assert_eq!(anna.history(&pair.chat).await.len(), 2, "one question, one answer");
}

/// A lease lasts ten seconds. A killed instance is detected earlier, but during a short outage of
/// PostgreSQL no instance is considered dead.
#[tokio::test]
async fn a_killed_instance_is_detected_before_its_leases_expire() {
    let mut pair = Pair::start().await;
    let (answer, writer) = pair.begin().await;
    pair.upstream.then(Behaviour::step(CARRIED_ON));
    // Makes the lease last so long that it doesn't expire during the test.
    pair.app.database.run("UPDATE jobs SET due_at = due_at + 3600000 WHERE status = 'running'").await;
    pair.app.instances[writer].kill().await;
    pair.other_carries_on(&answer, 1 - writer).await;
}

#[tokio::test]
async fn hands_an_answer_over_when_its_instance_shuts_down() {
    let mut pair = Pair::start().await;
    let (answer, writer) = pair.begin().await;
    pair.upstream.then(Behaviour::step(CARRIED_ON));
    pair.app.instances[writer].ask_to_stop();
    pair.other_carries_on(&answer, 1 - writer).await;
    assert_eq!(pair.app.instances[writer].ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_paused_instance_does_not_answer_a_second_time() {
    let mut pair = Pair::start().await;
    let (answer, writer) = pair.begin().await;
    pair.upstream.then(Behaviour::step(CARRIED_ON));
    pair.app.instances[writer].pause();
    pair.other_carries_on(&answer, 1 - writer).await;
    pair.app.instances[writer].resume();
    // The instance notices that it has lost the job.
    let notices = || async {
        let log = pair.app.instances[writer].log();
        log.iter().any(|line| line.contains("job taken over by another worker"))
    };
    wait_until("the instance notices that it lost the job", notices).await;
    let writer = pair.anna.at(&pair.app.instances[writer].url());
    let message = writer.get(&format!("/r1/messages/{answer}")).await.data();
    assert_eq!((&message["status"], &message["content"]), (&json!("complete"), &json!(CARRIED_ON)));
    let log = writer.event_log(&pair.chat).await;
    // The title of the chat is set at an arbitrary time after its first answer.
    assert_eq!(log.iter().filter(|event| event["type"] != "conversation.updated").count(), 4, "{log:?}");
}

#[tokio::test]
async fn a_stop_reaches_the_writer_through_any_instance() {
    let mut pair = Pair::start().await;
    let (answer, writer) = pair.begin().await;
    let reply = pair.sockets[1 - writer].request("generation.stop", json!({ "message_id": answer })).await;
    assert_eq!(reply.kind, "ack", "{reply:?}");
    for socket in &mut pair.sockets {
        let message = socket.expect_in("message.completed", &pair.chat).await.payload["message"].clone();
        assert_eq!((&message["status"], &message["content"]), (&json!("stopped"), &json!("First second ")));
    }
}

#[tokio::test]
async fn an_answer_is_not_lost_while_redis_is_away() {
    let mut pair = Pair::start().await;
    pair.upstream.release(2);
    let (answer, writer) = pair.begin_with(Behaviour::step("First second third")).await;
    pair.app.redis.as_mut().unwrap().stop().await;
    pair.upstream.release(1);
    for socket in [writer, 1 - writer] {
        let completed = pair.sockets[socket].expect_in("message.completed", &pair.chat).await;
        assert_eq!(completed.payload["message"]["content"], "First second third");
        assert_eq!(completed.payload["message"]["id"], json!(answer));
    }
    pair.app.redis.as_mut().unwrap().start_again().await;
}

#[tokio::test]
async fn an_answer_is_not_lost_while_postgresql_is_away() {
    let mut postgres = PostgresServer::start();
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().database(&postgres.url()).provider(&upstream).start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    upstream.then(Behaviour::step("First second third"));
    anna.send_message(&chat, "Go").await;
    let answer = begun(&mut socket, &chat).await;
    upstream.release(2);
    read_up_to(&mut socket, &chat, "First second ").await;
    postgres.stop();
    upstream.release(1);
    let last = socket.expect_in("message.delta", &chat).await;
    assert_eq!(last.payload["text"], "third");
    postgres.start_again();
    let completed = socket.expect_in("message.completed", &chat).await;
    assert_eq!(completed.payload["message"]["content"], "First second third");
    assert_eq!(completed.payload["message"]["id"], json!(answer));
    assert_eq!(upstream.asked().len(), 1, "the provider was called again");
}

#[tokio::test]
async fn leaves_answers_to_instances_with_workers() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let setup = Setup::new().on(Engine::Postgres).set("server.role", "web").provider(&upstream);
    let app = setup.start().await;
    let anna = app.sign_up("Anna").await;
    let chat = anna.open_assistant().await;
    let mut socket = anna.connect().await;
    anna.send_message(&chat, "Is anybody there?").await;
    let mut settings = app.settings().to_vec();
    settings.retain(|(key, _)| key != "server.role");
    settings.push(("server.role".to_owned(), "worker".to_owned()));
    assert_eq!(app.database.number("SELECT count(*) FROM jobs WHERE kind = 'answer' AND status = 'waiting'").await, 1);
    let _worker = Instance::start(app.folder(), &settings).await;
    begun(&mut socket, &chat).await;
    let completed = socket.expect_in("message.completed", &chat).await;
    assert_eq!(completed.payload["message"]["content"], "Hello from the upstream.");
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

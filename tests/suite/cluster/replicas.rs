//! Instances that read from a standby with streaming replication, which is paused, killed and promoted.

use std::time::{Duration, Instant};

use support::{Application, Instance, Member, PostgresServer, Setup, TestDatabase, free_port, json, wait_until};

/// Longest time of a read while the replica is behind: the wait for it, and the read of the primary on a busy machine.
const SLOWEST_READ: Duration = Duration::from_secs(2);

/// Two instances with a primary and a standby.
struct Replicated {
    primary: PostgresServer,
    standby: PostgresServer,
    app: Application,
    other: Instance,
    /// URLs of the metrics of both instances.
    metrics: [String; 2],
}

impl Replicated {
    async fn start() -> Self {
        let primary = PostgresServer::start();
        let standby = primary.standby();
        let ports = [free_port(), free_port()];
        let [listen, other_listen] = ports.map(|port| format!("127.0.0.1:{port}"));
        let setup = Setup::new().database(&primary.url()).set("database.replica_url", standby.url());
        let app = setup.set("metrics.listen", listen).start().await;
        let mut settings = app.settings().to_vec();
        settings.retain(|(key, _)| key != "metrics.listen");
        settings.push(("metrics.listen".to_owned(), other_listen));
        let other = Instance::start(app.folder(), &settings).await;
        Self { primary, standby, app, other, metrics: ports.map(|port| format!("http://127.0.0.1:{port}/metrics")) }
    }

    /// Value of a metric of one of the instances.
    async fn metric(&self, instance: usize, series: &str) -> f64 {
        let text = reqwest::get(&self.metrics[instance]).await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(series));
        let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    async fn reads(&self, instance: usize, outcome: &str) -> f64 {
        self.metric(instance, &format!("natter_replica_reads_total{{outcome=\"{outcome}\"}}")).await
    }

    /// Waits until both instances use the replica, or have left it out.
    async fn wait_until_used(&self, is_used: bool) {
        for instance in [0, 1] {
            wait_until(&format!("used by {instance}: {is_used}"), || async {
                self.metric(instance, "natter_dependency_up{dependency=\"replica\"}").await
                    == f64::from(u8::from(is_used))
            })
            .await;
        }
    }

    async fn run_on_standby(&self, sql: &str) {
        TestDatabase::of_a_server(self.standby.url()).run(sql).await;
    }
}

/// Id of the newest message in a conversation's history; empty if there is none.
async fn newest(member: &Member, chat: &str) -> String {
    let page = member.get(&format!("/r1/conversations/{chat}/messages?limit=1")).await.data();
    page["items"].as_array().unwrap().last().map_or("", |message| message["id"].as_str().unwrap()).to_owned()
}

/// Sends messages at one instance and reads the history at the other at once. Returns the slowest read.
async fn write_and_read(writer: &Member, reader: &Member, chat: &str, count: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for n in 0..count {
        let sent = writer.send_message(chat, &format!("{n}")).await;
        let started = Instant::now();
        assert_eq!(
            newest(reader, chat).await,
            sent["id"].as_str().unwrap(),
            "read {n} is older than the write before it"
        );
        slowest = slowest.max(started.elapsed());
    }
    slowest
}

#[tokio::test]
async fn reads_are_never_older_than_what_a_session_wrote_or_saw() {
    let replicated = Replicated::start().await;
    let Replicated { app, other, .. } = &replicated;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (anna_there, ben_there) = (anna.at(&other.url()), ben.at(&other.url()));
    // The standby replays a commit only when it is 30 ms old, so that a read which doesn't wait for it is always stale.
    for sql in ["ALTER SYSTEM SET recovery_min_apply_delay = '30ms'", "SELECT pg_reload_conf()"] {
        replicated.run_on_standby(sql).await;
    }
    replicated.wait_until_used(true).await;
    write_and_read(&anna, &anna_there, &chat, 100).await;
    let delayed = replicated.reads(1, "replica").await;
    assert!(delayed > 50.0, "{delayed} reads by the replica");
    for sql in ["ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()"] {
        replicated.run_on_standby(sql).await;
    }
    write_and_read(&anna, &anna_there, &chat, 500).await;
    // Members see what they have received by frame, at whichever instance.
    let mut socket = ben.connect().await;
    for n in 0..100 {
        let sent = anna_there.send_message(&chat, &format!("frame {n}")).await;
        let frame = socket.find("the message", |frame| frame.payload["message"]["id"] == sent["id"]).await;
        assert_eq!(frame.kind, "message.created");
        let (here, there, list) =
            tokio::join!(newest(&ben, &chat), newest(&ben_there, &chat), ben_there.get("/r1/conversations?limit=1"));
        let id = sent["id"].as_str().unwrap();
        assert_eq!([here.as_str(), there.as_str()], [id, id], "frame {n}");
        assert_eq!(list.data()["items"][0]["last_message"]["id"], sent["id"], "frame {n}");
    }
    assert_eq!(ben_there.history(&chat).await.len(), 700);
    let (used, others) = (replicated.reads(1, "replica").await, replicated.reads(1, "lagging").await);
    assert!(used > 500.0, "{used} reads by the replica, {others} by the primary because it was behind");
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("ok       replica: The replica follows the primary"), "{said}");
}

#[tokio::test]
async fn a_replica_that_lags_or_fails_is_left_out_and_used_again() {
    let mut replicated = Replicated::start().await;
    let (anna, ben) = (replicated.app.sign_up("Anna").await, replicated.app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let there = anna.at(&replicated.other.url());
    replicated.wait_until_used(true).await;

    // Replay is paused: the primary is read, after a bounded wait.
    replicated.run_on_standby("SELECT pg_wal_replay_pause()").await;
    let slowest = write_and_read(&anna, &there, &chat, 30).await;
    assert!(slowest < SLOWEST_READ, "{slowest:?}");
    replicated.wait_until_used(false).await;
    assert!(replicated.reads(1, "lagging").await >= 1.0);
    assert!(replicated.metric(1, "natter_replica_lag_bytes").await > 0.0);
    let left_out = replicated.reads(1, "left_out").await;
    write_and_read(&anna, &there, &chat, 10).await;
    assert!(replicated.reads(1, "left_out").await >= left_out + 10.0);
    let health = there.get("/health").await;
    assert_eq!((health.status, &health.body["status"]), (200, &json!("degraded")), "{health:?}");
    assert!(health.text().contains("database.replica_url isn't used: it lags"), "{health:?}");
    replicated.run_on_standby("SELECT pg_wal_replay_resume()").await;
    replicated.wait_until_used(true).await;
    let used = replicated.reads(1, "replica").await;
    write_and_read(&anna, &there, &chat, 10).await;
    assert!(replicated.reads(1, "replica").await > used);

    // Statements whose connections are terminated, as by a conflict with recovery, are repeated on the primary.
    let terminate = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    for _ in 0..10 {
        let (_, slowest) = tokio::join!(replicated.run_on_standby(terminate), write_and_read(&anna, &there, &chat, 5));
        assert!(slowest < SLOWEST_READ, "{slowest:?}");
    }
    replicated.wait_until_used(true).await;

    // The standby is killed: no request fails.
    replicated.standby.kill();
    let slowest = write_and_read(&anna, &there, &chat, 30).await;
    assert!(slowest < SLOWEST_READ, "{slowest:?}");
    replicated.wait_until_used(false).await;
    let (open, closed) = ("circuit breaker open", "circuit breaker closed");
    let said = |what: &str| {
        let lines = replicated.other.log();
        lines.iter().filter(|line| line.contains(what) && line.contains("replica")).count()
    };
    assert_eq!(said(open), said(closed) + 1, "{:?}", replicated.other.log());
    write_and_read(&anna, &there, &chat, 30).await;
    replicated.standby.start_again();
    replicated.wait_until_used(true).await;
    let used = replicated.reads(1, "replica").await;
    write_and_read(&anna, &there, &chat, 10).await;
    assert!(replicated.reads(1, "replica").await > used);

    // The standby is promoted, and written to: nothing of it is shown.
    let sent = anna.history(&chat).await.len();
    replicated.standby.promote();
    wait_until("the promoted server accepts writes", || async {
        TestDatabase::of_a_server(replicated.standby.url()).text("SELECT pg_is_in_recovery()::text").await == "false"
    })
    .await;
    replicated.run_on_standby("UPDATE messages SET content = 'of another history'").await;
    let shown = there.history(&chat).await;
    assert_eq!(shown.len(), sent);
    assert!(shown.iter().all(|message| message["content"] != "of another history"));
    write_and_read(&anna, &there, &chat, 10).await;
    replicated.wait_until_used(false).await;
    assert!(there.get("/health").await.text().contains("it isn't a standby, or was promoted"));
}

#[tokio::test]
async fn without_the_primary_no_stale_read_is_returned() {
    let mut replicated = Replicated::start().await;
    let anna = replicated.app.sign_up("Anna").await;
    let ben = replicated.app.sign_up("Ben").await;
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    replicated.wait_until_used(true).await;
    replicated.primary.stop();
    anna.get("/r1/conversations").await.refused(503, "unavailable");
    anna.get(&format!("/r1/conversations/{chat}/messages")).await.refused(503, "unavailable");
    replicated.primary.start_again();
    wait_until("the database is used again", || async { anna.get("/r1/conversations").await.status == 200 }).await;
    let there = anna.at(&replicated.other.url());
    wait_until("the other instance uses it as well", || async { there.get("/r1/conversations").await.status == 200 })
        .await;
    replicated.wait_until_used(true).await;
    write_and_read(&anna, &there, &chat, 10).await;
}

#[tokio::test]
async fn a_standby_of_another_primary_is_left_out() {
    let primary = PostgresServer::start();
    let mut stranger = PostgresServer::start();
    stranger.demote();
    let setup = Setup::new().database(&primary.url()).set("database.replica_url", stranger.url());
    let app = setup.start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    write_and_read(&anna, &anna, &chat, 10).await;
    let reason = "it isn't a standby of this primary";
    wait_until("the log has the reason", || async {
        app.instances[0].log().iter().any(|line| line.contains("circuit breaker open") && line.contains(reason))
    })
    .await;
    let output = app.command(&["doctor"]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("FAULT    replica: ") && said.contains(reason), "{said}");
}

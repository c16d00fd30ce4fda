//! Faults of the machine and its dependencies. Each is reported, and the server recovers from it
//! without a restart.

use std::{fs, time::Instant};

use support::{
    Behaviour, Engine, Member, PATIENCE, PostgresServer, RedisServer, Setup, Upstream, UpstreamKind, json, new_id,
    wait_until,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    process::Command,
};

use super::natter;

/// Returns the status and the reasons that `/health` reports.
async fn health(member: &Member) -> (String, String) {
    let health = member.get("/health").await;
    let reasons = health.body["reasons"].as_array().cloned().unwrap_or_default();
    let reasons: Vec<_> = reasons.iter().filter_map(|reason| reason.as_str()).collect();
    (health.body["status"].as_str().unwrap_or_default().to_owned(), reasons.join(" "))
}

async fn is_healthy(member: &Member) -> bool {
    health(member).await.0 == "ok"
}

/// Simulates a failover that leaves only the replica.
#[tokio::test]
async fn serves_reads_from_a_read_only_database_and_recovers() {
    if Engine::of_this_run() != Engine::Postgres {
        return;
    }
    let mut postgres = PostgresServer::start();
    let app = Setup::new().database(&postgres.url()).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    anna.send_message(&chat, "before").await;
    postgres.demote();
    wait_until("reads succeed", || async { anna.get("/r1/conversations").await.status == 200 }).await;
    let refused = anna.send_as(&chat, &new_id(), "into the replica").await;
    refused.refused(503, "unavailable");
    assert!(refused.body["message"].as_str().unwrap().contains("can only be read"), "{refused:?}");
    let refused = anna.patch("/r1/users/me", json!({ "display_name": "Anne" })).await;
    refused.refused(503, "unavailable");
    assert!(refused.body["message"].as_str().unwrap().contains("can only be read"), "{refused:?}");
    assert_eq!(anna.history(&chat).await.len(), 1);
    let (status, reasons) = health(&anna).await;
    assert!(status == "degraded" && reasons.contains("database can only be read"), "{status}: {reasons}");
    assert!(app.instances[0].log().iter().any(|line| line.contains("database is read-only")));
    postgres.promote();
    let client_id = new_id();
    wait_until("messages are accepted again", || async {
        matches!(anna.send_as(&chat, &client_id, "after").await.status, 200 | 201)
    })
    .await;
    wait_until("it is well again", || is_healthy(&anna)).await;
    assert_eq!(anna.history(&chat).await.len(), 2);
}

/// Sends a request over an existing connection, because no new one can be opened.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("\"storage\":{") {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn serves_open_connections_without_free_file_descriptors() {
    let app = Setup::new().start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let (mut writing, mut reading) = (anna.connect().await, ben.connect().await);
    writing.send_message(&chat, "before").await;
    let mut own = TcpStream::connect(("127.0.0.1", app.instances[0].port())).await.unwrap();
    assert!(ask(&mut own, "/health").await.contains("\"status\":\"ok\""));
    app.instances[0].limit_files(8);
    let mut crowd = Vec::new();
    for _ in 0..40 {
        // The kernel accepts these connections, but the server can't.
        crowd.push(TcpStream::connect(("127.0.0.1", app.instances[0].port())).await.unwrap());
    }
    let mut told = String::new();
    let deadline = Instant::now() + PATIENCE;
    while !told.contains("degraded") && Instant::now() < deadline {
        told = ask(&mut own, "/health").await;
    }
    assert!(told.contains("\"status\":\"degraded\"") && told.contains("open-file limit is nearly reached"), "{told}");
    // Messages on existing connections are still delivered and stored.
    writing.send_message(&chat, "while nobody comes in").await;
    reading.expect_in("message.created", &chat).await;
    drop(crowd);
    let carl = app.sign_up("Carl").await;
    wait_until("the server is healthy again", || async { is_healthy(&carl).await }).await;
    assert_eq!(anna.history(&chat).await.len(), 2);
}

#[tokio::test]
async fn a_clock_jump_keeps_connections_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    let set = |seconds: &str| {
        // Replaces the file atomically, because it may be read at any moment.
        fs::write(folder.path().join("new"), seconds).unwrap();
        fs::rename(folder.path().join("new"), &clock).unwrap();
    };
    set("+0");
    let app = Setup::new().on(Engine::Sqlite).set("clock", clock.display()).start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let mut sent = 0;
    for (offset, word) in [("+600", "forward"), ("-600", "back")] {
        set(offset);
        let said = format!("system clock was set {word}");
        wait_until("the clock jump is logged", || async {
            app.instances[0].log().iter().any(|line| line.contains(&said))
        })
        .await;
        sent += 1;
        anna.send_message(&chat, word).await;
        socket.expect_in("message.created", &chat).await;
    }
    let checks = admin.get("/r1/admin/checks").await.data();
    let told = checks["checks"].as_array().unwrap().iter().find(|check| check["about"] == "clock").unwrap();
    assert!(told["verdict"] == "warning" && told["says"].as_str().unwrap().contains("back by 1"), "{told}");
    // The order of the messages follows the log and not the clock.
    let history = anna.history(&chat).await;
    let seqs: Vec<_> = history.iter().map(|message| message["seq"].as_i64()).collect();
    assert!(history.len() == sent && seqs.is_sorted() && history[0]["content"] == "forward", "{history:#?}");
    // The new job isn't delayed by the twenty minutes by which the clock was changed.
    let carl = app.sign_up("Carl").await;
    app.outbox(&carl.email, "verify-email").await;
}

/// True if this machine allows private mounts.
async fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).output().await;
    tried.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_stalled_dns_resolver_delays_only_requests_that_need_it() {
    if !may_mount().await {
        eprintln!("mounting is not permitted: skipped");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let resolver = folder.path().join("resolv.conf");
    // DNS server that receives every query and answers none.
    let silent = UdpSocket::bind("127.0.0.99:53").await.unwrap();
    fs::write(&resolver, "nameserver 127.0.0.99\noptions timeout:30 attempts:3\n").unwrap();
    let app = Setup::new()
        .set("resolver", resolver.display())
        .set("ai.providers.far.kind", "openai")
        .set("ai.providers.far.base_url", "http://provider.natter.test/v1")
        .set("ai.providers.far.keys", "key")
        .set("ai.providers.far.models", "small")
        .set("mail.smtp_url", "smtp://mail.natter.test")
        .start()
        .await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let program = anna.program(&["gateway"]).await;
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    let asking = tokio::spawn(async move { program.post("/v1/chat/completions", question).await });
    let mut heard = [0; 512];
    silent.recv_from(&mut heard).await.unwrap();
    for n in 0..20 {
        anna.send_message(&chat, &n.to_string()).await;
    }
    assert!(!asking.is_finished(), "the request ended before the name was resolved");
    assert_ne!(health(&anna).await.0, "down");
    asking.abort();
}

/// A Redis that is out of memory still answers, but it rejects writes.
#[tokio::test]
async fn a_redis_out_of_memory_does_not_interrupt_service() {
    if Engine::of_this_run() != Engine::Postgres {
        return;
    }
    let app = Setup::new().set("rate_limit.enabled", "true").set("rate_limit.flood_per_second", 0).start().await;
    let redis: &RedisServer = app.redis.as_ref().unwrap();
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    let mut plain = TcpStream::connect(("127.0.0.1", redis.port())).await.unwrap();
    plain.write_all(b"CONFIG SET maxmemory 1\r\n").await.unwrap();
    let mut answer = [0; 5];
    plain.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+OK\r\n");
    for n in 0..5 {
        anna.send_message(&chat, &n.to_string()).await;
        socket.expect_in("message.created", &chat).await;
    }
    ben.connect().await;
    assert_ne!(health(&anna).await.0, "down");
    plain.write_all(b"CONFIG SET maxmemory 0\r\n").await.unwrap();
    plain.read_exact(&mut answer).await.unwrap();
    wait_until("the server is healthy again", || is_healthy(&anna)).await;
}

/// Creates a certificate that expired five days ago. Returns the authority, the certificate and the
/// server's key as PEM.
async fn expired() -> (String, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let script = "set -e; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $new -keyout authority.key -out authority.pem -subj /CN=authority -days 10
        openssl req $new -keyout server.key -out request.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1
        faketime -f -10d openssl x509 -req -in request.pem -CA authority.pem -CAkey authority.key -CAcreateserial -days 5 -copy_extensions copy -out server.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().await.unwrap();
    assert!(made.status.success(), "openssl and faketime: {}", String::from_utf8_lossy(&made.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("authority.pem"), read("server.pem"), read("server.key"))
}

#[tokio::test]
async fn names_an_expired_database_certificate_at_start_up_and_in_the_doctor() {
    if Engine::of_this_run() != Engine::Postgres {
        return;
    }
    let (authority, certificate, key) = expired().await;
    let mut postgres = PostgresServer::start();
    postgres.certify(&certificate, &key);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    fs::write(&file, authority).unwrap();
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", postgres.url(), file.display());
    let data = folder.path().display().to_string();
    let settings = [("database.url", url.as_str()), ("server.data_dir", &data)];
    let (is_well, said) = natter(folder.path(), &settings, &["doctor"]).await;
    assert!(!is_well && said.contains("FAULT    database: "), "{said}");
    assert!(said.contains("The certificate of the database has expired. Renew it"), "{said}");
    let (is_well, said) = natter(folder.path(), &settings, &["serve"]).await;
    assert!(!is_well && said.contains("The certificate of the database has expired"), "{said}");
}

/// A provider that doesn't respond affects only requests to it. When it responds again, that is
/// reported.
#[tokio::test]
async fn reports_an_unavailable_provider_and_uses_it_again() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let anna = app.sign_up("Anna").await;
    let program = anna.program(&["gateway"]).await;
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    upstream.always(Behaviour::Refuse(500, None));
    wait_until("the provider outage is reported", || async {
        program.post("/v1/chat/completions", question.clone()).await;
        health(&anna).await.1.contains("No AI provider is available")
    })
    .await;
    upstream.always(Behaviour::answer("Hello."));
    wait_until("the provider is used again", || async {
        program.post("/v1/chat/completions", question.clone()).await.status == 200 && is_healthy(&anna).await
    })
    .await;
}

//! `/metrics`: content, privacy and a bounded number of series.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use support::{Application, Member, Setup, Upstream, UpstreamKind, certified, free_port, json, new_id, wait_until};

const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboards/natter.json");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yaml");

/// Starts an application with metrics; also returns the URL of the metrics.
async fn watched(setup: Setup) -> (Application, String) {
    let port = free_port();
    let app = setup.set("metrics.listen", format!("127.0.0.1:{port}")).start().await;
    (app, format!("http://127.0.0.1:{port}/metrics"))
}

async fn read(url: &str) -> String {
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

/// Returns the value of the only series that starts with this prefix.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// Starts a server with a certificate of an untrusted authority. Returns its URL; it runs until the
/// process is dropped.
async fn https_server(folder: &Path) -> (String, tokio::process::Child) {
    let [_, certificate, key] = certified(folder).await;
    let port = free_port();
    let mut server = tokio::process::Command::new("openssl");
    server.args(["s_server", "-quiet", "-www", "-accept", &port.to_string()]);
    server.arg("-cert").arg(&certificate).arg("-key").arg(&key);
    let server = server.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    wait_until("the server listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    (format!("https://127.0.0.1:{port}"), server)
}

/// Checks the text with Prometheus' `promtool`.
fn check(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed; scripts/test installs it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Signs up a user and performs some of every kind of activity.
async fn live(app: &Application) -> Member {
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let chat = anna.open_single(&ben).await;
    let mut socket = ben.connect().await;
    for n in 1..=3 {
        anna.send_message(&chat, &n.to_string()).await;
        socket.expect_in("message.created", &chat).await;
    }
    socket.send("ping", json!({})).await;
    socket.expect("pong").await;
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    let program = anna.program(&["gateway"]).await;
    assert_eq!(program.post("/v1/chat/completions", question).await.status, 200);
    // Ending a session closes its socket.
    ben.post("/r1/auth/logout", json!({})).await.data();
    socket.closed().await;
    anna
}

/// Returns the names of the metrics in a text, without the suffixes of their series.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    let name = |word: &str| {
        let endings = ["_bucket", "_count", "_sum", "_total", "_info"];
        endings.into_iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word).to_owned()
    };
    words.filter(|word| word.starts_with("natter_")).map(name).collect()
}

#[tokio::test]
async fn exports_every_metric_used_by_dashboard_and_alerts() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let backups = tempfile::tempdir().unwrap();
    let tls = tempfile::tempdir().unwrap();
    let (public_url, _proxy) = https_server(tls.path()).await;
    // No mail server listens at this address, so sending emails fails for good.
    let setup = Setup::new()
        .provider(&upstream)
        .set("mail.smtp_url", "smtp://127.0.0.1:9")
        .set("jobs.max_attempts", 1)
        .set("rate_limit.enabled", "true")
        .set("rate_limit.flood_per_second", 0)
        .set("auth.failed_signins", 1_000)
        .set("rate_limit.auth.limit", 10)
        .set("backup.every_hours", 24)
        .set("backup.url", backups.path().display())
        .set("server.public_url", &public_url);
    let (app, url) = watched(setup).await;
    live(&app).await;
    let signin = json!({ "email": "nobody@example.test", "password": "Wrong-Horse-9-Battery" });
    while app.anonymous().post("/r1/auth/signin", signin.clone()).await.status != 429 {}
    let asked = "natter_dependency_answer_seconds_count{dependency=\"database\"} ";
    wait_until("the database is asked", || async { read(&url).await.contains(asked) }).await;
    let dead = "natter_jobs_dead{kind=\"mail\"}";
    wait_until("a dead letter", || async { value(&read(&url).await, dead) >= 1.0 }).await;
    let end = "natter_certificate_expiration_timestamp_seconds ";
    wait_until("the certificate is read", || async { read(&url).await.contains(end) }).await;

    let text = read(&url).await;
    let wanted: BTreeSet<String> = [DASHBOARD, ALERTS].into_iter().flat_map(names).collect();
    assert!(wanted.len() > 30, "{wanted:?}");
    let there = names(&text);
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(value(&text, "natter_rate_limited_total{group=\"auth\"}") >= 1.0);
    assert!(value(&text, "natter_frames_received_total{type=\"ping\"}") >= 1.0);
    assert!(value(&text, "natter_frames_delivered_total{type=\"message.created\"}") >= 3.0);
    assert!(value(&text, "natter_ai_requests_total{provider=\"fake\",model=\"small\",outcome=\"ok\"}") >= 1.0);
    assert!(value(&text, asked) >= 1.0);
    // The certificate is valid for five days, and of an authority that this machine doesn't trust.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let remaining_days = (value(&text, end) - now) / 86_400.0;
    assert!((4.9..=5.0).contains(&remaining_days), "{remaining_days} days remain");
    assert!(value(&text, "natter_allocator_bytes{state=\"allocated\"}") > 1e6);
    assert!(text.contains(
        "natter_http_requests_total{method=\"POST\",route=\"/r1/conversations/{id}/messages\",status=\"201\"} 3"
    ));
    check(&text);
}

#[tokio::test]
async fn series_exist_from_the_start_under_standard_names() {
    let (app, url) = watched(Setup::new()).await;
    let text = read(&url).await;
    for series in [
        "natter_connections{transport=\"websocket\"} 0",
        "natter_connections{transport=\"sse\"} 0",
        "natter_jobs_dead{kind=\"mail\"} 0",
        "natter_jobs_waiting{kind=\"export\"} 0",
        "natter_rate_limited_total{group=\"auth\"} 0",
        "natter_violations_total{kind=\"probe\"} 0",
        "natter_usage_lost_rows_total 0",
        "natter_database_writable 1",
        "natter_schema_newer_steps 0",
        "# TYPE natter_usage_lost_rows_total counter",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(text.lines().any(|line| line == series), "no {series} in\n{text}");
    }
    assert!(value(&text, "process_resident_memory_bytes ") > 1e6);
    assert!(value(&text, "process_virtual_memory_bytes ") > value(&text, "process_resident_memory_bytes "));
    assert!(value(&text, "process_open_fds ") < value(&text, "process_max_fds "));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let age = now - value(&text, "process_start_time_seconds ");
    assert!((0.0..600.0).contains(&age), "started {age} s ago");
    // Neither backups nor a public URL are configured.
    assert!(!text.contains("natter_backup_") && !text.contains("natter_certificate_"), "{text}");
    drop(app);
    check(&text);
}

#[tokio::test]
async fn requests_neither_grow_the_metrics_nor_appear_in_them() {
    let (app, url) = watched(Setup::new()).await;
    let anna = live_quietly(&app).await;
    let before = read(&url).await;
    for n in 0..300 {
        let id = new_id();
        for path in [format!("/r1/conversations/{id}"), format!("/{id}"), format!("/r1/{id}/{n}"), format!("/v1/{id}")]
        {
            anna.get(&path).await;
        }
        let method = reqwest::Method::from_bytes(format!("M{n}").as_bytes()).unwrap();
        anna.send(anna.request(method, "/r1/users/me")).await;
    }
    let mut socket = anna.connect().await;
    for n in 0..50 {
        socket.send(&format!("made.up.{n}"), json!({})).await;
        socket.expect("error").await;
    }
    let after = read(&url).await;
    let count = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(count(&after) < count(&before) + 150, "{} series grew to {}", count(&before), count(&after));
    for secret in [&anna.id, &anna.email, "127.0.0.1", "made.up", "M299"] {
        assert!(!after.contains(secret), "{secret} appears in\n{after}");
    }
}

async fn live_quietly(app: &Application) -> Member {
    let anna = app.sign_up("Anna").await;
    anna.get("/r1/users/me").await.data();
    anna
}

#[tokio::test]
async fn serves_metrics_on_a_private_address_and_survives_a_taken_port() {
    let (mut app, url) = watched(Setup::new()).await;
    assert!(!app.anonymous().get("/metrics").await.text().contains("natter_"));
    assert_eq!(reqwest::get(url.replace("/metrics", "/health")).await.unwrap().status(), 404);
    let connections = "natter_connections{transport=\"websocket\"}";
    let anna = app.sign_up("Anna").await;
    let socket = anna.connect().await;
    assert_eq!(value(&read(&url).await, connections), 1.0);
    drop(socket);
    wait_until("the connection's end", || async { value(&read(&url).await, connections) == 0.0 }).await;
    if app.redis.is_some() {
        app.add_instance().await;
        let said = |line: &String| line.contains("failed to serve metrics");
        assert!(app.instances[1].log().iter().any(said));
        app.anonymous().at(&app.instances[1].url()).get("/health").await;
    }
}

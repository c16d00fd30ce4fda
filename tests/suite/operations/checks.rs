//! Health checks of an installation: for administrators, and as reasons in `/health`.

use std::{collections::BTreeSet, time::Instant};

use futures_util::future::join_all;
use support::{Application, Member, Setup, Value, json, wait_until};

/// Returns the results of the checks about this subject.
async fn about(admin: &Member, about: &str) -> Vec<(String, String)> {
    let checks = admin.get("/r1/admin/checks").await.data();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let checks = checks["checks"].as_array().unwrap().iter().filter(|check| check["about"] == about);
    checks.map(|check| (text(check, "verdict"), text(check, "says"))).collect()
}

#[tokio::test]
async fn the_console_shows_the_doctors_checks() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let told = admin.get("/r1/admin/checks").await.data();
    let own = admin.get("/r1/admin/instances").await.data();
    assert!(told["checked_at"].is_string());
    assert!(own.as_array().unwrap().is_empty() || told["instance_id"] == own[0]["id"]);
    let abouts: Vec<&str> =
        told["checks"].as_array().unwrap().iter().map(|check| check["about"].as_str().unwrap()).collect();
    for about in ["configuration", "disk", "key", "database", "clock", "search", "mail", "ai", "files", "jobs"] {
        assert!(abouts.contains(&about), "{about} is not in {abouts:?}");
    }
    assert_eq!(abouts.contains(&"redis"), app.redis.is_some());
    let faults: Vec<_> =
        told["checks"].as_array().unwrap().iter().filter(|check| check["verdict"] == "fault").collect();
    assert!(faults.is_empty(), "{faults:?}");
    // Results are cached for some seconds.
    assert_eq!(admin.get("/r1/admin/checks").await.data()["checked_at"], told["checked_at"]);
    anna.get("/r1/admin/checks").await.refused(403, "forbidden");
}

#[tokio::test]
async fn failed_checks_name_the_fix_and_reveal_no_secrets() {
    let setup = Setup::new()
        .set("mail.smtp_url", "smtp://natter:hunter22@127.0.0.1:9")
        .set("jobs.max_attempts", 1)
        .set("ai.providers.fake.kind", "openai")
        .set("ai.providers.fake.base_url", "http://127.0.0.1:9/v1")
        .set("ai.providers.fake.keys", "hunter22")
        .set("ai.providers.fake.models", "small");
    let app = setup.start().await;
    let admin = app.admin().await;
    app.sign_up("Anna").await;
    wait_until("a mail is a dead letter", || async {
        let dead = admin.get("/r1/admin/jobs?status=dead").await.data();
        dead["total"].as_u64() > Some(0)
    })
    .await;
    let mail = about(&admin, "mail").await;
    assert!(mail.len() == 1 && mail[0].0 == "fault" && mail[0].1.contains("Correct mail.smtp_url"), "{mail:?}");
    let ai = about(&admin, "ai").await;
    assert!(ai.iter().any(|(verdict, says)| verdict == "fault" && says.contains("Check ai.providers.fake")), "{ai:?}");
    let jobs = about(&admin, "jobs").await;
    assert!(jobs[0].0 == "warning" && jobs[0].1.contains("failed permanently"), "{jobs:?}");
    assert!(!admin.get("/r1/admin/checks").await.text().contains("hunter22"));
}

#[tokio::test]
async fn many_health_requests_contact_the_database_once_per_second() {
    let app = Application::start().await;
    let anonymous = app.anonymous();
    let begun = Instant::now();
    let mut latencies = BTreeSet::new();
    for _ in 0..20 {
        let answers = join_all((0..10).map(|_| anonymous.get("/health"))).await;
        latencies.extend(answers.iter().map(|answer| answer.body["database"]["latency_ms"].to_string()));
    }
    let most = begun.elapsed().as_secs() + 1;
    assert!(latencies.len() as u64 <= most, "{latencies:?} within {most} s");
}

#[tokio::test]
async fn profiling_requires_a_build_with_the_feature() {
    let app = Application::start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    anna.get("/r1/admin/profile").await.refused(403, "forbidden");
    admin.get("/r1/admin/profile?seconds=31").await.names_field("seconds");
    let refused = admin.get("/r1/admin/profile?seconds=1").await;
    refused.refused(404, "not_found");
    assert!(refused.body["message"].as_str().unwrap().contains("feature profiling"), "{refused:?}");
    assert_eq!(admin.get("/r1/admin/audit_log?action=admin.profiled").await.data()["total"], json!(0));
}

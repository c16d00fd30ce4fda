//! Failing jobs: they are retried, and then kept as dead letters for administrators.

use support::{Member, Setup, Value, json, new_id, wait_until};

use crate::endpoints::{Args, SampleCall, plain, sample};

/// Returns the jobs that an administrator sees with this query.
async fn jobs(admin: &Member, query: &str) -> Vec<Value> {
    let listed = admin.get(&format!("/r1/admin/jobs?{query}")).await.data();
    listed["items"].as_array().unwrap().clone()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![
        plain(&["ListJobs", "ListJobKinds"]),
        sample(&["RequeueJobs", "DeleteJobs"], async |_| Args::body(json!({}))),
        // In this application, no job fails.
        sample(&["RequeueJob", "DeleteJob"], async |_| Args::id(new_id())),
    ]
}

#[tokio::test]
async fn jobs_that_fail_too_often_are_dead_letters_to_requeue_or_delete() {
    // No server listens at this address.
    let setup = Setup::new().set("mail.smtp_url", "smtp://127.0.0.1:9");
    let app = setup.set("jobs.backoff", "1").set("jobs.max_attempts", "2").start().await;
    let admin = app.admin().await;
    app.sign_up("Anna").await;
    wait_until("the mail is a dead letter", || async { !jobs(&admin, "status=dead&kind=mail").await.is_empty() }).await;
    let dead = jobs(&admin, "status=dead&kind=mail").await.remove(0);
    assert_eq!((&dead["status"], &dead["attempts"], &dead["run_at"]), (&json!("dead"), &json!(2), &json!(null)));
    assert!(dead["error"].as_str().is_some_and(|error| !error.is_empty()), "{dead}");
    assert!(jobs(&admin, "status=dead&kind=answer").await.is_empty());
    // Shows the recipient and the kind of the email, but not its content.
    assert!(dead["about"]["letter"].is_string(), "{dead}");
    assert!(!dead.to_string().contains('@'), "{dead}");
    let kinds = admin.get("/r1/admin/job_kinds").await.data();
    let mail = kinds.as_array().unwrap().iter().find(|kind| kind["kind"] == "mail").unwrap();
    assert!(mail["dead"].as_i64().is_some_and(|dead| dead >= 1), "{kinds}");
    // A job that is requeued has the full number of attempts again.
    let path = format!("/r1/admin/jobs/{}", dead["id"].as_str().unwrap());
    let back = admin.post(&format!("{path}/requeue"), json!({})).await.data();
    assert_eq!((&back["status"], &back["attempts"]), (&json!("queued"), &json!(0)));
    admin.post(&format!("{path}/requeue"), json!({})).await.refused(409, "wrong_state");
    admin.delete(&path).await.refused(409, "wrong_state");
    let is_dead_again = || async { jobs(&admin, "status=dead").await.iter().any(|job| job["id"] == dead["id"]) };
    wait_until("the requeued job is a dead letter again", is_dead_again).await;
    let requeued = admin.post("/r1/admin/jobs/requeue", json!({ "kind": "mail" })).await.data()["requeued"].clone();
    assert!(requeued.as_u64().is_some_and(|count| count >= 1), "{requeued}");
    wait_until("the job is a dead letter once more", is_dead_again).await;
    admin.delete(&path).await.data();
    admin.delete(&path).await.refused(404, "not_found");

    // Requeues all jobs of a kind, and none of another kind.
    app.sign_up("Ben").await;
    wait_until("Ben's mail is a dead letter", || async { !jobs(&admin, "status=dead&kind=mail").await.is_empty() })
        .await;
    let letters = jobs(&admin, "status=dead&kind=mail").await;
    let delete_all = async |kind: &str| {
        let request = admin.request(reqwest::Method::DELETE, "/r1/admin/jobs").json(&json!({ "kind": kind }));
        admin.send(request).await.data()["deleted"].as_u64().unwrap()
    };
    assert_eq!(delete_all("answer").await, 0);
    assert!(delete_all("mail").await >= letters.len() as u64);
    let left = jobs(&admin, "status=dead").await;
    assert!(!left.iter().any(|job| letters.iter().any(|gone| gone["id"] == job["id"])), "{left:?}");
    let log = admin.get("/r1/admin/audit_log").await.data().to_string();
    assert!(log.contains("admin.job_requeued") && log.contains("admin.job_deleted"), "{log}");
}

#[tokio::test]
async fn failed_jobs_wait_before_their_retry() {
    let setup = Setup::new().set("mail.smtp_url", "smtp://127.0.0.1:9").set("jobs.backoff", "3600,60");
    let app = setup.start().await;
    let admin = app.admin().await;
    app.sign_up("Anna").await;
    let failed = "SELECT count(*) FROM jobs WHERE kind = 'mail' AND status = 'waiting' AND error IS NOT NULL";
    wait_until("the mail failed once", || async { app.database.number(failed).await > 0 }).await;
    let queued = jobs(&admin, "status=queued&kind=mail").await;
    assert!(queued.iter().any(|job| job["attempts"] == 1 && job["run_at"].is_string()), "{queued:?}");
}

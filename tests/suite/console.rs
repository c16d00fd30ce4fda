//! Admin console: figures and incidents.

use std::time::Duration;

use appcore::{Clock, Timestamp};
use support::{Behaviour, Member, Setup, Upstream, UpstreamKind, Value, json, wait_until};

use crate::endpoints::{SampleCall, plain};

const SILENT: Duration = Duration::from_secs(15);

async fn series(admin: &Member, range: &str, name: &str) -> Vec<Option<i64>> {
    let figures = admin.get(&format!("/r1/admin/figures?range={range}")).await.data();
    let series = figures["series"].as_array().unwrap().iter().find(|series| series["name"] == name).unwrap().clone();
    series["values"].as_array().unwrap().iter().map(Value::as_i64).collect()
}

async fn sum(admin: &Member, range: &str, name: &str) -> i64 {
    series(admin, range, name).await.into_iter().flatten().sum()
}

async fn incident(admin: &Member, kind: &str) -> Option<Value> {
    let figures = admin.get("/r1/admin/figures").await.data();
    figures["incidents"].as_array().unwrap().iter().find(|incident| incident["kind"] == kind).cloned()
}

async fn instances(admin: &Member) -> Vec<Value> {
    admin.get("/r1/admin/instances").await.data().as_array().unwrap().clone()
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    vec![plain(&["ReadFigures", "ListInstances", "RunChecks", "TakeProfile"])]
}

#[tokio::test]
async fn reports_figures_for_an_hour_a_day_and_thirty_days() {
    let app = Setup::new().start().await;
    let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
    let chat = anna.open_single(&ben).await;
    for n in 0..7 {
        anna.send_message(&chat, &format!("{n}")).await;
    }
    let _socket = ben.connect().await;
    anna.send_message(&chat, "delivered").await;
    wait_until("the messages are counted", || async { sum(&admin, "1h", "messages").await == 8 }).await;
    for (range, count, step) in [("1h", 60, 60), ("24h", 96, 900), ("30d", 30, 86_400)] {
        let figures = admin.get(&format!("/r1/admin/figures?range={range}")).await.data();
        assert_eq!((&figures["range"], &figures["step_seconds"]), (&json!(range), &json!(step)));
        assert_eq!(figures["series"].as_array().unwrap().len(), 10);
        assert_eq!(series(&admin, range, "messages").await.len(), count);
        assert_eq!(sum(&admin, range, "messages").await, 8, "{range}");
        assert!(sum(&admin, range, "requests").await > 0, "{range}");
        assert_eq!(series(&admin, range, "people").await.last(), Some(&Some(3)), "{range}");
        // There was no data earlier.
        assert_eq!(series(&admin, range, "messages").await.first(), Some(&None), "{range}");
    }
    wait_until("the connection is counted", || async { sum(&admin, "1h", "connections").await >= 1 }).await;
    let now = admin.get("/r1/admin/figures").await.data();
    assert_eq!((&now["range"], &now["now"]["people"], &now["incidents"]), (&json!("1h"), &json!(3), &json!([])));
    let ban = json!({ "address": "203.0.113.0/24", "seconds": 3_600, "reason": "Abuse" });
    admin.post("/r1/admin/bans", ban).await.data_with(201);
    let now = admin.get("/r1/admin/figures").await.data()["now"].clone();
    assert_eq!((&now["people_of_day"], &now["people_of_month"]), (&json!(3), &json!(3)));
    assert_eq!((&now["guests"], &now["bans"]), (&json!(0), &json!(1)));
    wait_until("the delivery time is reported", || async {
        anna.send_message(&chat, "delivered, in this minute").await;
        !instances(&admin).await[0]["delivery_ms"].is_null()
    })
    .await;
    let own = instances(&admin).await;
    assert_eq!((own.len(), &own[0]["is_own"], &own[0]["role"]), (1, &json!(true), &json!("all")));
    assert!(own[0]["database_ms"].as_i64().is_some_and(|millis| millis < 1_000), "{own:?}");
    assert_eq!(own[0]["redis_ms"].is_null(), own[0]["redis"].is_null(), "{own:?}");
    assert!(own[0]["memory"].as_u64().is_some_and(|bytes| bytes > 10 << 20), "{own:?}");
    admin.get("/r1/admin/figures?range=2h").await.names_field("range");
    for path in ["/r1/admin/figures", "/r1/admin/instances"] {
        anna.get(path).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn shows_dead_letters_as_an_incident_until_resolved() {
    // No server listens at this address.
    let setup = Setup::new().set("mail.smtp_url", "smtp://127.0.0.1:9");
    let app = setup.set("jobs.backoff", "1").set("jobs.max_attempts", "1").start().await;
    let admin = app.admin().await;
    app.sign_up("Anna").await;
    let incident = || incident(&admin, "dead_letters");
    wait_until("the incident is reported", || async { incident().await.is_some() }).await;
    assert_eq!(incident().await.unwrap()["ended_at"], json!(null));
    let dead = admin.get("/r1/admin/jobs?status=dead").await.data();
    for job in dead["items"].as_array().unwrap() {
        admin.delete(&format!("/r1/admin/jobs/{}", job["id"].as_str().unwrap())).await.data();
    }
    wait_until("the incident is over", || async {
        incident().await.is_some_and(|incident| !incident["ended_at"].is_null())
    })
    .await;
    let over = incident().await.unwrap();
    assert!(over["impact"].as_i64().is_some_and(|felt| felt >= 1) && over["people"].is_null(), "{over}");
}

#[tokio::test]
async fn shows_failed_questions_and_affected_users_in_a_model_incident() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let program = anna.program(&["gateway"]).await;
    let ask = || async {
        let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
        program.post("/v1/chat/completions", question).await.status
    };
    upstream.always(Behaviour::Refuse(500, None));
    wait_until("the AI incident is reported", || async {
        ask().await;
        incident(&admin, "ai").await.is_some()
    })
    .await;
    let told = incident(&admin, "ai").await.unwrap();
    assert!(told["impact"].as_i64().is_some_and(|felt| felt >= 1) && told["people"].is_null(), "{told}");
    upstream.always(Behaviour::answer("Hello."));
    wait_until("the AI incident is over", || async {
        ask().await;
        incident(&admin, "ai").await.is_some_and(|incident| !incident["ended_at"].is_null())
    })
    .await;
    let over = incident(&admin, "ai").await.unwrap();
    assert!(over["impact"].as_i64() >= told["impact"].as_i64(), "{over}");
    assert_eq!(over["people"], 1, "{over}");
}

#[tokio::test]
async fn shows_a_provider_in_backoff_as_an_incident() {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let program = anna.program(&["gateway"]).await;
    upstream.always(Behaviour::Refuse(429, Some(3_600)));
    let question = json!({ "model": "small", "messages": [{ "role": "user", "content": "Hello?" }] });
    assert_eq!(program.post("/v1/chat/completions", question).await.status, 429);
    wait_until("the provider incident is reported", || async { incident(&admin, "provider").await.is_some() }).await;
    let told = incident(&admin, "provider").await.unwrap();
    assert_eq!((&told["detail"], &told["people"]), (&json!("fake"), &json!(null)));
    assert!(told["impact"].as_i64().is_some_and(|felt| felt >= 1), "{told}");
    admin.post("/r1/admin/providers/fake/keys/0/revive", json!({})).await.data();
    wait_until("the provider incident is over", || async {
        incident(&admin, "provider").await.is_some_and(|incident| !incident["ended_at"].is_null())
    })
    .await;
    assert!(incident(&admin, "ai").await.is_none(), "no AI incident");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn aggregates_figures_across_instances_and_reports_a_killed_one() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
        let _sockets = (anna.connect().await, ben.at(&app.instances[1].url()).connect().await);
        wait_until("both are listed", || async { instances(&admin).await.len() == 2 }).await;
        wait_until("both connections are counted", || async {
            series(&admin, "1h", "connections").await.iter().flatten().any(|count| *count == 2)
        })
        .await;
        // The figures agree with the counters.
        wait_until("both connections are reported", || async {
            instances(&admin).await.iter().all(|instance| instance["connections"] == 1)
        })
        .await;
        app.instances[1].kill().await;
        let admin = admin.at(&app.instances[0].url());
        let told = || async { incident(&admin, "instance").await.is_some() };
        // True if the instance has not reported for longer than the maximum delay between reports.
        let is_silent = |instance: &Value| {
            Timestamp::parse(instance["seen_at"].as_str().unwrap()).unwrap() < Clock::system().now().minus(SILENT)
        };
        wait_until("the killed instance is reported as silent", || async {
            instances(&admin).await.iter().any(is_silent) || told().await
        })
        .await;
        wait_until("it is told", told).await;
        assert_eq!(instances(&admin).await.len(), 1);
        // The clients that were connected to it had to reconnect.
        assert_eq!(incident(&admin, "instance").await.unwrap()["impact"], 1);
    }

    #[tokio::test]
    async fn counts_late_deliveries_of_a_redis_outage_on_all_instances() {
        let mut app = Setup::new().instances(2).start().await;
        let (anna, ben, admin) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.admin().await);
        let chat = anna.open_single(&ben).await;
        let ben = ben.at(&app.instances[1].url());
        // The number of affected users is taken from the figures.
        wait_until("affected users are counted", || async {
            series(&admin, "1h", "people").await.iter().any(Option::is_some)
        })
        .await;
        app.redis.as_mut().unwrap().stop().await;
        wait_until("both notice", || async {
            anna.send_message(&chat, "meanwhile").await;
            ben.send_message(&chat, "meanwhile").await;
            incident(&admin, "redis").await.is_some_and(|incident| incident["instances"] == 2)
        })
        .await;
        for _ in 0..3 {
            anna.send_message(&chat, "late").await;
            ben.send_message(&chat, "late").await;
        }
        app.redis.as_mut().unwrap().start_again().await;
        wait_until("the Redis incident is over", || async {
            incident(&admin, "redis").await.is_some_and(|incident| !incident["ended_at"].is_null())
        })
        .await;
        let over = incident(&admin, "redis").await.unwrap();
        assert!(over["impact"].as_i64().is_some_and(|felt| felt >= 6), "{over}");
        // The last figures may be from before the users connected.
        assert!(over["people"].is_i64(), "{over}");
    }
}

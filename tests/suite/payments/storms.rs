//! Bursts of events on several instances, some of which are killed meanwhile.

use futures_util::future::join_all;
use support::{Application, Member, Setup, json, new_id, wait_until};
use tokio::task::JoinSet;

use super::{
    adds_up, begun, credits,
    fake::{ALL, Event, Fake, Kind, Outcome},
    payment, status,
};

const MANY: usize = 8;

/// Starts payments; returns their ids, each with the event that it succeeded.
async fn begun_many(app: &Application, payer: &Member, kind: Kind, count: usize) -> Vec<(String, Event)> {
    let ids = join_all((0..count).map(|_| begun(app, payer, kind.name()))).await;
    let paid = |id: String| (id.clone(), kind.event(&id, Outcome::Paid, kind.price().1, 1));
    ids.into_iter().map(paid).collect()
}

async fn are_all_paid(app: &Application, payer: &Member, payments: &[(String, Event)]) {
    for (id, _) in payments {
        assert_eq!(status(payer, id).await, "paid");
    }
    assert_eq!(credits(payer).await, 500 * i64::try_from(payments.len()).unwrap());
    adds_up(app).await;
}

#[tokio::test]
async fn killing_an_instance_between_responses_credits_every_payment_once() {
    for kind in ALL {
        let fake = Fake::start(kind).await;
        let mut app = fake.configure(Setup::new().set("payment.reconcile_every", 3600)).start().await;
        let anna = app.sign_up("Anna").await;
        let mut all = Vec::new();
        // Some events are committed and answered, some committed but not answered, and some
        // neither.
        for answered in [1, 3, 6] {
            let now = begun_many(&app, &anna, kind, MANY).await;
            let mut sent = JoinSet::new();
            for (_, paid) in &now {
                sent.spawn(paid.request(&app).send());
            }
            for _ in 0..answered {
                assert!(sent.join_next().await.unwrap().unwrap().is_ok());
            }
            app.instances[0].kill().await;
            while sent.join_next().await.is_some() {}
            app.instances[0].start_again().await;
            all.extend(now);
            // The gateway sends all events again, whether or not they were answered.
            for (_, paid) in &all {
                let told = paid.send(&app).await;
                assert!(kind.is_content(&told, true) || kind.is_content(&told, false), "{kind:?} {told:?}");
            }
            are_all_paid(&app, &anna, &all).await;
        }
    }
}

mod cluster {
    use super::*;

    async fn stage(kind: Kind) -> (Application, Member) {
        stage_with(kind, 3600).await
    }

    /// Starts an application that polls payments at this interval, in seconds.
    async fn stage_with(kind: Kind, every: u64) -> (Application, Member) {
        let fake = Fake::start(kind).await;
        let setup = Setup::new().instances(2).set("payment.reconcile_every", every).set("payment.reconcile_after", 1);
        let app = fake.configure(setup).start().await;
        let anna = app.sign_up("Anna").await;
        (app, anna)
    }

    #[tokio::test]
    async fn applies_concurrent_duplicate_events_on_two_instances_once() {
        for kind in ALL {
            let (app, anna) = stage(kind).await;
            let payments = begun_many(&app, &anna, kind, 2).await;
            let urls: Vec<String> = app.instances.iter().map(|instance| instance.url()).collect();
            let sent = (0..40).map(|number| payments[number % 2].1.send_to(&urls[number / 2 % 2]));
            let answers = join_all(sent).await;
            let content = |again| answers.iter().filter(|answer| kind.is_content(answer, again)).count();
            if kind == Kind::Vnpay {
                assert_eq!((content(false), content(true)), (2, 38), "{answers:?}");
            } else {
                assert_eq!(content(false), 40, "{kind:?} {answers:?}");
            }
            are_all_paid(&app, &anna, &payments).await;
        }
    }

    /// Delays the commits of paid payments until the test continues.
    async fn slow_commits(app: &Application) {
        app.database
            .run("CREATE FUNCTION wait_at_commit() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$ LANGUAGE plpgsql")
            .await;
        app.database
            .run(
                "CREATE CONSTRAINT TRIGGER wait_at_commit AFTER UPDATE ON payments DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
                 WHEN (NEW.stage = 'paid' AND OLD.stage <> 'paid') EXECUTE FUNCTION wait_at_commit()",
            )
            .await;
    }

    const COMMITTING: &str =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";

    #[tokio::test]
    async fn counts_an_unconfirmed_commit_once_and_reports_a_failed_one() {
        for kind in ALL {
            let (mut app, anna) = stage(kind).await;
            slow_commits(&app).await;
            let payments = begun_many(&app, &anna, kind, 2).await;
            // The instance is killed between the commit and the response. The database completes a
            // commit that has started.
            let waiting = tokio::spawn(payments[0].1.request(&app).send());
            wait_until("the transaction is committing", || async { app.database.number(COMMITTING).await == 1 }).await;
            app.instances[0].kill().await;
            assert!(waiting.await.unwrap().is_err(), "a response was sent");
            let elsewhere = anna.at(&app.instances[1].url());
            wait_until("the payment is committed", || async { status(&elsewhere, &payments[0].0).await == "paid" })
                .await;
            assert_eq!(credits(&elsewhere).await, 500, "{kind:?}");
            app.instances[0].start_again().await;
            let again = payments[0].1.send(&app).await;
            assert!(kind.is_content(&again, true), "{kind:?} {again:?}");

            // The instance is killed between the event and the commit. Nothing is stored, and the
            // gateway will send the event again.
            let (url, event) = (app.url(), payments[1].1.clone());
            let waiting = tokio::spawn(async move { event.send_to(&url).await });
            wait_until("the transaction is committing", || async { app.database.number(COMMITTING).await == 1 }).await;
            let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
            assert_eq!(app.database.number(end).await, 1);
            let told = waiting.await.unwrap();
            let is_failure = told.status == 503 || (kind == Kind::Vnpay && told.body["RspCode"] == "99");
            assert!(is_failure, "{kind:?} {told:?}");
            assert_eq!(status(&anna, &payments[1].0).await, "pending", "{kind:?}");
            let again = payments[1].1.send(&app).await;
            assert!(kind.is_content(&again, false), "{kind:?} {again:?}");
            are_all_paid(&app, &anna, &payments).await;
        }
    }

    #[tokio::test]
    async fn document_numbers_have_no_gaps_under_concurrency_and_a_kill() {
        let (mut app, anna) = stage_with(Kind::Stripe, 1).await;
        let admin = app.admin().await;
        let payments = begun_many(&app, &anna, Kind::Stripe, 3 * MANY).await;
        let (first, rest) = payments.split_at(MANY);
        join_all(first.iter().map(|(_, paid)| paid.send(&app))).await;
        let admins: Vec<Member> = app.instances.iter().map(|instance| admin.at(&instance.url())).collect();
        let mut sent = JoinSet::new();
        for (number, (_, paid)) in rest.iter().enumerate() {
            sent.spawn(paid.request_to(&app.instances[number % 2].url()).send());
        }
        for (number, (id, _)) in first.iter().enumerate() {
            let by = &admins[number % 2];
            let request = by.request(reqwest::Method::POST, &format!("/r1/admin/payments/{id}/refund"));
            sent.spawn(request.json(&json!({ "amount": 300, "reason": "half of it" })).send());
        }
        for _ in 0..MANY {
            assert!(sent.join_next().await.is_some());
        }
        app.instances[1].kill().await;
        while sent.join_next().await.is_some() {}
        app.instances[1].start_again().await;
        for (_, paid) in rest {
            assert_eq!(paid.send(&app).await.status, 200);
        }
        for (id, _) in first {
            // A client that gets no response checks the state, and retries if nothing was started.
            wait_until("the payment is refunded", || async {
                if payment(&anna, id).await["refunded_amount"] == 0 {
                    let body = json!({ "amount": 600, "reason": "all of it" });
                    admin.post(&format!("/r1/admin/payments/{id}/refund"), body).await;
                }
                payment(&anna, id).await["refunded_amount"] != 0
            })
            .await;
        }
        let papers = "SELECT COUNT(*) FROM payments WHERE receipt_number IS NOT NULL";
        assert_eq!(app.database.number(papers).await, i64::try_from(payments.len()).unwrap());
        adds_up(&app).await;
    }

    #[tokio::test]
    async fn withdrawing_a_plan_applies_on_all_instances() {
        let app = Setup::new().set("payment.demo.enabled", true).instances(2).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        let elsewhere = anna.at(&app.instances[1].url());
        let plan = super::super::plan(&app, "500 credits").await;
        let buy = async || {
            let body = json!({ "plan_id": plan, "gateway": "demo" });
            let request = elsewhere.request(reqwest::Method::POST, "/r1/payments/checkout");
            elsewhere.send(request.header("idempotency-key", new_id()).json(&body)).await
        };
        buy().await.data_with(201);
        admin.patch(&format!("/r1/admin/pricing_plans/{plan}"), json!({ "is_active": false })).await.data();
        buy().await.refused(404, "not_found");
        let offered = elsewhere.get("/r1/pricing_plans").await.data();
        let is_on = |one: &support::Value| one["id"] == plan && one["is_active"] == true;
        assert!(!offered["items"].as_array().unwrap().iter().any(is_on), "{offered}");
    }
}

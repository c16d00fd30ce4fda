//! Subscriptions: renewal, failed charges, cancellation, changes of plan, and seats.

use support::{Application, Member, Setup, Value, json};

use super::{
    adds_up, credits,
    fake::{Fake, Kind, Outcome},
    plan,
};

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;

pub(super) fn setup() -> Setup {
    Setup::new().set("payment.demo.enabled", true).set("payment.reconcile_every", 1).set("payment.reconcile_after", 1)
}

/// Returns the id of the plan that has this name and interval.
pub(super) async fn plan_of(app: &Application, name: &str, interval: &str) -> String {
    let plans = app.anonymous().0.get("/r1/pricing_plans").await.data();
    let is_it = |plan: &&Value| plan["name"] == name && plan["interval"] == interval;
    let found = plans["items"].as_array().unwrap().iter().find(is_it).cloned();
    found.unwrap_or_else(|| panic!("{plans}"))["id"].as_str().unwrap().to_owned()
}

/// Buys a plan with the demo gateway and waits until the payment method is saved.
pub(super) async fn buy(payer: &Member, body: Value, outcome: &str) -> Value {
    super::buy(payer, body.clone(), outcome).await;
    let query = body["workspace_id"].as_str().map_or_else(String::new, |id| format!("?workspace_id={id}"));
    saved(payer, &query).await
}

pub(super) async fn saved(payer: &Member, query: &str) -> Value {
    until(payer, query, "it is saved", |held| held["auto_renews"] == true).await
}

pub(super) async fn held(payer: &Member, query: &str) -> Value {
    payer.get(&format!("/r1/subscription{query}")).await.data()["subscription"].clone()
}

pub(super) async fn until(payer: &Member, query: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let last = std::sync::Mutex::new(Value::Null);
    support::wait_until(what, || async {
        let now = held(payer, query).await;
        let is_so = is_so(&now);
        *last.lock().unwrap() = now;
        is_so
    })
    .await;
    last.into_inner().unwrap()
}

/// Makes all subscriptions this number of days older.
async fn pass(app: &Application, days: i64) {
    go_by(app, days * DAY).await;
}

/// Ends the period of the only subscription, a minute ago.
async fn lapse(app: &Application) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let by = app.database.number("SELECT period_end FROM subscriptions").await - i64::try_from(now).unwrap() + 60_000;
    go_by(app, by).await;
}

async fn go_by(app: &Application, by: i64) {
    let sql = format!(
        "UPDATE subscriptions SET starts_at = starts_at - {by}, period_end = period_end - {by}, ends_at = ends_at - {by}, due_at = due_at - {by}"
    );
    app.database.run(&sql).await;
}

pub(super) async fn payments(payer: &Member) -> Vec<Value> {
    payer.get("/r1/payments").await.data()["items"].as_array().unwrap().clone()
}

/// Waits until this number of periods is paid.
async fn renewed(payer: &Member, periods: usize) {
    support::wait_until("the subscription is renewed", || async {
        let all = payments(payer).await;
        all.len() == periods && all.iter().all(|one| one["status"] == "paid")
    })
    .await;
    assert_eq!(held(payer, "").await["status"], "active");
}

#[tokio::test]
async fn renews_a_subscription_once_per_period() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    let first = buy(&anna, team, "paid").await;
    assert_eq!((&first["status"], &first["method"]["last4"]), (&json!("active"), &json!("4242")));
    assert_eq!((&first["price"]["amount"], &first["ends_at"]), (&json!(2_400), &json!(null)));
    let mine = anna.get("/r1/entitlements/me").await.data();
    assert_eq!((&mine["plan"]["renews_at"], &mine["plan"]["cancel_at"]), (&first["period_end"], &json!(null)));
    pass(&app, 28).await;
    app.outbox(&anna.email, "Your plan renews soon").await;
    for period in 2..=3 {
        lapse(&app).await;
        renewed(&anna, period).await;
    }
    let all = payments(&anna).await;
    assert!(all.iter().all(|one| one["status"] == "paid" && one["amount"] == 2_400), "{all:?}");
    app.outbox(&anna.email, "Receipt").await;
    adds_up(&app).await;
}

#[tokio::test]
async fn retries_a_declined_charge_with_a_notice_and_then_ends_the_plan() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    buy(&anna, team.clone(), "paid_once").await;
    lapse(&app).await;
    let late = until(&anna, "", "it was declined", |held| held["failed_attempts"] == 1).await;
    assert_eq!((&late["status"], &late["renews_at"]), (&json!("past_due"), &json!(null)));
    assert!(late["grace_until"].is_string() && late["next_attempt_at"].is_string(), "{late}");
    let mail = app.outbox(&anna.email, "Your payment was declined").await;
    assert!(mail.contains("/plans/billing"), "{mail}");
    assert_eq!(anna.get("/r1/entitlements/me").await.data()["plan"]["name"], "Team", "the plan still works");
    // The amount that is due can't be avoided by buying another plan.
    let studio = json!({ "plan_id": plan_of(&app, "Studio", "month").await, "gateway": "demo" });
    anna.post("/r1/payments/checkout", studio).await.refused(409, "wrong_state");
    for (day, attempts) in [(1, 2), (2, 3), (2, 4)] {
        pass(&app, day).await;
        until(&anna, "", "it is tried again", |held| held["failed_attempts"] == attempts).await;
    }
    pass(&app, 3).await;
    let ended = until(&anna, "", "it has ended", |held| held["status"] == "ended").await;
    assert_eq!(ended["auto_renews"], false);
    app.outbox(&anna.email, "Your plan has ended").await;
    let mine = anna.get("/r1/entitlements/me").await.data();
    assert_eq!(mine["plan"], json!(null));
    assert_eq!(payments(&anna).await.len(), 2, "one payment for the first period, one for four attempts");
    let again = buy(&anna, team, "paid").await;
    assert_eq!(again["status"], "active");
    adds_up(&app).await;
}

#[tokio::test]
async fn paying_a_declined_period_manually_continues_the_subscription() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    buy(&anna, team, "paid_once").await;
    lapse(&app).await;
    until(&anna, "", "it was declined", |held| held["failed_attempts"] == 1).await;
    let begun = anna.post("/r1/subscription/pay", json!({})).await.data_with(201);
    let again = anna.post("/r1/subscription/pay", json!({})).await.data_with(201);
    assert_eq!(begun["payment_id"], again["payment_id"], "one payment at a time");
    // While the payer is paying manually, nothing is charged.
    pass(&app, 1).await;
    let late = held(&anna, "").await;
    let end = format!("/r1/payments/{}/demo", begun["payment_id"].as_str().unwrap());
    anna.post(&end, json!({ "outcome": "paid" })).await.data();
    let paid = held(&anna, "").await;
    assert_eq!((&paid["status"], &paid["failed_attempts"]), (&json!("active"), &json!(0)));
    assert!(paid["period_end"].as_str() > late["period_end"].as_str());
    adds_up(&app).await;
}

#[tokio::test]
async fn cancels_a_plan_at_period_end_and_resumes_it() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(held(&anna, "").await, json!(null));
    anna.post("/r1/subscription/cancel", json!({})).await.refused(404, "not_found");
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    buy(&anna, team, "paid").await;
    anna.post("/r1/subscription/resume", json!({})).await.refused(409, "wrong_state");
    let cancelled = anna.post("/r1/subscription/cancel", json!({})).await.data();
    assert_eq!((&cancelled["ends_at"], &cancelled["renews_at"]), (&cancelled["period_end"], &json!(null)));
    assert_eq!(anna.get("/r1/entitlements/me").await.data()["plan"]["cancel_at"], cancelled["period_end"]);
    let resumed = anna.post("/r1/subscription/resume", json!({})).await.data();
    assert_eq!((&resumed["renews_at"], &resumed["ends_at"]), (&cancelled["period_end"], &json!(null)));
    anna.post("/r1/subscription/cancel", json!({})).await.data();
    lapse(&app).await;
    until(&anna, "", "it has ended", |held| held["status"] == "ended").await;
    assert_eq!(payments(&anna).await.len(), 1, "cancelled plans are not charged");
    adds_up(&app).await;
}

#[tokio::test]
async fn upgrades_apply_at_once_and_downgrades_with_the_next_period() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let (team, studio) = (plan_of(&app, "Team", "month").await, plan_of(&app, "Studio", "month").await);
    buy(&anna, json!({ "plan_id": team, "gateway": "demo" }), "paid").await;
    let change = json!({ "plan_id": studio });
    let preview = anna.post("/r1/subscription/change/preview", change.clone()).await.data();
    let due = preview["due_now"]["amount"].as_i64().unwrap();
    assert_eq!((&preview["kind"], &preview["takes_effect_at"]), (&json!("upgrade"), &json!(null)));
    assert!((5_490..=5_500).contains(&due), "most of the period is left: {preview}");
    let changed = anna.post("/r1/subscription/change", change).await.data();
    assert_eq!((&changed["subscription"]["plan"]["id"], &changed["redirect_url"]), (&json!(studio), &json!(null)));
    let paid = &payments(&anna).await[0];
    assert_eq!((&paid["id"], &paid["status"]), (&changed["payment_id"], &json!("paid")));
    let balance = anna.get("/r1/entitlements/me").await.data()["credits"]["balance"].as_i64().unwrap();
    assert!((7_990_000_000..=8_000_000_000).contains(&balance), "{balance}");

    let less = anna.post("/r1/subscription/change", json!({ "plan_id": team })).await.data();
    let held_now = &less["subscription"];
    assert_eq!((&held_now["plan"]["id"], &held_now["next_plan"]["id"]), (&json!(studio), &json!(team)));
    assert_eq!(less["payment_id"], json!(null));
    lapse(&app).await;
    let next = until(&anna, "", "it has changed", |held| held["plan"]["id"] == json!(team)).await;
    assert_eq!((&next["next_plan"], &next["price"]["amount"]), (&json!(null), &json!(2_400)));
    adds_up(&app).await;
}

#[tokio::test]
async fn limits_trials_to_one_and_ends_them_without_a_charge() {
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let price = json!([{ "currency": "USD", "amount": 3_000 }]);
    let new = json!({ "name": "Try", "kind": "subscription", "interval": "month", "prices": price, "credits": 300_000_000, "trial_days": 14 });
    let made = admin.post("/r1/admin/pricing_plans", new).await.data_with(201);
    let trial = json!({ "plan_id": made["id"] });
    app.verify(&anna).await;
    anna.post("/r1/subscription/trial", json!({ "plan_id": plan(&app, "500 credits").await }))
        .await
        .refused(409, "wrong_state");
    let tried = anna.post("/r1/subscription/trial", trial.clone()).await.data_with(201);
    assert_eq!((&tried["status"], &tried["trial_ends_at"]), (&json!("trialing"), &tried["period_end"]));
    let mine = anna.get("/r1/entitlements/me").await.data();
    assert_eq!((&mine["plan"]["name"], &mine["trial_ends_at"]), (&json!("Try"), &tried["trial_ends_at"]));
    assert!(mine["credits"]["balance"].as_i64().unwrap() > 100_000_000, "{mine}");
    anna.post("/r1/subscription/trial", trial.clone()).await.refused(409, "wrong_state");
    pass(&app, 12).await;
    app.outbox(&anna.email, "Your trial ends soon").await;
    pass(&app, 3).await;
    until(&anna, "", "it is over", |held| held["status"] == "ended").await;
    anna.post("/r1/subscription/trial", trial).await.refused(409, "wrong_state");
    assert!(payments(&anna).await.is_empty());
    adds_up(&app).await;
}

#[tokio::test]
async fn members_occupy_the_seats_of_a_workspace_plan() {
    let app = setup().start().await;
    let (anna, ben, cleo) = (app.sign_up("Anna").await, app.sign_up("Ben").await, app.sign_up("Cleo").await);
    let workspace = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let id = workspace["id"].as_str().unwrap();
    let query = format!("?workspace_id={id}");
    let add = async |member: &Member| {
        let body = json!({ "user_id": member.id, "role": "member" });
        anna.post(&format!("/r1/workspaces/{id}/members"), body).await.data_with(201);
    };
    add(&ben).await;
    let team = plan_of(&app, "Team", "month").await;
    let body = |seats: i64| json!({ "plan_id": team, "gateway": "demo", "workspace_id": id, "seats": seats });
    ben.post("/r1/payments/checkout", body(2)).await.refused(404, "not_found");
    anna.post("/r1/payments/checkout", body(1)).await.names_field("seats");
    let bought = buy(&anna, body(2), "paid").await;
    assert_eq!(
        (&bought["seats"], &bought["seats_used"], &bought["price"]["amount"]),
        (&json!(2), &json!(2), &json!(4_800))
    );
    for member in [&anna, &ben] {
        let mine = member.get("/r1/entitlements/me").await.data();
        assert_eq!((&mine["plan"]["name"], credits(member).await), (&json!("Team"), 2_000));
    }
    ben.get(&format!("/r1/subscription{query}")).await.refused(404, "not_found");
    add(&cleo).await;
    assert_eq!(cleo.get("/r1/entitlements/me").await.data()["plan"], json!(null), "no seat is free");
    let change = |seats: i64| json!({ "plan_id": team, "seats": seats, "workspace_id": id });
    anna.post("/r1/subscription/change", change(1)).await.refused(409, "wrong_state");
    anna.post("/r1/subscription/change", change(3)).await.data();
    until(&anna, &query, "she has a seat", |held| held["seats_used"] == 3).await;
    assert_eq!(cleo.get("/r1/entitlements/me").await.data()["plan"]["name"], "Team");
    let balance = ben.get("/r1/entitlements/me").await.data()["credits"]["balance"].clone();
    assert_eq!(balance, 2_000_000_000_i64, "seat holders get no further credits");
    adds_up(&app).await;
}

#[tokio::test]
async fn lists_and_removes_payment_methods_and_mails_a_payment_link() {
    let app = setup().start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    buy(&anna, team, "paid").await;
    let methods = anna.get("/r1/payment_methods").await.data();
    let path = format!("/r1/payment_methods/{}", methods["items"][0]["id"].as_str().unwrap());
    assert_eq!((&methods["total"], &methods["items"][0]["is_default"]), (&json!(1), &json!(true)));
    ben.delete(&path).await.refused(404, "not_found");
    assert_eq!(ben.get("/r1/payment_methods").await.data()["total"], 0);
    anna.post(&format!("{path}/default"), json!({})).await.data();
    anna.post("/r1/payment_methods/portal", json!({})).await.refused(409, "gateway_off");
    anna.delete(&path).await.refused(409, "wrong_state");
    anna.post("/r1/subscription/cancel", json!({})).await.data();
    anna.delete(&path).await.data();
    anna.post("/r1/subscription/resume", json!({})).await.data();
    let now = held(&anna, "").await;
    assert_eq!((&now["auto_renews"], &now["method"]), (&json!(false), &json!(null)));
    pass(&app, 25).await;
    app.outbox(&anna.email, "Your plan ends soon").await;
    pass(&app, 7).await;
    until(&anna, "", "it isn't paid", |held| held["status"] == "past_due").await;
    app.outbox(&anna.email, "waiting for payment").await;
    adds_up(&app).await;
}

/// Starts a purchase and returns the id of the payment.
async fn begins(payer: &Member, plan_id: &str) -> String {
    let body = json!({ "plan_id": plan_id, "gateway": "demo" });
    let begun = payer.post("/r1/payments/checkout", body).await.data_with(201);
    begun["payment_id"].as_str().unwrap().to_owned()
}

async fn pays(payer: &Member, id: &str) -> Value {
    payer.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data()["status"].clone()
}

#[tokio::test]
async fn editing_a_plan_keeps_paid_time() {
    let app = setup().start().await;
    let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
    let old = plan_of(&app, "Team", "month").await;
    let (first, waiting) = (begins(&anna, &old).await, begins(&ben, &old).await);
    let edit = json!({ "credits": 2_500_000_000_i64 });
    let new = admin.patch(&format!("/r1/admin/pricing_plans/{old}"), edit).await.data();
    let new = new["id"].as_str().unwrap();
    assert_ne!(new, old);
    // Both were started before the subscription existed.
    let second = begins(&anna, new).await;
    assert_eq!(pays(&anna, &first).await, "paid");
    let before = held(&anna, "").await;
    assert_eq!(pays(&anna, &second).await, "paid");
    let after = held(&anna, "").await;
    assert_eq!((&after["period_start"], &after["plan"]["id"]), (&before["period_end"], &json!(new)));
    assert!(after["period_end"].as_str() > before["period_end"].as_str(), "{before} {after}");
    // Ben's purchase of the older version is completed although there is a newer one, which he then
    // buys before the end of the period.
    assert_eq!(pays(&ben, &waiting).await, "paid");
    let before = held(&ben, "").await;
    let early = begins(&ben, new).await;
    assert_eq!(pays(&ben, &early).await, "paid");
    let after = held(&ben, "").await;
    assert_eq!((&after["period_start"], credits(&ben).await), (&before["period_end"], 4_500));
    adds_up(&app).await;
}

#[tokio::test]
async fn buying_a_second_plan_keeps_the_time_of_the_paid_one() {
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let (team, studio) = (plan_of(&app, "Team", "month").await, plan_of(&app, "Studio", "year").await);
    let (first, second, third) = (begins(&anna, &studio).await, begins(&anna, &team).await, begins(&anna, &team).await);
    assert_eq!(pays(&anna, &first).await, "paid");
    let before = held(&anna, "").await;
    for id in [&second, &third] {
        assert_eq!(pays(&anna, id).await, "quarantined");
    }
    let after = held(&anna, "").await;
    assert_eq!((&after["plan"]["id"], &after["period_end"]), (&json!(studio), &before["period_end"]));
    assert_eq!(credits(&anna).await, 96_000);
    let seen = admin.get(&format!("/r1/admin/payments/{second}")).await.data();
    assert_eq!(seen["quarantine"], "second_plan");
    let release = async |id: &str, decision: &str| {
        let body = json!({ "decision": decision, "reason": "looked at" });
        admin.post(&format!("/r1/admin/payments/{id}/release"), body).await.data()["status"].clone()
    };
    assert_eq!(release(&second, "refused").await, "failed");
    assert_eq!(held(&anna, "").await["period_end"], before["period_end"]);
    assert_eq!(release(&third, "asked").await, "paid");
    let added = held(&anna, "").await;
    assert_eq!((&added["period_start"], &added["plan"]["id"]), (&before["period_end"], &json!(team)));
    assert_eq!(credits(&anna).await, 98_000);
    adds_up(&app).await;
}

/// Signs up a user who has a subscription at Stripe with a saved card.
pub(super) async fn by_stripe(app: &Application) -> Member {
    let anna = app.sign_up("Anna").await;
    let team = json!({ "plan_id": plan_of(app, "Team", "month").await, "gateway": "stripe" });
    let begun = anna.post("/r1/payments/checkout", team).await.data_with(201);
    Kind::Stripe.event(begun["payment_id"].as_str().unwrap(), Outcome::Paid, 2_400, 1).send(app).await;
    saved(&anna, "").await;
    anna
}

#[tokio::test]
async fn charges_once_if_the_response_is_lost_with_the_instance() {
    // The instance is killed while it prepares the charge, and while it confirms it.
    for part in ["POST /v1/payment_intents ", "/confirm"] {
        let fake = Fake::start(Kind::Stripe).await;
        let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1);
        let mut app = fake.configure(setup).start().await;
        let anna = by_stripe(&app).await;
        fake.silent_at(Some(part));
        lapse(&app).await;
        support::wait_until("the gateway is called", || async { fake.asked(part) > 0 }).await;
        app.instances[0].kill().await;
        fake.silent_at(None);
        app.instances[0].start_again().await;
        renewed(&anna, 2).await;
        assert_eq!((fake.charges(), credits(&anna).await), ((1, 0), 4_000), "{part}");
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn an_unanswered_charge_does_not_delay_others() {
    let fake = Fake::start(Kind::Stripe).await;
    let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1);
    let app = fake.configure(setup).start().await;
    let (_anna, _ben) = (by_stripe(&app).await, by_stripe(&app).await);
    fake.silent_at(Some("POST /v1/payment_intents "));
    pass(&app, 31).await;
    support::wait_until("both are charged", || async { fake.unanswered() == 2 }).await;
}

#[tokio::test]
async fn handles_late_and_duplicate_stripe_events() {
    let fake = Fake::start(Kind::Stripe).await;
    let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1);
    let app = fake.configure(setup).start().await;
    let anna = by_stripe(&app).await;
    let portal = anna.post("/r1/payment_methods/portal", json!({})).await.data();
    assert_eq!(portal["url"], "https://portal.test/cus_1");
    fake.say(Outcome::Failed);
    lapse(&app).await;
    until(&anna, "", "it was declined", |held| held["failed_attempts"] == 1).await;
    assert_eq!(fake.charges(), (0, 1));
    fake.say(Outcome::Open);
    pass(&app, 1).await;
    renewed(&anna, 2).await;
    assert_eq!(fake.charges(), (1, 1));
    let renewal = payments(&anna).await[0].clone();
    let told = |event: &str, kind: &str| {
        super::fake::stripe_signed(json!({
            "id": event, "type": kind, "livemode": false, "data": { "object": {
                "id": "pi_1", "status": "succeeded", "amount": 2_400, "currency": "usd",
                "metadata": { "payment_id": renewal["id"], "off_session": "true" },
            } },
        }))
    };
    // The event about the first decline arrives last.
    for (event, kind) in [
        ("evt_2", "payment_intent.succeeded"),
        ("evt_2", "payment_intent.succeeded"),
        ("evt_1", "payment_intent.payment_failed"),
    ] {
        assert_eq!(told(event, kind).send(&app).await.status, 200);
    }
    assert_eq!((held(&anna, "").await["status"].clone(), credits(&anna).await), (json!("active"), 4_000));
    adds_up(&app).await;
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn many_instances_charge_a_period_once() {
        let fake = Fake::start(Kind::Stripe).await;
        let setup = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1).instances(3);
        let app = fake.configure(setup).start().await;
        let anna = by_stripe(&app).await;
        for periods in 2..=3 {
            lapse(&app).await;
            renewed(&anna, periods).await;
        }
        assert_eq!(fake.charges(), (2, 0));
        adds_up(&app).await;
    }
}

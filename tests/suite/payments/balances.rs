//! Low balances, automatic top-ups, the tables of accounts, and revenue.

use support::{Application, Member, Setup, Value, json, wait_until};

use super::{
    adds_up, buy, credits,
    fake::{Fake, Kind},
    plan,
    subscriptions::{by_stripe, plan_of, saved},
};

/// Number of micro-credits in a credit.
const ONE: i64 = 1_000_000;

fn quick() -> Setup {
    Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1)
}

fn setup() -> Setup {
    quick().set("payment.demo.enabled", true)
}

/// Adds or removes whole credits, as an administrator.
async fn give(admin: &Member, holder: (&str, &str), amount: i64) {
    let mut body = json!({ "amount": amount * ONE, "reason": "=By hand" });
    body[holder.0] = json!(holder.1);
    admin.post("/r1/admin/credits", body).await.data();
}

async fn settings(member: &Member, query: &str) -> Value {
    member.get(&format!("/r1/credit_settings{query}")).await.data()
}

/// Signs up a user who has 2,000 credits from a plan and the card with which it was bought.
async fn with_card(app: &Application, outcome: &str) -> (Member, Value) {
    let anna = app.sign_up("Anna").await;
    let team = json!({ "plan_id": plan_of(app, "Team", "month").await, "gateway": "demo" });
    buy(&anna, team, outcome).await;
    saved(&anna, "").await;
    let order = order(app, &anna).await;
    (anna, order)
}

/// Sets up an automatic top-up: 500 credits for 6 USD when the balance is below 100, at most twice
/// a month.
async fn order(app: &Application, payer: &Member) -> Value {
    let methods = payer.get("/r1/payment_methods").await.data();
    let method = &methods["items"][0]["id"];
    let plan = plan(app, "500 credits").await;
    json!({ "plan_id": plan, "method_id": method, "currency": "USD", "threshold": 100 * ONE, "monthly_limit": 1_200 })
}

async fn has(member: &Member, whole: i64) {
    wait_until(&format!("{whole} credits are there"), || async { credits(member).await == whole }).await;
}

#[tokio::test]
async fn publishes_a_low_balance_once_per_fall() {
    let app = setup().start().await;
    let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = anna.connect().await;
    let me = ("user_id", anna.id.as_str());
    let nothing = settings(&anna, "").await;
    assert_eq!(
        nothing,
        json!({ "low_balance": { "threshold": 0, "is_chosen": false, "is_low": false }, "top_up": null })
    );

    give(&admin, me, 1_000).await;
    give(&admin, me, -950).await;
    let told = socket.expect("credits.low").await;
    assert_eq!(told.payload, json!({ "workspace_id": null, "balance": 50 * ONE, "threshold": 100 * ONE }));
    app.outbox(&anna.email, "Your credits are running low").await;
    assert_eq!(settings(&anna, "").await["low_balance"]["is_low"], true);
    give(&admin, me, -10).await;
    give(&admin, me, 200).await;
    // The balance rises above a tenth of the last grant, and then falls below it again.
    wait_until("the balance rises", || async {
        app.database.number("SELECT count(*) FROM ledger_accounts WHERE NOT is_low AND NOT is_due").await == 1
    })
    .await;
    give(&admin, me, -230).await;
    let told = socket.expect("credits.low").await;
    assert_eq!((&told.payload["balance"], &told.payload["threshold"]), (&json!(10 * ONE), &json!(20 * ONE)));

    // A threshold set by the user replaces the default.
    let path = "/r1/credit_settings/low_balance";
    anna.put(path, json!({ "threshold": -1 })).await.names_field("threshold");
    let chosen = anna.put(path, json!({ "threshold": 5 * ONE })).await.data();
    assert_eq!(chosen["low_balance"], json!({ "threshold": 5 * ONE, "is_chosen": true, "is_low": false }));
    give(&admin, me, -6).await;
    assert_eq!(socket.expect("credits.low").await.payload["balance"], 4 * ONE);
    assert_eq!(anna.put(path, json!({ "threshold": null })).await.data()["low_balance"]["is_chosen"], false);

    // If the balance of a workspace is low, those who pay for it are notified.
    let workspace = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let id = workspace["id"].as_str().unwrap();
    let body = json!({ "user_id": ben.id, "role": "member" });
    anna.post(&format!("/r1/workspaces/{id}/members"), body).await.data_with(201);
    give(&admin, ("workspace_id", id), 1_000).await;
    give(&admin, ("workspace_id", id), -999).await;
    let told = socket.expect("credits.low").await;
    assert_eq!(told.payload, json!({ "workspace_id": id, "balance": ONE, "threshold": 100 * ONE }));
    app.outbox(&anna.email, "The workspace Team").await;
    let query = format!("?workspace_id={id}");
    assert_eq!(settings(&anna, &query).await["low_balance"]["is_low"], true);
    ben.get(&format!("/r1/credit_settings{query}")).await.refused(404, "not_found");
    ben.put(path, json!({ "threshold": 1, "workspace_id": id })).await.refused(404, "not_found");
    adds_up(&app).await;
}

#[tokio::test]
async fn tops_up_automatically_until_the_monthly_limit() {
    let app = setup().start().await;
    let (admin, ben) = (app.admin().await, app.sign_up("Ben").await);
    let (anna, order) = with_card(&app, "paid").await;
    let path = "/r1/credit_settings/top_up";
    let wrong = |field: &str, value: Value| {
        let mut body = order.clone();
        body[field] = value;
        body
    };
    ben.put(path, order.clone()).await.names_field("method_id");
    for (field, value) in [
        ("plan_id", json!(plan_of(&app, "Team", "month").await)),
        ("plan_id", json!(support::new_id())),
        ("method_id", json!(support::new_id())),
        ("threshold", json!(0)),
        ("monthly_limit", json!(599)),
        ("currency", json!("XXX")),
    ] {
        anna.put(path, wrong(field, value)).await.names_field(field);
    }
    let set = anna.put(path, order.clone()).await.data();
    let top_up = &set["top_up"];
    assert_eq!((&top_up["price"], &top_up["currency"], &top_up["is_on"]), (&json!(600), &json!("USD"), &json!(true)));
    assert_eq!((&top_up["spent_this_month"], &top_up["stopped"]), (&json!(0), &json!(null)));

    let me = ("user_id", anna.id.as_str());
    give(&admin, me, -1_950).await;
    has(&anna, 550).await;
    give(&admin, me, -500).await;
    has(&anna, 550).await;
    assert_eq!(settings(&anna, "").await["top_up"]["spent_this_month"], 1_200);
    give(&admin, me, -500).await;
    let mail = app.outbox(&anna.email, "Credits are no longer bought automatically").await;
    assert!(mail.contains("your limit for this month"), "{mail}");
    let stopped = settings(&anna, "").await["top_up"].clone();
    assert_eq!((&stopped["stopped"], &stopped["is_on"]), (&json!("monthly_limit"), &json!(true)));
    let paid = anna.get("/r1/payments").await.data();
    let amounts: Vec<&Value> = paid["items"].as_array().unwrap().iter().map(|one| &one["amount"]).collect();
    assert_eq!((amounts, credits(&anna).await), (vec![&json!(600), &json!(600), &json!(2_400)], 50));
    // With a higher limit, top-ups resume at once.
    anna.put(path, wrong("monthly_limit", json!(1_800))).await.data();
    has(&anna, 550).await;
    assert_eq!(anna.delete(path).await.data()["top_up"], json!(null));
    give(&admin, me, -500).await;
    // A plan that is no longer sold can't be bought by a top-up.
    anna.put(path, wrong("monthly_limit", json!(60_000))).await.data();
    has(&anna, 550).await;
    let plan = format!("/r1/admin/pricing_plans/{}", order["plan_id"].as_str().unwrap());
    admin.patch(&plan, json!({ "is_active": false })).await.data();
    give(&admin, me, -500).await;
    wait_until("the top-up stops", || async { settings(&anna, "").await["top_up"]["stopped"] == "plan_withdrawn" })
        .await;
    assert_eq!(credits(&anna).await, 50);
    adds_up(&app).await;
}

#[tokio::test]
async fn does_not_retry_automatic_charges_of_a_declined_card() {
    let app = setup().start().await;
    let admin = app.admin().await;
    let (anna, order) = with_card(&app, "paid_once").await;
    let path = "/r1/credit_settings/top_up";
    anna.put(path, order.clone()).await.data();
    give(&admin, ("user_id", &anna.id), -1_950).await;
    let declined = async |times: usize| {
        wait_until("the charge is declined", || async {
            let all = anna.get("/r1/payments").await.data();
            let failed = all["items"].as_array().unwrap().iter().filter(|one| one["status"] == "failed").count();
            failed == times && settings(&anna, "").await["top_up"]["stopped"] == "declined"
        })
        .await;
    };
    declined(1).await;
    let mail = app.outbox(&anna.email, "Credits are no longer bought automatically").await;
    assert!(mail.contains("was declined"), "{mail}");
    let stopped = settings(&anna, "").await["top_up"].clone();
    assert_eq!(
        (&stopped["is_on"], &stopped["pending"], &stopped["spent_this_month"]),
        (&json!(false), &json!(false), &json!(0))
    );
    give(&admin, ("user_id", &anna.id), -1).await;
    // The top-up is retried only when the payer requests that.
    anna.put(path, order).await.data();
    declined(2).await;
    assert_eq!(credits(&anna).await, 49);
    adds_up(&app).await;
}

#[tokio::test]
async fn charges_a_top_up_once_after_a_lost_response() {
    for part in ["POST /v1/payment_intents ", "/confirm"] {
        let fake = Fake::start(Kind::Stripe).await;
        let mut app = fake.configure(quick()).start().await;
        let (admin, anna) = (app.admin().await, by_stripe(&app).await);
        anna.put("/r1/credit_settings/top_up", order(&app, &anna).await).await.data();
        fake.silent_at(Some(part));
        give(&admin, ("user_id", &anna.id), -1_950).await;
        wait_until("the gateway is called", || async { fake.asked(part) > 0 }).await;
        app.instances[0].kill().await;
        fake.silent_at(None);
        app.instances[0].start_again().await;
        has(&anna, 550).await;
        assert_eq!(
            (fake.charges(), settings(&anna, "").await["top_up"]["spent_this_month"].clone()),
            ((1, 0), json!(600)),
            "{part}"
        );
        adds_up(&app).await;
    }
}

#[tokio::test]
async fn exports_accounts_as_tables_with_matching_revenue() {
    let app = setup().start().await;
    let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
    let begun = super::begun(&app, &anna, "demo").await;
    anna.post(&format!("/r1/payments/{begun}/demo"), json!({ "outcome": "paid" })).await.data();
    let workspace = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
    let id = workspace["id"].as_str().unwrap();
    give(&admin, ("workspace_id", id), 30).await;
    give(&admin, ("user_id", &ben.id), 20).await;
    give(&admin, ("user_id", &ben.id), -5).await;
    let refund = json!({ "amount": 300, "reason": "Half" });
    admin.post(&format!("/r1/admin/payments/{begun}/refund"), refund).await.data();
    wait_until("the payment is partly refunded", || async { super::status(&anna, &begun).await == "partly_refunded" })
        .await;

    let answer = ben.get("/r1/ledger/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/csv")));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"ledger.csv\""));
    let lines: Vec<String> = answer.text().lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), lines[0].as_str()), (3, "time,account,kind,credits,balance,source,note,id"));
    assert!(lines[1].contains(",grant,20.000000,20.000000,admin:") && lines[1].contains(",'=By hand,"), "{lines:?}");
    assert!(lines[2].contains(",take,-5.000000,15.000000,admin:"), "{lines:?}");
    let count = async |member: &Member, path: &str| member.get(path).await.text().lines().count() - 1;
    assert_eq!(count(&anna, &format!("/r1/ledger/export?workspace_id={id}")).await, 1);
    ben.get(&format!("/r1/ledger/export?workspace_id={id}")).await.refused(404, "not_found");
    ben.get("/r1/admin/ledger/export").await.refused(403, "forbidden");
    let all = "/r1/admin/ledger/export";
    assert_eq!(count(&admin, all).await, 5);
    assert_eq!(count(&admin, &format!("{all}?user_id={}", ben.id)).await, 2);
    assert_eq!(count(&admin, &format!("{all}?workspace_id={id}")).await, 1);
    admin.get(&format!("{all}?workspace_id={id}&user_id={}", ben.id)).await.names_field("user_id");
    let (past, future) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    assert_eq!(count(&admin, &format!("{all}?to={past}")).await, 0);
    assert_eq!(count(&admin, &format!("{all}?from={past}&to={future}")).await, 5);
    admin.get(&format!("{all}?from={future}&to={past}")).await.names_field("from");

    anna.get("/r1/admin/revenue").await.refused(403, "forbidden");
    let days = admin.get("/r1/admin/revenue").await.data();
    let total = &days["total"];
    let money = json!([{ "currency": "USD", "paid": 600, "refunded": 300, "disputed": 0, "net": 300, "payments": 1 }]);
    assert_eq!((days["groups"].as_array().unwrap().len(), &total["money"]), (30, &money));
    let booked = json!({ "sold": 500 * ONE, "granted": 50 * ONE, "used": 0, "expired": 0, "clawed_back": 255 * ONE });
    assert_eq!(total["credits"], booked);
    assert_eq!((&days["credits_outstanding"], &days["credits_owed"]), (&json!(295 * ONE), &json!(0)));
    let team = json!({ "plan_id": plan_of(&app, "Team", "month").await, "gateway": "demo" });
    buy(&ben, team, "paid").await;
    let months = admin.get("/r1/admin/revenue?group=month").await.data();
    assert_eq!(months["groups"].as_array().unwrap().len(), 12);
    assert_eq!(
        (&months["subscriptions"]["active"], &months["mrr"]),
        (&json!(1), &json!([{ "currency": "USD", "amount": 2_400 }]))
    );
    assert_eq!(months["total"]["money"][0]["paid"], 3_000);
    admin.get(&format!("/r1/admin/revenue?from={future}&to={past}")).await.names_field("from");
    admin.get(&format!("/r1/admin/revenue?from={past}&to={future}")).await.names_field("from");
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn many_instances_top_up_once_per_fall() {
        let fake = Fake::start(Kind::Stripe).await;
        let app = fake.configure(quick().instances(3)).start().await;
        let (admin, anna) = (app.admin().await, by_stripe(&app).await);
        anna.put("/r1/credit_settings/top_up", order(&app, &anna).await).await.data();
        give(&admin, ("user_id", &anna.id), -1_950).await;
        has(&anna, 550).await;
        give(&admin, ("user_id", &anna.id), -500).await;
        has(&anna, 550).await;
        assert_eq!(fake.charges(), (2, 0));
        adds_up(&app).await;
    }
}

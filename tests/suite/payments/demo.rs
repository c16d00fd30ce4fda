//! Payments through all layers, with the demo gateway.

use support::{Application, Setup, json};

use super::{adds_up, begun, check_out, credits, payment, plan, status};

fn setup() -> Setup {
    Setup::new().set("payment.demo.enabled", true)
}

#[tokio::test]
async fn sells_and_charges_nothing_without_a_gateway() {
    let app = Application::start().await;
    let anna = app.sign_up("Anna").await;
    assert_eq!(anna.get("/r1/pricing_plans").await.data()["total"], 0);
    assert_eq!(anna.get("/r1/payment_gateways").await.data()["total"], 0);
    let mine = anna.get("/r1/entitlements/me").await.data();
    assert_eq!((&mine["credits"], &mine["plan"]), (&json!(null), &json!(null)));
    let body = json!({ "plan_id": support::new_id(), "gateway": "demo" });
    anna.post("/r1/payments/checkout", body).await.refused(409, "gateway_off");
}

#[tokio::test]
async fn grants_credits_once_despite_repeated_notifications() {
    let app = setup().start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let mut socket = anna.connect().await;
    let id = begun(&app, &anna, "demo").await;
    let waiting = payment(&anna, &id).await;
    assert_eq!(
        (&waiting["status"], &waiting["amount"], &waiting["currency"]),
        (&json!("pending"), &json!(600), &json!("USD"))
    );
    assert!(waiting["redirect_url"].as_str().unwrap().ends_with(&format!("/plans/demo?payment={id}")), "{waiting}");
    ben.get(&format!("/r1/payments/{id}")).await.refused(404, "not_found");
    let end = format!("/r1/payments/{id}/demo");
    ben.post(&end, json!({ "outcome": "paid" })).await.refused(404, "not_found");

    let told = futures_util::future::join_all((0..20).map(|_| anna.post(&end, json!({ "outcome": "paid" })))).await;
    for answer in told {
        assert_eq!(answer.data()["status"], "paid");
    }
    let frame =
        socket.find("credits", |frame| frame.kind == "quota.updated" && frame.payload["credits"]["balance"] != 0).await;
    let told = &frame.payload["credits"];
    assert_eq!((&told["available"], &told["granted"]), (&json!(500_000_000), &json!(500_000_000)));
    assert_eq!((credits(&anna).await, credits(&ben).await), (500, 0));
    let entries = anna.get("/r1/ledger").await.data();
    let entry = &entries["items"][0];
    assert_eq!(
        (&entries["total"], &entry["kind"], &entry["amount"]),
        (&json!(1), &json!("purchase"), &json!(500_000_000))
    );
    assert_eq!(entry["source"], format!("payment:{id}"));
    assert_eq!(ben.get("/r1/ledger").await.data()["total"], 0);
    assert_eq!(anna.get("/r1/payments").await.data()["items"][0]["id"], id);
    // A payment that is paid can't fail afterwards.
    assert_eq!(anna.post(&end, json!({ "outcome": "failed" })).await.data()["status"], "paid");
    adds_up(&app).await;
}

#[tokio::test]
async fn returns_the_same_payment_for_the_same_idempotency_key() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let all = futures_util::future::join_all((0..10).map(|_| check_out(&app, &anna, "demo", "key-1"))).await;
    let ids: std::collections::BTreeSet<String> =
        all.into_iter().map(|answer| answer.data_with(201)["payment_id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    let other = json!({ "plan_id": plan(&app, "1,000 credits").await, "gateway": "demo" });
    let request = anna.request(reqwest::Method::POST, "/r1/payments/checkout").header("idempotency-key", "key-1");
    anna.send(request.json(&other)).await.refused(409, "conflict");
    // The same idempotency key of another user is a different one.
    let ben = app.sign_up("Ben").await;
    assert!(!ids.contains(&check_out(&app, &ben, "demo", "key-1").await.data_with(201)["payment_id"].to_string()));
}

#[tokio::test]
async fn quotes_prices_in_the_requested_currency_and_restricts_redirects() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let plan = plan(&app, "500 credits").await;
    let ask = async |more: support::Value| {
        let mut body = json!({ "plan_id": plan, "gateway": "demo" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        anna.post("/r1/payments/checkout", body).await
    };
    for (currency, amount) in [("VND", 149_000), ("JPY", 900), ("usd", 600)] {
        let id = ask(json!({ "currency": currency })).await.data_with(201)["payment_id"].as_str().unwrap().to_owned();
        assert_eq!(payment(&anna, &id).await["amount"], amount);
    }
    for currency in ["EUR", "XXX", ""] {
        ask(json!({ "currency": currency })).await.names_field("currency");
    }
    let twice = format!("{}//evil.example", app.url());
    for url in [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "/plans/..//evil.example",
        "/%2e%2e//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        twice.as_str(),
    ] {
        ask(json!({ "return_url": url })).await.names_field("return_url");
    }
    let back = ask(json!({ "return_url": "/plans?tab=1" })).await.data_with(201);
    let id = back["payment_id"].as_str().unwrap();
    let answer = anna.get(&format!("/r1/payments/callback/demo?payment={id}")).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/plans?tab=1&payment={id}").as_str())));
    assert_eq!(status(&anna, id).await, "pending", "the browser's return proves nothing");
    // Paths that were stored before the validation existed are not used for redirects either.
    app.database.run("UPDATE payments SET return_path = '//evil.example' WHERE return_path LIKE '/plans%'").await;
    let answer = anna.get(&format!("/r1/payments/callback/demo?payment={id}")).await;
    assert_eq!(answer.header("location"), Some(format!("/plans/result?payment={id}").as_str()));
}

#[tokio::test]
async fn charges_a_subscription_per_period() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let body = json!({ "plan_id": plan(&app, "Team").await, "gateway": "demo" });
    for _ in 0..2 {
        let begun = anna.post("/r1/payments/checkout", body.clone()).await.data_with(201);
        let end = format!("/r1/payments/{}/demo", begun["payment_id"].as_str().unwrap());
        assert_eq!(anna.post(&end, json!({ "outcome": "paid" })).await.data()["status"], "paid");
    }
    let mine = anna.get("/r1/entitlements/me").await.data();
    assert_eq!((&mine["plan"]["name"], &mine["plan"]["cancel_at"]), (&json!("Team"), &json!(null)));
    assert_eq!(mine["credits"]["balance"], 4_000_000_000_i64);
    let receipts = anna.get("/r1/payments").await.data();
    let mut receipts: Vec<&str> =
        receipts["items"].as_array().unwrap().iter().map(|one| one["receipt"].as_str().unwrap()).collect();
    receipts.sort_unstable();
    assert!(receipts[0].ends_with("-0001") && receipts[1].ends_with("-0002"), "{receipts:?}");
    adds_up(&app).await;
}

#[tokio::test]
async fn sold_plans_are_immutable() {
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let price = json!([{ "currency": "usd", "amount": 100 }]);
    let new = json!({ "name": "Small", "kind": "credits", "prices": price.clone(), "credits": 7_000_000 });
    let made = admin.post("/r1/admin/pricing_plans", new).await.data_with(201);
    let path = |plan: &support::Value| format!("/r1/admin/pricing_plans/{}", plan["id"].as_str().unwrap());
    // The price has changed since it was shown to the payer.
    let shown = json!({ "plan_id": made["id"], "gateway": "demo", "price": { "currency": "USD", "amount": 100 } });
    admin.patch(&path(&made), json!({ "prices": [{ "currency": "USD", "amount": 120 }] })).await.data();
    let refused = anna.post("/r1/payments/checkout", shown.clone()).await;
    refused.refused(409, "plan_changed");
    assert_eq!(anna.get("/r1/payments").await.data()["total"], 0);
    admin.patch(&path(&made), json!({ "prices": price })).await.data();
    let changed = admin.patch(&path(&made), json!({ "credits": 8_000_000 })).await.data();
    assert_eq!(
        (&changed["id"], &changed["credits"]),
        (&made["id"], &json!(8_000_000)),
        "unsold plans are edited in place"
    );
    let body = shown;
    let begun = anna.post("/r1/payments/checkout", body.clone()).await.data_with(201);
    let newer = admin.patch(&path(&made), json!({ "credits": 9_000_000 })).await.data();
    assert_ne!(newer["id"], made["id"]);
    anna.post("/r1/payments/checkout", body).await.refused(409, "plan_changed");
    let end = format!("/r1/payments/{}/demo", begun["payment_id"].as_str().unwrap());
    anna.post(&end, json!({ "outcome": "paid" })).await.data();
    assert_eq!(credits(&anna).await, 8, "the buyer gets the offered credits");
    for bad in [
        json!({ "prices": [] }),
        json!({ "prices": [{ "currency": "XXX", "amount": 1 }] }),
        json!({ "prices": [{ "currency": "USD", "amount": 0 }] }),
        json!({ "prices": [{ "currency": "USD", "amount": 1 }, { "currency": "usd", "amount": 2 }] }),
    ] {
        admin.patch(&path(&newer), bad).await.names_field("prices");
    }
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn disabling_a_payment_method_applies_on_all_instances() {
        let app = setup().instances(2).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        anna.patch("/r1/admin/gateways/demo", json!({ "enabled": false })).await.refused(403, "forbidden");
        admin.patch("/r1/admin/gateways/stripe", json!({ "enabled": false })).await.refused(404, "not_found");
        let id = begun(&app, &anna, "demo").await;
        let switched = admin.patch("/r1/admin/gateways/demo", json!({ "enabled": false })).await.data();
        assert_eq!(switched["enabled"], false);
        for instance in &app.instances {
            let elsewhere = anna.at(&instance.url());
            support::wait_until("the payment method is disabled", || async {
                check_out(&app, &elsewhere, "demo", &support::new_id()).await.status == 409
            })
            .await;
        }
        // Payments that were already started can be completed.
        assert_eq!(
            anna.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data()["status"],
            "paid"
        );
        admin.patch("/r1/admin/gateways/demo", json!({ "enabled": true })).await.data();
        begun(&app, &anna, "demo").await;
    }
}

//! Payment methods that are saved without a purchase, and purchases with them.

use support::{Application, Member, Setup, Value, json};

use super::{
    adds_up, credits,
    fake::{Fake, Kind, Mood, Outcome, stripe_signed},
    payment, plan, status,
};

async fn begun(payer: &Member, gateway: &str) -> Value {
    payer.post("/r1/payment_methods/setups", json!({ "gateway": gateway })).await.data_with(201)
}

async fn setup(payer: &Member, id: &Value) -> Value {
    payer.get(&format!("/r1/payment_methods/setups/{}", id.as_str().unwrap())).await.data()
}

/// Saves a card at the demo gateway.
async fn save(payer: &Member, outcome: &str) -> Value {
    let id = begun(payer, "demo").await["setup_id"].clone();
    let path = format!("/r1/payment_methods/setups/{}/demo", id.as_str().unwrap());
    payer.post(&path, json!({ "outcome": outcome })).await.data()
}

/// Buys 500 credits with a saved payment method.
async fn buy(app: &Application, payer: &Member, method: &Value, key: &str) -> support::Answer {
    let body = json!({ "plan_id": plan(app, "500 credits").await, "payment_method_id": method });
    let request = payer.request(reqwest::Method::POST, "/r1/payments/checkout");
    payer.send(request.header("idempotency-key", key).json(&body)).await
}

async fn kept(payer: &Member) -> Vec<Value> {
    payer.get("/r1/payment_methods").await.data()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn saves_a_card_without_a_purchase_and_charges_it() {
    let app = Setup::new().set("payment.demo.enabled", true).start().await;
    let (anna, ben) = (app.sign_up("Anna").await, app.sign_up("Ben").await);
    let gateways = anna.get("/r1/payment_gateways").await.data();
    assert_eq!(gateways["items"][0]["saves_methods"], true);
    let new = begun(&anna, "demo").await;
    let page = format!("/plans/demo?setup={}", new["setup_id"].as_str().unwrap());
    assert!(new["redirect_url"].as_str().unwrap().ends_with(&page), "{new}");
    assert_eq!(setup(&anna, &new["setup_id"]).await["status"], "open");
    let path = format!("/r1/payment_methods/setups/{}", new["setup_id"].as_str().unwrap());
    ben.get(&path).await.refused(404, "not_found");
    ben.post(&format!("{path}/demo"), json!({ "outcome": "saved" })).await.refused(404, "not_found");
    anna.post(&format!("{path}/demo"), json!({ "outcome": "whatever" })).await.names_field("outcome");
    let saved = anna.post(&format!("{path}/demo"), json!({ "outcome": "saved" })).await.data();
    let card = saved["method"]["id"].clone();
    assert_eq!((&saved["status"], &saved["method"]["is_default"]), (&json!("saved"), &json!(true)));
    // A method that is saved stays saved.
    let again = anna.post(&format!("{path}/demo"), json!({ "outcome": "failed" })).await.data();
    assert_eq!((&again["status"], &again["method"]["id"]), (&json!("saved"), &card));
    assert_eq!(save(&anna, "failed").await["status"], "failed");
    assert_eq!(anna.get("/r1/payments").await.data()["total"], 0, "nothing was bought");

    for _ in 0..2 {
        let bought = buy(&app, &anna, &card, "key-1").await.data_with(201);
        let result = format!("/plans/result?payment={}", bought["payment_id"].as_str().unwrap());
        assert!(bought["redirect_url"].as_str().unwrap().ends_with(&result), "{bought}");
        assert_eq!(
            (&bought["status"], credits(&anna).await),
            (&json!("paid"), 500),
            "the same key is the same payment"
        );
    }
    buy(&app, &ben, &card, "key-1").await.refused(404, "not_found");
    let body = json!({ "plan_id": plan(&app, "500 credits").await });
    anna.post("/r1/payments/checkout", body.clone()).await.names_field("gateway");
    let mut other = body;
    (other["payment_method_id"], other["gateway"]) = (card.clone(), json!("stripe"));
    anna.post("/r1/payments/checkout", other).await.names_field("gateway");

    let declined = save(&anna, "saved_declined").await["method"].clone();
    assert_eq!((&declined["is_default"], kept(&anna).await.len()), (&json!(false), 2));
    let bought = buy(&app, &anna, &declined["id"], "key-2").await.data_with(201);
    assert_eq!((&bought["status"], credits(&anna).await), (&json!("failed"), 500));

    let confirmed = save(&anna, "saved_confirm").await["method"]["id"].clone();
    let bought = buy(&app, &anna, &confirmed, "key-3").await.data_with(201);
    let id = bought["payment_id"].as_str().unwrap();
    assert!(bought["redirect_url"].as_str().unwrap().ends_with(&format!("/plans/demo?payment={id}")), "{bought}");
    assert_eq!(
        (&bought["status"], credits(&anna).await),
        (&json!("pending"), 500),
        "the payer has to confirm the charge"
    );
    anna.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data();
    assert_eq!((status(&anna, id).await.as_str(), credits(&anna).await), ("paid", 1_000));

    let path = |method: &Value| format!("/r1/payment_methods/{}", method.as_str().unwrap());
    let chosen = anna.post(&format!("{}/default", path(&confirmed)), json!({})).await.data();
    assert_eq!(chosen["is_default"], true);
    let defaults = async || -> Vec<Value> {
        kept(&anna).await.into_iter().filter(|one| one["is_default"] == true).map(|one| one["id"].clone()).collect()
    };
    assert_eq!(defaults().await, std::slice::from_ref(&confirmed));
    anna.delete(&path(&confirmed)).await.data();
    assert_eq!(defaults().await, [declined["id"].clone()], "the newest card replaces it");
    for method in [&declined["id"], &card] {
        anna.delete(&path(method)).await.data();
    }
    assert!(kept(&anna).await.is_empty());
    anna.post("/r1/payment_methods/setups", json!({ "gateway": "paypal" })).await.refused(409, "gateway_off");
    adds_up(&app).await;
}

#[tokio::test]
async fn keeps_the_only_card_of_a_renewing_plan_until_replaced() {
    let app = Setup::new().set("payment.demo.enabled", true).start().await;
    let anna = app.sign_up("Anna").await;
    let first = save(&anna, "saved").await["method"]["id"].clone();
    let body = json!({ "plan_id": plan(&app, "Team").await, "payment_method_id": first });
    assert_eq!(anna.post("/r1/payments/checkout", body).await.data_with(201)["status"], "paid");
    let held = async || anna.get("/r1/subscription").await.data()["subscription"].clone();
    support::wait_until("the subscription's card is saved", || async { held().await["method"]["id"] == first }).await;
    let path = format!("/r1/payment_methods/{}", first.as_str().unwrap());
    anna.delete(&path).await.refused(409, "wrong_state");
    let second = save(&anna, "saved_confirm").await["method"]["id"].clone();
    assert_eq!(held().await["method"]["id"], first, "another saved card changes nothing");
    anna.delete(&path).await.data();
    assert_eq!((&held().await["method"]["id"], kept(&anna).await.len()), (&second, 1));
    // For a larger amount, the payer confirms the charge, since they are present.
    let plans = anna.get("/r1/pricing_plans").await.data();
    let studio = plans["items"].as_array().unwrap().iter().find(|one| one["name"] == "Studio").unwrap()["id"].clone();
    let changed = anna.post("/r1/subscription/change", json!({ "plan_id": studio })).await.data();
    assert_eq!(changed["subscription"]["plan"]["name"], "Team", "not paid yet");
    let id = changed["payment_id"].as_str().unwrap();
    assert!(changed["redirect_url"].as_str().unwrap().ends_with(&format!("/plans/demo?payment={id}")), "{changed}");
    anna.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data();
    assert_eq!(held().await["plan"]["name"], "Studio");
    anna.post("/r1/subscription/cancel", json!({})).await.data();
    anna.delete(&format!("/r1/payment_methods/{}", second.as_str().unwrap())).await.data();
    assert_eq!(held().await["method"], json!(null));
    adds_up(&app).await;
}

#[tokio::test]
async fn saves_a_stripe_card_and_handles_charge_confirmation() {
    let fake = Fake::start(Kind::Stripe).await;
    let app = fake.configure(Setup::new().set("payment.reconcile_after", 3_600)).start().await;
    let anna = app.sign_up("Anna").await;
    let new = begun(&anna, "stripe").await;
    let id = new["setup_id"].as_str().unwrap();
    let back = format!("/r1/payment_methods/callback/stripe?setup={id}");
    let page = format!("/plans/billing?setup={id}");
    assert_eq!(anna.get(&back).await.header("location"), Some(page.as_str()));
    assert_eq!(setup(&anna, &new["setup_id"]).await["status"], "open", "the browser's return proves nothing");
    fake.say(Outcome::Paid);
    let told = |livemode: bool, event: &str| {
        stripe_signed(json!({
            "id": event, "type": "checkout.session.completed", "livemode": livemode,
            "data": { "object": { "id": format!("cs_setup_{id}"), "mode": "setup", "client_reference_id": id } },
        }))
    };
    assert_eq!(told(true, "evt_live").send(&app).await.status, 200);
    let saved = told(false, "evt_1");
    let answers = futures_util::future::join_all((0..20).map(|_| saved.send(&app))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    support::wait_until("the card is saved", || async { setup(&anna, &new["setup_id"]).await["status"] == "saved" })
        .await;
    let cards = kept(&anna).await;
    assert_eq!((cards.len(), &cards[0]["last4"], &cards[0]["is_default"]), (1, &json!("4444"), &json!(true)));
    fake.say(Outcome::Open);
    let bought = buy(&app, &anna, &cards[0]["id"], "key-1").await.data_with(201);
    assert_eq!((&bought["status"], credits(&anna).await, fake.charges()), (&json!("paid"), 500, (1, 0)));

    fake.wants_payer(true);
    for (key, outcome, became, then) in
        [("key-2", Outcome::Paid, "paid", 1_000), ("key-3", Outcome::Failed, "failed", 1_000)]
    {
        fake.say(Outcome::Open);
        let bought = buy(&app, &anna, &cards[0]["id"], key).await.data_with(201);
        assert_eq!(bought["status"], "pending");
        assert!(bought["redirect_url"].as_str().unwrap().starts_with("https://bank.test/pi_"), "{bought}");
        let again = buy(&app, &anna, &cards[0]["id"], key).await.data_with(201);
        assert_eq!(again, bought, "the same key returns the same charge");
        let id = bought["payment_id"].as_str().unwrap();
        let back = format!("/r1/payments/callback/stripe?payment={id}");
        anna.get(&back).await;
        assert_eq!(status(&anna, id).await, "pending", "the browser's return proves nothing");
        fake.say(outcome);
        assert_eq!(anna.get(&back).await.header("location"), Some(format!("/plans/result?payment={id}").as_str()));
        assert_eq!((status(&anna, id).await.as_str(), credits(&anna).await), (became, then));
    }
    fake.wants_payer(false);
    fake.say(Outcome::Failed);
    let bought = buy(&app, &anna, &cards[0]["id"], "key-4").await.data_with(201);
    assert_eq!((&bought["status"], credits(&anna).await), (&json!("failed"), 1_000));

    // If the API key is wrong, that says nothing about the card.
    fake.say(Outcome::Open);
    fake.mood(Mood::Unauthorized);
    buy(&app, &anna, &cards[0]["id"], "key-5").await.refused(503, "unavailable");
    assert_eq!(anna.get("/r1/payments").await.data()["items"][0]["status"], "created");
    fake.mood(Mood::Well);
    let bought = buy(&app, &anna, &cards[0]["id"], "key-5").await.data_with(201);
    assert_eq!((&bought["status"], credits(&anna).await), (&json!("paid"), 1_500));
    adds_up(&app).await;
}

#[tokio::test]
async fn charges_once_if_the_response_is_lost_while_the_payer_waits() {
    for part in ["POST /v1/payment_intents ", "/confirm"] {
        let fake = Fake::start(Kind::Stripe).await;
        let setup_of = Setup::new().set("payment.reconcile_every", 1).set("payment.reconcile_after", 1);
        let mut app = fake.configure(setup_of).start().await;
        let anna = app.sign_up("Anna").await;
        let new = begun(&anna, "stripe").await;
        fake.say(Outcome::Paid);
        support::wait_until("the card is saved", || async {
            setup(&anna, &new["setup_id"]).await["status"] == "saved"
        })
        .await;
        let card = kept(&anna).await[0]["id"].clone();
        fake.silent_at(Some(part));
        let plan = plan(&app, "500 credits").await;
        let request = anna
            .request(reqwest::Method::POST, "/r1/payments/checkout")
            .header("idempotency-key", "key-1")
            .json(&json!({ "plan_id": plan, "payment_method_id": card }));
        let waiting = tokio::spawn(request.send());
        support::wait_until("the gateway is called", || async { fake.asked(part) > 0 }).await;
        app.instances[0].kill().await;
        assert!(waiting.await.unwrap().is_err());
        fake.silent_at(None);
        app.instances[0].start_again().await;
        let bought = buy(&app, &anna, &card, "key-1").await.data_with(201);
        let id = bought["payment_id"].as_str().unwrap();
        support::wait_until("the payment is paid", || async { status(&anna, id).await == "paid" }).await;
        assert_eq!((fake.charges(), credits(&anna).await), ((1, 0), 500), "{part}");
        assert_eq!(payment(&anna, id).await["amount"], 600);
        adds_up(&app).await;
    }
}

//! Plans, credits and payments.

mod charging;
mod demo;
mod fake;
mod gateways;

use support::{Answer, Application, Member, Value, json};

/// The plan with 500 credits, from those that are there at first.
async fn plan(app: &Application, name: &str) -> String {
    let plans = app.anonymous().0.get("/r1/pricing_plans").await.data();
    let found = plans["items"].as_array().unwrap().iter().find(|plan| plan["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{plans}"))["id"].as_str().unwrap().to_owned()
}

async fn check_out(app: &Application, payer: &Member, gateway: &str, key: &str) -> Answer {
    let body = json!({ "plan_id": plan(app, "500 credits").await, "gateway": gateway });
    let request = payer.request(reqwest::Method::POST, "/r1/payments/checkout");
    payer.send(request.header("idempotency-key", key).json(&body)).await
}

/// A payment that has begun.
async fn begun(app: &Application, payer: &Member, gateway: &str) -> String {
    let begun = check_out(app, payer, gateway, &support::new_id()).await.data_with(201);
    begun["payment_id"].as_str().unwrap().to_owned()
}

async fn payment(payer: &Member, id: &str) -> Value {
    payer.get(&format!("/r1/payments/{id}")).await.data()
}

async fn status(payer: &Member, id: &str) -> String {
    payment(payer, id).await["status"].as_str().unwrap().to_owned()
}

/// Whole credits.
async fn credits(payer: &Member) -> i64 {
    let micro = payer.get("/r1/entitlements/me").await.data()["credits"]["balance"].as_i64().unwrap();
    assert_eq!(micro % 1_000_000, 0);
    micro / 1_000_000
}

/// What the program says of its ledger.
async fn adds_up(app: &Application) {
    let output = app.command(&["admin", "ledger", "verify"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("everything adds up"), "{said}");
}

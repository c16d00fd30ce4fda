//! Plans, credits and payments.

mod assistants;
mod balances;
mod charging;
mod claims;
mod cluster;
mod demo;
mod drawn;
mod fake;
mod gateways;
mod killed;
mod papers;
mod periods;
mod refunds;
mod samples;
mod saved;
mod storms;
mod subscriptions;
mod workspaces;

use support::{Answer, Application, Member, Value, json};

pub(crate) use samples::sample_calls;

/// Returns the id of the plan with this name, such as the one with 500 credits that exists from the
/// start.
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

/// Starts a payment and returns its id.
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

/// Buys a plan with the demo gateway.
async fn buy(payer: &Member, body: Value, outcome: &str) {
    let begun = payer.post("/r1/payments/checkout", body).await.data_with(201);
    let end = format!("/r1/payments/{}/demo", begun["payment_id"].as_str().unwrap());
    assert_eq!(payer.post(&end, json!({ "outcome": outcome })).await.data()["status"], "paid");
}

/// Returns the balance in whole credits.
async fn credits(payer: &Member) -> i64 {
    let micro = payer.get("/r1/entitlements/me").await.data()["credits"]["balance"].as_i64().unwrap();
    assert_eq!(micro % 1_000_000, 0);
    micro / 1_000_000
}

/// Query for the number of years in which a document number is missing or used twice.
const GAPS: &str = "SELECT COUNT(*) FROM (SELECT year FROM (\
    SELECT receipt_year AS year, receipt_number AS number FROM payments WHERE receipt_number IS NOT NULL \
    UNION ALL SELECT credit_note_year, credit_note_number FROM payment_refunds WHERE credit_note_number IS NOT NULL) AS papers \
    GROUP BY year HAVING COUNT(DISTINCT number) <> MAX(number) OR COUNT(*) <> MAX(number)) AS years";

/// Checks the ledger with the program's own command, and checks that document numbers have no gaps.
async fn adds_up(app: &Application) {
    assert_eq!(app.database.number(GAPS).await, 0, "document numbers have gaps");
    let output = app.command(&["admin", "ledger", "verify"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("are consistent"), "{said}");
}

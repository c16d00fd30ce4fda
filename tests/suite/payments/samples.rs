use support::{Value, json, new_id};

use crate::endpoints::{Args, SampleCall, World, create, plain, sample};

async fn plans(world: &World) -> Vec<Value> {
    world.owner.get("/r1/pricing_plans").await.data()["items"].as_array().unwrap().clone()
}

async fn first_plan(world: &World) -> Value {
    plans(world).await[0]["id"].clone()
}

async fn new_payment(world: &World) -> Value {
    json!({ "plan_id": first_plan(world).await, "gateway": "demo" })
}

/// Creates a payment of the owner that isn't paid.
async fn payment(world: &World) -> String {
    let begun = world.owner.post("/r1/payments/checkout", new_payment(world).await).await.data_with(201);
    begun["payment_id"].as_str().unwrap().to_owned()
}

async fn paid(world: &World) -> String {
    let id = payment(world).await;
    world.owner.post(&format!("/r1/payments/{id}/demo"), json!({ "outcome": "paid" })).await.data_with(200);
    id
}

async fn setup_of_method(world: &World) -> String {
    let begun = world.owner.post("/r1/payment_methods/setups", json!({ "gateway": "demo" })).await.data_with(201);
    begun["setup_id"].as_str().unwrap().to_owned()
}

fn new_plan() -> Value {
    let prices = json!([{ "currency": "USD", "amount": 100 }]);
    json!({ "name": "Small", "kind": "credits", "prices": prices, "credits": 1_000_000 })
}

pub(crate) fn sample_calls() -> Vec<SampleCall> {
    [credits(), payments(), subscriptions(), payment_methods(), administration()].into_iter().flatten().collect()
}

fn credits() -> Vec<SampleCall> {
    vec![
        plain(&["ReadEntitlements", "ListLedgerEntries", "ExportLedger", "ReadCreditSettings", "RemoveTopUp"]),
        plain(&["ExportAnyLedger", "ReadRevenue"]),
        sample(&["ReadWorkspaceEntitlements"], async |world| Args::id(&world.workspace)),
        sample(&["SetLowBalance"], async |_| Args::body(json!({ "threshold": 1_000_000 }))),
        sample(&["SetTopUp"], async |world| {
            let plans = plans(world).await;
            let plan = plans.iter().find(|plan| plan["kind"] == "credits").unwrap();
            let (plan, method) = (&plan["id"], new_id());
            Args::body(json!({ "plan_id": plan, "method_id": method, "threshold": 1, "monthly_limit": 1_000_000 }))
        }),
        sample(&["ListLedgerOf"], async |world| Args::default().with_query(format!("?user_id={}", world.third.id))),
        sample(&["GiveCredits"], async |world| {
            Args::body(json!({ "user_id": world.third.id, "amount": 1_000_000, "reason": "A present" }))
        }),
    ]
}

fn payments() -> Vec<SampleCall> {
    vec![
        plain(&["ListPlans", "ListPaymentGateways", "ListPayments", "ReadBillingDetails"]),
        sample(&["BeginPayment"], async |world| Args::body(new_payment(world).await)),
        sample(&["ReadPayment"], async |world| Args::id(payment(world).await)),
        sample(&["EndDemoPayment"], async |world| {
            Args::id(payment(world).await).with_body(json!({ "outcome": "paid" }))
        }),
        sample(&["FinishPayment"], async |_| Args::default().with("gateway", "demo")),
        sample(&["ReceivePaymentEvent"], async |_| Args::body(json!({ "id": "forged" })).with("gateway", "demo")),
        // This gateway is switched off.
        sample(&["ReceivePaymentEventByQuery"], async |_| Args::default().with("gateway", "vnpay")),
        sample(&["ReadReceipt"], async |world| Args::id(paid(world).await)),
        // The payment was never refunded, so it has no credit note.
        sample(&["ReadCreditNote"], async |world| Args::id(paid(world).await).with("number", "2026-9999")),
        sample(&["ChangeBillingDetails"], async |_| Args::body(json!({ "name": "Anna Ltd", "country": "VN" }))),
    ]
}

fn subscriptions() -> Vec<SampleCall> {
    vec![
        plain(&["ReadSubscription"]),
        sample(&["BeginTrial"], async |world| Args::body(json!({ "plan_id": first_plan(world).await }))),
        sample(&["PreviewSubscriptionChange", "ChangeSubscription"], async |world| {
            Args::body(json!({ "plan_id": first_plan(world).await, "workspace_id": world.workspace }))
        }),
        // The workspace has no subscription.
        sample(&["CancelSubscription", "ResumeSubscription", "PaySubscription"], async |world| {
            Args::body(json!({ "workspace_id": world.workspace }))
        }),
    ]
}

fn payment_methods() -> Vec<SampleCall> {
    vec![
        plain(&["ListPaymentMethods"]),
        // The owner has no saved payment method.
        sample(&["RemovePaymentMethod"], async |_| Args::id(new_id())),
        sample(&["UsePaymentMethod"], async |world| {
            Args::id(new_id()).with_body(json!({ "workspace_id": world.workspace }))
        }),
        sample(&["OpenPaymentPortal"], async |world| Args::body(json!({ "workspace_id": world.workspace }))),
        sample(&["BeginPaymentMethodSetup"], async |_| Args::body(json!({ "gateway": "demo" }))),
        sample(&["ReadPaymentMethodSetup"], async |world| Args::id(setup_of_method(world).await)),
        sample(&["EndDemoPaymentMethodSetup"], async |world| {
            Args::id(setup_of_method(world).await).with_body(json!({ "outcome": "saved" }))
        }),
        sample(&["FinishPaymentMethodSetup"], async |_| Args::default().with("gateway", "demo")),
    ]
}

fn administration() -> Vec<SampleCall> {
    vec![
        plain(&["ListAllPlans", "ListAllPayments", "ListSubscriptions", "ListPaymentDifferences", "ListAdminGateways"]),
        sample(&["CreatePlan"], async |_| Args::body(new_plan())),
        sample(&["ChangePlan"], async |world| {
            let plan = create(&world.admin, "/r1/admin/pricing_plans", new_plan()).await;
            Args::id(plan).with_body(json!({ "credits": 2_000_000 }))
        }),
        sample(&["ReadAnyPayment", "ReconcilePayment"], async |world| Args::id(payment(world).await)),
        sample(&["ReleasePayment"], async |world| {
            Args::id(payment(world).await).with_body(json!({ "decision": "asked", "reason": "Looked at" }))
        }),
        sample(&["RefundPayment"], async |world| {
            Args::id(paid(world).await).with_body(json!({ "reason": "Bought by mistake" }))
        }),
        // The payment was never refunded.
        sample(&["DecideRefund"], async |world| {
            let body = json!({ "decision": "done", "reason": "Looked at" });
            Args::id(payment(world).await).with("refund_id", new_id()).with_body(body)
        }),
        // The comparison has found no difference.
        sample(&["ClosePaymentDifference"], async |_| Args::id(new_id()).with_body(json!({ "note": "Seen to" }))),
        sample(&["TestGateway"], async |_| Args::default().with("name", "demo")),
        sample(&["SwitchGateway"], async |_| Args::body(json!({ "enabled": true })).with("name", "demo")),
    ]
}

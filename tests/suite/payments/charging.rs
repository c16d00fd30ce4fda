//! Payment of AI usage from credits.

use support::{Application, Caller, Credentials, Member, Setup, Upstream, UpstreamKind, Value, json, wait_until};

use super::adds_up;

struct Stage {
    app: Application,
    _upstream: Upstream,
    admin: Member,
    anna: Member,
    program: Caller,
}

/// Starts a stage with a user, a program of the user, and a model that costs one micro-credit per
/// token.
async fn stage() -> Stage {
    let upstream = Upstream::start(UpstreamKind::OpenAi).await;
    let app = Setup::new().provider(&upstream).set("payment.demo.enabled", true).start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let price = json!({ "input": 1_000_000, "output": 1_000_000 });
    admin.put("/r1/admin/models/small", json!({ "price": price })).await.data();
    let key = anna.post("/r1/api_keys", json!({ "name": "A program", "scopes": ["gateway"] })).await.data_with(201);
    let program = Caller::new(&app.url(), Credentials::Bearer(key["key"].as_str().unwrap().to_owned()));
    Stage { app, _upstream: upstream, admin, anna, program }
}

fn question(most: u64) -> Value {
    json!({ "model": "small", "max_tokens": most, "messages": [{ "role": "user", "content": "Hello?" }] })
}

impl Stage {
    async fn give(&self, amount: i64) {
        let body = json!({ "user_id": self.anna.id, "amount": amount, "reason": "A present" });
        self.admin.post("/r1/admin/credits", body).await.data();
    }

    /// Returns Anna's balance after all calls have been booked.
    async fn credits(&self) -> Value {
        self.anna.get("/r1/usage").await.data();
        self.anna.get("/r1/entitlements/me").await.data()["credits"].clone()
    }

    /// Returns the balance when no credits are reserved any more. A reservation is released after
    /// the answer.
    async fn settled(&self) -> Value {
        wait_until("no credits are reserved", async || self.credits().await["held"] == 0).await;
        self.credits().await
    }
}

#[tokio::test]
async fn refuses_calls_without_credits_and_charges_once_with_them() {
    let stage = stage().await;
    for (path, status, kind) in [
        ("/v1/chat/completions", 429, "insufficient_quota"),
        ("/v1/responses", 429, "insufficient_quota"),
        ("/v1/messages", 402, "billing_error"),
    ] {
        let refused = stage.program.post(path, question(100)).await;
        assert_eq!((refused.status, &refused.body["error"]["type"]), (status, &json!(kind)), "{refused:?}");
        let sentence = refused.body["error"]["message"].as_str().unwrap();
        assert_eq!(
            sentence, "You don't have enough credits for this. Buy some at /plans.",
            "the refusal names the remedy"
        );
    }
    let chat = stage.anna.open_assistant().await;
    stage.anna.send_as(&chat, &support::new_id(), "Hello").await.refused(402, "out_of_credits");

    stage.give(1_000_000).await;
    let answer = stage.program.post("/v1/chat/completions", question(100)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cost: i64 = answer.header("x-natter-cost").unwrap().parse().unwrap();
    let left = stage.settled().await;
    assert_eq!((&left["balance"], &left["owed"]), (&json!(1_000_000 - cost), &json!(0)));
    let entries = stage.anna.get("/r1/ledger").await.data();
    let settled: Vec<&Value> =
        entries["items"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "settle").collect();
    assert_eq!((settled.len(), &settled[0]["amount"]), (1, &json!(-cost)));
    adds_up(&stage.app).await;
}

#[tokio::test]
async fn two_hundred_concurrent_calls_on_credits_for_ten_never_overdraw() {
    let stage = stage().await;
    let most = 1_000;
    // The maximum cost of a call is that of its output limit and of the tokens of its question.
    stage.give(10 * (most + 50)).await;
    let calls = (0..200).map(|_| stage.program.post("/v1/chat/completions", question(most.unsigned_abs())));
    let answers = futures_util::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    assert!(served >= 1 && served + refused == 200, "{served} {refused}");
    let left = stage.settled().await;
    assert!(left["balance"].as_i64().unwrap() >= 0 && left["owed"] == 0, "{left}");
    adds_up(&stage.app).await;
}

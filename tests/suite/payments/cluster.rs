//! Credits of one user are spent on two instances, and one of these is killed.

use futures_util::future::join_all;
use support::{
    Application, Behaviour, Bus, Caller, Credentials, Engine, Member, Setup, Stop, Upstream, UpstreamKind, Value, json,
    new_id, wait_until,
};

use super::adds_up;

/// Cost of a call or an answer, in micro-credits. It equals the reserved amount.
const ONE: i64 = 64;

struct Stage {
    app: Application,
    upstream: Upstream,
    anna: Member,
    /// Anna's program, once for each instance.
    programs: Vec<Caller>,
}

impl Stage {
    /// Starts two instances with a model that costs one micro-credit per output token, and a user
    /// who has credits for this number of calls.
    async fn start(calls: i64) -> Self {
        Self::with(Setup::new().instances(2), calls).await
    }

    async fn with(setup: Setup, calls: i64) -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let setup = setup.provider(&upstream).set("payment.demo.enabled", true);
        let app = setup.set("gateway.assumed_output", ONE).set("holds.expiry", 5).start().await;
        let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
        let price = json!({ "input": 0, "output": 1_000_000 });
        admin.put("/r1/admin/models/small", json!({ "price": price })).await.data();
        let credits = json!({ "user_id": anna.id, "amount": calls * ONE, "reason": "A present" });
        admin.post("/r1/admin/credits", credits).await.data();
        let key = anna.post("/r1/api_keys", json!({ "name": "A program", "scopes": ["gateway"] })).await.data_with(201);
        let bearer = || Credentials::Bearer(key["key"].as_str().unwrap().to_owned());
        let programs = app.instances.iter().map(|instance| Caller::new(&instance.url(), bearer())).collect();
        Self { app, upstream, anna, programs }
    }

    async fn call(&self, instance: usize) -> u16 {
        self.programs[instance].post("/v1/chat/completions", question()).await.status
    }

    async fn credits(&self) -> Value {
        self.anna.get("/r1/entitlements/me").await.data()["credits"].clone()
    }

    async fn is_over(&self, balance: i64) {
        wait_until("no credits are reserved", || async {
            let credits = self.credits().await;
            credits["held"] == 0 && credits["balance"] == balance
        })
        .await;
    }

    async fn credits_at(&self, instance: usize) -> Value {
        let anna = self.anna.at(&self.app.instances[instance].url());
        anna.get("/r1/entitlements/me").await.data()["credits"].clone()
    }

    /// Returns the index of the instance that generates an answer.
    async fn writer(&self) -> usize {
        for (number, instance) in self.app.instances.iter().enumerate() {
            let socket = self.anna.at(&instance.url()).connect().await;
            let id = socket.hello["instance_id"].as_str().unwrap();
            let leased = format!("SELECT count(*) FROM jobs WHERE status = 'running' AND leased_by = '{id}'");
            if self.app.database.number(&leased).await == 1 {
                return number;
            }
        }
        panic!("no instance writes an answer");
    }

    /// Returns the sum of the ledger entries of this kind.
    async fn booked(&self, kind: &str) -> i64 {
        self.app
            .database
            .number(&format!(
                "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries WHERE kind = '{kind}'"
            ))
            .await
    }
}

fn question() -> Value {
    json!({ "model": "small", "max_tokens": ONE, "stream": true, "messages": [{ "role": "user", "content": "Hello?" }] })
}

/// Answer that costs as much as was reserved for it.
fn whole() -> Behaviour {
    Behaviour::answer(&"a ".repeat(usize::try_from(ONE).unwrap()))
}

#[tokio::test]
async fn two_hundred_concurrent_chats_and_calls_spend_exactly_the_available_credits() {
    let stage = Stage::start(10).await;
    stage.upstream.always(whole());
    let chats = join_all((0..5).map(|_| stage.anna.open_assistant())).await;
    let asked = (0..200_usize).map(|number| {
        let (stage, chat) = (&stage, &chats[number % chats.len()]);
        async move {
            if number % 2 == 0 {
                let at = stage.anna.at(&stage.app.instances[number / 2 % 2].url());
                let sent = at.send_as(chat, &new_id(), "Hello").await;
                assert!(matches!(sent.status, 201 | 402 | 429), "{sent:?}");
                if sent.status == 402 {
                    sent.refused(402, "out_of_credits");
                    assert_eq!(sent.body["details"]["next"], "buy_credits", "{sent:?}");
                }
            } else {
                let status = stage.call(number / 2 % 2).await;
                assert!(matches!(status, 200 | 429), "{status}");
            }
        }
    });
    join_all(asked).await;
    // The reservations for questions that were not sent become available to other calls.
    wait_until("all credits are spent", || async {
        stage.call(0).await;
        stage.credits().await["balance"] == 0
    })
    .await;
    stage.is_over(0).await;
    assert_eq!(stage.credits().await["owed"], 0);
    assert_eq!((stage.booked("settle").await, stage.booked("owed").await), (10 * ONE, 0));
    let served = "SELECT COUNT(*) FROM usage_requests WHERE cost > 0";
    assert_eq!(stage.app.database.number(served).await, 10);
    adds_up(&stage.app).await;
}

#[tokio::test]
async fn releases_reservations_of_a_killed_instance_without_double_charging() {
    let mut stage = Stage::start(20).await;
    // Streams that the provider never ends.
    stage.upstream.always(Behaviour::stall("a "));
    let chat = stage.anna.open_assistant().await;
    stage.anna.send_message(&chat, "Hello").await;
    stage.upstream.wait_until_asked(1).await;
    let writer = stage.writer().await;
    let lost = stage.programs[writer].clone();
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let lost = lost.clone();
            tokio::spawn(async move {
                let request = lost.request(reqwest::Method::POST, "/v1/chat/completions").json(&question());
                lost.try_send(request).await.is_ok()
            })
        })
        .collect();
    stage.upstream.wait_until_asked(9).await;
    assert_eq!(stage.credits_at(1 - writer).await["held"], 9 * ONE);
    stage.upstream.always(whole());
    stage.app.instances[writer].kill().await;
    for call in calls {
        call.await.unwrap();
    }
    let left = 1 - writer;
    stage.anna = stage.anna.at(&stage.app.instances[left].url());
    // The other instance generates the answer, or starts it again; it is charged only once.
    stage.is_over(19 * ONE).await;
    let answers = stage.anna.history(&chat).await;
    assert_eq!(answers.iter().filter(|message| message["sender"]["kind"] == "assistant").count(), 1);
    assert_eq!((stage.booked("settle").await, stage.booked("owed").await), (ONE, 0));
    adds_up(&stage.app).await;
    // The whole balance can be spent.
    for _ in 0..19 {
        assert_eq!(stage.call(left).await, 200);
    }
    stage.is_over(0).await;
    adds_up(&stage.app).await;
}

#[tokio::test]
async fn publishes_balances_to_own_connections_on_other_instances_only() {
    let stage = Stage::start(10).await;
    stage.upstream.always(whole());
    let mut bus = Bus::listen(stage.app.redis.as_ref().unwrap()).await;
    for _ in 0..2 {
        assert_eq!(stage.call(0).await, 200);
        // The balance is queried at most once a second. If a cached value were published, it would
        // be before the next query.
        let heard = bus.until("WhoServes").await;
        assert!(!heard.iter().any(|message| message.contains("quota.updated")), "{heard:?}");
    }
    stage.is_over(8 * ONE).await;
    let mut socket = stage.anna.at(&stage.app.instances[1].url()).connect().await;
    assert_eq!(stage.call(0).await, 200);
    socket
        .find("what is left", |frame| frame.kind == "quota.updated" && frame.payload["credits"]["balance"] == 7 * ONE)
        .await;
}

/// Kind of work for which credits are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Call,
    Answer,
}

/// Transactions in the life of a reservation, each given by a change of a row.
const STEPS: [(Holder, &str, &str); 5] = [
    (Holder::Call, "credit_holds", "true"),
    (Holder::Call, "ledger_entries", "NEW.kind = 'settle'"),
    (Holder::Answer, "credit_holds", "true"),
    (Holder::Answer, "jobs", "NEW.kind = 'answer'"),
    (Holder::Answer, "ledger_entries", "NEW.kind = 'settle'"),
];

#[tokio::test]
async fn killing_an_instance_at_any_step_releases_its_reservations() {
    let mut stage = Stage::with(Setup::new().on(Engine::Postgres), 40).await;
    stage.upstream.always(whole());
    let cost = "SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM usage_requests";
    for (holder, table, row) in STEPS {
        for at in [Stop::BeforeCommit, Stop::InCommit] {
            let (chat, client_id) = (stage.anna.open_assistant().await, new_id());
            let (asks, path, body) = match holder {
                Holder::Call => (&stage.programs[0], "/v1/chat/completions".to_owned(), question()),
                Holder::Answer => {
                    let body = json!({ "client_id": client_id, "content": "Hello" });
                    (&*stage.anna, format!("/r1/conversations/{chat}/messages"), body)
                }
            };
            let request = asks.request(reqwest::Method::POST, &path).json(&body);
            let stopped = stage.app.database.stop("INSERT", table, row, at).await;
            let asked = tokio::spawn(async move { request.send().await?.bytes().await });
            stopped.reached().await;
            stage.app.instances[0].kill().await;
            // A call that has been settled was already answered.
            let _ = asked.await.unwrap();
            stopped.end().await;
            stage.app.instances[0].start_again().await;

            if holder == Holder::Answer {
                // A client that got no response sends the message again.
                let sent = stage.anna.send_as(&chat, &client_id, "Hello").await;
                assert!(matches!(sent.status, 200 | 201), "{table} {at:?} {sent:?}");
                wait_until("the question is answered", || async {
                    let answers = stage.anna.history(&chat).await;
                    answers.iter().any(|one| one["sender"]["kind"] == "assistant" && one["status"] == "complete")
                })
                .await;
                assert_eq!(stage.anna.history(&chat).await.len(), 2, "{table} {at:?}");
            }
            wait_until("no credits are reserved", || async { stage.credits().await["held"] == 0 }).await;
            let credits = stage.credits().await;
            let spent = stage.app.database.number(cost).await;
            assert_eq!(credits["balance"], 40 * ONE - spent, "{holder:?} {table} {at:?} {credits}");
            assert_eq!((&credits["owed"], stage.booked("owed").await), (&json!(0), 0), "{holder:?} {table} {at:?}");
            assert_eq!(stage.booked("settle").await, spent, "{holder:?} {table} {at:?}");
            adds_up(&stage.app).await;
        }
    }
}

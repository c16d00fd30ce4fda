//! Workspaces that pay from their own account, and the limits of plans.

use futures_util::future::join_all;
use support::{Application, Caller, Credentials, Member, Setup, Upstream, UpstreamKind, Value, json, wait_until};

use super::adds_up;

struct Stage {
    app: Application,
    upstream: Upstream,
    admin: Member,
    anna: Member,
    ben: Member,
    workspace: String,
}

impl Stage {
    /// Starts a stage with Anna's workspace, of which Ben is a member, and a model that costs one
    /// micro-credit per output token.
    async fn start(setup: Setup) -> Self {
        let upstream = Upstream::start(UpstreamKind::OpenAi).await;
        let setup = setup.provider(&upstream).set("payment.demo.enabled", true).set("gateway.assumed_output", 100);
        let app = setup.start().await;
        let (admin, anna, ben) = (app.admin().await, app.sign_up("Anna").await, app.sign_up("Ben").await);
        let price = json!({ "input": 0, "output": 1_000_000 });
        admin.put("/r1/admin/models/small", json!({ "price": price })).await.data();
        let workspace = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
        let workspace = workspace["id"].as_str().unwrap().to_owned();
        let stage = Self { app, upstream, admin, anna, ben, workspace };
        stage.add(&stage.ben, "member").await.data_with(201);
        stage
    }

    async fn add(&self, member: &Member, role: &str) -> support::Answer {
        let body = json!({ "user_id": member.id, "role": role });
        self.anna.post(&format!("/r1/workspaces/{}/members", self.workspace), body).await
    }

    /// Adds or removes credits, as an administrator.
    async fn give(&self, amount: i64) {
        let body = json!({ "workspace_id": self.workspace, "amount": amount, "reason": "A present" });
        self.admin.post("/r1/admin/credits", body).await.data();
    }

    /// Returns the balance of the workspace as this member sees it.
    async fn has(&self, member: &Member) -> Value {
        member.get(&format!("/r1/entitlements/workspaces/{}", self.workspace)).await.data()
    }

    async fn balance(&self) -> i64 {
        self.anna.get("/r1/usage").await.data();
        self.has(&self.anna).await["credits"]["balance"].as_i64().unwrap()
    }

    /// Creates a program of a member, with a key for the workspace or for the member's own account.
    async fn program(&self, member: &Member, instance: usize, in_workspace: bool) -> Caller {
        let mut body = json!({ "name": "A program", "scopes": ["gateway"] });
        if in_workspace {
            body["workspace_id"] = json!(self.workspace);
        }
        let key = member.post("/r1/api_keys", body).await.data_with(201);
        let bearer = Credentials::Bearer(key["key"].as_str().unwrap().to_owned());
        Caller::new(&self.app.instances[instance].url(), bearer)
    }

    /// Buys a plan with these quotas, which an administrator has created, at the demo gateway.
    async fn buy_room(&self, payer: &Member, quotas: Value, workspace: Option<&str>) {
        let price = json!([{ "currency": "USD", "amount": 100 }]);
        let new = json!({ "name": "Room", "kind": "subscription", "interval": "month", "prices": price, "credits": 0, "quotas": quotas });
        let plan = self.admin.post("/r1/admin/pricing_plans", new).await.data_with(201);
        let mut body = json!({ "plan_id": plan["id"], "gateway": "demo" });
        if let Some(id) = workspace {
            body["workspace_id"] = json!(id);
            body["seats"] = json!(2);
        }
        super::buy(payer, body, "paid").await;
    }
}

fn question(most: u64) -> Value {
    json!({ "model": "small", "max_tokens": most, "messages": [{ "role": "user", "content": "Hello?" }] })
}

async fn settled(member: &Member, query: &str) -> Vec<Value> {
    let entries = member.get(&format!("/r1/ledger{query}")).await.data();
    entries["items"].as_array().unwrap().iter().filter(|one| one["kind"] == "settle").cloned().collect()
}

#[tokio::test]
async fn a_workspace_pays_for_usage_inside_it_and_members_for_the_rest() {
    let stage = Stage::start(Setup::new()).await;
    let (anna, ben, workspace) = (&stage.anna, &stage.ben, &stage.workspace);
    let stranger = stage.app.sign_up("Cleo").await;
    let within = stage.program(ben, 0, true).await;
    let without = stage.program(ben, 0, false).await;
    assert_eq!(within.post("/v1/chat/completions", question(50)).await.status, 429, "neither account has credits");

    let credits = json!({ "plan_id": super::plan(&stage.app, "500 credits").await, "gateway": "demo", "workspace_id": workspace });
    ben.post("/r1/payments/checkout", credits.clone()).await.refused(404, "not_found");
    let mut seats = credits.clone();
    seats["seats"] = json!(2);
    anna.post("/r1/payments/checkout", seats).await.names_field("seats");
    super::buy(anna, credits, "paid").await;
    let (seen, by_ben) = (stage.has(anna).await, stage.has(ben).await);
    assert_eq!((&seen["pays"], &seen["credits"]["balance"]), (&json!(true), &json!(500_000_000)));
    assert_eq!((&by_ben["pays"], &by_ben["credits"]), (&json!(true), &json!(null)));
    stranger.get(&format!("/r1/entitlements/workspaces/{workspace}")).await.refused(404, "not_found");
    assert_eq!(super::credits(anna).await, 0, "the credits belong to the workspace");

    let answer = within.post("/v1/chat/completions", question(50)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let cost: i64 = answer.header("x-natter-cost").unwrap().parse().unwrap();
    assert_eq!(without.post("/v1/chat/completions", question(50)).await.status, 429, "no usage of the workspace");
    assert_eq!(stage.balance().await, 500_000_000 - cost);
    let chat = ben.post("/r1/conversations", json!({ "kind": "assistant", "workspace_id": workspace })).await.data();
    ben.send_message(chat["id"].as_str().unwrap(), "Hello?").await;
    let query = format!("?workspace_id={workspace}");
    wait_until("the answer is paid for", || async { settled(anna, &query).await.len() == 2 }).await;
    assert!(settled(ben, "").await.is_empty());
    for other in [ben, &stranger] {
        other.get(&format!("/r1/ledger{query}")).await.refused(404, "not_found");
    }
    let listed = stage.admin.get(&format!("/r1/admin/ledger{query}")).await.data();
    assert_eq!(listed["total"], anna.get(&format!("/r1/ledger{query}")).await.data()["total"]);

    // If the workspace doesn't have enough credits, the member pays from their own account.
    stage.give(5 - stage.balance().await).await;
    assert_eq!(within.post("/v1/chat/completions", question(50)).await.status, 429);
    let body = json!({ "user_id": ben.id, "amount": 1_000, "reason": "A present" });
    stage.admin.post("/r1/admin/credits", body).await.data();
    assert_eq!(within.post("/v1/chat/completions", question(50)).await.status, 200);
    assert_eq!(stage.balance().await, 5);
    wait_until("Ben's call is charged", || async { settled(ben, "").await.len() == 1 }).await;
    adds_up(&stage.app).await;
}

#[tokio::test]
async fn storage_limits_follow_the_owners_plan() {
    let stage = Stage::start(Setup::new()).await;
    let anna = &stage.anna;
    let file = |size: usize| anna.uploading("a", "text/plain", vec![b'a'; size]);
    let first = anna.upload("a", "text/plain", vec![b'a'; 8_000]).await;
    stage.buy_room(anna, json!({ "storage": 10_000 }), None).await;
    let refused = anna.send(file(3_000)).await;
    let details = &refused.body["details"];
    assert_eq!((refused.status, &details["metric"], &details["next"]), (413, &json!("storage"), &json!("change_plan")));
    assert_eq!((&details["used"], &details["limit"]), (&json!(8_000), &json!(10_000)));
    // A file of unknown length is refused when it is complete, and it doesn't count.
    let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b'a'; 1_000]));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    anna.send(anna.uploading("a", "text/plain", body)).await.refused(413, "quota_exceeded");
    let racing = join_all((0..8).map(|_| anna.send(file(1_000)))).await;
    assert_eq!(racing.iter().filter(|answer| answer.status == 201).count(), 2);
    let quota = anna.get("/r1/entitlements/me").await.data()["quotas"][0].clone();
    assert_eq!(quota, json!({ "metric": "storage", "used": 10_000, "limit": 10_000, "resets_at": null }));
    let storage = json!({ "bytes": 10_000, "quota_bytes": 10_000 });
    assert_eq!(anna.get("/r1/users/me/storage").await.data(), storage);
    let details = stage.admin.get(&format!("/r1/admin/users/{}", anna.id)).await.data();
    assert_eq!(details["storage"], storage);
    anna.delete(&format!("/r1/uploads/{}", first["id"].as_str().unwrap())).await.data();
    anna.upload("a", "text/plain", vec![b'a'; 8_000]).await;
    stage.ben.upload("a", "text/plain", vec![b'a'; 30_000]).await;
}

#[tokio::test]
async fn member_limits_follow_the_workspace_plan() {
    let stage = Stage::start(Setup::new()).await;
    let anna = &stage.anna;
    stage.buy_room(anna, json!({ "members": 3 }), Some(&stage.workspace)).await;
    let (cleo, dora, eve) =
        (stage.app.sign_up("Cleo").await, stage.app.sign_up("Dora").await, stage.app.sign_up("Eve").await);
    let racing = join_all([&cleo, &dora, &eve].map(|member| stage.add(member, "member"))).await;
    let refused: Vec<_> = racing.iter().filter(|answer| answer.status == 402).collect();
    assert_eq!(refused.len(), 2, "{racing:?}");
    let details = &refused[0].body["details"];
    assert_eq!((&details["metric"], &details["used"], &details["limit"]), (&json!("members"), &json!(3), &json!(3)));
    let quotas = stage.has(anna).await["quotas"].clone();
    assert_eq!(quotas, json!([{ "metric": "members", "used": 3, "limit": 3, "resets_at": null }]));
    let invitation = json!({ "email": support::new_email("new"), "role": "member" });
    let path = format!("/r1/workspaces/{}/invitations", stage.workspace);
    anna.post(&path, invitation).await.refused(402, "quota_reached");
    // Guests take no seat; they need one when they become members.
    let left = racing.iter().zip([&cleo, &dora, &eve]).find(|(answer, _)| answer.status == 402).unwrap().1;
    stage.add(left, "guest").await.data_with(201);
    let role = format!("/r1/workspaces/{}/members/{}", stage.workspace, left.id);
    anna.patch(&role, json!({ "role": "member" })).await.refused(402, "quota_reached");
    anna.delete(&format!("/r1/workspaces/{}/members/{}", stage.workspace, stage.ben.id)).await.data();
    anna.patch(&role, json!({ "role": "member" })).await.data();
}

mod cluster {
    use super::*;

    #[tokio::test]
    async fn concurrent_calls_of_members_never_overdraw_their_workspace_despite_a_kill() {
        let setup = Setup::new().instances(2).set("holds.expiry", 5);
        let mut stage = Stage::start(setup).await;
        let programs = join_all([
            stage.program(&stage.anna, 0, true),
            stage.program(&stage.anna, 1, true),
            stage.program(&stage.ben, 0, true),
            stage.program(&stage.ben, 1, true),
        ])
        .await;
        stage.give(10 * 100).await;
        stage.upstream.always(support::Behaviour::answer(&"a ".repeat(100)));
        // A stream costs as much as is reserved for it: a hundred words.
        let mut streamed = question(100);
        streamed["stream"] = json!(true);
        let calls = (0..200).map(|number: usize| programs[number % 4].post("/v1/chat/completions", streamed.clone()));
        let answers = join_all(calls).await;
        let served = answers.iter().filter(|answer| answer.status == 200).count();
        let refused = answers.iter().filter(|answer| answer.status == 429).count();
        assert!((1..=10).contains(&served) && served + refused == 200, "{served} {refused}");
        let costs = |answers: &[support::Answer]| -> i64 {
            answers.iter().filter_map(|answer| answer.header("x-natter-cost")?.parse::<i64>().ok()).sum()
        };
        let spent = i64::try_from(served).unwrap() * 100;
        wait_until("all calls are booked", || async { stage.balance().await == 1_000 - spent }).await;
        adds_up(&stage.app).await;

        // Answers that were completed before an instance is killed are charged to the same account.
        stage.give(10_000).await;
        let (mut calls, mut late) = (Vec::new(), 0);
        while calls.len() < 10 {
            let answer = programs[0].post("/v1/chat/completions", question(100)).await;
            if answer.status == 200 {
                calls.push(answer);
            }
            late += 1;
            assert!(late < 60, "the workspace has credits again");
        }
        stage.app.instances[0].kill().await;
        stage.app.instances[0].start_again().await;
        let left = 1_000 - spent + 10_000 - costs(&calls);
        wait_until("reservations are released and calls paid", || async {
            let credits = stage.has(&stage.anna).await["credits"].clone();
            (&credits["balance"], &credits["held"], &credits["owed"]) == (&json!(left), &json!(0), &json!(0))
        })
        .await;
        assert!(settled(&stage.ben, "").await.is_empty() && settled(&stage.anna, "").await.is_empty());
        adds_up(&stage.app).await;
    }
}

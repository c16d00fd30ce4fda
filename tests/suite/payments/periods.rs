//! Credits and plans within a period that is already paid: changes of members and plans, refunds
//! and trials.

use support::{Application, Member, PASSWORD, Setup, Value, json};

use super::{
    adds_up,
    subscriptions::{buy, held, payments, plan_of, setup, until},
};

/// Returns the balance in micro-credits.
async fn balance(member: &Member) -> i64 {
    member.get("/r1/entitlements/me").await.data()["credits"]["balance"].as_i64().unwrap()
}

async fn total(members: &[&Member]) -> i64 {
    let mut total = 0;
    for member in members {
        total += balance(member).await;
    }
    total
}

/// Anna's workspace, with a plan for some of its members.
struct Group {
    app: Application,
    anna: Member,
    id: String,
    team: String,
}

impl Group {
    async fn new() -> Self {
        let app = setup().start().await;
        let anna = app.sign_up("Anna").await;
        let workspace = anna.post("/r1/workspaces", json!({ "name": "Team" })).await.data_with(201);
        let team = plan_of(&app, "Team", "month").await;
        Self { app, anna, id: workspace["id"].as_str().unwrap().to_owned(), team }
    }

    async fn add(&self, member: &Member) {
        let body = json!({ "user_id": member.id, "role": "member" });
        self.anna.post(&format!("/r1/workspaces/{}/members", self.id), body).await.data_with(201);
    }

    async fn set_role(&self, member: &Member, role: &str) {
        let path = format!("/r1/workspaces/{}/members/{}", self.id, member.id);
        self.anna.patch(&path, json!({ "role": role })).await.data();
    }

    async fn buy(&self, seats: i64) {
        let body = json!({ "plan_id": self.team, "gateway": "demo", "workspace_id": self.id, "seats": seats });
        buy(&self.anna, body, "paid").await;
    }

    async fn set_seats(&self, seats: i64) {
        let body = json!({ "plan_id": self.team, "seats": seats, "workspace_id": self.id });
        self.anna.post("/r1/subscription/change", body).await.data();
    }

    async fn seats_are_used(&self, seats: i64) {
        let query = format!("?workspace_id={}", self.id);
        until(&self.anna, &query, "the seats are used", |held| held["seats_used"] == seats).await;
    }
}

#[tokio::test]
async fn becoming_a_guest_and_member_again_grants_no_second_credits() {
    let group = Group::new().await;
    let people = group.app.crowd(4).await;
    for member in &people {
        group.add(member).await;
    }
    group.buy(5).await;
    for member in &people {
        assert_eq!(balance(member).await, 2_000_000_000);
        group.set_role(member, "guest").await;
    }
    group.set_seats(6).await;
    for member in &people {
        group.set_role(member, "member").await;
    }
    // Free seats are given to members in the order in which they joined.
    let finn = group.app.sign_up("Finn").await;
    group.add(&finn).await;
    group.seats_are_used(6).await;
    for member in people.iter().chain([&group.anna]) {
        assert_eq!(balance(member).await, 2_000_000_000);
        assert_eq!(member.get("/r1/entitlements/me").await.data()["plan"]["name"], "Team");
    }
    let of_finn = balance(&finn).await;
    assert!((1_990_000_000..=2_000_000_000).contains(&of_finn), "{of_finn}");
    adds_up(&group.app).await;
}

#[tokio::test]
async fn replacing_a_member_grants_no_unpaid_credits() {
    let group = Group::new().await;
    let (ben, cleo, dora) =
        (group.app.sign_up("Ben").await, group.app.sign_up("Cleo").await, group.app.sign_up("Dora").await);
    group.add(&ben).await;
    group.buy(2).await;
    group.anna.delete(&format!("/r1/workspaces/{}/members/{}", group.id, ben.id)).await.data();
    group.set_seats(3).await;
    group.add(&cleo).await;
    group.add(&dora).await;
    group.seats_are_used(3).await;
    let total = total(&[&group.anna, &ben, &cleo, &dora]).await;
    assert!((5_990_000_000..=6_000_000_000).contains(&total), "three seats are paid for: {total}");
    assert_eq!((balance(&ben).await, balance(&dora).await), (2_000_000_000, 0));
    adds_up(&group.app).await;
}

#[tokio::test]
async fn changing_from_monthly_to_yearly_grants_only_paid_credits() {
    let app = setup().start().await;
    let anna = app.sign_up("Anna").await;
    let (month, year) = (plan_of(&app, "Team", "month").await, plan_of(&app, "Team", "year").await);
    buy(&anna, json!({ "plan_id": month, "gateway": "demo" }), "paid").await;
    anna.post("/r1/subscription/change", json!({ "plan_id": year })).await.data();
    let paid: i64 = payments(&anna).await.iter().map(|one| one["amount"].as_i64().unwrap()).sum();
    assert!((24_000..=24_010).contains(&paid), "{paid}");
    let balance = balance(&anna).await;
    assert!((24_000_000_000..=24_010_000_000).contains(&balance), "the month's credits are included: {balance}");
    adds_up(&app).await;
}

#[tokio::test]
async fn refunding_a_plan_change_restores_the_previous_plan() {
    let app = setup().start().await;
    let (admin, anna) = (app.admin().await, app.sign_up("Anna").await);
    let (team, studio) = (plan_of(&app, "Team", "month").await, plan_of(&app, "Studio", "month").await);
    let year = plan_of(&app, "Studio", "year").await;
    buy(&anna, json!({ "plan_id": team, "gateway": "demo" }), "paid").await;
    let before = held(&anna, "").await;
    for dearer in [studio, year] {
        let changed = anna.post("/r1/subscription/change", json!({ "plan_id": dearer })).await.data();
        assert_eq!(held(&anna, "").await["plan"]["id"], json!(dearer));
        let path = format!("/r1/admin/payments/{}/refund", changed["payment_id"].as_str().unwrap());
        let refunded = admin.post(&path, json!({ "reason": "a test" })).await.data();
        assert_eq!(refunded["status"], "refunded");
        let after = held(&anna, "").await;
        assert_eq!((&after["plan"]["id"], &after["status"]), (&json!(team), &json!("active")));
        for field in ["period_start", "period_end", "price", "renews_at"] {
            assert_eq!(after[field], before[field], "{field}");
        }
        assert_eq!(balance(&anna).await, 2_000_000_000);
    }
    adds_up(&app).await;
}

/// Signs up a user with an address that anyone could have made up.
async fn sign_up_as(app: &Application, email: &str) -> Member {
    app.anonymous().sign_up(email, PASSWORD, "Somebody").await.data_with(201);
    Member::sign_in(&app.url(), email, PASSWORD).await
}

#[tokio::test]
async fn trials_require_a_verified_address_and_are_once_per_mailbox() {
    let app = Setup::new().set("payment.demo.enabled", true).start().await;
    let admin = app.admin().await;
    let price = json!([{ "currency": "USD", "amount": 3_000 }]);
    let new = json!({ "name": "Try", "kind": "subscription", "interval": "month", "prices": price, "credits": 300_000_000, "trial_days": 14 });
    let made = admin.post("/r1/admin/pricing_plans", new).await.data_with(201);
    let trial = json!({ "plan_id": made["id"] });
    let email = support::new_email("tina");
    let (first, other) = (sign_up_as(&app, &email).await, sign_up_as(&app, &email.replace('@', "+again@")).await);
    for member in [&first, &other] {
        member.post("/r1/subscription/trial", trial.clone()).await.refused(403, "forbidden");
        assert_eq!((held(member, "").await, balance(member).await), (Value::Null, 0));
        app.verify(member).await;
    }
    first.post("/r1/subscription/trial", trial.clone()).await.data_with(201);
    assert!(balance(&first).await > 100_000_000);
    other.post("/r1/subscription/trial", trial).await.refused(409, "wrong_state");
    assert_eq!(balance(&other).await, 0);
}

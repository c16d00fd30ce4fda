//! Random sequences of refunds. Refunds are requested, lost, made, refused and polled, with
//! gateways that behave in any way. For money that was refunded, at least as many credits are
//! clawed back at any time, and exactly as many in the end. Nothing stays pending.

use support::{Application, Dice, Member, Value, json};

use super::{
    adds_up, begun,
    claims::charge_refunded,
    credits,
    fake::{ALL, Fake, Kind, Mood, Outcome, Said, Truth, Words},
    gateways::stage,
    payment,
    refunds::{others, refusals},
};

const SEQUENCES: u64 = 4;
const STEPS: usize = 16;
const PAYMENTS: usize = 3;
/// Number of polls of a healthy gateway after which nothing may be pending.
const QUESTIONS: usize = 2;
const CREDITS: i64 = 500;

/// Draws the effect of a refund request and the gateway's response. A final refusal is drawn only
/// if it is true.
fn said(dice: &mut Dice, kind: Kind) -> Said {
    let made = dice.pick(&[None, Some(Truth::Done), Some(Truth::Pending), Some(Truth::Failed)]);
    let answer = match dice.roll(4) {
        0 => Words::Silence,
        1 if made.is_none() => {
            let (status, words) = dice.pick(refusals(kind));
            Words::Code(status, words)
        }
        1 | 2 => {
            let (status, words) = dice.pick(others(kind));
            Words::Code(status, words)
        }
        _ => Words::Truth,
    };
    Said { made, answer }
}

struct Sequence<'a> {
    app: &'a Application,
    fake: &'a Fake,
    anna: &'a Member,
    admin: &'a Member,
    dice: Dice,
    payments: Vec<String>,
    /// Balance in credits before the sequence.
    before: i64,
    log: Vec<String>,
}

impl Sequence<'_> {
    async fn refunds(&self, id: &str) -> Vec<Value> {
        let details = self.admin.get(&format!("/r1/admin/payments/{id}")).await.data();
        details["refunds"].as_array().unwrap().clone()
    }

    async fn pending(&self, id: &str) -> Vec<String> {
        let pending = self.refunds(id).await.into_iter().filter(|refund| refund["state"] == "pending");
        pending.map(|refund| refund["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn decide(&self, id: &str, refund: &str, decision: &str) {
        let path = format!("/r1/admin/payments/{id}/refunds/{refund}/decide");
        self.admin.post(&path, json!({ "decision": decision, "reason": "drawn" })).await.data();
    }

    async fn give_back(&mut self, id: &str) {
        let kind = self.fake.kind;
        // VNPay identifies a refund by its payment and the second of the request.
        let parts = if kind == Kind::Vnpay { 1 } else { self.dice.pick(&[1, 2, 4]) };
        if kind == Kind::Vnpay && !self.refunds(id).await.is_empty() {
            return;
        }
        let said = said(&mut self.dice, kind);
        self.log.push(format!("a {parts}th of {id}: {said:?}"));
        self.fake.refunding(id, [said]);
        let body = json!({ "amount": kind.price().1 / parts, "reason": "drawn" });
        let answer = self.admin.post(&format!("/r1/admin/payments/{id}/refund"), body).await;
        assert!(answer.status < 500, "{answer:?} {:#?}", self.log);
    }

    async fn step(&mut self) {
        let place = self.dice.roll(self.payments.len());
        let (id, kind) = (self.payments[place].clone(), self.fake.kind);
        match self.dice.roll(10) {
            0..=3 => self.give_back(&id).await,
            4..=6 => {
                for refund in self.pending(&id).await {
                    self.log.push(format!("asked about {refund} of {id}"));
                    self.decide(&id, &refund, "ask").await;
                }
            }
            7 => {
                let truth = self.dice.pick(&[Truth::Done, Truth::Failed]);
                self.log.push(format!("what is under way of {id} becomes {truth:?}"));
                self.fake.refunds_end(&id, truth);
            }
            8 => {
                let moods = [Mood::Well, Mood::Well, Mood::Confused, Mood::Refusing, Mood::Unauthorized, Mood::Away];
                let mood = self.dice.pick(&moods);
                self.log.push(format!("{mood:?}"));
                self.fake.mood(mood);
            }
            _ => {
                self.log.push(format!("{id} is told again"));
                kind.event(&id, Outcome::Paid, kind.price().1, 1).send(self.app).await;
                if kind == Kind::Stripe {
                    charge_refunded(&id).send(self.app).await;
                }
            }
        }
    }

    /// Checks the invariants after a step.
    async fn check(&self) {
        let price = self.fake.kind.price().1;
        let mut left = self.before;
        for id in &self.payments {
            let (mut claimed, mut done) = (0, 0);
            for refund in self.refunds(id).await {
                let amount = refund["amount"].as_i64().unwrap();
                claimed += if refund["state"] == "failed" { 0 } else { amount };
                done += if refund["state"] == "done" { amount } else { 0 };
            }
            let out = self.fake.given_back(id);
            assert!(done <= out && out <= claimed && claimed <= price, "{done} {out} {claimed} {:#?}", self.log);
            left += CREDITS - CREDITS * claimed / price;
        }
        let has = self.anna.get("/r1/entitlements/me").await.data()["credits"].clone();
        assert_eq!((credits(self.anna).await, &has["owed"]), (left, &json!(0)), "{:#?}", self.log);
        assert!(left >= 0, "{:#?}", self.log);
    }

    /// Ends the sequence. The gateway is healthy, so that everything that is pending completes.
    async fn end(&mut self) {
        self.log.push("the end".to_owned());
        self.fake.mood(Mood::Well);
        for id in self.payments.clone() {
            self.fake.refunds_well(&id);
            for _ in 0..QUESTIONS {
                let truth = self.dice.pick(&[Truth::Done, Truth::Failed]);
                self.fake.refunds_end(&id, truth);
                for refund in self.pending(&id).await {
                    self.decide(&id, &refund, "ask").await;
                }
            }
            for refund in self.pending(&id).await {
                // The refund was never made, and it is not requested again.
                assert_eq!((self.fake.kind, self.fake.given_back(&id)), (Kind::Vnpay, 0), "{:#?}", self.log);
                self.decide(&id, &refund, "failed").await;
            }
            let back = payment(self.anna, &id).await["refunded_amount"].clone();
            assert_eq!(back, json!(self.fake.given_back(&id)), "{:#?}", self.log);
        }
        self.check().await;
        adds_up(self.app).await;
    }
}

#[tokio::test]
async fn refunded_money_always_equals_reversed_credits() {
    for kind in ALL {
        let (app, fake, anna) = stage(kind).await;
        let admin = app.admin().await;
        for seed in 0..SEQUENCES {
            let (before, mut payments) = (credits(&anna).await, Vec::new());
            for _ in 0..PAYMENTS {
                let id = begun(&app, &anna, kind.name()).await;
                kind.event(&id, Outcome::Paid, kind.price().1, 1).send(&app).await;
                payments.push(id);
            }
            let log = vec![format!("{kind:?}, seed {seed}")];
            let (app, fake, anna, admin) = (&app, &fake, &anna, &admin);
            let mut sequence = Sequence { app, fake, anna, admin, dice: Dice::new(seed), payments, before, log };
            for _ in 0..STEPS {
                sequence.step().await;
                sequence.check().await;
            }
            sequence.end().await;
        }
    }
}

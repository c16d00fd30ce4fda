//! Instances are killed in each transaction of a payment and of its refund, before and during the
//! commit. `gateways.rs` tests kills between the request to the gateway and its response;
//! `cluster.rs` tests reservations for calls and answers.

mod cluster {
    use support::{Application, Engine, Member, Setup, Stop, Value, json, new_id, wait_until};

    use super::super::{
        adds_up, check_out, credits,
        fake::{Event, Fake, Kind, Outcome},
        payment, plan, status,
    };

    /// Actions on a payment.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Deed {
        Begin,
        Pay,
        Refund,
    }

    /// Transaction: the action that causes it, its statement, and the table and row that it
    /// changes.
    type Step = (Deed, &'static str, &'static str, &'static str);

    const PAYMENT: [Step; 3] = [
        (Deed::Begin, "INSERT", "payments", "true"),
        (Deed::Begin, "UPDATE", "payments", "NEW.reference IS NOT NULL AND OLD.reference IS NULL"),
        (Deed::Pay, "UPDATE", "payments", "NEW.stage = 'paid' AND OLD.stage <> 'paid'"),
    ];
    const ASKED_FOR: Step = (Deed::Refund, "INSERT", "payment_refunds", "true");
    const TRIED: Step = (Deed::Refund, "UPDATE", "payment_refunds", "NEW.attempts > OLD.attempts");
    const ANSWERED: Step = (Deed::Refund, "UPDATE", "payment_refunds", "NEW.state = 'done'");

    struct Stage {
        app: Application,
        fake: Fake,
        anna: Member,
        admin: Member,
    }

    impl Stage {
        async fn start(kind: Kind) -> Self {
            let fake = Fake::start(kind).await;
            let setup = Setup::new().on(Engine::Postgres);
            let setup = setup.set("payment.reconcile_after", 1).set("payment.reconcile_every", 1);
            let app = fake.configure(setup).start().await;
            let (anna, admin) = (app.sign_up("Anna").await, app.admin().await);
            Self { app, fake, anna, admin }
        }

        /// Starts a payment. If one with this key exists, returns that.
        async fn begin(&self, key: &str) -> String {
            let begun = check_out(&self.app, &self.anna, self.fake.kind.name(), key).await.data_with(201);
            begun["payment_id"].as_str().unwrap().to_owned()
        }

        fn paid(&self, id: &str) -> Event {
            self.fake.kind.event(id, Outcome::Paid, self.fake.kind.price().1, 1)
        }

        fn refund(&self, id: &str) -> reqwest::RequestBuilder {
            let path = format!("/r1/admin/payments/{id}/refund");
            self.admin.request(reqwest::Method::POST, &path).json(&json!({ "reason": "bought by mistake" }))
        }

        async fn refunds(&self, id: &str) -> Vec<Value> {
            let details = self.admin.get(&format!("/r1/admin/payments/{id}")).await.data();
            details["refunds"].as_array().unwrap().clone()
        }

        /// Kills the instance at this step of a request, and restarts it.
        async fn killed(&mut self, (_, does, table, row): Step, at: Stop, request: reqwest::RequestBuilder) {
            let stopped = self.app.database.stop(does, table, row, at).await;
            let waiting = tokio::spawn(request.send());
            stopped.reached().await;
            self.app.instances[0].kill().await;
            assert!(waiting.await.unwrap().is_err(), "{table} {at:?}: a response was sent");
            stopped.end().await;
            self.app.instances[0].start_again().await;
        }

        /// Kills the instance at a step of a payment that is paid in the end.
        async fn killed_at(&mut self, step: Step, at: Stop) -> String {
            let (kind, deed) = (self.fake.kind, step.0);
            let key = new_id();
            let begun = if deed == Deed::Begin { None } else { Some(self.begin(&key).await) };
            let request = match (deed, &begun) {
                (Deed::Pay, Some(id)) => self.paid(id).request(&self.app),
                (Deed::Refund, Some(id)) => {
                    self.paid(id).send(&self.app).await;
                    self.refund(id)
                }
                _ => {
                    let body = json!({ "plan_id": plan(&self.app, "500 credits").await, "gateway": kind.name() });
                    let request = self.anna.request(reqwest::Method::POST, "/r1/payments/checkout");
                    request.header("idempotency-key", &key).json(&body)
                }
            };
            self.killed(step, at, request).await;

            // A client that gets no response retries, and the gateway sends its events again.
            let id = match begun {
                Some(id) => id,
                None => self.begin(&key).await,
            };
            let told = self.paid(&id).send(&self.app).await;
            assert!(kind.is_content(&told, true) || kind.is_content(&told, false), "{kind:?} {told:?}");
            id
        }

        async fn is_refunded(&self, id: &str) {
            wait_until("the payment is refunded", || async {
                if self.refunds(id).await.is_empty() {
                    self.admin.send(self.refund(id)).await.data();
                }
                status(&self.anna, id).await == "refunded"
            })
            .await;
            let notes = payment(&self.anna, id).await["credit_notes"].as_array().unwrap().len();
            let price = self.fake.kind.price().1;
            assert_eq!((self.refunds(id).await.len(), notes, self.fake.given_back(id)), (1, 1, price), "once");
        }
    }

    #[tokio::test]
    async fn killing_an_instance_at_any_step_of_a_payment_or_refund_loses_and_repeats_nothing() {
        let mut stage = Stage::start(Kind::Stripe).await;
        let (mut begun, mut kept) = (0, 0);
        for step in PAYMENT.into_iter().chain([ASKED_FOR, TRIED, ANSWERED]) {
            for at in [Stop::BeforeCommit, Stop::InCommit] {
                let id = stage.killed_at(step, at).await;
                begun += 1;
                if step.0 == Deed::Refund {
                    stage.is_refunded(&id).await;
                } else {
                    kept += 500;
                    assert_eq!(status(&stage.anna, &id).await, "paid", "{step:?} {at:?}");
                }
                assert_eq!(credits(&stage.anna).await, kept, "{step:?} {at:?}");
                assert_eq!(stage.anna.get("/r1/payments").await.data()["total"], begun, "{step:?} {at:?}");
                adds_up(&stage.app).await;
            }
        }
        assert_eq!(stage.fake.refunds(), 6);
    }

    #[tokio::test]
    async fn refunds_a_rejected_quarantined_payment_once_despite_a_kill() {
        let mut stage = Stage::start(Kind::Stripe).await;
        for step in [ASKED_FOR, TRIED, ANSWERED] {
            for at in [Stop::BeforeCommit, Stop::InCommit] {
                let id = stage.begin(&new_id()).await;
                Kind::Stripe.event(&id, Outcome::Paid, 300, 1).send(&stage.app).await;
                assert_eq!(status(&stage.anna, &id).await, "quarantined");
                let path = format!("/r1/admin/payments/{id}/release");
                let body = json!({ "decision": "refused", "reason": "a trick" });
                let request = stage.admin.request(reqwest::Method::POST, &path).json(&body);
                stage.killed(step, at, request).await;
                // A client that gets no response checks the state, and decides again if nothing was
                // stored.
                if status(&stage.anna, &id).await == "quarantined" {
                    stage.admin.post(&path, body).await.data();
                }
                wait_until("the refund is done", || async {
                    stage.refunds(&id).await.iter().all(|refund| refund["state"] == "done")
                })
                .await;
                let refunds = stage.refunds(&id).await.len();
                assert_eq!((refunds, stage.fake.given_back(&id)), (1, 300), "{step:?} {at:?}: once");
                assert_eq!((status(&stage.anna, &id).await.as_str(), credits(&stage.anna).await), ("failed", 0));
                adds_up(&stage.app).await;
            }
        }
    }

    /// VNPay may execute a refund again if the request is repeated.
    #[tokio::test]
    async fn a_non_repeatable_refund_waits_for_an_administrator_after_a_kill() {
        let mut stage = Stage::start(Kind::Vnpay).await;
        for step in [ASKED_FOR, ANSWERED] {
            for at in [Stop::BeforeCommit, Stop::InCommit] {
                let id = stage.killed_at(step, at).await;
                stage.is_refunded(&id).await;
                assert_eq!(credits(&stage.anna).await, 0, "{step:?} {at:?}");
            }
        }
        let id = stage.killed_at(TRIED, Stop::BeforeCommit).await;
        stage.is_refunded(&id).await;

        // It was stored that the refund would be requested, but not whether it was.
        let id = stage.killed_at(TRIED, Stop::InCommit).await;
        wait_until("the refund is attempted", || async {
            let refunds = stage.refunds(&id).await;
            refunds[0]["tries"].as_i64().is_some_and(|tries| tries > 1) && refunds[0]["last_answer"].is_string()
        })
        .await;
        let refund = stage.refunds(&id).await.remove(0);
        assert_eq!((&refund["state"], credits(&stage.anna).await), (&json!("pending"), 0), "the credits are withheld");
        let path = format!("/r1/admin/payments/{id}/refunds/{}/decide", refund["id"].as_str().unwrap());
        stage.admin.post(&path, json!({ "decision": "failed", "reason": "looked at" })).await.data();
        assert_eq!((status(&stage.anna, &id).await.as_str(), credits(&stage.anna).await), ("paid", 500));
        assert_eq!(
            (stage.fake.given_back(&id), stage.fake.asked("1.1 refund")),
            (0, 5),
            "each refund is requested once"
        );
        adds_up(&stage.app).await;
    }
}

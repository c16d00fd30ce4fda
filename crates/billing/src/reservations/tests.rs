//! Reservations of several instances on each database, with a clock that the tests control.

use std::{sync::Arc, time::Duration};

use appcore::{
    Clock, PlanId, Timestamp, UserId,
    credits::MicroCredits,
    view::{PlanInterval, PlanKind, QuotaMetric},
};
use dbcontext::{
    Database,
    entity::{pricing_plan, subscription},
    query::{
        budgets::{self as counters, CounterId},
        ledger as rows, plans, subscriptions,
    },
};
use proptest::{prelude::*, test_runner::TestRunner};
use sea_orm::{ConnectionTrait as _, Statement};
use stage::stages;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::{Amounts, Origin, OrphanedReservation, Reservation, Reservations, Settlement, SpendingLimit, settle};
use crate::ledger::{self, AccountHolder, EntryKind, LockedAccounts, PostingSource, verify};

/// Time of the test clock. It stands still unless a test advances it, because reservations expire by it.
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const EXPIRY: Duration = Duration::from_secs(80);

fn instances(db: &Database, clock: &Clock) -> Vec<Arc<Reservations>> {
    (0..2).map(|_| Reservations::start(db.clone(), clock.clone(), EXPIRY).0).collect()
}

async fn in_books(
    db: &Database,
    account: Uuid,
    now: Timestamp,
    change: impl FnOnce(&mut crate::ledger::LedgerAccount),
) {
    let tx = db.begin().await.unwrap();
    let mut books = LockedAccounts::open(&tx, AccountHolder::Person(UserId(account)), now).await.unwrap();
    change(books.single_account().unwrap());
    books.store(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn account(db: &Database, credits: i64) -> Uuid {
    let id = Uuid::now_v7();
    in_books(db, id, NOW, |book| book.purchase(MicroCredits(credits), &PostingSource::new("payment", id), None)).await;
    id
}

async fn reserve(holds: &Arc<Reservations>, account: Uuid, amount: i64, origin: Origin) -> Option<Reservation> {
    let amounts = Amounts::cost(MicroCredits(amount));
    holds.reserve(&[SpendingLimit::Credits(account)], amounts, origin).await.unwrap().ok().flatten()
}

/// Posts the cost of a finished call, and returns the settlement that was posted.
async fn book(db: &Database, holds: &Reservations, held: Reservation, cost: i64, now: Timestamp) -> Option<Settlement> {
    let settlement = holds.finish(held, Amounts::cost(MicroCredits(cost)), Uuid::now_v7())?;
    let _turn = holds.lock_writes().await;
    let tx = db.begin().await.unwrap();
    settle(&tx, &[settlement], now).await.unwrap();
    tx.commit().await.unwrap();
    holds.mark_posted([&settlement]);
    Some(settlement)
}

/// Returns the balance, the held amount and the debt of an account.
async fn figures(db: &Database, account: Uuid) -> (i64, i64, i64) {
    let row = rows::account(db.reader(), account).await.unwrap().unwrap();
    (row.balance.0, row.held.0, row.owed.0)
}

async fn adds_up(db: &Database) {
    let (_, differences) = verify(db).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_racing_requests_on_balance_for_ten_get_ten() {
    for stage in stages().await {
        let db = stage.database().await;
        let instances = instances(&db, &Clock::stopped_at(NOW));
        let account = account(&db, 1_000).await;
        let asked: Vec<_> = (0..200)
            .map(|number| {
                let holds = Arc::clone(&instances[number % 2]);
                let origin = if number % 3 == 0 { Origin::Own } else { Origin::Allotments };
                tokio::spawn(async move { reserve(&holds, account, 100, origin).await.map(|held| (holds, held)) })
            })
            .collect();
        let mut held = Vec::new();
        for asked in asked {
            held.extend(asked.await.unwrap());
        }
        assert_eq!(held.len(), 10);
        adds_up(&db).await;

        // The last call costs more than is available.
        let costs = std::iter::repeat_n(99, 9).chain([500]);
        let mut booked = Vec::new();
        for ((holds, held), cost) in held.into_iter().zip(costs) {
            booked.extend(book(&db, &holds, held, cost, NOW).await);
        }
        assert_eq!(figures(&db, account).await, (0, 0, 391));
        adds_up(&db).await;
        assert!(reserve(&instances[0], account, 0, Origin::Own).await.is_none(), "the balance is used up");
        let tx = db.begin().await.unwrap();
        assert!(settle(&tx, &booked[..1], NOW).await.is_err(), "the cost was posted before");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reservation_of_killed_process_pays_for_its_finished_call() {
    for stage in stages().await {
        let db = stage.database().await;
        let instances = instances(&db, &Clock::stopped_at(NOW));
        let account = account(&db, 1_000).await;
        let restarted = async |cost: i64, left: Option<OrphanedReservation>| {
            let cost = Amounts::cost(MicroCredits(cost));
            let settlement =
                Settlement::for_orphaned_call(&[SpendingLimit::Credits(account)], cost, Uuid::now_v7(), left);
            let tx = db.begin().await.unwrap();
            settle(&tx, &[settlement], NOW).await.unwrap();
            tx.commit().await.unwrap();
        };
        let held = reserve(&instances[0], account, 900, Origin::Own).await.unwrap();
        let finished = instances[0].finish(held, Amounts::cost(MicroCredits(600)), Uuid::now_v7()).unwrap();
        assert_eq!(figures(&db, account).await, (1_000, 900, 0), "killed before posting");
        restarted(600, finished.orphaned()).await;
        assert_eq!(figures(&db, account).await, (400, 0, 0), "the reserved amount is no debt");
        // This time the reservation no longer exists, as if it had expired.
        restarted(100, finished.orphaned()).await;
        assert_eq!(figures(&db, account).await, (300, 0, 0));
        // The rest of an allotment stays reserved until it expires.
        let block = reserve(&instances[0], account, 300, Origin::Own).await.unwrap();
        let block = OrphanedReservation { hold: block.id().unwrap(), account, is_block: true };
        restarted(100, Some(block)).await;
        assert_eq!(figures(&db, account).await, (200, 200, 0));
        restarted(200, Some(block)).await;
        assert_eq!(figures(&db, account).await, (0, 0, 0));
        adds_up(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_batch_draw_from_its_reservation() {
    for stage in stages().await {
        let db = stage.database().await;
        let instances = instances(&db, &Clock::stopped_at(NOW));
        let account = account(&db, 1_000).await;
        let quota = CounterId::Quota(QuotaMetric::GatewayCalls, subscriber(&db, 10, NOW.plus(EXPIRY)).await);
        let calls = async || {
            let row = counters::find(db.reader(), quota).await.unwrap().unwrap();
            (row.spent.0, row.held.0)
        };
        let limits = [SpendingLimit::Credits(account), SpendingLimit::Counter(quota)];
        let of_calls = |cost, count| Amounts { cost: MicroCredits(cost), tokens: 0, count };
        let reserved = instances[0].reserve(&limits, of_calls(600, 3), Origin::Own).await.unwrap();
        let held = reserved.unwrap().unwrap();
        let drawn = [100, 150].map(|cost| held.draw(&limits, of_calls(cost, 1), Uuid::now_v7()));
        let tx = db.begin().await.unwrap();
        settle(&tx, &drawn, NOW).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(figures(&db, account).await, (750, 350, 0), "the rest stays reserved");
        assert_eq!(calls().await, (2, 1));
        // Another instance releases the rest, in the transaction of the last call.
        let adopted = instances[1].adopt(held.id().unwrap()).await.unwrap().unwrap();
        let last = adopted.draw(&limits, of_calls(50, 1), Uuid::now_v7());
        let release = instances[1].finish(adopted, Amounts::default(), Uuid::now_v7()).unwrap();
        let tx = db.begin().await.unwrap();
        settle(&tx, &[last, release], NOW).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(figures(&db, account).await, (700, 0, 0));
        assert_eq!(calls().await, (3, 0));
        adds_up(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_account_is_drawn_from_allotments_to_the_end() {
    const CALL: i64 = 100;
    const CALLS: i64 = 1_000;
    for stage in stages().await {
        let db = stage.database().await;
        let instances = instances(&db, &Clock::stopped_at(NOW));
        let account = account(&db, CALL * CALLS).await;
        let mut served = 0;
        let mut refused_at = None;
        while served < CALLS {
            let before = served;
            for holds in &instances {
                while let Some(held) = reserve(holds, account, CALL, Origin::Allotments).await {
                    book(&db, holds, held, CALL, NOW).await;
                    served += 1;
                }
                // Returns the unused amounts, as the gateway does before it refuses a call.
                holds.return_allotments(Some(&[SpendingLimit::Credits(account)])).await.unwrap();
            }
            assert!(served <= CALLS);
            if before == served {
                refused_at = Some(served);
                break;
            }
        }
        assert_eq!((served, refused_at), (CALLS, None), "the whole balance can be used");
        assert_eq!(figures(&db, account).await, (0, 0, 0));
        let (entries, _) = rows::list(db.reader(), account, appcore::page::PageRequest::new(None, None)).await.unwrap();
        assert!(entries.iter().any(|entry| entry.kind == "release"));
        adds_up(&db).await;
    }
}

#[tokio::test]
async fn unsettled_reservation_expires_and_late_cost_is_posted() {
    for stage in stages().await {
        let db = stage.database().await;
        let clock = Clock::stopped_at(NOW);
        let holds = Arc::clone(&instances(&db, &clock)[0]);
        let account = account(&db, 100).await;
        let held = reserve(&holds, account, 60, Origin::Own).await.unwrap();
        assert!(reserve(&holds, account, 60, Origin::Own).await.is_none());
        clock.advance(EXPIRY - Duration::from_secs(1));
        holds.renew().await.unwrap();
        clock.advance(EXPIRY - Duration::from_secs(1));
        holds.sweep().await.unwrap();
        assert_eq!(figures(&db, account).await, (100, 60, 0), "a call in progress keeps its reservation");
        holds.drop_local_state();
        clock.advance(EXPIRY * 2);
        holds.sweep().await.unwrap();
        assert_eq!(figures(&db, account).await, (100, 0, 0));
        book(&db, &holds, held, 40, clock.now()).await;
        assert_eq!(figures(&db, account).await, (60, 0, 0));
        adds_up(&db).await;
    }
}

/// Inserts the expiry entry of the account's grant beforehand, with this amount still held, so that posting it again
/// fails.
async fn damage(db: &Database, account: Uuid, held: i64) {
    let grant = rows::grants(db.writer(), &[account]).await.unwrap().remove(0);
    let sql = "INSERT INTO ledger_entries (id, account_id, from_account, to_account, kind, amount, balance_after, source, source_id, created_at) \
               VALUES ($1, $2, $3, $4, 'expire', 1, 0, 'grant', $5, 0)";
    let source_id = format!("{}:{held}", grant.id);
    let values = [Uuid::now_v7().into(), account.into(), account.into(), Uuid::now_v7().into(), source_id.into()];
    let statement = Statement::from_sql_and_values(db.writer().get_database_backend(), sql, values);
    db.writer().execute_raw(statement).await.unwrap();
}

#[tokio::test]
async fn failing_account_does_not_delay_others() {
    for stage in stages().await {
        let db = stage.database().await;
        let clock = Clock::stopped_at(NOW);
        let holds = Arc::clone(&instances(&db, &clock)[0]);
        let accounts: [Uuid; 3] = std::array::from_fn(|_| Uuid::now_v7());
        for id in accounts {
            let until = Some(NOW.plus(EXPIRY));
            in_books(&db, id, NOW, |book| book.purchase(MicroCredits(100), &PostingSource::new("payment", id), until))
                .await;
            assert!(reserve(&holds, id, 60, Origin::Own).await.is_some());
        }
        damage(&db, accounts[1], 60).await;
        holds.drop_local_state();
        clock.advance(EXPIRY * 2);
        holds.sweep().await.unwrap();
        // Reservations expire with the next sweep, which may be one of the instance's own.
        for (id, expected) in accounts.into_iter().zip([0, 60, 0]) {
            let (_, held, _) = figures(&db, id).await;
            assert_eq!(held, expected);
        }
        ledger::expire(&db, clock.now()).await.unwrap();
        for (id, expected) in accounts.into_iter().zip([(0, 0, 0), (100, 60, 0), (0, 0, 0)]) {
            assert_eq!(figures(&db, id).await, expected);
        }
    }
}

#[tokio::test]
async fn another_instance_adopts_reservation() {
    for stage in stages().await {
        let db = stage.database().await;
        let clock = Clock::stopped_at(NOW);
        let instances = instances(&db, &clock);
        let account = account(&db, 100).await;
        let queued = reserve(&instances[0], account, 60, Origin::Own).await.unwrap();
        instances[0].stop_renewing(&queued);
        clock.advance(EXPIRY - Duration::from_secs(1));
        let adopted = instances[1].adopt(queued.id().unwrap()).await.unwrap().unwrap();
        assert_eq!(adopted.amounts.cost, MicroCredits(60));
        clock.advance(EXPIRY - Duration::from_secs(1));
        instances[0].sweep().await.unwrap();
        assert_eq!(figures(&db, account).await, (100, 60, 0));
        book(&db, &instances[1], adopted, 50, clock.now()).await;
        assert_eq!(figures(&db, account).await, (50, 0, 0));
        assert!(instances[0].adopt(queued.id().unwrap()).await.unwrap().is_none(), "already settled");
        adds_up(&db).await;
    }
}

/// Creates a user whose plan allows this number of calls a day.
async fn subscriber(db: &Database, calls: i64, ends_at: Timestamp) -> UserId {
    let (user_id, plan_id) = (UserId::new(), PlanId::new());
    let plan = pricing_plan::Model {
        id: plan_id,
        name: "Calls".to_owned(),
        kind: PlanKind::Subscription,
        interval: Some(PlanInterval::Month),
        prices: "[]".to_owned(),
        credits: MicroCredits::ZERO,
        quotas: format!("{{\"gateway_calls\":{calls}}}"),
        features: "[]".to_owned(),
        trial_days: 0,
        is_active: true,
        position: 0,
        created_at: NOW,
        family: None,
    };
    plans::insert_missing(db.writer(), vec![plan]).await.unwrap();
    let row = subscription::Model {
        id: Uuid::now_v7(),
        account_id: user_id.0,
        workspace_id: None,
        user_id,
        plan_id,
        payment_id: None,
        state: "active".to_owned(),
        gateway: None,
        currency: None,
        seats: 1,
        anchor_day: 0,
        period: 1,
        starts_at: NOW,
        period_end: ends_at,
        ends_at,
        next_plan_id: None,
        next_seats: None,
        method_id: None,
        attempts: 0,
        is_charging: false,
        reminded_period: 0,
        due_at: None,
        updated_at: NOW,
    };
    subscriptions::insert(db.writer(), row).await.unwrap();
    user_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_calls_stay_within_quota_and_next_day_resets_it() {
    for stage in stages().await {
        let db = stage.database().await;
        let clock = Clock::stopped_at(NOW);
        let instances = instances(&db, &clock);
        let day = Duration::from_secs(86_400);
        let user_id = subscriber(&db, 10, NOW.plus(day * 2)).await;
        let counter = CounterId::Quota(QuotaMetric::GatewayCalls, user_id);
        let one = Amounts { count: 1, ..Amounts::default() };
        let ask = move |holds: &Arc<Reservations>| {
            let holds = Arc::clone(holds);
            async move { holds.reserve(&[SpendingLimit::Counter(counter)], one, Origin::Allotments).await.unwrap() }
        };
        let asked: Vec<_> = (0..100).map(|number| tokio::spawn(ask(&instances[number % 2]))).collect();
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        for (number, asked) in asked.into_iter().enumerate() {
            match asked.await.unwrap() {
                Ok(one) => held.push((number % 2, one.unwrap())),
                Err(shortage) => refused.push(shortage),
            }
        }
        assert_eq!((held.len(), refused.len()), (10, 90));
        assert_eq!((refused[0].used, refused[0].limit), (10, 10));
        assert!(refused[0].resets_at.is_some_and(|at| at > NOW));
        // One call has failed and is not counted.
        for (number, (instance, held)) in held.into_iter().enumerate() {
            let cost = Amounts { count: i64::from(number > 0), ..Amounts::default() };
            let settlement = instances[instance].finish(held, cost, Uuid::now_v7()).unwrap();
            let tx = db.begin().await.unwrap();
            settle(&tx, &[settlement], NOW).await.unwrap();
            tx.commit().await.unwrap();
        }
        let row = counters::find(db.reader(), counter).await.unwrap().unwrap();
        assert_eq!((row.spent.0, row.held.0), (9, 0));
        assert!(ask(&instances[0]).await.is_ok_and(|held| held.is_some()));
        assert!(ask(&instances[1]).await.is_err());
        clock.advance(day);
        assert!(ask(&instances[1]).await.is_ok_and(|held| held.is_some()));
        clock.advance(day);
        assert!(ask(&instances[1]).await.is_ok_and(|held| held.is_none()), "an ended plan has no limits");
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Buy(i64, Option<u64>),
    Refund(usize),
    RefundFailed(usize),
    Dispute(usize),
    Won(usize),
    Hold(usize, i64, bool),
    Settle(usize, i64),
    Drop(usize),
    /// An instance dies with its calls in progress.
    Die(usize),
    Pass(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let (amount, which, instance) = (|| 1..1_000_i64, || 0..4_usize, || 0..2_usize);
    prop_oneof![
        3 => (amount(), proptest::option::of(1..300_u64)).prop_map(|(amount, expires)| Deed::Buy(amount, expires)),
        1 => which().prop_map(Deed::Refund),
        1 => which().prop_map(Deed::RefundFailed),
        1 => which().prop_map(Deed::Dispute),
        1 => which().prop_map(Deed::Won),
        6 => (instance(), amount(), any::<bool>()).prop_map(|(at, amount, own)| Deed::Hold(at, amount / 8, own)),
        4 => (which(), amount()).prop_map(|(which, cost)| Deed::Settle(which, cost / 6)),
        1 => which().prop_map(Deed::Drop),
        1 => instance().prop_map(Deed::Die),
        2 => (1..200_u64).prop_map(Deed::Pass),
    ]
}

/// A purchase and its state.
struct Purchase {
    id: String,
    amount: MicroCredits,
    is_refunded: bool,
    is_disputed: bool,
}

struct Play {
    db: Database,
    clock: Clock,
    instances: Vec<Arc<Reservations>>,
    account: Uuid,
    purchases: Vec<Purchase>,
    under_way: Vec<(usize, Reservation)>,
    charged: i64,
    steps: usize,
}

impl Play {
    async fn play(&mut self, deed: Deed) {
        self.steps += 1;
        let (now, account, step) = (self.clock.now(), self.account, self.steps);
        match deed {
            Deed::Buy(amount, expires) => {
                let purchase = Purchase {
                    id: format!("{account}:{step}"),
                    amount: MicroCredits(amount),
                    is_refunded: false,
                    is_disputed: false,
                };
                let expires_at = expires.map(|seconds| now.plus(Duration::from_secs(seconds)));
                let source = PostingSource::new("payment", &purchase.id);
                in_books(&self.db, account, now, |book| book.purchase(purchase.amount, &source, expires_at)).await;
                self.purchases.push(purchase);
            }
            Deed::Refund(which) => self.claw_back(which, EntryKind::Refund, |purchase| &mut purchase.is_refunded).await,
            Deed::Dispute(which) => {
                self.claw_back(which, EntryKind::Dispute, |purchase| &mut purchase.is_disputed).await
            }
            Deed::RefundFailed(which) => {
                self.reverse_clawback(which, EntryKind::RefundFailed, |purchase| &mut purchase.is_refunded).await;
            }
            Deed::Won(which) => {
                self.reverse_clawback(which, EntryKind::DisputeWon, |purchase| &mut purchase.is_disputed).await
            }
            Deed::Hold(instance, amount, is_own) => {
                let origin = if is_own { Origin::Own } else { Origin::Allotments };
                let held = reserve(&self.instances[instance], account, amount, origin).await;
                self.under_way.extend(held.map(|held| (instance, held)));
            }
            Deed::Settle(which, cost) if which < self.under_way.len() => self.finish_call(which, cost).await,
            Deed::Drop(which) if which < self.under_way.len() => self.finish_call(which, 0).await,
            Deed::Settle(..) | Deed::Drop(_) => {}
            Deed::Die(instance) => {
                self.instances[instance].drop_local_state();
                self.under_way.retain(|(at, _)| *at != instance);
            }
            Deed::Pass(seconds) => {
                for holds in &self.instances {
                    holds.renew().await.unwrap();
                }
                self.clock.advance(Duration::from_secs(seconds));
                self.instances[0].sweep().await.unwrap();
                crate::ledger::expire(&self.db, self.clock.now()).await.unwrap();
            }
        }
    }

    async fn claw_back(&mut self, which: usize, kind: EntryKind, fact: fn(&mut Purchase) -> &mut bool) {
        let (now, step) = (self.clock.now(), self.steps);
        let Some(purchase) = self.purchases.get_mut(which) else { return };
        if purchase.is_refunded || purchase.is_disputed {
            return;
        }
        *fact(purchase) = true;
        let source = PostingSource::new("back", format_args!("{}:{step}", self.account));
        let (amount, id) = (purchase.amount, purchase.id.clone());
        in_books(&self.db, self.account, now, |book| book.claw_back(amount, &source, kind, &id)).await;
    }

    async fn reverse_clawback(&mut self, which: usize, kind: EntryKind, fact: fn(&mut Purchase) -> &mut bool) {
        let (now, step) = (self.clock.now(), self.steps);
        let Some(purchase) = self.purchases.get_mut(which) else { return };
        if !std::mem::take(fact(purchase)) {
            return;
        }
        let (source, amount) = (PostingSource::new("back", format_args!("{}:{step}", self.account)), purchase.amount);
        in_books(&self.db, self.account, now, |book| book.reverse_clawback(amount, &source, kind)).await;
    }

    async fn finish_call(&mut self, which: usize, cost: i64) {
        let (instance, held) = self.under_way.swap_remove(which);
        if book(&self.db, &self.instances[instance], held, cost, self.clock.now()).await.is_some() {
            self.charged += cost;
        }
    }

    async fn check(&self) {
        adds_up(&self.db).await;
        let Some(row) = rows::account(self.db.reader(), self.account).await.unwrap() else { return };
        assert!(row.held.0 >= 0 && row.balance >= row.held && row.owed.0 >= 0, "{row:?}");
    }

    /// Finishes all calls, and lets the reservations of dead instances expire.
    async fn finish(&mut self) {
        while !self.under_way.is_empty() {
            self.finish_call(0, 1).await;
        }
        for holds in &self.instances {
            holds.return_allotments(None).await.unwrap();
        }
        self.clock.advance(EXPIRY * 2);
        self.instances[0].sweep().await.unwrap();
        self.check().await;
        let Some(row) = rows::account(self.db.reader(), self.account).await.unwrap() else { return };
        assert_eq!(row.held.0, 0, "{row:?}");
        assert!(row.balance.0 == 0 || row.owed.0 == 0, "the balance pays debts: {row:?}");
        let all = appcore::page::PageRequest::new(None, Some(100));
        let (entries, total) = rows::list(self.db.reader(), self.account, all).await.unwrap();
        if total == entries.len() as u64 {
            let settled: i64 = entries.iter().filter(|entry| entry.kind == "settle").map(|entry| entry.amount.0).sum();
            assert_eq!(settled, self.charged, "every call is charged once");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn account_adds_up_after_any_operations_on_two_instances() {
    for stage in stages().await {
        let db = stage.database().await;
        let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
        let deeds = proptest::collection::vec(deed(), 1..30);
        let played = tokio::task::block_in_place(|| {
            TestRunner::new(config).run(&deeds, |deeds| {
                Handle::current().block_on(async {
                    let (db, clock) = (db.clone(), Clock::stopped_at(NOW));
                    let mut play = Play {
                        instances: instances(&db, &clock),
                        db,
                        clock,
                        account: Uuid::now_v7(),
                        purchases: Vec::new(),
                        under_way: Vec::new(),
                        charged: 0,
                        steps: 0,
                    };
                    for deed in deeds {
                        play.play(deed).await;
                        play.check().await;
                    }
                    play.finish().await;
                });
                Ok(())
            })
        });
        played.unwrap();
    }
}

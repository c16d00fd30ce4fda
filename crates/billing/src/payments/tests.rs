//! Random sequences of gateway events on a user's payments while the credits are used, and the invariants after each
//! step.

use std::time::Duration;

use ::payment::{
    DisputeState, GatewayName, Money, PaymentUpdate, PaymentWebhookEvent, RefundState, RefundUpdate, Stage,
    WebhookSubject,
};
use appcore::{Timestamp, UserId, credits::MicroCredits};
use dbcontext::{
    entity::{ledger_entry, payment},
    query::{
        ledger::{self as ledger_rows, EntryFilter, NewCreditReservation},
        payments as rows,
    },
};
use identity::accounts::{Confirmed, Device};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sea_orm::ConnectionTrait as _;
use stage::{PASSWORD, email, principal, sign_in, sign_up, stages};
use uuid::Uuid;

use super::{CheckoutRequest, apply, plans, refund, start, subscriptions::Payer, webhook_inbox};
use crate::{
    BillingService,
    ledger::{self, AccountHolder, LockedAccounts, PostingSource},
    tests::instance,
};

const SEQUENCES: usize = 24;
const STEPS: usize = 50;
const ORDERS: usize = 24;
const PAYMENTS: usize = 3;
const ADMIN: &str = "Admin";
/// Amounts of the refunds, in cents. Together they are the full price.
const REFUNDS: [i64; 3] = [200, 250, 150];
const DISPUTES: [i64; 2] = [600, 150];
/// Price of the credit pack, in cents.
const PRICE: i64 = 600;
const CREDITS: i64 = 500_000_000;
/// Distinct report times of refund events, in seconds.
const MOMENTS: i64 = 5;

#[derive(Clone, Copy, Debug)]
enum Told {
    Pending,
    Paid,
    /// The payment was paid with another amount than requested.
    PaidOther,
    Failed,
    Expired,
    /// Refund with this index and state, reported at this second.
    Refund(usize, RefundState, i64),
    Dispute(usize, DisputeState),
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Tell(usize, Told),
    /// Repeats an earlier event.
    Again(usize),
    /// An administrator refunds a part of a payment.
    GiveBack(usize, i64),
    Gift(i64),
    Hold(i64),
    /// Settles the newest reservation at this cost.
    Settle(i64),
    Release,
    Hours(u32),
}

fn refund_state() -> impl Strategy<Value = RefundState> {
    prop_oneof![Just(RefundState::Pending), Just(RefundState::Done), Just(RefundState::Failed)]
}

fn told() -> impl Strategy<Value = Told> {
    let dispute = prop_oneof![Just(DisputeState::Open), Just(DisputeState::Won), Just(DisputeState::Lost)];
    prop_oneof![
        1 => Just(Told::Pending),
        6 => Just(Told::Paid),
        1 => Just(Told::PaidOther),
        1 => Just(Told::Failed),
        1 => Just(Told::Expired),
        6 => (0..REFUNDS.len(), refund_state(), 0..MOMENTS).prop_map(|(which, state, at)| Told::Refund(which, state, at)),
        6 => (0..DISPUTES.len(), dispute).prop_map(|(which, state)| Told::Dispute(which, state)),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let amount = || 1..CREDITS;
    prop_oneof![
        12 => (0..PAYMENTS, told()).prop_map(|(payment, told)| Deed::Tell(payment, told)),
        3 => (0..64_usize).prop_map(Deed::Again),
        2 => (0..PAYMENTS, 1..4_i64).prop_map(|(payment, part)| Deed::GiveBack(payment, part)),
        1 => amount().prop_map(Deed::Gift),
        4 => amount().prop_map(Deed::Hold),
        3 => amount().prop_map(Deed::Settle),
        2 => Just(Deed::Release),
        1 => (1..4_u32).prop_map(Deed::Hours),
    ]
}

/// A user with their payments and the events delivered so far.
struct Buyer {
    user_id: UserId,
    payments: Vec<Uuid>,
    told: Vec<PaymentWebhookEvent>,
    holds: Vec<(Uuid, i64)>,
}

impl Buyer {
    async fn new(service: &BillingService, name: &str, payments: usize) -> Self {
        let user_id = principal(&service.identity, &sign_up(&service.identity, name).await).await.user_id;
        let offered = plans::list(service, false).await.unwrap();
        let plan_id = offered.iter().find(|plan| plan.name == "500 credits").unwrap().id;
        let mut buyer = Self { user_id, payments: Vec::new(), told: Vec::new(), holds: Vec::new() };
        for _ in 0..payments {
            let order = CheckoutRequest {
                plan_id,
                gateway: Some(GatewayName::DEMO),
                method_id: None,
                currency: None,
                shown: None,
                return_url: None,
                key: None,
                address: None,
                seats: None,
            };
            let begun = start(service, Payer { user_id, workspace_id: None }, order).await.unwrap();
            buyer.payments.push(begun.payment_id);
        }
        buyer
    }

    async fn deliver_event(&mut self, service: &BillingService, payment: usize, told: Told) {
        let id = self.payments[payment];
        let money = |amount| Money::new(amount, "USD".parse().unwrap());
        let charge = format!("ch_{id}");
        let about = match told {
            Told::Refund(..) | Told::Dispute(..) => WebhookSubject::Charge(charge.clone()),
            _ => WebhookSubject::Payment(id),
        };
        let news = match told {
            Told::Pending => PaymentUpdate::Pending,
            Told::Paid => PaymentUpdate::Paid { money: money(PRICE), charge: Some(charge) },
            Told::PaidOther => PaymentUpdate::Paid { money: money(PRICE - 1), charge: Some(charge) },
            Told::Failed => PaymentUpdate::Failed,
            Told::Expired => PaymentUpdate::Expired,
            Told::Refund(which, state, at) => {
                let reference = format!("re_{id}_{which}");
                let at = Some(Timestamp(at * 1_000));
                PaymentUpdate::Refund(RefundUpdate { reference, ours: None, money: money(REFUNDS[which]), state, at })
            }
            Told::Dispute(which, state) => {
                PaymentUpdate::Dispute { reference: format!("dp_{which}"), money: Some(money(DISPUTES[which])), state }
            }
        };
        let event_id = format!("evt_{}", Uuid::now_v7());
        let notice = PaymentWebhookEvent { event_id, kind: "test".to_owned(), about, is_ours: true, news };
        self.told.push(notice.clone());
        deliver(service, notice).await;
    }

    async fn use_credits(&mut self, service: &BillingService, deed: Deed) {
        let now = service.clock.now();
        let tx = service.db.begin().await.unwrap();
        let mut books = LockedAccounts::open(&tx, AccountHolder::Person(self.user_id), now).await.unwrap();
        let book = books.single_account().unwrap();
        let id = Uuid::now_v7();
        match deed {
            Deed::Gift(amount) => {
                let expires_at = Some(now.plus(Duration::from_secs(2 * 3_600)));
                book.grant(MicroCredits(amount), &PostingSource::new("test", id), expires_at, None);
            }
            Deed::Hold(amount) if MicroCredits(amount) <= book.available() => {
                let amount = MicroCredits(amount);
                book.hold(amount);
                book.post_holds(&PostingSource::new("hold", id));
                let expires_at = now.plus(Duration::from_secs(60));
                let hold = NewCreditReservation { id, account_id: self.user_id.0, amount, expires_at };
                ledger_rows::insert_reservations(&tx, &[hold]).await.unwrap();
                self.holds.push((id, amount.0));
            }
            Deed::Settle(_) | Deed::Release => {
                if let Some((hold, amount)) = self.holds.pop() {
                    assert_eq!(ledger_rows::remove_reservations(&tx, &[hold]).await.unwrap().len(), 1);
                    let source = PostingSource::new("usage", id);
                    book.release_hold(MicroCredits(amount));
                    book.post_holds(&source);
                    if let Deed::Settle(cost) = deed {
                        book.charge(MicroCredits(cost), &source);
                    }
                    book.pay_debts(&source);
                }
            }
            _ => {}
        }
        books.store(&tx).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn entries(&self, service: &BillingService) -> Vec<ledger_entry::Model> {
        let wanted = EntryFilter {
            account_id: Some(self.user_id.0),
            from: Timestamp(0),
            to: Timestamp(i64::MAX),
            before: Uuid::max(),
        };
        ledger_rows::entries_after(service.db.writer(), wanted, Uuid::nil(), 100_000).await.unwrap()
    }

    /// Amount that entries of these kinds have debited from the account, minus the amount that they have credited.
    async fn lost(&self, service: &BillingService, kinds: &[&str]) -> i64 {
        let entries = self.entries(service).await.into_iter().filter(|entry| kinds.contains(&entry.kind.as_str()));
        entries.map(|entry| if entry.from_account == self.user_id.0 { entry.amount.0 } else { -entry.amount.0 }).sum()
    }

    async fn check(&self, service: &BillingService) {
        let (_, differences) = ledger::verify(&service.db).await.unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
        let (mut bought, mut taken) = (0, 0);
        for id in &self.payments {
            let row = rows::by_id(service.db.writer(), *id).await.unwrap().unwrap();
            let (paid, back) = standing(service, &row).await;
            bought += paid;
            taken += back;
        }
        assert_eq!(self.lost(service, &["purchase"]).await, -bought, "each payment is credited once");
        let kinds = ["refund", "refund_failed", "dispute", "dispute_won"];
        assert_eq!(self.lost(service, &kinds).await, taken, "each reversal is clawed back once");
    }
}

/// Credits that a payment must have granted, and the part that must be clawed back.
async fn standing(service: &BillingService, row: &payment::Model) -> (i64, i64) {
    let refunds = rows::refunds(service.db.writer(), row.id).await.unwrap();
    let disputes = rows::disputes(service.db.writer(), row.id).await.unwrap();
    let is_paid = row.stage == Stage::Paid.as_str();
    let done: i64 = refunds.iter().filter(|refund| refund.state == "done").map(|refund| refund.amount).sum();
    assert_eq!((is_paid, row.refunded), (row.receipt_number.is_some(), done), "{row:?}");
    assert!(row.refunded <= row.amount, "{row:?}");
    for refund in &refunds {
        assert!(refund.state != "done" || refund.credit_note_number.is_some(), "{refund:?}");
    }
    let mut again = row.clone();
    apply::update_status(&mut again).unwrap();
    assert_eq!(&again, row, "the status follows from the other fields");
    if !is_paid {
        assert!(refunds.is_empty() && disputes.is_empty(), "reversals wait for the payment: {row:?}");
        return (0, 0);
    }
    let claimed: i64 = refunds.iter().filter(|refund| refund.state != "failed").map(|refund| refund.amount).sum();
    assert!(claimed <= row.amount, "{refunds:?}");
    let disputed: i64 = disputes.iter().filter(|one| one.state != "won").map(|one| one.amount).sum();
    let (claimed, whole) = (i128::from((claimed + disputed).min(row.amount)), i128::from(row.amount));
    (CREDITS, i64::try_from((i128::from(CREDITS) * claimed + whole - 1) / whole).unwrap())
}

async fn deliver(service: &BillingService, notice: PaymentWebhookEvent) {
    let gateway = service.payments.gateway(GatewayName::DEMO).unwrap();
    webhook_inbox::store(service, gateway.as_ref(), notice, "{}".to_owned()).await.unwrap();
}

/// Checks that the numbers of receipts and credit notes have no gaps.
async fn are_numbered(service: &BillingService) {
    let (all, _) =
        rows::list(service.db.writer(), rows::Filter::default(), appcore::page::PageRequest::new(None, Some(1)))
            .await
            .unwrap();
    assert!(!all.is_empty());
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) AS count, CAST(COUNT(DISTINCT number) AS BIGINT) AS several, CAST(MAX(number) AS BIGINT) AS last FROM (\
        SELECT receipt_number AS number FROM payments WHERE receipt_number IS NOT NULL \
        UNION ALL SELECT credit_note_number FROM payment_refunds WHERE credit_note_number IS NOT NULL) AS papers";
    let statement = sea_orm::Statement::from_string(service.db.writer().get_database_backend(), sql);
    let row = service.db.writer().query_one_raw(statement).await.unwrap().unwrap();
    let number = |name: &str| row.try_get::<Option<i64>>("", name).unwrap().unwrap_or(0);
    assert_eq!((number("several"), number("last")), (number("count"), number("count")), "numbers without gaps");
}

fn runner(seed: u8) -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_are_granted_once_and_clawed_back_once() {
    for stage in stages().await {
        let service = instance(&stage).await;
        sign_up(&service.identity, ADMIN).await;
        let mut runner = runner(11);
        let sequences = if stage.is_sqlite() { SEQUENCES } else { SEQUENCES / 4 };
        for number in 0..sequences {
            let deeds = proptest::collection::vec(deed(), STEPS).new_tree(&mut runner).unwrap().current();
            let mut buyer = Buyer::new(&service, &format!("Buyer{number}"), PAYMENTS).await;
            for (place, deed) in deeds.into_iter().enumerate() {
                tracing::debug!(number, place, ?deed, "a deed");
                match deed {
                    Deed::Tell(payment, told) => buyer.deliver_event(&service, payment, told).await,
                    Deed::Again(which) => {
                        if let Some(notice) = buyer.told.get(which).cloned() {
                            deliver(&service, notice).await;
                        }
                    }
                    Deed::GiveBack(payment, part) => {
                        let signed_in =
                            sign_in(&service.identity, &email(ADMIN), PASSWORD, Device::default()).await.unwrap();
                        let by =
                            Confirmed::authorize(&service.identity, &principal(&service.identity, &signed_in).await)
                                .await
                                .unwrap();
                        let amount = (part > 1).then_some(PRICE / part);
                        let done = refund(&service, &by, buyer.payments[payment], amount, "test".to_owned()).await;
                        assert!(done.as_ref().err().is_none_or(|error| error.code().status() < 500), "{done:?}");
                    }
                    Deed::Hours(hours) => {
                        service.clock.advance(Duration::from_secs(u64::from(hours) * 3_600));
                        ledger::expire(&service.db, service.clock.now()).await.unwrap();
                    }
                    deed => buyer.use_credits(&service, deed).await,
                }
                buyer.check(&service).await;
            }
        }
        are_numbered(&service).await;
    }
}

/// Events of one payment: that it was paid, and one sequence of states for each refund and dispute.
fn course() -> impl Strategy<Value = Vec<Told>> {
    let states = proptest::collection::vec((refund_state(), 0..MOMENTS), 0..4);
    let refunds = proptest::collection::vec(states, REFUNDS.len());
    let ends = prop_oneof![Just(None), Just(Some(DisputeState::Won)), Just(Some(DisputeState::Lost))];
    let disputes = proptest::collection::vec((any::<bool>(), ends), DISPUTES.len());
    (refunds, disputes).prop_map(|(refunds, disputes)| {
        let mut told = vec![Told::Pending, Told::Paid, Told::Failed, Told::Expired];
        for (which, states) in refunds.into_iter().enumerate() {
            told.extend(states.into_iter().map(|(state, at)| Told::Refund(which, state, at)));
        }
        for (which, (is_open, end)) in disputes.into_iter().enumerate() {
            told.extend(is_open.then_some(Told::Dispute(which, DisputeState::Open)));
            told.extend(end.map(|end| Told::Dispute(which, end)));
        }
        told
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_of_events_does_not_matter() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let mut runner = runner(13);
        let courses = if stage.is_sqlite() { ORDERS } else { ORDERS / 4 };
        for number in 0..courses {
            let told = course().new_tree(&mut runner).unwrap().current();
            let mut ends = Vec::new();
            for order in 0..3 {
                let told = Just(told.clone()).prop_shuffle().new_tree(&mut runner).unwrap().current();
                let mut buyer = Buyer::new(&service, &format!("Buyer{number}x{order}"), 1).await;
                for one in &told {
                    buyer.deliver_event(&service, 0, *one).await;
                    buyer.check(&service).await;
                }
                let row = rows::by_id(service.db.writer(), buyer.payments[0]).await.unwrap().unwrap();
                let account = ledger_rows::account(service.db.writer(), buyer.user_id.0).await.unwrap().unwrap();
                ends.push((row.status, row.refunded, account.balance.0 - account.owed.0));
                assert_eq!(ends[order], ends[0], "{told:?}");
            }
        }
        are_numbered(&service).await;
    }
}

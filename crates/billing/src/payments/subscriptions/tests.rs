//! Random sequences of operations on a user's subscription, payments and credits, and the invariants after each step.

use std::{collections::BTreeMap, time::Duration};

use ::payment::{DemoOutcome, DemoSetupOutcome, DisputeState, GatewayName, Money, PaymentUpdate, Stage};
use appcore::{AppError, PaymentMethodId, PlanId, UserId, auth::Principal, page::PageRequest, view::PlanInterval};
use dbcontext::{
    entity::{payment, subscription},
    query::{payments as payment_rows, subscriptions as rows},
};
use identity::accounts::{Confirmed, Device};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use stage::{PASSWORD, email, principal, sign_in, sign_up, stages};
use uuid::Uuid;

use super::{
    PayRequest, Payer, SaveMethodJob, cancel, change, methods, parse_state, pay_next_period, remove, resume, schedule,
    set_default,
};
use crate::{
    BillingService, ledger,
    payments::{self, CheckoutRequest, apply, plans, setups, subscriptions},
    tests::instance,
};

const SEQUENCES: usize = 12;
const DEEDS: usize = 40;
const ADMIN: &str = "Admin";

#[derive(Clone, Copy, Debug)]
enum Deed {
    Buy(usize, DemoOutcome),
    /// Buys with the newest saved method, or the one before.
    BuySaved(usize, usize),
    Save(DemoSetupOutcome),
    /// Makes a saved method the default.
    Use(usize),
    /// Completes a started payment, if any.
    Tell(usize, DemoOutcome),
    Refund(usize, i64),
    Dispute(usize, DisputeState),
    Cancel,
    Resume,
    Change(usize),
    Pay,
    RemoveMethod,
    Hours(u32),
    ClockBack(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    let outcome =
        || prop_oneof![4 => Just(DemoOutcome::Paid), 2 => Just(DemoOutcome::PaidOnce), 1 => Just(DemoOutcome::Failed)];
    let saved = prop_oneof![
        2 => Just(DemoSetupOutcome::Saved),
        1 => Just(DemoSetupOutcome::SavedDeclined),
        1 => Just(DemoSetupOutcome::SavedConfirm),
        1 => Just(DemoSetupOutcome::Failed),
    ];
    let dispute = prop_oneof![Just(DisputeState::Open), Just(DisputeState::Won), Just(DisputeState::Lost)];
    prop_oneof![
        4 => (0..5_usize, outcome()).prop_map(|(plan, outcome)| Deed::Buy(plan, outcome)),
        2 => (0..5_usize, 0..2_usize).prop_map(|(plan, which)| Deed::BuySaved(plan, which)),
        2 => saved.prop_map(Deed::Save),
        1 => (0..2_usize).prop_map(Deed::Use),
        2 => (0..4_usize, outcome()).prop_map(|(which, outcome)| Deed::Tell(which, outcome)),
        2 => (0..4_usize, 1..5_i64).prop_map(|(which, part)| Deed::Refund(which, part)),
        1 => (0..4_usize, dispute).prop_map(|(which, state)| Deed::Dispute(which, state)),
        1 => Just(Deed::Cancel),
        1 => Just(Deed::Resume),
        2 => (0..4_usize).prop_map(Deed::Change),
        2 => Just(Deed::Pay),
        1 => Just(Deed::RemoveMethod),
        8 => (1..900_u32).prop_map(Deed::Hours),
        1 => (1..100_u32).prop_map(Deed::ClockBack),
    ]
}

/// Returns `None` if the operation was rejected, which must change nothing.
pub(super) fn allowed<T>(done: Result<T, AppError>) -> Option<T> {
    match done {
        Ok(value) => Some(value),
        Err(AppError::Internal(error) | AppError::Unavailable(error)) => panic!("{error:#}"),
        Err(_) => None,
    }
}

pub(super) async fn all_payments(service: &BillingService, user_id: UserId) -> Vec<payment::Model> {
    let filter = payment_rows::Filter { user_id: Some(user_id), ..payment_rows::Filter::default() };
    payment_rows::list(service.db.writer(), filter, PageRequest::new(None, Some(100))).await.unwrap().0
}

/// Completes a demo payment, and runs the jobs that follow.
pub(super) async fn complete_payment(service: &BillingService, by: &Principal, id: Uuid, outcome: DemoOutcome) {
    if allowed(payments::complete_demo(service, by, id, outcome).await).is_some() {
        SaveMethodJob { payment_id: id }.save_method(service).await.unwrap();
    }
}

/// Returns a saved method by its index, newest first.
async fn saved(service: &BillingService, payer: Payer, which: usize) -> Option<PaymentMethodId> {
    let kept = methods(service, payer, PageRequest::new(None, Some(10))).await.unwrap();
    kept.items.get(which).map(|method| PaymentMethodId(method.id))
}

pub(super) fn order(plan_id: PlanId) -> CheckoutRequest {
    CheckoutRequest {
        plan_id,
        gateway: Some(GatewayName::DEMO),
        method_id: None,
        currency: None,
        shown: None,
        return_url: None,
        key: None,
        address: None,
        seats: None,
    }
}

async fn perform(service: &BillingService, by: &Principal, plans: &[PlanId], deed: Deed) {
    let payer = Payer { user_id: by.user_id, workspace_id: None };
    let nth = async |which: usize| all_payments(service, by.user_id).await.into_iter().nth(which);
    match deed {
        Deed::Buy(plan, outcome) => {
            if let Some(begun) = allowed(payments::start(service, payer, order(plans[plan])).await) {
                complete_payment(service, by, begun.payment_id, outcome).await;
            }
        }
        Deed::BuySaved(plan, which) => {
            if let Some(id) = saved(service, payer, which).await
                && let Some(begun) = allowed(
                    payments::start(
                        service,
                        payer,
                        CheckoutRequest { method_id: Some(id), gateway: None, ..order(plans[plan]) },
                    )
                    .await,
                )
            {
                SaveMethodJob { payment_id: begun.payment_id }.save_method(service).await.unwrap();
            }
        }
        Deed::Save(outcome) => {
            if let Some(begun) = allowed(setups::start(service, payer, GatewayName::DEMO, None).await) {
                for _ in 0..2 {
                    allowed(setups::complete_demo(service, by, begun.setup_id, outcome).await);
                }
            }
        }
        Deed::Use(which) => {
            if let Some(id) = saved(service, payer, which).await {
                allowed(set_default(service, payer, id).await);
            }
        }
        Deed::Tell(which, outcome) => {
            if let Some(row) = nth(which).await.filter(|row| row.purpose == "purchase") {
                complete_payment(service, by, row.id, outcome).await;
            }
        }
        Deed::Refund(which, part) => {
            if let Some(row) = nth(which).await {
                let amount = (part > 1).then_some(row.amount / part);
                let signed_in = sign_in(&service.identity, &email(ADMIN), PASSWORD, Device::default()).await.unwrap();
                let admin = Confirmed::authorize(&service.identity, &principal(&service.identity, &signed_in).await)
                    .await
                    .unwrap();
                allowed(payments::refund(service, &admin, row.id, amount, "test".to_owned()).await);
            }
        }
        Deed::Dispute(which, dispute) => {
            if let Some(row) = nth(which).await.filter(|row| row.stage == Stage::Paid.as_str()) {
                let money = Some(Money::new(row.amount, row.currency.parse().unwrap()));
                let news = PaymentUpdate::Dispute { reference: "dp_1".to_owned(), money, state: dispute };
                payments::reconciler::apply_update(service, row.id, Some(&news)).await.unwrap();
            }
        }
        Deed::Cancel => drop(allowed(cancel(service, payer).await)),
        Deed::Resume => drop(allowed(resume(service, payer).await)),
        Deed::Change(plan) => {
            if let Some(changed) = allowed(change(service, payer, plans[plan], None, None, None).await)
                && let Some(id) = changed.payment_id.filter(|_| changed.redirect_url.is_some())
            {
                complete_payment(service, by, id, DemoOutcome::Paid).await;
            }
        }
        Deed::Pay => {
            if let Some(begun) = allowed(pay_next_period(service, payer, PayRequest::default()).await) {
                complete_payment(service, by, begun.payment_id, DemoOutcome::Paid).await;
            }
        }
        Deed::RemoveMethod => {
            if let Some(id) = saved(service, payer, 0).await {
                allowed(remove(service, payer, id).await);
            }
        }
        Deed::Hours(hours) => service.clock.advance(Duration::from_secs(u64::from(hours) * 3_600)),
        Deed::ClockBack(hours) => service.clock.rewind(Duration::from_secs(u64::from(hours) * 3_600)),
    }
    // Processes due work, as each instance does continuously.
    for _ in 0..12 {
        subscriptions::sweep(service, service.clock.now()).await.unwrap();
    }
}

async fn check(
    service: &BillingService,
    user_id: UserId,
    before: Option<&subscription::Model>,
    deed: Deed,
) -> Option<subscription::Model> {
    let now = service.clock.now();
    let (_, differences) = ledger::verify(&service.db).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    let all = all_payments(service, user_id).await;
    let mut renewals: BTreeMap<Option<i64>, usize> = BTreeMap::new();
    let mut numbers = Vec::new();
    for row in &all {
        assert!(row.refunded <= row.amount, "{row:?}");
        assert_eq!(row.stage == Stage::Paid.as_str(), row.receipt_number.is_some(), "{row:?}");
        numbers.extend(row.receipt_year.zip(row.receipt_number));
        for refund in payment_rows::refunds(service.db.writer(), row.id).await.unwrap() {
            assert_eq!(refund.state == "done", refund.credit_note_number.is_some(), "{refund:?}");
            numbers.extend(refund.credit_note_year.zip(refund.credit_note_number));
        }
        if row.purpose == "renewal" {
            *renewals.entry(row.period).or_default() += 1;
        }
        let mut again = row.clone();
        apply::update_status(&mut again).unwrap();
        assert_eq!(&again, row, "the status follows from the other fields");
    }
    assert!(renewals.values().all(|count| *count == 1), "a period was charged twice: {renewals:?}");
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "each number is used once");
    let page = PageRequest::new(None, Some(10));
    let kept = methods(service, Payer { user_id, workspace_id: None }, page).await.unwrap().items;
    let defaults = kept.iter().filter(|method| method.is_default).count();
    assert_eq!(defaults, usize::from(!kept.is_empty()), "one saved method is the default: {kept:?}");
    let row = rows::by_account(service.db.writer(), user_id.0).await.unwrap()?;
    assert!(row.method_id.is_none_or(|id| kept.iter().any(|method| method.id == id.0)), "{row:?} {kept:?}");
    let state = parse_state(&row).unwrap();
    let is_over = row.ends_at <= now;
    assert_eq!(state == ::payment::SubscriptionState::Ended, row.due_at.is_none(), "{row:?}");
    assert!(!row.is_charging, "the demo gateway answers at once: {row:?}");
    assert!(!is_over || state == ::payment::SubscriptionState::Ended, "an expired subscription has ended: {row:?}");
    assert!(schedule(service, &row).unwrap().due(now).is_none(), "no due action is left: {row:?}");
    if let Some(before) = before {
        assert!(row.period >= before.period, "{before:?} {row:?}");
        let is_longer = row.period > before.period;
        assert!(
            !is_longer
                || !matches!(
                    deed,
                    Deed::Cancel
                        | Deed::Resume
                        | Deed::Refund(..)
                        | Deed::RemoveMethod
                        | Deed::Save(DemoSetupOutcome::Failed)
                        | Deed::ClockBack(_)
                ),
            "{deed:?}"
        );
    }
    Some(row)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_charged_or_granted_twice_in_any_order() {
    for stage in stages().await {
        let service = instance(&stage).await;
        sign_up(&service.identity, ADMIN).await;
        let offered = plans::list(&service, false).await.unwrap();
        let id = |name: &str, interval: Option<PlanInterval>| {
            offered.iter().find(|plan| plan.name == name && plan.interval == interval).unwrap().id
        };
        let (month, year) = (Some(PlanInterval::Month), Some(PlanInterval::Year));
        let ids =
            [id("Team", month), id("Studio", month), id("Team", year), id("Studio", year), id("500 credits", None)];
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let sequences = if stage.is_sqlite() { SEQUENCES } else { SEQUENCES / 3 };
        for number in 0..sequences {
            let deeds = proptest::collection::vec(deed(), DEEDS).new_tree(&mut runner).unwrap().current();
            let by = principal(&service.identity, &sign_up(&service.identity, &format!("Payer{number}")).await).await;
            let mut before = None;
            for (place, deed) in deeds.iter().enumerate() {
                tracing::debug!(number, place, ?deed, "a deed");
                perform(&service, &by, &ids, *deed).await;
                before = check(&service, by.user_id, before.as_ref(), *deed).await;
            }
        }
    }
}

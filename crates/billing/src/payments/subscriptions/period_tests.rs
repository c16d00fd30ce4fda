//! Random sequences of purchases, seats, members, changes, refunds and disputes of a workspace's plan, and two
//! invariants after each step: credits granted in a period are paid for in that period, and the plan in force is the
//! last one paid for and not refunded.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use ::payment::{DemoOutcome, DisputeState, Money, PaymentUpdate, Stage, SubscriptionState};
use appcore::{
    AppError, PlanId, Timestamp, UserId, WorkspaceId,
    auth::Principal,
    credits::MicroCredits,
    view::{PlanInterval, PlanKind, Price, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    entity::payment,
    query::{
        ledger::{self as ledger_rows, EntryFilter},
        payments as payment_rows, subscriptions as rows,
        workspaces::{self, MembershipEnd},
    },
};
use identity::{
    accounts::{Confirmed, Device},
    membership::quota::check_members,
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use stage::{PASSWORD, create_workspace, email, principal, sign_in, sign_up, stages};
use uuid::Uuid;

use super::{
    Payer, PaymentPurpose, change, parse_state, pay_next_period,
    tests::{all_payments, allowed, complete_payment, order},
};
use crate::{
    BillingService, ledger,
    payments::{self, CheckoutRequest, plans, subscriptions},
    tests::instance,
};

const SEQUENCES: usize = 10;
const STEPS: usize = 25;
const PEOPLE: usize = 4;
const ADMIN: &str = "Admin";
/// Micro-credits that one cent buys in every plan.
const CREDIT: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Buy(usize, i64),
    Change {
        plan: usize,
        seats: i64,
        is_paid: bool,
    },
    /// Pays a started payment.
    PayOpen,
    PayNext,
    Refund(usize, i64),
    Dispute(usize, DisputeState),
    Add(usize, bool),
    Remove(usize),
    SetGuest(usize, bool),
    Hours(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let dispute = prop_oneof![Just(DisputeState::Open), Just(DisputeState::Won), Just(DisputeState::Lost)];
    prop_oneof![
        3 => (0..4_usize, 1..6_i64).prop_map(|(plan, seats)| Step::Buy(plan, seats)),
        6 => (0..4_usize, 1..7_i64, prop::bool::weighted(0.8))
            .prop_map(|(plan, seats, is_paid)| Step::Change { plan, seats, is_paid }),
        1 => Just(Step::PayOpen),
        1 => Just(Step::PayNext),
        2 => (0..4_usize, 1..4_i64).prop_map(|(which, part)| Step::Refund(which, part)),
        2 => (0..4_usize, dispute).prop_map(|(which, state)| Step::Dispute(which, state)),
        4 => (0..PEOPLE, any::<bool>()).prop_map(|(who, is_guest)| Step::Add(who, is_guest)),
        3 => (0..PEOPLE).prop_map(Step::Remove),
        5 => (0..PEOPLE, any::<bool>()).prop_map(|(who, is_guest)| Step::SetGuest(who, is_guest)),
        4 => prop_oneof![1..200_u32, 1..900_u32].prop_map(Step::Hours),
    ]
}

/// A workspace with its owner, who pays, and people who join and leave.
struct Group {
    owner: Principal,
    people: Vec<Principal>,
    id: WorkspaceId,
    plans: Vec<PlanId>,
}

impl Group {
    async fn new(service: &BillingService, number: usize, plans: Vec<PlanId>) -> Self {
        let owner = principal(&service.identity, &sign_up(&service.identity, &format!("Owner{number}")).await).await;
        let mut people = Vec::new();
        for person in 0..PEOPLE {
            people.push(
                principal(&service.identity, &sign_up(&service.identity, &format!("Member{number}x{person}")).await)
                    .await,
            );
        }
        let id = create_workspace(service, owner.user_id).await;
        Self { owner, people, id, plans }
    }

    const fn payer(&self) -> Payer {
        Payer { user_id: self.owner.user_id, workspace_id: Some(self.id) }
    }

    async fn nth(&self, service: &BillingService, which: usize) -> Option<payment::Model> {
        all_payments(service, self.owner.user_id).await.into_iter().nth(which)
    }

    async fn perform(&self, service: &BillingService, step: Step) {
        let role = |is_guest| if is_guest { WorkspaceRole::Guest } else { WorkspaceRole::Member };
        match step {
            Step::Buy(plan, seats) => {
                let order = CheckoutRequest { seats: Some(seats), ..order(self.plans[plan]) };
                if let Some(begun) = allowed(payments::start(service, self.payer(), order).await) {
                    complete_payment(service, &self.owner, begun.payment_id, DemoOutcome::Paid).await;
                }
            }
            Step::Change { plan, seats, is_paid } => {
                if let Some(changed) =
                    allowed(change(service, self.payer(), self.plans[plan], Some(seats), None, None).await)
                    && let Some(id) = changed.payment_id.filter(|_| changed.redirect_url.is_some() && is_paid)
                {
                    complete_payment(service, &self.owner, id, DemoOutcome::Paid).await;
                }
            }
            Step::PayOpen => {
                let all = all_payments(service, self.owner.user_id).await;
                if let Some(open) = all.iter().find(|one| one.stage != Stage::Paid.as_str()) {
                    complete_payment(service, &self.owner, open.id, DemoOutcome::Paid).await;
                }
            }
            Step::PayNext => {
                if let Some(begun) = allowed(pay_next_period(service, self.payer(), super::PayRequest::default()).await)
                {
                    complete_payment(service, &self.owner, begun.payment_id, DemoOutcome::Paid).await;
                }
            }
            Step::Refund(which, part) => {
                if let Some(row) = self.nth(service, which).await {
                    let amount = (part > 1).then_some(row.amount / part);
                    let signed_in =
                        sign_in(&service.identity, &email(ADMIN), PASSWORD, Device::default()).await.unwrap();
                    let admin =
                        Confirmed::authorize(&service.identity, &principal(&service.identity, &signed_in).await)
                            .await
                            .unwrap();
                    allowed(payments::refund(service, &admin, row.id, amount, "test".to_owned()).await);
                }
            }
            Step::Dispute(which, state) => {
                if let Some(row) = self.nth(service, which).await.filter(|row| row.stage == Stage::Paid.as_str()) {
                    let money = Some(Money::new(row.amount, row.currency.parse().unwrap()));
                    let news = PaymentUpdate::Dispute { reference: "dp_1".to_owned(), money, state };
                    payments::reconciler::apply_update(service, row.id, Some(&news)).await.unwrap();
                }
            }
            Step::Add(who, is_guest) => {
                allowed(self.set_role(service, self.people[who].user_id, role(is_guest), true).await);
            }
            Step::Remove(who) => {
                let (user_id, now) = (self.people[who].user_id, service.clock.now());
                let end = MembershipEnd::Removed;
                workspaces::end_membership(service.db.writer(), self.id, user_id, end, now).await.unwrap();
            }
            Step::SetGuest(who, is_guest) => {
                allowed(self.set_role(service, self.people[who].user_id, role(is_guest), false).await);
            }
            Step::Hours(hours) => service.clock.advance(Duration::from_secs(u64::from(hours) * 3_600)),
        }
        // Processes due work, as each instance does continuously.
        for _ in 0..4 {
            subscriptions::sweep(service, service.clock.now()).await.unwrap();
        }
    }

    /// Adds a member, or changes a member's role, within the paid seats.
    async fn set_role(
        &self,
        service: &BillingService,
        user_id: UserId,
        role: WorkspaceRole,
        is_new: bool,
    ) -> Result<(), AppError> {
        let now = service.clock.now();
        let tx = service.db.begin().await.unwrap();
        workspaces::lock(&tx, self.id).await?;
        let held = workspaces::role(&tx, self.id, user_id).await?;
        if held.is_some() == is_new {
            return Ok(());
        }
        if held.is_none_or(|held| held == WorkspaceRole::Guest) {
            check_members(&tx, self.id, role, now).await?;
        }
        if is_new {
            workspaces::add(&tx, self.id, user_id, role, now).await?;
        } else {
            workspaces::set_role(&tx, self.id, user_id, role, now).await?;
        }
        tx.commit().await.map_err(app_error)
    }

    async fn check(&self, service: &BillingService) {
        let all = all_payments(service, self.owner.user_id).await;
        let mut paid: Vec<payment::Model> = all.into_iter().filter(|one| one.stage == Stage::Paid.as_str()).collect();
        paid.sort_by_key(|one| (one.paid_at, one.id));
        let (mut gone, mut kept) = (HashSet::new(), HashMap::new());
        let mut payment_of = HashMap::new();
        for one in &paid {
            let refunds = payment_rows::refunds(service.db.writer(), one.id).await.unwrap();
            let disputes = payment_rows::disputes(service.db.writer(), one.id).await.unwrap();
            payment_of.insert(one.id.to_string(), one.id);
            payment_of.extend(refunds.iter().map(|refund| (refund.id.to_string(), one.id)));
            let refunded: i64 = refunds.iter().filter(|one| one.state != "failed").map(|one| one.amount).sum();
            let disputed: i64 = disputes.iter().filter(|one| one.state != "won").map(|one| one.amount).sum();
            let lost: i64 = disputes.iter().filter(|one| one.state == "lost").map(|one| one.amount).sum();
            if refunded + lost >= one.amount {
                gone.insert(one.id);
            }
            kept.insert(one.id, one.amount - (refunded + disputed).min(one.amount));
        }
        self.check_credits(service, &paid, &kept, &payment_of).await;
        self.check_plan(service, &paid, &gone).await;
    }

    /// Checks that the credits granted for the payments of each period, minus clawbacks, don't exceed what the money of
    /// that period buys.
    async fn check_credits(
        &self,
        service: &BillingService,
        paid: &[payment::Model],
        kept: &HashMap<Uuid, i64>,
        payment_of: &HashMap<String, Uuid>,
    ) {
        let period_of: HashMap<Uuid, Option<i64>> = paid.iter().map(|one| (one.id, one.period)).collect();
        let mut granted: BTreeMap<Option<i64>, i64> = BTreeMap::new();
        for person in self.people.iter().chain([&self.owner]) {
            let account = person.user_id.0;
            let (from, to) = (Timestamp(0), Timestamp(i64::MAX));
            let wanted = EntryFilter { account_id: Some(account), from, to, before: Uuid::max() };
            for entry in ledger_rows::entries_after(service.db.writer(), wanted, Uuid::nil(), 100_000).await.unwrap() {
                if !["purchase", "refund", "refund_failed", "dispute", "dispute_won"].contains(&entry.kind.as_str()) {
                    continue;
                }
                let subject = entry.source_id.split(':').next().unwrap();
                let period = period_of[&payment_of[subject]];
                let amount = if entry.to_account == account { entry.amount.0 } else { -entry.amount.0 };
                *granted.entry(period).or_default() += amount;
            }
        }
        for (period, granted) in granted {
            let of_period: Vec<&payment::Model> = paid.iter().filter(|one| one.period == period).collect();
            let money: i64 = of_period.iter().map(|one| kept[&one.id]).sum();
            // Each payment may be off by one cent, because amounts are rounded.
            let most = money * CREDIT + i64::try_from(of_period.len()).unwrap() * CREDIT;
            assert!(granted <= most, "period {period:?}: {granted} granted, {most} paid for: {of_period:#?}");
        }
        let (_, differences) = ledger::verify(&service.db).await.unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
    }

    async fn check_plan(&self, service: &BillingService, paid: &[payment::Model], gone: &HashSet<Uuid>) {
        let Some(held) = rows::by_account(service.db.writer(), self.id.0).await.unwrap() else { return };
        if parse_state(&held).unwrap() == SubscriptionState::Ended {
            return;
        }
        let by_id = |id: Uuid| paid.iter().find(|one| one.id == id).unwrap();
        let stands = |one: &payment::Model| {
            let mut one = one;
            loop {
                if gone.contains(&one.id) {
                    return false;
                }
                match one.base_payment_id.filter(|_| one.purpose == PaymentPurpose::Change.as_str()) {
                    Some(base) => one = by_id(base),
                    None => return true,
                }
            }
        };
        let in_force = by_id(held.payment_id.unwrap());
        assert_eq!((held.plan_id, held.seats), (in_force.plan_id, in_force.seats), "{held:#?}");
        let last = paid.iter().rfind(|one| stands(one)).map(|one| one.id);
        assert_eq!(last, Some(in_force.id), "the last plan paid for is in force: {held:#?} {paid:#?} {gone:?}");
        let seats = rows::credits_of(service.db.writer(), in_force.id).await.unwrap();
        let of_members = rows::seated(service.db.writer(), self.id, i64::MAX).await.unwrap();
        let taken = seats.iter().filter(|seat| of_members.iter().any(|user| user.0 == seat.account_id)).count();
        assert!(i64::try_from(taken).unwrap() <= held.seats, "{held:#?} {seats:#?}");
    }
}

async fn offer(service: &BillingService, by: &Principal) -> Vec<PlanId> {
    let mut ids = Vec::new();
    for (name, interval, amount) in [
        ("Small", PlanInterval::Month, 1_000),
        ("Large", PlanInterval::Month, 3_000),
        ("Small", PlanInterval::Year, 10_000),
        ("Large", PlanInterval::Year, 30_000),
    ] {
        let definition = plans::PlanDefinition {
            name: name.to_owned(),
            kind: PlanKind::Subscription,
            interval: Some(interval),
            prices: vec![Price { currency: "USD".to_owned(), amount }],
            credits: MicroCredits(amount * CREDIT),
            quotas: BTreeMap::new(),
            features: Vec::new(),
            trial_days: 0,
            is_active: true,
        };
        ids.push(plans::create(service, by, definition).await.unwrap().id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn granted_credits_are_paid_for_and_last_paid_plan_is_in_force() {
    for stage in stages().await {
        let service = instance(&stage).await;
        let admin = principal(&service.identity, &sign_up(&service.identity, ADMIN).await).await;
        let plans = offer(&service, &admin).await;
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[17; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let sequences = if stage.is_sqlite() { SEQUENCES } else { SEQUENCES / 3 };
        for number in 0..sequences {
            let steps = proptest::collection::vec(step(), STEPS).new_tree(&mut runner).unwrap().current();
            let group = Group::new(&service, number, plans.clone()).await;
            // Each sequence starts with a plan whose seats are all taken.
            for who in 0..PEOPLE {
                group.perform(&service, Step::Add(who, false)).await;
            }
            group.perform(&service, Step::Buy(0, 5)).await;
            for (place, step) in steps.iter().enumerate() {
                tracing::debug!(number, place, ?step, "step");
                group.perform(&service, *step).await;
                group.check(&service).await;
            }
        }
    }
}

//! Background tasks of the reservations: renewing those of calls in progress, releasing expired ones, and resizing
//! local allotments.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::{AppError, Timestamp, credits::MicroCredits, view::QuotaMetric};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        budgets::{self as counters, CounterId},
        ledger as accounts,
    },
};
use jobs::catch_panic;
use platform::bisect::process_with_bisection;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Amounts, LockedLimits, MAX_LIMITS, Origin, RemovalFilter, Reservation, Reservations, SpendingLimit};
use crate::ledger;

/// Expired reservations released per transaction.
const SWEEP_BATCH: u64 = 500;
/// Sort key that precedes those of all reservations.
const SWEEP_START: (Timestamp, Uuid) = (Timestamp(i64::MIN), Uuid::nil());
/// Interval at which local allotments are checked.
const ALLOTMENT_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Table that is swept.
#[derive(Clone, Copy)]
enum HoldTable {
    /// Reservations in budgets and quotas.
    Counters,
    Accounts,
}

/// An expired reservation and its limit.
struct Expired {
    id: Uuid,
    expires_at: Timestamp,
    spending_limit: Result<SpendingLimit, AppError>,
}

impl From<counters::BudgetReservation> for Expired {
    fn from(hold: counters::BudgetReservation) -> Self {
        let purse = CounterId::parse(&hold.scope, hold.scope_id).map(SpendingLimit::Counter);
        Self { id: hold.id, expires_at: hold.expires_at, spending_limit: purse }
    }
}

impl From<accounts::CreditReservation> for Expired {
    fn from(hold: accounts::CreditReservation) -> Self {
        Self { id: hold.id, expires_at: hold.expires_at, spending_limit: Ok(SpendingLimit::Credits(hold.account_id)) }
    }
}

pub(super) fn start(holds: &Arc<Reservations>) {
    tokio::spawn(run_maintenance(Arc::downgrade(holds), holds.expiry / 4));
    tokio::spawn(check_allotments(Arc::downgrade(holds)));
}

async fn run_maintenance(holds: Weak<Reservations>, every: Duration) {
    let mut tick = interval(every.max(Duration::from_millis(100)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(holds) = holds.upgrade() else { return };
        if let Err(error) = catch_panic(holds.renew()).await {
            tracing::warn!(%error, "failed to renew reservations");
        }
        if let Err(error) = catch_panic(holds.sweep()).await {
            tracing::warn!(%error, "failed to release expired reservations");
        }
        if let Err(error) = catch_panic(ledger::expire(&holds.db, holds.clock.now())).await {
            tracing::warn!(%error, "failed to post expired credits");
        }
    }
}

async fn check_allotments(holds: Weak<Reservations>) {
    let mut tick = interval(ALLOTMENT_CHECK_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(holds) = holds.upgrade() else { return };
        let due = holds.allotments.due(Instant::now());
        holds.reserve_allotments_or_log(&due).await;
    }
}

/// Renews and loads the reservation with this id. Returns `None` if it doesn't exist.
pub(super) async fn adopt(holds: &Reservations, id: Uuid) -> Result<Option<Reservation>, AppError> {
    holds.renew_until_expiry(&[id], &[id]).await?;
    let db = holds.db.writer();
    let mut held = Reservation { holds: [None; MAX_LIMITS], amounts: Amounts::default(), origin: Origin::Own };
    let mut found: Vec<(SpendingLimit, MicroCredits)> = Vec::with_capacity(MAX_LIMITS);
    for row in counters::reservations(db, &[id]).await? {
        found.push((SpendingLimit::Counter(CounterId::parse(&row.scope, row.scope_id)?), row.amount));
    }
    found.extend(
        accounts::reservations(db, &[id])
            .await?
            .into_iter()
            .map(|row| (SpendingLimit::Credits(row.account_id), row.amount)),
    );
    if found.is_empty() {
        return Ok(None);
    }
    for (place, (purse, amount)) in held.holds.iter_mut().zip(found) {
        *place = Some((purse, id));
        match purse {
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Tokens, _)) => held.amounts.tokens = amount.0,
            SpendingLimit::Counter(CounterId::Quota(..)) => held.amounts.count = amount.0,
            SpendingLimit::Counter(CounterId::Budget(_)) | SpendingLimit::Credits(_) => held.amounts.cost = amount,
        }
    }
    Ok(Some(held))
}

impl Reservations {
    /// Drops all local state, as if this instance had died.
    #[cfg(test)]
    pub fn drop_local_state(&self) {
        self.live.clear();
        self.allotments.clear();
    }

    pub async fn renew(&self) -> Result<(), AppError> {
        let mut in_counters: Vec<Uuid> = self.live.iter().map(|entry| *entry.key()).collect();
        let mut in_accounts = in_counters.clone();
        for (purse, id) in self.allotments.holds() {
            match purse {
                SpendingLimit::Counter(_) => in_counters.push(id),
                SpendingLimit::Credits(_) => in_accounts.push(id),
            }
        }
        self.renew_until_expiry(&in_counters, &in_accounts).await
    }

    async fn renew_until_expiry(&self, in_counters: &[Uuid], in_accounts: &[Uuid]) -> Result<(), AppError> {
        let expires_at = self.clock.now().plus(self.expiry);
        let mut pieces = Vec::new();
        if !in_counters.is_empty() {
            pieces.push(counters::extend_reservations(in_counters, expires_at));
        }
        if !in_accounts.is_empty() {
            pieces.push(accounts::extend_reservations(in_accounts, expires_at));
        }
        if pieces.is_empty() {
            return Ok(());
        }
        query::execute(self.db.writer(), pieces).await
    }

    /// Releases expired reservations. A reservation that can't be released doesn't delay the others.
    pub async fn sweep(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let of_counters = self.sweep_all(HoldTable::Counters, now).await;
        let of_accounts = self.sweep_all(HoldTable::Accounts, now).await;
        of_counters.and(of_accounts)
    }

    async fn sweep_all(&self, of: HoldTable, now: Timestamp) -> Result<(), AppError> {
        let mut after = SWEEP_START;
        loop {
            let part = self.expired(of, now, after).await?;
            let Some(last) = part.last() else { return Ok(()) };
            after = (last.expires_at, last.id);
            let mut expired = Vec::with_capacity(part.len());
            for hold in part {
                match hold.spending_limit {
                    Ok(purse) => expired.push((purse, hold.id)),
                    Err(error) => {
                        tracing::error!(%error, hold = %hold.id, "failed to parse scope of expired reservation")
                    }
                }
            }
            self.release(&expired, now).await?;
        }
    }

    /// Reads the next expired reservations after the sort key `after`.
    async fn expired(&self, of: HoldTable, now: Timestamp, after: (Timestamp, Uuid)) -> Result<Vec<Expired>, AppError> {
        let db = self.db.reader();
        Ok(match of {
            HoldTable::Counters => counters::expired_reservations(db, now, after, SWEEP_BATCH)
                .await?
                .into_iter()
                .map(Expired::from)
                .collect(),
            HoldTable::Accounts => accounts::expired_reservations(db, now, after, SWEEP_BATCH)
                .await?
                .into_iter()
                .map(Expired::from)
                .collect(),
        })
    }

    /// Releases the reservations together, and bisects the batch if that fails. The next sweep retries those that
    /// failed.
    async fn release(&self, expired: &[(SpendingLimit, Uuid)], now: Timestamp) -> Result<(), AppError> {
        let work = |some: Vec<(SpendingLimit, Uuid)>| async move { self.release_together(&some, now).await.map(Some) };
        let rest = process_with_bisection(expired, usize::MAX, |_| self.db.is_available(), work).await;
        for ((_, hold), error) in &rest.failed {
            tracing::warn!(%error, %hold, "failed to release expired reservation");
        }
        rest.error.map_or(Ok(()), Err)
    }

    async fn release_together(&self, expired: &[(SpendingLimit, Uuid)], now: Timestamp) -> Result<(), AppError> {
        if expired.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await.map_err(app_error)?;
        let mut purses = LockedLimits::open(&tx, expired.iter().map(|(purse, _)| *purse), now).await?;
        let removed = purses.remove(&tx, expired.iter().copied(), RemovalFilter::Expired).await?;
        purses.store(&tx).await?;
        tx.commit().await.map_err(app_error)?;
        tracing::info!(holds = removed.len(), "expired reservations released");
        self.announce_owners(removed.iter().map(|hold| &hold.spending_limit));
        Ok(())
    }
}

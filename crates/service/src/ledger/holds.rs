//! Credits that are kept back for what is under way.
//!
//! Those who ask at the same time are decided in one transaction, so that a busy account costs a few transactions a second. A hold that nobody
//! settles, because its instance died, expires; the others are renewed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::{AppError, Clock, Timestamp, credits::MicroCredits};
use dashmap::DashMap;
use dbcontext::{
    Database,
    constraint::app_error,
    query::ledger::{self as rows, NewHold},
};
use sea_orm::ConnectionTrait;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{Books, Source, book};
use crate::batcher::Batcher;

/// What holds are booked for.
const SOURCE: &str = "usage";
/// Holds, and accounts with expired credits, that one look takes on.
const SWEEP: u64 = 500;

/// The holds of this instance.
pub(crate) struct Holds {
    db: Database,
    clock: Clock,
    expiry: Duration,
    takes: Arc<Batcher<Take, bool>>,
    /// Those of what is under way here.
    live: DashMap<Uuid, ()>,
    /// Accounts that have changed, for those who tell their owners.
    changed: mpsc::UnboundedSender<Uuid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Take {
    id: Uuid,
    account: Uuid,
    amount: MicroCredits,
}

/// What is held on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditHold {
    pub id: Uuid,
    pub account: Uuid,
}

/// What something cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreditSettlement {
    pub account: Uuid,
    /// What was held for it, if anything was.
    pub hold: Option<Uuid>,
    /// By which it is booked once.
    pub source: Uuid,
    pub cost: MicroCredits,
}

impl Holds {
    /// With the accounts that change.
    pub fn start(db: Database, clock: Clock, expiry: Duration) -> (Arc<Self>, mpsc::UnboundedReceiver<Uuid>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let holds = Arc::new(Self { db, clock, expiry, takes: Arc::default(), live: DashMap::new(), changed });
        tokio::spawn(keep(Arc::downgrade(&holds), expiry / 4));
        (holds, changes)
    }

    /// An account has changed.
    pub fn changed(&self, account: Uuid) {
        // At the end of the program nobody is told any more.
        let _ = self.changed.send(account);
    }

    /// Holds an amount. None: there is too little.
    pub async fn take(&self, account: Uuid, amount: MicroCredits) -> Result<Option<CreditHold>, AppError> {
        let take = Take { id: Uuid::now_v7(), account, amount };
        let (db, clock, expiry) = (self.db.clone(), self.clock.clone(), self.expiry);
        let decide = move |takes: Vec<Take>| {
            let (db, now) = (db.clone(), clock.now());
            async move { decide_all(&db, takes, now, now.plus(expiry)).await }
        };
        if !self.takes.ask(take, decide).await? {
            return Ok(None);
        }
        self.live.insert(take.id, ());
        self.changed(account);
        Ok(Some(CreditHold { id: take.id, account }))
    }

    /// It is over: its hold is not renewed any more.
    pub fn ended(&self, held: CreditHold) {
        self.live.remove(&held.id);
    }
}

/// Decides in the order of the questions: the first that fits gets what there is.
async fn decide_all(
    db: &Database,
    takes: Vec<Take>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<HashMap<Take, bool>, AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut ids: Vec<Uuid> = takes.iter().map(|take| take.account).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut accounts: BTreeMap<Uuid, _> =
        rows::lock(&tx, &ids).await?.into_iter().map(|account| (account.id, account)).collect();
    let (mut verdicts, mut holds, mut entries) = (HashMap::with_capacity(takes.len()), Vec::new(), Vec::new());
    let mut sums: BTreeMap<Uuid, MicroCredits> = BTreeMap::new();
    for take in takes {
        let held = accounts.get_mut(&take.account).is_some_and(|account| {
            let available = account.balance - account.held;
            // Who has nothing left gets nothing, though it may cost nothing.
            let fits = take.amount <= available && available > MicroCredits::ZERO;
            if fits {
                account.held += take.amount;
            }
            fits
        });
        verdicts.insert(take, held);
        if held && take.amount > MicroCredits::ZERO {
            *sums.entry(take.account).or_default() += take.amount;
            holds.push(NewHold { id: take.id, account_id: take.account, amount: take.amount, expires_at });
            let balance = accounts.get(&take.account).map(|account| account.balance).unwrap_or_default();
            entries.push(book::held(take.account, take.amount, balance, &Source::new(SOURCE, take.id), now));
        }
    }
    if holds.is_empty() {
        tx.rollback().await.map_err(app_error)?;
        return Ok(verdicts);
    }
    let sums: Vec<_> = sums.into_iter().collect();
    if rows::take(&tx, &sums).await?.len() != sums.len() {
        return Err(AppError::internal(anyhow::anyhow!("an account has less than its lock has shown")));
    }
    rows::insert_entries(&tx, entries).await?;
    rows::insert_holds(&tx, &holds).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(verdicts)
}

/// Frees what was held and books what it cost, in the caller's transaction. A cost whose hold has expired is booked too.
pub(crate) async fn settle<C: ConnectionTrait>(
    txn: &C,
    settlements: &[CreditSettlement],
    now: Timestamp,
) -> Result<(), AppError> {
    if settlements.is_empty() {
        return Ok(());
    }
    let accounts: Vec<Uuid> = settlements.iter().map(|settlement| settlement.account).collect();
    let mut books = Books::lock(txn, &accounts, now).await?;
    let ids: Vec<Uuid> = settlements.iter().filter_map(|settlement| settlement.hold).collect();
    let removed: HashMap<Uuid, MicroCredits> =
        rows::remove_holds(txn, &ids).await?.into_iter().map(|hold| (hold.id, hold.amount)).collect();
    for settlement in settlements {
        let Some(book) = books.get_mut(settlement.account) else { continue };
        let source = Source::new(SOURCE, settlement.source);
        if let Some(held) = settlement.hold.and_then(|id| removed.get(&id)) {
            book.release(*held, &source);
        }
        book.charge(settlement.cost, &source);
        book.pay_debts(&source);
    }
    books.store(txn).await
}

/// Renews what is under way here, releases what nobody settled, and lets expired credits go.
async fn keep(holds: Weak<Holds>, every: Duration) {
    let mut tick = tokio::time::interval(every.max(Duration::from_millis(100)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(holds) = holds.upgrade() else { return };
        let live: Vec<Uuid> = holds.live.iter().map(|entry| *entry.key()).collect();
        if !live.is_empty()
            && let Err(error) = rows::renew(holds.db.writer(), &live, holds.clock.now().plus(holds.expiry)).await
        {
            tracing::warn!(%error, "credits that are held for what is under way could not be renewed");
        }
        if let Err(error) = holds.sweep().await {
            tracing::warn!(%error, "expired holds of credits could not be released");
        }
        if let Err(error) = holds.expire().await {
            tracing::warn!(%error, "expired credits could not be booked");
        }
    }
}

impl Holds {
    /// As if this instance had died.
    #[cfg(test)]
    pub fn forget_all(&self) {
        self.live.clear();
    }

    pub(super) async fn sweep(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        let expired = rows::expired_holds(self.db.reader(), now, SWEEP).await?;
        if expired.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await.map_err(app_error)?;
        let accounts: Vec<Uuid> = expired.iter().map(|hold| hold.account_id).collect();
        let mut books = Books::lock(&tx, &accounts, now).await?;
        let ids: Vec<Uuid> = expired.iter().map(|hold| hold.id).collect();
        let removed = rows::remove_expired(&tx, &ids, now).await?;
        tracing::info!(holds = removed.len(), "credits that nobody settled are free again");
        for hold in removed {
            if let Some(book) = books.get_mut(hold.account_id) {
                let source = Source::new(SOURCE, hold.id);
                book.release(hold.amount, &source);
                // Its late cost may pay debts under the hold's own name.
                book.pay_debts(&Source::new("expiry", hold.id));
            }
        }
        books.store(&tx).await?;
        tx.commit().await.map_err(app_error)
    }

    pub(super) async fn expire(&self) -> Result<(), AppError> {
        let now = self.clock.now();
        for account in rows::with_expired(self.db.reader(), now, SWEEP).await? {
            let tx = self.db.begin().await.map_err(app_error)?;
            let mut books = Books::lock(&tx, &[account], now).await?;
            if let Some(book) = books.get_mut(account) {
                book.expire();
            }
            books.store(&tx).await?;
            tx.commit().await.map_err(app_error)?;
        }
        Ok(())
    }
}

//! Low balances: warns account holders and triggers [automatic top-ups](super::auto_top_up).
//!
//! Each account stores the balance below which it must be checked (`check_threshold`), so that the posting of a cost
//! marks the account (`is_due`) in the same transaction without further reads. Every instance sweeps marked accounts
//! when something was posted, at most once a second, and periodically; one instance processes each account, under its
//! lock.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use appcore::{
    AppError, Code, UserId, WorkspaceId,
    credits::MicroCredits,
    event::{BusMessage, Envelope, Event, Signal, Topic},
};
use dbcontext::{
    constraint::app_error,
    entity::ledger_account,
    query::{balances as rows, ledger as ledger_rows, workspaces},
};
use futures_util::stream::{self, StreamExt as _};
use identity::mail::{self, MailContent, Recipient};
use jobs::catch_panic;
use sea_orm::ConnectionTrait;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    auto_top_up::{self, TopUpStep},
    reconciler::MAX_CONCURRENT,
};
use crate::{BillingService, entitlements, ledger::AccountHolder};

/// Maximum number of accounts that a sweep claims and that a query reads.
const SWEEP_BATCH: u64 = 100;
/// Minimum interval between two sweeps of an instance.
const MIN_SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Default threshold: this fraction (1/n) of the last purchase or grant.
const DEFAULT_THRESHOLD_DIVISOR: i64 = 10;
/// Upper limit for amounts in requests, in micro-credits.
pub(super) const MAX_CREDITS: i64 = 1_000_000_000_000_000;

/// Sweeps due balances until shutdown.
pub(crate) async fn run_sweeps(service: Arc<BillingService>) {
    let mut tick = tokio::time::interval(service.config.payment.reconcile_every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = service.payments.balances_changed.notified() => {}
            () = service.stopping.cancelled() => return,
        }
        if let Err(error) = catch_panic(sweep(&service)).await {
            tracing::warn!(%error, "failed to sweep balances");
        }
        tokio::select! {
            () = tokio::time::sleep(MIN_SWEEP_INTERVAL) => {}
            () = service.stopping.cancelled() => return,
        }
    }
}

/// Announces changed accounts to their holders.
pub(crate) async fn announce_changes(service: Weak<BillingService>, mut changed: mpsc::UnboundedReceiver<UserId>) {
    while let Some(user_id) = changed.recv().await {
        let Some(service) = service.upgrade() else { return };
        wake_sweep(&service);
        // Members of a workspace read its balance when they need it.
        if !service.payers.contains(WorkspaceId(user_id.0)) {
            entitlements::notify_user(&service, user_id);
        }
    }
}

/// Announces the change of an account. Call after the commit.
pub(crate) fn notify_changed(service: &BillingService, holder: AccountHolder) {
    wake_sweep(service);
    match holder {
        AccountHolder::Person(id) => entitlements::notify_user(service, id),
        // The account may pay for its members' usage from now on.
        AccountHolder::Workspace(id) => announce_payer(service, id),
    }
}

/// Announces that a workspace has (more) credits and can pay for its members' usage.
fn announce_payer(service: &BillingService, id: WorkspaceId) {
    service.payers.add(id);
    // An instance that misses the signal learns of the credits with the next one.
    drop(service.bus.publish(vec![BusMessage::Signal(Signal::KeysChanged(vec![id.0]))]));
}

/// Wakes the sweep. Call after the commit.
pub(crate) fn wake_sweep(service: &BillingService) {
    service.payments.balances_changed.notify_one();
}

async fn sweep(service: &BillingService) -> Result<(), AppError> {
    let now = service.clock.now();
    let claimed =
        rows::claim_top_ups(service.db.writer(), now, now.plus(service.config.payment.reconcile_after), SWEEP_BATCH)
            .await?;
    let mut some: Vec<(Uuid, bool)> = claimed.iter().map(|id| (*id, true)).collect();
    let mut after = Uuid::nil();
    loop {
        let due = rows::due_accounts(service.db.reader(), after, SWEEP_BATCH).await?;
        let next = due.last().copied();
        some.extend(due.into_iter().filter(|id| !claimed.contains(id)).map(|id| (id, false)));
        // Several accounts are processed at a time, because a gateway may answer slowly for one of them.
        stream::iter(std::mem::take(&mut some))
            .for_each_concurrent(MAX_CONCURRENT, |(id, is_claimed)| async move {
                if let Err(error) = process_account(service, id, is_claimed).await {
                    tracing::warn!(%error, account = %id, "failed to process balance");
                }
            })
            .await;
        // An account whose processing fails stays due and doesn't delay the accounts after it.
        let Some(next) = next else { return Ok(()) };
        after = next;
    }
}

/// Warns the holder, and starts a top-up if one is due. Safe to repeat.
async fn process_account(service: &BillingService, id: Uuid, is_claimed: bool) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let Some(mut account) = ledger_rows::lock(&tx, &[id]).await?.pop() else { return Ok(()) };
    if !account.is_due && !is_claimed {
        return Ok(());
    }
    let threshold = threshold(&tx, &account).await?;
    let warned = account.is_low;
    account.is_low = account.balance < threshold;
    let holder = AccountHolder::from_account(&account)?;
    let told = if account.is_low && !warned { warn(service, &tx, holder, &account).await? } else { Vec::new() };
    let top_up = match rows::lock_top_up(&tx, id).await? {
        Some(row) => auto_top_up::advance(service, &tx, row, account.balance, now).await?,
        None => TopUpStep::default(),
    };
    let low_at = Some(threshold).filter(|_| !account.is_low);
    account.check_threshold = low_at.max(top_up.watch_at).filter(|at| *at > MicroCredits::ZERO);
    account.is_due = false;
    rows::update_alerts(&tx, &account).await?;
    tx.commit().await.map_err(app_error)?;
    for user_id in told {
        publish_low_balance(service, user_id, holder, account.balance, threshold);
    }
    if let Some(payment) = top_up.to_charge {
        // The next sweep sees the outcome; it follows soon after a payment.
        auto_top_up::charge(service, &payment).await?;
    }
    Ok(())
}

/// Balance below which the account holder is warned.
pub(super) async fn threshold<C: ConnectionTrait>(
    db: &C,
    account: &ledger_account::Model,
) -> Result<MicroCredits, AppError> {
    match account.low_threshold {
        Some(chosen) => Ok(chosen),
        None => Ok(MicroCredits(rows::last_credit_amount(db, account.id).await?.0 / DEFAULT_THRESHOLD_DIVISOR)),
    }
}

/// E-mails the users who pay for the account, and returns their ids.
async fn warn<C: ConnectionTrait>(
    service: &BillingService,
    txn: &C,
    holder: AccountHolder,
    account: &ledger_account::Model,
) -> Result<Vec<UserId>, AppError> {
    let (told, workspace) = match holder {
        AccountHolder::Person(id) => (vec![id], None),
        AccountHolder::Workspace(id) => (rows::payers(txn, id).await?, workspaces::name(txn, id).await?),
    };
    let now = service.clock.now();
    for user_id in &told {
        let letter = MailContent::CreditsLow {
            workspace: workspace.clone(),
            credits: whole_credits(account.balance),
            page: page_path(holder),
        };
        mail::enqueue(txn, now, Recipient::User(*user_id), letter).await?;
    }
    Ok(told)
}

fn publish_low_balance(
    service: &BillingService,
    user_id: UserId,
    holder: AccountHolder,
    balance: MicroCredits,
    threshold: MicroCredits,
) {
    let event = Event::CreditsLow { workspace_id: holder.workspace(), balance, threshold };
    match Envelope::seal(&event, Topic::User(user_id), service.clock.now()) {
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
        Err(error) => tracing::error!(%error, "failed to seal low-balance event"),
    }
}

/// Path of the page where credits are bought.
pub(super) fn page_path(holder: AccountHolder) -> String {
    match holder {
        AccountHolder::Workspace(id) => format!("plans/billing?workspace_id={id}"),
        AccountHolder::Person(_) => "plans/billing".to_owned(),
    }
}

/// Formats credits for e-mails, such as `1,234.5`; fractions below a hundredth are dropped.
fn whole_credits(amount: MicroCredits) -> String {
    let hundredths = amount.0.max(0) / 10_000;
    let digits = (hundredths / 100).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let rest = format!(".{:02}", hundredths % 100);
    text + rest.trim_end_matches('0').trim_end_matches('.')
}

/// Low-balance settings and state, as the account holder sees them.
#[derive(Clone, Copy, Debug)]
pub struct LowBalance {
    pub threshold: MicroCredits,
    pub is_chosen: bool,
    pub is_low: bool,
}

/// Reads the low-balance settings of an account.
pub(super) async fn low_balance(service: &BillingService, holder: AccountHolder) -> Result<LowBalance, AppError> {
    let db = service.db.writer();
    let Some(account) = ledger_rows::account(db, holder.account()).await? else {
        return Ok(LowBalance { threshold: MicroCredits::ZERO, is_chosen: false, is_low: false });
    };
    let threshold = threshold(db, &account).await?;
    let is_low = account.balance < threshold;
    Ok(LowBalance { threshold, is_chosen: account.low_threshold.is_some(), is_low })
}

/// Sets the balance below which the account holder is warned. `None` restores the default; zero disables the warning.
pub(super) async fn set_threshold(
    service: &BillingService,
    holder: AccountHolder,
    threshold: Option<MicroCredits>,
) -> Result<(), AppError> {
    if threshold.is_some_and(|amount| !(0..=MAX_CREDITS).contains(&amount.0)) {
        return Err(AppError::field("threshold", "invalid", "Enter 0 or more."));
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut account = open_account(&tx, holder, service.clock.now()).await?;
    account.low_threshold = threshold;
    // A holder who sets a threshold above the balance isn't warned.
    account.is_low = account.balance < self::threshold(&tx, &account).await?;
    account.is_due = true;
    rows::update_alerts(&tx, &account).await?;
    tx.commit().await.map_err(app_error)?;
    wake_sweep(service);
    Ok(())
}

/// Returns the locked account, and creates it if missing.
pub(super) async fn open_account<C: ConnectionTrait>(
    txn: &C,
    holder: AccountHolder,
    now: appcore::Timestamp,
) -> Result<ledger_account::Model, AppError> {
    let id = holder.account();
    ledger_rows::insert_missing(txn, &[id], holder.kind(), now).await?;
    ledger_rows::lock(txn, &[id]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

impl AccountHolder {
    /// Holder of a stored account.
    pub(crate) fn from_account(account: &ledger_account::Model) -> Result<Self, AppError> {
        match account.kind.as_str() {
            "user" => Ok(Self::Person(UserId(account.id))),
            "workspace" => Ok(Self::Workspace(WorkspaceId(account.id))),
            _ => Err(AppError::internal(anyhow::anyhow!("unknown kind of ledger account"))),
        }
    }

    pub(crate) const fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Person(_) => None,
            Self::Workspace(id) => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_credits_for_people() {
        for (amount, text) in [
            (0, "0"),
            (9_999, "0"),
            (10_000, "0.01"),
            (1_500_000, "1.5"),
            (999_999_999, "999.99"),
            (1_234_500_000, "1,234.5"),
            (1_000_000_000_000, "1,000,000"),
        ] {
            assert_eq!(whole_credits(MicroCredits(amount)), text);
        }
    }
}

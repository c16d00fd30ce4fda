//! Revenue of the installation per day (UTC).

use appcore::{AppError, PlanId, Timestamp, credits::MicroCredits};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{ledger::id_range_with_margin, raw};

/// Amount of one day in one currency.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DailyAmount {
    /// Day, counted from 1970-01-01.
    pub day: i64,
    pub currency: String,
    pub amount: i64,
    pub count: i64,
}

/// Credits of one day per kind of ledger entry.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DailyCredits {
    pub day: i64,
    pub kind: String,
    pub amount: MicroCredits,
}

/// Number of subscriptions per state, plan and currency.
#[derive(Clone, Debug, FromQueryResult)]
pub struct PlanSubscriptions {
    pub state: String,
    pub plan_id: PlanId,
    pub currency: Option<String>,
    pub count: i64,
    pub seats: i64,
}

/// Total balance of all accounts: credits that were not used yet.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub struct Outstanding {
    pub balance: MicroCredits,
    pub owed: MicroCredits,
}

/// Returns the paid amounts per day and currency.
pub async fn paid<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<DailyAmount>, AppError> {
    let sql = "SELECT paid_at / 86400000 AS day, currency, CAST(SUM(amount) AS BIGINT) AS amount, COUNT(*) AS count FROM payments \
               WHERE paid_at >= $1 AND paid_at < $2 AND stage = 'paid' GROUP BY 1, 2";
    raw::find(db, sql, vec![from.0.into(), to.0.into()]).await
}

/// Returns the refunded amounts per day and currency.
pub async fn refunded<C: ConnectionTrait>(
    db: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<DailyAmount>, AppError> {
    let sql = "SELECT r.refunded_at / 86400000 AS day, p.currency, CAST(SUM(r.amount) AS BIGINT) AS amount, COUNT(*) AS count \
               FROM payment_refunds r JOIN payments p ON p.id = r.payment_id \
               WHERE r.refunded_at >= $1 AND r.refunded_at < $2 AND r.state = 'done' GROUP BY 1, 2";
    raw::find(db, sql, vec![from.0.into(), to.0.into()]).await
}

/// Returns the disputed amounts per day and currency, except those of disputes that we won.
pub async fn disputed<C: ConnectionTrait>(
    db: &C,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<DailyAmount>, AppError> {
    let sql = "SELECT d.created_at / 86400000 AS day, p.currency, CAST(SUM(d.amount) AS BIGINT) AS amount, COUNT(*) AS count \
               FROM payment_disputes d JOIN payments p ON p.id = d.payment_id \
               WHERE d.created_at >= $1 AND d.created_at < $2 AND d.state <> 'won' GROUP BY 1, 2";
    raw::find(db, sql, vec![from.0.into(), to.0.into()]).await
}

/// Returns the credits of ledger entries per day and kind, except reservations and their releases.
/// Ids start with the time, so only the entries of the period are read.
pub async fn booked<C: ConnectionTrait>(db: &C, from: Timestamp, to: Timestamp) -> Result<Vec<DailyCredits>, AppError> {
    let (after, before) = id_range_with_margin(from, to);
    let sql = "SELECT created_at / 86400000 AS day, kind, CAST(SUM(amount) AS BIGINT) AS amount FROM ledger_entries \
               WHERE id > $1 AND id < $2 AND created_at >= $3 AND created_at < $4 AND kind NOT IN ('hold', 'release') GROUP BY 1, 2";
    raw::find(db, sql, vec![after.into(), before.into(), from.0.into(), to.0.into()]).await
}

/// Returns the number of subscriptions that are in force.
pub async fn subscribed<C: ConnectionTrait>(db: &C, now: Timestamp) -> Result<Vec<PlanSubscriptions>, AppError> {
    let sql = "SELECT state, plan_id, currency, COUNT(*) AS count, CAST(SUM(seats) AS BIGINT) AS seats FROM subscriptions \
               WHERE state <> 'ended' AND ends_at > $1 GROUP BY state, plan_id, currency";
    raw::find(db, sql, vec![now.0.into()]).await
}

pub async fn outstanding<C: ConnectionTrait>(db: &C) -> Result<Outstanding, AppError> {
    let sql = "SELECT CAST(COALESCE(SUM(balance), 0) AS BIGINT) AS balance, CAST(COALESCE(SUM(owed), 0) AS BIGINT) AS owed FROM ledger_accounts";
    Ok(raw::find_one(db, sql, Vec::new()).await?.unwrap_or_default())
}

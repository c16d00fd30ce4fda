//! Credit ledger: accounts, entries, grants and reservations.
//!
//! Transactions lock account rows first, in the order of their ids, so that they can't deadlock. In
//! addition, a check constraint of the table rejects reservations that exceed the balance.

use appcore::{AppError, Timestamp, credits::MicroCredits, page::PageRequest};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect as _,
};
use uuid::Uuid;

use super::{
    page,
    pieces::{Change, Piece, execute},
    raw,
    rows::{Column as Field, Rows},
};
use crate::{
    constraint::app_error,
    entity::{credit_grant, ledger_account, ledger_entry},
};

/// Amount to reserve on an account.
#[derive(Clone, Copy, Debug)]
pub struct NewCreditReservation {
    pub id: Uuid,
    pub account_id: Uuid,
    pub amount: MicroCredits,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct CreditReservation {
    pub id: Uuid,
    pub account_id: Uuid,
    pub amount: MicroCredits,
    pub expires_at: Timestamp,
}

/// Account whose balances differ from the sums of its entries.
#[derive(Clone, Debug, FromQueryResult)]
pub struct BalanceMismatch {
    pub id: Uuid,
    pub balance: i64,
    pub booked: i64,
    pub held: i64,
    pub booked_held: i64,
    pub holds: i64,
    pub owed: i64,
    pub booked_owed: i64,
    pub granted: i64,
}

/// Row counts of the ledger.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub struct LedgerSize {
    pub accounts: i64,
    pub entries: i64,
}

/// Inserts accounts that don't exist yet.
pub async fn insert_missing<C: ConnectionTrait>(
    db: &C,
    ids: &[Uuid],
    kind: &'static str,
    now: Timestamp,
) -> Result<(), AppError> {
    static OPEN: Change<3> = Change::new(
        [Field::Uuid("id"), Field::Text("kind"), Field::Int("created_at")],
        "INSERT INTO ledger_accounts (id, kind, created_at) SELECT w.id, w.kind, w.created_at FROM {} WHERE true \
         ON CONFLICT (id) DO NOTHING",
        "INSERT INTO ledger_accounts (id, kind, created_at) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
    );
    let rows = ids.iter().map(|id| [(*id).into(), kind.into(), now.0.into()]);
    execute(db, vec![OPEN.piece(rows)]).await
}

pub async fn account<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<Option<ledger_account::Model>, AppError> {
    ledger_account::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Locks those of these accounts that exist until the transaction ends.
pub async fn lock<C: ConnectionTrait>(txn: &C, ids: &[Uuid]) -> Result<Vec<ledger_account::Model>, AppError> {
    let backend = txn.get_database_backend();
    let suffix = if backend == DatabaseBackend::Postgres { " FOR UPDATE OF a" } else { "" };
    let asked = Rows::ids(backend, ids.iter().copied());
    let sql = format!(
        "SELECT a.* FROM ledger_accounts a WHERE a.id IN (SELECT w.id FROM {}) ORDER BY a.id{suffix}",
        asked.table()
    );
    asked.find::<_, ledger_account::Model>(txn, sql).await
}

/// Writes back accounts that the caller has locked.
pub async fn store<C: ConnectionTrait>(txn: &C, changed: &[&ledger_account::Model]) -> Result<(), AppError> {
    static UPDATE: Change<5> = Change::new(
        [Field::Int("balance"), Field::Int("held"), Field::Int("owed"), Field::Bool("is_due"), Field::Uuid("id")],
        "UPDATE ledger_accounts SET balance = w.balance, held = w.held, owed = w.owed, is_due = w.is_due FROM {} \
         WHERE ledger_accounts.id = w.id",
        "UPDATE ledger_accounts SET balance = ?, held = ?, owed = ?, is_due = ? WHERE id = ?",
    );
    if changed.is_empty() {
        return Ok(());
    }
    let rows = changed
        .iter()
        .map(|row| [row.balance.0.into(), row.held.0.into(), row.owed.0.into(), row.is_due.into(), row.id.into()]);
    execute(txn, vec![UPDATE.piece(rows)]).await
}

/// Appends entries. Entries are never changed afterwards.
pub async fn insert_entries<C: ConnectionTrait>(txn: &C, entries: Vec<ledger_entry::Model>) -> Result<(), AppError> {
    static INSERT: Change<11> = Change::insert(
        "ledger_entries",
        [
            Field::Uuid("id"),
            Field::Uuid("account_id"),
            Field::Uuid("from_account"),
            Field::Uuid("to_account"),
            Field::Text("kind"),
            Field::Int("amount"),
            Field::Int("balance_after"),
            Field::Text("source"),
            Field::Text("source_id"),
            Field::Text("note"),
            Field::Int("created_at"),
        ],
    );
    if entries.is_empty() {
        return Ok(());
    }
    let rows = entries.into_iter().map(|row| {
        [
            row.id.into(),
            row.account_id.into(),
            row.from_account.into(),
            row.to_account.into(),
            row.kind.into(),
            row.amount.0.into(),
            row.balance_after.0.into(),
            row.source.into(),
            row.source_id.into(),
            row.note.into(),
            row.created_at.0.into(),
        ]
    });
    execute(txn, vec![INSERT.piece(rows)]).await
}

/// Returns the grants of locked accounts that have credits left, earliest expiry first.
pub async fn grants<C: ConnectionTrait>(txn: &C, accounts: &[Uuid]) -> Result<Vec<credit_grant::Model>, AppError> {
    let asked = Rows::ids(txn.get_database_backend(), accounts.iter().copied());
    let sql = format!(
        "SELECT g.* FROM credit_grants g WHERE g.account_id IN (SELECT w.id FROM {}) AND g.remaining > 0 \
         ORDER BY CASE WHEN g.expires_at IS NULL THEN 1 ELSE 0 END, g.expires_at, g.id",
        asked.table()
    );
    asked.find::<_, credit_grant::Model>(txn, sql).await
}

pub async fn insert_grants<C: ConnectionTrait>(txn: &C, grants: Vec<credit_grant::Model>) -> Result<(), AppError> {
    static INSERT: Change<8> = Change::insert(
        "credit_grants",
        [
            Field::Uuid("id"),
            Field::Uuid("account_id"),
            Field::Int("amount"),
            Field::Int("remaining"),
            Field::Int("expires_at"),
            Field::Text("source"),
            Field::Text("source_id"),
            Field::Int("created_at"),
        ],
    );
    if grants.is_empty() {
        return Ok(());
    }
    let rows = grants.into_iter().map(|row| {
        [
            row.id.into(),
            row.account_id.into(),
            row.amount.0.into(),
            row.remaining.0.into(),
            row.expires_at.map(|at| at.0).into(),
            row.source.into(),
            row.source_id.into(),
            row.created_at.0.into(),
        ]
    });
    execute(txn, vec![INSERT.piece(rows)]).await
}

pub async fn store_grants<C: ConnectionTrait>(txn: &C, changed: &[(Uuid, MicroCredits)]) -> Result<(), AppError> {
    static UPDATE: Change<2> = Change::new(
        [Field::Int("remaining"), Field::Uuid("id")],
        "UPDATE credit_grants SET remaining = w.remaining FROM {} WHERE credit_grants.id = w.id",
        "UPDATE credit_grants SET remaining = ? WHERE id = ?",
    );
    if changed.is_empty() {
        return Ok(());
    }
    let rows = changed.iter().map(|(id, remaining)| [remaining.0.into(), (*id).into()]);
    execute(txn, vec![UPDATE.piece(rows)]).await
}

/// Returns the sum of the original amounts of an account's grants that have credits left.
pub async fn granted_amount<C: ConnectionTrait>(db: &C, account: Uuid) -> Result<MicroCredits, AppError> {
    #[derive(FromQueryResult)]
    struct Granted {
        granted: Option<MicroCredits>,
    }
    let sql =
        "SELECT CAST(SUM(amount) AS BIGINT) AS granted FROM credit_grants WHERE account_id = $1 AND remaining > 0";
    let row = raw::find_one::<_, Granted>(db, sql, [account.into()]).await?;
    Ok(row.and_then(|row| row.granted).unwrap_or(MicroCredits::ZERO))
}

/// Credits of an account that expire at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct ExpiringCredits {
    pub account_id: Uuid,
    pub remaining: MicroCredits,
    pub expires_at: Timestamp,
}

/// Returns the credits that expire in a period, earliest first.
pub async fn expiring<C: ConnectionTrait>(
    db: &C,
    (from, to): (Timestamp, Timestamp),
    most: u64,
) -> Result<Vec<ExpiringCredits>, AppError> {
    let sql = "SELECT account_id, CAST(SUM(remaining) AS BIGINT) AS remaining, expires_at FROM credit_grants \
               WHERE remaining > 0 AND expires_at >= $1 AND expires_at < $2 GROUP BY account_id, expires_at \
               ORDER BY expires_at, account_id LIMIT $3";
    let values = [from.0.into(), to.0.into(), raw::limit(most)];
    raw::find::<_, ExpiringCredits>(db, sql, values).await
}

/// Lists accounts with expired credits whose ids are greater than `after`.
pub async fn accounts_with_expired<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    after: Uuid,
    most: u64,
) -> Result<Vec<Uuid>, AppError> {
    #[derive(FromQueryResult)]
    struct AccountWithExpired {
        account_id: Uuid,
    }
    // Starts with the index on the expiry; going through the accounts in order would read all
    // grants.
    let sql = "WITH expired AS MATERIALIZED (SELECT DISTINCT g.account_id FROM credit_grants g JOIN ledger_accounts a ON a.id = g.account_id \
                 WHERE g.remaining > 0 AND g.expires_at IS NOT NULL AND g.expires_at <= $1 AND a.balance > a.held) \
               SELECT account_id FROM expired WHERE account_id > $2 ORDER BY account_id LIMIT $3";
    let values = [now.0.into(), after.into(), raw::limit(most)];
    let rows = raw::find::<_, AccountWithExpired>(db, sql, values).await?;
    Ok(rows.into_iter().map(|row| row.account_id).collect())
}

pub async fn insert_reservations<C: ConnectionTrait>(txn: &C, holds: &[NewCreditReservation]) -> Result<(), AppError> {
    static INSERT: Change<4> = Change::insert(
        "credit_holds",
        [Field::Uuid("id"), Field::Uuid("account_id"), Field::Int("amount"), Field::Int("expires_at")],
    );
    if holds.is_empty() {
        return Ok(());
    }
    let rows = holds
        .iter()
        .map(|hold| [hold.id.into(), hold.account_id.into(), hold.amount.0.into(), hold.expires_at.0.into()]);
    execute(txn, vec![INSERT.piece(rows)]).await
}

/// Removes reservations and returns the removed ones. Expired reservations may already be gone.
pub async fn remove_reservations<C: ConnectionTrait>(
    txn: &C,
    ids: &[Uuid],
) -> Result<Vec<CreditReservation>, AppError> {
    let asked = Rows::ids(txn.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "DELETE FROM credit_holds WHERE id IN (SELECT w.id FROM {}) RETURNING id, account_id, amount, expires_at",
        asked.table()
    );
    asked.find::<_, CreditReservation>(txn, sql).await
}

/// Lists expired reservations that were neither settled nor renewed, ordered by expiry, after the
/// cursor `after`.
pub async fn expired_reservations<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    after: (Timestamp, Uuid),
    most: u64,
) -> Result<Vec<CreditReservation>, AppError> {
    let sql = "SELECT id, account_id, amount, expires_at FROM credit_holds WHERE expires_at <= $1 AND (expires_at, id) > ($2, $3) \
               ORDER BY expires_at, id LIMIT $4";
    let values = [now.0.into(), after.0.0.into(), after.1.into(), raw::limit(most)];
    raw::find::<_, CreditReservation>(db, sql, values).await
}

/// Removes the given reservations, except those that were renewed in the meantime.
pub async fn remove_expired<C: ConnectionTrait>(
    txn: &C,
    ids: &[Uuid],
    now: Timestamp,
) -> Result<Vec<CreditReservation>, AppError> {
    let backend = txn.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().copied());
    let sql = format!(
        "DELETE FROM credit_holds WHERE id IN (SELECT w.id FROM {}) AND expires_at <= $2 RETURNING id, account_id, amount, expires_at",
        asked.table()
    );
    raw::find::<_, CreditReservation>(txn, sql, [asked.parameter()?.into(), now.0.into()]).await
}

/// Reservations with these ids.
pub async fn reservations<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<Vec<CreditReservation>, AppError> {
    let asked = Rows::ids(db.get_database_backend(), ids.iter().copied());
    let sql = format!(
        "SELECT id, account_id, amount, expires_at FROM credit_holds WHERE id IN (SELECT w.id FROM {})",
        asked.table()
    );
    asked.find::<_, CreditReservation>(db, sql).await
}

/// Extends the reservations of requests in progress.
pub fn extend_reservations(ids: &[Uuid], expires_at: Timestamp) -> Piece {
    static UPDATE: Change<2> = Change::new(
        [Field::Int("expires_at"), Field::Uuid("id")],
        "UPDATE credit_holds SET expires_at = w.expires_at FROM {} WHERE credit_holds.id = w.id",
        "UPDATE credit_holds SET expires_at = ? WHERE id = ?",
    );
    UPDATE.piece(ids.iter().map(|id| [expires_at.0.into(), (*id).into()]))
}

/// Returns the amount that refunds and disputes have clawed back from an account, and how much of
/// it was restored.
pub async fn clawed_back<C: ConnectionTrait>(
    txn: &C,
    account_id: Uuid,
    source_ids: Vec<String>,
) -> Result<Vec<ledger_entry::Model>, AppError> {
    use ledger_entry::Column;
    ledger_entry::Entity::find()
        .filter(Column::Source.is_in(["refund", "dispute"]))
        .filter(Column::SourceId.is_in(source_ids))
        .filter(Column::Kind.is_in(["refund", "refund_failed", "dispute", "dispute_won"]))
        .filter(Column::AccountId.eq(account_id))
        .all(txn)
        .await
        .map_err(app_error)
}

/// Lists an account's entries, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    account_id: Uuid,
    page: PageRequest,
) -> Result<(Vec<ledger_entry::Model>, u64), AppError> {
    let query = ledger_entry::Entity::find()
        .filter(ledger_entry::Column::AccountId.eq(account_id))
        .order_by_desc(ledger_entry::Column::Id);
    page::select(db, query, page).await
}

/// Returns a range of ids that contains the entries of a period. Ids start with a time in
/// milliseconds; a margin of a day on both sides exceeds any clock difference.
pub fn id_range_with_margin(from: Timestamp, to: Timestamp) -> (Uuid, Uuid) {
    const DAY: i64 = 86_400_000;
    id_range(Timestamp(from.0.saturating_sub(DAY)), Timestamp(to.0.saturating_add(DAY)))
}

/// Returns the range of ids that were created in a period.
pub(super) fn id_range(from: Timestamp, to: Timestamp) -> (Uuid, Uuid) {
    let id = |at: i64| Uuid::from_u128(u128::from(at.clamp(0, (1 << 48) - 1).unsigned_abs()) << 80);
    (id(from.0), id(to.0))
}

/// Filter of entries.
#[derive(Clone, Copy, Debug)]
pub struct EntryFilter {
    /// Account of the entries; `None` for all accounts.
    pub account_id: Option<Uuid>,
    pub from: Timestamp,
    /// End of the period, exclusive.
    pub to: Timestamp,
    pub before: Uuid,
}

/// Lists the entries that follow a given one, earliest first.
pub async fn entries_after<C: ConnectionTrait>(
    db: &C,
    wanted: EntryFilter,
    after: Uuid,
    most: u64,
) -> Result<Vec<ledger_entry::Model>, AppError> {
    use ledger_entry::Column;
    let mut query = ledger_entry::Entity::find()
        .filter(Column::Id.gt(after))
        .filter(Column::Id.lt(wanted.before))
        .filter(Column::CreatedAt.gte(wanted.from))
        .filter(Column::CreatedAt.lt(wanted.to))
        .order_by_asc(Column::Id);
    if let Some(id) = wanted.account_id {
        query = query.filter(Column::AccountId.eq(id));
    }
    query.limit(most).all(db).await.map_err(app_error)
}

/// Recomputes the balance of every account from its entries and returns the accounts that differ.
/// Uses a single statement, so that it reads a consistent snapshot.
pub async fn balance_mismatches<C: ConnectionTrait>(db: &C) -> Result<Vec<BalanceMismatch>, AppError> {
    let sql = "SELECT * FROM (SELECT k.id, COALESCE(a.balance, 0) AS balance, COALESCE(e.booked, 0) AS booked, \
         COALESCE(a.held, 0) AS held, COALESCE(e.booked_held, 0) AS booked_held, COALESCE(h.holds, 0) AS holds, \
         COALESCE(a.owed, 0) AS owed, COALESCE(e.booked_owed, 0) AS booked_owed, COALESCE(g.granted, 0) AS granted \
         FROM (SELECT id FROM ledger_accounts UNION SELECT account_id FROM ledger_entries \
         UNION SELECT account_id FROM credit_holds UNION SELECT account_id FROM credit_grants) k \
         LEFT JOIN ledger_accounts a ON a.id = k.id \
         LEFT JOIN (SELECT account_id, \
         CAST(SUM(CASE WHEN kind IN ('hold', 'release') THEN 0 WHEN to_account = account_id THEN amount ELSE -amount END) AS BIGINT) AS booked, \
         CAST(SUM(CASE kind WHEN 'hold' THEN amount WHEN 'release' THEN -amount ELSE 0 END) AS BIGINT) AS booked_held, \
         CAST(SUM(CASE kind WHEN 'owed' THEN amount WHEN 'owed_paid' THEN -amount ELSE 0 END) AS BIGINT) AS booked_owed \
         FROM ledger_entries GROUP BY account_id) e ON e.account_id = k.id \
         LEFT JOIN (SELECT account_id, CAST(SUM(amount) AS BIGINT) AS holds FROM credit_holds GROUP BY account_id) h ON h.account_id = k.id \
         LEFT JOIN (SELECT account_id, CAST(SUM(remaining) AS BIGINT) AS granted FROM credit_grants GROUP BY account_id) g ON g.account_id = k.id) s \
         WHERE balance <> booked OR held <> booked_held OR held <> holds OR owed <> booked_owed OR balance <> granted \
         OR held < 0 OR balance < held OR owed < 0 ORDER BY id LIMIT 1000";
    raw::find::<_, BalanceMismatch>(db, sql, []).await
}

pub async fn size<C: ConnectionTrait>(db: &C) -> Result<LedgerSize, AppError> {
    let sql =
        "SELECT (SELECT COUNT(*) FROM ledger_accounts) AS accounts, (SELECT COUNT(*) FROM ledger_entries) AS entries";
    let extent = raw::find_one::<_, LedgerSize>(db, sql, []).await?;
    Ok(extent.unwrap_or(LedgerSize { accounts: 0, entries: 0 }))
}

/// Workspaces with an account.
pub async fn workspaces<C: ConnectionTrait>(db: &C) -> Result<Vec<Uuid>, AppError> {
    let query = ledger_account::Entity::find().select_only().column(ledger_account::Column::Id);
    query.filter(ledger_account::Column::Kind.eq("workspace")).into_tuple().all(db).await.map_err(app_error)
}

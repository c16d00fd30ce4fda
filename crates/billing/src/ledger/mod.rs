//! Credit ledger: double-entry, append-only, in whole micro-credits.
//!
//! An [entry](dbcontext::entity::ledger_entry) moves an amount from one account to another, so all accounts add up to
//! zero. Users and workspaces have accounts with rows ([`LedgerAccount`]); the accounts of the [`HouseAccount`] have none, so that
//! transactions don't contend for them. The unique key `(source, source_id, kind)` makes every posting idempotent.
//!
//! The worst-case cost of a call is [reserved](crate::reservations) before the call. An account can't go below zero: the rules
//! are checked under the lock of its row, and a table constraint checks them again. A cost above the balance, or a
//! refund of used credits, becomes *debt* (`owed`), which the next credits pay first.

mod locked_accounts;
mod posting_rules;
#[cfg(test)]
mod tests;

use appcore::{AppError, Timestamp, UserId, WorkspaceId, credits::MicroCredits, view::Credits};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::ledger_account,
    query::ledger::{self as rows, BalanceMismatch, LedgerSize},
};
use uuid::Uuid;

pub use self::{
    locked_accounts::LockedAccounts,
    posting_rules::{EntryKind, LedgerAccount, PostingSource},
};

/// Maximum number of accounts with expired credits that are read per query.
const SWEEP_BATCH: u64 = 500;

/// Holder of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountHolder {
    Person(UserId),
    Workspace(WorkspaceId),
}

impl AccountHolder {
    /// Returns the account holder of a request that must name either a user or a workspace.
    pub fn from_request(person: Option<UserId>, workspace: Option<WorkspaceId>) -> Result<Self, AppError> {
        match (person, workspace) {
            (Some(id), None) => Ok(Self::Person(id)),
            (None, Some(id)) => Ok(Self::Workspace(id)),
            _ => Err(AppError::field("user_id", "invalid", "Name a person or a workspace.")),
        }
    }

    pub(crate) const fn account(self) -> Uuid {
        match self {
            Self::Person(id) => id.0,
            Self::Workspace(id) => id.0,
        }
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Person(_) => "user",
            Self::Workspace(_) => "workspace",
        }
    }
}

/// Figures of an account as its holder sees them; `granted` is the total of the grants that the balance consists of.
pub(crate) fn balance_view(row: &ledger_account::Model, granted: MicroCredits) -> Credits {
    Credits { balance: row.balance, held: row.held, available: row.balance - row.held, owed: row.owed, granted }
}

/// Figures of a holder without an account.
pub(crate) const fn empty_balance() -> Credits {
    let zero = MicroCredits::ZERO;
    Credits { balance: zero, held: zero, available: zero, owed: zero, granted: zero }
}

/// Expires grants that are past their date, except for their held parts. An account whose posting fails doesn't delay
/// the others.
pub(crate) async fn expire(db: &Database, now: Timestamp) -> Result<(), AppError> {
    let mut after = Uuid::nil();
    loop {
        let accounts = rows::accounts_with_expired(db.reader(), now, after, SWEEP_BATCH).await?;
        let Some(last) = accounts.last() else { return Ok(()) };
        after = *last;
        for account in accounts {
            if let Err(error) = expire_account(db, account, now).await {
                if !db.is_available() {
                    return Err(error);
                }
                tracing::warn!(%error, %account, "failed to post expired credits");
            }
        }
    }
}

async fn expire_account(db: &Database, account: Uuid, now: Timestamp) -> Result<(), AppError> {
    let tx = db.begin().await.map_err(app_error)?;
    let mut books = LockedAccounts::lock(&tx, &[account], now).await?;
    if let Some(book) = books.get_mut(account) {
        book.expire();
    }
    books.store(&tx).await?;
    tx.commit().await.map_err(app_error)
}

/// Recomputes every balance from its entries, and returns the differences.
pub async fn verify(db: &Database) -> Result<(LedgerSize, Vec<BalanceMismatch>), AppError> {
    Ok((rows::size(db.reader()).await?, rows::balance_mismatches(db.reader()).await?))
}

//! The ledger of credits: double entry, only ever added to, in whole micro-credits.
//!
//! An [entry](dbcontext::entity::ledger_entry) takes an amount from one account and gives it to another, so that all accounts together are always
//! zero. People and workspaces have accounts with rows ([`Book`]); those of the [`House`] have none, so that nobody waits for anybody there. The same
//! thing is never booked twice: `(source, source_id, kind)` is unique.
//!
//! What is under way is [held](crate::holds) before it begins. An account can't be taken below what is on it: the rules are decided under the lock
//! of its row, and the table checks them again in the statement that changes it. What turns out to cost more than there is, or is given back though it was used
//! already, is *owed*: the next credits pay it first.

mod posting_rules;
mod locked_accounts;
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
    posting_rules::{LedgerAccount, EntryKind, PostingSource},
    locked_accounts::LockedAccounts,
};

/// Accounts with expired credits that are found at once.
const SWEEP: u64 = 500;

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountHolder {
    Person(UserId),
    Workspace(WorkspaceId),
}

impl AccountHolder {
    /// The one of the two that is named.
    pub fn named(person: Option<UserId>, workspace: Option<WorkspaceId>) -> Result<Self, AppError> {
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

/// What an account has, as it is shown; `granted` is what that is left of.
pub(crate) fn figures(row: &ledger_account::Model, granted: MicroCredits) -> Credits {
    Credits { balance: row.balance, held: row.held, available: row.balance - row.held, owed: row.owed, granted }
}

/// What nobody has who has no account.
pub(crate) const fn none() -> Credits {
    let zero = MicroCredits::ZERO;
    Credits { balance: zero, held: zero, available: zero, owed: zero, granted: zero }
}

/// Lets expired credits go, as far as they aren't held. An account on which that can't be booked keeps no other waiting.
pub(crate) async fn expire(db: &Database, now: Timestamp) -> Result<(), AppError> {
    let mut after = Uuid::nil();
    loop {
        let accounts = rows::with_expired(db.reader(), now, after, SWEEP).await?;
        let Some(last) = accounts.last() else { return Ok(()) };
        after = *last;
        for account in accounts {
            if let Err(error) = expire_account(db, account, now).await {
                if !db.is_available() {
                    return Err(error);
                }
                tracing::warn!(%error, %account, "an account's expired credits could not be booked");
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

/// Recomputes every account from its entries.
pub async fn verify(db: &Database) -> Result<(LedgerSize, Vec<BalanceMismatch>), AppError> {
    Ok((rows::extent(db.reader()).await?, rows::differences(db.reader()).await?))
}

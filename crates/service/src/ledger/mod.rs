//! The ledger of credits: double entry, only ever added to, in whole micro-credits.
//!
//! An [entry](dbcontext::entity::ledger_entry) takes an amount from one account and gives it to another, so that all accounts together are always
//! zero. People and workspaces have accounts with rows ([`Book`]); those of the [`House`] have none, so that nobody waits for anybody there. The same
//! thing is never booked twice: `(source, source_id, kind)` is unique.
//!
//! What is under way is [held](holds) before it begins. An account can't be taken below what is on it: the rules are decided under the lock of
//! its row, and the statement and the table check them again. What turns out to cost more than there is, or is given back though it was used
//! already, is *owed*: the next credits pay it first.

mod book;
mod books;
mod holds;
#[cfg(test)]
mod tests;

use appcore::{
    AppError, Code, UserId,
    auth::Principal,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{Credits, LedgerEntry},
};
use dbcontext::{
    Database,
    constraint::app_error,
    entity::ledger_account,
    query::{
        ledger::{self as rows, Difference, Extent},
        users,
    },
};
use uuid::Uuid;

pub(crate) use self::{
    book::{Book, Source},
    books::Books,
    holds::{CreditHold, CreditSettlement, Holds, settle},
};
use crate::{
    App,
    audit::{self, Action, Entry},
    entitlements,
};

/// A million credits.
const MOST_BY_HAND: i64 = 1_000_000_000_000;
/// What kind of account a person's is.
const PERSON: &str = "user";

/// Somebody's account, the newest entries first.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<LedgerEntry>, AppError> {
    let account = by.user_id.0;
    let (found, total) = rows::list(app.db.reader(), account, page).await?;
    let items = found
        .into_iter()
        .map(|row| LedgerEntry {
            id: row.id,
            amount: if row.to_account == account { row.amount } else { MicroCredits(-row.amount.0) },
            balance_after: row.balance_after,
            source: format!("{}:{}", row.source, row.source_id),
            note: row.note,
            kind: row.kind,
            created_at: row.created_at,
        })
        .collect();
    Ok(Page::new(items, page, total))
}

/// What somebody can spend.
pub(crate) async fn available(db: &Database, user_id: UserId) -> Result<MicroCredits, AppError> {
    Ok(rows::account(db.reader(), user_id.0).await?.map_or(MicroCredits::ZERO, |row| row.balance - row.held))
}

/// What somebody has.
pub(crate) async fn credits(app: &App, user_id: UserId) -> Result<Credits, AppError> {
    Ok(rows::account(app.db.reader(), user_id.0).await?.map_or_else(none, |row| figures(&row)))
}

fn figures(row: &ledger_account::Model) -> Credits {
    Credits { balance: row.balance, held: row.held, available: row.balance - row.held, owed: row.owed }
}

const fn none() -> Credits {
    let zero = MicroCredits::ZERO;
    Credits { balance: zero, held: zero, available: zero, owed: zero }
}

/// Gives somebody credits by hand, or takes some away. What isn't there any more is owed.
pub async fn give(
    app: &App,
    by: &Principal,
    user_id: UserId,
    amount: MicroCredits,
    reason: String,
) -> Result<Credits, AppError> {
    if !app.payments.is_charging() {
        return Err(AppError::refused(Code::WrongState, "Nothing is charged here, so there are no credits."));
    }
    if amount == MicroCredits::ZERO || amount.0.saturating_abs() > MOST_BY_HAND {
        return Err(AppError::field("amount", "invalid", "This must be something, and at most a million credits."));
    }
    users::by_id(app.db.reader(), user_id).await?.ok_or(Code::NotFound)?;
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut books = Books::open(&tx, user_id.0, app.clock.now()).await?;
    let source = Source::new("admin", Uuid::now_v7());
    let book = books.only()?;
    if amount > MicroCredits::ZERO {
        book.give(amount, &source, None, Some(reason));
    } else {
        book.take_away(MicroCredits(-amount.0), &source, Some(reason));
    }
    let credits = figures(&book.account);
    books.store(&tx).await?;
    audit::record(&tx, Entry::by(by, Action::CreditsGiven, Some(format!("{user_id}:{amount}")))).await?;
    tx.commit().await.map_err(app_error)?;
    entitlements::tell(app, user_id);
    Ok(credits)
}

/// Recomputes every account from its entries.
pub async fn verify(db: &Database) -> Result<(Extent, Vec<Difference>), AppError> {
    Ok((rows::extent(db.reader()).await?, rows::differences(db.reader()).await?))
}

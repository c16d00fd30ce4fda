//! The ledger of credits: double entry, only ever added to, in whole micro-credits.
//!
//! An [entry](dbcontext::entity::ledger_entry) takes an amount from one account and gives it to another, so that all accounts together are always
//! zero. People and workspaces have accounts with rows ([`Book`]); those of the [`House`] have none, so that nobody waits for anybody there. The same
//! thing is never booked twice: `(source, source_id, kind)` is unique.
//!
//! What is under way is [held](crate::holds) before it begins. An account can't be taken below what is on it: the rules are decided under the lock
//! of its row, and the table checks them again in the statement that changes it. What turns out to cost more than there is, or is given back though it was used
//! already, is *owed*: the next credits pay it first.

mod book;
mod books;
mod export;
#[cfg(test)]
mod tests;

use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
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
        users, workspaces,
    },
};
use uuid::Uuid;

pub use self::export::{Period, export, export_of};
pub(crate) use self::{
    book::{Book, Source},
    books::Books,
};
use crate::{
    App, accounts,
    audit::{self, Action, Entry},
    entitlements, gateway,
    holds::Purse,
    payments::{balances, subscriptions},
};

/// A million credits.
const MOST_BY_HAND: i64 = 1_000_000_000_000;
/// Accounts with expired credits that one look takes on.
const SWEEP: u64 = 500;

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Person(UserId),
    Workspace(WorkspaceId),
}

impl Holder {
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

/// One's own account, or that of a workspace whose owner or administrator one is; the newest entries first.
pub async fn list(
    app: &App,
    by: &Principal,
    workspace_id: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>, AppError> {
    let holder = subscriptions::payer(app, by, workspace_id).await?.holder();
    list_of(app, holder, page).await
}

/// Anybody's account, for administrators.
pub async fn list_of(app: &App, holder: Holder, page: PageRequest) -> Result<Page<LedgerEntry>, AppError> {
    let account = holder.account();
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

/// What is on an account. What this instance holds in advance is not shown as held, and what it has not booked yet is spent.
pub(crate) async fn credits(app: &App, holder: Holder) -> Result<Credits, AppError> {
    let account = holder.account();
    let Some(mut row) = rows::account(app.db.reader(), account).await? else { return Ok(none()) };
    let (unused, spent) = app.gateway.unseen(Purse::Credits(account));
    row.held = (row.held - unused).max(MicroCredits::ZERO);
    row.balance = (row.balance - spent).max(row.held);
    Ok(figures(&row))
}

fn figures(row: &ledger_account::Model) -> Credits {
    Credits { balance: row.balance, held: row.held, available: row.balance - row.held, owed: row.owed }
}

const fn none() -> Credits {
    let zero = MicroCredits::ZERO;
    Credits { balance: zero, held: zero, available: zero, owed: zero }
}

/// Gives somebody or a workspace credits by hand, or takes some away with a fresh sign-in. What isn't there any more is owed.
pub async fn give(
    app: &App,
    by: &Principal,
    holder: Holder,
    amount: MicroCredits,
    reason: String,
) -> Result<Credits, AppError> {
    if !app.payments.is_charging() {
        return Err(AppError::refused(Code::WrongState, "Nothing is charged here, so there are no credits."));
    }
    if amount == MicroCredits::ZERO || amount.0.saturating_abs() > MOST_BY_HAND {
        return Err(AppError::field("amount", "invalid", "This must be something, and at most a million credits."));
    }
    if amount < MicroCredits::ZERO {
        accounts::require_fresh(app, by).await?;
    }
    match holder {
        Holder::Person(id) => drop(users::by_id(app.db.reader(), id).await?.ok_or(Code::NotFound)?),
        Holder::Workspace(id) => drop(workspaces::name(app.db.reader(), id).await?.ok_or(Code::NotFound)?),
    }
    let tx = app.db.begin().await.map_err(app_error)?;
    let mut books = Books::open(&tx, holder, app.clock.now()).await?;
    let source = Source::new("admin", Uuid::now_v7());
    let book = books.only()?;
    if amount > MicroCredits::ZERO {
        book.give(amount, &source, None, Some(reason));
    } else {
        book.take_away(MicroCredits(-amount.0), &source, Some(reason));
    }
    let credits = figures(&book.account);
    books.store(&tx).await?;
    let target = format!("{}:{amount}", holder.account());
    audit::record(&tx, Entry::by(by, Action::CreditsGiven, Some(target))).await?;
    tx.commit().await.map_err(app_error)?;
    tell_changed(app, holder);
    Ok(credits)
}

/// Tells those concerned that an account has changed by a transaction that is committed.
pub(crate) fn tell_changed(app: &App, holder: Holder) {
    balances::stir(app);
    match holder {
        Holder::Person(id) => entitlements::tell(app, id),
        // Its members' use may be paid from it from now on.
        Holder::Workspace(id) => gateway::note_payer(app, id),
    }
}

/// Lets expired credits go, as far as they aren't held.
pub(crate) async fn expire(db: &Database, now: Timestamp) -> Result<(), AppError> {
    for account in rows::with_expired(db.reader(), now, SWEEP).await? {
        let tx = db.begin().await.map_err(app_error)?;
        let mut books = Books::lock(&tx, &[account], now).await?;
        if let Some(book) = books.get_mut(account) {
            book.expire();
        }
        books.store(&tx).await?;
        tx.commit().await.map_err(app_error)?;
    }
    Ok(())
}

/// Recomputes every account from its entries.
pub async fn verify(db: &Database) -> Result<(Extent, Vec<Difference>), AppError> {
    Ok((rows::extent(db.reader()).await?, rows::differences(db.reader()).await?))
}

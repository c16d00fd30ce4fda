//! Credit operations: ledger listing, CSV export, and manual grants by administrators. Built on the
//! [ledger](crate::ledger) and the [reservations](crate::reservations).

mod export;

use appcore::{
    AppError, Code,
    credits::MicroCredits,
    page::{Page, PageRequest},
    view::{Credits, LedgerEntry},
};
use dbcontext::{
    constraint::app_error,
    query::{ledger as rows, service_accounts, workspaces},
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};
use uuid::Uuid;

pub use self::export::{Period, export, export_for_holder};
pub use crate::ledger::{AccountHolder, verify};
use crate::{
    BillingService,
    ledger::{LockedAccounts, PostingSource, balance_view},
    payments::{balances, subscriptions::Payer},
};

/// Maximum amount of a manual grant or withdrawal: a million credits, in micro-credits.
const MAX_MANUAL_AMOUNT: i64 = 1_000_000_000_000;

/// Lists the entries of the payer's account, newest first.
pub async fn list(service: &BillingService, payer: Payer, page: PageRequest) -> Result<Page<LedgerEntry>, AppError> {
    list_for_holder(service, payer.holder(), page).await
}

/// Lists the entries of any account, for administrators.
pub async fn list_for_holder(
    service: &BillingService,
    holder: AccountHolder,
    page: PageRequest,
) -> Result<Page<LedgerEntry>, AppError> {
    let account = holder.account();
    let (found, total) = rows::list(service.db.reader(), account, page).await?;
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

/// Grants or withdraws credits of a user or workspace by hand. Withdrawing more than the balance leaves a debt.
pub async fn adjust_balance(
    service: &BillingService,
    by: &Confirmed,
    holder: AccountHolder,
    amount: MicroCredits,
    reason: String,
) -> Result<Credits, AppError> {
    if !service.payments.is_charging() {
        return Err(AppError::refused(Code::WrongState, "Nothing is charged here, so there are no credits."));
    }
    if amount == MicroCredits::ZERO || amount.0.saturating_abs() > MAX_MANUAL_AMOUNT {
        return Err(AppError::field("amount", "invalid", "Enter an amount other than 0, up to a million credits."));
    }
    match holder {
        AccountHolder::Person(id) => {
            if !service_accounts::is_key_owner(service.db.reader(), id).await? {
                return Err(Code::NotFound.into());
            }
        }
        AccountHolder::Workspace(id) => drop(workspaces::name(service.db.reader(), id).await?.ok_or(Code::NotFound)?),
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut books = LockedAccounts::open(&tx, holder, service.clock.now()).await?;
    let source = PostingSource::new("admin", Uuid::now_v7());
    let book = books.single_account()?;
    if amount > MicroCredits::ZERO {
        book.grant(amount, &source, None, Some(reason));
    } else {
        book.withdraw(MicroCredits(-amount.0), &source, Some(reason));
    }
    let account = book.account.clone();
    books.store(&tx).await?;
    let credits = balance_view(&account, rows::granted_amount(&tx, holder.account()).await?);
    let target = format!("{}:{amount}", holder.account());
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::CreditsGiven, Some(target))).await?;
    tx.commit().await.map_err(app_error)?;
    balances::notify_changed(service, holder);
    Ok(credits)
}

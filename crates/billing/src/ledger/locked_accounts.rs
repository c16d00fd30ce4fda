//! Loading and storing of ledger accounts within one transaction.

use std::collections::BTreeMap;

use appcore::{AppError, Timestamp};
use dbcontext::query::ledger as rows;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{AccountHolder, LedgerAccount};

/// Accounts locked by a transaction.
pub struct LockedAccounts(BTreeMap<Uuid, LedgerAccount>);

impl LockedAccounts {
    /// Locks the given accounts; ids without an account are skipped.
    pub async fn lock<C: ConnectionTrait>(txn: &C, ids: &[Uuid], now: Timestamp) -> Result<Self, AppError> {
        if ids.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let accounts = rows::lock(txn, &ids).await?;
        let mut books: BTreeMap<Uuid, LedgerAccount> =
            accounts.into_iter().map(|account| (account.id, LedgerAccount::new(account, Vec::new(), now))).collect();
        for grant in rows::grants(txn, &ids).await? {
            if let Some(book) = books.get_mut(&grant.account_id) {
                book.grants.push(grant);
            }
        }
        Ok(Self(books))
    }

    /// Locks the holder's account, and creates it if missing.
    pub async fn open<C: ConnectionTrait>(txn: &C, holder: AccountHolder, now: Timestamp) -> Result<Self, AppError> {
        let id = holder.account();
        rows::insert_missing(txn, &[id], holder.kind(), now).await?;
        Self::lock(txn, &[id], now).await
    }

    pub fn get(&self, id: Uuid) -> Option<&LedgerAccount> {
        self.0.get(&id)
    }

    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut LedgerAccount> {
        self.0.values_mut()
    }

    pub fn get_mut(&mut self, id: Uuid) -> Option<&mut LedgerAccount> {
        self.0.get_mut(&id)
    }

    /// Returns the only account.
    pub fn single_account(&mut self) -> Result<&mut LedgerAccount, AppError> {
        self.0.values_mut().next().ok_or_else(|| AppError::internal(anyhow::anyhow!("ledger account missing")))
    }

    /// Stores the changes.
    pub async fn store<C: ConnectionTrait>(self, txn: &C) -> Result<(), AppError> {
        let mut books: Vec<LedgerAccount> = self.0.into_values().filter(|book| !book.entries.is_empty()).collect();
        let (mut entries, mut new_grants, mut used) = (Vec::new(), Vec::new(), Vec::new());
        for book in &mut books {
            book.mark_if_below_threshold();
            entries.append(&mut book.entries);
            new_grants.append(&mut book.new_grants);
            book.grants.retain(|grant| book.used_grants.contains(&grant.id));
            used.extend(book.grants.iter().map(|grant| (grant.id, grant.remaining)));
        }
        let accounts: Vec<_> = books.iter().map(|book| &book.account).collect();
        rows::store(txn, &accounts).await?;
        rows::insert_entries(txn, entries).await?;
        rows::insert_grants(txn, new_grants).await?;
        rows::store_grants(txn, &used).await
    }
}

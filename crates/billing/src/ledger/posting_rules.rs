//! Rules of one ledger account, in memory. [`LockedAccounts`](super::LockedAccounts) does the database reads and writes.

use appcore::{Timestamp, credits::MicroCredits};
use dbcontext::entity::{credit_grant, ledger_account, ledger_entry};
use uuid::Uuid;

/// House accounts: contra accounts without a database row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HouseAccount {
    /// Counterpart of reserved amounts.
    Holds,
    /// Credits that were used.
    Revenue,
    /// Credits granted for free, or expired.
    Grants,
    /// Credits sold, or refunded.
    Sales,
    /// Debts of account holders.
    Debts,
}

impl HouseAccount {
    const fn id(self) -> Uuid {
        Uuid::from_u128(match self {
            Self::Holds => 1,
            Self::Revenue => 2,
            Self::Grants => 3,
            Self::Sales => 4,
            Self::Debts => 5,
        })
    }
}

/// Kind of a ledger entry, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EntryKind {
    Purchase,
    Grant,
    Take,
    Hold,
    Release,
    Settle,
    Expire,
    Owed,
    OwedPaid,
    Refund,
    RefundFailed,
    Dispute,
    DisputeWon,
}

/// Source document of a posting. Unique together with the entry kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostingSource {
    pub name: &'static str,
    pub id: String,
}

impl PostingSource {
    pub fn new(name: &'static str, id: impl ToString) -> Self {
        Self { name, id: id.to_string() }
    }
}

/// A locked account with its pending changes.
#[derive(Clone, Debug)]
pub struct LedgerAccount {
    pub account: ledger_account::Model,
    /// Grants, ordered by expiry (soonest first).
    pub grants: Vec<credit_grant::Model>,
    pub new_grants: Vec<credit_grant::Model>,
    /// Ids of the `grants` that were used.
    pub used_grants: Vec<Uuid>,
    pub entries: Vec<ledger_entry::Model>,
    /// Amount held minus amount released since the last posting, in micro-credits.
    net_held: MicroCredits,
    now: Timestamp,
}

impl LedgerAccount {
    pub fn new(account: ledger_account::Model, grants: Vec<credit_grant::Model>, now: Timestamp) -> Self {
        Self {
            account,
            grants,
            new_grants: Vec::new(),
            used_grants: Vec::new(),
            entries: Vec::new(),
            net_held: MicroCredits::ZERO,
            now,
        }
    }

    pub fn available(&self) -> MicroCredits {
        self.account.balance - self.account.held
    }

    /// Posts a purchase of credits, with optional expiry.
    pub fn purchase(&mut self, credits: MicroCredits, source: &PostingSource, expires_at: Option<Timestamp>) {
        self.credit(credits, HouseAccount::Sales, EntryKind::Purchase, source, expires_at, None);
    }

    /// Posts a free grant.
    pub fn grant(
        &mut self,
        credits: MicroCredits,
        source: &PostingSource,
        expires_at: Option<Timestamp>,
        note: Option<String>,
    ) {
        self.credit(credits, HouseAccount::Grants, EntryKind::Grant, source, expires_at, note);
    }

    /// Withdraws granted credits. The part that the balance doesn't cover becomes a debt.
    pub fn withdraw(&mut self, credits: MicroCredits, source: &PostingSource, note: Option<String>) {
        self.debit(credits, HouseAccount::Grants, EntryKind::Take, source, note, None);
    }

    /// Claws back the credits of a payment, from its unspent grants first.
    pub fn claw_back(&mut self, credits: MicroCredits, source: &PostingSource, kind: EntryKind, payment: &str) {
        self.debit(credits, HouseAccount::Sales, kind, source, None, Some(payment));
    }

    /// Reverses a [clawback](Self::claw_back).
    pub fn reverse_clawback(&mut self, credits: MicroCredits, source: &PostingSource, kind: EntryKind) {
        self.credit(credits, HouseAccount::Sales, kind, source, None, None);
    }

    /// Reserves an amount. [`Self::post_holds`] posts it together with the other holds and releases.
    pub fn hold(&mut self, amount: MicroCredits) {
        self.account.held += amount;
        self.net_held += amount;
    }

    /// Releases a reserved amount. The cost is [charged](Self::charge) afterwards.
    pub fn release_hold(&mut self, amount: MicroCredits) {
        let freed = amount.min(self.account.held);
        self.account.held = self.account.held - freed;
        self.net_held = self.net_held - freed;
    }

    /// Posts the net of holds and releases as one entry.
    pub fn post_holds(&mut self, source: &PostingSource) {
        let kept = std::mem::take(&mut self.net_held);
        if kept > MicroCredits::ZERO {
            self.post(EntryKind::Hold, HouseAccount::Holds, MicroCredits(-kept.0), source, None);
        } else if kept < MicroCredits::ZERO {
            self.post(EntryKind::Release, HouseAccount::Holds, MicroCredits(-kept.0), source, None);
        }
    }

    /// Posts the cost of a call.
    pub fn charge(&mut self, cost: MicroCredits, source: &PostingSource) {
        self.debit(cost, HouseAccount::Revenue, EntryKind::Settle, source, None, None);
    }

    /// Pays debts from the available balance.
    pub fn pay_debts(&mut self, source: &PostingSource) {
        let paid = self.account.owed.min(self.available());
        if paid > MicroCredits::ZERO {
            self.account.owed = self.account.owed - paid;
            self.account.balance = self.account.balance - paid;
            self.consume(paid, None);
            self.post(EntryKind::OwedPaid, HouseAccount::Debts, MicroCredits(-paid.0), source, None);
        }
    }

    /// Expires grants that are past their date, except for the part that is held.
    pub fn expire(&mut self) {
        let expired: Vec<(Uuid, MicroCredits)> = self
            .grants
            .iter()
            .filter(|grant| grant.expires_at.is_some_and(|at| at <= self.now))
            .map(|grant| (grant.id, grant.remaining))
            .collect();
        for (id, remaining) in expired {
            let lost = remaining.min(self.available());
            if lost <= MicroCredits::ZERO {
                continue;
            }
            let left = remaining - lost;
            if let Some(grant) = self.grants.iter_mut().find(|grant| grant.id == id) {
                grant.remaining = left;
                self.used_grants.push(id);
            }
            self.account.balance = self.account.balance - lost;
            // The held part expires later. Its entry has another source id, because the id contains the remaining
            // amount.
            let source = PostingSource::new("grant", format_args!("{id}:{}", left.0));
            self.post(EntryKind::Expire, HouseAccount::Grants, MicroCredits(-lost.0), &source, None);
        }
    }

    /// Marks the account for the low-balance check if its balance is below its threshold.
    pub fn mark_if_below_threshold(&mut self) {
        if self.account.check_threshold.is_some_and(|at| self.account.balance < at) {
            self.account.is_due = true;
        }
    }

    fn credit(
        &mut self,
        credits: MicroCredits,
        from: HouseAccount,
        kind: EntryKind,
        source: &PostingSource,
        expires_at: Option<Timestamp>,
        note: Option<String>,
    ) {
        if credits <= MicroCredits::ZERO {
            return;
        }
        self.account.balance += credits;
        // A higher balance may change the threshold.
        self.account.is_due = true;
        self.add_grant(credits, source, expires_at);
        self.post(kind, from, credits, source, note);
        self.pay_debts(source);
    }

    /// Deducts an amount. The part that isn't available is lent to the account as debt, so that its entries still add
    /// up to its balance.
    fn debit(
        &mut self,
        credits: MicroCredits,
        to: HouseAccount,
        kind: EntryKind,
        source: &PostingSource,
        note: Option<String>,
        first: Option<&str>,
    ) {
        if credits <= MicroCredits::ZERO {
            return;
        }
        let there = credits.min(self.available());
        let missing = credits - there;
        if missing > MicroCredits::ZERO {
            self.account.owed += missing;
            self.account.balance += missing;
            self.post(EntryKind::Owed, HouseAccount::Debts, missing, source, None);
        }
        self.account.balance = self.account.balance - credits;
        self.consume(there, first);
        self.post(kind, to, MicroCredits(-credits.0), source, note);
    }

    fn add_grant(&mut self, credits: MicroCredits, source: &PostingSource, expires_at: Option<Timestamp>) {
        let grant = credit_grant::Model {
            id: Uuid::now_v7(),
            account_id: self.account.id,
            amount: credits,
            remaining: credits,
            expires_at,
            source: source.name.to_owned(),
            source_id: source.id.clone(),
            created_at: self.now,
        };
        self.new_grants.push(grant);
    }

    /// Consumes grants: first those of the source `first`, then the others in the order of their expiry.
    fn consume(&mut self, credits: MicroCredits, first: Option<&str>) {
        let mut left = credits;
        let mut order: Vec<&mut credit_grant::Model> = self.grants.iter_mut().chain(&mut self.new_grants).collect();
        order.sort_by_key(|grant| {
            let is_first = first.is_some_and(|id| grant.source_id == id);
            (!is_first, grant.expires_at.map_or(i64::MAX, |at| at.0), grant.id)
        });
        for grant in order {
            let taken = left.min(grant.remaining);
            if taken > MicroCredits::ZERO {
                grant.remaining = grant.remaining - taken;
                left = left - taken;
                self.used_grants.push(grant.id);
            }
        }
    }

    /// Adds an entry. `amount` is negative if the account is debited.
    fn post(
        &mut self,
        kind: EntryKind,
        house: HouseAccount,
        amount: MicroCredits,
        source: &PostingSource,
        note: Option<String>,
    ) {
        let (account, house) = (self.account.id, house.id());
        let (from_account, to_account) = if amount >= MicroCredits::ZERO { (house, account) } else { (account, house) };
        self.entries.push(ledger_entry::Model {
            id: Uuid::now_v7(),
            account_id: account,
            from_account,
            to_account,
            kind: kind.into_str().to_owned(),
            amount: MicroCredits(amount.0.saturating_abs()),
            balance_after: self.account.balance,
            source: source.name.to_owned(),
            source_id: source.id.clone(),
            note,
            created_at: self.now,
        });
    }
}

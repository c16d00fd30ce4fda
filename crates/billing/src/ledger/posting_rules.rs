//! One account and what may happen to it. Nothing here touches the database: [`Books`](super::Books) reads and writes.

use appcore::{Timestamp, credits::MicroCredits};
use dbcontext::entity::{credit_grant, ledger_account, ledger_entry};
use uuid::Uuid;

/// Accounts that have no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HouseAccount {
    /// What is kept back for what is under way.
    Holds,
    /// What was used.
    Revenue,
    /// Given away, or expired.
    Grants,
    /// Sold, or given back.
    Sales,
    /// What people owe.
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

/// Kind of an entry, as it is stored.
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

/// What something is booked for. Together with the kind of the entry it is unique.
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

/// An account that is locked, and what was done to it.
#[derive(Clone, Debug)]
pub struct LedgerAccount {
    pub account: ledger_account::Model,
    /// What expires first comes first.
    pub grants: Vec<credit_grant::Model>,
    pub new_grants: Vec<credit_grant::Model>,
    /// Those of `grants` that were used.
    pub used_grants: Vec<Uuid>,
    pub entries: Vec<ledger_entry::Model>,
    /// What was held more than was freed, until that is posted.
    kept: MicroCredits,
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
            kept: MicroCredits::ZERO,
            now,
        }
    }

    pub fn available(&self) -> MicroCredits {
        self.account.balance - self.account.held
    }

    /// Books a purchase: credits that don't expire, or do.
    pub fn buy(&mut self, credits: MicroCredits, source: &PostingSource, expires_at: Option<Timestamp>) {
        self.gain(credits, HouseAccount::Sales, EntryKind::Purchase, source, expires_at, None);
    }

    /// Gives credits away.
    pub fn give(
        &mut self,
        credits: MicroCredits,
        source: &PostingSource,
        expires_at: Option<Timestamp>,
        note: Option<String>,
    ) {
        self.gain(credits, HouseAccount::Grants, EntryKind::Grant, source, expires_at, note);
    }

    /// Takes credits away again, as far as they are there; the rest is owed.
    pub fn take_away(&mut self, credits: MicroCredits, source: &PostingSource, note: Option<String>) {
        self.lose(credits, HouseAccount::Grants, EntryKind::Take, source, note, None);
    }

    /// Takes back what a payment bought: what is unspent of it first.
    pub fn take_back(&mut self, credits: MicroCredits, source: &PostingSource, kind: EntryKind, payment: &str) {
        self.lose(credits, HouseAccount::Sales, kind, source, None, Some(payment));
    }

    /// Gives back what was [taken back](Self::take_back).
    pub fn return_taken(&mut self, credits: MicroCredits, source: &PostingSource, kind: EntryKind) {
        self.gain(credits, HouseAccount::Sales, kind, source, None, None);
    }

    /// Keeps an amount back for what is under way. It is [posted](Self::post_held) with what else is held and freed.
    pub fn hold(&mut self, amount: MicroCredits) {
        self.account.held += amount;
        self.kept += amount;
    }

    /// Frees what was held. What it may cost is [charged](Self::charge) after it.
    pub fn free(&mut self, amount: MicroCredits) {
        let freed = amount.min(self.account.held);
        self.account.held = self.account.held - freed;
        self.kept = self.kept - freed;
    }

    /// Posts what was held and freed, as one entry.
    pub fn post_held(&mut self, source: &PostingSource) {
        let kept = std::mem::take(&mut self.kept);
        if kept > MicroCredits::ZERO {
            self.post(EntryKind::Hold, HouseAccount::Holds, MicroCredits(-kept.0), source, None);
        } else if kept < MicroCredits::ZERO {
            self.post(EntryKind::Release, HouseAccount::Holds, MicroCredits(-kept.0), source, None);
        }
    }

    /// Books what something cost.
    pub fn charge(&mut self, cost: MicroCredits, source: &PostingSource) {
        self.lose(cost, HouseAccount::Revenue, EntryKind::Settle, source, None, None);
    }

    /// What was released may be owed.
    pub fn pay_debts(&mut self, source: &PostingSource) {
        let paid = self.account.owed.min(self.available());
        if paid > MicroCredits::ZERO {
            self.account.owed = self.account.owed - paid;
            self.account.balance = self.account.balance - paid;
            self.consume(paid, None);
            self.post(EntryKind::OwedPaid, HouseAccount::Debts, MicroCredits(-paid.0), source, None);
        }
    }

    /// Lets go of what has expired, as far as it isn't held.
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
            // What is still held of it expires later, and leaves less.
            let source = PostingSource::new("grant", format_args!("{id}:{}", left.0));
            self.post(EntryKind::Expire, HouseAccount::Grants, MicroCredits(-lost.0), &source, None);
        }
    }

    /// Somebody has to look at an account that has fallen so far.
    pub fn watch(&mut self) {
        if self.account.check_threshold.is_some_and(|at| self.account.balance < at) {
            self.account.is_due = true;
        }
    }

    fn gain(
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
        // From when on it is watched may be another.
        self.account.is_due = true;
        self.add_grant(credits, source, expires_at);
        self.post(kind, from, credits, source, note);
        self.pay_debts(source);
    }

    /// Takes what is there; for the rest the account gets a loan, so that its entries still come to its balance.
    fn lose(
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

    /// Uses grants up: those of `first`, then in the order in which they expire.
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

    /// `amount` is less than nothing where the account loses it.
    fn post(&mut self, kind: EntryKind, house: HouseAccount, amount: MicroCredits, source: &PostingSource, note: Option<String>) {
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

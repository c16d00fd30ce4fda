//! What of a payment was taken back: its refunds, and disputes that are not won.
//!
//! The credits that go back follow from all of them together: what is refunded and disputed is the same money, and is taken back once. So it
//! comes to the same in whatever order they are told. Nothing here commits.

use ::payment::{DisputeState, RefundState, Stage};
use appcore::{AppError, Code, PaymentRefundId, Timestamp, UserId, credits::MicroCredits};
use dbcontext::{
    entity::{payment, payment_dispute, payment_refund},
    query::{ledger as ledger_rows, payments as rows, plans as plan_rows, subscriptions as subscription_rows},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{fulfilment::source_of, stage};
use crate::ledger::{LockedAccounts, EntryKind, AccountHolder, PostingSource};

/// All that is claimed of a payment whose row is locked.
pub(super) struct Reversals {
    pub refunds: Vec<payment_refund::Model>,
    pub disputes: Vec<payment_dispute::Model>,
}

/// One of them, which credits come or go for.
#[derive(Clone, Copy)]
pub(super) enum Reversal<'a> {
    Refund {
        id: PaymentRefundId,
        /// How often it was done after it had failed: what is booked for it then is booked under another name.
        reversals: i64,
    },
    Dispute(&'a str),
}

impl Reversal<'_> {
    pub const fn of(refund: &payment_refund::Model) -> Self {
        Self::Refund { id: refund.id, reversals: refund.reversals }
    }

    fn source(self, row: &payment::Model) -> PostingSource {
        match self {
            Self::Refund { id, reversals: 0 } => PostingSource::new("refund", id),
            Self::Refund { id, reversals } => PostingSource::new("refund", format_args!("{id}:{reversals}")),
            Self::Dispute(reference) => PostingSource::new("dispute", format_args!("{}:{reference}", row.id)),
        }
    }

    /// The kinds of entries by which credits are taken for it, and given back.
    const fn kinds(self) -> [EntryKind; 2] {
        match self {
            Self::Refund { .. } => [EntryKind::Refund, EntryKind::RefundFailed],
            Self::Dispute(_) => [EntryKind::Dispute, EntryKind::DisputeWon],
        }
    }
}

/// Whether its money went back, or is about to.
pub(super) fn counts(refund: &payment_refund::Model) -> bool {
    refund.state != RefundState::Failed.as_str()
}

fn holds(dispute: &payment_dispute::Model) -> bool {
    dispute.state != DisputeState::Won.as_str()
}

impl Reversals {
    pub async fn read<C: ConnectionTrait>(txn: &C, id: Uuid) -> Result<Self, AppError> {
        Ok(Self { refunds: rows::refunds(txn, id).await?, disputes: rows::disputes(txn, id).await? })
    }

    /// What of the money went back, is about to, or may have to.
    pub fn claimed(&self) -> i64 {
        self.given_back() + self.disputed()
    }

    /// What went back, or is about to.
    pub fn given_back(&self) -> i64 {
        self.refunds.iter().filter(|refund| counts(refund)).map(|refund| refund.amount).sum()
    }

    pub fn disputed(&self) -> i64 {
        self.disputes.iter().filter(|dispute| holds(dispute)).map(|dispute| dispute.amount).sum()
    }

    /// Whether there is a dispute that is open or lost.
    pub fn is_disputed(&self) -> bool {
        self.disputes.iter().any(holds)
    }

    /// What is gone for good.
    pub fn gone(&self) -> i64 {
        let lost = self.disputes.iter().filter(|dispute| dispute.state == DisputeState::Lost.as_str());
        self.refunded() + lost.map(|dispute| dispute.amount).sum::<i64>()
    }

    /// What went back by refunds.
    pub fn refunded(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.state == RefundState::Done.as_str());
        done.map(|refund| refund.amount).sum()
    }

    /// The part of these credits of `row` that is not claimed.
    pub fn unclaimed(&self, row: &payment::Model, credits: MicroCredits) -> MicroCredits {
        credits - part(row, credits, self.claimed())
    }

    /// The newest refund or dispute that takes credits. None: nothing is claimed.
    pub fn current(&self) -> Option<Reversal<'_>> {
        let refund = self.refunds.iter().rev().find(|refund| counts(refund)).map(Reversal::of);
        let dispute = || self.disputes.iter().rev().find(|dispute| holds(dispute));
        refund.or_else(|| dispute().map(|dispute| Reversal::Dispute(&dispute.reference)))
    }

    fn all(&self) -> impl Iterator<Item = Reversal<'_>> {
        let refunds = self.refunds.iter().flat_map(|refund| {
            let id = refund.id;
            (0..=refund.reversals).map(move |reversals| Reversal::Refund { id, reversals })
        });
        refunds.chain(self.disputes.iter().map(|dispute| Reversal::Dispute(&dispute.reference)))
    }

    /// Takes the credits back that go with what is claimed now, as far as they aren't taken already, and says how many that were.
    pub async fn take<C: ConnectionTrait>(
        &self,
        txn: &C,
        row: &payment::Model,
        claim: Reversal<'_>,
        now: Timestamp,
    ) -> Result<MicroCredits, AppError> {
        let mut all = MicroCredits::ZERO;
        for share in self.shares(txn, row).await? {
            let missing = share.due - share.taken;
            if missing <= MicroCredits::ZERO {
                continue;
            }
            let mut books = LockedAccounts::open(txn, holder_of(row, share.account), now).await?;
            let source = part_of(&claim.source(row), row, share.account);
            books.only()?.take_back(missing, &source, claim.kinds()[0], &source_of(row, share.account).id);
            books.store(txn).await?;
            all += missing;
        }
        Ok(all)
    }

    /// Gives the credits back that were taken and that nothing claims any more.
    pub async fn give_back<C: ConnectionTrait>(
        &self,
        txn: &C,
        row: &payment::Model,
        claim: Reversal<'_>,
        now: Timestamp,
    ) -> Result<(), AppError> {
        for share in self.shares(txn, row).await? {
            let excess = share.taken - share.due;
            if excess <= MicroCredits::ZERO {
                continue;
            }
            let mut books = LockedAccounts::open(txn, holder_of(row, share.account), now).await?;
            let source = part_of(&claim.source(row), row, share.account);
            books.only()?.return_taken(excess, &source, claim.kinds()[1]);
            books.store(txn).await?;
        }
        Ok(())
    }

    /// What each account that got something has to do without, and what was taken of it so far. What was taken stands in the ledger.
    async fn shares<C: ConnectionTrait>(&self, txn: &C, row: &payment::Model) -> Result<Vec<Share>, AppError> {
        // What was refused when it was paid has given nobody anything.
        if stage(row)? != Stage::Paid {
            return Ok(Vec::new());
        }
        let claimed = self.claimed();
        let mut shares = Vec::new();
        for (account, credits) in receivers(txn, row).await? {
            let sources = self.all().map(|claim| part_of(&claim.source(row), row, account).id).collect();
            let entries = ledger_rows::taken_back(txn, account, sources).await?;
            let taken = entries.into_iter().map(|entry| {
                let is_taken = entry.from_account == account;
                if is_taken { entry.amount.0 } else { -entry.amount.0 }
            });
            shares.push(Share { account, due: part(row, credits, claimed), taken: MicroCredits(taken.sum()) });
        }
        Ok(shares)
    }
}

struct Share {
    account: Uuid,
    due: MicroCredits,
    taken: MicroCredits,
}

/// The accounts that got something by a payment, and how much.
async fn receivers<C: ConnectionTrait>(txn: &C, row: &payment::Model) -> Result<Vec<(Uuid, MicroCredits)>, AppError> {
    let given = subscription_rows::credits_of(txn, row.id).await?;
    if given.is_empty() && row.workspace_id.is_none() {
        // Older than the table that says so.
        let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
        return Ok(vec![(row.user_id.0, row.credits.unwrap_or(plan.credits))]);
    }
    Ok(given.into_iter().map(|row| (row.account_id, row.credits)).collect())
}

/// Whose an account is that gets something by a payment: its workspace's, or that of somebody who has a seat or has paid.
pub(super) fn holder_of(row: &payment::Model, account: Uuid) -> AccountHolder {
    let workspace = row.workspace_id.filter(|id| id.0 == account);
    workspace.map_or(AccountHolder::Person(UserId(account)), AccountHolder::Workspace)
}

/// The part of credits that goes with a part of what was paid, parts of a micro-credit counted as whole ones.
fn part(row: &payment::Model, credits: MicroCredits, amount: i64) -> MicroCredits {
    let (credits, amount, whole) = (i128::from(credits.0), i128::from(amount), i128::from(row.amount.max(1)));
    let part = (credits * amount.clamp(0, whole) + whole - 1) / whole;
    MicroCredits(i64::try_from(part).unwrap_or(i64::MAX))
}

/// What something is booked for in one of several accounts.
fn part_of(source: &PostingSource, row: &payment::Model, account: Uuid) -> PostingSource {
    if row.workspace_id.is_none() {
        source.clone()
    } else {
        PostingSource::new(source.name, format_args!("{}:{account}", source.id))
    }
}

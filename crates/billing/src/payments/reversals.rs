//! Reversals of a payment: its refunds, and its disputes that aren't won.
//!
//! The credits to claw back follow from all reversals together: a refund and a dispute may be about the same money,
//! which is clawed back once. The result doesn't depend on the order in which they are reported. Runs in the caller's
//! transaction.

use ::payment::{DisputeState, RefundState, Stage};
use appcore::{AppError, Code, PaymentRefundId, Timestamp, UserId, credits::MicroCredits};
use dbcontext::{
    entity::{payment, payment_dispute, payment_refund},
    query::{ledger as ledger_rows, payments as rows, plans as plan_rows, subscriptions as subscription_rows},
};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{fulfilment::source_of, stage};
use crate::ledger::{AccountHolder, EntryKind, LockedAccounts, PostingSource};

/// All reversals of a payment whose row is locked.
pub(super) struct Reversals {
    pub refunds: Vec<payment_refund::Model>,
    pub disputes: Vec<payment_dispute::Model>,
}

/// Source of ledger entries: a refund or a dispute.
#[derive(Clone, Copy)]
pub(super) enum Reversal<'a> {
    Refund {
        id: PaymentRefundId,
        /// Number of times that the refund succeeded after a failure. It distinguishes the ledger entries of each time.
        reversals: i64,
    },
    Dispute(&'a str),
}

impl Reversal<'_> {
    pub const fn from_refund(refund: &payment_refund::Model) -> Self {
        Self::Refund { id: refund.id, reversals: refund.reversals }
    }

    fn source(self, row: &payment::Model) -> PostingSource {
        match self {
            Self::Refund { id, reversals: 0 } => PostingSource::new("refund", id),
            Self::Refund { id, reversals } => PostingSource::new("refund", format_args!("{id}:{reversals}")),
            Self::Dispute(reference) => PostingSource::new("dispute", format_args!("{}:{reference}", row.id)),
        }
    }

    /// Entry kinds for clawing back credits and for returning them.
    const fn kinds(self) -> [EntryKind; 2] {
        match self {
            Self::Refund { .. } => [EntryKind::Refund, EntryKind::RefundFailed],
            Self::Dispute(_) => [EntryKind::Dispute, EntryKind::DisputeWon],
        }
    }
}

/// True if the refund's money went back, or is about to.
pub(super) fn is_effective(refund: &payment_refund::Model) -> bool {
    refund.state != RefundState::Failed.as_str()
}

fn is_held_back(dispute: &payment_dispute::Model) -> bool {
    dispute.state != DisputeState::Won.as_str()
}

impl Reversals {
    pub async fn read<C: ConnectionTrait>(txn: &C, id: Uuid) -> Result<Self, AppError> {
        Ok(Self { refunds: rows::refunds(txn, id).await?, disputes: rows::disputes(txn, id).await? })
    }

    /// Amount that was refunded, is being refunded, or is disputed.
    pub fn reversed(&self) -> i64 {
        self.refunded_or_pending() + self.disputed()
    }

    /// Amount that was refunded, or is being refunded.
    pub fn refunded_or_pending(&self) -> i64 {
        self.refunds.iter().filter(|refund| is_effective(refund)).map(|refund| refund.amount).sum()
    }

    pub fn disputed(&self) -> i64 {
        self.disputes.iter().filter(|dispute| is_held_back(dispute)).map(|dispute| dispute.amount).sum()
    }

    /// True if a dispute is open or lost.
    pub fn is_disputed(&self) -> bool {
        self.disputes.iter().any(is_held_back)
    }

    /// Amount that was finally lost by completed refunds and lost disputes.
    pub fn lost_amount(&self) -> i64 {
        let lost = self.disputes.iter().filter(|dispute| dispute.state == DisputeState::Lost.as_str());
        self.refunded() + lost.map(|dispute| dispute.amount).sum::<i64>()
    }

    /// Amount of completed refunds.
    pub fn refunded(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.state == RefundState::Done.as_str());
        done.map(|refund| refund.amount).sum()
    }

    /// Part of the given credits of `row` that is not reversed.
    pub fn remaining_credits(&self, row: &payment::Model, credits: MicroCredits) -> MicroCredits {
        credits - proportional_credits(row, credits, self.reversed())
    }

    /// The newest reversal that claws back credits; `None` if there is none.
    pub fn current(&self) -> Option<Reversal<'_>> {
        let refund = self.refunds.iter().rev().find(|refund| is_effective(refund)).map(Reversal::from_refund);
        let dispute = || self.disputes.iter().rev().find(|dispute| is_held_back(dispute));
        refund.or_else(|| dispute().map(|dispute| Reversal::Dispute(&dispute.reference)))
    }

    fn all(&self) -> impl Iterator<Item = Reversal<'_>> {
        let refunds = self.refunds.iter().flat_map(|refund| {
            let id = refund.id;
            (0..=refund.reversals).map(move |reversals| Reversal::Refund { id, reversals })
        });
        refunds.chain(self.disputes.iter().map(|dispute| Reversal::Dispute(&dispute.reference)))
    }

    /// Claws back the credits of the current reversals that have not been clawed back yet; returns their amount.
    pub async fn claw_back<C: ConnectionTrait>(
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
            let source = share_source(&claim.source(row), row, share.account);
            books.single_account()?.claw_back(missing, &source, claim.kinds()[0], &source_of(row, share.account).id);
            books.store(txn).await?;
            all += missing;
        }
        Ok(all)
    }

    /// Returns clawed-back credits to their accounts if no reversal claims them any more.
    pub async fn return_excess<C: ConnectionTrait>(
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
            let source = share_source(&claim.source(row), row, share.account);
            books.single_account()?.reverse_clawback(excess, &source, claim.kinds()[1]);
            books.store(txn).await?;
        }
        Ok(())
    }

    /// Shares of the accounts that received credits: for each, the amount to claw back and the amount clawed back so
    /// far according to the ledger.
    async fn shares<C: ConnectionTrait>(&self, txn: &C, row: &payment::Model) -> Result<Vec<Share>, AppError> {
        // A payment that was rejected when it was paid has granted nothing.
        if stage(row)? != Stage::Paid {
            return Ok(Vec::new());
        }
        let claimed = self.reversed();
        let mut shares = Vec::new();
        for (account, credits) in grants_of_payment(txn, row).await? {
            let sources = self.all().map(|claim| share_source(&claim.source(row), row, account).id).collect();
            let entries = ledger_rows::clawed_back(txn, account, sources).await?;
            let taken = entries.into_iter().map(|entry| {
                let is_taken = entry.from_account == account;
                if is_taken { entry.amount.0 } else { -entry.amount.0 }
            });
            shares.push(Share {
                account,
                due: proportional_credits(row, credits, claimed),
                taken: MicroCredits(taken.sum()),
            });
        }
        Ok(shares)
    }
}

struct Share {
    account: Uuid,
    due: MicroCredits,
    taken: MicroCredits,
}

/// Accounts that received credits of a payment, with the amounts.
async fn grants_of_payment<C: ConnectionTrait>(
    txn: &C,
    row: &payment::Model,
) -> Result<Vec<(Uuid, MicroCredits)>, AppError> {
    let given = subscription_rows::credits_of(txn, row.id).await?;
    if given.is_empty() && row.workspace_id.is_none() {
        // The payment is older than the table `payment_credits`.
        let plan = plan_rows::by_id(txn, row.plan_id).await?.ok_or(Code::NotFound)?;
        return Ok(vec![(row.user_id.0, row.credits.unwrap_or(plan.credits))]);
    }
    Ok(given.into_iter().map(|row| (row.account_id, row.credits)).collect())
}

/// Holder of an account that received credits of a payment: its workspace, or the user who has a seat or has paid.
pub(super) fn holder_of(row: &payment::Model, account: Uuid) -> AccountHolder {
    let workspace = row.workspace_id.filter(|id| id.0 == account);
    workspace.map_or(AccountHolder::Person(UserId(account)), AccountHolder::Workspace)
}

/// Part of the credits that corresponds to a part of the paid amount, rounded up to a micro-credit.
fn proportional_credits(row: &payment::Model, credits: MicroCredits, amount: i64) -> MicroCredits {
    let (credits, amount, whole) = (i128::from(credits.0), i128::from(amount), i128::from(row.amount.max(1)));
    let part = (credits * amount.clamp(0, whole) + whole - 1) / whole;
    MicroCredits(i64::try_from(part).unwrap_or(i64::MAX))
}

/// Ledger source for one of several accounts.
fn share_source(source: &PostingSource, row: &payment::Model, account: Uuid) -> PostingSource {
    if row.workspace_id.is_none() {
        source.clone()
    } else {
        PostingSource::new(source.name, format_args!("{}:{account}", source.id))
    }
}

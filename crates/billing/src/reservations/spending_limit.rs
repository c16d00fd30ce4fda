//! Spending limits of calls, and the amounts reserved in them.

use appcore::{UserId, credits::MicroCredits};
use dbcontext::query::budgets::{BudgetId, CounterId};
use uuid::Uuid;

/// A limit that a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendingLimit {
    /// A budget, or a quota of a user's plan.
    Counter(CounterId),
    /// The credits of an account.
    Credits(Uuid),
}

impl From<BudgetId> for SpendingLimit {
    fn from(id: BudgetId) -> Self {
        Self::Counter(id.into())
    }
}

impl SpendingLimit {
    /// Id of the key, user or workspace that the limit belongs to.
    pub fn id(self) -> Uuid {
        match self {
            Self::Counter(counter) => counter.id(),
            Self::Credits(account) => account,
        }
    }

    /// Account of a credit limit.
    pub fn account(self) -> Option<Uuid> {
        match self {
            Self::Counter(_) => None,
            Self::Credits(account) => Some(account),
        }
    }

    /// User whose entitlements show the limit.
    pub fn owner(self) -> Option<UserId> {
        match self {
            Self::Counter(CounterId::Budget(_)) => None,
            Self::Counter(CounterId::Quota(_, user_id)) => Some(user_id),
            Self::Credits(account) => Some(UserId(account)),
        }
    }
}

/// Amounts of a call in the units of the limits: calls, tokens and credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    pub cost: MicroCredits,
    pub tokens: i64,
    /// Number of calls or answers.
    pub count: i64,
}

impl Amounts {
    #[cfg(test)]
    pub const fn cost(cost: MicroCredits) -> Self {
        Self { cost, tokens: 0, count: 0 }
    }

    /// Excess over `other` in each unit, at least zero.
    pub fn excess_over(self, other: Self) -> Self {
        Self {
            cost: (self.cost - other.cost).max(MicroCredits::ZERO),
            tokens: self.tokens.saturating_sub(other.tokens).max(0),
            count: (self.count - other.count).max(0),
        }
    }

    /// Amount in the unit of the given limit.
    pub fn amount_for(self, purse: SpendingLimit) -> MicroCredits {
        use appcore::view::QuotaMetric;
        match purse {
            SpendingLimit::Credits(_) | SpendingLimit::Counter(CounterId::Budget(_)) => self.cost,
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Tokens, _)) => MicroCredits(self.tokens),
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Answers | QuotaMetric::GatewayCalls, _)) => {
                MicroCredits(self.count)
            }
            // Calls don't count against the quotas of storage and members.
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Storage | QuotaMetric::Members, _)) => {
                MicroCredits::ZERO
            }
        }
    }
}

//! What calls are held in, and how much of it.

use appcore::{UserId, credits::MicroCredits};
use dbcontext::query::budgets::{BudgetId, CounterId};
use uuid::Uuid;

/// What a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendingLimit {
    /// A budget, or a quota of somebody's plan.
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
    /// The key, person or workspace that it is of.
    pub fn id(self) -> Uuid {
        match self {
            Self::Counter(counter) => counter.id(),
            Self::Credits(account) => account,
        }
    }

    /// The account whose credits it is.
    pub fn account(self) -> Option<Uuid> {
        match self {
            Self::Counter(_) => None,
            Self::Credits(account) => Some(account),
        }
    }

    /// Who sees what is left of it.
    pub fn owner(self) -> Option<UserId> {
        match self {
            Self::Counter(CounterId::Budget(_)) => None,
            Self::Counter(CounterId::Quota(_, user_id)) => Some(user_id),
            Self::Credits(account) => Some(UserId(account)),
        }
    }
}

/// How much a call takes of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Amounts {
    pub cost: MicroCredits,
    pub tokens: i64,
    /// Whether it counts as a call, or as an answer.
    pub count: i64,
}

impl Amounts {
    #[cfg(test)]
    pub const fn cost(cost: MicroCredits) -> Self {
        Self { cost, tokens: 0, count: 0 }
    }

    /// What goes beyond another amount of everything.
    pub fn beyond(self, other: Self) -> Self {
        Self {
            cost: (self.cost - other.cost).max(MicroCredits::ZERO),
            tokens: self.tokens.saturating_sub(other.tokens).max(0),
            count: (self.count - other.count).max(0),
        }
    }

    /// How much of this, in its own unit.
    pub fn of(self, purse: SpendingLimit) -> MicroCredits {
        use appcore::view::QuotaMetric;
        match purse {
            SpendingLimit::Credits(_) | SpendingLimit::Counter(CounterId::Budget(_)) => self.cost,
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Tokens, _)) => MicroCredits(self.tokens),
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Answers | QuotaMetric::GatewayCalls, _)) => {
                MicroCredits(self.count)
            }
            // What is kept is not used up by calls.
            SpendingLimit::Counter(CounterId::Quota(QuotaMetric::Storage | QuotaMetric::Members, _)) => MicroCredits::ZERO,
        }
    }
}

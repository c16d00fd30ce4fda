//! Budgets as they are set, and when they begin anew. What is held in them is kept by [`holds`](crate::holds).

mod limit;
mod period;

use appcore::{
    AppError, Timestamp,
    credits::MicroCredits,
    view::{BudgetPeriod, BudgetScope, UnknownName},
};
use dbcontext::entity::budget;

pub(super) use self::limit::exists;
pub use self::limit::{lift, list, set};
pub(crate) use self::{
    limit::{put, view},
    period::{resets_at, start_of},
};

/// Which budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedUp {
    pub scope: BudgetScope,
    pub resets_at: Option<Timestamp>,
}

pub(super) fn scope(name: &str) -> Result<BudgetScope, AppError> {
    name.parse().map_err(|error: UnknownName| AppError::internal(error))
}

pub(crate) fn period(row: &budget::Model) -> BudgetPeriod {
    row.period.parse().unwrap_or(BudgetPeriod::None)
}

pub(crate) fn begin_anew(row: &mut budget::Model, now: Timestamp) {
    let start = start_of(period(row), now);
    if row.period_start < start {
        row.period_start = start;
        row.spent = MicroCredits::ZERO;
    }
}

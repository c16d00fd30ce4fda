//! Budget settings. Reservations and period resets are handled by [`billing::reservations`].

mod limit;
mod parts;

use appcore::{
    AppError, Timestamp,
    view::{BudgetScope, UnknownName},
};

pub(super) use self::limit::exists;
pub use self::limit::{list, remove, set};
pub(crate) use self::{
    limit::{upsert, view},
    parts::KnownBudgets,
};

/// Exhausted budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExhaustedBudget {
    pub scope: BudgetScope,
    pub resets_at: Option<Timestamp>,
}

pub(super) fn scope(name: &str) -> Result<BudgetScope, AppError> {
    name.parse().map_err(|error: UnknownName| AppError::internal(error))
}

//! Prices of AI use and balances. Amounts are integers in millionths of a credit (micro-credits),
//! so that sums have no rounding errors.

use std::{
    iter::Sum,
    ops::{Add, AddAssign, Sub},
};

use serde::{Deserialize, Serialize};

/// Amount in micro-credits, which are millionths of a credit.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    sea_orm::DeriveValueType,
    utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = i64)]
pub struct MicroCredits(pub i64);

impl MicroCredits {
    pub const ZERO: Self = Self(0);

    /// Cost of `tokens`, if this is the price per million tokens. The result is not rounded, and in
    /// millionths of a micro-credit.
    #[must_use]
    pub fn cost_of_tokens(self, tokens: u64) -> i128 {
        i128::from(self.0) * i128::from(tokens)
    }

    /// Rounds an amount in millionths of a micro-credit up to whole micro-credits.
    #[must_use]
    pub fn round_up_millionths(millionths: i128) -> Self {
        const MILLION: i128 = 1_000_000;
        let whole = millionths.div_euclid(MILLION) + i128::from(millionths.rem_euclid(MILLION) > 0);
        Self(i64::try_from(whole).unwrap_or(i64::MAX))
    }
}

impl Add for MicroCredits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MicroCredits {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for MicroCredits {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for MicroCredits {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl std::fmt::Display for MicroCredits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_micro_credit_are_rounded_up() {
        let price = MicroCredits(250_000);
        assert_eq!(MicroCredits::round_up_millionths(price.cost_of_tokens(1)), MicroCredits(1));
        assert_eq!(MicroCredits::round_up_millionths(price.cost_of_tokens(8)), MicroCredits(2));
        assert_eq!(MicroCredits::round_up_millionths(0), MicroCredits::ZERO);
        assert_eq!(MicroCredits::round_up_millionths(i128::MAX), MicroCredits(i64::MAX));
    }
}

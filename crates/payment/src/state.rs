//! States of payments, refunds and disputes.
//!
//! The payer's progress is a [`Stage`], which only moves forward along the table [`STEPS`]. Refunds and disputes are
//! separate facts. The [status](PaymentStatus) shown to people is derived from all of them, so it doesn't depend on the
//! order of events.

use appcore::{Timestamp, view::PaymentStatus};

/// Progress of a payment.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Stage {
    /// Created here; the gateway may not know it yet.
    Created,
    /// Waiting for the payer, or for the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
}

impl Stage {
    /// Spelling in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// State of a refund.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RefundState {
    Pending,
    Done,
    /// The refund has failed. This state may follow `done` if the money came back, and precede it if the gateway
    /// executed a refund that an administrator had given up.
    Failed,
}

impl RefundState {
    /// Spelling in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// State of a dispute.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum DisputeState {
    Open,
    Won,
    Lost,
}

impl DisputeState {
    /// Spelling in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// All transitions of a payment. A payment that has failed or expired here can still become paid, because the payer may
/// have paid nevertheless.
const STEPS: &[(Stage, Stage)] = &[
    (Stage::Created, Stage::Pending),
    (Stage::Created, Stage::Paid),
    (Stage::Created, Stage::Failed),
    (Stage::Created, Stage::Expired),
    (Stage::Pending, Stage::Paid),
    (Stage::Pending, Stage::Failed),
    (Stage::Pending, Stage::Expired),
    (Stage::Failed, Stage::Paid),
    (Stage::Expired, Stage::Paid),
];

impl Stage {
    /// Returns the stage after an update. Updates that arrive late change nothing.
    #[must_use]
    pub fn step(self, to: Self) -> Self {
        if STEPS.contains(&(self, to)) { to } else { self }
    }

    /// True if the outcome is still open.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Pending)
    }
}

impl RefundState {
    /// Returns the state after an update, and the time that the gateway reported for it. Reports of the gateway are
    /// ordered by their time in whole seconds: the newest counts, and of two in the same second the failure. So the
    /// result doesn't depend on the order in which they arrive. An update without a time isn't from the gateway: it
    /// ends a pending refund, and any report of the gateway overrides it.
    #[must_use]
    pub fn step(self, of: Option<Timestamp>, to: Self, at: Option<Timestamp>) -> (Self, Option<Timestamp>) {
        let rank = |moment: Timestamp, state: Self| (moment.seconds(), state == Self::Failed);
        let is_newer = match (of, at) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(of), Some(at)) => rank(at, to) > rank(of, self),
        };
        match (self, to) {
            (_, Self::Pending) => (self, of),
            (Self::Pending, to) => (to, at),
            _ if is_newer => (to, at),
            _ => (self, of),
        }
    }
}

impl DisputeState {
    /// Returns the state after an update. A decided dispute doesn't reopen.
    #[must_use]
    pub const fn step(self, to: Self) -> Self {
        match self {
            Self::Open => to,
            decided => decided,
        }
    }
}

/// Facts from which the status of a payment is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentFacts {
    pub stage: Stage,
    pub amount: i64,
    /// Amount of the completed refunds, in the currency's smallest unit.
    pub refunded: i64,
    /// True if a dispute is open or lost.
    pub is_disputed: bool,
    pub is_quarantined: bool,
}

impl PaymentFacts {
    #[must_use]
    pub const fn status(self) -> PaymentStatus {
        if self.is_quarantined {
            return PaymentStatus::Quarantined;
        }
        match self.stage {
            Stage::Created => PaymentStatus::Created,
            Stage::Pending => PaymentStatus::Pending,
            Stage::Failed => PaymentStatus::Failed,
            Stage::Expired => PaymentStatus::Expired,
            Stage::Paid if self.is_disputed => PaymentStatus::Disputed,
            Stage::Paid if self.refunded >= self.amount => PaymentStatus::Refunded,
            Stage::Paid if self.refunded > 0 => PaymentStatus::PartlyRefunded,
            Stage::Paid => PaymentStatus::Paid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_updates_with_paid_ends_paid() {
        let news = [Stage::Pending, Stage::Paid, Stage::Failed, Stage::Expired];
        for first in news {
            for second in news {
                for third in news {
                    let order = [first, second, third];
                    let last = order.into_iter().fold(Stage::Created, Stage::step);
                    assert_eq!(last == Stage::Paid, order.contains(&Stage::Paid), "{order:?}");
                }
            }
        }
    }

    #[test]
    fn stages_never_go_back() {
        for &(from, to) in STEPS {
            assert_eq!(to.step(from), to, "{to} goes back to {from}");
        }
        assert_eq!(DisputeState::Lost.step(DisputeState::Open), DisputeState::Lost);
    }

    #[test]
    fn newest_refund_report_wins_in_any_order() {
        use RefundState::{Done, Failed, Pending};
        let at = |seconds: i64| Some(Timestamp(seconds * 1_000));
        let told = [(Pending, at(9)), (Done, at(1)), (Failed, at(2)), (Done, at(3)), (Failed, at(3))];
        for wanted in
            [vec![0, 1], vec![1, 2], vec![2, 3], vec![1, 3], vec![3, 4], vec![0, 1, 2, 3], vec![0, 1, 2, 3, 4]]
        {
            let newest = wanted.iter().map(|place| told[*place]).filter(|(state, _)| *state != Pending);
            let newest = newest.max_by_key(|(state, at)| (*at, *state == Failed)).unwrap();
            for turn in 0..wanted.len() {
                let mut order = wanted.clone();
                order.rotate_left(turn);
                for order in [order.clone(), order.into_iter().rev().collect()] {
                    let end = order.iter().fold((Pending, None), |(state, of), place| {
                        let (to, at) = told[*place];
                        state.step(of, to, at)
                    });
                    assert_eq!(end, newest, "{order:?}");
                }
            }
        }
        assert_eq!(Pending.step(None, Failed, None), (Failed, None), "given up by an administrator");
        assert_eq!(Failed.step(None, Done, at(1)), (Done, at(1)), "a gateway report overrides it");
        assert_eq!(Done.step(at(1), Failed, None), (Done, at(1)), "an update without a time doesn't");
    }

    #[test]
    fn status_follows_from_facts() {
        let paid =
            PaymentFacts { stage: Stage::Paid, amount: 10, refunded: 0, is_disputed: false, is_quarantined: false };
        assert_eq!(paid.status(), PaymentStatus::Paid);
        assert_eq!(PaymentFacts { refunded: 3, ..paid }.status(), PaymentStatus::PartlyRefunded);
        assert_eq!(PaymentFacts { refunded: 10, ..paid }.status(), PaymentStatus::Refunded);
        assert_eq!(PaymentFacts { refunded: 3, is_disputed: true, ..paid }.status(), PaymentStatus::Disputed);
        assert_eq!(PaymentFacts { is_quarantined: true, ..paid }.status(), PaymentStatus::Quarantined);
    }
}

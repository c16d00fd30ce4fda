//! What a payment is, and what can become of it.
//!
//! How far the payer got is a [`Stage`], which only goes forward: the table [`STEPS`] says from where to where. What was taken back afterwards are
//! facts of their own: refunds and disputes. From all of them together follows the [status](PaymentStatus) that people see, so it is the same
//! in whatever order the facts came.

use appcore::{Timestamp, view::PaymentStatus};

/// How far the payer got.
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
    /// It was asked for; the gateway may not know of it.
    Created,
    /// The gateway waits for the payer, or for the payer's bank.
    Pending,
    Paid,
    Failed,
    Expired,
}

impl Stage {
    /// As it is stored, and stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// What became of a refund.
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
    /// It may come after `done`: the money came back. And before it: what was given up here was done there.
    Failed,
}

impl RefundState {
    /// As it is stored, and stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// What became of a dispute.
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
    /// As it is stored, and stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// Every step that a payment can take. A payment that has failed or expired here may have been paid all the same: then it is paid.
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
    /// The stage after a piece of news. News that came late changes nothing.
    #[must_use]
    pub fn step(self, to: Self) -> Self {
        if STEPS.contains(&(self, to)) { to } else { self }
    }

    /// Whether the gateway may still have something to say.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Pending)
    }
}

impl RefundState {
    /// The state after a piece of news, and of which moment it is. What a gateway says counts, and of several such words the newest, by the second; of
    /// two of the same second, that it has failed. So it is the same in whatever order they come. A word without a moment is not a gateway's:
    /// it ends what is under way, and any gateway knows better.
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
    /// The state after a piece of news: what was decided is not open again.
    #[must_use]
    pub const fn step(self, to: Self) -> Self {
        match self {
            Self::Open => to,
            decided => decided,
        }
    }
}

/// All that is known of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentFacts {
    pub stage: Stage,
    pub amount: i64,
    /// What went back, refunds that are under way left out.
    pub refunded: i64,
    /// Whether there is a dispute that is open or lost.
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
    fn paid_is_where_every_order_of_news_ends_that_has_it() {
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
    fn nothing_goes_back() {
        for &(from, to) in STEPS {
            assert_eq!(to.step(from), to, "{to} goes back to {from}");
        }
        assert_eq!(DisputeState::Lost.step(DisputeState::Open), DisputeState::Lost);
    }

    #[test]
    fn of_what_is_told_of_a_refund_the_newest_counts_in_whatever_order_it_comes() {
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
        assert_eq!(Pending.step(None, Failed, None), (Failed, None), "somebody has given it up");
        assert_eq!(Failed.step(None, Done, at(1)), (Done, at(1)), "the gateway knows better");
        assert_eq!(Done.step(at(1), Failed, None), (Done, at(1)), "nobody else does");
    }

    #[test]
    fn the_status_follows_from_the_facts() {
        let paid = PaymentFacts { stage: Stage::Paid, amount: 10, refunded: 0, is_disputed: false, is_quarantined: false };
        assert_eq!(paid.status(), PaymentStatus::Paid);
        assert_eq!(PaymentFacts { refunded: 3, ..paid }.status(), PaymentStatus::PartlyRefunded);
        assert_eq!(PaymentFacts { refunded: 10, ..paid }.status(), PaymentStatus::Refunded);
        assert_eq!(PaymentFacts { refunded: 3, is_disputed: true, ..paid }.status(), PaymentStatus::Disputed);
        assert_eq!(PaymentFacts { is_quarantined: true, ..paid }.status(), PaymentStatus::Quarantined);
    }
}

//! State machine of subscriptions, billing periods, and the price of a change.

use std::time::Duration;

use appcore::{Timestamp, view::PlanInterval};
use time::{Date, Month, OffsetDateTime};

const DAY: Duration = Duration::from_secs(86_400);
/// Days after the end of a period on which the charge for the next period is attempted.
const ATTEMPT_DAYS: [u32; 4] = [0, 1, 3, 5];

/// State of a subscription.
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
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum SubscriptionState {
    /// Trial without a payment so far.
    Trialing,
    /// Paid; renews after the current period.
    Active,
    /// Paid, but canceled; ends with the current period.
    Canceling,
    /// The period is over and the next one isn't paid; still usable during the grace period.
    PastDue,
    Ended,
}

impl SubscriptionState {
    /// Spelling in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// Cause of a state transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionTransition {
    /// A period was paid.
    Paid,
    /// The payer cancels the renewal.
    Cancel,
    /// The payer reverts a cancellation.
    Resume,
    /// The period is over, and the next one isn't paid yet.
    Lapse,
    /// The trial, the last period or the grace period is over.
    End,
    /// The money for the period went back to the payer.
    TakenBack,
}

/// All transitions of a subscription. A late payment starts an ended subscription again.
const STEPS: &[(SubscriptionState, SubscriptionTransition, SubscriptionState)] = {
    use SubscriptionState::{Active, Canceling, Ended, PastDue, Trialing};
    use SubscriptionTransition::{Cancel, End, Lapse, Paid, Resume, TakenBack};
    &[
        (Trialing, Paid, Active),
        (Trialing, Cancel, Ended),
        (Trialing, End, Ended),
        (Active, Paid, Active),
        (Active, Cancel, Canceling),
        (Active, Lapse, PastDue),
        (Active, TakenBack, Ended),
        (Canceling, Paid, Active),
        (Canceling, Resume, Active),
        (Canceling, End, Ended),
        (Canceling, TakenBack, Ended),
        (PastDue, Paid, Active),
        (PastDue, Cancel, Ended),
        (PastDue, End, Ended),
        (PastDue, TakenBack, Ended),
        (Ended, Paid, Active),
    ]
};

impl SubscriptionState {
    /// Returns the state after a transition; `None` if the transition is invalid.
    #[must_use]
    pub fn step(self, deed: SubscriptionTransition) -> Option<Self> {
        STEPS.iter().find(|(from, by, _)| (*from, *by) == (self, deed)).map(|(_, _, to)| *to)
    }
}

/// Length of billing periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    pub interval: PlanInterval,
    /// Day of the month on which periods end, or the last day of shorter months.
    pub anchor_day: u8,
}

impl Cycle {
    /// Cycle of a subscription that starts at `start` (UTC).
    #[must_use]
    pub fn starting_at(interval: PlanInterval, start: Timestamp) -> Self {
        let anchor_day = moment(start).map_or(1, OffsetDateTime::day);
        Self { interval, anchor_day }
    }

    /// End of the period that starts at `start`, at the same time of day. `None` if the date is outside of the
    /// calendar's range.
    #[must_use]
    pub fn period_end(self, start: Timestamp) -> Option<Timestamp> {
        let date = moment(start)?.date();
        let (year, month) = match self.interval {
            PlanInterval::Year => (date.year() + 1, date.month()),
            PlanInterval::Month if date.month() == Month::December => (date.year() + 1, Month::January),
            PlanInterval::Month => (date.year(), date.month().next()),
        };
        let day = self.anchor_day.clamp(1, month.length(year));
        let end = Date::from_calendar_date(year, month, day).ok()?;
        let days = i64::from(end.to_julian_day() - date.to_julian_day());
        Some(Timestamp(start.0 + days * 86_400_000))
    }
}

fn moment(at: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.seconds()).ok()
}

/// Facts that determine the next action on a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionSchedule {
    pub state: SubscriptionState,
    pub starts_at: Timestamp,
    pub period_end: Timestamp,
    /// End of the entitlement.
    pub ends_at: Timestamp,
    /// True if the payer was reminded of the end of the period.
    pub is_reminded: bool,
    /// True if the subscription can be charged without the payer being present.
    pub is_automatic: bool,
    /// Attempts to charge the next period: failed ones, and one in progress.
    pub attempts: u32,
    /// True if the outcome of the last attempt is unknown.
    pub is_charging: bool,
}

/// Due action on a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueAction {
    Remind,
    /// Charge the next period, or retry the charge.
    Charge,
    /// Fetch the outcome of the charge in progress.
    Ask,
    /// The period is over, and the next one must be paid manually.
    Lapse,
    End,
}

impl SubscriptionSchedule {
    /// Action that is due now; `None` if there is none.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<DueAction> {
        self.next().filter(|(at, _)| *at <= now).map(|(_, due)| due)
    }

    /// Returns the next action and the time at which it is due.
    #[must_use]
    pub fn next(&self) -> Option<(Timestamp, DueAction)> {
        let reminder = (!self.is_reminded).then(|| (self.remind_at(), DueAction::Remind));
        match self.state {
            SubscriptionState::Ended => None,
            SubscriptionState::Canceling => Some((self.period_end, DueAction::End)),
            // A reminder that would not come before the end is skipped.
            SubscriptionState::Trialing => {
                Some(reminder.filter(|(at, _)| *at < self.period_end).unwrap_or((self.period_end, DueAction::End)))
            }
            SubscriptionState::Active => {
                let end = (self.period_end, if self.is_automatic { DueAction::Charge } else { DueAction::Lapse });
                Some(reminder.filter(|(at, _)| *at < self.period_end).unwrap_or(end))
            }
            SubscriptionState::PastDue if self.is_charging => Some((self.period_end, DueAction::Ask)),
            SubscriptionState::PastDue => {
                let attempt = self.attempt_at().filter(|at| *at < self.ends_at).map(|at| (at, DueAction::Charge));
                Some(attempt.unwrap_or((self.ends_at, DueAction::End)))
            }
        }
    }

    /// Time of the next attempt to charge the next period.
    #[must_use]
    pub fn attempt_at(&self) -> Option<Timestamp> {
        let days = ATTEMPT_DAYS.get(usize::try_from(self.attempts).ok()?).filter(|_| self.is_automatic)?;
        Some(self.period_end.plus(DAY * *days))
    }

    /// Time of the reminder: a week before the end of the period, but three days before it for trials and for automatic
    /// renewals of periods of up to 60 days. In short periods it is not earlier than halfway.
    fn remind_at(&self) -> Timestamp {
        let length = self.period_end.0.saturating_sub(self.starts_at.0).max(0);
        let is_long = length > DAY.as_millis() as i64 * 60;
        let is_short_notice = self.state == SubscriptionState::Trialing || (self.is_automatic && !is_long);
        let notice = DAY.as_millis() as i64 * if is_short_notice { 3 } else { 7 };
        Timestamp(self.period_end.0 - notice.min(length / 2))
    }
}

/// Price and credits of one period, including seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanTerms {
    pub interval: PlanInterval,
    /// Price in the currency's smallest unit.
    pub amount: i64,
    pub seats: i64,
    /// Micro-credits per seat.
    pub credits: i64,
}

impl PlanTerms {
    const fn all_credits(self) -> i128 {
        self.credits as i128 * self.seats as i128
    }
}

/// Result of a change of plan or seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalculatedPrice {
    /// The change applies at once, after a payment.
    Upgrade {
        /// Value of the unused paid rest of the period.
        unused: i64,
        due: i64,
        /// Micro-credits that `due` pays for, per seat of the new number of seats.
        credits: i64,
        /// True if a new period begins, because the interval differs.
        is_new_period: bool,
    },
    /// The change applies with the next period.
    Downgrade,
}

/// Calculates the price of a change. The unused rest of the paid period is credited pro rata by the millisecond,
/// rounded to the smallest unit. If the billing interval stays the same, the payer pays the new price for the rest of
/// the period; if not, a period of the new plan begins. If nothing would be due, the change waits for the end of the
/// period. Credits follow the same rule: those of the rest of the old period are deducted even if they were spent,
/// because they were granted with it.
#[must_use]
pub fn change(old: PlanTerms, new: PlanTerms, start: Timestamp, end: Timestamp, now: Timestamp) -> CalculatedPrice {
    let (whole, rest) = (i128::from((end.0 - start.0).max(1)), i128::from((end.0 - now.0).max(0)));
    let part = |amount: i64| -> i64 {
        let scaled = (i128::from(amount) * rest * 2 + whole) / (whole * 2);
        i64::try_from(scaled).unwrap_or(i64::MAX)
    };
    let unused = part(old.amount);
    let is_new_period = old.interval != new.interval;
    let price = if is_new_period { new.amount } else { part(new.amount) };
    let due = price.saturating_sub(unused);
    if due <= 0 {
        return CalculatedPrice::Downgrade;
    }
    let more = if is_new_period {
        new.all_credits() - (old.all_credits() * rest + whole - 1) / whole
    } else {
        (new.all_credits() - old.all_credits()) * rest / whole
    };
    let credits = i64::try_from(more.max(0) / i128::from(new.seats.max(1))).unwrap_or(i64::MAX);
    CalculatedPrice::Upgrade { unused, due, credits, is_new_period }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn periods_end_on_the_anchor_day_or_last_day_of_month() {
        let start = at("2027-10-31T10:20:30Z");
        let cycle = Cycle::starting_at(PlanInterval::Month, start);
        let mut ends = Vec::new();
        let mut last = start;
        for _ in 0..5 {
            last = cycle.period_end(last).unwrap();
            ends.push(last.to_string());
        }
        let expected = ["2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"];
        assert_eq!(ends, expected.map(|day| format!("{day}T10:20:30.000Z")));
        let leap = at("2028-02-29T23:59:59Z");
        let cycle = Cycle::starting_at(PlanInterval::Year, leap);
        let next = cycle.period_end(leap).unwrap();
        assert_eq!(next.to_string(), "2029-02-28T23:59:59.000Z");
        assert_eq!(
            cycle.period_end(cycle.period_end(cycle.period_end(next).unwrap()).unwrap()).unwrap().to_string(),
            "2032-02-29T23:59:59.000Z"
        );
    }

    #[test]
    fn only_payment_or_resumption_leads_back() {
        for &(from, deed, to) in STEPS {
            assert_eq!(from.step(deed), Some(to));
            if from == SubscriptionState::Ended {
                assert_eq!(deed, SubscriptionTransition::Paid);
            }
        }
        for &state in <SubscriptionState as strum::VariantArray>::VARIANTS {
            assert_eq!(state.step(SubscriptionTransition::Paid), Some(SubscriptionState::Active), "{state}");
        }
        assert_eq!(SubscriptionState::Ended.step(SubscriptionTransition::Resume), None);
    }

    #[test]
    fn failed_charges_are_retried_on_days_1_3_5_then_it_ends() {
        let day = |number: i64| Timestamp(number * 86_400_000);
        let mut course = SubscriptionSchedule {
            state: SubscriptionState::Active,
            starts_at: day(0),
            period_end: day(30),
            ends_at: day(37),
            is_reminded: false,
            is_automatic: true,
            attempts: 0,
            is_charging: false,
        };
        assert_eq!(course.next(), Some((day(27), DueAction::Remind)));
        course.is_reminded = true;
        assert_eq!(course.next(), Some((day(30), DueAction::Charge)));
        course.state = SubscriptionState::PastDue;
        let mut days = Vec::new();
        while let Some((at, DueAction::Charge)) = course.next() {
            days.push(at.0 / 86_400_000);
            course.attempts += 1;
        }
        assert_eq!(days, [30, 31, 33, 35]);
        assert_eq!(course.next(), Some((day(37), DueAction::End)));
        course.is_charging = true;
        assert_eq!(course.due(day(40)), Some(DueAction::Ask), "the outcome of a charge is fetched before it ends");
        let by_link = SubscriptionSchedule {
            state: SubscriptionState::Active,
            is_automatic: false,
            is_reminded: false,
            ..course
        };
        assert_eq!(by_link.next(), Some((day(23), DueAction::Remind)));
        assert_eq!(SubscriptionSchedule { is_reminded: true, ..by_link }.next(), Some((day(30), DueAction::Lapse)));
    }

    #[test]
    fn change_costs_the_difference_for_the_rest_of_the_period() {
        let terms = |interval, amount, credits| PlanTerms { interval, amount, seats: 1, credits };
        let month = |amount, credits| terms(PlanInterval::Month, amount, credits);
        let (start, half, end) = (Timestamp(0), Timestamp(500), Timestamp(1_000));
        let upgrade =
            |unused, due, credits, is_new_period| CalculatedPrice::Upgrade { unused, due, credits, is_new_period };
        assert_eq!(change(month(2_400, 20), month(7_900, 80), start, end, half), upgrade(1_200, 2_750, 30, false));
        assert_eq!(change(month(7_900, 80), month(2_400, 20), start, end, half), CalculatedPrice::Downgrade);
        assert_eq!(change(month(2_400, 20), month(2_400, 20), start, end, half), CalculatedPrice::Downgrade);
        let year = terms(PlanInterval::Year, 24_000, 240);
        assert_eq!(change(month(2_400, 20), year, start, end, half), upgrade(1_200, 22_800, 230, true));
        assert_eq!(change(year, month(2_400, 20), start, end, half), CalculatedPrice::Downgrade);
        // Two periods are paid in advance, so the change comes before the last one starts.
        assert_eq!(change(month(10, 0), month(20, 0), start, end, Timestamp(-1_000)), upgrade(20, 20, 0, false));
        assert_eq!(
            change(month(3, 0), month(4, 0), start, end, Timestamp(999)),
            CalculatedPrice::Downgrade,
            "less than a cent"
        );
    }

    #[test]
    fn change_of_seats_pays_for_credits_of_added_seats() {
        let month = |seats, amount, credits| PlanTerms {
            interval: PlanInterval::Month,
            amount: amount * seats,
            seats,
            credits,
        };
        let credits = |old, new| match change(old, new, Timestamp(0), Timestamp(1_000), Timestamp(500)) {
            CalculatedPrice::Upgrade { credits, .. } => Some(credits * new.seats),
            CalculatedPrice::Downgrade => None,
        };
        assert_eq!(credits(month(5, 24, 60), month(6, 24, 60)), Some(30));
        assert_eq!(credits(month(5, 24, 60), month(5, 79, 240)), Some(450));
        assert_eq!(credits(month(5, 24, 60), month(2, 79, 240)), Some(90));
        assert_eq!(credits(month(5, 24, 60), month(3, 79, 60)), Some(0), "more money for fewer credits");
    }
}

//! Budget periods: start and reset times (UTC).

use appcore::{Timestamp, credits::MicroCredits, view::BudgetPeriod};
use dbcontext::entity::budget;
use time::{Date, OffsetDateTime};

/// Period of a budget; unknown values count as no period.
pub fn period_of(row: &budget::Model) -> BudgetPeriod {
    row.period.parse().unwrap_or(BudgetPeriod::None)
}

/// Resets the spent amount if a new period has begun.
pub fn roll_over(row: &mut budget::Model, now: Timestamp) {
    let start = start_of(period_of(row), now);
    if row.period_start < start {
        row.period_start = start;
        row.spent = MicroCredits::ZERO;
    }
}

/// Returns the start of the current period.
pub fn start_of(period: BudgetPeriod, now: Timestamp) -> Timestamp {
    let today = date(now);
    match period {
        BudgetPeriod::Day => midnight(today),
        BudgetPeriod::Week => {
            let days = i64::from(today.weekday().number_days_from_monday());
            midnight(today.saturating_sub(time::Duration::days(days)))
        }
        BudgetPeriod::Month => midnight(today.replace_day(1).unwrap_or(today)),
        BudgetPeriod::None => Timestamp(0),
    }
}

/// Start of the next period; `None` if the budget never resets.
pub fn resets_at(period: BudgetPeriod, now: Timestamp) -> Option<Timestamp> {
    let start = date(start_of(period, now));
    let next = match period {
        BudgetPeriod::Day => start.next_day()?,
        BudgetPeriod::Week => start.checked_add(time::Duration::days(7))?,
        BudgetPeriod::Month => {
            let last = start.replace_day(start.month().length(start.year())).ok()?;
            last.next_day()?
        }
        BudgetPeriod::None => return None,
    };
    Some(midnight(next))
}

fn date(moment: Timestamp) -> Date {
    OffsetDateTime::from_unix_timestamp(moment.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH).date()
}

fn midnight(date: Date) -> Timestamp {
    Timestamp(date.midnight().assume_utc().unix_timestamp().saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn follows_calendar_periods() {
        let now = at("2026-11-25T13:00:00Z");
        for (period, start, next) in [
            (BudgetPeriod::Day, "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
            (BudgetPeriod::Week, "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            (BudgetPeriod::Month, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ] {
            assert_eq!((start_of(period, now), resets_at(period, now)), (at(start), Some(at(next))), "{period}");
        }
        assert_eq!(resets_at(BudgetPeriod::None, now), None);
        let december = at("2026-12-31T23:59:59Z");
        assert_eq!(resets_at(BudgetPeriod::Month, december), Some(at("2027-01-01T00:00:00Z")));
    }
}

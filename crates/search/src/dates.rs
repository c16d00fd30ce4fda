//! Dates in search queries.

pub(crate) const DAY: i64 = 86_400_000;

/// Calendar days in the user's time zone, numbered from 1970-01-01.
pub trait Days {
    fn today(&self) -> i64;
    /// Returns the start of a day, in milliseconds since 1970-01-01 UTC.
    fn begins_at(&self, day: i64) -> i64;
}

/// Calendar days in UTC. The field is the current time.
pub(crate) struct Utc(pub(crate) i64);

impl Days for Utc {
    fn today(&self) -> i64 {
        self.0.div_euclid(DAY)
    }

    fn begins_at(&self, day: i64) -> i64 {
        day * DAY
    }
}

/// True for the first word of a period such as `last week`.
pub(crate) fn is_relative_start(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "last" | "this")
}

/// Returns the period of a date such as `2026-11-23`, `2026/11/23`, `23.11.2026`, `2026-11`, `2026`, `yesterday` or
/// `last week`: its start (inclusive) and end (exclusive). Weeks start on Monday.
pub(crate) fn span(value: &str, days: &dyn Days) -> Option<(i64, i64)> {
    let today = days.today();
    // 1970-01-01 was a Thursday.
    let monday = today - (today + 3).rem_euclid(7);
    let (first, next) = match value.to_ascii_lowercase().replace(['-', '_'], " ").as_str() {
        "today" => (today, today + 1),
        "yesterday" => (today - 1, today),
        "this week" => (monday, monday + 7),
        "last week" => (monday - 7, monday),
        _ => date_span(value)?,
    };
    Some((days.begins_at(first), days.begins_at(next)))
}

/// Returns the first day of a year, month or day, and the day after it. With slashes, the year is first, or the day is
/// greater than 12, because `3/4/2026` is read differently in different countries.
fn date_span(value: &str) -> Option<(i64, i64)> {
    let separator = ['-', '/', '.'].into_iter().find(|sign| value.contains(*sign)).unwrap_or('-');
    let mut numbers: Vec<i64> = value.split(separator).map(number).collect::<Option<_>>()?;
    let is_year = |place: usize| numbers.get(place).is_some_and(|number| *number >= 1_000);
    if numbers.len() > 1 && is_year(numbers.len() - 1) && !is_year(0) {
        numbers.reverse();
        if let [_, month, day] = &mut numbers[..]
            && separator == '/'
        {
            match (*month > 12, *day > 12) {
                (true, false) => std::mem::swap(month, day),
                (false, true) => {}
                _ => return None,
            }
        }
    }
    match *numbers.as_slice() {
        [year] => Some((day(year, 1, 1)?, day(year + 1, 1, 1)?)),
        [year, 12] => Some((day(year, 12, 1)?, day(year + 1, 1, 1)?)),
        [year, month] => Some((day(year, month, 1)?, day(year, month + 1, 1)?)),
        [year, month, date] => Some((day(year, month, date)?, day(year, month, date)? + 1)),
        _ => None,
    }
}

fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

/// Returns the number of days since 1970-01-01 (Hinnant, "chrono-compatible low-level date
/// algorithms").
pub(crate) fn day(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_days_like_the_calendar() {
        assert_eq!(day(1970, 1, 1), Some(0));
        assert_eq!(day(2000, 3, 1), Some(11_017));
        assert_eq!(day(2026, 11, 23), Some(20_780));
        assert_eq!((day(2026, 2, 29), day(2024, 2, 29)), (None, Some(19_782)));
    }
}

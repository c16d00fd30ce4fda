//! Bounds of partitions: starts of months, quarters and years in UTC.

use appcore::Timestamp;

const DAY_MILLIS: i64 = 86_400_000;
/// Number of partitions up to which new ones cover a month.
const MAX_MONTHS: usize = 12;
/// Number of partitions up to which new ones cover a quarter; later ones cover a year.
const MAX_QUARTERS: usize = 18;

/// Months since January of the year 0 that have ended at this time.
pub(super) fn month_of(time: Timestamp) -> i64 {
    // Converts days to a date as in https://howardhinnant.github.io/date_algorithms.html, with
    // years that start in March.
    let days = time.millis().div_euclid(DAY_MILLIS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    (era * 400 + year_of_era) * 12 + month_from_march + 2
}

/// Start of the month that follows `months` months after January of the year 0.
pub(super) fn start_of(months: i64) -> Timestamp {
    let (year, month_from_march) = ((months - 2).div_euclid(12), (months - 2).rem_euclid(12));
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Timestamp((era * 146_097 + day_of_era - 719_468) * DAY_MILLIS)
}

/// End of the partition that starts at `from`, if there are `count` partitions already. The more
/// there are, the longer the time that a new one covers, so that a table whose partitions are never
/// dropped has 24 of them after eight years.
pub(super) fn next_bound(from: Timestamp, count: usize) -> Timestamp {
    let months = match count {
        ..MAX_MONTHS => 1,
        MAX_MONTHS..MAX_QUARTERS => 3,
        _ => 12,
    };
    start_of((month_of(from).div_euclid(months) + 1) * months)
}

/// Suffix of the name of a partition that starts at `from`, such as `2027_02`.
pub(super) fn suffix(from: Timestamp) -> String {
    let month = month_of(from);
    format!("{}_{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn months_start_at_midnight_in_utc() {
        for (within, start, name) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970_01"),
            ("1969-12-31T23:59:59.999Z", "1969-12-01T00:00:00Z", "1969_12"),
            ("2024-02-29T12:00:00Z", "2024-02-01T00:00:00Z", "2024_02"),
            ("2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2026_12"),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027_01"),
            ("2100-03-01T00:00:00Z", "2100-03-01T00:00:00Z", "2100_03"),
        ] {
            let month = month_of(time(within));
            assert_eq!(start_of(month), time(start), "{within}");
            assert_eq!(suffix(time(within)), name);
        }
        for month in 12 * 1_900..12 * 2_400 {
            assert_eq!(month_of(start_of(month)), month);
            assert_eq!(month_of(Timestamp(start_of(month + 1).millis() - 1)), month);
        }
    }

    #[test]
    fn later_partitions_cover_more_time() {
        let from = time("2027-02-01T00:00:00Z");
        assert_eq!(next_bound(from, 0), time("2027-03-01T00:00:00Z"));
        assert_eq!(next_bound(from, MAX_MONTHS - 1), time("2027-03-01T00:00:00Z"));
        assert_eq!(next_bound(from, MAX_MONTHS), time("2027-04-01T00:00:00Z"));
        assert_eq!(next_bound(from, MAX_QUARTERS), time("2028-01-01T00:00:00Z"));
        let (mut end, mut count) = (from, 1);
        while end < time("2035-01-01T00:00:00Z") {
            end = next_bound(end, count);
            count += 1;
        }
        assert_eq!(count, 24);
    }
}

//! Time zones by IANA name; the time zone database is embedded in the program.

use appcore::Timestamp;
use jiff::{
    civil::{Date, date},
    tz::TimeZone,
};

const EPOCH: Date = date(1970, 1, 1);
const DAY: i64 = 86_400_000;
/// Maximum length of a time zone name.
const MAX_NAME: usize = 64;

/// Error message for unknown time zones.
pub const INVALID_TIME_ZONE: &str = "Choose a time zone such as Europe/Berlin.";

/// Time zone with this name, if it is known.
pub fn find(name: &str) -> Option<TimeZone> {
    if name.len() > MAX_NAME {
        return None;
    }
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

/// Day of a timestamp in this time zone, in days since 1970-01-01.
pub fn day_of(zone: &TimeZone, moment: Timestamp) -> i64 {
    match jiff::Timestamp::from_millisecond(moment.0) {
        Ok(at) => zone.to_datetime(at).date().duration_since(EPOCH).as_hours() / 24,
        Err(_) => moment.0.div_euclid(DAY),
    }
}

/// First moment of a day in this time zone. This is later than midnight on a day when clocks are
/// set forward at midnight.
pub fn start_of_day(zone: &TimeZone, day: i64) -> Timestamp {
    let utc = Timestamp(day.saturating_mul(DAY));
    let Ok(at) = jiff::Timestamp::from_millisecond(utc.0) else { return utc };
    let begun = TimeZone::UTC.to_datetime(at).date().to_zoned(zone.clone());
    begun.map_or(utc, |begun| Timestamp(begun.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_start_in_the_given_time_zone() {
        let at = |moment: &str| Timestamp::parse(moment).unwrap();
        for (zone, moment, begins) in [
            ("UTC", "2026-11-23T23:59:59.999Z", "2026-11-23T00:00:00.000Z"),
            ("Asia/Ho_Chi_Minh", "2026-11-23T18:30:00.000Z", "2026-11-23T17:00:00.000Z"),
            ("America/New_York", "2026-11-24T04:59:00.000Z", "2026-11-23T05:00:00.000Z"),
            // On the day on which daylight saving time starts, Cairo has no midnight and Berlin has
            // 23 hours.
            ("Africa/Cairo", "2026-04-24T10:00:00.000Z", "2026-04-23T22:00:00.000Z"),
            ("Europe/Berlin", "2026-03-29T21:59:00.000Z", "2026-03-28T23:00:00.000Z"),
            ("Europe/Berlin", "2026-03-29T22:00:00.000Z", "2026-03-29T22:00:00.000Z"),
            ("Pacific/Kiritimati", "1969-12-31T09:00:00.000Z", "1969-12-30T10:40:00.000Z"),
        ] {
            let found = find(zone).unwrap();
            assert_eq!(start_of_day(&found, day_of(&found, at(moment))), at(begins), "{zone} {moment}");
        }
        assert_eq!(start_of_day(&TimeZone::UTC, i64::MAX), Timestamp(i64::MAX));
    }
}

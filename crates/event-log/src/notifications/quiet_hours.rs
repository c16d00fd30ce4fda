//! Quiet hours in the user's time zone, and temporary do-not-disturb.

use appcore::{AppError, Timestamp, UserId, view::QuietHours};
use dbcontext::query::notifier;
use jiff::civil::Time;
use platform::time_zone;

use crate::EventLogService;

/// True if the user must not be disturbed at `now`.
pub(super) async fn is_silenced(service: &EventLogService, user: UserId, now: Timestamp) -> Result<bool, AppError> {
    let Some(said) = notifier::do_not_disturb(service.db.reader(), user).await? else { return Ok(false) };
    is_silenced_by(said.quiet.as_deref(), said.dnd_until, now)
}

/// Evaluates stored quiet hours and do-not-disturb at `now`.
pub(super) fn is_silenced_by(
    quiet: Option<&str>,
    dnd_until: Option<Timestamp>,
    now: Timestamp,
) -> Result<bool, AppError> {
    if dnd_until.is_some_and(|until| until > now) {
        return Ok(true);
    }
    let Some(quiet) = quiet else { return Ok(false) };
    let quiet: QuietHours = serde_json::from_str(quiet).map_err(AppError::internal)?;
    Ok(covers(&quiet, now))
}

/// True if the quiet hours cover the moment. Invalid times or time zones never match.
fn covers(quiet: &QuietHours, now: Timestamp) -> bool {
    let zone = time_zone::find(&quiet.timezone);
    let (Some(zone), Ok(moment)) = (zone, jiff::Timestamp::from_millisecond(now.0)) else { return false };
    let (Some(from), Some(to)) = (parse_time(&quiet.from), parse_time(&quiet.to)) else { return false };
    let local = moment.to_zoned(zone);
    let (parse_time, today) = (local.time(), local.weekday());
    let begins_on = |day: jiff::civil::Weekday| {
        quiet.days.iter().any(|number| i64::from(*number) == i64::from(day.to_monday_one_offset()))
    };
    if from < to {
        begins_on(today) && parse_time >= from && parse_time < to
    } else {
        (begins_on(today) && parse_time >= from) || (begins_on(today.previous()) && parse_time < to)
    }
}

fn parse_time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok()
}

/// Validates and normalises quiet hours.
pub(super) fn validate(mut quiet: QuietHours) -> Result<QuietHours, AppError> {
    let refused = |message: &str| AppError::field("quiet", "invalid", message.to_owned());
    let (Some(from), Some(to)) = (parse_time(&quiet.from), parse_time(&quiet.to)) else {
        return Err(refused("Enter times such as 22:00."));
    };
    if from == to {
        return Err(refused("Choose two different times."));
    }
    quiet.days.sort_unstable();
    quiet.days.dedup();
    if quiet.days.is_empty() || quiet.days.iter().any(|day| !(1..=7).contains(day)) {
        return Err(refused("Choose at least one day, from 1 for Monday to 7 for Sunday."));
    }
    if time_zone::find(&quiet.timezone).is_none() {
        return Err(refused(time_zone::INVALID_TIME_ZONE));
    }
    Ok(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, to: &str, days: &[u8], timezone: &str) -> QuietHours {
        QuietHours { from: from.to_owned(), to: to.to_owned(), days: days.to_vec(), timezone: timezone.to_owned() }
    }

    fn at(moment: &str) -> Timestamp {
        Timestamp::parse(moment).unwrap()
    }

    #[test]
    fn applies_quiet_hours_in_the_users_time_zone() {
        // A Wednesday. Berlin is one hour ahead of UTC, Ho Chi Minh City seven hours.
        let night = hours("22:00", "07:00", &[3], "Europe/Berlin");
        assert!(!covers(&night, at("2026-11-25T20:59:00Z")));
        assert!(covers(&night, at("2026-11-25T21:00:00Z")));
        assert!(covers(&night, at("2026-11-26T05:59:00Z")), "Thursday, in the night that began on Wednesday");
        assert!(!covers(&night, at("2026-11-26T06:00:00Z")));
        assert!(!covers(&night, at("2026-11-26T21:00:00Z")), "no quiet hours begin on Thursday");
        let noon = hours("12:00", "13:30", &[1, 2, 3, 4, 5], "Asia/Ho_Chi_Minh");
        assert!(covers(&noon, at("2026-11-25T06:29:00Z")));
        assert!(!covers(&noon, at("2026-11-25T06:30:00Z")));
        assert!(!covers(&noon, at("2026-11-28T05:30:00Z")), "a Saturday");
    }

    #[test]
    fn quiet_hours_follow_daylight_saving() {
        let night = hours("22:00", "07:00", &[1, 2, 3, 4, 5, 6, 7], "Europe/Berlin");
        assert!(!covers(&night, at("2026-07-01T05:30:00Z")), "half past seven in summer");
        assert!(covers(&night, at("2026-12-01T05:30:00Z")), "half past six in winter");
    }

    #[test]
    fn rejects_invalid_quiet_hours() {
        for (from, to, days, zone) in [
            ("25:00", "07:00", &[1][..], "UTC"),
            ("7:00", "08:00", &[1], "UTC"),
            ("07:00", "07:00", &[1], "UTC"),
            ("07:00", "08:00", &[], "UTC"),
            ("07:00", "08:00", &[0], "UTC"),
            ("07:00", "08:00", &[8], "UTC"),
            ("07:00", "08:00", &[1], "Mars/Olympus"),
        ] {
            assert!(validate(hours(from, to, days, zone)).is_err(), "{from} {to} {days:?} {zone}");
        }
        assert_eq!(validate(hours("22:00", "07:00", &[7, 1, 7], "UTC")).unwrap().days, [1, 7]);
    }
}

//! Time zones by their names in the IANA database, which is part of the program.

use jiff::tz::TimeZone;

/// The longest name of a time zone.
const MAX_NAME: usize = 64;

/// What somebody is told whose time zone is not known.
pub(crate) const REFUSED: &str = "Choose a time zone such as Europe/Berlin.";

/// The time zone of this name.
pub(crate) fn find(name: &str) -> Option<TimeZone> {
    if name.len() > MAX_NAME {
        return None;
    }
    TimeZone::get(name).ok().filter(|zone| !zone.is_unknown())
}

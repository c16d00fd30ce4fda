//! Fractional indexing: positions are strings, and there is always room for another one between two
//! of them, so that a move writes only one row.
//!
//! Positions are ordered bytewise. Clients may generate them with any library, as long as they
//! consist of digits and letters. (The crate `fractional_index` isn't used because it accepts only
//! its own hexadecimal keys.)

use appcore::AppError;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Maximum length of a position, in characters.
const MAX_LENGTH: usize = 1_000;
/// Number of leading digits that are treated as a counter. A position at either end of a list
/// increments or decrements it, so such positions stay short.
const COUNTED_DIGITS: usize = 4;
const FIRST: &str = "V000";
/// Suffix that makes a position just after another one, if there is no room before the next.
const AFTER_SUFFIX: &[u8] = b"V";

/// Validates a position sent by a client.
pub(super) fn parse(text: &str) -> Result<String, AppError> {
    if text.len() > MAX_LENGTH {
        return Err(AppError::field("position", "too_long", format!("Use {MAX_LENGTH} characters or fewer.")));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(AppError::field(
            "position",
            "invalid",
            "A position consists of digits and letters (0–9, A–Z, a–z).",
        ));
    }
    Ok(text.to_owned())
}

/// Position after `after` and before `before`; `None` is an open end. If no string lies between
/// them, the result is just after `after`.
pub(super) fn between(after: Option<&str>, before: Option<&str>) -> String {
    match (after.filter(|after| !after.is_empty()), before) {
        (None, None) => FIRST.to_owned(),
        (Some(after), None) => step(after, 1).unwrap_or_else(|| midpoint(after.as_bytes(), None)),
        (None, Some(before)) => step(before, -1).unwrap_or_else(|| midpoint(b"", Some(before.as_bytes()))),
        (Some(after), Some(before)) => midpoint(after.as_bytes(), Some(before.as_bytes())),
    }
}

/// Adds `by` to the leading digits, read as a number. Returns `None` on overflow.
fn step(from: &str, by: i64) -> Option<String> {
    let base = DIGITS.len() as i64;
    let digits = from.bytes().chain(std::iter::repeat(DIGITS[0])).take(COUNTED_DIGITS);
    let mut number = digits.fold(0, |number, digit| number * base + value(digit)) + by;
    if number <= 0 || number >= base.pow(COUNTED_DIGITS as u32) {
        return None;
    }
    let mut text = [DIGITS[0]; COUNTED_DIGITS];
    for place in text.iter_mut().rev() {
        *place = digit(number % base);
        number /= base;
    }
    // The length is fixed, so that a position made by appending a letter sorts before the next
    // step.
    Some(text.into_iter().map(char::from).collect())
}

fn midpoint(after: &[u8], before: Option<&[u8]>) -> String {
    let mut text = Vec::new();
    // Trailing zeros don't affect the order.
    let (mut after, mut before) = (after, before.map(without_zeros));
    loop {
        let low = after.first().copied().unwrap_or(DIGITS[0]);
        let high = match before {
            None => DIGITS.len() as i64,
            Some([]) => break,
            Some([first, ..]) => value(*first),
        };
        if high - value(low) > 1 {
            text.push(digit((high + value(low)) / 2));
            return text_of(&text);
        }
        match before {
            // The digits are equal, so the next ones decide.
            Some(rest) if high == value(low) => {
                text.push(low);
                before = Some(&rest[1..]);
            }
            Some([first, _, ..]) if high > value(low) => {
                // The prefix itself sorts before it.
                text.push(*first);
                return text_of(&text);
            }
            Some(_) if high < value(low) => break,
            _ => {
                text.push(low);
                before = None;
            }
        }
        after = after.get(1..).unwrap_or_default();
    }
    // The bounds are in the wrong order, or differ only in trailing zeros.
    text.extend_from_slice(after);
    text.extend_from_slice(AFTER_SUFFIX);
    text_of(&text)
}

fn value(digit: u8) -> i64 {
    DIGITS.iter().position(|other| *other == digit).and_then(|place| i64::try_from(place).ok()).unwrap_or(0)
}

fn digit(value: i64) -> u8 {
    usize::try_from(value).ok().and_then(|place| DIGITS.get(place)).copied().unwrap_or(DIGITS[0])
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let end = digits.iter().rposition(|digit| *digit != DIGITS[0]).map_or(0, |last| last + 1);
    &digits[..end]
}

fn text_of(digits: &[u8]) -> String {
    without_zeros(digits).iter().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_between(after: Option<&str>, before: Option<&str>) -> String {
        let found = between(after, before);
        assert!(parse(&found).is_ok(), "{found:?}");
        assert!(after.is_none_or(|after| after < found.as_str()), "{after:?} < {found:?}");
        assert!(before.is_none_or(|before| found.as_str() < before), "{found:?} < {before:?}");
        found
    }

    #[test]
    fn between_finds_room_between_any_two() {
        let pairs = [
            ("a0", "a1"),
            ("Zz", "a0"),
            ("a", "b"),
            ("V", "V0V"),
            ("a0V", "a1"),
            ("zz", "zzz"),
            ("1", "11"),
            ("A", "Az1"),
        ];
        for (after, before) in pairs {
            assert_between(Some(after), Some(before));
        }
        let (mut low, mut high) = ("V".to_owned(), "W".to_owned());
        for round in 0..2_000 {
            let found = assert_between(Some(&low), Some(&high));
            if round % 3 == 0 { low = found } else { high = found }
        }
        assert!(low.len() < MAX_LENGTH && high.len() < MAX_LENGTH);
    }

    #[test]
    fn positions_at_the_ends_stay_short() {
        let (mut first, mut last) = (between(None, None), between(None, None));
        for _ in 0..20_000 {
            first = assert_between(None, Some(&first));
            last = assert_between(Some(&last), None);
        }
        assert!(first.len() <= COUNTED_DIGITS && last.len() <= COUNTED_DIGITS, "{first} {last}");
        assert_between(Some("zzzz"), None);
        assert_between(Some("zzzzz"), None);
        assert_between(None, Some("0001"));
    }

    #[test]
    fn between_terminates_on_equal_or_reversed_bounds() {
        for (after, before) in [("a", "a"), ("a", "a0"), ("b", "a"), ("zz", "a")] {
            assert!(between(Some(after), Some(before)).as_str() > after, "{after} {before}");
        }
        for wrong in ["", "a b", "é", "a/"] {
            assert!(parse(wrong).is_err());
        }
    }
}

//! Places in an order, as strings: between two of them there is always another one, so that a move writes one row.
//!
//! They are ordered by their bytes. Ours are of digits and letters; clients may make their own by whatever library they have, as long as they
//! are of these characters. (`fractional_index` takes only its own hexadecimal keys.)

use appcore::AppError;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The longest that is taken.
const MAX_LENGTH: usize = 1_000;
/// What is put at an end counts by the first digits, so that positions stay short however many are put there.
const COUNTED: usize = 4;
const FIRST: &str = "V000";
/// What is put behind a position where nothing lies between two.
const BEHIND: &[u8] = b"V";

/// A position that somebody sent.
pub(super) fn parse(text: &str) -> Result<String, AppError> {
    if text.len() > MAX_LENGTH {
        return Err(AppError::field("position", "too_long", format!("Use {MAX_LENGTH} characters or fewer.")));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(AppError::field("position", "invalid", "A position is of digits and letters (0–9, A–Z, a–z)."));
    }
    Ok(text.to_owned())
}

/// A position between two: after `after`, which may be nothing, and before `before`, which may be open. Where no string lies between them it is
/// one after `after`.
pub(super) fn between(after: Option<&str>, before: Option<&str>) -> String {
    match (after.filter(|after| !after.is_empty()), before) {
        (None, None) => FIRST.to_owned(),
        (Some(after), None) => step(after, 1).unwrap_or_else(|| middle(after.as_bytes(), None)),
        (None, Some(before)) => step(before, -1).unwrap_or_else(|| middle(b"", Some(before.as_bytes()))),
        (Some(after), Some(before)) => middle(after.as_bytes(), Some(before.as_bytes())),
    }
}

/// One more or one less in the first digits. None: they go no further.
fn step(from: &str, by: i64) -> Option<String> {
    let base = DIGITS.len() as i64;
    let digits = from.bytes().chain(std::iter::repeat(DIGITS[0])).take(COUNTED);
    let mut number = digits.fold(0, |number, digit| number * base + value(digit)) + by;
    if number <= 0 || number >= base.pow(COUNTED as u32) {
        return None;
    }
    let mut text = [DIGITS[0]; COUNTED];
    for place in text.iter_mut().rev() {
        *place = digit(number % base);
        number /= base;
    }
    // All of the same length, so that whoever puts a letter behind one is before the next.
    Some(text.into_iter().map(char::from).collect())
}

fn middle(after: &[u8], before: Option<&[u8]>) -> String {
    let mut text = Vec::new();
    // Zeros at its end make it no other place.
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
            // The same digit: further on.
            Some(rest) if high == value(low) => {
                text.push(low);
                before = Some(&rest[1..]);
            }
            Some([first, _, ..]) if high > value(low) => {
                // A shorter one lies before it.
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
    // They are in the wrong order, or differ by nothing but zeros.
    text.extend_from_slice(after);
    text.extend_from_slice(BEHIND);
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
    fn there_is_always_one_between() {
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
    fn thousands_at_either_end_stay_short() {
        let (mut first, mut last) = (between(None, None), between(None, None));
        for _ in 0..20_000 {
            first = assert_between(None, Some(&first));
            last = assert_between(Some(&last), None);
        }
        assert!(first.len() <= COUNTED && last.len() <= COUNTED, "{first} {last}");
        assert_between(Some("zzzz"), None);
        assert_between(Some("zzzzz"), None);
        assert_between(None, Some("0001"));
    }

    #[test]
    fn what_lies_side_by_side_or_the_wrong_way_round_ends() {
        for (after, before) in [("a", "a"), ("a", "a0"), ("b", "a"), ("zz", "a")] {
            assert!(between(Some(after), Some(before)).as_str() > after, "{after} {before}");
        }
        for wrong in ["", "a b", "é", "a/"] {
            assert!(parse(wrong).is_err());
        }
    }
}

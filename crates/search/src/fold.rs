//! Folding of letters: removes case, diacritics, width and compatibility forms. Used for searching
//! words, and for finding, sorting and comparing names.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::token::is_unspaced;

/// Folds a text for searching. Drops non-ASCII characters that are neither letters nor digits.
#[must_use]
pub fn fold_text(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        fold_letter(letter, &mut folded);
    }
    folded
}

/// Folds a name or title. Keeps other characters as well, except invisible ones, because a name may
/// consist of an emoji.
#[must_use]
pub fn fold_name(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfkc() {
        if letter.is_whitespace() {
            if !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else if letter.is_ascii() {
            folded.push(letter.to_ascii_lowercase());
        } else if is_unspaced(letter) {
            folded.push(letter);
        } else {
            let small = std::iter::once(letter).nfd().flat_map(char::to_lowercase);
            small.for_each(|part| fold_sign(part, &mut folded));
        }
    }
    folded.trim().nfc().collect()
}

fn fold_letter(letter: char, into: &mut String) {
    if letter.is_ascii() {
        into.push(letter.to_ascii_lowercase());
    } else if is_unspaced(letter) {
        into.push(letter);
    } else {
        let small = std::iter::once(letter).nfkd().flat_map(char::to_lowercase);
        small.for_each(|part| fold_part(part, into));
    }
}

/// Folds a lower-case letter or a combining mark. Drops the other characters into which
/// compatibility forms are decomposed, such as those of `⑴` and `ﹸ`.
fn fold_part(part: char, into: &mut String) {
    match ascii_substitute(part) {
        Some(ascii_substitute) => into.push_str(ascii_substitute),
        None if is_accent(part) => {}
        // Combining marks that are not diacritics, such as the vowel signs of Indian scripts, are
        // part of the word.
        None if is_combining_mark(part) || part.is_alphanumeric() => into.push(part),
        None => {}
    }
}

/// Like [`fold_part`], but for names. Keeps characters that are not letters, and unifies those that
/// different keyboards write differently.
fn fold_sign(part: char, into: &mut String) {
    match part {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' => into.push('\''),
        '\u{201c}' | '\u{201d}' | '\u{2033}' => into.push('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => into.push('-'),
        _ if is_accent(part) || is_invisible(part) => {}
        _ => match ascii_substitute(part) {
            Some(ascii_substitute) => into.push_str(ascii_substitute),
            None => into.push(part),
        },
    }
}

/// Returns the ASCII substitute for a letter that many keyboards don't have.
const fn ascii_substitute(letter: char) -> Option<&'static str> {
    Some(match letter {
        'đ' | 'ð' => "d",
        'ß' => "ss",
        'ø' => "o",
        'ł' => "l",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

fn is_accent(mark: char) -> bool {
    matches!(u32::from(mark),
        0x0300..=0x036F | 0x0483..=0x0489 | 0x0591..=0x05C7 | 0x0610..=0x061A | 0x064B..=0x065F | 0x0670
        | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE00..=0xFE2F
    )
}

/// True for joiners, directional marks and other invisible characters, except those that
/// distinguish flags.
fn is_invisible(sign: char) -> bool {
    matches!(u32::from(sign),
        0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xE0100..=0xE01EF
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The frontend's test uses the same cases. Each line is a folded name followed by its
    /// spellings.
    #[test]
    fn folds_equal_names_equally() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend/src/lib/util/folded.txt");
        let cases = std::fs::read_to_string(file).unwrap();
        assert!(cases.lines().count() > 10);
        for line in cases.lines() {
            let names: Vec<&str> = line.split(" = ").collect();
            let (folded, names) = names.split_first().unwrap();
            assert!(!names.is_empty(), "{line}");
            for name in names {
                assert_eq!(&fold_name(name), folded, "{name}");
            }
            assert_eq!(&fold_name(folded), folded, "{line}");
        }
    }

    #[test]
    fn folds_forms_of_letters_equally() {
        assert_eq!(fold_name("Trần"), fold_name("Tra\u{302}\u{300}n"));
        assert_eq!(fold_name("한국"), fold_name("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"));
        assert_eq!(fold_name("がぎ"), fold_name("か\u{3099}き\u{3099}"));
        assert_eq!(fold_name("ガ"), fold_name("\u{ff76}\u{ff9e}"));
        assert_eq!(fold_name("\u{958}"), fold_name("\u{915}\u{93c}"));
        assert_eq!(fold_name(" Anna\u{a0}\u{3000} Maria\u{200f} "), "anna maria");
        assert_ne!(fold_name("か"), fold_name("が"));
        assert_ne!(fold_name("🎉"), fold_name("🚀"));
        assert!(!fold_name("🎉").is_empty());
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(text in "[a-zA-ZÀ-ỹĐđŁŒßẞİıΑ-ωА-яא-תا-ي一-十か-ゴ가-힣ก-๙Ａ-ｚ0-9’“–_ .,🎉\u{301}\u{303}\u{323}\u{200d}]{0,30}") {
            prop_assert_eq!(fold_name(&fold_name(&text)), fold_name(&text));
            prop_assert_eq!(fold_name(&text.nfd().collect::<String>()), fold_name(&text));
            prop_assert_eq!(fold_name(&text.nfc().collect::<String>()), fold_name(&text));
        }
    }
}

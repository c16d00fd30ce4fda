//! Parsers for names, titles and other single-line texts.
//!
//! Every character of such a text must be visible. Invisible characters and direction overrides
//! make one name look like another, and stacks of combining marks overlap the neighbouring lines.

use std::{collections::HashSet, sync::LazyLock};

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{BidiClass, DefaultIgnorableCodePoint, Emoji, GeneralCategory, Script},
};
use url::Host;

use crate::error::AppError;

/// Maximum number of combining marks on one character. Decomposed Vietnamese has two, while Tibetan
/// and pointed Hebrew have up to four.
const MAX_MARKS: usize = 4;
/// Minimum number of digits that phones recognise as a phone number.
const MIN_PHONE_DIGITS: usize = 7;

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// Marks that set the direction of neutral characters next to them.
const DIRECTION_MARKS: [char; 3] = ['\u{200e}', '\u{200f}', '\u{61c}'];
const BLACK_FLAG: char = '\u{1f3f4}';
const END_OF_FLAG: char = '\u{e007f}';
const KEYCAP: char = '\u{20e3}';
/// Symbol that looks like a space.
const BLANK_BRAILLE: char = '\u{2800}';

/// Top-level domains, by which host names are told from abbreviations.
static TOP_LEVEL_DOMAINS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("top_level_domains.txt").lines().filter(|line| !line.starts_with('#')).collect());

/// Parses a short text such as a title. It is trimmed, must have 1 to `max_chars` characters, and
/// must not contain invisible characters.
pub fn parse_line(field: &'static str, text: &str, max_chars: usize) -> Result<String, AppError> {
    // Right-to-left editors leave direction marks at the ends of a text, where they have no effect.
    let text = text.trim_matches(|character: char| character.is_whitespace() || DIRECTION_MARKS.contains(&character));
    if text.is_empty() {
        return Err(AppError::field(field, "required", "This can't be empty."));
    }
    if text.chars().count() > max_chars {
        return Err(AppError::field(field, "too_long", format!("Use {max_chars} characters or fewer.")));
    }
    if text.chars().any(char::is_control) {
        return Err(AppError::field(field, "invalid", "Control characters are not allowed here."));
    }
    if has_invisible_characters(text) {
        return Err(AppError::field(field, "invalid", "Remove invisible characters."));
    }
    if has_stacked_marks(text) {
        return Err(AppError::field(field, "invalid", "Use fewer accents on one character."));
    }
    Ok(text.to_owned())
}

/// Maximum length of a search text, in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// Validates the search text in the query parameter `q` of a list.
pub fn validate_search_text(text: &str) -> Result<(), AppError> {
    if text.chars().count() > MAX_SEARCH_CHARS || text.contains('\0') {
        return Err(AppError::field("q", "invalid", format!("Use {MAX_SEARCH_CHARS} characters or fewer.")));
    }
    Ok(())
}

/// Parses the name of a user, which must not contain web addresses, e-mail addresses or phone
/// numbers.
pub fn parse_name(field: &'static str, text: &str, max_chars: usize) -> Result<String, AppError> {
    let name = parse_line(field, text, max_chars)?;
    if has_address(&name, LinkReader::Human) || has_phone_number(&name) {
        let message = "Names can't contain web addresses, email addresses or phone numbers.";
        return Err(AppError::field(field, "invalid", message));
    }
    Ok(name)
}

/// Parses the name of a workspace. Unlike the name of a user, it may contain numbers of any length.
pub fn parse_workspace_name(field: &'static str, text: &str, max_chars: usize) -> Result<String, AppError> {
    let name = parse_line(field, text, max_chars)?;
    if has_address(&name, LinkReader::Human) {
        return Err(AppError::field(field, "invalid", "Names can't contain web addresses or email addresses."));
    }
    Ok(name)
}

/// Reader who might take a word with a dot for a link.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkReader {
    /// Person, who recognises abbreviations by a capital letter or a dot at the end: `Dr.med.`,
    /// `Co.Ltd`.
    Human,
    MailProgram,
}

/// True if mail programs turn a part of the text into a link.
#[must_use]
pub fn is_auto_linked(text: &str) -> bool {
    has_address(text, LinkReader::MailProgram) || has_phone_number(text)
}

fn has_address(text: &str, reading: LinkReader) -> bool {
    // Browsers treat these characters as dots.
    let text = text.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let small = text.to_lowercase();
    let is_around = |character: char| character.is_alphanumeric();
    small.contains("://")
        || small.contains("www.")
        || small.split('@').collect::<Vec<_>>().windows(2).any(|sides| match sides {
            [name, host] => name.ends_with(is_around) && host.starts_with(is_around),
            _ => false,
        })
        || has_host(&text, reading)
}

fn has_host(text: &str, reading: LinkReader) -> bool {
    let is_outside = |character: char| !character.is_alphanumeric() && !matches!(character, '.' | '-');
    text.split_inclusive(is_outside).any(|part| {
        let word = part.trim_end_matches(is_outside);
        let host = word.trim_matches(['.', '-']);
        let is_short = reading == LinkReader::Human && (word.ends_with('.') || host.contains(char::is_uppercase));
        let has_path = part.ends_with('/');
        host.contains('.')
            && !is_short
            && match Host::parse(host) {
                Ok(Host::Domain(host)) => {
                    has_path || host.rsplit('.').next().is_some_and(|end| TOP_LEVEL_DOMAINS.contains(end))
                }
                _ => has_path,
            }
    })
}

/// True if the text contains a phone number, which is recognised by its first character and its
/// number of digits.
fn has_phone_number(text: &str) -> bool {
    let is_part = |character: char| character.is_numeric() || " ()-./+".contains(character);
    text.split(|character| !is_part(character)).any(|run| {
        let begins = run.trim_start_matches(|character: char| !character.is_numeric() && character != '+');
        begins.starts_with(['+', '0'])
            && run.chars().filter(|character| character.is_numeric()).count() >= MIN_PHONE_DIGITS
    })
}

/// True if the text has no visible characters. Characters of newer Unicode versions count as
/// visible.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || is_blank_or_ignorable(character))
}

/// True if the text has characters that are invisible or only affect their neighbours.
fn has_invisible_characters(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: Option<usize>| index.and_then(|index| characters.get(index)).copied();
    characters.iter().enumerate().any(|(index, character)| {
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        is_invisible(*character)
            && !is_required_by_neighbours(*character, before, after)
            && !is_flag_tag(&characters, index)
    })
}

/// True if the character is part of a flag such as England's: such a flag consists of a black flag,
/// tag letters and an end tag.
fn is_flag_tag(characters: &[char], index: usize) -> bool {
    let (before, after) = characters.split_at(index);
    let letters_before = before.iter().rev().take_while(|letter| is_flag_letter(**letter)).count();
    let letters_after = after.iter().take_while(|letter| is_flag_letter(**letter)).count();
    let flag = before.iter().rev().nth(letters_before);
    let end = after.get(letters_after);
    flag == Some(&BLACK_FLAG) && end == Some(&END_OF_FLAG) && (3..=6).contains(&(letters_before + letters_after))
}

const fn is_flag_letter(character: char) -> bool {
    matches!(character, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}')
}

fn is_invisible(character: char) -> bool {
    use GeneralCategory as Category;
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(
        category,
        Category::Control
            | Category::Format
            | Category::PrivateUse
            | Category::Unassigned
            | Category::LineSeparator
            | Category::ParagraphSeparator
    ) || is_blank_or_ignorable(character)
}

/// True for characters that are invisible by default, such as joiners, tags and hangul fillers, and
/// for blanks.
fn is_blank_or_ignorable(character: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character) || character == BLANK_BRAILLE
}

/// True if the characters next to this one can't be written without it.
fn is_required_by_neighbours(character: char, before: Option<char>, after: Option<char>) -> bool {
    let Some(before) = before else { return false };
    match character {
        ZERO_WIDTH_JOINER => {
            let follows_emoji = is_emoji(before) || is_emoji_selector(before);
            follows_emoji && after.is_some_and(is_emoji)
                || has_joining_script(before) && after.is_some_and(has_joining_script)
        }
        ZERO_WIDTH_NON_JOINER => has_joining_script(before) && after.is_some_and(has_joining_script),
        // A single mark next to right-to-left letters is allowed.
        _ if DIRECTION_MARKS.contains(&character) => {
            let is_alone = ![Some(before), after].into_iter().flatten().any(|other| DIRECTION_MARKS.contains(&other));
            is_alone && (is_right_to_left(before) || after.is_some_and(is_right_to_left))
        }
        // ASCII digits have the Unicode property Emoji, because they are the base of keycaps.
        _ if is_emoji_selector(character) => is_emoji(before) && (!before.is_ascii() || after == Some(KEYCAP)),
        // Variants of ideographs occur in names.
        '\u{e0100}'..='\u{e01ef}' => CodePointMapData::<Script>::new().get(before) == Script::Han,
        _ => false,
    }
}

fn is_right_to_left(character: char) -> bool {
    let class = CodePointMapData::<BidiClass>::new().get(character);
    !is_invisible(character) && matches!(class, BidiClass::RightToLeft | BidiClass::ArabicLetter)
}

fn is_emoji(character: char) -> bool {
    CodePointSetData::new::<Emoji>().contains(character)
}

const fn is_emoji_selector(character: char) -> bool {
    matches!(character, '\u{fe0e}' | '\u{fe0f}')
}

/// True if the script shapes letters depending on their neighbours, so that joiners change how they
/// look.
fn has_joining_script(character: char) -> bool {
    const JOINING: [Script; 21] = [
        Script::Arabic,
        Script::Bengali,
        Script::Devanagari,
        Script::Gujarati,
        Script::Gurmukhi,
        Script::Inherited,
        Script::Kannada,
        Script::Khmer,
        Script::Malayalam,
        Script::Mandaic,
        Script::Mongolian,
        Script::Myanmar,
        Script::Nko,
        Script::Oriya,
        Script::PhagsPa,
        Script::Sinhala,
        Script::Syriac,
        Script::Tamil,
        Script::Telugu,
        Script::Tibetan,
        Script::Adlam,
    ];
    !is_invisible(character) && JOINING.contains(&CodePointMapData::<Script>::new().get(character))
}

/// True if a character has more combining marks than any language uses. Also true if the text
/// starts with a combining mark, which would combine with the text before it.
fn has_stacked_marks(text: &str) -> bool {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let is_mark = |character: char| {
        matches!(categories.get(character), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
    };
    let mut marks = 0;
    text.starts_with(is_mark)
        || text.chars().any(|character| {
            marks = if is_mark(character) { marks + 1 } else { 0 };
            marks > MAX_MARKS
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(text: &str) -> bool {
        parse_line("name", text, 80).is_ok()
    }

    #[test]
    fn accepts_names_of_all_languages_unchanged() {
        for name in [
            "Anna Đặng",
            "Nguye\u{302}\u{303}n",
            "O'Brien-Smith Jr.",
            "محمد",
            "علی\u{200c}رضا",
            "ක්\u{200d}රිස්ටෝ",
            "שָׁלוֹם",
            "நன்றி",
            "山田\u{3000}太郎",
            "葛\u{e0100}城",
            "Ελένη",
            "ประภาส",
            "🦊 Fox",
            "👩\u{200d}💻 Ada",
            "👩🏽\u{200d}🚀",
            "🏳\u{fe0f}\u{200d}🌈",
            "❤\u{fe0f}",
            "Team 1\u{fe0f}\u{20e3}",
            "R&D (2026)",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} Fans",
            "\u{5d0}\u{5e0}\u{5d4}\u{200f}! (A)",
        ] {
            assert_eq!(parse_name("name", &format!("  {name} "), 80).ok().as_deref(), Some(name), "{name:?}");
        }
    }

    #[test]
    fn trims_direction_marks() {
        for (text, name) in [("أحمد\u{200e}", "أحمد"), ("\u{200f}אנה \u{200f}", "אנה"), ("Anna\u{61c}", "Anna")]
        {
            assert_eq!(parse_name("name", text, 80).ok().as_deref(), Some(name), "{text:?}");
        }
        assert!(!takes("\u{200e}"));
    }

    #[test]
    fn rejects_invisible_characters() {
        for text in [
            "An\u{200b}na",
            "Anna\u{202e}nimda",
            "\u{2066}Anna\u{2069}",
            "An\u{ad}na",
            "\u{feff}Anna\u{feff}x",
            "\u{2800}",
            "\u{2800}Anna",
            "\u{fe0f}",
            "Anna\u{fe0f}",
            "1\u{fe0f}",
            "\u{200d}",
            "Anna\u{200d}",
            "An\u{200d}na",
            "An\u{200c}na",
            "علی\u{200c}\u{200c}رضا",
            "👩\u{200d}",
            "\u{3164}",
            "An\u{34f}na",
            "An\u{e0041}na",
            "\u{1f3f4}\u{e0067}\u{e0062}",
            "\u{1f3f4}\u{e007f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e0067}\u{e0067}\u{e007f}",
            "\u{1f3f3}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "An\u{200f}na",
            "א\u{200f}\u{200f}ב",
            "a\u{e0100}",
            "An\u{2028}na",
            "An\u{e000}na",
            "a\u{0}b",
        ] {
            assert!(!takes(text), "{text:?}");
        }
    }

    #[test]
    fn invisible_text_is_blank() {
        for text in [
            "",
            " \n\t\u{3000}",
            "\u{200b}",
            "\u{feff} \u{2060}",
            "\u{200d}\u{fe0f}",
            "\u{202e}\u{2066}",
            "\u{ad}\u{34f}\u{61c}",
            "\u{115f}\u{1160}\u{3164}\u{ffa0}",
            "\u{2800}",
            "\u{e0041}\u{e007f}\u{e0100}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        // The last four are a mark without its letter, an Arabic end of verse, a private-use
        // character and an unassigned one.
        for text in
            [".", "\u{200b}a", "ㄱ", "⠁", "👩\u{200d}💻", "\u{301}", "\u{6dd}", "\u{f8ff}", "\u{1fae0}", "\u{1fbff}"]
        {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn top_level_domains_are_in_parsed_form() {
        assert!(TOP_LEVEL_DOMAINS.len() > 1_000);
        assert!(TOP_LEVEL_DOMAINS.contains("com") && !TOP_LEVEL_DOMAINS.contains(""));
        for name in TOP_LEVEL_DOMAINS.iter() {
            assert_eq!(Host::parse(name).map(|host| host.to_string()).as_deref(), Ok(*name));
        }
    }

    #[test]
    fn rejects_stacked_combining_marks() {
        assert!(takes("a\u{301}\u{302}\u{303}\u{304}"));
        assert!(!takes("Z\u{301}\u{302}\u{303}\u{304}\u{305}algo"));
        assert!(!takes("\u{301}Anna"), "it would combine with the preceding text");
    }

    #[test]
    fn rejects_names_with_addresses_or_phone_numbers() {
        for name in [
            "https://evil.example/pay",
            "Bank HTTP://EVIL.EXAMPLE",
            "see evil.com",
            "evil.example/pay",
            "www.evil",
            "evil\u{ff0e}com",
            "пример.рф",
            "(evil.com,now)",
            "anna@evil.example",
            "call 0900-1234",
            "+49 (30) 123 45 67",
            "(030) 123 45 67",
        ] {
            assert!(parse_name("name", name, 80).is_err(), "{name:?}");
            assert!(is_auto_linked(name), "{name:?}");
            assert!(takes(name), "a title may contain it: {name:?}");
        }
        for name in [
            "J.R.R.Tolkien",
            "Md.Rahim",
            "St. John",
            "Node.js",
            "@anna",
            "Class of 2024-2025",
            "Route 66",
            "A/B",
            "v1.2.3",
            "Jane Doe, M.Sc.",
            "Dr.med. Anna Schmidt",
            "dipl.ing. Max Muster",
            "B.Com. Raj",
            "Le.Vu",
            "Acme Co.Ltd",
            "Meier, Hans 12345678",
        ] {
            assert!(parse_name("name", name, 80).is_ok(), "{name:?}");
        }
        // Mail programs turn these into links although people don't.
        assert!(is_auto_linked("Le.Vu") && is_auto_linked("Acme Co.Ltd") && !is_auto_linked("Route 66"));
    }

    #[test]
    fn workspace_names_may_contain_any_number() {
        for name in ["Release 20261125", "ISO 27001 2022", "Order 2026-000123", "Ticket 48219377", "0900-1234567"] {
            assert!(parse_workspace_name("name", name, 80).is_ok(), "{name:?}");
        }
        assert!(parse_workspace_name("name", "see evil.com", 80).is_err());
    }

    proptest! {
        #[test]
        fn rejects_blank_lines(text in "[ \u{3000}\u{200b}\u{200d}\u{fe0f}\u{3164}\u{2800}\u{e0041}\u{e0100}]{0,8}") {
            prop_assert!(is_blank(&text));
            prop_assert!(parse_line("name", &text, 80).is_err());
        }

        #[test]
        fn any_text_is_rejected_or_parsing_is_idempotent(text in ".{0,100}") {
            if let Ok(line) = parse_name("name", &text, 80) {
                prop_assert_eq!(parse_name("name", &line, 80).ok(), Some(line));
            }
        }
    }
}

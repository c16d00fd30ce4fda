//! Parser of search queries.

use std::collections::BTreeSet;

use crate::{
    dates::{Days, Utc, is_relative_start, span},
    fold::fold_text,
    token::{is_unspaced, tokens},
};

/// Maximum length of a query, in characters.
pub const MAX_QUERY_CHARS: usize = 512;
/// Maximum number of words, phrases and operators in a query.
pub const MAX_WORDS: usize = 24;

/// Filter on the content of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Has {
    File,
    Image,
    Link,
    Voice,
}

impl Has {
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "file" | "files" => Some(Self::File),
            "image" | "images" | "picture" => Some(Self::Image),
            "link" | "links" => Some(Self::Link),
            "voice" => Some(Self::Voice),
            _ => None,
        }
    }
}

/// Filter on the state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Is {
    /// The message is a reply in a thread, or has replies.
    Thread,
    Pinned,
    /// The user has saved the message.
    Saved,
}

impl Is {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "thread" => Some(Self::Thread),
            "pinned" => Some(Self::Pinned),
            "saved" => Some(Self::Saved),
            _ => None,
        }
    }
}

/// Elementary condition on a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    Word(String),
    /// Any word with this prefix.
    Prefix(String),
    /// Sequence of words. If it is open, the last word may be a prefix.
    Phrase {
        terms: Vec<String>,
        is_open: bool,
    },
}

/// Required word or phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredTerm {
    /// Alternatives, of which one must match.
    pub any: Vec<Atom>,
    /// The word, if the term is a single word that may be misspelt or incomplete. Camel-case words
    /// are not split here.
    pub word: Option<String>,
    /// The term as typed, in lower case.
    pub typed: String,
    /// True if the term was typed last and may therefore be a prefix.
    pub is_open: bool,
}

/// Parsed query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub required: Vec<RequiredTerm>,
    pub excluded: Vec<Atom>,
    /// Folded names from `from:` operators, one of which must match the author.
    pub authors: Vec<String>,
    /// Folded names from `in:` operators, one of which must match the conversation.
    pub conversation_names: Vec<String>,
    pub has: BTreeSet<Has>,
    pub is: BTreeSet<Is>,
    /// Start of the period, inclusive, in milliseconds since 1970-01-01 UTC.
    pub from: Option<i64>,
    /// End of the period, exclusive.
    pub until: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query has too many words")]
pub struct TooManyWords;

impl Query {
    /// Parses a query whose days are in UTC. Unknown operators are parsed as words.
    pub fn parse(text: &str, now: i64) -> Result<Self, TooManyWords> {
        Self::parse_by(text, &Utc(now))
    }

    /// Parses a query whose days are those of `days`.
    pub fn parse_by(text: &str, days: &dyn Days) -> Result<Self, TooManyWords> {
        let mut query = Self::default();
        let text = plain_marks(text);
        let mut rest = text.trim_start();
        let mut count = 0;
        while !rest.is_empty() {
            count += 1;
            if count > MAX_WORDS {
                return Err(TooManyWords);
            }
            let (part, after) = split_part(rest);
            if let Some(after) = query.spaced_operator(part, after, days) {
                rest = after;
                continue;
            }
            // Nothing was typed after this part.
            let is_last = after.is_empty();
            rest = after.trim_start();
            query.add_part(part, is_last, days);
        }
        Ok(query)
    }

    /// True if the query has no conditions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Parses an operator whose value contains or follows a space, such as `from: ben` and `on:last week`. Returns the
    /// text after it; `None` if there is no such operator.
    fn spaced_operator<'a>(&mut self, part: &str, after: &'a str, days: &dyn Days) -> Option<&'a str> {
        let (name, value) = part.split_once(':')?;
        let name = name.to_ascii_lowercase();
        let mut value = value.to_owned();
        let mut rest = after.trim_start();
        for _ in 0..2 {
            let is_complete = !value.is_empty() && !is_relative_start(&value);
            if is_complete || rest.is_empty() {
                return None;
            }
            let (next, after) = split_part(rest);
            rest = after.trim_start();
            value = format!("{value} {}", next.trim_matches('"')).trim_start().to_owned();
            if !is_relative_start(&value) && self.operator(&name, &value, days).is_some() {
                return Some(rest);
            }
        }
        None
    }

    fn add_part(&mut self, part: &str, is_last: bool, days: &dyn Days) {
        if let Some(unwanted) = part.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            let typed = TypedContext { is_phrase: unwanted.starts_with('"'), may_continue: false };
            self.excluded.extend(exact(unwanted.trim_matches('"'), typed).into_iter().next());
            return;
        }
        if let Some((name, value)) = part.split_once(':')
            && self.operator(&name.to_ascii_lowercase(), value.trim_matches('"'), days).is_some()
        {
            return;
        }
        let is_phrase = part.starts_with('"');
        let text = if is_phrase { part.trim_matches('"') } else { part };
        let is_closed = is_phrase && part.len() > 1 && part.ends_with('"');
        let goes_on = is_last && !is_closed && text.ends_with(char::is_alphanumeric);
        let mut any = exact(text, TypedContext { is_phrase, may_continue: goes_on });
        if any.is_empty() {
            return;
        }
        any.extend(other_version(&any));
        let word = match any.as_slice() {
            [Atom::Word(word)] | [Atom::Phrase { .. }, Atom::Word(word)] if !is_phrase => Some(word.clone()),
            _ => None,
        };
        let is_open = is_last && word.is_some();
        self.required.push(RequiredTerm { any, word, typed: text.to_lowercase(), is_open });
    }

    fn operator(&mut self, name: &str, value: &str, days: &dyn Days) -> Option<()> {
        match name {
            "from" => self.authors.push(name_in(value.strip_prefix('@').unwrap_or(value))?),
            "in" => self.conversation_names.push(name_in(value.trim_start_matches(['#', '@']))?),
            "has" => {
                self.has.insert(Has::from_name(&value.to_ascii_lowercase())?);
            }
            "is" => {
                self.is.insert(Is::from_name(&value.to_ascii_lowercase())?);
            }
            "before" => self.restrict_until(span(value, days)?.0),
            "after" => self.restrict_from(span(value, days)?.1),
            "on" | "during" => {
                let (begin, end) = span(value, days)?;
                self.restrict_from(begin);
                self.restrict_until(end);
            }
            _ => return None,
        }
        Some(())
    }

    /// Restricts the period to start at `moment` or later.
    pub fn restrict_from(&mut self, moment: i64) {
        self.from = Some(self.from.map_or(moment, |from| from.max(moment)));
    }

    /// Restricts the period to end before `moment`.
    pub fn restrict_until(&mut self, moment: i64) {
        self.until = Some(self.until.map_or(moment, |until| until.min(moment)));
    }
}

/// Splits `text` at the first space outside of quotation marks; the second part starts with that space.
fn split_part(text: &str) -> (&str, &str) {
    let mut is_quoted = false;
    let mut before = None;
    for (at, letter) in text.char_indices() {
        // A quotation mark within a word, as in `5"`, doesn't open a phrase.
        let may_open = before.is_none_or(|before| before == '-' || before == ':');
        if is_quote(letter) && (is_quoted || may_open) {
            if is_quoted {
                return text.split_at(at + letter.len_utf8());
            }
            is_quoted = true;
        } else if letter.is_whitespace() && !is_quoted {
            return text.split_at(at);
        }
        before = Some(letter);
    }
    (text, "")
}

/// Replaces typographic quotation marks and full-width characters by the ASCII ones. Phones insert
/// `“` automatically, and Chinese and Japanese input methods write full-width characters.
fn plain_marks(text: &str) -> String {
    let plain = |letter| match letter {
        '“' | '”' | '„' | '‟' | '«' | '»' | '＂' => '"',
        '：' => ':',
        _ => letter,
    };
    text.chars().map(plain).collect()
}

fn is_quote(letter: char) -> bool {
    letter == '"'
}

fn name_in(value: &str) -> Option<String> {
    let name = fold_text(value.trim());
    (!name.is_empty()).then_some(name)
}

/// Position of a word or phrase in the query.
#[derive(Clone, Copy)]
struct TypedContext {
    /// True if it follows a quotation mark.
    is_phrase: bool,
    /// True if more may be typed, so that the last word may be incomplete.
    may_continue: bool,
}

/// Returns the atoms that match a word or phrase as it was typed. The prefix of a single incomplete
/// word is expanded with the [`Vocabulary`](crate::Vocabulary) instead.
fn exact(text: &str, TypedContext { is_phrase, may_continue: goes_on }: TypedContext) -> Vec<Atom> {
    let (text, is_beginning) = match text.strip_suffix('*') {
        Some(text) if !is_phrase => (text, true),
        _ => (text, is_phrase && goes_on),
    };
    let found = tokens(text);
    let mut terms: Vec<String> = found.words.into_iter().map(|token| token.term).collect();
    match terms.len() {
        0 => Vec::new(),
        1 => {
            let term = terms.remove(0);
            // A single character of a script without spaces is searched as the prefix of bigrams.
            let is_letter = is_letter(&term);
            let is_part = is_letter && term.chars().all(is_unspaced);
            vec![if is_beginning && !is_letter || is_part { Atom::Prefix(term) } else { Atom::Word(term) }]
        }
        _ => {
            let whole = found.additional.into_iter().next().filter(|_| !is_phrase).map(|token| token.term);
            let whole = whole.filter(|whole| *whole == terms.concat());
            let is_open = (is_beginning || goes_on) && !terms.last().is_some_and(|last| is_letter(last));
            let phrase = Atom::Phrase { terms, is_open };
            std::iter::once(phrase).chain(whole.map(Atom::Word)).collect()
        }
    }
}

/// True for a single letter. So many words start with it that a query with several letters as
/// prefixes would read most of the index.
fn is_letter(term: &str) -> bool {
    term.chars().count() == 1
}

/// Returns the same version number with or without its `v`: `2.10` also finds `v2.10.3`, which is split at its dots.
fn other_version(any: &[Atom]) -> Option<Atom> {
    let [Atom::Phrase { terms, is_open }] = any else { return None };
    let is_number = |term: &str| !term.is_empty() && term.bytes().all(|byte| byte.is_ascii_digit());
    let (first, others) = terms.split_first()?;
    let number = first.strip_prefix('v').unwrap_or(first);
    if !is_number(number) || !others.iter().all(|term| is_number(term)) {
        return None;
    }
    let first = if number == first { format!("v{number}") } else { number.to_owned() };
    Some(Atom::Phrase { terms: std::iter::once(first).chain(others.iter().cloned()).collect(), is_open: *is_open })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dates::{DAY, day};

    const NOW: i64 = 1_795_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn parse(text: &str) -> Query {
        Query::parse(text, NOW).unwrap()
    }

    fn word(text: &str) -> Atom {
        Atom::Word(text.to_owned())
    }

    fn phrase(terms: &[&str]) -> Atom {
        Atom::Phrase { terms: terms.iter().map(|term| (*term).to_owned()).collect(), is_open: false }
    }

    fn open(terms: &[&str]) -> Atom {
        Atom::Phrase { terms: terms.iter().map(|term| (*term).to_owned()).collect(), is_open: true }
    }

    fn any(query: &Query) -> Vec<Vec<Atom>> {
        query.required.iter().map(|wanted| wanted.any.clone()).collect()
    }

    #[test]
    fn parses_words_phrases_and_exclusions() {
        let query = parse("Trần \"good morning\" -spam -\"bad luck\" plan*");
        let beginning = Atom::Prefix("plan".to_owned());
        assert_eq!(any(&query), [vec![word("tran")], vec![phrase(&["good", "morning"])], vec![beginning]]);
        assert_eq!(query.excluded, [word("spam"), phrase(&["bad", "luck"])]);
        assert_eq!(query.required[0].word.as_deref(), Some("tran"));
        assert_eq!((query.required[1].word.as_ref(), query.required[2].word.as_ref()), (None, None));
        assert_eq!(any(&parse("p* pl*")), [vec![word("p")], vec![Atom::Prefix("pl".to_owned())]]);
    }

    #[test]
    fn only_the_last_word_may_be_a_prefix() {
        let open = |text| parse(text).required.iter().map(|wanted| wanted.is_open).collect::<Vec<_>>();
        assert_eq!(open("two words"), [false, true]);
        assert_eq!(open("two words "), [false, false]);
        assert_eq!(open("a \"phrase\""), [false, false]);
    }

    #[test]
    fn identifiers_are_phrases() {
        assert_eq!(any(&parse("NAT-1234 ")), [vec![phrase(&["nat", "1234"])]]);
        let humps = parse("getUserName ");
        assert_eq!(any(&humps), [vec![phrase(&["get", "user", "name"]), word("getusername")]]);
        assert_eq!((humps.required[0].word.as_deref(), humps.required[0].is_open), (Some("getusername"), false));
        assert_eq!(any(&parse("今天天气 ")), [vec![phrase(&["今天", "天天", "天气"])]]);
        assert_eq!(any(&parse("猫")), [vec![Atom::Prefix("猫".to_owned())]]);
    }

    #[test]
    fn matches_incomplete_phrases() {
        assert_eq!(any(&parse("NAT-12")), [vec![open(&["nat", "12"])]]);
        assert_eq!(
            any(&parse("see src/main.rs now")),
            [vec![word("see")], vec![phrase(&["src", "main", "rs"])], vec![word("now")]]
        );
        assert_eq!(any(&parse("src/main.r")), [vec![phrase(&["src", "main", "r"])]]);
        let humps = parse("getUserNa");
        assert_eq!(any(&humps), [vec![open(&["get", "user", "na"]), word("getuserna")]]);
        assert!(humps.required[0].is_open);
        assert_eq!(any(&parse("\"good mor")), [vec![open(&["good", "mor"])]]);
        assert_eq!(any(&parse("\"good mor\"")), [vec![phrase(&["good", "mor"])]]);
        assert_eq!(any(&parse("\"good morning ")), [vec![phrase(&["good", "morning"])]]);
        assert_eq!(any(&parse("\"goo")), [vec![Atom::Prefix("goo".to_owned())]]);
        assert_eq!((any(&parse("\"good ")), any(&parse("\"g"))), (vec![vec![word("good")]], vec![vec![word("g")]]));
        assert_eq!(parse("-\"bad lu").excluded, [phrase(&["bad", "lu"])]);
    }

    #[test]
    fn parses_operators_for_scope_and_time() {
        let query =
            parse("from:@Đặng in:#General from:\"Anna Berg\" HAS:file has:link after:2026-01-31 before:2026-03-01 x");
        assert_eq!(query.authors, ["dang", "anna berg"]);
        assert_eq!(query.conversation_names, ["general"]);
        assert_eq!(query.has, [Has::File, Has::Link].into());
        assert_eq!(query.from, Some(day(2026, 2, 1).unwrap() * DAY));
        assert_eq!(query.until, Some(day(2026, 3, 1).unwrap() * DAY));
        assert_eq!(query.required.len(), 1);
        let whole_month = parse("on:2026-12");
        assert_eq!(
            (whole_month.from, whole_month.until),
            (span("2026-12", &Utc(NOW)).map(|s| s.0), span("2027-01", &Utc(NOW)).map(|s| s.0))
        );
        assert_eq!(parse("on:today").from, Some(NOW.div_euclid(DAY) * DAY));
    }

    /// Calendar days in the time zone UTC+7.
    struct DaysInUtcPlus7(i64);

    impl Days for DaysInUtcPlus7 {
        fn today(&self) -> i64 {
            (self.0 + 7 * HOUR).div_euclid(DAY)
        }

        fn begins_at(&self, day: i64) -> i64 {
            day * DAY - 7 * HOUR
        }
    }

    #[test]
    fn uses_days_of_the_users_time_zone() {
        let midnight = day(2026, 11, 24).unwrap() * DAY;
        // 01:30 in Hanoi is 18:30 UTC on the day before.
        let now = DaysInUtcPlus7(midnight - 7 * HOUR + HOUR * 3 / 2);
        let today = Query::parse_by("on:today", &now).unwrap();
        let there = (Some(midnight - 7 * HOUR), Some(midnight + 17 * HOUR));
        assert_eq!((today.from, today.until), there);
        let dated = Query::parse_by("on:2026-11-24", &now).unwrap();
        assert_eq!((dated.from, dated.until), there);
        assert_eq!(Query::parse_by("on:yesterday", &now).unwrap().until, there.0);
        assert_eq!(Query::parse("on:today", now.0).unwrap().until, Some(midnight));
    }

    #[test]
    fn accepts_typographic_and_full_width_signs() {
        for text in [
            "“good morning” from:“Anna Berg”",
            "„good morning“ from：«Anna Berg»",
            "＂good morning＂ from:\"Anna Berg\"",
        ] {
            let query = parse(text);
            assert_eq!(any(&query), [vec![phrase(&["good", "morning"])]], "{text}");
            assert_eq!(query.authors, ["anna berg"], "{text}");
        }
        assert_eq!(any(&parse("don’t -“bad luck”")).len(), 1);
    }

    #[test]
    fn parses_unknown_operators_as_words() {
        assert_eq!(parse("IS:pinned is:saved").is, [Is::Pinned, Is::Saved].into());
        for text in ["is:fun", "before:lunch", "note:this", "on:2026-02-30", "has:fun", "12:30"] {
            let query = parse(text);
            assert_eq!((query.required.len(), query.from, query.until), (1, None, None), "{text}");
        }
        assert!(parse("  - * : \" \"\"").is_empty());
        assert_eq!(any(&parse("he said 5\" tall").clone()).len(), 4);
    }

    #[test]
    fn accepts_spaces_after_operators_and_other_forms_of_dates() {
        for text in ["from: ben", "from:  \"ben\"", "FROM: @Ben"] {
            let query = parse(text);
            assert_eq!((query.authors, query.required.len()), (vec!["ben".to_owned()], 0), "{text}");
        }
        assert_eq!(any(&parse("from: ben invoice ")), [[word("invoice")]]);
        let period = |text: &str| {
            let query = parse(text);
            assert!(query.required.is_empty(), "{text}: {:?}", query.required);
            (query.from, query.until)
        };
        let there = period("on:2026-11-28");
        assert!(there.0.is_some());
        for text in ["on:2026/11/28", "on:28.11.2026", "on:28/11/2026", "on:11/28/2026", "on: 2026-11-28"] {
            assert_eq!(period(text), there, "{text}");
        }
        assert_eq!(period("on:11.2026"), period("on:2026-11"));
        // The day of `NOW` is a Wednesday.
        let monday = (NOW.div_euclid(DAY) - 2) * DAY;
        for text in ["on:last-week", "on:last week", "on: last week", "during:\"last week\""] {
            assert_eq!(period(text), (Some(monday - 7 * DAY), Some(monday)), "{text}");
        }
        assert_eq!(period("after:last week"), (Some(monday), None));
        assert_eq!(period("before: yesterday").1, Some((NOW.div_euclid(DAY) - 1) * DAY));
        for (text, words) in
            [("on:3/4/2026", 1), ("note: this", 2), ("on:last", 1), ("on: lunch", 2), ("before:last lunch", 2)]
        {
            let query = parse(text);
            assert_eq!((query.required.len(), query.from, query.until), (words, None, None), "{text}");
        }
    }

    #[test]
    fn version_numbers_match_with_and_without_their_letter() {
        assert_eq!(any(&parse("2.10 ")), [vec![phrase(&["2", "10"]), phrase(&["v2", "10"])]]);
        assert_eq!(any(&parse("2.10")), [vec![open(&["2", "10"]), open(&["v2", "10"])]]);
        assert_eq!(any(&parse("v2.10.3 ")), [vec![phrase(&["v2", "10", "3"]), phrase(&["2", "10", "3"])]]);
        assert_eq!(any(&parse("NAT-1234 ")), [vec![phrase(&["nat", "1234"])]]);
    }

    #[test]
    fn limits_the_length_of_a_query() {
        assert!(Query::parse(&"word ".repeat(MAX_WORDS), NOW).is_ok());
        assert_eq!(Query::parse(&"word ".repeat(MAX_WORDS + 1), NOW), Err(TooManyWords));
    }

    proptest! {
        #[test]
        fn parses_any_text(text in "\\PC{0,100}") {
            let _ = Query::parse(&text, NOW);
        }

        #[test]
        fn parses_any_mixture_of_operators(text in "((from|in|has|before|after|on|is|-|\"|\\*|:|@|#|2026-[0-9]{1,2}|[a-zđ今]{1,3}| ){0,3}){0,20}") {
            let _ = Query::parse(&text, NOW);
        }
    }
}

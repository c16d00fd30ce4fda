//! Whom a message asks: in an assistant's chat the assistant, elsewhere those that it mentions.
//!
//! An assistant of the workspace can be mentioned in any conversation, whether or not it was made a member of it, by whoever may talk to it.
//! What it is shown of the conversation is what the one who asks may read.
//!
//! Names are looked for in a message's plain text: what is code, a link or a quote asks nobody. The app does the same
//! (`frontend/src/lib/features/conversations/mentions.ts`), and both are held to the cases beside it.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use appcore::{AppError, AssistantId, Code, ConversationId, UserId, view::MentionKind};
use dbcontext::query::{self, assistants::Mention, conversations::MemberAssistant};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use super::{
    answers,
    batch::Batch,
    change::{Actor, Change, SendMessage},
    messages::sends,
};

/// How many assistants one message asks.
const MAX_ASKED: usize = 3;
/// How many `@` of a message are looked at.
const MAX_SIGNS: usize = 20;
/// How many words after an `@` may be a name.
const MAX_WORDS: usize = 6;
/// The longest name that is looked for, in characters.
const MAX_NAME: usize = 60;
/// How much before an `@` is looked at for an address, in bytes.
const MAX_ADDRESS: usize = 1_000;
/// What stands before a name; the second is how it is typed among characters of full width.
const SIGNS: [char; 2] = ['@', '\u{ff20}'];

/// Reads the assistants that messages may be for, and how many answers their senders wait for.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let (mut addressed, mut mentions) = (BTreeSet::new(), Vec::new());
    let mut askers: BTreeSet<UserId> = BTreeSet::new();
    for (by, send) in sends(changes) {
        let Ok(able) = batch.capabilities(by.conversation_id) else { continue };
        let mentioned = if able.asks_every_message { Vec::new() } else { mentions_of(by, send) };
        if able.asks_every_message || !mentioned.is_empty() {
            addressed.insert(by.conversation_id);
            askers.insert(by.user_id);
            mentions.extend(mentioned);
        }
    }
    if addressed.is_empty() {
        return Ok(());
    }
    let addressed: Vec<ConversationId> = addressed.into_iter().collect();
    for assistant in query::conversations::assistants(batch.db, &addressed).await? {
        batch.assistants.entry(assistant.conversation_id).or_default().push(assistant);
    }
    if !mentions.is_empty() {
        for (user, assistant) in query::assistants::mentioned(batch.db, mentions).await? {
            batch.mentioned.entry((assistant.conversation_id, user)).or_default().push(assistant);
        }
    }
    answers::load_open(batch, askers).await
}

/// Who answers a message, at most [`MAX_ASKED`] in the order in which they are mentioned.
pub(super) fn assistants(batch: &Batch<'_>, by: Actor, send: &SendMessage) -> Result<Vec<AssistantId>, AppError> {
    let (id, sender) = (by.conversation_id, by.user_id);
    let present = batch.assistants.get(&id).map_or(&[][..], Vec::as_slice);
    let usable = present.iter().filter(|assistant| assistant.is_usable_by(sender));
    if batch.capabilities(id)?.asks_every_message {
        let asked: Vec<AssistantId> = usable.map(|assistant| assistant.assistant_id).take(MAX_ASKED).collect();
        return if asked.is_empty() { Err(nobody_answers()) } else { Ok(asked) };
    }
    let elsewhere = batch.mentioned.get(&(id, sender)).map_or(&[][..], Vec::as_slice);
    let candidates: Vec<&MemberAssistant> = usable.chain(elsewhere).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = candidates.iter().map(|assistant| folded(&assistant.name)).collect();
    let text = said(send.content.as_str());
    let found = named_in(&text, &names);
    let mut named: Vec<(usize, AssistantId)> = Vec::new();
    for (assistant, name) in candidates.iter().zip(&names) {
        let at = found.iter().find(|(_, said)| said == name).map(|(at, _)| *at);
        // Behind everything that is named stands what is mentioned by its id alone.
        if let Some(at) = at.or_else(|| is_meant(send, assistant).then_some(text.len()))
            && named.iter().all(|(_, known)| *known != assistant.assistant_id)
        {
            named.push((at, assistant.assistant_id));
        }
    }
    named.sort_by_key(|(at, _)| *at);
    Ok(named.into_iter().map(|(_, assistant)| assistant).take(MAX_ASKED).collect())
}

/// In a chat whose assistant is not there any more.
pub(super) fn nobody_answers() -> AppError {
    AppError::refused(Code::WrongState, "This assistant isn't available any more. Start a chat with another one.")
}

/// Whether a message mentions an assistant by its id.
fn is_meant(send: &SendMessage, assistant: &MemberAssistant) -> bool {
    let id = Some(assistant.assistant_id.0);
    send.mentions.iter().any(|mention| mention.kind == MentionKind::Assistant && mention.id == id)
}

/// What a message may mention, to be looked for.
fn mentions_of(by: Actor, send: &SendMessage) -> Vec<Mention> {
    let Actor { conversation_id, user_id } = by;
    let mention = |name, assistant_id| Mention { conversation_id, user_id, name, assistant_id };
    let by_id = send.mentions.iter().filter(|mentioned| mentioned.kind == MentionKind::Assistant);
    let mut mentions: Vec<Mention> =
        by_id.filter_map(|mentioned| Some(mention(None, Some(AssistantId(mentioned.id?))))).collect();
    // As names are kept; beside it as it was said, for one that was kept before another had the same form.
    let said = names_in(&said(send.content.as_str()));
    let names: BTreeSet<String> = said.iter().map(|name| ::search::folded_line(name)).collect();
    mentions.extend(names.union(&said).map(|name| mention(Some(name.clone()), None)));
    mentions
}

/// What a message says to those whom it may ask, folded: its text without code, links and quotes, with a line break wherever marks part it.
/// No name goes across one.
fn said(markdown: &str) -> String {
    if markdown.contains(SIGNS) { folded(&plain(markdown)).replace(SIGNS, "@") } else { String::new() }
}

/// The plain text of it.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut kept_out = 0_usize;
    let parser = Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES);
    let definitions = parser.reference_definitions().iter();
    let mut unused: Vec<Range<usize>> =
        definitions.filter(|(_, link)| !is_address(&link.dest)).map(|(_, link)| link.span.clone()).collect();
    unused.sort_unstable_by_key(|span| span.start);
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Text(part) | Event::Html(part) | Event::InlineHtml(part) if kept_out == 0 => {
                // A sign that is escaped is only a sign.
                let is_escaped = part.starts_with(SIGNS) && markdown[..range.start].ends_with('\\');
                text.push_str(if is_escaped { part.strip_prefix(SIGNS).unwrap_or(&part) } else { &part });
                continue;
            }
            Event::Start(Tag::CodeBlock(_) | Tag::Link { .. } | Tag::Image { .. } | Tag::BlockQuote(_)) => {
                kept_out += 1;
            }
            Event::End(TagEnd::CodeBlock | TagEnd::Link | TagEnd::Image | TagEnd::BlockQuote(_)) => {
                kept_out = kept_out.saturating_sub(1);
            }
            _ => {}
        }
        text.push('\n');
    }
    // What begins like the address of a link and is none is text: `[INFO]: started`. Behind something else it is read as that.
    for span in unused {
        text.push_str(&plain(&format!(". {}", &markdown[span])));
    }
    text
}

/// Whether a link may lead there.
fn is_address(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["http://", "https://", "mailto:", "tel:", "/c/"].iter().any(|begin| text.starts_with(begin))
}

/// Letters in one case, form and width, however they were typed.
fn folded(text: &str) -> String {
    let letters = text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let folded: String = letters.map(plain_sign).collect();
    folded.replace("i\u{307}", "i")
}

/// What keyboards write for a sign of theirs.
const fn plain_sign(letter: char) -> char {
    match letter {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        'ς' => 'σ',
        other => other,
    }
}

/// What may be a name in a folded text: a few words after each `@`, which some names have in parts and others as one.
fn names_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices('@').filter(|(at, _)| may_be_one(&text[..*at])).take(MAX_SIGNS) {
        let after = &text[at + 1..];
        let mut words = 0;
        let mut last = None;
        let ends = after.char_indices().map(|(end, next)| (end, Some(next))).chain([(after.len(), None)]);
        for (end, next) in ends.take(MAX_NAME + 1) {
            let name = &after[..end];
            if end > 0 && (may_end(&after[end..]) || after[end..].starts_with('@')) && name.trim() == name {
                names.insert(name.to_owned());
            }
            words += usize::from(!next.is_some_and(is_part) && last.is_some_and(is_part));
            if words >= MAX_WORDS || next == Some('\n') {
                break;
            }
            last = next;
        }
    }
    names
}

/// Where which of these names stand in a text, all of it folded: of those that fit at one place the longest. Marks may be left out where only
/// one name is meant then.
fn named_in<'a>(text: &str, names: &'a [String]) -> Vec<(usize, &'a str)> {
    // From the last one on: names may follow each other without a space.
    let mut whole: BTreeMap<usize, Fit<'a>> = BTreeMap::new();
    let names: Vec<(&'a str, Letters<'a>)> =
        names.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), letters_of(name))).collect();
    for (at, _) in text.rmatch_indices('@') {
        let after = &text[at + 1..];
        let mut best: Option<Fit<'a>> = None;
        for &(name, ref letters) in &names {
            let exact = after.strip_prefix(name);
            let Some(rest) = exact.or_else(|| behind(after, letters)) else { continue };
            let fit = Fit { name, end: text.len() - rest.len(), is_exact: exact.is_some(), is_clear: true };
            if may_end(rest) || whole.contains_key(&fit.end) {
                best = Some(best.map_or(fit, |best| best.or_better(fit)));
            }
        }
        if let Some(fit) = best.filter(|fit| fit.is_clear) {
            whole.insert(at, fit);
        }
    }
    let mut named = Vec::new();
    let mut ended = None;
    for (at, Fit { name, end, .. }) in whole {
        if ended == Some(at) || may_begin(&text[..at]) {
            named.push((at, name));
            ended = Some(end);
        }
    }
    named
}

/// A name that stands in a text.
#[derive(Clone, Copy)]
struct Fit<'a> {
    name: &'a str,
    end: usize,
    /// With its marks.
    is_exact: bool,
    /// No other name is written so.
    is_clear: bool,
}

impl Fit<'_> {
    /// Which of two at one place is meant.
    fn or_better(self, other: Self) -> Self {
        match (other.end, other.is_exact).cmp(&(self.end, self.is_exact)) {
            Ordering::Greater => other,
            Ordering::Equal => Self { is_clear: self.is_clear && self.name == other.name, ..self },
            Ordering::Less => self,
        }
    }
}

/// The letters of a folded name, each with how it may be typed without its marks.
type Letters<'a> = Vec<(&'a str, String)>;

fn letters_of(name: &str) -> Letters<'_> {
    let mut letters = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let marks = &rest[first.len_utf8()..];
        let end = marks.find(|mark: char| !is_combining_mark(mark)).unwrap_or(marks.len());
        let (letter, behind) = rest.split_at(first.len_utf8() + end);
        let plain = if first.is_whitespace() { letter.to_owned() } else { ::search::folded_line(letter) };
        letters.push((letter, plain));
        rest = behind;
    }
    letters
}

/// What stands in a text behind a name that it begins with.
fn behind<'t>(text: &'t str, letters: &[(&str, String)]) -> Option<&'t str> {
    letters.iter().try_fold(text, |rest, (letter, plain)| {
        rest.strip_prefix(*letter).or_else(|| rest.strip_prefix(plain.as_str()))
    })
}

/// Whether a letter belongs to the word that it stands in.
fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || is_combining_mark(letter)
}

/// Whether it makes a longer word of what it stands beside. Some scripts put no spaces between words.
fn joins(letter: char) -> bool {
    is_part(letter) && !::search::is_unspaced(letter)
}

/// Whether a name may begin behind this: no word, path or address goes on there.
fn may_begin(before: &str) -> bool {
    let mut letters = before.chars().rev();
    let goes_on = match letters.next() {
        Some('/') => true,
        // Dots and dashes that follow no word are those of a sentence.
        Some('.' | '-') => letters.next().is_some_and(joins),
        last => last.is_some_and(joins),
    };
    !goes_on && !ends_in_address(before)
}

/// Whether a name may begin behind this, or behind the one that this ends with.
fn may_be_one(before: &str) -> bool {
    may_begin(before) || before.chars().rev().take(MAX_NAME).any(|letter| letter == '@')
}

/// An address has no spaces, and no letters beyond ASCII that would be certain to belong to it.
fn ends_in_address(text: &str) -> bool {
    let is_of_it = |byte: &u8| byte.is_ascii() && !byte.is_ascii_whitespace();
    let length = text.bytes().rev().take(MAX_ADDRESS).take_while(is_of_it).count();
    let address = &text[text.len() - length..];
    address.contains("://") || address.contains("www.")
}

/// Whether a name may end before this: it is whole, and no beginning of a path or an address.
fn may_end(after: &str) -> bool {
    let mut letters = after.chars();
    match letters.next() {
        Some('/' | '\\' | '@') => false,
        Some('.' | '-') => !letters.next().is_some_and(joins),
        next => !next.is_some_and(joins),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Case {
        text: String,
        names: Vec<String>,
        called: Vec<String>,
    }

    /// The app's test has the same.
    #[test]
    fn a_mention_is_the_whole_name_in_plain_text() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend/src/lib/features/conversations/mentions.json");
        let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(cases.len() > 50);
        for Case { text, names, called } in cases {
            let names: Vec<String> = names.iter().map(|name| folded(name)).collect();
            let said = said(&text);
            let found: BTreeSet<&str> = named_in(&said, &names).into_iter().map(|(_, name)| name).collect();
            let called: Vec<String> = called.iter().map(|name| folded(name)).collect();
            assert_eq!(found, called.iter().map(String::as_str).collect::<BTreeSet<&str>>(), "{text:?}");
            // What is mentioned has to be looked for first, as names are kept.
            let looked: BTreeSet<String> = names_in(&said).iter().map(|name| ::search::folded_line(name)).collect();
            assert!(called.iter().all(|name| looked.contains(&::search::folded_line(name))), "{text:?}: {looked:?}");
        }
    }

    #[test]
    fn names_are_looked_for_where_they_may_end() {
        let names = names_in("mail@x, @ada lovelace, and @c++: go");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(names.contains(&"ada") && names.contains(&"ada lovelace") && names.contains(&"c++"), "{names:?}");
        assert!(!names.contains(&"x") && !names.contains(&"ada love"), "{names:?}");
        assert!(names_in(&"@a ".repeat(10_000)).len() < 200);
        assert!(names_in(&"@明".repeat(10_000)).len() < 200);
    }

    #[test]
    fn whatever_is_a_mention_is_looked_for() {
        for name in
            ["ada", "ada lovelace", "c++", "r2-d2", "đặng thị thu", "a.b c", "two  blanks", "x_y", "😀 bot", "小明"]
        {
            for (before, after) in [
                ("", ""),
                ("hey ", ", look"),
                ("(", ")"),
                ("@ @", "? and then more words follow"),
                ("\n", "\nnext"),
                ("看", "看"),
            ] {
                let text = format!("{before}@{name}{after}");
                assert!(!named_in(&text, &[name.to_owned()]).is_empty(), "{text:?}");
                assert!(names_in(&text).contains(name), "{text:?} {name:?}: {:?}", names_in(&text));
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(text in "(@|＠|[a-zé小ー_`*~>#|\\[\\]()<\\\\./:\n -]|https://|www\\.){0,60}") {
            let said = said(&text);
            for name in names_in(&said) {
                prop_assert!(!name.is_empty() && name.chars().count() <= 2 * MAX_NAME);
            }
            for (at, name) in named_in(&said, &["a".to_owned(), "é".to_owned(), "小".to_owned()]) {
                let written = &said[at + 1..];
                prop_assert!(written.starts_with(name) || (name == "é" && written.starts_with('e')));
            }
        }
    }
}

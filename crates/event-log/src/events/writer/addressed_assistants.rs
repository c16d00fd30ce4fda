//! Resolves the assistants that a message addresses: in an assistant chat its assistant, in other
//! conversations the assistants that the message mentions.
//!
//! Any assistant of the workspace can be mentioned in any conversation by a user who may use it; it
//! doesn't have to be a member. It sees only those parts of the conversation that the user who
//! mentions it may read.
//!
//! Names are matched in the plain text of the message: mentions within code, links and quotes are
//! ignored. The app implements the same rules
//! (`frontend/src/lib/features/conversations/mentions.ts`); the shared test cases next to it cover
//! both implementations.

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

/// Maximum number of assistants that one message addresses.
const MAX_ADDRESSED: usize = 3;
/// Maximum number of `@` signs examined per message.
const MAX_MENTION_SIGNS: usize = 20;
/// Maximum number of words after an `@` that may form a name.
const MAX_WORDS: usize = 6;
/// Maximum length of a name, in characters.
const MAX_NAME: usize = 60;
/// Number of bytes before an `@` that are searched for the start of a URL.
const URL_LOOKBEHIND: usize = 1_000;
/// Signs that introduce a mention; the second is the full-width form.
const MENTION_SIGNS: [char; 2] = ['@', '\u{ff20}'];

/// Loads the assistants that the messages may address, and the number of unfinished answers of
/// their senders.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let (mut addressed, mut mentions) = (BTreeSet::new(), Vec::new());
    let mut askers: BTreeSet<UserId> = BTreeSet::new();
    for (by, send) in sends(changes) {
        let Ok(able) = batch.capabilities(by.conversation_id) else { continue };
        let mentioned = if able.asks_every_message { Vec::new() } else { mention_candidates(by, send) };
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
        for (user, assistant) in query::assistants::resolve_mentions(batch.db, mentions).await? {
            batch.mentioned.entry((assistant.conversation_id, user)).or_default().push(assistant);
        }
    }
    answers::load_open_answers(batch, askers).await
}

/// Returns the assistants that answer a message, in the order of their mentions, at most
/// [`MAX_ADDRESSED`].
pub(super) fn resolve(batch: &Batch<'_>, by: Actor, send: &SendMessage) -> Result<Vec<AssistantId>, AppError> {
    let (id, sender) = (by.conversation_id, by.user_id);
    let present = batch.assistants.get(&id).map_or(&[][..], Vec::as_slice);
    let usable = present.iter().filter(|assistant| assistant.is_usable_by(sender));
    if batch.capabilities(id)?.asks_every_message {
        let asked: Vec<AssistantId> = usable.map(|assistant| assistant.assistant_id).take(MAX_ADDRESSED).collect();
        return if asked.is_empty() { Err(assistant_unavailable()) } else { Ok(asked) };
    }
    let elsewhere = batch.mentioned.get(&(id, sender)).map_or(&[][..], Vec::as_slice);
    let candidates: Vec<&MemberAssistant> = usable.chain(elsewhere).collect();
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = candidates.iter().map(|assistant| folded(&assistant.name)).collect();
    let text = matchable_text(send.content.as_str());
    let found = find_names(&text, &names);
    let mut named: Vec<(usize, AssistantId)> = Vec::new();
    for (assistant, name) in candidates.iter().zip(&names) {
        let at = found.iter().find(|(_, said)| said == name).map(|(at, _)| *at);
        // Assistants that are mentioned only by id are listed after those mentioned by name.
        if let Some(at) = at.or_else(|| is_mentioned_by_id(send, assistant).then_some(text.len()))
            && named.iter().all(|(_, known)| *known != assistant.assistant_id)
        {
            named.push((at, assistant.assistant_id));
        }
    }
    named.sort_by_key(|(at, _)| *at);
    Ok(named.into_iter().map(|(_, assistant)| assistant).take(MAX_ADDRESSED).collect())
}

/// Error for a chat whose assistant no longer exists.
pub(super) fn assistant_unavailable() -> AppError {
    AppError::refused(Code::WrongState, "This assistant is no longer available. Start a chat with another one.")
}

/// True if the message mentions the assistant by id.
fn is_mentioned_by_id(send: &SendMessage, assistant: &MemberAssistant) -> bool {
    let id = Some(assistant.assistant_id.0);
    send.mentions.iter().any(|mention| mention.kind == MentionKind::Assistant && mention.id == id)
}

/// Collects the assistants that a message may mention, for the lookup.
fn mention_candidates(by: Actor, send: &SendMessage) -> Vec<Mention> {
    let Actor { conversation_id, user_id } = by;
    let mention = |name, assistant_id| Mention { conversation_id, user_id, name, assistant_id };
    let by_id = send.mentions.iter().filter(|mentioned| mentioned.kind == MentionKind::Assistant);
    let mut mentions: Vec<Mention> =
        by_id.filter_map(|mentioned| Some(mention(None, Some(AssistantId(mentioned.id?))))).collect();
    // Looks up names in the form in which they are stored, and also as written: a name may have
    // been stored unfolded because another name with the same folded form was added later.
    let said = name_candidates(&matchable_text(send.content.as_str()));
    let names: BTreeSet<String> = said.iter().map(|name| ::search::fold_name(name)).collect();
    mentions.extend(names.union(&said).map(|name| mention(Some(name.clone()), None)));
    mentions
}

/// Returns the folded text in which mentions are matched. Code, links and quotes are left out, and
/// there is a line break wherever markup separates text. A name never spans a line break.
fn matchable_text(markdown: &str) -> String {
    if markdown.contains(MENTION_SIGNS) {
        folded(&plain_text(markdown)).replace(MENTION_SIGNS, "@")
    } else {
        String::new()
    }
}

/// Extracts the plain text of a Markdown document.
fn plain_text(markdown: &str) -> String {
    let mut text = String::new();
    let mut kept_out = 0_usize;
    let parser = Parser::new_ext(markdown, Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES);
    let definitions = parser.reference_definitions().iter();
    let mut unused: Vec<Range<usize>> =
        definitions.filter(|(_, link)| !is_link_destination(&link.dest)).map(|(_, link)| link.span.clone()).collect();
    unused.sort_unstable_by_key(|span| span.start);
    for (event, range) in parser.into_offset_iter() {
        match event {
            Event::Text(part) | Event::Html(part) | Event::InlineHtml(part) if kept_out == 0 => {
                // An escaped sign isn't a mention.
                let is_escaped = part.starts_with(MENTION_SIGNS) && markdown[..range.start].ends_with('\\');
                text.push_str(if is_escaped { part.strip_prefix(MENTION_SIGNS).unwrap_or(&part) } else { &part });
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
    // Text that only looks like a link definition, such as `[INFO]: started`, is treated as plain
    // text. The prefix keeps the parser from reading it as a definition again.
    for span in unused {
        text.push_str(&plain_text(&format!(". {}", &markdown[span])));
    }
    text
}

/// True if `text` looks like a link destination.
fn is_link_destination(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["http://", "https://", "mailto:", "tel:", "/c/"].iter().any(|begin| text.starts_with(begin))
}

/// Folds case, Unicode form and width, so that the result doesn't depend on how the text was typed.
fn folded(text: &str) -> String {
    let letters = text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let folded: String = letters.map(plain_character).collect();
    folded.replace("i\u{307}", "i")
}

/// Maps typographic variants of a character to the plain one.
const fn plain_character(letter: char) -> char {
    match letter {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{2032}' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        'ς' => 'σ',
        other => other,
    }
}

/// Returns the possible names in a folded text: the first few words after each `@`.
fn name_candidates(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in
        text.match_indices('@').filter(|(at, _)| may_start_mention_after(&text[..*at])).take(MAX_MENTION_SIGNS)
    {
        let after = &text[at + 1..];
        let mut words = 0;
        let mut last = None;
        let ends = after.char_indices().map(|(end, next)| (end, Some(next))).chain([(after.len(), None)]);
        for (end, next) in ends.take(MAX_NAME + 1) {
            let name = &after[..end];
            if end > 0 && (may_end_before(&after[end..]) || starts_mention(&after[end..])) && name.trim() == name {
                names.insert(name.to_owned());
            }
            words += usize::from(!next.is_some_and(is_word_character) && last.is_some_and(is_word_character));
            if words >= MAX_WORDS || next == Some('\n') {
                break;
            }
            last = next;
        }
    }
    names
}

/// Returns the position and name of each mention in a folded text. If several names match at a
/// position, the longest one wins. Combining marks may be omitted if the name is still unambiguous.
/// A slash may separate two mentions.
fn find_names<'a>(text: &str, names: &'a [String]) -> Vec<(usize, &'a str)> {
    // Searches backwards from the end, because names may follow each other without a space.
    let mut whole: BTreeMap<usize, NameMatch<'a>> = BTreeMap::new();
    let names: Vec<(&'a str, Letters<'a>)> =
        names.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), split_letters(name))).collect();
    for (at, _) in text.rmatch_indices('@') {
        let after = &text[at + 1..];
        let mut best: Option<NameMatch<'a>> = None;
        for &(name, ref letters) in &names {
            let exact = after.strip_prefix(name);
            let Some(rest) = exact.or_else(|| strip_letters(after, letters)) else { continue };
            let fit = NameMatch { name, end: text.len() - rest.len(), is_exact: exact.is_some(), is_clear: true };
            let next_mention = fit.end + usize::from(rest.starts_with('/'));
            if may_end_before(rest) || whole.contains_key(&next_mention) {
                best = Some(best.map_or(fit, |best| best.better_of(fit)));
            }
        }
        if let Some(fit) = best.filter(|fit| fit.is_clear) {
            whole.insert(at, fit);
        }
    }
    let mut named = Vec::new();
    let mut ended = None;
    for (at, NameMatch { name, end, .. }) in whole {
        let gap = ended.and_then(|last| text.get(last..at));
        if matches!(gap, Some("" | "/")) || may_start_after(&text[..at]) {
            named.push((at, name));
            ended = Some(end);
        }
    }
    named
}

/// Match of a name in a text.
#[derive(Clone, Copy)]
struct NameMatch<'a> {
    name: &'a str,
    end: usize,
    /// True if the combining marks match as well.
    is_exact: bool,
    /// True if no other name is the same without combining marks.
    is_clear: bool,
}

impl NameMatch<'_> {
    /// Returns the better one of two matches at the same position.
    fn better_of(self, other: Self) -> Self {
        match (other.end, other.is_exact).cmp(&(self.end, self.is_exact)) {
            Ordering::Greater => other,
            Ordering::Equal => Self { is_clear: self.is_clear && self.name == other.name, ..self },
            Ordering::Less => self,
        }
    }
}

/// Letters of a folded name, each with its form without combining marks.
type Letters<'a> = Vec<(&'a str, String)>;

fn split_letters(name: &str) -> Letters<'_> {
    let mut letters = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let marks = &rest[first.len_utf8()..];
        let end = marks.find(|mark: char| !is_combining_mark(mark)).unwrap_or(marks.len());
        let (letter, strip_letters) = rest.split_at(first.len_utf8() + end);
        let plain = if first.is_whitespace() { letter.to_owned() } else { ::search::fold_name(letter) };
        letters.push((letter, plain));
        rest = strip_letters;
    }
    letters
}

/// Returns the text after `letters`, or `None` if the text doesn't start with them.
fn strip_letters<'t>(text: &'t str, letters: &[(&str, String)]) -> Option<&'t str> {
    letters.iter().try_fold(text, |rest, (letter, plain)| {
        rest.strip_prefix(*letter).or_else(|| rest.strip_prefix(plain.as_str()))
    })
}

/// True if the character is part of a word.
fn is_word_character(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || is_combining_mark(letter)
}

/// True if the character extends the adjacent word. Scripts without spaces between words are
/// excluded.
fn extends_word(letter: char) -> bool {
    is_word_character(letter) && !::search::is_unspaced(letter)
}

/// True if a name may start after the text `before`, which must not end within a word, path or URL.
fn may_start_after(before: &str) -> bool {
    let mut letters = before.chars().rev();
    let goes_on = match letters.next() {
        Some('/') => true,
        // Dots and hyphens that don't follow a word are punctuation.
        Some('.' | '-') => letters.next().is_some_and(extends_word),
        last => last.is_some_and(extends_word),
    };
    !goes_on && !ends_in_url(before)
}

/// True if a name may start after the text `before`, or after another name at the end of `before`.
fn may_start_mention_after(before: &str) -> bool {
    may_start_after(before) || before.chars().rev().take(MAX_NAME).any(|letter| letter == '@')
}

/// True if the text starts with the sign of a mention, which a slash may separate from the name
/// before it.
fn starts_mention(text: &str) -> bool {
    text.strip_prefix('/').unwrap_or(text).starts_with('@')
}

/// True if the text ends within a URL. URLs contain no spaces; non-ASCII letters don't count as
/// part of a URL.
fn ends_in_url(text: &str) -> bool {
    let is_of_it = |byte: &u8| byte.is_ascii() && !byte.is_ascii_whitespace();
    let length = text.bytes().rev().take(URL_LOOKBEHIND).take_while(is_of_it).count();
    let address = &text[text.len() - length..];
    address.contains("://") || address.contains("www.")
}

/// True if a name may end before the text `after`: the word is complete, and no path or URL begins
/// there.
fn may_end_before(after: &str) -> bool {
    let mut letters = after.chars();
    match letters.next() {
        Some('/' | '\\' | '@') => false,
        Some('.' | '-') => !letters.next().is_some_and(extends_word),
        next => !next.is_some_and(extends_word),
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

    /// The app's tests use the same cases, from the same file.
    #[test]
    fn matches_whole_names_in_plain_text() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../frontend/src/lib/features/conversations/mentions.json");
        let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert!(cases.len() > 50);
        for Case { text, names, called } in cases {
            let names: Vec<String> = names.iter().map(|name| folded(name)).collect();
            let said = matchable_text(&text);
            let found: BTreeSet<&str> = find_names(&said, &names).into_iter().map(|(_, name)| name).collect();
            let called: Vec<String> = called.iter().map(|name| folded(name)).collect();
            assert_eq!(found, called.iter().map(String::as_str).collect::<BTreeSet<&str>>(), "{text:?}");
            // Names that are mentioned must also be among the candidates that are looked up, in
            // their stored form.
            let looked: BTreeSet<String> =
                name_candidates(&said).iter().map(|name| ::search::fold_name(name)).collect();
            assert!(called.iter().all(|name| looked.contains(&::search::fold_name(name))), "{text:?}: {looked:?}");
        }
    }

    #[test]
    fn collects_name_candidates_up_to_word_ends() {
        let names = name_candidates("mail@x, @ada lovelace, and @c++: go");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(names.contains(&"ada") && names.contains(&"ada lovelace") && names.contains(&"c++"), "{names:?}");
        assert!(!names.contains(&"x") && !names.contains(&"ada love"), "{names:?}");
        assert!(name_candidates(&"@a ".repeat(10_000)).len() < 200);
        assert!(name_candidates(&"@明".repeat(10_000)).len() < 200);
    }

    #[test]
    fn looks_up_every_name_that_can_match() {
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
                assert!(!find_names(&text, &[name.to_owned()]).is_empty(), "{text:?}");
                assert!(name_candidates(&text).contains(name), "{text:?} {name:?}: {:?}", name_candidates(&text));
            }
        }
    }

    proptest! {
        #[test]
        fn parses_arbitrary_text(text in "(@|＠|[a-zé小ー_`*~>#|\\[\\]()<\\\\./:\n -]|https://|www\\.){0,60}") {
            let said = matchable_text(&text);
            for name in name_candidates(&said) {
                prop_assert!(!name.is_empty() && name.chars().count() <= 2 * MAX_NAME);
            }
            for (at, name) in find_names(&said, &["a".to_owned(), "é".to_owned(), "小".to_owned()]) {
                let written = &said[at + 1..];
                prop_assert!(written.starts_with(name) || (name == "é" && written.starts_with('e')));
            }
        }
    }
}

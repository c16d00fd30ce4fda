//! Whom a message asks: in an assistant's chat the assistant, elsewhere those that it mentions.
//!
//! An assistant of the workspace can be mentioned in any conversation, whether or not it was made a member of it, by whoever may talk to it.
//! What it is shown of the conversation is what the one who asks may read.

use std::collections::BTreeSet;

use appcore::{AppError, AssistantId, Code, ConversationId, UserId, view::MentionKind};
use dbcontext::query::{self, assistants::Mention, conversations::MemberAssistant};

use super::{
    answers,
    batch::Batch,
    change::{Change, SendMessage},
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

/// Reads the assistants that messages may be for, and how many answers their senders wait for.
pub(super) async fn load(batch: &mut Batch<'_>, changes: &[Change]) -> Result<(), AppError> {
    let (mut addressed, mut mentions) = (BTreeSet::new(), Vec::new());
    let mut askers: BTreeSet<UserId> = BTreeSet::new();
    for send in sends(changes) {
        let Ok(able) = batch.capabilities(send.conversation_id) else { continue };
        let mentioned = if able.asks_every_message { Vec::new() } else { mentions_of(send) };
        if able.asks_every_message || !mentioned.is_empty() {
            addressed.insert(send.conversation_id);
            askers.insert(send.sender);
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
pub(super) fn assistants(batch: &Batch<'_>, send: &SendMessage) -> Result<Vec<AssistantId>, AppError> {
    let (id, sender) = (send.conversation_id, send.sender);
    let present = batch.assistants.get(&id).map_or(&[][..], Vec::as_slice);
    let usable = present.iter().filter(|assistant| assistant.is_usable_by(sender));
    if batch.capabilities(id)?.asks_every_message {
        let asked: Vec<AssistantId> = usable.map(|assistant| assistant.assistant_id).take(MAX_ASKED).collect();
        return if asked.is_empty() { Err(nobody_answers()) } else { Ok(asked) };
    }
    let elsewhere = batch.mentioned.get(&(id, sender)).map_or(&[][..], Vec::as_slice);
    let text = send.content.as_str().to_lowercase();
    let mut named: Vec<(usize, AssistantId)> = Vec::new();
    for assistant in usable.chain(elsewhere) {
        if let Some(at) = place(send, &text, assistant)
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

/// Where a message mentions an assistant: by its name, else, behind everything, by its id.
fn place(send: &SendMessage, text: &str, assistant: &MemberAssistant) -> Option<usize> {
    let is_meant = |mention: &appcore::view::Mention| {
        mention.kind == MentionKind::Assistant && mention.id == Some(assistant.assistant_id.0)
    };
    mention_in(text, &assistant.name).or_else(|| send.mentions.iter().any(is_meant).then_some(text.len()))
}

/// What a message may mention, to be looked for.
fn mentions_of(send: &SendMessage) -> Vec<Mention> {
    let mention = |name, assistant_id| Mention {
        conversation_id: send.conversation_id,
        user_id: send.sender,
        name,
        assistant_id,
    };
    let by_id = send.mentions.iter().filter(|mentioned| mentioned.kind == MentionKind::Assistant);
    let mut mentions: Vec<Mention> =
        by_id.filter_map(|mentioned| Some(mention(None, Some(AssistantId(mentioned.id?))))).collect();
    if send.content.as_str().contains('@') {
        let names = names_in(&send.content.as_str().to_lowercase());
        mentions.extend(names.into_iter().map(|name| mention(Some(name), None)));
    }
    mentions
}

/// What may be a name in a text of small letters: a few words after each `@`.
fn names_in(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices('@').take(MAX_SIGNS) {
        if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
            continue;
        }
        let after = &text[at + 1..];
        let after = after.char_indices().nth(MAX_NAME + 1).map_or(after, |(end, _)| &after[..end]);
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut words = 0;
        let mut last = None;
        for (end, next) in after.char_indices().map(|(end, next)| (end, Some(next))).chain([(after.len(), None)]) {
            let is_end = !next.is_some_and(is_part);
            // A name may end with something else, too, such as in `C++`.
            if end > 0 && is_end && after[..end].trim() == &after[..end] && after[..end].chars().count() <= MAX_NAME {
                names.insert(after[..end].to_owned());
            }
            words += usize::from(is_end && last.is_some_and(is_part));
            if words >= MAX_WORDS || next == Some('\n') {
                break;
            }
            last = next;
        }
    }
    names
}

/// Where `@name` first stands in a text of small letters, in any case, and not as the beginning of a longer word.
fn mention_in(text: &str, name: &str) -> Option<usize> {
    let name = format!("@{}", name.to_lowercase());
    let is_whole = |at: usize| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(|next| next.is_alphanumeric() || next == '_')
    };
    text.match_indices(&name).map(|(at, _)| at).find(|at| is_whole(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_the_whole_name() {
        assert_eq!(mention_in("hey @ada, look", "Ada"), Some(4));
        assert_eq!(mention_in("@ada lovelace?", "Ada Lovelace"), Some(0));
        assert_eq!(mention_in("@adabot or @ada", "Ada"), Some(11));
        assert_eq!(mention_in("@adabot", "Ada"), None);
        assert_eq!(mention_in("mail@ada", "Ada"), None);
        assert_eq!(mention_in("ada", "Ada"), None);
    }

    #[test]
    fn names_are_looked_for_where_they_may_end() {
        let names = names_in("mail@x, @ada lovelace, and @c++: go");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(names.contains(&"ada") && names.contains(&"ada lovelace") && names.contains(&"c++"), "{names:?}");
        assert!(!names.contains(&"x") && !names.contains(&"ada love"), "{names:?}");
        assert!(names_in(&"@a ".repeat(10_000)).len() < 200);
    }

    #[test]
    fn whatever_is_a_mention_is_looked_for() {
        for name in ["ada", "ada lovelace", "c++", "r2-d2", "đặng thị thu", "a.b c", "two  blanks", "x_y", "😀 bot"]
        {
            for (before, after) in
                [("", ""), ("hey ", ", look"), ("(", ")"), ("@ @", "? and then more words follow"), ("\n", "\nnext")]
            {
                let text = format!("{before}@{name}{after}");
                assert!(mention_in(&text, name).is_some(), "{text:?}");
                assert!(names_in(&text).contains(name), "{text:?} {name:?}: {:?}", names_in(&text));
            }
        }
    }
}

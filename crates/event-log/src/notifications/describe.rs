//! Renders notifications: actor, conversation and the start of the text.

use std::collections::{BTreeSet, HashMap};

use appcore::{
    AppError, ConversationId, MessageId,
    view::{Message, Notification, NotificationKind, Sender, SenderKind},
};
use dbcontext::query::{
    notifications::NotificationRow,
    notifier::{self, NotifiedConversation},
    search,
};
use pulldown_cmark::{Event, Options, Parser, TagEnd};
use uuid::Uuid;

use crate::EventLogService;

/// Limits for the text of a message, in characters: how much of the message is read, and how much
/// is shown.
const MAX_READ_CHARS: usize = 2_000;
const MAX_SHOWN_CHARS: usize = 200;

/// Renders notifications, with at most three queries.
pub(super) async fn render_all(
    service: &EventLogService,
    rows: Vec<NotificationRow>,
) -> Result<Vec<Notification>, AppError> {
    let db = service.db.reader();
    let ids: BTreeSet<MessageId> =
        rows.iter().filter(|row| row.text.is_none() || row.title.is_none()).filter_map(|row| row.message_id).collect();
    let places: BTreeSet<ConversationId> = rows.iter().filter_map(|row| row.conversation_id).collect();
    let actors: BTreeSet<Uuid> = rows.iter().filter_map(|row| row.actor_id).collect();
    let mut messages: HashMap<MessageId, Message> = HashMap::new();
    if !ids.is_empty() {
        let ids: Vec<MessageId> = ids.into_iter().collect();
        for row in notifier::messages(db, &ids).await? {
            messages.insert(row.id, row.try_into()?);
        }
    }
    let mut conversations: HashMap<ConversationId, NotifiedConversation> = HashMap::new();
    if !places.is_empty() {
        let ids: Vec<ConversationId> = places.into_iter().collect();
        conversations.extend(notifier::conversations(db, &ids).await?.into_iter().map(|place| (place.id, place)));
    }
    let mut names: HashMap<Uuid, String> = HashMap::new();
    if !actors.is_empty() {
        let ids: Vec<Uuid> = actors.into_iter().collect();
        names.extend(search::names(db, &ids).await?.into_iter().map(|named| (named.id, named.name)));
    }
    rows.into_iter().map(|row| render(row, &messages, &conversations, &names)).collect()
}

fn render(
    row: NotificationRow,
    messages: &HashMap<MessageId, Message>,
    conversations: &HashMap<ConversationId, NotifiedConversation>,
    names: &HashMap<Uuid, String>,
) -> Result<Notification, AppError> {
    let kind = row.kind;
    let message = row.message_id.and_then(|id| messages.get(&id));
    let reacted = |id: Uuid| {
        let name = names.get(&id)?.clone();
        Some(Sender { kind: SenderKind::User, id: Some(id), name, picture: None })
    };
    let actor = match kind {
        NotificationKind::Reaction => row.actor_id.and_then(reacted),
        _ => message.map(|message| message.sender.clone()),
    };
    let place = row.conversation_id.and_then(|id| conversations.get(&id)).and_then(|place| place.title.as_deref());
    let title = row.title.unwrap_or_else(|| match (&actor, place) {
        (Some(actor), Some(place)) => format!("{} · {place}", actor.name),
        (Some(actor), None) => actor.name.clone(),
        (None, place) => place.unwrap_or("Natter").to_owned(),
    });
    let text = row.text.or_else(|| message.map(excerpt)).unwrap_or_default();
    Ok(Notification {
        id: row.id,
        kind,
        conversation_id: row.conversation_id,
        message_id: row.message_id,
        thread_id: row.root_id,
        actor,
        count: row.count,
        detail: row.detail,
        upload_id: row.upload_id,
        title,
        text,
        silent: row.silent,
        created_at: row.created_at,
        read_at: row.read_at,
    })
}

/// Returns the start of a message, or the name of its first file.
fn excerpt(message: &Message) -> String {
    if message.deleted_at.is_some() || message.hidden_at.is_some() {
        return String::new();
    }
    let text = plain_text(&message.content);
    if text.is_empty() {
        return message.attachments.first().map(|file| file.name.clone()).unwrap_or_default();
    }
    text
}

/// Returns the start of a Markdown text on one line, without markup.
pub(super) fn plain_text(markdown: &str) -> String {
    let end = markdown.char_indices().nth(MAX_READ_CHARS).map_or(markdown.len(), |(at, _)| at);
    let mut text = String::new();
    for event in Parser::new_ext(&markdown[..end], Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES) {
        match event {
            Event::Text(part) | Event::Code(part) | Event::Html(part) | Event::InlineHtml(part) => text.push_str(&part),
            Event::SoftBreak | Event::HardBreak | Event::Rule => text.push(' '),
            Event::End(
                TagEnd::Paragraph | TagEnd::Item | TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::TableCell,
            ) => {
                text.push(' ');
            }
            _ => {}
        }
    }
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((at, _)) = words.char_indices().nth(MAX_SHOWN_CHARS) {
        words.truncate(at);
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_markup() {
        assert_eq!(
            plain_text("**Code freeze** at [18:00](https://x.test), `main` *only*"),
            "Code freeze at 18:00, main only"
        );
        assert_eq!(plain_text("# Plan\n\n- one\n- two\n\n```rust\nfn main() {}\n```"), "Plan one two fn main() {}");
        assert_eq!(plain_text("a\nb   c"), "a b c");
        assert_eq!(plain_text(&"ă".repeat(500)).chars().count(), MAX_SHOWN_CHARS + 1);
        assert_eq!(plain_text(" \n "), "");
    }
}

//! Reactions and pins.

use appcore::{
    AppError, ConversationId, MessageId,
    auth::Principal,
    page::{Page, PageRequest},
    view::Message,
};
use dbcontext::query;
use event_log::{
    access,
    events::{Change, Pin, React},
};
use platform::emoji;

use super::find;
use crate::App;

/// Reacts with one emoji, or takes that back. What is so already stays so.
pub async fn react(
    app: &App,
    by: &Principal,
    message_id: MessageId,
    emoji: &str,
    is_added: bool,
) -> Result<Message, AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    let emoji = match emoji::own_name(emoji) {
        Some(name) => {
            // What was removed meanwhile can still be taken back.
            if is_added && !query::emoji::is_in(app.db.reader(), conversation_id, name).await? {
                return Err(AppError::field("emoji", "not_found", "This workspace has no such emoji."));
            }
            emoji.to_owned()
        }
        None => emoji::parse(emoji)?.to_owned(),
    };
    let react = React { conversation_id, by: by.user_id, message_id, emoji, is_added };
    let reacted = app.events.writer.submit(Change::React(react)).await;
    access::explain(&app.events, by.user_id, conversation_id, reacted).await?.message()
}

/// Pins a message, or takes its pin away.
pub async fn pin(app: &App, by: &Principal, message_id: MessageId, is_pinned: bool) -> Result<Message, AppError> {
    let conversation_id = find(app, by, message_id).await?.conversation_id;
    let pin = Pin { conversation_id, by: by.user_id, message_id, is_pinned };
    let pinned = app.events.writer.submit(Change::Pin(pin)).await;
    access::explain(&app.events, by.user_id, conversation_id, pinned).await?.message()
}

/// The pinned messages of a conversation, newest pin first.
pub async fn pins(app: &App, by: &Principal, id: ConversationId, page: PageRequest) -> Result<Page<Message>, AppError> {
    let begins_after = access::reader(&app.events, by.user_id, id).await?.reads_after();
    let (rows, total) = query::threads::pinned(app.db.reader(), id, begins_after, page).await?;
    let items = rows.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

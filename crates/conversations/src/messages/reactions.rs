use appcore::{
    AppError, ConversationId, MessageId,
    auth::Principal,
    page::{Page, PageRequest},
    view::Message,
};
use dbcontext::query;
use event_log::{
    access,
    events::{MemberAction, Pin, React},
};
use platform::emoji;

use super::find;
use crate::ConversationsService;

/// Adds or removes the caller's reaction. Idempotent.
pub async fn react(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    emoji: &str,
    is_added: bool,
) -> Result<Message, AppError> {
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    let emoji = match emoji::custom_name(emoji) {
        Some(name) => {
            // A reaction can be removed even if the workspace no longer has its emoji.
            if is_added && !query::emoji::exists_in(service.db.reader(), conversation_id, name).await? {
                return Err(AppError::field("emoji", "not_found", "This workspace has no such emoji."));
            }
            emoji.to_owned()
        }
        None => emoji::parse(emoji)?.to_owned(),
    };
    let react = MemberAction::React(React { message_id, emoji, is_added });
    let reacted = service.events.writer.submit(react.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, reacted).await?.message()
}

/// Pins or unpins a message.
pub async fn pin(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    is_pinned: bool,
) -> Result<Message, AppError> {
    let conversation_id = find(service, by, message_id).await?.conversation_id;
    let pin = MemberAction::Pin(Pin { message_id, is_pinned });
    let pinned = service.events.writer.submit(pin.by_member(by.user_id, conversation_id)).await;
    access::explain_not_found(&service.events, by.user_id, conversation_id, pinned).await?.message()
}

/// Pinned messages of a conversation, newest pin first.
pub async fn pins(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
    page: PageRequest,
) -> Result<Page<Message>, AppError> {
    let begins_after = access::reader(&service.events, by.user_id, id).await?.hidden_until_seq();
    let (rows, total) = query::threads::pinned(service.db.reader(), id, begins_after, page).await?;
    let items = rows.into_iter().map(Message::try_from).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

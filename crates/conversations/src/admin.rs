//! Administration of conversations by administrators of the installation, who need not be members.
//! Messages are never shown to them.

use appcore::{
    AppError, Code, ConversationId, UserId,
    page::{MAX_PAGE_SIZE, Page, PageRequest, Slice},
    text_field::validate_search_text,
    view::{AdminConversation, AdminConversationMember},
};
use dbcontext::query::admin_conversations as seen;
pub use dbcontext::query::admin_conversations::Filter;
use event_log::events::ServerAction;
use identity::accounts::Confirmed;
use platform::audit::{Action, NewAuditEntry};

use super::channels;
use crate::ConversationsService;

/// Conversations of all workspaces, newest first.
pub async fn list(
    service: &ConversationsService,
    filter: &Filter,
    limit: u64,
) -> Result<Slice<AdminConversation>, AppError> {
    validate_search_text(&filter.text)?;
    let limit = limit.clamp(1, MAX_PAGE_SIZE);
    let mut items = seen::list(&service.db.replica().await, filter, limit + 1).await?;
    let has_more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Slice { items, has_more })
}

pub async fn find(service: &ConversationsService, id: ConversationId) -> Result<AdminConversation, AppError> {
    seen::find(service.db.reader(), id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Members of a channel or group, by name. Refused for direct messages and chats with assistants,
/// which are private.
pub async fn members(
    service: &ConversationsService,
    id: ConversationId,
    text: &str,
    page: PageRequest,
) -> Result<Page<AdminConversationMember>, AppError> {
    validate_search_text(text)?;
    find_owned(service, id).await?;
    let (items, total) = seen::members(&service.db.replica().await, id, text, page).await?;
    Ok(Page::new(items, page, total))
}

/// Transfers a channel or group to another member; the former owner becomes an admin.
pub async fn set_owner(
    service: &ConversationsService,
    by: &Confirmed,
    id: ConversationId,
    owner: UserId,
) -> Result<AdminConversation, AppError> {
    let able = find_owned(service, id).await?.kind.capabilities();
    let entry = NewAuditEntry::by_principal(by, Action::ConversationOwnerChanged, Some(format!("{id}:{owner}")));
    let handed_over = if able.members_are_durable {
        service
            .events
            .writer
            .submit(ServerAction::HandOver { user_id: owner, entry }.on_conversation(id))
            .await
            .map(drop)
    } else {
        channels::transfer_ownership(service, id, owner, entry).await.map(drop)
    };
    handed_over.map_err(|error| match error.code() {
        Code::NotFound => AppError::field("owner_id", "not_found", "This person isn't in the conversation."),
        _ => error,
    })?;
    seen::find(service.db.writer(), id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Deletes a conversation for everybody. `name` must match its title, as a safeguard against
/// deleting the wrong one.
pub async fn delete(
    service: &ConversationsService,
    by: &Confirmed,
    id: ConversationId,
    name: &str,
) -> Result<(), AppError> {
    let conversation = seen::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    if conversation.is_default {
        return Err(AppError::refused(Code::DefaultChannel, "The workspace's default channel can't be deleted."));
    }
    if conversation.title.unwrap_or_else(|| id.to_string()) != name.trim() {
        return Err(AppError::field("name", "invalid", "Enter the conversation's name exactly as it is."));
    }
    let entry = NewAuditEntry::by_principal(by, Action::ConversationRemoved, Some(id.to_string()));
    service.events.writer.submit(ServerAction::DeleteByAdmin { entry }.on_conversation(id)).await?;
    Ok(())
}

/// Conversation whose kind has an owner; refused for other kinds.
async fn find_owned(service: &ConversationsService, id: ConversationId) -> Result<AdminConversation, AppError> {
    let conversation = seen::find(service.db.writer(), id).await?.ok_or(Code::NotFound)?;
    if conversation.kind.capabilities().has_owner {
        return Ok(conversation);
    }
    Err(AppError::refused(Code::WrongState, "Only channels and groups have an owner."))
}

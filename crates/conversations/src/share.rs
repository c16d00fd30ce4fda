//! Shared chats: a snapshot of a chat with an assistant, readable by its workspace through a link.
//!
//! The snapshot stores which messages are shown and in which versions; their content is read on
//! access. Later messages are not shown, and deleted or hidden messages disappear. Files, sources
//! and tool calls are not shown.

use std::collections::HashMap;

use appcore::{
    AppError, Code, ConversationId, MessageId, ShareId,
    auth::Principal,
    page::{Page, PageRequest},
    view::{Message, Share, SharedChat, SharedMessage, Sharer},
};
use dbcontext::query::{
    self,
    messages::NamedMessage,
    shares::{self as rows, ShareRow, SharedRow, SharedVersion},
};
use event_log::access;
use uuid::Uuid;

use crate::ConversationsService;

/// Maximum number of messages in a snapshot; of a longer chat, the newest are taken.
const MAX_MESSAGES: usize = 1_000;

/// Share of the caller's chat, if there is one.
pub async fn find_own(
    service: &ConversationsService,
    by: &Principal,
    id: ConversationId,
) -> Result<Option<Share>, AppError> {
    access::member(&service.events, by.user_id, id).await?;
    rows::of_conversation(service.db.reader(), id).await?.map(view).transpose()
}

/// Shares the caller's chat as it is now. If it is shared already, the link stays the same.
pub async fn create(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<Share, AppError> {
    let access = access::member(&service.events, by.user_id, id).await?;
    if !access.kind.capabilities().asks_every_message {
        return Err(AppError::refused(Code::WrongState, "Only chats with an assistant can be shared."));
    }
    let db = service.db.writer();
    let shown = rows::shareable_messages(db, id, MAX_MESSAGES).await?;
    if shown.is_empty() {
        return Err(AppError::refused(Code::WrongState, "There is nothing to share in this chat yet."));
    }
    let messages = serde_json::to_string(&shown).map_err(AppError::internal)?;
    // Random rather than time-ordered, so that the link can't be guessed.
    let link = ShareId(Uuid::new_v4());
    rows::put(db, id, (link, by.user_id), messages, service.clock.now()).await?;
    view(rows::of_conversation(db, id).await?.ok_or(Code::NotFound)?)
}

/// Revokes the link.
pub async fn revoke(service: &ConversationsService, by: &Principal, id: ConversationId) -> Result<(), AppError> {
    access::member(&service.events, by.user_id, id).await?;
    rows::remove(service.db.writer(), id).await
}

/// Finds a shared chat of somebody in the caller's workspace.
pub async fn find(service: &ConversationsService, by: &Principal, id: ShareId) -> Result<SharedChat, AppError> {
    let row = find_readable(service, by, id).await?;
    Ok(SharedChat {
        id: row.id,
        workspace_id: row.workspace_id,
        title: row.title,
        shared_by: Sharer { id: row.user_id, name: row.user_name },
        updated_at: row.updated_at,
    })
}

/// Messages of a shared chat, oldest first. A page has fewer messages if some were deleted or
/// hidden.
pub async fn messages(
    service: &ConversationsService,
    by: &Principal,
    id: ShareId,
    page: PageRequest,
) -> Result<Page<SharedMessage>, AppError> {
    let shown = versions(&find_readable(service, by, id).await?.messages)?;
    let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let take = usize::try_from(page.page_size).unwrap_or(usize::MAX);
    let total = shown.len() as u64;
    let part: Vec<SharedVersion> = shown.into_iter().skip(skip).take(take).collect();
    Ok(Page::new(load_messages(service, &part).await?, page, total))
}

async fn find_readable(service: &ConversationsService, by: &Principal, id: ShareId) -> Result<SharedRow, AppError> {
    rows::find_readable(service.db.reader(), by.user_id, id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Loads messages in the given versions, without those that may no longer be read.
async fn load_messages(service: &ConversationsService, part: &[SharedVersion]) -> Result<Vec<SharedMessage>, AppError> {
    let ids: Vec<MessageId> = part.iter().map(|(id, _)| *id).collect();
    let found = query::messages::get_all(service.db.reader(), &ids).await?;
    let mut found: HashMap<MessageId, NamedMessage> = found.into_iter().map(|row| (row.id, row)).collect();
    let others: Vec<SharedVersion> =
        part.iter().filter(|(id, version)| found.get(id).is_some_and(|row| row.version != *version)).copied().collect();
    let kept =
        if others.is_empty() { Vec::new() } else { rows::version_contents(service.db.reader(), &others).await? };
    for said in kept {
        if let Some(row) = found.get_mut(&said.message_id) {
            (row.content, row.model) = (said.content, said.model);
            row.version = part.iter().find(|(id, _)| *id == row.id).map_or(row.version, |(_, version)| *version);
        }
    }
    let mut messages = Vec::with_capacity(part.len());
    for (id, version) in part {
        let row = found.remove(id).filter(|row| row.version == *version);
        let Some(row) = row.filter(|row| row.deleted_at.is_none() && row.hidden_at.is_none()) else { continue };
        let message = Message::try_from(row)?;
        messages.push(SharedMessage {
            id: message.id,
            sender: message.sender,
            content: message.content,
            model: message.model,
            files: message.attachments.into_iter().map(|file| file.name).collect(),
            created_at: message.created_at,
        });
    }
    Ok(messages)
}

fn view(row: ShareRow) -> Result<Share, AppError> {
    let messages = versions(&row.messages)?.len() as u64;
    Ok(Share { id: row.id, messages, created_at: row.created_at, updated_at: row.updated_at })
}

fn versions(messages: &str) -> Result<Vec<SharedVersion>, AppError> {
    serde_json::from_str(messages).map_err(AppError::internal)
}

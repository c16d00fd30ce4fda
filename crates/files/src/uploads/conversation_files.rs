//! Files of a conversation.

use std::collections::{HashMap, HashSet};

use appcore::{
    AppError, ConversationId, MessageId,
    auth::Principal,
    page::{MAX_PAGE_SIZE, Slice},
    view::{ConversationFile, Message},
};
use dbcontext::query::{
    self,
    uploads::{self as rows, FileFilter},
};
use event_log::access;

use crate::FilesService;

/// Returns the files of the newest messages that have files and that the caller may read, newest
/// first. The files of a message are never split between two pages.
pub async fn of_conversation(
    service: &FilesService,
    by: &Principal,
    id: ConversationId,
    filter: FileFilter,
) -> Result<Slice<ConversationFile>, AppError> {
    let begins_after = access::reader(&service.events, by.user_id, id).await?.hidden_until_seq();
    let limit = filter.limit.clamp(1, MAX_PAGE_SIZE);
    let db = &service.db.replica().await;
    let found = rows::of_conversation(db, id, FileFilter { begins_after, limit: limit + 1, ..filter }).await?;
    let mut shown: Vec<MessageId> = Vec::new();
    for row in &found {
        if shown.last() != Some(&row.message_id) {
            shown.push(row.message_id);
        }
    }
    let has_more = shown.len() as u64 > limit;
    shown.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let messages = query::messages::get_all(db, &shown).await?.into_iter().map(Message::try_from);
    let messages: HashMap<MessageId, Message> =
        messages.map(|message| message.map(|message| (message.id, message))).collect::<Result<_, _>>()?;
    let shown: HashSet<MessageId> = shown.into_iter().collect();
    let mut items = Vec::with_capacity(found.len());
    for row in found.into_iter().filter(|row| shown.contains(&row.message_id)) {
        // Skips a message that was deleted between the two queries.
        let Some(message) = messages.get(&row.message_id) else { continue };
        items.push(ConversationFile {
            upload: row.upload.try_into()?,
            message_id: message.id,
            seq: message.seq,
            sender: message.sender.clone(),
            created_at: message.created_at,
        });
    }
    Ok(Slice { items, has_more })
}

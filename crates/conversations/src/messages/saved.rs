//! Messages that a user has saved.

use appcore::{
    AppError, Code, MessageId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    view::{SavedMessage, SavedState},
};
use dbcontext::query::saved;

use super::find;
use crate::ConversationsService;

/// Maximum number of saved messages per user.
const MAX_SAVED: u64 = 10_000;

/// Saves or unsaves a message and notifies the caller's connections.
pub async fn set(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    is_saved: bool,
) -> Result<(), AppError> {
    let db = service.db.writer();
    let message = find(service, by, message_id).await?;
    let has_changed = if is_saved {
        if message.deleted_at.is_some() {
            return Err(Code::NotFound.into());
        }
        if saved::count(service.db.reader(), by.user_id).await? >= MAX_SAVED {
            return Err(AppError::refused(Code::TooMany, format!("You can save up to {MAX_SAVED} messages.")));
        }
        saved::insert(db, by.user_id, message_id, service.clock.now()).await?
    } else {
        saved::remove(db, by.user_id, message_id).await?
    };
    if has_changed {
        let conversation_id = message.conversation_id;
        service.notify_user(by.user_id, &Event::SavedUpdated { conversation_id, message_id, saved: is_saved })?;
    }
    Ok(())
}

/// True if the caller has saved the message.
pub async fn state(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
) -> Result<SavedState, AppError> {
    find(service, by, message_id).await?;
    Ok(SavedState { saved: saved::is_saved(service.db.reader(), by.user_id, message_id).await? })
}

/// Saved messages of the caller, newest first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<SavedMessage>, AppError> {
    let (items, total) = saved::list(&service.db.replica().await, by.user_id, page).await?;
    Ok(Page::new(items, page, total))
}

//! Drafts of messages, synchronised across a user's devices.

use appcore::{
    AppError, Code, Timestamp,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text::Content,
    view::Draft,
};
use dbcontext::{
    constraint::app_error,
    query::{drafts as rows, texts::row_bytes},
};
use event_log::access;
use files::quotas;

use super::{find, max_chars, may_reply_to};
use crate::ConversationsService;

/// Maximum number of drafts per user.
const MAX_DRAFTS: u64 = 1_000;

/// Stores a draft unless another device has stored a more recent one, and notifies the caller's
/// connections. Returns the draft that is stored afterwards. In a conversation that the caller can no longer read, a
/// stored draft can only be deleted.
pub async fn save(
    service: &ConversationsService,
    by: &Principal,
    mut draft: Draft,
    written_at: Option<Timestamp>,
) -> Result<Draft, AppError> {
    let reader = access::reader(&service.events, by.user_id, draft.conversation_id).await;
    draft.content = Content::parse_with_files(draft.content, max_chars(service))?.into_string();
    if let Err(error) = reader {
        let is_stored = rows::find(service.db.reader(), by.user_id, &draft).await?.is_some();
        if error.code() != Code::NotFound || !draft.content.is_empty() || !is_stored {
            return Err(error);
        }
    }
    if !draft.content.is_empty() {
        if let Some(root_id) = draft.thread_id {
            let root = find(service, by, root_id).await.ok();
            let is_root = |id| id == draft.conversation_id;
            if !root.is_some_and(|root| root.thread_id.is_none() && is_root(root.conversation_id)) {
                return Err(AppError::field("thread_id", "not_found", "This thread doesn't exist here."));
            }
        }
        if rows::count(service.db.reader(), by.user_id).await? >= MAX_DRAFTS
            && rows::find(service.db.reader(), by.user_id, &draft).await?.is_none()
        {
            return Err(AppError::refused(Code::TooMany, format!("You can have up to {MAX_DRAFTS} drafts.")));
        }
    }
    if let Some(reply_to) = draft.reply_to
        && !may_reply_to(service, by.user_id, draft.conversation_id, reply_to).await?
    {
        if !draft.content.is_empty() {
            return Err(AppError::refused(
                Code::NotFound,
                "The message you're replying to isn't in this conversation.",
            ));
        }
        // The message replied to may have been deleted, and removing a draft must still work then.
        draft.reply_to = None;
    }
    let now = service.clock.now();
    // The time is capped at the server's, so that a device whose clock is ahead doesn't always win.
    draft.updated_at = written_at.unwrap_or(now).min(now);
    let tx = service.db.begin().await.map_err(app_error)?;
    let before = rows::find(&tx, by.user_id, &draft).await?;
    let bytes = |draft: &Draft| row_bytes(&[&draft.content]);
    quotas::check_text_quota(&service.files, &tx, by.user_id, before.as_ref().map_or(0, bytes), bytes(&draft)).await?;
    if !rows::upsert(&tx, by.user_id, &draft).await? {
        tx.rollback().await.map_err(app_error)?;
        return Ok(rows::find(service.db.writer(), by.user_id, &draft).await?.unwrap_or(draft));
    }
    tx.commit().await.map_err(app_error)?;
    let Draft { conversation_id, thread_id, content, reply_to, updated_at } = draft.clone();
    service
        .notify_user(by.user_id, &Event::DraftUpdated { conversation_id, thread_id, content, reply_to, updated_at })?;
    Ok(draft)
}

/// Drafts of the caller, newest first.
pub async fn list(service: &ConversationsService, by: &Principal, page: PageRequest) -> Result<Page<Draft>, AppError> {
    let (items, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    Ok(Page::new(items, page, total))
}

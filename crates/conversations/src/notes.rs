//! Personal notes, synchronised across a user's devices with optimistic locking. A device sends
//! each change with the version that it is based on. If the note has changed since, the server
//! refuses the change and the device keeps both versions.

use std::time::Duration;

use appcore::{
    AppError, Code, NoteId, Timestamp, UserId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text::Content,
    text_field::parse_line,
    view::Note,
};
use dbcontext::{
    constraint::app_error,
    query::{notes as rows, texts::row_bytes, users},
};
use files::quotas;
use serde_json::json;

use crate::ConversationsService;

pub const MAX_TITLE_CHARS: usize = 200;
pub const MAX_CONTENT_CHARS: usize = 100_000;
const MAX_NOTES: u64 = 5_000;
/// Maximum page size, because a page is held in memory and a note may be long.
const MAX_PAGE: u64 = 25;
/// Time for which deleted notes are kept as tombstones, and so the maximum age of a synchronisation
/// cursor.
const TOMBSTONE_RETENTION: Duration = Duration::from_secs(90 * 24 * 3_600);

/// Content of a note, as a device sends it.
#[derive(Clone, Debug)]
pub struct NoteInput {
    pub title: String,
    pub content: String,
    pub pinned: bool,
    /// Version that the change is based on; 0 for a new note.
    pub version: i64,
    /// Time of the edit, by the device's clock.
    pub edited_at: Option<Timestamp>,
}

/// Notes of the caller stored after `since`, including tombstones; without `since` all existing
/// notes. Returns `CursorExpired` if `since` is too old.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    since: Option<Timestamp>,
    page: PageRequest,
) -> Result<Page<Note>, AppError> {
    if since.is_some_and(|since| since < service.clock.now().minus(TOMBSTONE_RETENTION)) {
        return Err(AppError::refused(Code::CursorExpired, "This is too old. Load all notes again."));
    }
    let page = PageRequest::new(Some(page.page), Some(page.page_size.min(MAX_PAGE)));
    let (items, total) =
        rows::changed_since(service.db.reader(), by.user_id, since, page.page_size, page.offset()).await?;
    Ok(Page::new(items, page, total))
}

pub async fn find(service: &ConversationsService, by: &Principal, id: NoteId) -> Result<Note, AppError> {
    let note = rows::find(service.db.reader(), by.user_id, id).await?;
    note.filter(|note| note.deleted_at.is_none()).ok_or_else(|| Code::NotFound.into())
}

/// Stores a note. The flag is true if it is new. Idempotent. Returns `Stale` with the current note
/// on a version conflict.
pub async fn save(
    service: &ConversationsService,
    by: &Principal,
    id: NoteId,
    text: NoteInput,
) -> Result<(Note, bool), AppError> {
    let title =
        if text.title.trim().is_empty() { String::new() } else { parse_line("title", &text.title, MAX_TITLE_CHARS)? };
    let content = Content::parse_with_files(text.content, MAX_CONTENT_CHARS)?.into_string();
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    // Serialises the changes of a user's notes, so that each has a distinct timestamp.
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let before = rows::find(&tx, by.user_id, id).await?;
    if let Some(before) = &before {
        let is_same = (&before.title, &before.content, before.pinned) == (&title, &content, text.pinned);
        if is_same && before.deleted_at.is_none() {
            tx.rollback().await.map_err(app_error)?;
            return Ok((before.clone(), false));
        }
        if before.version != text.version {
            return Err(stale(before));
        }
    } else if text.version != 0 {
        // The note was deleted so long ago that its tombstone is gone.
        return Err(Code::NotFound.into());
    }
    let is_there = before.as_ref().is_some_and(|before| before.deleted_at.is_none());
    if !is_there && rows::count(&tx, by.user_id).await? >= MAX_NOTES {
        return Err(AppError::refused(Code::TooMany, format!("You can have up to {MAX_NOTES} notes.")));
    }
    let note = Note {
        id,
        title,
        content,
        pinned: text.pinned,
        version: text.version + 1,
        created_at: before.as_ref().map_or(now, |before| before.created_at),
        edited_at: text.edited_at.map_or(now, |at| at.min(now)),
        updated_at: next_timestamp(&tx, by.user_id, now).await?,
        deleted_at: None,
    };
    let bytes = |note: &Note| row_bytes(&[&note.title, &note.content]);
    quotas::check_text_quota(&service.files, &tx, by.user_id, before.as_ref().map_or(0, bytes), bytes(&note)).await?;
    rows::upsert(&tx, by.user_id, &note).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, by, &note)?;
    Ok((note, before.is_none()))
}

/// Deletes a note on all devices. Idempotent.
pub async fn delete(
    service: &ConversationsService,
    by: &Principal,
    id: NoteId,
    version: Option<i64>,
) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let before = rows::find(&tx, by.user_id, id).await?.ok_or(Code::NotFound)?;
    if before.deleted_at.is_some() {
        return tx.rollback().await.map_err(app_error);
    }
    if version.is_some_and(|version| version != before.version) {
        return Err(stale(&before));
    }
    let note = Note {
        title: String::new(),
        content: String::new(),
        pinned: false,
        version: before.version + 1,
        updated_at: next_timestamp(&tx, by.user_id, now).await?,
        deleted_at: Some(now),
        ..before
    };
    rows::upsert(&tx, by.user_id, &note).await?;
    rows::purge_deleted(&tx, by.user_id, now.minus(TOMBSTONE_RETENTION)).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, by, &note)
}

fn stale(note: &Note) -> AppError {
    AppError::detailed(Code::Stale, json!(note))
}

/// Current time, but at least 1 ms after the last change of the user's notes.
async fn next_timestamp<C: sea_orm::ConnectionTrait>(
    db: &C,
    user: UserId,
    now: Timestamp,
) -> Result<Timestamp, AppError> {
    let last = rows::last_change(db, user).await?;
    Ok(last.map_or(now, |last| now.max(last.plus(Duration::from_millis(1)))))
}

fn publish(service: &ConversationsService, by: &Principal, note: &Note) -> Result<(), AppError> {
    service.notify_user(
        by.user_id,
        &Event::NoteChanged { note_id: note.id, version: note.version, updated_at: note.updated_at },
    )
}

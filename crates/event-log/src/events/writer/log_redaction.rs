//! Redaction: removes edited and deleted text from the log in the same transaction, so later
//! readers of the log never see it.
//!
//! A message's text is in the event that created it and in the newest of its later events. When the
//! text changes, the event that created the message gets the new content, the newest later event
//! loses its content, and the event of the change itself contains the new text.

use appcore::{AppError, view::Message};
use dbcontext::query;
use serde_json::{Value, json};

use super::batch::Batch;

/// Removes the previous content of `message` from its events. `message` is given in its new state.
pub(super) async fn redact(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    let found = query::events::text_events(batch.db, message.conversation_id, message.seq, message.id).await?;
    let mut changed = Vec::with_capacity(found.len());
    for mut event in found {
        let is_creation = event.seq == message.seq;
        if !is_creation || is_about(&event.payload, message)? {
            event.payload = redacted(&event.payload, message, is_creation)?;
            changed.push(event);
        }
    }
    query::events::rewrite(batch.db, changed, true).await?;
    redact_pending(batch, message)
}

/// True if the event is about this message. Needed because a second answer has the sequence number
/// of an event about its question.
fn is_about(payload: &str, message: &Message) -> Result<bool, AppError> {
    let payload: Value = serde_json::from_str(payload).map_err(AppError::internal)?;
    Ok(payload.pointer("/message/id") == Some(&json!(message.id)))
}

/// Removes the link previews from the events of a message. The text stays.
pub(super) async fn redact_previews(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    let events = query::events::text_events(batch.db, message.conversation_id, message.seq, message.id).await?;
    let mut changed = Vec::new();
    for mut event in events {
        let mut payload: Value = serde_json::from_str(&event.payload).map_err(AppError::internal)?;
        let told =
            payload.get_mut("message").and_then(Value::as_object_mut).and_then(|told| told.shift_remove("previews"));
        let own = payload.get_mut("previews").map(|previews| *previews = json!([]));
        if told.is_some() || own.is_some() {
            event.payload = payload.to_string();
            changed.push(event);
        }
    }
    query::events::rewrite(batch.db, changed, false).await
}

/// Redacts the events of this batch, which aren't stored yet, for a message that the batch changes
/// twice.
pub(super) fn redact_pending(batch: &mut Batch<'_>, message: &Message) -> Result<(), AppError> {
    batch.rewrite_pending(message.id, |payload| redacted(payload, message, false))?;
    batch.has_removed_text = true;
    Ok(())
}

pub(super) fn redacted(payload: &str, message: &Message, is_creation: bool) -> Result<String, AppError> {
    let mut payload: Value = serde_json::from_str(payload).map_err(AppError::internal)?;
    if let Some(previews) = payload.get_mut("previews") {
        *previews = json!([]);
    }
    if let Some(told) = payload.get_mut("message").and_then(Value::as_object_mut) {
        // An answer's creation event has no content until the answer ends.
        let had_text = told.get("content").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        let had_files = told.get("attachments").and_then(Value::as_array).is_some_and(|files| !files.is_empty());
        let had_calls = told.shift_remove("tool_calls").is_some();
        told.shift_remove("previews");
        if had_text || had_calls || had_files {
            let (content, files) =
                if is_creation { (message.content.as_str(), message.attachments.as_slice()) } else { ("", &[][..]) };
            told.insert("content".to_owned(), json!(content));
            told.insert("attachments".to_owned(), json!(files));
            told.insert("edited_at".to_owned(), json!(message.edited_at));
            told.insert("deleted_at".to_owned(), json!(message.deleted_at));
            told.shift_remove("mentions");
            if is_creation && !message.mentions.is_empty() {
                told.insert("mentions".to_owned(), json!(message.mentions));
            }
            told.shift_remove("poll");
            if let Some(poll) = message.poll.as_ref().filter(|_| is_creation) {
                told.insert("poll".to_owned(), json!(poll));
            }
            if message.hidden_at.is_some() {
                told.insert("hidden_at".to_owned(), json!(message.hidden_at));
            }
        }
    }
    Ok(payload.to_string())
}

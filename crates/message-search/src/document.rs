//! Conversion of messages to index documents.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use ::search::{Has, tokens};
use appcore::{
    UploadId,
    view::{MessageStatus, SenderKind, Upload},
};
use dbcontext::query::search::IndexedMessage;

use crate::index::{Change, Document};

/// Extracted texts of the files of a message, by upload.
pub(super) type Texts = HashMap<UploadId, String>;

/// Returns the index change for a message. An unfinished answer is not indexed before it is complete; system messages
/// are not searchable.
pub(super) fn change(row: &IndexedMessage, texts: &Texts) -> Change {
    let is_shown =
        row.deleted_at.is_none() && row.status != MessageStatus::Streaming && row.sender_kind != SenderKind::System;
    if !is_shown {
        return Change::Remove(row.id.0);
    }
    let files = parse_files(row.attachments.as_deref());
    let author = row.sender_id.filter(|_| row.sender_kind != SenderKind::Deleted);
    Change::Put(Document {
        message: row.id.0,
        conversation: row.conversation_id.0,
        author,
        created_at: row.created_at,
        has: has(&row.content, &files),
        tokens: tokens(&text_with_files(&row.content, &files, texts).0),
    })
}

/// Searchable text of a message: its content, then the names of its files and the transcripts of voice notes.
pub(super) fn text(content: &str, files: &[Upload]) -> String {
    let mut text = content.to_owned();
    for file in files {
        for more in [Some(&file.name), file.transcript.as_ref()].into_iter().flatten() {
            text.push('\n');
            text.push_str(more);
        }
    }
    text
}

/// Returns the [`text`] of a message followed by the texts of its files. The list has the index of each file and the
/// byte range of its text.
pub(super) fn text_with_files(content: &str, files: &[Upload], texts: &Texts) -> (String, Vec<(usize, Range<usize>)>) {
    let mut text = text(content, files);
    let mut places = Vec::new();
    for (number, file) in files.iter().enumerate() {
        if let Some(said) = texts.get(&file.id) {
            text.push('\n');
            let start = text.len();
            text.push_str(said);
            places.push((number, start..text.len()));
        }
    }
    (text, places)
}

/// Files of a message; empty if the stored JSON is unreadable.
pub(super) fn parse_files(stored: Option<&str>) -> Vec<Upload> {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

pub(super) fn has(content: &str, files: &[Upload]) -> BTreeSet<Has> {
    let mut has = BTreeSet::new();
    for file in files {
        has.insert(Has::File);
        if file.media_type.starts_with("image/") {
            has.insert(Has::Image);
        }
        if file.kind == appcore::view::UploadKind::Voice {
            has.insert(Has::Voice);
        }
    }
    if content.contains("https://") || content.contains("http://") {
        has.insert(Has::Link);
    }
    has
}

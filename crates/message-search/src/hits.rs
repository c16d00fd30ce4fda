//! Hits as they are shown: current messages that the user may read, with highlights.

use std::{collections::HashMap, ops::Range};

use ::search::{Interpretation, Match, Matcher, utf16};
use appcore::{
    AppError,
    view::{FoundConversation, FoundInFile, Message, SearchHit},
};
use dbcontext::query::search::{self as rows, Readable};
use uuid::Uuid;

use crate::{SearchService, document, files, plan::PlannedSearch, run_blocking, window::Hit};

/// Maximum length of a file excerpt in bytes, and of its part before the first highlight.
const MAX_EXCERPT_BYTES: usize = 240;
const MAX_EXCERPT_BYTES_BEFORE: usize = 60;

/// Returns the hits as current messages. Those that the user may not read are left out.
pub(super) async fn shown_hits(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Interpretation,
    hits: &[&Hit],
) -> Result<Vec<SearchHit>, AppError> {
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let in_files: Vec<Uuid> = hits.iter().filter(|hit| hit.is_in_files).map(|hit| hit.candidate.message).collect();
    let mut said = HashMap::new();
    if !in_files.is_empty() {
        said = files::by_message(rows::shown_file_texts(&service.db.replica().await, asked.user, &in_files).await?);
    }
    let ids: Vec<Uuid> = hits.iter().map(|hit| hit.candidate.message).collect();
    let found = rows::readable_messages(&service.db.replica().await, asked.user, &ids).await?;
    let mut found: HashMap<Uuid, _> = found.into_iter().map(|row| (row.id.0, row)).collect();
    let mut messages = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(row) = found.remove(&hit.candidate.message) else { continue };
        let message = match Message::try_from(row) {
            Ok(message) => message,
            Err(error) => {
                // This hit is left out; the others are returned.
                tracing::warn!(%error, id = %hit.candidate.message, "failed to read found message");
                continue;
            }
        };
        let texts = hit.is_in_files.then(|| said.remove(&message.id.0).unwrap_or_default());
        messages.push((message, hit.found.highlights.clone(), texts));
    }
    let (query, reading) = (asked.query.clone(), reading.clone());
    let mut shown = run_blocking(move || {
        let located =
            |(message, highlights, texts)| highlight(&Matcher::new(&query, &reading), message, highlights, texts);
        messages.into_iter().filter_map(located).collect::<Vec<SearchHit>>()
    })
    .await?;
    for hit in &mut shown {
        let conversation = hit.message.as_ref().map(|message| message.conversation_id.0);
        hit.conversation = conversation.and_then(|id| asked.conversations.get(&id)).map(found_conversation);
    }
    Ok(shown)
}

/// Returns a message with highlights in its own text or in the `texts` of its files; `None` if neither matches any
/// more.
fn highlight(
    matcher: &Matcher<'_>,
    message: Message,
    mut highlights: Vec<Range<usize>>,
    texts: Option<document::Texts>,
) -> Option<SearchHit> {
    let mut file = None;
    if let Some(texts) = texts {
        let (text, parts) = document::text_with_files(&message.content, &message.attachments, &texts);
        let found = matcher.matches(&text)?;
        file = file_excerpt(&message, &text, &parts, &found);
        highlights = found.highlights;
    }
    highlights.retain(|range| range.end <= message.content.len());
    let is_whole = highlights.iter().all(|range| message.content.get(range.clone()).is_some());
    let highlights = if is_whole { utf16(&message.content, &highlights) } else { Vec::new() };
    Some(SearchHit { message: Some(message), highlights, file, ..SearchHit::default() })
}

/// Returns an excerpt, around the highlights, of the first of a message's files that matches.
fn file_excerpt(message: &Message, text: &str, parts: &[(usize, Range<usize>)], found: &Match) -> Option<FoundInFile> {
    let (first, (number, part)) = found.highlights.iter().find_map(|place| {
        let part = parts.iter().find(|(_, part)| part.start <= place.start && place.end <= part.end)?;
        Some((place, part))
    })?;
    let file = message.attachments.get(*number)?;
    let start = text.ceil_char_boundary(part.start.max(first.start.saturating_sub(MAX_EXCERPT_BYTES_BEFORE)));
    let end = text.floor_char_boundary(part.end.min(start + MAX_EXCERPT_BYTES)).max(first.end);
    let within: Vec<Range<usize>> = found
        .highlights
        .iter()
        .filter(|place| start <= place.start && place.end <= end)
        .map(|place| place.start - start..place.end - start)
        .collect();
    // Line breaks and tabs are replaced by spaces, which have one byte too, so that offsets stay valid.
    let excerpt = text.get(start..end)?.replace(['\n', '\t'], " ");
    let highlights = utf16(&excerpt, &within);
    Some(FoundInFile { upload_id: file.id, name: file.name.clone(), excerpt, highlights })
}

pub(super) fn found_conversation(one: &Readable) -> FoundConversation {
    FoundConversation { id: one.id, kind: one.kind, title: one.title.clone() }
}

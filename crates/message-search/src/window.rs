//! Scans the newest candidates in windows: reads the messages that the user may read, and matches them with the query.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ::search::{Deadline, Has, Interpretation, Is, Match, Matcher, Query, WordCounts, tokens};
use appcore::{
    AppError, Timestamp,
    view::{SearchSort, SenderKind, Upload},
};
use dbcontext::query::search as rows;
use uuid::Uuid;

use crate::{
    SearchService, Words, document, files,
    index::{Candidate, Plan},
    plan::PlannedSearch,
    rank::rank,
    run_blocking,
};

/// Maximum number of messages matched at once.
pub(super) const WINDOW: u32 = 500;
/// Maximum number of characters per message that are matched.
const MAX_MATCHED_CHARS: u32 = 16_000;
/// Maximum number of messages per window whose files are matched as well. Of further messages the files are assumed to
/// match, and are checked when the message is shown.
const MAX_MATCHED_FILES: usize = 20;
/// Bonus for a message in a conversation of the user.
const OWN_CONVERSATION_BONUS: u32 = 1;

/// Matching message.
pub(super) struct Hit {
    pub(super) candidate: Candidate,
    pub(super) conversation: Uuid,
    /// Author, unless the account was deleted.
    pub(super) author: Option<Uuid>,
    pub(super) created_at: Timestamp,
    pub(super) found: Match,
    pub(super) score: u32,
    pub(super) has: BTreeSet<Has>,
    /// True if the match needs the texts of the message's files.
    pub(super) is_in_files: bool,
}

/// Part of the results, best hit first.
pub(super) struct Window {
    pub(super) hits: Vec<Hit>,
    /// Document number below which there may be more.
    pub(super) next: Option<i64>,
    /// Time of the oldest readable message that was examined.
    pub(super) end: Option<Timestamp>,
    /// Interpretation of the query that was used.
    pub(super) reading: Interpretation,
}

/// Scans messages that match with this interpretation.
pub(super) async fn scan_window(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Interpretation,
    candidates: Vec<Candidate>,
) -> Result<Window, AppError> {
    let is_full = candidates.len() >= usize::try_from(WINDOW).unwrap_or(usize::MAX);
    let last = candidates.last().filter(|_| is_full).map(|last| last.number);
    let MatchedWindow { hits, end, reading, stopped_at } =
        match_window(service, asked, reading, false, candidates).await?;
    let next = stopped_at.or(last);
    Ok(Window { hits, next, end: end.filter(|_| next.is_some()), reading })
}

/// Scans messages that match with similar words, together with the exact matches in `exact`.
pub(super) async fn scan_similar(
    service: &SearchService,
    asked: &PlannedSearch,
    exact: Vec<Candidate>,
    words: &Words,
    below: i64,
) -> Result<Window, AppError> {
    let wide = {
        let (query, words, deadline) = (asked.query.clone(), Arc::clone(words), asked.deadline);
        run_blocking(move || Interpretation::fuzzy(&query, words.as_ref(), deadline)).await?
    };
    let mut found = candidates(service, asked, &wide, true, below).await?;
    let there: BTreeSet<Uuid> = found.iter().map(|candidate| candidate.message).collect();
    found.extend(exact.into_iter().filter(|candidate| !there.contains(&candidate.message)));
    let MatchedWindow { hits, reading, .. } = match_window(service, asked, &wide, true, found).await?;
    Ok(Window { hits, next: None, end: None, reading })
}

pub(super) async fn candidates(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Interpretation,
    is_wide: bool,
    below: i64,
) -> Result<Vec<Candidate>, AppError> {
    let below = (below < i64::MAX).then_some(below);
    let plan = Plan { all: reading.atoms(&asked.query), is_wide, below, ..asked.plan.clone() };
    let found = service.index.candidates(plan);
    match asked.deadline.remaining() {
        Some(limit) => tokio::time::timeout(limit, found).await.unwrap_or_else(|_| Ok(Vec::new())),
        None => found.await,
    }
}

/// Returns the interpretation of the words if the index finds similar words itself. It is derived from the words of the
/// found messages.
fn interpret_hits(
    query: &Query,
    (is_wide, deadline): (bool, Deadline),
    texts: impl Iterator<Item = impl AsRef<str>>,
) -> Interpretation {
    let tokens =
        texts.map(|text| tokens(text.as_ref())).flat_map(|tokens| tokens.words.into_iter().chain(tokens.additional));
    let words: WordCounts = tokens.map(|token| token.term).collect::<BTreeSet<String>>().into_iter().collect();
    if is_wide { Interpretation::fuzzy(query, &words, deadline) } else { Interpretation::exact(query, &words) }
}

/// Result of matching a window.
struct MatchedWindow {
    /// Hits, best first.
    hits: Vec<Hit>,
    /// Time of the oldest readable message. The times of unreadable messages must not be disclosed.
    end: Option<Timestamp>,
    /// Interpretation of the query that was used.
    reading: Interpretation,
    /// Document number of the last message that was matched before the deadline, if others were left.
    stopped_at: Option<i64>,
}

/// Reads the candidates that the user may read, and matches them.
async fn match_window(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Interpretation,
    is_wide: bool,
    candidates: Vec<Candidate>,
) -> Result<MatchedWindow, AppError> {
    if candidates.is_empty() {
        return Ok(MatchedWindow { hits: Vec::new(), end: None, reading: reading.clone(), stopped_at: None });
    }
    let has_own_words = service.index.vocabulary().is_none();
    let ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.message).collect();
    let saved_by = asked.query.is.contains(&Is::Saved).then_some(asked.user);
    let texts =
        rows::match_candidates(&service.db.replica().await, &ids, (asked.after_seq, MAX_MATCHED_CHARS), saved_by)
            .await?;
    let readable = Arc::clone(&asked.conversations);
    let deadline = asked.deadline;
    let (query, mut words) = (asked.query.clone(), reading.clone());
    let work = move || {
        let rows = texts
            .rows()?
            .into_iter()
            .filter(|text| readable.get(&text.conversation_id.0).is_some_and(|place| text.seq > place.history_start));
        let mut texts: HashMap<Uuid, _> = rows.map(|text| (text.id.0, text)).collect();
        let mut end = None;
        if has_own_words {
            let said = texts
                .values()
                .map(|text| document::text(&text.content, &document::parse_files(text.attachments.as_deref())));
            words = interpret_hits(&query, (is_wide, deadline), said);
        }
        let matcher = Matcher::new(&query, &words);
        let (mut hits, mut open) = (Vec::new(), Vec::new());
        let (mut compared_to, mut stopped_at) = (None, None);
        for candidate in candidates {
            if deadline.has_passed() && compared_to.is_some() {
                stopped_at = compared_to;
                break;
            }
            compared_to = Some(candidate.number);
            let Some(text) = texts.remove(&candidate.message) else { continue };
            let conversation = text.conversation_id.0;
            end = Some(text.created_at);
            let is_so = |is: &Is| match is {
                Is::Thread => text.is_in_thread,
                Is::Pinned => text.is_pinned,
                Is::Saved => text.is_saved,
            };
            if !query.is.iter().all(is_so) {
                continue;
            }
            let files = document::parse_files(text.attachments.as_deref());
            let found = matcher.matches(&document::text(&text.content, &files));
            // The end of a truncated text is not examined and is assumed to match.
            let is_in_files = found.is_none() && text.has_file_text && !text.is_cut;
            let Some(found) = found.or_else(|| (text.is_cut || is_in_files).then(Match::default)) else { continue };
            let is_own = readable.get(&conversation).is_some_and(|place| place.is_member);
            let score = found.score + if is_own { OWN_CONVERSATION_BONUS } else { 0 };
            let hit = Hit {
                candidate,
                conversation,
                author: text.sender_id.filter(|_| text.sender_kind != SenderKind::Deleted),
                created_at: text.created_at,
                found,
                score,
                has: document::has(&text.content, &files),
                is_in_files,
            };
            if is_in_files && open.len() < MAX_MATCHED_FILES {
                open.push((hit, text.content, files));
            } else {
                hits.push(hit);
            }
        }
        Ok::<_, AppError>((hits, open, words, (end, stopped_at)))
    };
    let (mut hits, open, mut reading, (end, stopped_at)) = run_blocking(work).await??;
    if !open.is_empty() {
        let ids: Vec<Uuid> = open.iter().map(|(hit, ..)| hit.candidate.message).collect();
        let said = files::by_message(rows::shown_file_texts(&service.db.replica().await, asked.user, &ids).await?);
        let (query, mut words) = (asked.query.clone(), reading);
        let work = move || {
            if has_own_words {
                let all = open.iter().map(|(_, content, _)| content.as_str());
                let in_files = said.values().flat_map(HashMap::values).map(String::as_str);
                words.add(interpret_hits(&query, (is_wide, deadline), all.chain(in_files)));
            }
            let matcher = Matcher::new(&query, &words);
            let compared = |(hit, content, files): (Hit, String, Vec<Upload>)| {
                if deadline.has_passed() {
                    return None;
                }
                let (text, _) = document::text_with_files(&content, &files, said.get(&hit.candidate.message)?);
                let found = matcher.matches(&text)?;
                Some(Hit { score: hit.score + found.score, found, ..hit })
            };
            let compared: Vec<Hit> = open.into_iter().filter_map(compared).collect();
            (compared, words)
        };
        let (compared, words) = run_blocking(work).await?;
        hits.extend(compared);
        reading = words;
    }
    match asked.sort {
        SearchSort::Newest => hits.sort_by_key(|hit| Reverse(hit.candidate.number)),
        SearchSort::Relevance => hits = rank(hits),
    }
    Ok(MatchedWindow { hits, end, reading, stopped_at })
}

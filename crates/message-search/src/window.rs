//! Looks through the newest messages that may answer, a window at a time: reads them as far as they may be read, and compares them with the query.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use ::search::{Candidate, Deadline, Dictionary, Has, Is, Match, Matcher, Plan, Query, Reading, Term, tokens};
use appcore::{
    AppError,
    view::{SearchSort, Upload},
};
use dbcontext::query::search as rows;
use uuid::Uuid;

use crate::{SearchService, document, files, off_loop, plan::PlannedSearch, rank::ranked};

/// Messages that are compared at once.
pub(super) const WINDOW: u32 = 500;
/// Characters of a message that are compared.
const CHARS: u32 = 16_000;
/// Messages of a window whose files are compared as well; of the others it is believed that they say it, until they are shown.
const FILES: usize = 20;
/// For a message of a conversation that one is in.
const OWN: u32 = 1;

/// A message that answers.
pub(super) struct Hit {
    pub(super) candidate: Candidate,
    pub(super) found: Match,
    pub(super) score: u32,
    pub(super) has: BTreeSet<Has>,
    /// What is asked for is not in what the message says alone, but in its files.
    pub(super) is_in_files: bool,
}

/// A part of what answers, in its order.
pub(super) struct Window {
    pub(super) hits: Vec<Hit>,
    /// There may be more below this number.
    pub(super) next: Option<i64>,
    /// When the last message that was looked at, and that may be read, was sent.
    pub(super) end: Option<i64>,
    /// How the words were understood.
    pub(super) reading: Reading,
}

/// Those of these messages that answer with these words.
pub(super) async fn window(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Reading,
    candidates: Vec<Candidate>,
) -> Result<Window, AppError> {
    let is_full = candidates.len() >= usize::try_from(WINDOW).unwrap_or(usize::MAX);
    let last = candidates.last().filter(|_| is_full).map(|last| last.number);
    let Compared { hits, end, reading, stopped_at } = compare(service, asked, reading, false, candidates).await?;
    let next = stopped_at.or(last);
    Ok(Window { hits, next, end: end.filter(|_| next.is_some()), reading })
}

/// The newest messages that answer with similar words, and those of `exact` that answer with what was typed.
pub(super) async fn similar(
    service: &SearchService,
    asked: &PlannedSearch,
    exact: Vec<Candidate>,
    words: &Dictionary,
    below: i64,
) -> Result<Window, AppError> {
    let wide = {
        let (query, words, deadline) = (asked.query.clone(), words.clone(), asked.deadline);
        off_loop(move || Reading::wide(&query, &words, deadline)).await?
    };
    let mut found = candidates(service, asked, &wide, true, below).await?;
    let there: BTreeSet<i64> = found.iter().map(|candidate| candidate.number).collect();
    found.extend(exact.into_iter().filter(|candidate| !there.contains(&candidate.number)));
    let Compared { hits, reading, .. } = compare(service, asked, &wide, true, found).await?;
    Ok(Window { hits, next: None, end: None, reading })
}

pub(super) async fn candidates(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Reading,
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

/// How the words are understood where the index knows by itself which are like others: by the words of what it has found.
fn understood(
    query: &Query,
    (is_wide, deadline): (bool, Deadline),
    texts: impl Iterator<Item = impl AsRef<str>>,
) -> Reading {
    let tokens =
        texts.map(|text| tokens(text.as_ref())).flat_map(|tokens| tokens.words.into_iter().chain(tokens.others));
    let words: BTreeSet<String> = tokens.map(|token| token.term).collect();
    let terms = words.into_iter().zip(1..).map(|(text, number)| Term { number, text, count: 1 });
    let words = Dictionary::default().with(terms.collect());
    if is_wide { Reading::wide(query, &words, deadline) } else { Reading::exact(query, &words) }
}

/// What was read and compared.
struct Compared {
    /// The best first.
    hits: Vec<Hit>,
    /// When the last of what may be read was sent: when others were tells of what may not be.
    end: Option<i64>,
    /// How the words were understood.
    reading: Reading,
    /// The number of the last message that was compared before the deadline, where there were more.
    stopped_at: Option<i64>,
}

/// Reads what may answer, as far as it may be read, and compares it.
async fn compare(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Reading,
    is_wide: bool,
    candidates: Vec<Candidate>,
) -> Result<Compared, AppError> {
    if candidates.is_empty() {
        return Ok(Compared { hits: Vec::new(), end: None, reading: reading.clone(), stopped_at: None });
    }
    let has_own_words = service.index.has_own_words();
    let ids: Vec<Uuid> = candidates.iter().map(|candidate| candidate.message).collect();
    let texts = rows::compared(service.db.reader(), asked.user, &ids, (asked.after_seq, CHARS)).await?;
    let own: BTreeSet<Uuid> = asked.conversations.values().filter(|one| one.is_member).map(|one| one.id.0).collect();
    let deadline = asked.deadline;
    let (query, mut words) = (asked.query.clone(), reading.clone());
    let work = move || {
        let mut texts: HashMap<Uuid, _> = texts.rows()?.into_iter().map(|text| (text.id.0, text)).collect();
        let mut end = None;
        if has_own_words {
            let said =
                texts.values().map(|text| document::text(&text.content, &document::files(text.attachments.as_deref())));
            words = understood(&query, (is_wide, deadline), said);
        }
        let matcher = Matcher::new(&query, &words);
        let (mut hits, mut open) = (Vec::new(), Vec::new());
        let (mut compared_to, mut stopped_at) = (None, None);
        for candidate in candidates {
            if deadline.is_over() && compared_to.is_some() {
                stopped_at = compared_to;
                break;
            }
            compared_to = Some(candidate.number);
            let Some(text) = texts.remove(&candidate.message) else { continue };
            end = Some(candidate.created_at);
            let is_so = |is: &Is| match is {
                Is::Thread => text.is_in_thread,
                Is::Pinned => text.is_pinned,
                Is::Saved => text.is_saved,
            };
            if !query.is.iter().all(is_so) {
                continue;
            }
            let files = document::files(text.attachments.as_deref());
            let found = matcher.matches(&document::text(&text.content, &files));
            // What is behind the part that was read is believed.
            let is_in_files = found.is_none() && text.has_file_text && !text.is_cut;
            let Some(found) = found.or_else(|| (text.is_cut || is_in_files).then(Match::default)) else { continue };
            let score = found.score + if own.contains(&candidate.conversation) { OWN } else { 0 };
            let hit = Hit { candidate, found, score, has: document::has(&text.content, &files), is_in_files };
            if is_in_files && open.len() < FILES {
                open.push((hit, text.content, files));
            } else {
                hits.push(hit);
            }
        }
        Ok::<_, AppError>((hits, open, words, (end, stopped_at)))
    };
    let (mut hits, open, mut reading, (end, stopped_at)) = off_loop(work).await??;
    if !open.is_empty() {
        let ids: Vec<Uuid> = open.iter().map(|(hit, ..)| hit.candidate.message).collect();
        let said = files::by_message(rows::shown_file_texts(service.db.reader(), asked.user, &ids).await?);
        let (query, mut words) = (asked.query.clone(), reading);
        let work = move || {
            if has_own_words {
                let all = open.iter().map(|(_, content, _)| content.as_str());
                let in_files = said.values().flat_map(HashMap::values).map(String::as_str);
                words.add(understood(&query, (is_wide, deadline), all.chain(in_files)));
            }
            let matcher = Matcher::new(&query, &words);
            let compared = |(hit, content, files): (Hit, String, Vec<Upload>)| {
                if deadline.is_over() {
                    return None;
                }
                let (text, _) = document::whole(&content, &files, said.get(&hit.candidate.message)?);
                let found = matcher.matches(&text)?;
                Some(Hit { score: hit.score + found.score, found, ..hit })
            };
            let compared: Vec<Hit> = open.into_iter().filter_map(compared).collect();
            (compared, words)
        };
        let (compared, words) = off_loop(work).await?;
        hits.extend(compared);
        reading = words;
    }
    match asked.sort {
        SearchSort::Newest => hits.sort_by_key(|hit| Reverse(hit.candidate.number)),
        SearchSort::Relevance => hits = ranked(hits),
    }
    Ok(Compared { hits, end, reading, stopped_at })
}

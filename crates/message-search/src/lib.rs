//! Searching what one may read: messages, what their files say, names; and answers and summaries that a model gives out of them.
//!
//! Owns the search index and its upkeep. Words, queries and the index on SQLite are the crate `search`. Uses `event-log` for what is new, `files` for
//! texts, and `gateway` for models.
//!
//! An [index](SearchIndex) says which messages have which words; what it says is a guess. Each message is read from where it lies, by a statement that has the
//! conditions on who may read it, and compared with the query again, so what was deleted, edited, or can't be read any more is never found.
//!
//! [What files say](files) is searched with the messages that carry them.
//!
//! What is asked for is looked for among the newest messages with the words, [`WINDOW`] at a time; [`Cursor`]s say where it goes on.

mod answer;
mod catch_up;
mod document;
mod facets;
mod files;
mod index;
mod indexer;
#[cfg(test)]
mod instances_for_tests;
mod names;
mod others;
mod reading;

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    ops::{Deref, Range},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use ::search::{
    Candidate, Days, Deadline, Dictionary, Has, Is, MAX_QUERY_CHARS, Match, Matcher, Plan, Query, Reading, TERMS, Term,
    Wanted, tokens, utf16,
};
use appcore::{
    AppError, ConversationId, Timestamp, UserId, WorkspaceId,
    auth::Principal,
    config::Config,
    view::{
        ConversationKind, FoundConversation, FoundInFile, Message, SearchCorrection, SearchFacets, SearchHas,
        SearchHit, SearchResults, SearchSort, SearchTotal, SearchType, Upload,
    },
};
use dbcontext::{
    Database,
    query::{
        search::{self as rows, Readable},
        users,
    },
};
use jiff::tz::TimeZone;
use tokio::time::timeout;
use uuid::Uuid;

pub use self::files::FileTextJob;
use ::files::FilesService;
pub use answer::{Question, answer};
pub use catch_up::{Missed, catch_up};
use event_log::EventLogService;
use gateway::GatewayService;
use identity::IdentityService;
pub use indexer::Lag;
use platform::{Core, time_zone, work_pools::WorkOwner};

use self::{index::SearchIndex, indexer::News};

/// Messages that are compared at once.
const WINDOW: u32 = 500;
/// Windows that one call may look through.
const WINDOWS: usize = 5;
/// Characters of a message that are compared.
const CHARS: u32 = 16_000;
/// Messages of a window whose files are compared as well; of the others it is believed that they say it, until they are shown.
const FILES: usize = 20;
/// So much of a file is shown, in bytes, and so much of that before the first word that was found.
const EXCERPT: usize = 240;
const EXCERPT_BEFORE: usize = 60;
/// With fewer hits, similar words are looked for as well.
const FEW: usize = 10;
/// How long one search works; then it answers with what it has.
const TIME_LIMIT: Duration = Duration::from_secs(2);
const USUAL_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 50;
/// For a message of a conversation that one is in.
const OWN: u32 = 1;

/// State of the search for messages of an instance. Dereferences to [`Core`].
pub struct SearchService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub files: Arc<FilesService>,
    pub gateway: Arc<GatewayService>,
    index: Box<dyn SearchIndex>,
    words: RwLock<Dictionary>,
    /// One at a time reads new words.
    reading_words: tokio::sync::Mutex<()>,
    news: Arc<News>,
}

impl SearchService {
    /// Opens the index.
    pub fn build(files: Arc<FilesService>, gateway: Arc<GatewayService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&gateway.core);
        Ok(Arc::new(Self {
            index: index::open(&core.config, &core.db)?,
            words: RwLock::default(),
            reading_words: tokio::sync::Mutex::default(),
            news: Arc::default(),
            core,
            identity: Arc::clone(&gateway.identity),
            events: Arc::clone(&files.events),
            files,
            gateway,
        }))
    }

    /// Keeps the index up to date until the instance stops.
    pub fn start(self: &Arc<Self>) {
        indexer::start(self);
    }

    /// How far the index is behind what was said.
    pub fn lag(&self) -> Lag {
        self.news.lag()
    }

    /// All words that are written anywhere, up to now; past the deadline, those that were read so far.
    async fn words(&self, deadline: Deadline) -> Result<Dictionary, AppError> {
        let known = || self.words.read().unwrap_or_else(PoisonError::into_inner).clone();
        let turn = timeout(deadline.remaining().unwrap_or(Duration::MAX), self.reading_words.lock()).await;
        let Ok(_one) = turn else { return Ok(known()) };
        let mut known = known();
        loop {
            let new = self.index.terms_after(known.last()).await?;
            let is_all = new.len() < TERMS;
            if !new.is_empty() {
                known = off_loop(move || known.with(new)).await?;
                *self.words.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
            }
            if is_all || deadline.is_over() {
                return Ok(known);
            }
        }
    }

    /// Takes the words of removed messages out of the index's storage and this instance's memory.
    pub(crate) async fn purge(&self) -> Result<(), AppError> {
        if self.index.purge().await? {
            self.forget_words().await;
        }
        Ok(())
    }

    pub(crate) async fn forget_words(&self) {
        let _one = self.reading_words.lock().await;
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = Dictionary::default();
    }
}

impl Deref for SearchService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub text: String,
    pub kind_of_hit: SearchType,
    pub workspace_id: Option<WorkspaceId>,
    /// People and assistants, by one of whom it is; anybody where they are none.
    pub authors: Vec<UserId>,
    /// In one of these; anywhere where they are none.
    pub conversations: Vec<ConversationId>,
    /// Of the one conversation, what was said after this event; 0 for all of it.
    pub after_seq: i64,
    pub kind: Option<ConversationKind>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Of which days are; where it is left out, the one that they have chosen, else UTC.
    pub timezone: Option<String>,
    /// All of these.
    pub has: Vec<SearchHas>,
    pub sort: SearchSort,
    /// Words are looked for as they were typed, whatever is found.
    pub is_exact: bool,
    pub limit: Option<u64>,
    pub cursor: Option<String>,
}

/// Where a search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    /// Similar words are looked for as well.
    is_wide: bool,
    /// Hits of the window that were shown.
    shown: usize,
    /// The window begins below this number.
    below: i64,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let (mode, rest) = text.split_at_checked(1)?;
        let (shown, below) = rest.split_once('-')?;
        let is_wide = match mode {
            "e" => false,
            "w" => true,
            _ => return None,
        };
        Some(Self { is_wide, shown: shown.parse().ok()?, below: below.parse().ok().filter(|below| *below > 0)? })
    }

    fn text(self) -> String {
        format!("{}{}-{}", if self.is_wide { 'w' } else { 'e' }, self.shown, self.below)
    }
}

/// A message that answers.
struct Hit {
    candidate: Candidate,
    found: Match,
    score: u32,
    has: BTreeSet<Has>,
    /// What is asked for is not in what the message says alone, but in its files.
    is_in_files: bool,
}

/// A part of what answers, in its order.
struct Window {
    hits: Vec<Hit>,
    /// There may be more below this number.
    next: Option<i64>,
    /// When the last message that was looked at, and that may be read, was sent.
    end: Option<i64>,
    /// How the words were understood.
    reading: Reading,
}

/// What a search is made of, read.
struct PlannedSearch {
    user: UserId,
    after_seq: i64,
    query: Query,
    plan: Plan,
    sort: SearchSort,
    conversations: HashMap<Uuid, Readable>,
    zone: TimeZone,
    deadline: Deadline,
}

/// Days as they are now for whoever asks.
struct LocalDays<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Days for LocalDays<'_> {
    fn today(&self) -> i64 {
        time_zone::day_of(self.zone, self.now)
    }

    fn begins_at(&self, day: i64) -> i64 {
        time_zone::beginning_of(self.zone, day).millis()
    }
}

async fn zone(service: &SearchService, user: UserId, ask: &Ask) -> Result<TimeZone, AppError> {
    if let Some(name) = &ask.timezone {
        return time_zone::find(name).ok_or_else(|| AppError::field("timezone", "invalid", time_zone::REFUSED));
    }
    let account = users::by_id(service.db.reader(), user).await?;
    Ok(account.and_then(|account| time_zone::find(account.timezone.as_deref()?)).unwrap_or(TimeZone::UTC))
}

fn parsed(service: &SearchService, ask: &Ask, zone: &TimeZone) -> Result<Query, AppError> {
    Query::parse_by(&ask.text, &LocalDays { zone, now: service.clock.now() })
        .map_err(|_| AppError::field("q", "too_long", "The search has too many words."))
}

/// Searches what the caller may read now.
pub async fn search(service: &SearchService, by: &Principal, ask: Ask) -> Result<SearchResults, AppError> {
    search_for(service, by.user_id, ask).await
}

/// Searches what somebody may read who has asked an assistant.
pub async fn search_for(service: &SearchService, user: UserId, ask: Ask) -> Result<SearchResults, AppError> {
    let begun = Instant::now();
    if ask.text.chars().count() > MAX_QUERY_CHARS {
        let message = format!("A search can have up to {MAX_QUERY_CHARS} characters.");
        return Err(AppError::field("q", "too_long", message));
    }
    let cursor = match &ask.cursor {
        Some(text) => Some(
            Cursor::parse(text)
                .ok_or_else(|| AppError::field("cursor", "invalid", "This is no cursor of a search."))?,
        ),
        None => None,
    };
    let limit = usize::try_from(ask.limit.unwrap_or(USUAL_LIMIT).clamp(1, MAX_LIMIT)).unwrap_or(usize::MAX);
    let _slot = service.work.compute.acquire(WorkOwner::Person { user, workspace: ask.workspace_id }).await?;
    let deadline = Deadline::after(TIME_LIMIT);
    let mut results = match ask.kind_of_hit {
        SearchType::Conversation | SearchType::Person => {
            parsed(service, &ask, &zone(service, user, &ask).await?)?;
            if ask.kind_of_hit == SearchType::Person {
                others::people(service, user, &ask, limit).await?
            } else {
                others::conversations(service, user, &ask, limit).await?
            }
        }
        SearchType::Message | SearchType::File => messages(service, user, ask, (cursor, limit), deadline).await?,
    };
    results.timed_out = deadline.is_over();
    results.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(results)
}

async fn messages(
    service: &SearchService,
    user: UserId,
    ask: Ask,
    (cursor, limit): (Option<Cursor>, usize),
    deadline: Deadline,
) -> Result<SearchResults, AppError> {
    let (zone, fill, words, readable) = tokio::try_join!(
        zone(service, user, &ask),
        service.index.fill(),
        service.words(deadline),
        rows::readable(service.db.reader(), user)
    )?;
    let query = parsed(service, &ask, &zone)?;
    let is_filling = fill.is_none_or(|fill| !fill.is_done);
    let total = cursor.is_none().then_some(SearchTotal { count: 0, is_all: true });
    let nothing = SearchResults { is_filling, total, ..SearchResults::default() };
    if fill.is_none() {
        return Ok(nothing);
    }
    let Some(asked) = planned(service, user, &ask, (query, zone, deadline), readable).await? else {
        return Ok(nothing);
    };
    let exact = {
        let (query, words) = (asked.query.clone(), words.clone());
        off_loop(move || Reading::exact(&query, &words)).await?
    };
    let begin = cursor.unwrap_or(Cursor { is_wide: false, shown: 0, below: i64::MAX });
    let (mut is_wide, mut shown, mut below) = (begin.is_wide, begin.shown, begin.below);
    let found = candidates(service, &asked, &exact, false, below).await?;
    let mut window = if is_wide {
        similar(service, &asked, found.clone(), &words, below).await?
    } else {
        window(service, &asked, &exact, found.clone()).await?
    };
    let may_be_corrected = !ask.is_exact && asked.query.wanted.iter().any(|wanted| wanted.word.is_some());
    if cursor.is_none() && may_be_corrected && window.next.is_none() && window.hits.len() < FEW {
        let wider = similar(service, &asked, found, &words, below).await?;
        if wider.hits.len() > window.hits.len() {
            (window, is_wide) = (wider, true);
        }
    }
    let (mut facets, mut total, mut corrections) = (SearchFacets::default(), None, Vec::new());
    if cursor.is_none() {
        facets = facets::counted(&asked, &window.hits);
        total = Some(SearchTotal { count: count(window.hits.len()), is_all: window.next.is_none() });
        if is_wide {
            corrections = self::corrections(&asked.query, &window.hits);
        }
    }
    let pages = async {
        let mut items = Vec::new();
        let (mut windows, mut end) = (1, None);
        loop {
            let part: Vec<&Hit> = window.hits.iter().skip(shown).take(limit - items.len()).collect();
            shown += part.len();
            items.extend(shown_hits(service, &asked, &window.reading, &part).await?);
            if shown < window.hits.len() {
                // What comes meanwhile moves nothing.
                let top = window.hits.iter().map(|hit| hit.candidate.number).max().unwrap_or(below);
                let next = Cursor { is_wide, shown, below: below.min(top.saturating_add(1)) };
                return Ok::<_, AppError>((items, Some(next), None));
            }
            let Some(further) = window.next else { return Ok((items, None, None)) };
            end = window.end.or(end);
            (shown, below) = (0, further);
            if items.len() >= limit || windows >= WINDOWS || deadline.is_over() {
                return Ok((items, Some(Cursor { is_wide, shown, below }), end));
            }
            window =
                self::window(service, &asked, &exact, candidates(service, &asked, &exact, false, below).await?).await?;
            windows += 1;
        }
    };
    let (facets, (items, next, searched_to)) = tokio::try_join!(facets::named(service, facets), pages)?;
    let searched_to = searched_to.map(Timestamp);
    let (next, is_corrected) = (next.map(Cursor::text), is_wide);
    Ok(SearchResults {
        items,
        next,
        facets,
        total,
        searched_to,
        is_corrected,
        corrections,
        is_filling,
        ..SearchResults::default()
    })
}

/// What is asked for and where; none where there can be nothing.
async fn planned(
    service: &SearchService,
    user: UserId,
    ask: &Ask,
    read: (Query, TimeZone, Deadline),
    readable: Vec<Readable>,
) -> Result<Option<PlannedSearch>, AppError> {
    let (mut query, zone, deadline) = read;
    let db = service.db.reader();
    if let Some(from) = ask.from {
        query.begin_at(from.millis());
    }
    if let Some(to) = ask.to {
        query.end_at(to.millis().saturating_add(1));
    }
    query.has.extend(ask.has.iter().map(|has| match has {
        SearchHas::File => Has::File,
        SearchHas::Image => Has::Image,
        SearchHas::Link => Has::Link,
        SearchHas::Voice => Has::Voice,
    }));
    if ask.kind_of_hit == SearchType::File {
        query.has.insert(Has::File);
    }
    let mut conversations: HashMap<Uuid, Readable> = readable
        .into_iter()
        .filter(|one| ask.workspace_id.is_none_or(|id| id == one.workspace_id))
        .filter(|one| ask.conversations.is_empty() || ask.conversations.contains(&one.id))
        .filter(|one| ask.kind.is_none_or(|kind| kind.as_str() == one.kind))
        .map(|one| (one.id.0, one))
        .collect();
    if !query.places.is_empty() {
        let meant = names::places(db, user, &query.places, conversations.values()).await?;
        conversations.retain(|id, _| meant.contains(id));
    }
    let mut authors: Option<BTreeSet<Uuid>> = None;
    if !query.authors.is_empty() {
        authors = Some(names::authors(db, user, &query.authors).await?);
    }
    if !ask.authors.is_empty() {
        let chosen = ask.authors.iter().map(|author| author.0);
        let is_meant = |author: &Uuid| authors.as_ref().is_none_or(|authors| authors.contains(author));
        authors = Some(chosen.filter(is_meant).collect());
    }
    if conversations.is_empty() || authors.as_ref().is_some_and(BTreeSet::is_empty) {
        return Ok(None);
    }
    let plan = Plan {
        all: Vec::new(),
        none: query.unwanted.clone(),
        authors: authors.map(|authors| authors.into_iter().collect()),
        has: query.has.clone(),
        conversations: conversations.keys().copied().collect(),
        from: query.from,
        until: query.until,
        is_wide: false,
        below: None,
        limit: WINDOW,
        deadline,
    };
    let (after_seq, sort) = (ask.after_seq, ask.sort);
    Ok(Some(PlannedSearch { user, after_seq, query, plan, sort, conversations, zone, deadline }))
}

/// Those of these messages that answer with these words.
async fn window(
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
async fn similar(
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

async fn candidates(
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

/// Runs what takes more than a moment on a blocking thread.
async fn off_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)
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

/// The best first, of those that are as good the newest. Words that may be meant by a typo take turns, the commonest of what was found first: otherwise what
/// was said much lately hides what else may be meant.
fn ranked(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| Reverse(hit.candidate.number));
    let mut of_word: HashMap<(u32, &[Option<String>]), usize> = HashMap::new();
    let turns: Vec<usize> = hits
        .iter()
        .map(|hit| {
            let met = of_word.entry((hit.score, &hit.found.instead)).or_default();
            *met += 1;
            if hit.found.instead.iter().any(Option::is_some) { *met } else { 0 }
        })
        .collect();
    let places: Vec<_> = hits
        .iter()
        .zip(turns)
        .map(|(hit, turn)| {
            let of_word = of_word.get(&(hit.score, hit.found.instead.as_slice())).copied().unwrap_or_default();
            // What wasn't mistyped stays in the order of time.
            let of_word = if turn == 0 { 0 } else { of_word };
            (Reverse(hit.score), turn, Reverse(of_word), Reverse(hit.candidate.number))
        })
        .collect();
    let mut placed: Vec<_> = places.into_iter().zip(hits).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, hit)| hit).collect()
}

/// The messages themselves, as they may be read now.
async fn shown_hits(
    service: &SearchService,
    asked: &PlannedSearch,
    reading: &Reading,
    hits: &[&Hit],
) -> Result<Vec<SearchHit>, AppError> {
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let in_files: Vec<Uuid> = hits.iter().filter(|hit| hit.is_in_files).map(|hit| hit.candidate.message).collect();
    let mut said = HashMap::new();
    if !in_files.is_empty() {
        said = files::by_message(rows::shown_file_texts(service.db.reader(), asked.user, &in_files).await?);
    }
    let ids: Vec<Uuid> = hits.iter().map(|hit| hit.candidate.message).collect();
    let found = rows::found(service.db.reader(), asked.user, &ids).await?;
    let mut found: HashMap<Uuid, _> = found.into_iter().map(|row| (row.id.0, row)).collect();
    let mut messages = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(row) = found.remove(&hit.candidate.message) else { continue };
        let message = match Message::try_from(row) {
            Ok(message) => message,
            Err(error) => {
                // The others are found all the same.
                tracing::warn!(%error, id = %hit.candidate.message, "a message that was found can't be read");
                continue;
            }
        };
        let texts = hit.is_in_files.then(|| said.remove(&message.id.0).unwrap_or_default());
        messages.push((message, hit.found.highlights.clone(), texts));
    }
    let (query, reading) = (asked.query.clone(), reading.clone());
    let mut shown = off_loop(move || {
        let located =
            |(message, highlights, texts)| located(&Matcher::new(&query, &reading), message, highlights, texts);
        messages.into_iter().filter_map(located).collect::<Vec<SearchHit>>()
    })
    .await?;
    for hit in &mut shown {
        let conversation = hit.message.as_ref().map(|message| message.conversation_id.0);
        hit.conversation = conversation.and_then(|id| asked.conversations.get(&id)).map(place).transpose()?;
    }
    Ok(shown)
}

/// A message with the places of what was found: in its own text, or in the `texts` of its files. `None` where these don't say it any more.
fn located(
    matcher: &Matcher<'_>,
    message: Message,
    mut highlights: Vec<Range<usize>>,
    texts: Option<document::Texts>,
) -> Option<SearchHit> {
    let mut file = None;
    if let Some(texts) = texts {
        let (text, parts) = document::whole(&message.content, &message.attachments, &texts);
        let found = matcher.matches(&text)?;
        file = in_file(&message, &text, &parts, &found);
        highlights = found.highlights;
    }
    highlights.retain(|range| range.end <= message.content.len());
    let is_whole = highlights.iter().all(|range| message.content.get(range.clone()).is_some());
    let highlights = if is_whole { utf16(&message.content, &highlights) } else { Vec::new() };
    Some(SearchHit { message: Some(message), highlights, file, ..SearchHit::default() })
}

/// What the first of a message's files says around the words that were found.
fn in_file(message: &Message, text: &str, parts: &[(usize, Range<usize>)], found: &Match) -> Option<FoundInFile> {
    let (first, (number, part)) = found.highlights.iter().find_map(|place| {
        let part = parts.iter().find(|(_, part)| part.start <= place.start && place.end <= part.end)?;
        Some((place, part))
    })?;
    let file = message.attachments.get(*number)?;
    let start = text.ceil_char_boundary(part.start.max(first.start.saturating_sub(EXCERPT_BEFORE)));
    let end = text.floor_char_boundary(part.end.min(start + EXCERPT)).max(first.end);
    let within: Vec<Range<usize>> = found
        .highlights
        .iter()
        .filter(|place| start <= place.start && place.end <= end)
        .map(|place| place.start - start..place.end - start)
        .collect();
    // One line, in which everything stays where it is.
    let excerpt = text.get(start..end)?.replace(['\n', '\t'], " ");
    let highlights = utf16(&excerpt, &within);
    Some(FoundInFile { upload_id: file.id, name: file.name.clone(), excerpt, highlights })
}

fn place(one: &Readable) -> Result<FoundConversation, AppError> {
    let kind = one.kind.parse().map_err(AppError::internal)?;
    Ok(FoundConversation { id: one.id, kind, title: one.title.clone() })
}

/// The words that most of what was found has in the place of one that nothing has.
fn corrections(query: &Query, hits: &[Hit]) -> Vec<SearchCorrection> {
    let of = |(at, wanted): (usize, &Wanted)| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for hit in hits.iter().filter(|hit| !hit.found.instead.is_empty()) {
            *counts.entry(hit.found.instead.get(at)?.as_deref()?).or_default() += 1;
        }
        let (instead, _) = counts.into_iter().max_by_key(|(word, count)| (*count, Reverse(*word)))?;
        Some(SearchCorrection { typed: wanted.typed.clone(), instead: instead.to_owned() })
    };
    query.wanted.iter().enumerate().filter_map(of).collect()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// How the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub messages: u64,
    /// About how many it has when it has all of them.
    pub of: u64,
    /// Conversations of which something is not in it yet.
    pub waiting: usize,
    pub is_filling: bool,
}

/// How the index of an installation is, from outside of the server.
pub async fn state(config: &Config, db: &Database) -> anyhow::Result<Option<State>> {
    if config.search.url.is_none() && db.is_sqlite() && !exists(&config.server.data_dir) {
        return Ok(None);
    }
    let index = index::open(config, db)?;
    let Some(fill) = index.fill().await? else { return Ok(None) };
    let waiting = index.waiting(db).await?.len();
    let messages = index.messages().await?;
    let of = messages.max(rows::about_all(db.reader()).await?);
    Ok(Some(State { messages, of, waiting, is_filling: !fill.is_done }))
}

/// Empties the index: the server fills it anew, also one that is running.
pub async fn rebuild(config: &Config, db: &Database) -> anyhow::Result<()> {
    Ok(index::open(config, db)?.clear().await?)
}

/// Takes the words of removed messages out of the index, of which a running server has read everything. Returns `false` where it has not.
pub async fn purge(config: &Config, db: &Database) -> anyhow::Result<bool> {
    let index = index::open(config, db)?;
    if index.fill().await?.is_none() || !index.waiting(db).await?.is_empty() {
        return Ok(false);
    }
    index.purge().await?;
    Ok(true)
}

/// Removes the index of an installation on SQLite that doesn't run; the next start fills it anew.
pub fn remove_file(data_dir: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut file = index::file(data_dir).into_os_string();
        file.push(end);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn exists(data_dir: &Path) -> bool {
    index::file(data_dir).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(number: i64, score: u32, instead: Option<&str>) -> Hit {
        let id = Uuid::from_u128(1);
        let candidate = Candidate { number, message: id, conversation: id, author: None, created_at: number };
        let found = Match { instead: vec![instead.map(str::to_owned)], ..Match::default() };
        Hit { candidate, found, score, has: BTreeSet::new(), is_in_files: false }
    }

    #[test]
    fn what_may_be_meant_by_a_typo_takes_turns() {
        let form = |number| hit(number, 6, Some("form"));
        let hits = vec![hit(1, 12, None), hit(2, 6, Some("foam")), form(3), form(4), hit(5, 12, None), form(6)];
        let order: Vec<i64> = ranked(hits).iter().map(|hit| hit.candidate.number).collect();
        assert_eq!(order, [5, 1, 6, 2, 4, 3]);
    }

    #[test]
    fn cursors_are_read_as_they_are_written() {
        let cursor = Cursor { is_wide: true, shown: 40, below: (1 << 40) + 7 };
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        for wrong in ["", "e", "e1", "x1-2", "e1-", "e-1-5", "ee1-1", "é1-1", "e1--4"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}

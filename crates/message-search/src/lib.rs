//! Message search: messages, the texts of their files, and names; and answers and summaries that a model writes from
//! them.
//!
//! Owns the search index and its maintenance. The crate `search` contains the tokenizer, the queries and the matching
//! of texts. Uses `event-log` for new events, `files` for text extraction, and `gateway` for models.
//!
//! An [index](SearchIndex) only returns candidates. Each message is read from the database by a statement that checks
//! read access, and matched with the query again. So deleted or unreadable messages and earlier versions of edited ones
//! are never found.
//!
//! [Texts of files](files) are searched with the messages that they are attached to.
//!
//! A search scans the newest candidates, [`window::WINDOW`] at a time. A [`Cursor`] stores the position at which it
//! continues.

mod answer;
mod assistant_reader;
mod catch_up;
mod document;
mod facets;
mod files;
mod hits;
mod index;
mod indexer;
#[cfg(test)]
mod instances_for_tests;
mod maintenance;
mod name_search;
mod names;
mod plan;
mod rank;
mod window;

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use ::files::FilesService;
use ::search::{Deadline, Interpretation, MAX_QUERY_CHARS, Vocabulary, WordCounts};
use appcore::{
    AppError, UserId,
    auth::Principal,
    view::{SearchFacets, SearchResults, SearchTotal, SearchType},
};
use dbcontext::query::search as rows;
use event_log::EventLogService;
use gateway::GatewayService;
use identity::IdentityService;
use platform::{Core, work_pools::WorkOwner};

pub use self::{
    answer::{SearchQuestion, answer},
    catch_up::{CatchUpScope, catch_up},
    files::FileTextJob,
    indexer::IndexLag,
    maintenance::{IndexStatus, PurgeRequest, rebuild, remove_unused, status},
    plan::MessageSearchRequest,
};
use self::{
    hits::shown_hits,
    index::{IndexState, SearchIndex},
    indexer::PendingWork,
    plan::{Cursor, parse_query, plan_search, zone},
    rank::find_corrections,
    window::{Hit, candidates, scan_similar, scan_window},
};

/// Maximum number of windows that one call scans.
const MAX_WINDOWS: usize = 5;
/// Number of hits below which similar words are searched as well.
const MIN_EXACT_HITS: usize = 10;
/// Time limit of a search, after which it returns its partial result.
const TIME_LIMIT: Duration = Duration::from_secs(2);
const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 50;

/// Words of the index.
type Words = Arc<dyn Vocabulary + Send + Sync>;

/// State of the message search of an instance. Dereferences to [`Core`].
pub struct SearchService {
    pub core: Arc<Core>,
    pub identity: Arc<IdentityService>,
    pub events: Arc<EventLogService>,
    pub files: Arc<FilesService>,
    pub gateway: Arc<GatewayService>,
    index: Box<dyn SearchIndex>,
    pending_work: Arc<PendingWork>,
}

impl SearchService {
    /// Opens the index.
    pub fn build(files: Arc<FilesService>, gateway: Arc<GatewayService>) -> anyhow::Result<Arc<Self>> {
        let core = Arc::clone(&gateway.core);
        Ok(Arc::new(Self {
            index: index::open(&core.config, &core.db)?,
            pending_work: Arc::default(),
            core,
            identity: Arc::clone(&gateway.identity),
            events: Arc::clone(&files.events),
            files,
            gateway,
        }))
    }

    /// Starts the indexer, which runs until the instance stops.
    pub fn start(self: &Arc<Self>) {
        indexer::start(self);
    }

    pub fn lag(&self) -> IndexLag {
        self.pending_work.lag()
    }
}

impl Deref for SearchService {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

/// Searches messages that the caller may read.
pub async fn search(
    service: &SearchService,
    by: &Principal,
    ask: MessageSearchRequest,
) -> Result<SearchResults, AppError> {
    search_for(service, by.user_id, ask).await
}

/// Searches messages that a user may read, on behalf of an assistant.
pub async fn search_for(
    service: &SearchService,
    user: UserId,
    ask: MessageSearchRequest,
) -> Result<SearchResults, AppError> {
    let begun = Instant::now();
    if ask.text.chars().count() > MAX_QUERY_CHARS {
        let message = format!("A search can have up to {MAX_QUERY_CHARS} characters.");
        return Err(AppError::field("q", "too_long", message));
    }
    let cursor = match &ask.cursor {
        Some(text) => Some(
            Cursor::parse(text)
                .ok_or_else(|| AppError::field("cursor", "invalid", "This isn't a cursor of a search."))?,
        ),
        None => None,
    };
    let limit = usize::try_from(ask.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT)).unwrap_or(usize::MAX);
    let _slot = service.work.compute.acquire(WorkOwner::User { user, workspace: ask.workspace_id }).await?;
    let deadline = Deadline::after(TIME_LIMIT);
    let mut results = match ask.kind_of_hit {
        SearchType::Conversation | SearchType::Person => {
            parse_query(service, &ask, &zone(service, user, &ask).await?)?;
            if ask.kind_of_hit == SearchType::Person {
                name_search::people(service, user, &ask, limit).await?
            } else {
                name_search::conversations(service, user, &ask, limit).await?
            }
        }
        SearchType::Message | SearchType::File => messages(service, user, ask, (cursor, limit), deadline).await?,
    };
    results.timed_out = deadline.has_passed();
    results.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(results)
}

async fn messages(
    service: &SearchService,
    user: UserId,
    ask: MessageSearchRequest,
    (cursor, limit): (Option<Cursor>, usize),
    deadline: Deadline,
) -> Result<SearchResults, AppError> {
    let (zone, state, readable) = tokio::try_join!(
        zone(service, user, &ask),
        service.index.state(),
        rows::readable_conversations(service.db.reader(), user)
    )?;
    let query = parse_query(service, &ask, &zone)?;
    let is_filling = state.as_ref().is_none_or(IndexState::is_filling);
    let total = cursor.is_none().then_some(SearchTotal { count: 0, is_all: true });
    let nothing = SearchResults { is_filling, total, ..SearchResults::default() };
    if state.is_none() {
        return Ok(nothing);
    }
    let words = service.index.vocabulary().unwrap_or_else(|| Arc::new(WordCounts::default()));
    let Some(asked) = plan_search(service, user, &ask, (query, zone, deadline), readable).await? else {
        return Ok(nothing);
    };
    let exact = {
        let (query, words) = (asked.query.clone(), Arc::clone(&words));
        run_blocking(move || Interpretation::exact(&query, words.as_ref())).await?
    };
    let begin = cursor.unwrap_or(Cursor { is_wide: false, returned: 0, below: i64::MAX });
    let (mut is_wide, mut shown, mut below) = (begin.is_wide, begin.returned, begin.below);
    let found = candidates(service, &asked, &exact, false, below).await?;
    let mut window = if is_wide {
        scan_similar(service, &asked, found.clone(), &words, below).await?
    } else {
        scan_window(service, &asked, &exact, found.clone()).await?
    };
    let may_be_corrected = !ask.is_exact && asked.query.required.iter().any(|wanted| wanted.word.is_some());
    if cursor.is_none() && may_be_corrected && window.next.is_none() && window.hits.len() < MIN_EXACT_HITS {
        let wider = scan_similar(service, &asked, found, &words, below).await?;
        if wider.hits.len() > window.hits.len() {
            (window, is_wide) = (wider, true);
        }
    }
    let (mut facets, mut total, mut corrections) = (SearchFacets::default(), None, Vec::new());
    if cursor.is_none() {
        facets = facets::count_facets(&asked, &window.hits);
        total = Some(SearchTotal { count: count(window.hits.len()), is_all: window.next.is_none() });
        if is_wide {
            corrections = self::find_corrections(&asked.query, &window.hits);
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
                // The next call scans this window again, from its newest hit on, so that new messages don't shift the
                // results.
                let top = window.hits.iter().map(|hit| hit.candidate.number).max().unwrap_or(below);
                let next = Cursor { is_wide, returned: shown, below: below.min(top.saturating_add(1)) };
                return Ok::<_, AppError>((items, Some(next), None));
            }
            let Some(further) = window.next else { return Ok((items, None, None)) };
            end = window.end.or(end);
            (shown, below) = (0, further);
            if items.len() >= limit || windows >= MAX_WINDOWS || deadline.has_passed() {
                return Ok((items, Some(Cursor { is_wide, returned: shown, below }), end));
            }
            window =
                self::scan_window(service, &asked, &exact, candidates(service, &asked, &exact, false, below).await?)
                    .await?;
            windows += 1;
        }
    };
    let (facets, (items, next, searched_to)) = tokio::try_join!(facets::fill_names(service, facets), pages)?;
    let (next, is_corrected) = (next.map(Cursor::encode), is_wide);
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

/// Runs work that takes more than a moment on a blocking thread.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

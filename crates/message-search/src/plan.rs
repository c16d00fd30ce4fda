//! Plans a search: parses the query, and resolves its scope and cursor.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use ::search::{Days, Deadline, Has, Query};
use appcore::{
    AppError, ConversationId, Timestamp, UserId, WorkspaceId,
    view::{ConversationKind, SearchHas, SearchSort, SearchType},
};
use dbcontext::query::{search::Readable, users};
use jiff::tz::TimeZone;
use platform::time_zone;
use uuid::Uuid;

use crate::{SearchService, index::Plan, names, window::WINDOW};

/// Search request.
#[derive(Clone, Debug, Default)]
pub struct MessageSearchRequest {
    pub text: String,
    pub kind_of_hit: SearchType,
    pub workspace_id: Option<WorkspaceId>,
    /// Authors (users or assistants), one of whom must have written the message; empty: any author.
    pub authors: Vec<UserId>,
    /// Searched conversations; empty: all.
    pub conversations: Vec<ConversationId>,
    /// Sequence number of the event after which messages are searched, if there is a single conversation; 0: all
    /// messages.
    pub after_seq: i64,
    pub kind: Option<ConversationKind>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Time zone of dates in the query; `None`: the user's own, or UTC if it isn't known.
    pub timezone: Option<String>,
    /// Kinds of content, all of which a message must have.
    pub has: Vec<SearchHas>,
    pub sort: SearchSort,
    /// True to search the words exactly as typed, regardless of the number of hits.
    pub is_exact: bool,
    pub limit: Option<u64>,
    pub cursor: Option<String>,
}

/// Position of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// True if similar words are searched as well.
    pub(super) is_wide: bool,
    /// Number of hits of the current window that were already returned.
    pub(super) returned: usize,
    /// Document number below which the window starts.
    pub(super) below: i64,
}

impl Cursor {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mode, rest) = text.split_at_checked(1)?;
        let (shown, below) = rest.split_once('-')?;
        let is_wide = match mode {
            "e" => false,
            "w" => true,
            _ => return None,
        };
        Some(Self { is_wide, returned: shown.parse().ok()?, below: below.parse().ok().filter(|below| *below > 0)? })
    }

    pub(super) fn encode(self) -> String {
        format!("{}{}-{}", if self.is_wide { 'w' } else { 'e' }, self.returned, self.below)
    }
}

/// Parsed and resolved search.
pub(super) struct PlannedSearch {
    pub(super) user: UserId,
    pub(super) after_seq: i64,
    pub(super) query: Query,
    pub(super) plan: Plan,
    pub(super) sort: SearchSort,
    pub(super) conversations: Arc<HashMap<Uuid, Readable>>,
    pub(super) zone: TimeZone,
    pub(super) deadline: Deadline,
}

/// Converts dates of a query to times, in the user's time zone and relative to the current day.
struct LocalDays<'a> {
    zone: &'a TimeZone,
    now: Timestamp,
}

impl Days for LocalDays<'_> {
    fn today(&self) -> i64 {
        time_zone::day_of(self.zone, self.now)
    }

    fn begins_at(&self, day: i64) -> i64 {
        time_zone::start_of_day(self.zone, day).millis()
    }
}

pub(super) async fn zone(
    service: &SearchService,
    user: UserId,
    ask: &MessageSearchRequest,
) -> Result<TimeZone, AppError> {
    if let Some(name) = &ask.timezone {
        return time_zone::find(name)
            .ok_or_else(|| AppError::field("timezone", "invalid", time_zone::INVALID_TIME_ZONE));
    }
    let account = users::by_id(service.db.reader(), user).await?;
    Ok(account.and_then(|account| time_zone::find(account.timezone.as_deref()?)).unwrap_or(TimeZone::UTC))
}

pub(super) fn parse_query(
    service: &SearchService,
    ask: &MessageSearchRequest,
    zone: &TimeZone,
) -> Result<Query, AppError> {
    Query::parse_by(&ask.text, &LocalDays { zone, now: service.clock.now() })
        .map_err(|_| AppError::field("q", "too_long", "The search has too many words."))
}

/// Parses and resolves a search; `None` if it can't have results.
pub(super) async fn plan_search(
    service: &SearchService,
    user: UserId,
    ask: &MessageSearchRequest,
    read: (Query, TimeZone, Deadline),
    readable: Vec<Readable>,
) -> Result<Option<PlannedSearch>, AppError> {
    let (mut query, zone, deadline) = read;
    let db = service.db.reader();
    if let Some(from) = ask.from {
        query.restrict_from(from.millis());
    }
    if let Some(to) = ask.to {
        query.restrict_until(to.millis().saturating_add(1));
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
        .filter(|one| ask.kind.is_none_or(|kind| kind == one.kind))
        .map(|one| (one.id.0, one))
        .collect();
    if !query.conversation_names.is_empty() {
        let meant = names::places(db, user, &query.conversation_names, conversations.values()).await?;
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
        none: query.excluded.clone(),
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
    let conversations = Arc::new(conversations);
    Ok(Some(PlannedSearch { user, after_seq, query, plan, sort, conversations, zone, deadline }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let cursor = Cursor { is_wide: true, returned: 40, below: (1 << 40) + 7 };
        assert_eq!(Cursor::parse(&cursor.encode()), Some(cursor));
        for wrong in ["", "e", "e1", "x1-2", "e1-", "e-1-5", "ee1-1", "é1-1", "e1--4"] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}

//! Audit log: actions on accounts, workspaces and the server, with their actor, for administrators.
//!
//! The entry of a change is written in the change's own transaction, so that neither exists without
//! the other. Other events, such as a failed sign-in, are [recorded on their own](note), and a
//! request succeeds even if its entry can't be written.

use std::{net::IpAddr, sync::Arc, time::Duration};

pub use appcore::audit::Action;
use appcore::{
    AppError, AuditEntryId, Clock, UserId,
    auth::Principal,
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::AuditEntry,
};
use bytes::Bytes;
use dbcontext::query::audit as rows;
pub use dbcontext::query::audit::Filter;
use futures_util::{Stream, StreamExt as _, stream};
use jobs::catch_panic;
use sea_orm::ConnectionTrait;

use crate::Core;
use crate::{
    chunked_delete::delete_in_chunks,
    csv::{encode, escape_formula},
};

/// Interval of the deletion of old entries.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
/// Maximum number of entries that one statement deletes.
const CLEANUP_CHUNK_ROWS: u64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);
/// Entries that an export reads per query.
const EXPORT_PAGE_ROWS: u64 = 1_000;
const HEADER: [&str; 7] = ["time", "action", "actor", "actor_name", "target", "address", "id"];
/// Maximum length of a stored target.
const MAX_TARGET_CHARS: usize = 200;

/// New entry.
#[derive(Clone, Debug)]
pub struct NewAuditEntry {
    pub action: Action,
    /// User who acted; `None` if the caller is not signed in, or if the operator or the server
    /// itself acts.
    pub actor: Option<UserId>,
    /// Object of the action: an id or a network, but never personal data.
    pub target: Option<String>,
    pub address: Option<IpAddr>,
}

impl NewAuditEntry {
    /// Entry of an action of a signed-in user, of one of their API keys, or of the operator.
    #[must_use]
    pub fn by_principal(by: &Principal, action: Action, target: Option<String>) -> Self {
        Self { action, actor: by.account_id(), target, address: by.address }
    }
}

/// Writes an entry, in the caller's transaction if `db` is one.
pub async fn record<C: ConnectionTrait>(db: &C, entry: NewAuditEntry) -> Result<(), AppError> {
    let NewAuditEntry { action, actor, target, address } = entry;
    let new = rows::NewEntry {
        action: action.as_str(),
        actor,
        target: target.map(|target| target.chars().take(MAX_TARGET_CHARS).collect()),
        address: address.map(|address| address.to_canonical().to_string()),
        // The entry has the real time, even in tests that stop the clock.
        at: Clock::system().now(),
    };
    rows::insert(db, new).await
}

/// Writes an entry outside of a transaction. A failure is only logged.
pub async fn record_detached(core: &Core, entry: NewAuditEntry) {
    let action = entry.action.as_str();
    if let Err(error) = record(core.db.writer(), entry).await {
        tracing::warn!(%error, action, "failed to write audit log entry");
    }
}

/// Lists the entries, the newest first.
pub async fn list(core: &Core, filter: Filter, page: PageRequest) -> Result<Page<AuditEntry>, AppError> {
    validate_filter(&filter)?;
    let (mut items, total) = rows::list(&core.db.replica().await, &filter, page).await?;
    for entry in &mut items {
        let address = entry.address.as_deref().and_then(|address| address.parse().ok());
        entry.place = core.geoip.locate(address, None);
    }
    Ok(Page::new(items, page, total))
}

fn validate_filter(filter: &Filter) -> Result<(), AppError> {
    filter.text.as_deref().map_or(Ok(()), validate_search_text)?;
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
        return Err(AppError::field("from", "invalid", "The start must be before the end."));
    }
    Ok(())
}

/// Streams all matching entries as CSV, the newest first.
pub async fn export(
    core: Arc<Core>,
    by: &Principal,
    filter: Filter,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    validate_filter(&filter)?;
    record(core.db.writer(), NewAuditEntry::by_principal(by, Action::AuditExported, None)).await?;
    let header = stream::once(async { encode(vec![HEADER.map(str::to_owned)]) });
    let newest = (Clock::system().now().plus(CLEANUP_INTERVAL), AuditEntryId(uuid::Uuid::max()));
    let pieces = stream::try_unfold((core, filter, Some(newest)), |(core, filter, before)| async move {
        let Some(before) = before else { return Ok(None) };
        let found = rows::list_before(&core.db.replica().await, &filter, before, EXPORT_PAGE_ROWS).await?;
        let is_last = (found.len() as u64) < EXPORT_PAGE_ROWS;
        let next = found.last().filter(|_| !is_last).map(|entry| (entry.created_at, entry.id));
        let piece = encode(found.into_iter().map(csv_row).collect())?;
        Ok::<_, AppError>(Some((piece, (core, filter, next))))
    });
    Ok(header.chain(pieces))
}

fn csv_row(entry: AuditEntry) -> [String; 7] {
    [
        entry.created_at.to_string(),
        entry.action,
        entry.actor.map(|id| id.to_string()).unwrap_or_default(),
        escape_formula(entry.actor_name.unwrap_or_default()),
        escape_formula(entry.target.unwrap_or_default()),
        entry.address.unwrap_or_default(),
        entry.id.to_string(),
    ]
}

/// Deletes entries that are older than `days` every hour, until the task is aborted.
pub async fn delete_old_entries(core: Arc<Core>, days: u32) {
    let mut tick = tokio::time::interval(CLEANUP_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let before = Clock::system().now().minus(DAY * days);
        let forget = || rows::delete_older(core.db.writer(), before, CLEANUP_CHUNK_ROWS);
        if let Err(error) = catch_panic(delete_in_chunks(CLEANUP_CHUNK_ROWS, forget)).await {
            tracing::warn!(%error, "failed to delete old audit log entries");
        }
    }
}

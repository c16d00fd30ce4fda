//! Announcements as shown to administrators and recipients, and the recipients' acknowledgements.

use appcore::{
    AppError, BroadcastId, Code, UserId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    view::{Audience, Broadcast, BroadcastChannel, BroadcastStatus, Severity, ShownBroadcast},
};
use dbcontext::query::broadcasts::{self as rows, BroadcastFilter, BroadcastRow};

use super::{admin_view, filter_recipients, from_json, reader_view, record_delivered};
use crate::ConversationsService;

/// Maximum length of a title filter, in characters.
const MAX_TITLE_FILTER: usize = 100;

/// Announcements, newest first.
pub async fn list(
    service: &ConversationsService,
    status: Option<BroadcastStatus>,
    severity: Option<Severity>,
    title: Option<String>,
    page: PageRequest,
) -> Result<Page<Broadcast>, AppError> {
    let title = title.as_deref().map(::search::fold_name).filter(|title| !title.is_empty());
    if title.as_ref().is_some_and(|title| title.chars().count() > MAX_TITLE_FILTER) {
        return Err(AppError::field("q", "too_long", format!("Use {MAX_TITLE_FILTER} characters or fewer.")));
    }
    let now = service.clock.now();
    let sought = BroadcastFilter { status, severity, title };
    let (found, total) = rows::list(service.db.reader(), sought, now, page).await?;
    let ids: Vec<BroadcastId> = found.iter().map(|row| row.id).collect();
    let mut counts = rows::counts(service.db.reader(), &ids).await?;
    let items = found.into_iter().map(|row| {
        let counts = counts.remove(&row.id).unwrap_or_default();
        admin_view(row, counts, now)
    });
    Ok(Page::new(items.collect::<Result<_, _>>()?, page, total))
}

/// Announcement with its delivery counts.
pub async fn find(service: &ConversationsService, id: BroadcastId) -> Result<Broadcast, AppError> {
    let row = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let counts = rows::counts(service.db.reader(), &[id]).await?.remove(&id).unwrap_or_default();
    admin_view(row, counts, service.clock.now())
}

/// Announcements shown to the caller now: active banners addressed to them that they have not
/// dismissed. Earliest first.
pub async fn active(service: &ConversationsService, by: &Principal) -> Result<Vec<ShownBroadcast>, AppError> {
    let now = service.clock.now();
    let mut active = rows::active(service.db.reader(), now).await?;
    let mut of_caller = Vec::new();
    for row in active.drain(..) {
        if is_banner(&row)? && is_recipient(service, &row, by.user_id).await? {
            of_caller.push(row);
        }
    }
    if of_caller.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<BroadcastId> = of_caller.iter().map(|row| row.id).collect();
    let (delivered, dismissed) = rows::receipts_of(service.db.reader(), by.user_id, &ids).await?;
    for id in ids.iter().filter(|id| !delivered.contains(id)) {
        record_delivered(service, *id, &[by.user_id]).await?;
    }
    let shown = of_caller.iter().filter(|row| !(row.dismissible && dismissed.contains(&row.id)));
    Ok(shown.map(|row| reader_view(row, now)).collect())
}

/// Records that the caller has seen an announcement.
pub async fn mark_seen(service: &ConversationsService, by: &Principal, id: BroadcastId) -> Result<(), AppError> {
    find_addressed(service, by, id).await?;
    rows::record_seen(service.db.writer(), id, by.user_id, service.clock.now()).await
}

/// Dismisses an announcement for the caller, on all of their devices. Returns `WrongState` if it
/// isn't dismissible.
pub async fn dismiss(service: &ConversationsService, by: &Principal, id: BroadcastId) -> Result<(), AppError> {
    let row = find_addressed(service, by, id).await?;
    if !row.dismissible {
        return Err(AppError::refused(Code::WrongState, "This announcement can't be dismissed."));
    }
    rows::record_dismissed(service.db.writer(), id, by.user_id, service.clock.now()).await?;
    service.notify_user(by.user_id, &Event::BroadcastDismissed { id })
}

/// Finds an announcement that has started and is addressed to the caller. It may have ended in the
/// meantime, because the client may not know that yet.
async fn find_addressed(
    service: &ConversationsService,
    by: &Principal,
    id: BroadcastId,
) -> Result<BroadcastRow, AppError> {
    let row = rows::find(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let is_over_before = row.withdrawn_at.is_some_and(|at| at < row.starts_at);
    let has_begun = row.starts_at <= service.clock.now() && !is_over_before;
    if !has_begun || !is_banner(&row)? || !is_recipient(service, &row, by.user_id).await? {
        return Err(Code::NotFound.into());
    }
    Ok(row)
}

fn is_banner(row: &BroadcastRow) -> Result<bool, AppError> {
    Ok(from_json::<Vec<BroadcastChannel>>(&row.channels)?.contains(&BroadcastChannel::Banner))
}

async fn is_recipient(service: &ConversationsService, row: &BroadcastRow, user: UserId) -> Result<bool, AppError> {
    let audience: Audience = from_json(&row.audience)?;
    if audience.all {
        return Ok(true);
    }
    if !audience.user_ids.is_empty() && !audience.user_ids.contains(&user) {
        return Ok(false);
    }
    Ok(!filter_recipients(service, &audience, &[user]).await?.is_empty())
}

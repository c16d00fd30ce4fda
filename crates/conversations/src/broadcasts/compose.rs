//! Creation, changes and withdrawal of announcements.

use std::{collections::BTreeSet, time::Duration};

use appcore::{
    AppError, BroadcastId, Code, Timestamp,
    auth::Principal,
    text::normalize_text,
    text_field,
    view::{Audience, Broadcast, BroadcastChannel, BroadcastPreview, BroadcastStatus, PresenceStatus, Severity},
};
use dbcontext::{
    constraint::app_error,
    query::broadcasts::{self as rows, BroadcastRow, DeliveryCounts},
};
use identity::accounts::Confirmed;
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::{BroadcastJob, admin_view, filter_recipients, from_json, status};
use crate::ConversationsService;

/// Maximum title length, in characters.
const MAX_TITLE: usize = 120;
/// Maximum body length, in characters.
const MAX_BODY: usize = 2_000;
/// Maximum number of workspaces in an audience, and likewise of plans.
const MAX_GROUPS: usize = 100;
/// Maximum number of individual users in an audience.
const MAX_PEOPLE: usize = 500;
/// Number of roles that exist.
const MAX_ROLES: usize = 2;
/// Number of online users per query when counting those in an audience.
const PRESENCE_BATCH: usize = 1_000;

#[derive(Clone, Debug)]
pub struct NewBroadcast {
    pub title: String,
    pub body: String,
    pub severity: Severity,
    pub audience: Audience,
    pub channels: Vec<BroadcastChannel>,
    /// Whether recipients can dismiss it. `None` means yes, unless the severity is critical.
    pub dismissible: Option<bool>,
    /// Start; `None` means immediately.
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Timestamp>,
}

/// Partial update of an announcement; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct BroadcastChange {
    pub title: Option<String>,
    pub body: Option<String>,
    pub severity: Option<Severity>,
    pub audience: Option<Audience>,
    pub channels: Option<Vec<BroadcastChannel>>,
    pub dismissible: Option<bool>,
    pub starts_at: Option<Timestamp>,
    pub ends_at: Option<Option<Timestamp>>,
}

/// Creates an announcement and schedules its delivery.
pub async fn create(service: &ConversationsService, by: &Principal, new: NewBroadcast) -> Result<Broadcast, AppError> {
    let now = service.clock.now();
    let audience = validate_audience(new.audience)?;
    let channels = validate_channels(new.channels)?;
    let title = text_field::parse_line("title", &new.title, MAX_TITLE)?;
    let starts_at = new.starts_at.unwrap_or(now).max(now);
    check_end(starts_at.max(now), new.ends_at)?;
    let body = body(&new.body)?;
    check_mail(service, by, &channels).await?;
    let row = BroadcastRow {
        id: BroadcastId::new(),
        search_title: ::search::fold_name(&title),
        title,
        body,
        severity: new.severity,
        audience: to_json(&audience)?,
        channels: to_json(&channels)?,
        dismissible: new.dismissible.unwrap_or(new.severity != Severity::Critical),
        starts_at,
        ends_at: new.ends_at,
        withdrawn_at: None,
        created_by: by.user_id,
        created_at: now,
        updated_at: now,
        recipients: count_recipients(service, &audience).await?,
        announced_state: None,
        announced_at: None,
        last_mailed_user_id: None,
        mailed_at: None,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::insert(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::BroadcastCreated, Some(row.id.to_string()))).await?;
    schedule_jobs(&tx, now, &row).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    admin_view(row, DeliveryCounts::default(), now)
}

/// Changes an announcement that has not ended. After its start, the audience, the channels and the
/// start can't be changed any more. Returns `WrongState` for such a change and for an ended
/// announcement.
pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    id: BroadcastId,
    change: BroadcastChange,
) -> Result<Broadcast, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    let is_scheduled = match status(&row, now) {
        BroadcastStatus::Scheduled => true,
        BroadcastStatus::Active => false,
        BroadcastStatus::Ended | BroadcastStatus::Withdrawn => {
            return Err(AppError::refused(Code::WrongState, "This announcement has ended. Write a new one."));
        }
    };
    if let Some(title) = change.title {
        row.title = text_field::parse_line("title", &title, MAX_TITLE)?;
        row.search_title = ::search::fold_name(&row.title);
    }
    if let Some(text) = change.body {
        row.body = body(&text)?;
    }
    if let Some(severity) = change.severity {
        row.severity = severity;
    }
    row.dismissible = change.dismissible.unwrap_or(row.dismissible);
    if let Some(audience) = change.audience {
        let audience = validate_audience(audience)?;
        if audience != from_json::<Audience>(&row.audience)? {
            require_scheduled(is_scheduled)?;
            row.recipients = count_recipients(service, &audience).await?;
            row.audience = to_json(&audience)?;
        }
    }
    if let Some(wanted) = change.channels {
        let wanted = validate_channels(wanted)?;
        if wanted != from_json::<Vec<BroadcastChannel>>(&row.channels)? {
            require_scheduled(is_scheduled)?;
            row.channels = to_json(&wanted)?;
        }
    }
    if let Some(start) = change.starts_at.filter(|start| *start != row.starts_at) {
        require_scheduled(is_scheduled)?;
        row.starts_at = start.max(now);
    }
    if let Some(end) = change.ends_at {
        check_end(row.starts_at.max(now), end)?;
        row.ends_at = end;
    } else if row.ends_at.is_some_and(|end| end <= row.starts_at) {
        check_end(row.starts_at, row.ends_at)?;
    }
    if row.mailed_at.is_none() {
        check_mail(service, by, &from_json::<Vec<BroadcastChannel>>(&row.channels)?).await?;
    }
    // Of two versions, clients apply the one with the later timestamp, so it increases even within
    // one millisecond.
    row.updated_at = now.max(Timestamp(row.updated_at.0 + 1));
    rows::update(&tx, row.clone()).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::BroadcastChanged, Some(id.to_string()))).await?;
    schedule_jobs(&tx, now, &row).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    let counts = rows::counts(service.db.writer(), &[id]).await?.remove(&id).unwrap_or_default();
    admin_view(row, counts, now)
}

/// Withdraws an announcement for good. Returns `WrongState` if it is over already.
pub async fn withdraw(service: &ConversationsService, by: &Principal, id: BroadcastId) -> Result<Broadcast, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let mut row = rows::lock(&tx, id).await?.ok_or(Code::NotFound)?;
    match status(&row, now) {
        BroadcastStatus::Scheduled | BroadcastStatus::Active => {
            row.withdrawn_at = Some(now);
            row.updated_at = now.max(Timestamp(row.updated_at.0 + 1));
            rows::update(&tx, row.clone()).await?;
            audit::record(&tx, NewAuditEntry::by_principal(by, Action::BroadcastWithdrawn, Some(id.to_string())))
                .await?;
            jobs::cancel::<BroadcastJob>(&tx, id.0).await?;
            jobs::enqueue(&tx, now, &BroadcastJob { broadcast_id: id }).await?;
            tx.commit().await.map_err(app_error)?;
            service.wake_workers();
        }
        BroadcastStatus::Withdrawn => tx.rollback().await.map_err(app_error)?,
        BroadcastStatus::Ended => {
            return Err(AppError::refused(Code::WrongState, "This announcement has already ended."));
        }
    }
    let counts = rows::counts(service.db.writer(), &[id]).await?.remove(&id).unwrap_or_default();
    admin_view(row, counts, now)
}

/// Number of recipients of an audience, and how many of them are online.
pub async fn preview(service: &ConversationsService, audience: Audience) -> Result<BroadcastPreview, AppError> {
    let audience = validate_audience(audience)?;
    let recipients = count_recipients(service, &audience).await?.unsigned_abs();
    let mut online = 0;
    if audience.user_ids.is_empty() {
        // The audience may be everybody, so the online users are counted in batches.
        let mut skip = 0;
        loop {
            let here = service.identity.presence.online(skip, PRESENCE_BATCH).await;
            online += filter_recipients(service, &audience, &here).await?.len();
            if here.len() < PRESENCE_BATCH {
                break;
            }
            skip += PRESENCE_BATCH;
        }
    } else {
        let presences = service.identity.presence.presences(&audience.user_ids).await;
        let here = presences.iter().filter(|presence| presence.status != PresenceStatus::Offline);
        let here: Vec<_> = here.map(|presence| presence.user_id).collect();
        online = filter_recipients(service, &audience, &here).await?.len();
    }
    Ok(BroadcastPreview { recipients, online: online as u64 })
}

async fn count_recipients(service: &ConversationsService, audience: &Audience) -> Result<i64, AppError> {
    let count = rows::count_audience(service.db.reader(), audience, service.clock.now()).await?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Enqueues the delivery jobs: one at the start and one at the end of the announcement.
async fn schedule_jobs<C: ConnectionTrait>(db: &C, now: Timestamp, row: &BroadcastRow) -> Result<(), AppError> {
    let job = BroadcastJob { broadcast_id: row.id };
    let until = |moment: Timestamp| Duration::from_millis(moment.0.saturating_sub(now.0).max(0).unsigned_abs());
    jobs::cancel::<BroadcastJob>(db, row.id.0).await?;
    jobs::enqueue_after(db, now, &job, until(row.starts_at)).await?;
    match row.ends_at {
        Some(end) => jobs::enqueue_after(db, now, &job, until(end)).await,
        None => Ok(()),
    }
}

/// Requires a recent sign-in if the announcement goes out by mail, because mail can't be withdrawn.
async fn check_mail(
    service: &ConversationsService,
    by: &Principal,
    channels: &[BroadcastChannel],
) -> Result<(), AppError> {
    if channels.contains(&BroadcastChannel::Mail) {
        Confirmed::authorize(&service.identity, by).await?;
    }
    Ok(())
}

fn require_scheduled(is_scheduled: bool) -> Result<(), AppError> {
    let sentence = "This announcement has started, so its audience, channels and start can no longer change.";
    if is_scheduled { Ok(()) } else { Err(AppError::refused(Code::WrongState, sentence)) }
}

fn to_json(value: &impl serde::Serialize) -> Result<String, AppError> {
    serde_json::to_string(value).map_err(AppError::internal)
}

fn body(text: &str) -> Result<String, AppError> {
    let text = normalize_text(text.to_owned());
    let text = text.trim();
    if text.chars().count() > MAX_BODY {
        return Err(AppError::field("body", "too_long", format!("Use {MAX_BODY} characters or fewer.")));
    }
    Ok(text.to_owned())
}

fn check_end(after: Timestamp, end: Option<Timestamp>) -> Result<(), AppError> {
    if end.is_some_and(|end| end <= after) {
        return Err(AppError::field("ends_at", "invalid", "Choose an end that is later than now and the start."));
    }
    Ok(())
}

/// Validates channels, removes duplicates and sorts them.
fn validate_channels(wanted: Vec<BroadcastChannel>) -> Result<Vec<BroadcastChannel>, AppError> {
    if wanted.is_empty() {
        return Err(AppError::field("channels", "required", "Choose at least one way to reach people."));
    }
    let all =
        [BroadcastChannel::Banner, BroadcastChannel::Notification, BroadcastChannel::Push, BroadcastChannel::Mail];
    Ok(all.into_iter().filter(|channel| wanted.contains(channel)).collect())
}

fn validate_audience(mut audience: Audience) -> Result<Audience, AppError> {
    if audience.is_empty() {
        return Err(AppError::field("audience", "required", "Choose who gets this announcement."));
    }
    if audience.all && audience.has_criteria() {
        let sentence = "Choose either everyone or certain people.";
        return Err(AppError::field("audience.all", "invalid", sentence));
    }
    let too_many =
        |field: &'static str, most: usize| AppError::field(field, "too_many", format!("Choose {most} or fewer."));
    if audience.roles.len() > MAX_ROLES {
        return Err(too_many("audience.roles", MAX_ROLES));
    }
    if audience.workspace_ids.len() > MAX_GROUPS {
        return Err(too_many("audience.workspace_ids", MAX_GROUPS));
    }
    if audience.plan_ids.len() > MAX_GROUPS {
        return Err(too_many("audience.plan_ids", MAX_GROUPS));
    }
    if audience.user_ids.len() > MAX_PEOPLE {
        return Err(too_many("audience.user_ids", MAX_PEOPLE));
    }
    unique(&mut audience.workspace_ids);
    unique(&mut audience.plan_ids);
    unique(&mut audience.user_ids);
    let roles = std::mem::take(&mut audience.roles);
    for role in roles {
        if !audience.roles.contains(&role) {
            audience.roles.push(role);
        }
    }
    Ok(audience)
}

fn unique<T: Ord + Copy>(ids: &mut Vec<T>) {
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
}

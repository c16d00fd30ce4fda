//! Announcements of the administrators.
//!
//! The recipients are defined by an [`Audience`]: a condition that is stored with the announcement
//! and never expanded into a stored list. Each change of an announcement (created, changed,
//! withdrawn) commits together with the [job](BroadcastJob) that delivers it; its start and its end
//! have jobs with a due time. The job publishes one envelope with the audience as its topic, and
//! each instance selects the recipients among its own connections. Clients that connect later
//! request [the active announcements](shown). Views and dismissals are one row per user, from which
//! the counts are computed.

mod compose;
mod delivery;
mod reading;

use appcore::{
    AppError, Timestamp, UserId,
    view::{Audience, Broadcast, BroadcastStatus, ShownBroadcast},
};
use dbcontext::query::broadcasts::{self as rows, BroadcastRow, DeliveryCounts};

pub use compose::{BroadcastChange, NewBroadcast, create, preview, update, withdraw};
pub use delivery::BroadcastJob;
pub use delivery::{published_since, record_delivered};
pub use reading::{active, dismiss, find, list, mark_seen};

use crate::ConversationsService;

/// Maximum number of users in one query.
const MAX_USERS_PER_QUERY: usize = 500;

/// Filters `people` down to the recipients of an audience.
pub async fn filter_recipients(
    service: &ConversationsService,
    audience: &Audience,
    people: &[UserId],
) -> Result<Vec<UserId>, AppError> {
    let mut found = Vec::new();
    for people in people.chunks(MAX_USERS_PER_QUERY) {
        found.extend(rows::in_audience(service.db.reader(), audience, people, service.clock.now()).await?);
    }
    Ok(found)
}

fn status(row: &BroadcastRow, now: Timestamp) -> BroadcastStatus {
    if row.withdrawn_at.is_some() {
        BroadcastStatus::Withdrawn
    } else if row.starts_at > now {
        BroadcastStatus::Scheduled
    } else if row.ends_at.is_some_and(|end| end <= now) {
        BroadcastStatus::Ended
    } else {
        BroadcastStatus::Active
    }
}

fn from_json<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, AppError> {
    serde_json::from_str(json).map_err(AppError::internal)
}

/// Administrator's view of an announcement.
fn admin_view(row: BroadcastRow, counts: DeliveryCounts, now: Timestamp) -> Result<Broadcast, AppError> {
    Ok(Broadcast {
        status: status(&row, now),
        severity: row.severity,
        audience: from_json(&row.audience)?,
        channels: from_json(&row.channels)?,
        id: row.id,
        title: row.title,
        body: row.body,
        dismissible: row.dismissible,
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        withdrawn_at: row.withdrawn_at,
        created_by: row.created_by,
        created_at: row.created_at,
        updated_at: row.updated_at,
        recipients: row.recipients,
        delivered: counts.delivered,
        seen: counts.seen,
        dismissed: counts.dismissed,
    })
}

/// Recipient's view of an announcement.
fn reader_view(row: &BroadcastRow, now: Timestamp) -> ShownBroadcast {
    ShownBroadcast {
        id: row.id,
        title: row.title.clone(),
        body: row.body.clone(),
        severity: row.severity,
        dismissible: row.dismissible,
        status: status(row, now),
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        withdrawn_at: row.withdrawn_at,
        updated_at: row.updated_at,
    }
}

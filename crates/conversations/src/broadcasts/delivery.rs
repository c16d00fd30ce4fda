//! Delivery of announcements: an envelope that all instances receive, notifications and mails for
//! each recipient, and delivery receipts.

use std::time::Duration;

use appcore::{
    AppError, BroadcastId, NotificationId, Timestamp, UserId,
    event::{BusMessage, Envelope, Event, SharedEnvelope, Topic},
    view::{Audience, BroadcastChannel, BroadcastStatus},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        broadcasts::{self as rows, BroadcastRow},
    },
};
use event_log::notifications::{self, BroadcastNotification};
use identity::mail::{MailContent, MailJob, Recipient};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use sea_orm::ConnectionTrait as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MAX_USERS_PER_QUERY, from_json, reader_view, status};
use crate::ConversationsService;

/// Recipients per transaction.
const RECIPIENTS_PER_TRANSACTION: u64 = 200;
/// Tolerated clock skew between this instance and the database, which schedules jobs.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Job that publishes the current state of an announcement unless that was done already.
/// Idempotent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BroadcastJob {
    pub broadcast_id: BroadcastId,
}

impl JobPayload for BroadcastJob {
    const KIND: &'static str = "broadcast";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.broadcast_id)
    }

    fn subject(&self) -> Uuid {
        self.broadcast_id.0
    }
}

impl Job<ConversationsService> for BroadcastJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            told = deliver(work.state, self.broadcast_id) => told.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn deliver(service: &ConversationsService, id: BroadcastId) -> Result<(), AppError> {
    // Read from the primary, because the change has just been committed.
    let Some(row) = rows::find(service.db.writer(), id).await? else { return Ok(()) };
    let now = service.clock.now();
    let status = status(&row, now);
    if status == BroadcastStatus::Scheduled {
        let early = Duration::from_millis(row.starts_at.0.saturating_sub(now.0).max(0).unsigned_abs());
        if early <= CLOCK_SKEW {
            jobs::enqueue_after(service.db.writer(), now, &BroadcastJob { broadcast_id: id }, early).await?;
        }
        return Ok(());
    }
    let channels: Vec<BroadcastChannel> = from_json(&row.channels)?;
    let told = format!("{status}:{}", row.updated_at.0);
    if row.announced_state.as_deref() != Some(&told) {
        // The end of an announcement is published only if its start was published.
        if channels.contains(&BroadcastChannel::Banner)
            && (row.announced_state.is_some() || status == BroadcastStatus::Active)
        {
            drop(service.bus.publish(vec![BusMessage::Envelope(envelope(&row, now)?.into())]));
        }
        let recipients = match row.announced_state {
            None if status == BroadcastStatus::Active => {
                let count = rows::count_audience(service.db.reader(), &from_json(&row.audience)?, now).await?;
                Some(i64::try_from(count).unwrap_or(i64::MAX))
            }
            _ => None,
        };
        if status == BroadcastStatus::Withdrawn && notifies(&channels) {
            withdraw_notifications(service, &row).await?;
        }
        rows::record_published(service.db.writer(), id, &told, recipients, now).await?;
    }
    if status == BroadcastStatus::Active && (channels.contains(&BroadcastChannel::Mail) || notifies(&channels)) {
        send_batches(service, row, &channels).await?;
    }
    Ok(())
}

/// True if recipients get a notification. The push channel uses notifications too.
fn notifies(channels: &[BroadcastChannel]) -> bool {
    channels.iter().any(|channel| matches!(channel, BroadcastChannel::Notification | BroadcastChannel::Push))
}

fn envelope(row: &BroadcastRow, now: Timestamp) -> Result<Envelope, AppError> {
    let shown = reader_view(row, now);
    let topic = Topic::AnnouncementAudience {
        broadcast_id: row.id,
        audience: from_json(&row.audience)?,
        is_counted: shown.status == BroadcastStatus::Active,
    };
    Envelope::seal(&Event::Broadcast(shown), topic, now).map_err(AppError::internal)
}

/// Sends notifications and mails to all recipients in batches. A later run resumes at the last
/// recipient of the previous one.
async fn send_batches(
    service: &ConversationsService,
    mut row: BroadcastRow,
    channels: &[BroadcastChannel],
) -> Result<(), AppError> {
    let is_mailed = channels.contains(&BroadcastChannel::Mail);
    let audience = from_json(&row.audience)?;
    let letter = MailContent::Announcement { title: row.title.clone(), body: row.body.clone(), page: String::new() };
    while row.mailed_at.is_none() {
        let now = service.clock.now();
        let part = rows::audience_after(
            service.db.reader(),
            &audience,
            row.last_mailed_user_id,
            RECIPIENTS_PER_TRANSACTION,
            now,
        )
        .await?;
        let tx = service.db.begin().await.map_err(app_error)?;
        row = match rows::lock(&tx, row.id).await? {
            // Another worker is ahead, or the announcement is not active any more.
            Some(current)
                if current.last_mailed_user_id == row.last_mailed_user_id
                    && status(&current, now) == BroadcastStatus::Active =>
            {
                current
            }
            _ => return tx.rollback().await.map_err(app_error),
        };
        let mut notified = Vec::new();
        if notifies(channels) {
            let (title, body) = (row.title.as_str(), row.body.as_str());
            let announced = BroadcastNotification { id: NotificationId(row.id.0), title, body, channels };
            notified = notifications::store_broadcast(&tx, now, &announced, &part).await?;
        }
        let letters: Vec<_> = part
            .iter()
            .filter(|_| is_mailed)
            .map(|user| MailJob { to: Recipient::User(*user), letter: letter.clone() }.new_job())
            .collect::<Result<_, _>>()?;
        if !letters.is_empty() {
            let piece = query::jobs::insert_after(tx.get_database_backend(), letters, now, Duration::ZERO)?;
            query::execute(&tx, vec![piece]).await?;
        }
        let is_last = (part.len() as u64) < RECIPIENTS_PER_TRANSACTION;
        row.last_mailed_user_id = part.last().copied().or(row.last_mailed_user_id);
        row.mailed_at = is_last.then_some(now);
        rows::record_mailed(&tx, row.id, row.last_mailed_user_id, row.mailed_at).await?;
        tx.commit().await.map_err(app_error)?;
        service.wake_workers();
        notifications::publish(&service.events, notified).await?;
    }
    Ok(())
}

/// Withdraws the notifications of a withdrawn announcement, in batches.
async fn withdraw_notifications(service: &ConversationsService, row: &BroadcastRow) -> Result<(), AppError> {
    let Audience { user_ids, .. } = from_json(&row.audience)?;
    // The notifications of recipients who have since left the workspace, plan or role are to be
    // withdrawn as well.
    let audience = Audience { all: user_ids.is_empty(), user_ids, ..Audience::default() };
    let mut after = None;
    // Recipients after this cursor were never notified, so they have no notification.
    while after < row.last_mailed_user_id {
        let part = rows::audience_after(
            service.db.reader(),
            &audience,
            after,
            RECIPIENTS_PER_TRANSACTION,
            service.clock.now(),
        )
        .await?;
        let Some(last) = part.last().copied() else { break };
        notifications::withdraw_broadcast(&service.events, NotificationId(row.id.0), &part).await?;
        service.wake_workers();
        after = Some(last);
    }
    Ok(())
}

/// Envelopes of announcements published since `since`, for an instance that may have missed them.
pub async fn published_since(
    service: &ConversationsService,
    since: Timestamp,
) -> Result<Vec<SharedEnvelope>, AppError> {
    let now = service.clock.now();
    let mut envelopes = Vec::new();
    for row in rows::published_since(service.db.reader(), since).await? {
        if from_json::<Vec<BroadcastChannel>>(&row.channels)?.contains(&BroadcastChannel::Banner) {
            envelopes.push(envelope(&row, now)?.into());
        }
    }
    Ok(envelopes)
}

/// Records that these users have received an announcement.
pub async fn record_delivered(
    service: &ConversationsService,
    id: BroadcastId,
    people: &[UserId],
) -> Result<(), AppError> {
    for people in people.chunks(MAX_USERS_PER_QUERY) {
        rows::record_delivered(service.db.writer(), id, people, service.clock.now()).await?;
    }
    Ok(())
}

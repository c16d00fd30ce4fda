//! E-mail digest of unread notifications.
//!
//! The first unread notification enqueues a [job](DigestJob) that is due after the delay configured
//! by the user. Notifications that have been read, withdrawn or muted by then are left out. No
//! notification is emailed twice.

use std::{collections::BTreeMap, time::Duration};

use appcore::{
    AppError, Timestamp, UserId,
    auth::token,
    view::{NotificationKind, PresenceStatus},
};
use dbcontext::query::{
    self,
    notifications::{self as rows, NotificationRow},
};
use identity::{
    mail::{self, MailContent},
    presence,
};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::describe;
use crate::EventLogService;

/// Maximum number of notifications listed in a digest. Further ones are only counted, up to
/// [`MAX_COUNTED`].
const MAX_LISTED: usize = 20;
const MAX_COUNTED: u64 = 200;
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DigestJob {
    user_id: UserId,
}

impl JobPayload for DigestJob {
    const KIND: &'static str = "missed_mail";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.user_id)
    }

    fn subject(&self) -> Uuid {
        self.user_id.0
    }
}

impl Job<EventLogService> for DigestJob {
    async fn run(self, work: JobContext<'_, EventLogService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            sent = self.send(work) => sent,
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Enqueues digest jobs, in the transaction that stores the notifications, for users who want
/// digests and have no pending digest job.
pub(super) async fn enqueue<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    new: &[NotificationRow],
) -> Result<(), AppError> {
    let mut people: Vec<UserId> = Vec::new();
    for row in new {
        if row.kind != NotificationKind::Reaction {
            people.push(row.user_id);
        }
    }
    if people.is_empty() {
        return Ok(());
    }
    let mut by_wait: BTreeMap<i64, Vec<UserId>> = BTreeMap::new();
    for (user, minutes) in rows::digest_delays(db, &people, DigestJob::KIND).await? {
        by_wait.entry(minutes).or_default().push(user);
    }
    for (minutes, people) in by_wait {
        let asked = people.into_iter().map(|user_id| DigestJob { user_id }.new_job_for(user_id));
        let piece = query::jobs::insert_after(
            db.get_database_backend(),
            asked.collect::<Result<_, AppError>>()?,
            now,
            MINUTE * u32::try_from(minutes).unwrap_or(u32::MAX),
        )?;
        query::execute(db, vec![piece]).await?;
    }
    Ok(())
}

impl DigestJob {
    async fn send(self, work: JobContext<'_, EventLogService>) -> Result<JobOutcome, AppError> {
        let (service, now) = (work.state, work.state.clock.now());
        let settings = rows::settings(service.db.reader(), self.user_id).await?;
        let Some(minutes) = settings.mail_after_minutes else { return Ok(JobOutcome::Done) };
        let patience = MINUTE * u32::try_from(minutes).unwrap_or(u32::MAX);
        let missed = rows::unmailed_of_user(service.db.writer(), self.user_id, now, MAX_COUNTED).await?;
        let Some(oldest) = missed.iter().map(|row| row.created_at).min() else { return Ok(JobOutcome::Done) };
        // The digest is postponed if the oldest notification has been read meanwhile, or if the
        // user is online and about to see the notifications.
        let left = oldest.plus(patience).0 - now.0;
        let presence = presence::presences(&service.identity, &[self.user_id]).await;
        let is_here = presence.first().is_some_and(|presence| presence.status == PresenceStatus::Online);
        if left > 0 || is_here {
            let wait = if left > 0 { Duration::from_millis(left.unsigned_abs()) } else { patience };
            jobs::enqueue_for_after(service.db.writer(), now, &self, wait, self.user_id).await?;
            return Ok(JobOutcome::Done);
        }
        let count = missed.len();
        let told: Vec<_> =
            missed.iter().map(|row| rows::NotificationKey { user_id: self.user_id, id: row.id }).collect();
        let shown = describe::render_all(service, missed.into_iter().take(MAX_LISTED).collect()).await?;
        let lines = shown.into_iter().map(|one| {
            let text = if settings.show_text { one.text } else { String::new() };
            let count = if one.count > 1 { format!(" ({})", one.count) } else { String::new() };
            if text.is_empty() { format!("{}{count}", one.title) } else { format!("{}{count}: {text}", one.title) }
        });
        let letter =
            MailContent::Missed { count, lines: lines.collect::<Vec<_>>().join("\n"), page: "activity".to_owned() };
        let fresh = token::random_token().map_err(AppError::internal)?;
        let token = rows::mail_token(service.db.writer(), self.user_id, &fresh).await?;
        let public = service.config.server.public_url();
        let unsubscribe = format!("{public}/r1/notifications/unsubscribe?token={token}");
        let ended =
            mail::send_subscription_mail(work.with_state(&*work.state.identity), self.user_id, letter, unsubscribe)
                .await?;
        if ended == JobOutcome::Done {
            rows::record_mailed(service.db.writer(), &told).await?;
        }
        Ok(ended)
    }
}

/// Unsubscribes the user with this token from digests. An unknown token has no effect.
pub async fn unsubscribe(service: &EventLogService, token: &str) -> Result<(), AppError> {
    rows::unsubscribe(service.db.writer(), token).await
}

//! Executes push jobs: sends a notification to the user's devices, or removes notifications that
//! are shown there.

use std::time::Duration;

use appcore::{AppError, view::PresenceStatus};
use dbcontext::query::{notifications, push as rows, users};
use jobs::{self, Job, JobContext, JobOutcome};
use uuid::Uuid;

use super::describe_one;
use crate::EventLogService;
use crate::push::{DeliveryOutcome, PushJob, PushMessage, deliver, is_shown};

/// Maximum number of attempts per device while its push service is unavailable.
const MAX_ATTEMPTS: u32 = 5;
/// Delay before the first retry, if the push service doesn't specify one. It is doubled on each
/// further retry.
const INITIAL_BACKOFF: Duration = Duration::from_secs(15);

impl Job<EventLogService> for PushJob {
    fn max_concurrent(_: &appcore::config::Config) -> usize {
        16
    }

    /// High limit per user: the jobs are owned by the sender, and one message may notify many
    /// users.
    fn max_concurrent_per_user(_: &appcore::config::Config) -> usize {
        12
    }

    async fn run(self, work: JobContext<'_, EventLogService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            pushed = self.push(work.state) => pushed.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

impl PushJob {
    async fn push(&self, service: &EventLogService) -> Result<(), AppError> {
        let Some(message) = self.message(service).await? else { return Ok(()) };
        let now = service.clock.now();
        let mut devices = rows::of_user(service.db.reader(), self.user_id, now).await?;
        if let Some((device, _)) = self.again {
            devices.retain(|known| known.id == device);
        }
        if devices.is_empty() {
            return Ok(());
        }
        if let Some(id) = self.notification_id
            && !rows::mark_pushed(service.db.writer(), self.user_id, id).await?
        {
            return Ok(());
        }
        let sent = devices.iter().map(|device| deliver(service, device, &message));
        let mut failed = None;
        for (device, outcome) in devices.iter().zip(futures_util::future::join_all(sent).await) {
            let noted = match outcome {
                DeliveryOutcome::Sent | DeliveryOutcome::Refused => Ok(()),
                DeliveryOutcome::Gone => rows::remove(service.db.writer(), device.id).await,
                DeliveryOutcome::Later(wait) => self.retry_later(service, device.id, wait).await,
            };
            if let Err(error) = noted {
                tracing::warn!(%error, device = %device.id, "failed to record push result");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Returns the message for the user's devices; `None` if the notification has been read or must
    /// not be pushed.
    async fn message(&self, service: &EventLogService) -> Result<Option<PushMessage>, AppError> {
        let Some(id) = self.notification_id else {
            return Ok(Some(PushMessage::withdrawal(self.conversation_id)));
        };
        let Some(row) = notifications::unread(service.db.reader(), self.user_id, id).await? else { return Ok(None) };
        let settings = notifications::settings(service.db.reader(), self.user_id).await?;
        if !settings.push {
            return Ok(None);
        }
        let presence = service.identity.presence.presences(&[self.user_id]).await;
        let status = presence.first().map_or(PresenceStatus::Offline, |presence| presence.status);
        // Do-not-disturb that is chosen on one device applies to all devices, even after that
        // device has gone offline.
        let wishes = users::presence_settings(service.db.reader(), &[self.user_id], service.clock.now()).await?;
        let chosen = wishes.first().and_then(|wish| wish.chosen);
        if [Some(status), chosen].contains(&Some(PresenceStatus::Dnd)) {
            return Ok(None);
        }
        if status == PresenceStatus::Online
            && chosen.is_none()
            && let Some(conversation_id) = self.conversation_id
            && is_shown(service, self.user_id, conversation_id).await
        {
            return Ok(None);
        }
        let notification = describe_one(service, row).await?;
        Ok(Some(PushMessage::from_notification(&notification, settings.show_text)))
    }

    async fn retry_later(
        &self,
        service: &EventLogService,
        device: Uuid,
        wait: Option<Duration>,
    ) -> Result<(), AppError> {
        let tries = self.again.map_or(0, |(_, tries)| tries) + 1;
        if tries >= MAX_ATTEMPTS {
            tracing::info!(%device, "push abandoned after repeated failures");
            return Ok(());
        }
        let wait = wait.unwrap_or(INITIAL_BACKOFF * 2_u32.pow(tries - 1));
        let job = Self { again: Some((device, tries)), ..self.clone() };
        jobs::enqueue_for_after(service.db.writer(), service.clock.now(), &job, wait, self.user_id).await
    }
}

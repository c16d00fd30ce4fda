//! Message reminders. A reminder is a row and a [job](ReminderJob) with its due time, committed
//! together.

use std::time::Duration;

use appcore::{
    AppError, Code, MessageId, NotificationId, ReminderId, Timestamp, UserId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text_field::parse_line,
    view::{Message, NotificationKind, Reminder},
};
use dbcontext::{
    constraint::app_error,
    query::{
        self,
        reminders::{self as rows, ReminderRow},
        texts::row_bytes,
    },
};
use event_log::notifications::{self, NewNotification};
use files::quotas;
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::find;
use crate::ConversationsService;

/// Maximum number of reminders per user.
const MAX_REMINDERS: u64 = 1_000;
const MAX_NOTE_CHARS: usize = 200;
/// Maximum time between now and the reminder.
const MAX_TIME_AHEAD: Duration = Duration::from_secs(366 * 86_400);

/// Creates a reminder of a message for the caller.
pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    message_id: MessageId,
    at: Timestamp,
    note: Option<&str>,
) -> Result<Reminder, AppError> {
    let now = service.clock.now();
    if at <= now || at > now.plus(MAX_TIME_AHEAD) {
        return Err(AppError::field("at", "invalid", "Choose a time within the next year."));
    }
    let note = note.map(str::trim).filter(|note| !note.is_empty());
    let note = note.map(|note| parse_line("note", note, MAX_NOTE_CHARS)).transpose()?;
    let message = find(service, by, message_id).await?;
    if message.deleted_at.is_some() {
        return Err(Code::NotFound.into());
    }
    if rows::count(service.db.reader(), by.user_id).await? >= MAX_REMINDERS {
        return Err(AppError::refused(Code::TooMany, format!("You can have up to {MAX_REMINDERS} reminders.")));
    }
    let row = ReminderRow { id: ReminderId::new(), user_id: by.user_id, message_id, at, note, created_at: now };
    let tx = service.db.begin().await.map_err(app_error)?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, 0, row_bytes(&[row.note.as_deref().unwrap_or_default()]))
        .await?;
    rows::insert(&tx, row.clone()).await?;
    jobs::enqueue_for_at(&tx, now, &ReminderJob { reminder_id: row.id }, at, by.user_id).await?;
    tx.commit().await.map_err(app_error)?;
    notify_owner(service, by.user_id, row.id)?;
    Ok(Reminder { id: row.id, message, note: row.note, at, created_at: now })
}

/// Reminders of the caller, next due first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    page: PageRequest,
) -> Result<Page<Reminder>, AppError> {
    let (items, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    Ok(Page::new(items, page, total))
}

pub async fn remove(service: &ConversationsService, by: &Principal, id: ReminderId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::remove(&tx, by.user_id, id).await? {
        return Err(Code::NotFound.into());
    }
    jobs::cancel::<ReminderJob>(&tx, id.0).await?;
    tx.commit().await.map_err(app_error)?;
    notify_owner(service, by.user_id, id)
}

/// Notifies the user's other devices, which reload their reminders.
fn notify_owner(service: &ConversationsService, user: UserId, reminder_id: ReminderId) -> Result<(), AppError> {
    service.notify_user(user, &Event::OwnRemindersChanged { reminder_id })
}

/// Job that delivers a reminder. Idempotent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReminderJob {
    pub reminder_id: ReminderId,
}

impl JobPayload for ReminderJob {
    const KIND: &'static str = "reminder";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.reminder_id)
    }

    fn subject(&self) -> Uuid {
        self.reminder_id.0
    }
}

impl Job<ConversationsService> for ReminderJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            told = remind(work.state, self.reminder_id) => told.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn remind(service: &ConversationsService, id: ReminderId) -> Result<(), AppError> {
    // Read from the primary, because the row may have just been committed.
    let Some(row) = rows::find(service.db.writer(), id).await? else { return Ok(()) };
    // Skipped if the message was deleted or the user has lost access to it.
    let found = query::messages::find(service.db.reader(), row.user_id, row.message_id).await?;
    let message = found.map(Message::try_from).transpose()?.filter(|message| message.deleted_at.is_none());
    if let Some(message) = message {
        let notice = NewNotification {
            // Deterministic id, so that a retry notifies only once.
            id: NotificationId(id.0),
            user_id: row.user_id,
            kind: NotificationKind::Reminder,
            conversation_id: Some(message.conversation_id),
            message_id: Some(message.id),
            upload_id: None,
            detail: None,
            title: None,
            text: row.note,
        };
        notifications::notify(&service.events, notice).await?;
    }
    if rows::remove(service.db.writer(), row.user_id, id).await? {
        notify_owner(service, row.user_id, id)?;
    }
    Ok(())
}

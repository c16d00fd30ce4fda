//! Scheduled messages.
//!
//! A scheduled message is a row and a [job](ScheduledJob) with its due time, committed together.
//! Changing the time replaces the job, and a job that runs too early enqueues another one. The
//! message is sent with its `client_id`, so a repeated job doesn't send it twice. A message that is
//! refused when it is due is kept with the reason.

use std::time::Duration;

use ::files::{quotas, uploads::space};
use appcore::{
    AppError, Code, ConversationId, MessageId, ScheduledId, Timestamp, UploadId, UserId,
    auth::Principal,
    event::Event,
    page::{Page, PageRequest},
    text::{ClientId, Content},
    view::{Forwarded, Mention, Message, Scheduled, ScheduledFailure},
};
use dbcontext::{
    constraint::app_error,
    query::{
        scheduled::{self as rows, ScheduledRow},
        texts::row_bytes,
        uploads as files,
    },
};
use event_log::{
    access,
    events::{AnswerOptions, attachment_not_found},
};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use platform::cleanup::SweepJob;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Actor, InThread, SendMessage, check_mentions, may_reply_to, parse_content_with_files, send};
use crate::ConversationsService;

/// Maximum number of scheduled messages per user.
const MAX_SCHEDULED: u64 = 500;
/// Minimum and maximum time between now and the send time.
const MIN_TIME_AHEAD: Duration = Duration::from_secs(10);
const MAX_TIME_AHEAD: Duration = Duration::from_secs(366 * 86_400);
/// Message of the failure `not_found`: the author was removed from the conversation, or it was deleted.
const NO_ACCESS: &str = "This conversation was deleted, or you no longer have access to it.";
/// Tolerated clock skew between this instance and the database, which schedules jobs.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Stored content of a scheduled message, without its conversation and its time.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ScheduledPayload {
    content: Content,
    reply_to: Option<MessageId>,
    #[serde(default)]
    mentions: Vec<Mention>,
    #[serde(default)]
    attachments: Vec<UploadId>,
    thread_id: Option<MessageId>,
    #[serde(default)]
    also_to_conversation: bool,
    forwarded: Option<Forwarded>,
    #[serde(default = "default_true")]
    has_previews: bool,
    #[serde(default)]
    asking: AnswerOptions,
}

fn default_true() -> bool {
    true
}

/// Partial update of a scheduled message; `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct ScheduledChange {
    pub content: Option<String>,
    pub mentions: Option<Vec<Mention>>,
    pub send_at: Option<Timestamp>,
}

/// Schedules a message. Repeating the same `client_id` returns the earlier one.
pub async fn create(
    service: &ConversationsService,
    by: Actor,
    message: SendMessage,
    send_at: Timestamp,
    is_confirmed: bool,
) -> Result<Scheduled, AppError> {
    let (user, conversation_id) = (by.user_id, by.conversation_id);
    let now = service.clock.now();
    // A repeated request returns the message that exists, even if its send time is near or past.
    let same = rows::by_client_id(service.db.writer(), user, conversation_id, message.client_id.as_str()).await?;
    if let Some(same) = same {
        return view(same);
    }
    check_time(now, send_at)?;
    if message.poll.is_some() {
        return Err(AppError::field("poll", "invalid", "Polls can't be scheduled."));
    }
    check_mentions(&message.mentions)?;
    let access = access::Lookup::new(&service.events, user, conversation_id);
    let member = access.member().await?;
    member.may_write()?;
    message.content.check_length(service.config.messages.max_chars_in(member.kind))?;
    if message.mentions_many() {
        // The result is ignored: only the confirmation is checked here, and the recipients are
        // resolved when the message is sent.
        super::resolve_here(service, &access, &message.mentions, is_confirmed).await?;
    }
    check_targets(service, by, &message).await?;
    space::check_attachments(&service.files, &access, &message.attachments).await?;
    if rows::count(service.db.reader(), user).await? >= MAX_SCHEDULED {
        return Err(AppError::refused(
            Code::TooMany,
            format!("You can have up to {MAX_SCHEDULED} scheduled messages."),
        ));
    }
    let payload = ScheduledPayload {
        content: message.content,
        reply_to: message.reply_to,
        mentions: message.mentions,
        attachments: message.attachments,
        thread_id: message.thread.map(|thread| thread.root_id),
        also_to_conversation: message.thread.is_some_and(|thread| thread.also_to_conversation),
        forwarded: message.forwarded,
        has_previews: message.has_previews,
        // Credits are reserved when the answer is requested, not now.
        asking: AnswerOptions { holds: Vec::new(), ..message.asking },
    };
    let row = ScheduledRow {
        id: ScheduledId::new(),
        user_id: user,
        conversation_id,
        client_id: message.client_id.as_str().to_owned(),
        payload: encode_payload(&payload)?,
        send_at,
        created_at: now,
        sending_at: None,
        failure: None,
        failure_message: None,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    quotas::check_text_quota(&service.files, &tx, user, 0, row_bytes(&[&row.payload])).await?;
    // The uploads are locked until they are attached.
    let files = files::lock_to_send(&tx, payload.attachments.iter().copied()).await?;
    let is_usable = |id: &UploadId| files.iter().any(|file| file.id == *id && file.is_usable_by(user));
    if !payload.attachments.iter().all(is_usable) {
        return Err(attachment_not_found());
    }
    if !rows::insert(&tx, row.clone(), &payload.attachments).await? {
        tx.rollback().await.map_err(app_error)?;
        let same = rows::by_client_id(service.db.writer(), user, conversation_id, &row.client_id).await?;
        return view(same.ok_or(Code::Conflict)?);
    }
    jobs::enqueue_for_at(&tx, now, &ScheduledJob { scheduled_id: row.id }, send_at, user).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, row)
}

/// Refuses a message whose reply or thread target the sender can't read, as sending it would.
async fn check_targets(service: &ConversationsService, by: Actor, message: &SendMessage) -> Result<(), AppError> {
    let targets = [
        ("reply_to", message.reply_to, "The message you're replying to isn't in this conversation."),
        ("thread_id", message.thread.map(|thread| thread.root_id), "This thread doesn't exist here."),
    ];
    for (field, target, sentence) in targets {
        if let Some(target) = target
            && !may_reply_to(service, by.user_id, by.conversation_id, target).await?
        {
            return Err(AppError::field(field, "not_found", sentence));
        }
    }
    Ok(())
}

/// Scheduled messages of the caller, next due first, also those in conversations that the caller can no longer read.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    conversation: Option<ConversationId>,
    page: PageRequest,
) -> Result<Page<Scheduled>, AppError> {
    let (found, total) = rows::list(service.db.reader(), by.user_id, conversation, page).await?;
    let items = found.into_iter().map(view).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

pub async fn find(service: &ConversationsService, by: &Principal, id: ScheduledId) -> Result<Scheduled, AppError> {
    view(find_own(service, by, id).await?)
}

/// Changes the text, the mentions or the time. A message that was refused is scheduled again.
pub async fn update(
    service: &ConversationsService,
    by: &Principal,
    id: ScheduledId,
    change: ScheduledChange,
) -> Result<Scheduled, AppError> {
    let row = find_own(service, by, id).await?;
    let mut payload = decode_payload(&row)?;
    let now = service.clock.now();
    if let Some(text) = change.content {
        payload.content = parse_content_with_files(service, text, &payload.attachments, payload.forwarded.is_some())?;
        let access = access::member(&service.events, by.user_id, row.conversation_id).await?;
        payload.content.check_length(service.config.messages.max_chars_in(access.kind))?;
    }
    if let Some(mentions) = change.mentions {
        check_mentions(&mentions)?;
        payload.mentions = mentions;
    }
    let send_at = match change.send_at {
        Some(at) => {
            check_time(now, at)?;
            at
        }
        // The send time of a refused message is in the past.
        None if row.failure.is_some() => now.plus(MIN_TIME_AHEAD),
        None => row.send_at,
    };
    let payload = encode_payload(&payload)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    quotas::check_text_quota(&service.files, &tx, by.user_id, row_bytes(&[&row.payload]), row_bytes(&[&payload]))
        .await?;
    let Some(row) = rows::update(&tx, by.user_id, id, payload, send_at).await? else {
        return Err(AppError::refused(Code::WrongState, "This message is being sent right now."));
    };
    jobs::cancel::<ScheduledJob>(&tx, id.0).await?;
    jobs::enqueue_for_at(&tx, now, &ScheduledJob { scheduled_id: id }, send_at, by.user_id).await?;
    tx.commit().await.map_err(app_error)?;
    publish(service, row)
}

/// Sends a scheduled message now.
pub async fn send_now(service: &ConversationsService, by: &Principal, id: ScheduledId) -> Result<Message, AppError> {
    let row = find_own(service, by, id).await?;
    let (author, message) = message_of(&row)?;
    let sent = send(service, author, message, true).await?;
    jobs::cancel::<ScheduledJob>(service.db.writer(), id.0).await?;
    finish(service, &row).await?;
    Ok(sent.message)
}

/// Cancels a scheduled message. Returns `WrongState` while it is being sent.
pub async fn remove(service: &ConversationsService, by: &Principal, id: ScheduledId) -> Result<(), AppError> {
    let row = find_own(service, by, id).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::remove(&tx, by.user_id, id).await? {
        return Err(AppError::refused(Code::WrongState, "This message is being sent right now."));
    }
    jobs::cancel::<ScheduledJob>(&tx, id.0).await?;
    for upload in decode_payload(&row)?.attachments {
        jobs::enqueue(&tx, service.clock.now(), &SweepJob::Upload(upload)).await?;
    }
    tx.commit().await.map_err(app_error)?;
    publish_removal(service, &row)
}

async fn find_own(service: &ConversationsService, by: &Principal, id: ScheduledId) -> Result<ScheduledRow, AppError> {
    let row = rows::find(service.db.reader(), id).await?.filter(|row| row.user_id == by.user_id);
    row.ok_or_else(|| Code::NotFound.into())
}

fn check_time(now: Timestamp, at: Timestamp) -> Result<(), AppError> {
    // The client's clock may differ by up to one second.
    if at < now.plus(MIN_TIME_AHEAD - Duration::from_secs(1)) {
        return Err(AppError::field("send_at", "invalid", "Choose a time at least 10 seconds from now."));
    }
    if at > now.plus(MAX_TIME_AHEAD) {
        return Err(AppError::field("send_at", "invalid", "Choose a time within the next year."));
    }
    Ok(())
}

fn encode_payload(payload: &ScheduledPayload) -> Result<String, AppError> {
    serde_json::to_string(payload).map_err(AppError::internal)
}

fn decode_payload(row: &ScheduledRow) -> Result<ScheduledPayload, AppError> {
    serde_json::from_str(&row.payload).map_err(AppError::internal)
}

fn view(row: ScheduledRow) -> Result<Scheduled, AppError> {
    let payload = decode_payload(&row)?;
    Ok(Scheduled {
        id: row.id,
        conversation_id: row.conversation_id,
        client_id: row.client_id,
        content: payload.content.into_string(),
        reply_to: payload.reply_to,
        thread_id: payload.thread_id,
        also_to_conversation: payload.also_to_conversation,
        mentions: payload.mentions,
        attachment_ids: payload.attachments,
        send_at: row.send_at,
        created_at: row.created_at,
        failure: row.failure.map(|code| ScheduledFailure { code, message: row.failure_message.unwrap_or_default() }),
    })
}

fn message_of(row: &ScheduledRow) -> Result<(Actor, SendMessage), AppError> {
    let payload = decode_payload(row)?;
    let also_to_conversation = payload.also_to_conversation;
    let author = Actor { conversation_id: row.conversation_id, user_id: row.user_id };
    let message = SendMessage {
        client_id: ClientId::parse(row.client_id.as_str())?,
        content: payload.content,
        reply_to: payload.reply_to,
        mentions: payload.mentions,
        here_recipients: Vec::new(),
        attachments: payload.attachments,
        thread: payload.thread_id.map(|root_id| InThread { root_id, also_to_conversation }),
        forwarded: payload.forwarded,
        has_previews: payload.has_previews,
        poll: None,
        asking: payload.asking,
    };
    Ok((author, message))
}

fn publish(service: &ConversationsService, row: ScheduledRow) -> Result<Scheduled, AppError> {
    let user: UserId = row.user_id;
    let scheduled = view(row)?;
    let (conversation_id, id) = (scheduled.conversation_id, scheduled.id);
    let event = Event::ScheduledUpdated { conversation_id, id, scheduled: Some(Box::new(scheduled.clone())) };
    service.notify_user(user, &event)?;
    Ok(scheduled)
}

fn publish_removal(service: &ConversationsService, row: &ScheduledRow) -> Result<(), AppError> {
    let (conversation_id, id) = (row.conversation_id, row.id);
    service.notify_user(row.user_id, &Event::ScheduledUpdated { conversation_id, id, scheduled: None })
}

async fn finish(service: &ConversationsService, row: &ScheduledRow) -> Result<(), AppError> {
    rows::delete(service.db.writer(), row.id).await?;
    publish_removal(service, row)
}

/// Job that sends a scheduled message that is due. Idempotent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ScheduledJob {
    pub scheduled_id: ScheduledId,
}

impl JobPayload for ScheduledJob {
    const KIND: &'static str = "scheduled_message";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.scheduled_id)
    }

    fn subject(&self) -> Uuid {
        self.scheduled_id.0
    }
}

impl Job<ConversationsService> for ScheduledJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            sent = deliver(work.state, self) => sent.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

async fn deliver(service: &ConversationsService, job: ScheduledJob) -> Result<(), AppError> {
    let (id, db) = (job.scheduled_id, service.db.writer());
    let now = service.clock.now();
    let Some(row) = rows::claim(db, id, now).await? else {
        // Nothing to do if the row is gone, refused or rescheduled. A rescheduled message has
        // another job. Only if this job ran early because of clock skew, a new one is needed.
        let Some(row) = rows::find(db, id).await?.filter(|row| row.failure.is_none()) else { return Ok(()) };
        if row.send_at <= now.plus(CLOCK_SKEW) {
            jobs::enqueue_for_at(db, now, &job, row.send_at, row.user_id).await?;
        }
        return Ok(());
    };
    let (author, message) = message_of(&row)?;
    match send(service, author, message, true).await {
        Ok(_) => finish(service, &row).await,
        Err(error @ (AppError::Unavailable(_) | AppError::Internal(_))) => Err(error),
        Err(error) => match error.retry_after() {
            // Rate limits apply as to a message sent by hand, so the job is retried later.
            Some(after) => {
                jobs::enqueue_for_after(db, now, &job, after.max(Duration::from_secs(1)), row.user_id).await?;
                rows::release(db, id).await
            }
            None => {
                let sentence = error.sentence();
                let reason = if sentence == Code::NotFound.sentence() { NO_ACCESS } else { &*sentence };
                let failed = rows::fail(db, id, error.code().as_str(), reason).await?;
                failed.map(|row| publish(service, row)).transpose().map(drop)
            }
        },
    }
}

//! Due-date reminders: a durable job notifies the assignees of a task one hour before it is due.

use std::time::Duration;

use appcore::{
    AppError, Code, NotificationId, TaskId, Timestamp, UserId,
    view::{NotificationKind, Task},
};
use dbcontext::query::{boards, tasks as rows};
use event_log::{
    access,
    notifications::{NewNotification, notify},
};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::ConversationsService;

const REMIND_BEFORE: Duration = Duration::from_secs(3_600);

/// Reminds the assignees of a task, or its creator if it has none. Does nothing if the task is
/// done, archived or rescheduled by then.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DueJob {
    pub task_id: TaskId,
    pub due_at: Timestamp,
}

impl JobPayload for DueJob {
    const KIND: &'static str = "task_due";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.task_id)
    }

    fn subject(&self) -> Uuid {
        self.task_id.0
    }
}

impl Job<ConversationsService> for DueJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        tokio::select! {
            reminded = remind(work.state, self) => reminded.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Replaces the due-date reminder of a task, in the caller's transaction.
pub(super) async fn reschedule<C: ConnectionTrait>(db: &C, now: Timestamp, task: &Task) -> Result<(), AppError> {
    jobs::cancel::<DueJob>(db, task.id.0).await?;
    let Some(due_at) = task.due_at.filter(|due_at| *due_at > now) else { return Ok(()) };
    let at = if due_at.minus(REMIND_BEFORE) > now { due_at.minus(REMIND_BEFORE) } else { due_at };
    jobs::enqueue_for_at(db, now, &DueJob { task_id: task.id, due_at }, at, task.created_by).await
}

async fn remind(service: &ConversationsService, job: DueJob) -> Result<(), AppError> {
    let db = service.db.reader();
    let Some(task) = rows::find(db, job.task_id).await?.filter(|task| task.due_at == Some(job.due_at)) else {
        return Ok(());
    };
    if task.archived_at.is_some() {
        return Ok(());
    }
    if boards::column(db, task.column_id).await?.is_none_or(|column| column.done) {
        return Ok(());
    }
    let people = if task.assignee_ids.is_empty() { vec![task.created_by] } else { task.assignee_ids.clone() };
    let mut failed = None;
    for user_id in people {
        // A failure for one assignee doesn't stop the others. Notification ids are deterministic,
        // so a retry notifies nobody twice.
        if let Err(error) = remind_person(service, job, &task, user_id).await {
            tracing::warn!(%error, task = %job.task_id, user = %user_id, "failed to send task reminder");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn remind_person(
    service: &ConversationsService,
    job: DueJob,
    task: &Task,
    user_id: UserId,
) -> Result<(), AppError> {
    match access::reader(&service.events, user_id, task.conversation_id).await {
        Ok(_) => {}
        // Former members of the conversation are skipped.
        Err(error) if error.code() == Code::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let notice = NewNotification {
        id: notice_id(job),
        user_id,
        kind: NotificationKind::Reminder,
        conversation_id: Some(task.conversation_id),
        message_id: task.message_id,
        upload_id: None,
        detail: Some(job.due_at.to_string()),
        title: Some(task.title.clone()),
        text: Some(String::new()),
    };
    notify(&service.events, notice).await
}

/// Deterministic notification id, made of the random half of the task id and the due time. It makes
/// retries of the job idempotent.
fn notice_id(DueJob { task_id, due_at }: DueJob) -> NotificationId {
    let mut bytes = *task_id.0.as_bytes();
    bytes[..6].copy_from_slice(&due_at.millis().to_be_bytes()[2..]);
    NotificationId(Builder::from_custom_bytes(bytes).into_uuid())
}

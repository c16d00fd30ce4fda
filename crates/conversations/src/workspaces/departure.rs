//! Cleanup after the end of a membership: removes the former workspace member from the workspace's
//! conversations.
//!
//! The membership ends first. Requests that create a conversation or add a member lock the
//! memberships that they rely on, so no conversation can gain the former member afterwards, and the
//! list of conversations is complete. Each conversation is left through the writer, so that the
//! change is ordered with the conversation's other changes.

use std::time::Duration;

use appcore::{AppError, Code, ConversationId, Timestamp, UserId, WorkspaceId};
use dbcontext::query::{conversations, workspaces as rows};
use event_log::events::{Change, ServerAction};
use futures_util::{StreamExt as _, stream};
use jobs::{self, Job, JobContext, JobOutcome, JobPayload};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ConversationsService;

/// Conversations per query.
const CONVERSATIONS_PER_QUERY: u64 = 500;
/// Maximum number of concurrent changes. The writer commits them in batches.
const MAX_CONCURRENT_CHANGES: usize = 64;
/// Delay of the job that completes the cleanup if this instance crashes.
const CLEANUP_DELAY: Duration = Duration::from_secs(30);

/// Job that completes the cleanup of an ended membership or workspace if the instance that started
/// it crashes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DepartureJob {
    workspace_id: WorkspaceId,
    /// Former member; `None` stands for all members of a deleted workspace.
    user_id: Option<UserId>,
}

/// Enqueues the cleanup job, in the transaction that ends the membership or the workspace.
pub(super) async fn enqueue_cleanup<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    workspace_id: WorkspaceId,
    user_id: Option<UserId>,
) -> Result<(), AppError> {
    jobs::enqueue_after(db, now, &DepartureJob { workspace_id, user_id }, CLEANUP_DELAY).await
}

impl JobPayload for DepartureJob {
    const KIND: &'static str = "departure";

    fn concurrency_key(&self) -> String {
        format!("departure:{}", self.workspace_id)
    }

    fn subject(&self) -> Uuid {
        self.workspace_id.0
    }
}

impl Job<ConversationsService> for DepartureJob {
    async fn run(self, work: JobContext<'_, ConversationsService>) -> Result<JobOutcome, AppError> {
        let clearing = async {
            match self.user_id {
                Some(user) => remove_from_conversations(work.state, self.workspace_id, user).await,
                None => dissolve(work.state, self.workspace_id).await,
            }
        };
        tokio::select! {
            cleared = clearing => cleared.map(|()| JobOutcome::Done),
            _ = work.lease.keep_alive(&work.state.db) => Ok(JobOutcome::Lost),
            () = work.draining.cancelled() => Ok(JobOutcome::Requeued),
        }
    }
}

/// Removes a former member from all conversations of a workspace.
pub(super) async fn remove_from_conversations(
    service: &ConversationsService,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), AppError> {
    // The user may have rejoined in the meantime.
    if rows::role(service.db.writer(), workspace, user).await?.is_some() {
        return Ok(());
    }
    submit_for_each(service, workspace, Some(user), |id| ServerAction::Depart { user_id: user }.on_conversation(id))
        .await
}

/// Dissolves all conversations of a deleted workspace.
pub(super) async fn dissolve(service: &ConversationsService, workspace: WorkspaceId) -> Result<(), AppError> {
    submit_for_each(service, workspace, None, |id| ServerAction::Dissolve.on_conversation(id)).await
}

async fn submit_for_each(
    service: &ConversationsService,
    workspace: WorkspaceId,
    member: Option<UserId>,
    change: impl Fn(ConversationId) -> Change,
) -> Result<(), AppError> {
    let (mut last, mut failed) = (None, None);
    loop {
        let found =
            conversations::of_workspace(service.db.writer(), workspace, member, last, CONVERSATIONS_PER_QUERY).await?;
        let Some(next) = found.last() else { return failed.map_or(Ok(()), Err) };
        last = Some(*next);
        let changes = found.into_iter().map(|id| (id, change(id))).collect();
        if let Some(error) = submit_all(service, changes).await? {
            failed = Some(error);
        }
    }
}

/// Submits changes to several conversations. A failure in one conversation doesn't stop the others;
/// the last error is returned.
pub async fn submit_all(
    service: &ConversationsService,
    changes: Vec<(ConversationId, Change)>,
) -> Result<Option<AppError>, AppError> {
    let submitted =
        stream::iter(changes).map(|(id, change)| async move { (id, service.events.writer.submit(change).await) });
    let mut submitted = submitted.buffer_unordered(MAX_CONCURRENT_CHANGES);
    let mut failed = None;
    while let Some((id, outcome)) = submitted.next().await {
        match outcome {
            Ok(_) => {}
            // The member was removed by a concurrent request, which has the same result.
            Err(error) if error.code() == Code::NotFound => {}
            // If the database is unavailable, all other conversations would fail too.
            Err(error @ AppError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, conversation = %id, "failed to remove departed member");
                failed = Some(error);
            }
        }
    }
    Ok(failed)
}

//! What of a membership ends with it: a former member of a workspace is in none of its conversations.
//!
//! The membership ends first, and a request that begins a conversation or adds a member to one holds the memberships that this
//! needs ([`rows::hold`]). So what is found here after that is all that there is. Each conversation is left through the
//! writer, in its order among everything else that happens there.

use std::time::Duration;

use appcore::{AppError, Code, ConversationId, Timestamp, UserId, WorkspaceId};
use dbcontext::query::{conversations, workspaces as rows};
use event_log::events::{Change, ServerAction};
use futures_util::{StreamExt as _, stream};
use jobs::{self, Ended, Job, Stored, Work};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ConversationsService;

/// Conversations that are read at once.
const READ: u64 = 500;
/// Changes that are under way at once; the writer commits them together.
const AT_ONCE: usize = 64;
/// When it is looked whether anything was left over, because an instance died over it.
const SECOND_LOOK: Duration = Duration::from_secs(30);

/// Sees to it that an ended membership, or workspace, leaves nothing behind even if this instance dies now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct DepartureJob {
    workspace_id: WorkspaceId,
    /// None: everybody, because the workspace is gone.
    user_id: Option<UserId>,
}

/// Asks for that, in the transaction that ends the membership or the workspace.
pub(super) async fn ask<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    workspace_id: WorkspaceId,
    user_id: Option<UserId>,
) -> Result<(), AppError> {
    jobs::ask_after(db, now, &DepartureJob { workspace_id, user_id }, SECOND_LOOK).await
}

impl Stored for DepartureJob {
    const KIND: &'static str = "departure";

    fn concurrency_key(&self) -> String {
        format!("departure:{}", self.workspace_id)
    }

    fn subject(&self) -> Uuid {
        self.workspace_id.0
    }
}

impl Job<ConversationsService> for DepartureJob {
    async fn run(self, work: Work<'_, ConversationsService>) -> Result<Ended, AppError> {
        let clearing = async {
            match self.user_id {
                Some(user) => take_out(work.state, self.workspace_id, user).await,
                None => dissolve(work.state, self.workspace_id).await,
            }
        };
        tokio::select! {
            cleared = clearing => cleared.map(|()| Ended::Done),
            _ = work.lease.keep(&work.state.db) => Ok(Ended::Lost),
            () = work.draining.cancelled() => Ok(Ended::HandedOn),
        }
    }
}

/// Takes somebody out of all conversations of a workspace that they are no longer in.
pub(super) async fn take_out(
    service: &ConversationsService,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<(), AppError> {
    // They may have come back since.
    if rows::role(service.db.writer(), workspace, user).await?.is_some() {
        return Ok(());
    }
    each(service, workspace, Some(user), |id| ServerAction::Depart { user_id: user }.on(id)).await
}

/// Ends all conversations of a workspace that is no longer there.
pub(super) async fn dissolve(service: &ConversationsService, workspace: WorkspaceId) -> Result<(), AppError> {
    each(service, workspace, None, |id| ServerAction::Dissolve.on(id)).await
}

async fn each(
    service: &ConversationsService,
    workspace: WorkspaceId,
    member: Option<UserId>,
    change: impl Fn(ConversationId) -> Change,
) -> Result<(), AppError> {
    let (mut last, mut failed) = (None, None);
    loop {
        let found = conversations::of_workspace(service.db.writer(), workspace, member, last, READ).await?;
        let Some(next) = found.last() else { return failed.map_or(Ok(()), Err) };
        last = Some(*next);
        let changes = found.into_iter().map(|id| (id, change(id))).collect();
        if let Some(error) = submit_all(service, changes).await? {
            failed = Some(error);
        }
    }
}

/// Ends something in these conversations. Answers why, where it goes on in one of them: in the others it ends.
pub async fn submit_all(
    service: &ConversationsService,
    changes: Vec<(ConversationId, Change)>,
) -> Result<Option<AppError>, AppError> {
    let submitted =
        stream::iter(changes).map(|(id, change)| async move { (id, service.events.writer.submit(change).await) });
    let mut submitted = submitted.buffer_unordered(AT_ONCE);
    let mut failed = None;
    while let Some((id, outcome)) = submitted.next().await {
        match outcome {
            Ok(_) => {}
            // Somebody else was quicker, with the same result.
            Err(error) if error.code() == Code::NotFound => {}
            // Others would fare no better.
            Err(error @ AppError::Unavailable(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, conversation = %id, "what has ended goes on in a conversation");
                failed = Some(error);
            }
        }
    }
    Ok(failed)
}

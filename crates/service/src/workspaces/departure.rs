//! What of a membership ends with it: whoever is no longer in a workspace is in none of its conversations.
//!
//! The membership ends first, and whoever would begin a conversation or add somebody to one holds the memberships that this
//! needs ([`rows::hold`]). So what is found here after that is all that there is. Each conversation is left through the
//! writer, in its order among everything else that happens there.

use appcore::{AppError, Code, ConversationId, UserId, WorkspaceId};
use dbcontext::query::conversations;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    App,
    events::{Change, Depart},
};

/// Conversations that are read at once.
const READ: u64 = 500;
/// Changes that are under way at once; the writer commits them together.
const AT_ONCE: usize = 64;

/// Takes somebody out of all conversations of a workspace that they are no longer in.
pub(super) async fn take_out(app: &App, workspace: WorkspaceId, user: UserId) -> Result<(), AppError> {
    let depart = |conversation_id| Change::Depart(Depart { conversation_id, user_id: user });
    each(app, workspace, Some(user), depart).await
}

/// Ends all conversations of a workspace that is no longer there.
pub(super) async fn dissolve(app: &App, workspace: WorkspaceId) -> Result<(), AppError> {
    each(app, workspace, None, Change::Dissolve).await
}

async fn each(
    app: &App,
    workspace: WorkspaceId,
    member: Option<UserId>,
    change: impl Fn(ConversationId) -> Change,
) -> Result<(), AppError> {
    let mut last = None;
    loop {
        let found = conversations::of_workspace(app.db.writer(), workspace, member, last, READ).await?;
        let Some(next) = found.last() else { return Ok(()) };
        last = Some(*next);
        let changes = stream::iter(found.into_iter().map(|id| app.writer.submit(change(id))));
        let done = changes.buffer_unordered(AT_ONCE).map(|outcome| match outcome {
            // Somebody else was quicker, with the same result.
            Err(error) if error.code() == Code::NotFound => Ok(()),
            outcome => outcome.map(drop),
        });
        done.try_collect::<()>().await?;
    }
}

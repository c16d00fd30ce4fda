//! Telling people that a workspace of theirs is another than it was: that they are in it or no longer are, their role, its name, its end.
//!
//! What has changed is not in it: whoever hears of it asks, and sees what they may see by then. It is told after the commit and kept
//! nowhere; who was away reads their workspaces when they come.

use appcore::{
    AppError, UserId, WorkspaceId,
    event::{Audience, BusMessage, Envelope, Event},
};
use dbcontext::query::workspaces as rows;
use sea_orm::ConnectionTrait;

use crate::App;

/// How many are told at once; whoever is one more sees it when they next look.
const MOST_TOLD: u64 = 10_000;

/// Whom it concerns.
#[must_use]
pub(crate) struct ChangeNotice {
    workspace_id: WorkspaceId,
    people: Vec<UserId>,
}

/// For everybody who is in the workspace now.
pub(super) async fn to_all<C: ConnectionTrait>(db: &C, workspace_id: WorkspaceId) -> Result<ChangeNotice, AppError> {
    Ok(ChangeNotice { workspace_id, people: rows::member_ids(db, workspace_id, MOST_TOLD).await? })
}

impl ChangeNotice {
    pub(crate) fn of<const COUNT: usize>(workspace_id: WorkspaceId, people: [UserId; COUNT]) -> Self {
        let mut people = people.to_vec();
        people.dedup();
        Self { workspace_id, people }
    }

    /// Tells it, wherever they are. Nobody waits for that.
    pub(crate) fn tell(self, app: &App) {
        if self.people.is_empty() {
            return;
        }
        let event = Event::WorkspaceChanged { workspace_id: self.workspace_id };
        match Envelope::seal(&event, Audience::Users(self.people), app.clock.now()) {
            Ok(envelope) => drop(app.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
            Err(error) => tracing::error!(%error, "a workspace's change could not be encoded"),
        }
    }
}

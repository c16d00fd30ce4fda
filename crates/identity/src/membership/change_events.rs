//! Telling people that a workspace of theirs is another than it was: that they are in it or no longer are, their role, its name, its end.
//!
//! What has changed is not in it: a client that is told asks for it, and gets what its user may see by then. It is told after the commit and kept
//! nowhere; who was away reads their workspaces when they come. Connections follow their user's workspaces by it, too.

use appcore::{
    UserId, WorkspaceId,
    event::{BusMessage, FollowChange, Envelope, Event, Topic},
};

use crate::IdentityService;

/// The people concerned, and how what their connections follow changes.
#[must_use]
pub struct WorkspaceChangeEvent {
    workspace_id: WorkspaceId,
    concerns: Vec<(Topic, FollowChange)>,
}

impl WorkspaceChangeEvent {
    /// For everybody who is in the workspace.
    pub fn to_all(workspace_id: WorkspaceId) -> Self {
        Self { workspace_id, concerns: vec![(Topic::Workspace(workspace_id), FollowChange::None)] }
    }

    /// The workspace is no longer there, for everybody who was in it.
    pub fn ended(workspace_id: WorkspaceId) -> Self {
        let concerns = vec![(Topic::Workspace(workspace_id), FollowChange::EndWorkspace(workspace_id))];
        Self { workspace_id, concerns }
    }

    /// Something else has changed for these members.
    pub fn of<const COUNT: usize>(workspace_id: WorkspaceId, people: [UserId; COUNT]) -> Self {
        let mut people = people.to_vec();
        people.dedup();
        Self { workspace_id, concerns: people.into_iter().map(|user| (Topic::User(user), FollowChange::None)).collect() }
    }

    /// This person is in the workspace now.
    pub fn entered(workspace_id: WorkspaceId, user_id: UserId) -> Self {
        Self::concerning(workspace_id, user_id, FollowChange::EnterWorkspace { user_id, workspace_id })
    }

    /// This person is no longer in the workspace.
    pub fn left(workspace_id: WorkspaceId, user_id: UserId) -> Self {
        Self::concerning(workspace_id, user_id, FollowChange::LeaveWorkspace { user_id, workspace_id })
    }

    fn concerning(workspace_id: WorkspaceId, user_id: UserId, effect: FollowChange) -> Self {
        Self { workspace_id, concerns: vec![(Topic::User(user_id), effect)] }
    }

    /// Tells it, wherever they are. Nobody waits for that.
    pub fn tell(self, service: &IdentityService) {
        let event = Event::WorkspaceChanged { workspace_id: self.workspace_id };
        let now = service.clock.now();
        let messages: Result<Vec<BusMessage>, _> = self
            .concerns
            .into_iter()
            .map(|(topic, effect)| {
                Envelope::seal(&event, topic, now)
                    .map(|envelope| BusMessage::Envelope(envelope.with_follow_change(effect).into()))
            })
            .collect();
        match messages {
            Ok(messages) => drop(service.bus.publish(messages)),
            Err(error) => tracing::error!(%error, "a workspace's change could not be encoded"),
        }
    }
}

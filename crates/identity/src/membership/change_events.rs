//! Change events of workspaces: a change of membership, role or name, or the end of the workspace.
//!
//! The event doesn't contain the change: clients read the workspace again, and get what the user
//! may see by then. It is published after the commit and not stored; clients that were offline read
//! their workspaces when they connect. The event also updates the workspace subscriptions of
//! connections.

use appcore::{
    UserId, WorkspaceId,
    event::{BusMessage, Envelope, Event, FollowChange, Topic},
};

use crate::IdentityService;

/// Event to publish: its recipients, and how the subscriptions of their connections change.
#[must_use]
pub struct WorkspaceChangeEvent {
    workspace_id: WorkspaceId,
    follow_change: Vec<(Topic, FollowChange)>,
}

impl WorkspaceChangeEvent {
    /// Event to all members of the workspace.
    pub fn to_all(workspace_id: WorkspaceId) -> Self {
        Self { workspace_id, follow_change: vec![(Topic::Workspace(workspace_id), FollowChange::None)] }
    }

    /// Event to all former members of a workspace that was deleted.
    pub fn workspace_ended(workspace_id: WorkspaceId) -> Self {
        let concerns = vec![(Topic::Workspace(workspace_id), FollowChange::EndWorkspace(workspace_id))];
        Self { workspace_id, follow_change: concerns }
    }

    /// Event to these members.
    pub fn of<const COUNT: usize>(workspace_id: WorkspaceId, people: [UserId; COUNT]) -> Self {
        let mut people = people.to_vec();
        people.dedup();
        Self {
            workspace_id,
            follow_change: people.into_iter().map(|user| (Topic::User(user), FollowChange::None)).collect(),
        }
    }

    /// Event about a user who has joined the workspace.
    pub fn user_joined(workspace_id: WorkspaceId, user_id: UserId) -> Self {
        Self::with_follow_change(workspace_id, user_id, FollowChange::EnterWorkspace { user_id, workspace_id })
    }

    /// Event about a user who has left the workspace.
    pub fn user_left(workspace_id: WorkspaceId, user_id: UserId) -> Self {
        Self::with_follow_change(workspace_id, user_id, FollowChange::LeaveWorkspace { user_id, workspace_id })
    }

    fn with_follow_change(workspace_id: WorkspaceId, user_id: UserId, effect: FollowChange) -> Self {
        Self { workspace_id, follow_change: vec![(Topic::User(user_id), effect)] }
    }

    /// Publishes the event without waiting for its delivery.
    pub fn publish(self, service: &IdentityService) {
        let event = Event::WorkspaceChanged { workspace_id: self.workspace_id };
        let now = service.clock.now();
        let messages: Result<Vec<BusMessage>, _> = self
            .follow_change
            .into_iter()
            .map(|(topic, effect)| {
                Envelope::seal(&event, topic, now)
                    .map(|envelope| BusMessage::Envelope(envelope.with_follow_change(effect).into()))
            })
            .collect();
        match messages {
            Ok(messages) => drop(service.bus.publish(messages)),
            Err(error) => tracing::error!(%error, "failed to encode workspace change"),
        }
    }
}

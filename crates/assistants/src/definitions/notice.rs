//! Telling people that assistants or prompts of a workspace are others. What has changed is not in it: whoever hears of it asks, and sees
//! what they may see by then.

use appcore::{
    UserId, WorkspaceId,
    event::{BusMessage, Envelope, Event, Topic},
};

use crate::AssistantsService;

/// Everybody in the workspace where all of them see it, else its maker alone.
pub(super) fn tell(
    service: &AssistantsService,
    event: &Event,
    workspace: WorkspaceId,
    maker: Option<UserId>,
    is_seen_by_all: bool,
) {
    let topic = match maker {
        Some(maker) if !is_seen_by_all => Topic::User(maker),
        _ => Topic::Workspace(workspace),
    };
    match Envelope::seal(event, topic, service.clock.now()) {
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(envelope.into())])),
        Err(error) => tracing::error!(%error, "a change of assistants or prompts could not be sealed"),
    }
}

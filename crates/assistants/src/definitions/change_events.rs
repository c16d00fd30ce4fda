//! Change events of assistants and prompts. An event doesn't contain the changed data: clients load
//! it again, and so get only what they may see at that time.

use appcore::{
    UserId, WorkspaceId,
    event::{BusMessage, Envelope, Event, Topic},
};

use crate::AssistantsService;

/// Publishes the event to the whole workspace if all members can see the object, or else to its
/// creator only.
pub(super) fn publish(
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
        Err(error) => tracing::error!(%error, "failed to encode change event"),
    }
}

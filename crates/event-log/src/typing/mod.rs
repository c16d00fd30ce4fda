//! Typing indicators: ephemeral events that aren't stored. Clients expire an indicator after six
//! seconds unless it is repeated.

use std::sync::Arc;

use appcore::{
    AppError, ConversationId, UserId,
    event::{BusMessage, Envelope, Event, Topic},
};

use crate::EventLogService;

/// Publishes to users who are viewing a conversation that the user has started or stopped typing.
/// The caller has checked the membership.
pub fn publish(
    service: &EventLogService,
    user_id: UserId,
    conversation_id: ConversationId,
    active: bool,
) -> Result<(), AppError> {
    let event = Event::Typing { conversation_id, user_id, active };
    let envelope =
        Envelope::seal(&event, Topic::Viewers(conversation_id), service.clock.now()).map_err(AppError::internal)?;
    drop(service.bus.publish(vec![BusMessage::Envelope(Arc::new(envelope))]));
    Ok(())
}

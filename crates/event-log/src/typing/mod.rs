//! Who is writing: passing news, kept nowhere. Clients let it expire after six seconds unless it is repeated.

use std::sync::Arc;

use appcore::{
    AppError, ConversationId, UserId,
    event::{BusMessage, Envelope, Event, Topic},
};

use crate::EventLogService;

/// Tells a conversation's viewers that somebody writes, or has stopped. The caller has checked that they are a member.
pub fn set(
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

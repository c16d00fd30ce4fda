//! Tools of assistants: MCP servers added by administrators, and the tool calls of models.
//!
//! The tool list of a server is stored and changes only on an administrator's request, so that only
//! reviewed tools are offered. An assistant offers the tools that it was given to its model
//! ([`Offer`]). Calls are stored before they are executed ([`ToolTranscript`]), with a state that
//! only one worker can change: a call is started once, and a call that may have taken effect before
//! its worker died is not repeated. Results are limited in size, and the model is told to treat
//! them as data. The user who asked decides about calls that need confirmation, may change their
//! arguments, and may allow the same tool for the assistant permanently ([permissions]). Some
//! servers are called with the [account](oauth) that this user has connected. Some tools are [built
//! in](builtin).

mod arguments;
pub mod builtin;
mod calls;
mod connections;
mod decide;
pub mod oauth;
mod offer;
pub mod permissions;
pub mod pictures;
mod schema;
mod secrets;
pub mod server_prompts;
pub mod servers;
mod shared_lazy;
mod transcript;

use std::sync::Arc;

use appcore::{
    ConversationId, MessageId,
    event::{BusMessage, Envelope, Event, Topic},
};
use dbcontext::query::tool_calls::ToolCallRow;

pub(crate) use calls::{CallsProgress, run};
pub use connections::Connections;
pub(crate) use decide::is_resumable;
pub use decide::{CallDecision, decide, find};
use event_log::events::tool_calls::{truncate_call, truncate_to_json};
pub(crate) use offer::{Offer, offer};
pub use servers::ServerFields;
pub(crate) use servers::validate_choice;
pub(crate) use transcript::{RequestedCalls, ToolTranscript};

use crate::AssistantsService;

/// Publishes the state of a call to the conversation's viewers on every instance.
fn publish_call_state(
    service: &AssistantsService,
    conversation_id: ConversationId,
    message_id: MessageId,
    row: &ToolCallRow,
) {
    let call = Box::new(truncate_call(row.clone().into()));
    let event = Event::MessageToolCall { conversation_id, message_id, call };
    match Envelope::seal(&event, Topic::Viewers(conversation_id), service.clock.now()) {
        // The event is ephemeral: clients that miss it read the message.
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(Arc::new(envelope))])),
        Err(error) => tracing::error!(%error, "failed to encode tool call event"),
    }
}

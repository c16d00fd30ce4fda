//! Tools of assistants: servers of the Model Context Protocol that administrators add, and the calls that models ask for.
//!
//! What a server has told of its tools is kept and changes only when an administrator asks for it again, so that what was looked at is what is
//! offered. An assistant offers its model the tools that it was given ([`Offer`]). What the model calls is stored before it happens
//! ([`ToolTranscript`]), with a state that one worker at a time can change: a call is begun once, and one that may have taken effect when its worker
//! died is not repeated. Results are bounded, and data to the model. Who has asked decides about calls that are asked about, may change their
//! arguments, and may let the assistant call the same tool from then on ([permissions]). Some servers are asked with the [account](oauth) that each
//! person has connected. Some tools are [our own](builtin).

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
mod shareable;
mod transcript;

use std::sync::Arc;

use appcore::{
    ConversationId, MessageId,
    event::{BusMessage, Envelope, Event, Topic},
    view::ToolCall,
};
use dbcontext::query::tool_calls::ToolCallRow;

pub(crate) use calls::{Ran, run};
pub use connections::Connections;
pub use decide::{Decision, decide, find};
use event_log::events::tool_calls::{shown_call, shown_json};
pub(crate) use offer::{Offer, offer};
pub use servers::ServerFields;
pub(crate) use servers::parse_choice;
pub(crate) use transcript::{ToolTranscript, Wanted};

use crate::AssistantsService;

/// Tells the conversation's viewers, on every instance, how a call stands.
fn tell(service: &AssistantsService, conversation_id: ConversationId, message_id: MessageId, row: &ToolCallRow) {
    let call = match ToolCall::try_from(row.clone()) {
        Ok(call) => Box::new(shown_call(call)),
        Err(error) => return tracing::error!(%error, "a call of a tool could not be told"),
    };
    let event = Event::MessageToolCall { conversation_id, message_id, call };
    match Envelope::seal(&event, Topic::Viewers(conversation_id), service.clock.now()) {
        // Passing: who misses it reads the message.
        Ok(envelope) => drop(service.bus.publish(vec![BusMessage::Envelope(Arc::new(envelope))])),
        Err(error) => tracing::error!(%error, "a call of a tool could not be sealed"),
    }
}

//! Event log of a conversation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// Entry of a conversation's event log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoggedEvent {
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    /// Payload of the event, including `conversation_id` and `seq`.
    #[schema(value_type = Object)]
    pub payload: Box<serde_json::value::RawValue>,
    pub created_at: Timestamp,
}

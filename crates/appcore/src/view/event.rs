//! A conversation's event log.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// One entry of a conversation's event log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LoggedEvent {
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's payload, with `conversation_id` and `seq` in it.
    #[schema(value_type = Object)]
    pub payload: Box<serde_json::value::RawValue>,
    pub created_at: Timestamp,
}

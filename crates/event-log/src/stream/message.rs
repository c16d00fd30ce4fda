//! Messages of the event stream.

use appcore::{AppError, ConversationId, EventId, Timestamp, WorkspaceId, event::Envelope};
use serde::Serialize;
use serde_json::value::RawValue;

/// Number of subjects or partitions over which conversations are distributed.
pub(super) const SHARDS: u8 = 16;

/// Message for the broker.
pub(super) struct StreamMessage {
    pub event_id: EventId,
    pub conversation_id: ConversationId,
    /// Event as JSON: the frame that clients receive, with `workspace_id`.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Frame<'a> {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<WorkspaceId>,
    timestamp: Timestamp,
    payload: &'a RawValue,
}

impl StreamMessage {
    pub(super) fn of(envelope: &Envelope, workspace_id: Option<WorkspaceId>) -> Result<Self, AppError> {
        let position = envelope.position.ok_or_else(|| AppError::internal(NoPosition))?;
        let payload: &RawValue = serde_json::from_slice(&envelope.payload).map_err(AppError::internal)?;
        let frame =
            Frame { id: envelope.id, kind: &envelope.kind, workspace_id, timestamp: envelope.timestamp, payload };
        let body = serde_json::to_vec(&frame).map_err(AppError::internal)?;
        Ok(Self { event_id: envelope.id, conversation_id: position.conversation_id, body })
    }

    /// Shard of the conversation. The last byte of its id is random.
    pub(super) fn shard(&self) -> u8 {
        self.conversation_id.0.as_bytes()[15] % SHARDS
    }

    /// Replaces the payload, which is too large for the broker, by the position of the event.
    pub(super) fn shorten(&mut self) -> Result<(), AppError> {
        #[derive(serde::Deserialize)]
        struct Full {
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
        }
        let Full { mut rest } = serde_json::from_slice(&self.body).map_err(AppError::internal)?;
        if let Some(serde_json::Value::Object(payload)) = rest.get_mut("payload") {
            payload.retain(|name, _| matches!(name.as_str(), "conversation_id" | "seq"));
            payload.insert("too_large".to_owned(), true.into());
        }
        self.body = serde_json::to_vec(&rest).map_err(AppError::internal)?;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a durable event has no position")]
struct NoPosition;

#[cfg(test)]
mod tests {
    use appcore::event::{DurableBody, Event, Topic};

    use super::*;

    #[test]
    fn has_the_frame_of_clients_with_the_workspace() {
        let (conversation_id, workspace_id) = (ConversationId::new(), WorkspaceId::new());
        let event = Event::Durable { conversation_id, seq: 7, body: DurableBody::ConversationDeleted {} };
        let envelope = Envelope::seal(&event, Topic::Conversation(conversation_id), Timestamp(0)).unwrap();
        let mut message = StreamMessage::of(&envelope, Some(workspace_id)).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(body["type"], "conversation.deleted");
        assert_eq!(body["workspace_id"], workspace_id.to_string());
        assert_eq!(body["id"], message.event_id.to_string());
        assert_eq!(body["payload"]["seq"], 7);
        assert!(message.shard() < SHARDS);
        message.shorten().unwrap();
        let short: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let payload = serde_json::json!({ "conversation_id": conversation_id, "seq": 7, "too_large": true });
        assert_eq!((&short["type"], &short["payload"]), (&body["type"], &payload));
    }
}

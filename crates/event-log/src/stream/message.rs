//! Messages of the event stream.

use appcore::{AppError, ConversationId, EventId, Timestamp, UserId, WorkspaceId, event::Envelope};
use dbcontext::query::event_stream::UserEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Number of subjects or partitions over which conversations are distributed.
pub(super) const SHARDS: u8 = 16;

/// Messages with the same key arrive in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Conversation(ConversationId),
    User(UserId),
}

/// Message for the broker.
pub(super) struct StreamMessage {
    pub event_id: EventId,
    pub key: Key,
    /// Event as JSON: the frame that clients receive, with `workspace_id`.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Frame<'a, P> {
    id: EventId,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace_id: Option<WorkspaceId>,
    timestamp: Timestamp,
    payload: P,
}

/// Payload of an event of an account.
#[derive(Serialize)]
struct UserPayload {
    user_id: UserId,
    /// `None` if the account was deleted.
    #[serde(flatten)]
    data: Option<UserData>,
}

/// Data that the triggers of m0021_user_events record.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum UserData {
    Account {
        email: String,
        email_verified: bool,
        display_name: String,
        role: String,
        language: String,
        timezone: Option<String>,
        title: Option<String>,
        pronouns: Option<String>,
        suspended: bool,
        #[serde(deserialize_with = "from_millis")]
        created_at: Timestamp,
    },
    Membership {
        role: String,
    },
}

fn from_millis<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(deserializer).map(Timestamp)
}

impl StreamMessage {
    pub(super) fn of(envelope: &Envelope, workspace_id: Option<WorkspaceId>) -> Result<Self, AppError> {
        let position = envelope.position.ok_or_else(|| AppError::internal(NoPosition))?;
        let payload: &RawValue = serde_json::from_slice(&envelope.payload).map_err(AppError::internal)?;
        let frame =
            Frame { id: envelope.id, kind: &envelope.kind, workspace_id, timestamp: envelope.timestamp, payload };
        let body = serde_json::to_vec(&frame).map_err(AppError::internal)?;
        Ok(Self { event_id: envelope.id, key: Key::Conversation(position.conversation_id), body })
    }

    pub(super) fn of_user(event: UserEvent) -> Result<Self, AppError> {
        let UserEvent { id, kind, user_id, workspace_id, data, created_at, .. } = event;
        let id = EventId(uuid::Builder::from_random_bytes(id.0.into_bytes()).into_uuid());
        let data = data.map(|data| serde_json::from_str(&data)).transpose().map_err(AppError::internal)?;
        let payload = UserPayload { user_id, data };
        let frame = Frame { id, kind: &kind, workspace_id, timestamp: created_at, payload };
        let body = serde_json::to_vec(&frame).map_err(AppError::internal)?;
        Ok(Self { event_id: id, key: Key::User(user_id), body })
    }

    /// Replaces the payload, which is too large for the broker, by the position of the event.
    pub(super) fn shorten(&mut self) -> Result<(), AppError> {
        #[derive(Deserialize)]
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

impl Key {
    /// Shard of a conversation. The last byte of its id is random.
    pub(super) fn shard(conversation: ConversationId) -> u8 {
        conversation.0.as_bytes()[15] % SHARDS
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
        assert_eq!(message.key, Key::Conversation(conversation_id));
        message.shorten().unwrap();
        let short: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let payload = serde_json::json!({ "conversation_id": conversation_id, "seq": 7, "too_large": true });
        assert_eq!((&short["type"], &short["payload"]), (&body["type"], &payload));
    }
    #[test]
    fn has_the_account_after_the_change() {
        let (user_id, workspace_id) = (UserId::new(), WorkspaceId::new());
        let event = |kind: &str, data: Option<&str>, workspace_id| UserEvent {
            id: EventId(uuid::Uuid::from_bytes([0xff; 16])),
            position: 1,
            kind: kind.to_owned(),
            user_id,
            workspace_id,
            data: data.map(str::to_owned),
            created_at: Timestamp(0),
        };
        let body = |event| {
            let message = StreamMessage::of_user(event).unwrap();
            assert_eq!(message.key, Key::User(user_id));
            serde_json::from_slice::<serde_json::Value>(&message.body).unwrap()
        };
        let data = r#"{"email": "a@example.org", "display_name": "Ann", "role": "user", "language": "en", "timezone": null,
                       "title": null, "pronouns": null, "email_verified": true, "suspended": false, "created_at": 0}"#;
        let updated = body(event("user.updated", Some(data), None));
        assert_eq!(updated["id"], "ffffffff-ffff-4fff-bfff-ffffffffffff", "a random id");
        assert_eq!(updated["payload"]["user_id"], user_id.to_string());
        assert_eq!(updated["payload"]["email"], "a@example.org");
        assert_eq!(updated["payload"]["created_at"], "1970-01-01T00:00:00.000Z");
        let joined = body(event("workspace.joined", Some(r#"{"role": "member"}"#), Some(workspace_id)));
        assert_eq!(joined["workspace_id"], workspace_id.to_string());
        assert_eq!(joined["payload"], serde_json::json!({ "user_id": user_id, "role": "member" }));
        let deleted = body(event("user.deleted", None, None));
        assert_eq!(deleted["payload"], serde_json::json!({ "user_id": user_id }));
    }
}

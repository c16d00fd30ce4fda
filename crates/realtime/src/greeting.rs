//! `hello`, the first frame on every connection.

use std::time::Duration;

use appcore::{
    ConversationId, InstanceId, Timestamp, UserId,
    auth::{CredentialId, Principal},
};
use serde::Serialize;
use service::App;
use uuid::Uuid;

#[derive(Serialize)]
struct Hello<'a> {
    /// The sign-in, or the API key that was shown in its place.
    session_id: Uuid,
    user_id: UserId,
    instance_id: InstanceId,
    heartbeat_seconds: u64,
    server_time: Timestamp,
    #[serde(serialize_with = "as_conversations")]
    conversations: &'a [(ConversationId, i64)],
}

fn as_conversations<S: serde::Serializer>(list: &&[(ConversationId, i64)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Conversation {
        id: ConversationId,
        last_seq: i64,
    }
    serializer.collect_seq(list.iter().map(|(id, last_seq)| Conversation { id: *id, last_seq: *last_seq }))
}

/// The payload of `hello`, as compact JSON.
#[must_use]
pub fn hello(app: &App, principal: &Principal, conversations: &[(ConversationId, i64)], now: Timestamp) -> Vec<u8> {
    let heartbeat: Duration = app.config.realtime.heartbeat;
    let hello = Hello {
        session_id: match principal.credential.id() {
            CredentialId::Session(id) => id.0,
            CredentialId::ApiKey(id) => id.0,
        },
        user_id: principal.user_id,
        instance_id: app.instance_id,
        heartbeat_seconds: heartbeat.as_secs(),
        server_time: now,
        conversations,
    };
    // Ids and numbers always have a JSON form.
    serde_json::to_vec(&hello).unwrap_or_default()
}

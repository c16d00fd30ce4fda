//! `hello`, the first frame on every connection.

use std::time::Duration;

use crate::{
    RealtimeServices,
    protocol::{Hello, ReachedConversation},
};
use appcore::{
    ConversationId, Timestamp,
    auth::{CredentialId, Principal},
};
use conversations::ConnectionSubscriptions;

/// Builds the payload of `hello` as compact JSON.
#[must_use]
pub fn encode(
    services: &RealtimeServices,
    principal: &Principal,
    conversations: &[(ConversationId, i64)],
    following: &ConnectionSubscriptions,
    now: Timestamp,
) -> Vec<u8> {
    let conversations: Vec<ReachedConversation> = conversations
        .iter()
        .map(|(id, last_seq)| ReachedConversation {
            id: *id,
            last_seq: *last_seq,
            board_version: following.boards.get(id).copied(),
        })
        .collect();
    let heartbeat: Duration = services.config.realtime.heartbeat;
    let hello = Hello {
        session_id: match principal.credential.id() {
            CredentialId::Session(id) => id.0,
            CredentialId::ApiKey(id) => id.0,
            CredentialId::Operator => principal.user_id.0,
        },
        user_id: principal.user_id,
        instance_id: services.instance_id,
        heartbeat_seconds: heartbeat.as_secs(),
        server_time: now,
        conversations: &conversations,
    };
    // The payload consists of ids and numbers, so serialising it can't fail.
    serde_json::to_vec(&hello).unwrap_or_default()
}

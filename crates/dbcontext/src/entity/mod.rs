//! One file per table.

pub mod api_key;
pub mod assistant;
pub mod audit_entry;
pub mod ban;
pub mod conversation;
pub mod conversation_assistant;
pub mod conversation_event;
pub mod conversation_member;
pub mod identity;
pub mod invitation;
pub mod job;
pub mod known_device;
pub mod mail_token;
pub mod message;
pub mod passkey;
pub mod pending_sign_in;
pub mod recovery_code;
pub mod refresh_token;
pub mod signing_key;
pub mod totp;
pub mod used_id_token;
pub mod user;
pub mod user_session;
pub mod workspace;
pub mod workspace_domain;
pub mod workspace_member;

//! One file per table.

pub mod api_key;
pub mod assistant;
pub mod audit_entry;
pub mod ban;
pub mod conversation;
pub mod conversation_assistant;
pub mod conversation_event;
pub mod conversation_member;
pub mod invitation;
pub mod job;
pub mod known_device;
pub mod mail_token;
pub mod message;
pub mod refresh_token;
pub mod signing_key;
pub mod user;
pub mod user_session;
pub mod workspace;
pub mod workspace_domain;
pub mod workspace_member;

//! One file per noun. Queries that concern a tenant take who asks, and see nothing else.

pub mod api_keys;
pub mod assistants;
pub mod audit;
pub mod bans;
pub mod conversations;
pub mod departures;
pub mod events;
pub mod exports;
pub mod groups;
pub mod identities;
pub mod invitations;
pub mod jobs;
pub mod known_devices;
pub mod mail_tokens;
pub mod members;
pub mod messages;
mod page;
pub mod passkeys;
pub mod pending_sign_ins;
mod rows;
pub mod second_factors;
pub mod sessions;
pub mod signing_keys;
pub mod users;
pub mod workspace_domains;
pub mod workspaces;

pub use rows::{Piece, execute};

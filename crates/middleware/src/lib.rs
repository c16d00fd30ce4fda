//! What stands around the endpoints: one file each.
//!
//! What need not know the endpoint ([`below::take_off`], [`tracing::observe`], [`flood_guard::FloodGuard`], [`security_headers::add`], [`host::check`], [`firewall::admit`], [`cors::answer`]) is put into actix middleware, in its
//! order, by the program's `app.rs`. What must know it ([`auth`], [`origin`], [`rate_limit`], [`guard`]) is a function that the endpoint
//! crate's gate calls, and the upgrade of a real-time connection too.

pub mod address;
pub mod auth;
pub mod below;
pub mod client_socket;
pub mod cookies;
pub mod cors;
pub mod firewall;
pub mod flood_guard;
pub mod guard;
pub mod host;
pub mod origin;
pub mod rate_limit;
pub mod security_headers;
pub mod tracing;

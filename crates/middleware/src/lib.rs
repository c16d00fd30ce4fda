//! Middleware around the endpoints, one file per concern.
//!
//! Checks that don't depend on the endpoint ([`base_path::strip`], [`tracing::observe`],
//! [`flood_guard::FloodGuard`], [`security_headers::add`], [`host::check`], [`firewall::admit`],
//! [`cors::answer`]) are installed as actix middleware by the program's `app.rs`. Checks that
//! depend on it ([`auth`], [`origin`], [`rate_limit`], [`guard`]) are functions, called by the
//! endpoint crate's request guard and by the upgrade of real-time connections.

pub mod address;
pub mod auth;
pub mod base_path;
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

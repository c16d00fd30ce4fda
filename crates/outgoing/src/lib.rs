//! Requests to addresses that somebody else has chosen: link previews, pictures by address, MCP servers, push services.
//!
//! Such a request must not reach what only this machine or its network can reach (SSRF). [`Outgoing`] is the only way to make one:
//! - the address is parsed as browsers parse it, so every spelling of an IP address (`0x7f.1`, `2130706433`, `[::ffff:7f00:1]`) is known as one;
//! - a name is looked up once for each connection, and the connection goes to the addresses that were checked, so what the name means a
//!   moment later doesn't matter (DNS rebinding);
//! - redirects are followed here, each checked like the first address;
//! - no proxy of the environment is used, and time, bytes and redirects are bounded.
//!
//! `outgoing.allow` names hosts, addresses and networks of the operator's own that may be reached all the same, also by http and at any port.

mod client;
mod network;
mod resolver;
mod rules;
mod tls;

pub use client::{Fetched, Limits, Outgoing, OutgoingError, Request};
pub use tls::client_builder;

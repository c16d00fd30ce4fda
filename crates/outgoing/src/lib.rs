//! Requests to untrusted URLs: link previews, images by URL, MCP servers, push services.
//!
//! These requests must not reach services of this machine or its network (SSRF). [`Outgoing`] is
//! the only way to send one:
//! - the URL is parsed as browsers do, so every spelling of an IP address (`0x7f.1`, `2130706433`,
//!   `[::ffff:7f00:1]`) is recognised;
//! - a name is resolved once per connection, and the connection uses the addresses that were
//!   checked, so changing the name afterwards (DNS rebinding) has no effect;
//! - redirects are followed by this client, and each target is checked like the first URL;
//! - no proxy of the environment is used, and time, bytes and redirects are limited.
//!
//! The setting `outgoing.allow` lists hosts, addresses and networks of the operator that may
//! nevertheless be reached, also by http and on any port.

mod client;
mod network;
mod resolver;
mod rules;
mod tls;

pub use client::{FetchLimits, FetchedResponse, Outgoing, OutgoingError, OutgoingRequest};
pub use tls::client_builder;

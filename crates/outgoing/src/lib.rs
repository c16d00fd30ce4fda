//! Requests to untrusted URLs: link previews, images by URL, MCP servers, push services.
//!
//! These requests must not reach services of this machine or its network (SSRF). [`Outgoing`] is
//! the only way to send one:
//! - the URL is parsed as browsers do, so every spelling of an IP address (`0x7f.1`, `2130706433`,
//!   `[::ffff:7f00:1]`) is recognised;
//! - a name is resolved once per connection, and the connection uses the checked addresses, so
//!   later changes of the name have no effect (DNS rebinding);
//! - redirects are followed here, and each target is checked like the first URL;
//! - no proxy of the environment is used, and time, bytes and redirects are limited.
//!
//! `outgoing.allow` names hosts, addresses and networks of the operator that may be reached
//! nevertheless, also by http and on any port.

mod client;
mod network;
mod resolver;
mod rules;
mod tls;

pub use client::{FetchLimits, FetchedResponse, Outgoing, OutgoingError, OutgoingRequest};
pub use tls::client_builder;

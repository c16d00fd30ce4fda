//! The black-box tests: the real program, as a process, on a real database. One module per capability.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod api_keys;
mod architecture;
mod assistants;
mod bounds;
mod channels;
mod cluster;
mod compression;
mod conversations;
mod dead_letters;
mod delivery;
mod endpoints;
mod firewall;
mod gateway;
mod hosts;
mod large;
mod limits;
mod messages;
mod payments;
mod raw;
mod removed;
mod socketio;
mod sse;
mod start;
mod tools;
mod uploads;
mod websocket;
mod workspaces;

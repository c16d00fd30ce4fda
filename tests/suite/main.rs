//! The black-box tests: the real program, as a process, on a real database. One module per capability.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod assistants;
mod cluster;
mod conversations;
mod messages;
mod start;

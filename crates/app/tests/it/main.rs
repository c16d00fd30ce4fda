//! Tests of rules across domains, on each database and with a controlled clock, and of the workers of several
//! instances.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod answers;
mod bans;
mod instances;
mod keys;
mod people;
mod rotation;
mod workspaces;

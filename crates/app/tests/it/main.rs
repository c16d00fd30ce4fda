//! Rules that need more than one domain, on each database, with a clock that the tests move; and the workers of several instances.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod answers;
mod bans;
mod instances;
mod keys;
mod people;
mod rotation;
mod workspaces;

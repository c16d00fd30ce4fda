//! What stands on a real database.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod answers;
mod batches;
mod fixture;
mod writer;

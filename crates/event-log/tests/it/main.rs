//! Tests of the writer on real databases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod batches;
mod fixture;
mod writer;

//! Provider calls over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod gateway;
mod providers;
mod upstream;

//! What the broadcaster asks of all shards.

use std::time::Duration;

/// Asked of every shard at once.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    /// Say goodbye to everybody, spread over this time.
    Drain(Duration),
}

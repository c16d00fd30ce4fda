//! Instructions of the broadcaster to all shards.

use std::time::Duration;

/// Instruction to every shard.
#[derive(Clone, Copy, Debug)]
pub enum Instruction {
    /// Close all connections, spread over this time.
    Drain(Duration),
}

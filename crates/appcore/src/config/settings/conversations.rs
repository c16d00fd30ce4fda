//! Settings of messages, real-time connections and jobs.

use std::time::Duration;

use natter_macro::Settings;
use serde::Deserialize;

use super::{list_of_seconds, seconds};
use crate::view::ConversationKind;

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("messages")]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Characters in a message to people at most.
    #[setting(Number(1, 100_000), default = 5000)]
    pub max_chars: usize,
    /// Characters in a message to an assistant in a conversation of its own at most.
    #[setting(Number(1, 100_000), default = 100_000)]
    pub max_prompt_chars: usize,
    /// Days after which the event log forgets; messages stay. 0: never.
    #[setting(Number(0, 36_500), default = 0)]
    pub event_retention_days: u32,
}

impl Messages {
    /// How many characters a person's message in such a conversation may have.
    #[must_use]
    pub const fn max_chars_in(&self, kind: ConversationKind) -> usize {
        if kind.capabilities().asks_every_message { self.max_prompt_chars } else { self.max_chars }
    }
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("realtime")]
#[serde(deny_unknown_fields)]
pub struct Realtime {
    /// Real-time connections that one user may hold on one instance; 0: no limit.
    #[setting(Number(0, 1_000_000), default = 64)]
    pub max_connections_per_user: usize,
    /// Seconds between two pings to a client.
    #[setting(Number(1, 3_600), default = 25)]
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// Bytes that may wait for a client that has taken nothing for a second; with more it is cut off.
    #[setting(Number(65_536, 1_073_741_824), default = 262_144)]
    pub backlog_bytes: usize,
    /// Bytes that may wait for a client that reads, however slowly.
    #[setting(Number(65_536, 1_073_741_824), default = 4_194_304)]
    pub max_backlog_bytes: usize,
    /// Bytes that may wait beyond realtime.backlog_bytes on all connections of this instance together.
    #[setting(Number(0, 1_099_511_627_776), default = 268_435_456)]
    pub backlog_budget_bytes: usize,
    /// Frames that a connection may send in a second before it is closed.
    #[setting(Number(1, 1_000_000), default = 100)]
    pub max_frames_per_second: u32,
    /// Bytes of missed events that one user may read in a second by sync, with 16 seconds of them at once; faster readers wait.
    #[setting(Number(65_536, 1_073_741_824), default = 2_097_152)]
    pub sync_bytes_per_second: u32,
    /// Members up to which all connections in a conversation get its passing events; in larger ones only those that show it (view).
    #[setting(Number(2, 100), default = 20)]
    pub small_conversation: u32,
    /// Socket.IO sessions that one address (of IPv6 its /64) may have open before their clients say who they are; 0: no limit.
    #[setting(Number(0, 1_000_000), default = 50)]
    pub max_anonymous_per_address: usize,
    /// Bytes from which a frame is compressed for clients that offer permessage-deflate; 0: never.
    #[setting(Number(0, 1_048_576), default = 1024)]
    pub compression: usize,
    /// Whether what goes to many connections goes by one system call (io_uring), where the kernel allows it.
    #[setting(Switch, default = true)]
    pub io_uring: bool,
}

/// Jobs that fail.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("jobs")]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// How often a job that fails is tried before it is a dead letter, which an administrator can put back.
    #[setting(Number(1, 20), default = 5)]
    pub max_attempts: u32,
    /// Seconds before a job that failed is tried again: after its first failure, its second and so on; the last one holds for all later.
    #[setting(Numbers(1, 2_592_000), default = "60,600,3600,86400")]
    #[serde(deserialize_with = "list_of_seconds")]
    pub backoff: Vec<Duration>,
}

impl Jobs {
    /// How long a job waits that failed so many times; none: it is a dead letter.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Option<Duration> {
        let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(place).or(self.backoff.last()).copied();
        wait.filter(|_| failures < self.max_attempts)
    }
}

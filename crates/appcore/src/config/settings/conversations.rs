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
    /// Maximum length of a message to people, in characters.
    #[setting(Number(1, 100_000), default = 5000)]
    pub max_chars: usize,
    /// Maximum length of a message in a chat with an assistant, in characters.
    #[setting(Number(1, 100_000), default = 100_000)]
    pub max_prompt_chars: usize,
    /// Days after which events are deleted from the event log; messages stay. 0: never.
    #[setting(Number(0, 36_500), default = 0)]
    pub event_retention_days: u32,
}

impl Messages {
    /// Maximum length of a user's message in a conversation of this kind, in characters.
    #[must_use]
    pub const fn max_chars_in(&self, kind: ConversationKind) -> usize {
        if kind.capabilities().asks_every_message { self.max_prompt_chars } else { self.max_chars }
    }
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("realtime")]
#[serde(deny_unknown_fields)]
pub struct Realtime {
    /// Maximum number of real-time connections per user and instance; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 64)]
    pub max_connections_per_user: usize,
    /// Interval of pings to clients, in seconds.
    #[setting(Number(1, 3_600), default = 25)]
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// Bytes that may be queued for a client that has read nothing for a second; beyond that it is disconnected.
    #[setting(Number(65_536, 1_073_741_824), default = 262_144)]
    pub backlog_bytes: usize,
    /// Bytes that may be queued for a client that reads, however slowly.
    #[setting(Number(65_536, 1_073_741_824), default = 4_194_304)]
    pub max_backlog_bytes: usize,
    /// Bytes that may be queued beyond realtime.backlog_bytes on all connections of this instance together.
    #[setting(Number(0, 1_099_511_627_776), default = 268_435_456)]
    pub backlog_budget_bytes: usize,
    /// Frames per second after which a connection is closed.
    #[setting(Number(1, 1_000_000), default = 100)]
    pub max_frames_per_second: u32,
    /// Bytes of missed events that one user may read per second by sync, with a burst of 16 seconds; faster readers are delayed.
    #[setting(Number(65_536, 1_073_741_824), default = 2_097_152)]
    pub sync_bytes_per_second: u32,
    /// Number of members up to which all connections in a conversation get its ephemeral events; in larger ones only those that show it (view).
    #[setting(Number(2, 100), default = 20)]
    pub small_conversation: u32,
    /// Socket.IO sessions that one address (of IPv6 its /64) may have open before authentication; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 50)]
    pub max_anonymous_per_address: usize,
    /// Size in bytes from which frames are compressed for clients that offer permessage-deflate; 0: never.
    #[setting(Number(0, 1_048_576), default = 1024)]
    pub compression: usize,
    /// Send to many connections with one system call (io_uring), if the kernel allows it.
    #[setting(Switch, default = true)]
    pub io_uring: bool,
}

/// Settings of background jobs.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("jobs")]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Attempts of a failing job before it becomes a dead letter, which an administrator can requeue.
    #[setting(Number(1, 20), default = 5)]
    pub max_attempts: u32,
    /// Delays in seconds before a failed job is retried, after the first failure, the second and so on; the last one applies to all later ones.
    #[setting(Numbers(1, 2_592_000), default = "60,600,3600,86400")]
    #[serde(deserialize_with = "list_of_seconds")]
    pub backoff: Vec<Duration>,
}

impl Jobs {
    /// Delay before the next attempt after this many failures; `None` if the job is a dead letter.
    #[must_use]
    pub fn backoff_after(&self, failures: u32) -> Option<Duration> {
        let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(place).or(self.backoff.last()).copied();
        wait.filter(|_| failures < self.max_attempts)
    }
}

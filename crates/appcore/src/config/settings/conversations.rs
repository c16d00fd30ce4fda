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
    /// Maximum length of a message in a conversation between users, in characters.
    #[setting(Number(1, 100_000), default = 5000)]
    pub max_chars: usize,
    /// Maximum length of a message in a chat with an assistant, in characters.
    #[setting(Number(1, 100_000), default = 100_000)]
    pub max_prompt_chars: usize,
    /// Number of days after which events are deleted from the event log; messages are kept. 0:
    /// never.
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
    /// Maximum number of real-time connections per user on each instance; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 64)]
    pub max_connections_per_user: usize,
    /// Interval of pings to clients, in seconds.
    #[setting(Number(1, 3_600), default = 25)]
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// Number of bytes that may be queued for any client. A client with more is disconnected if it
    /// has read nothing for a second.
    #[setting(Number(65_536, 1_073_741_824), default = 262_144)]
    pub backlog_bytes: usize,
    /// Maximum number of bytes that may be queued for a client that reads, however slowly.
    #[setting(Number(65_536, 1_073_741_824), default = 4_194_304)]
    pub max_backlog_bytes: usize,
    /// Maximum number of bytes that may be queued beyond realtime.backlog_bytes, on all connections
    /// of this instance together.
    #[setting(Number(0, 1_099_511_627_776), default = 268_435_456)]
    pub backlog_budget_bytes: usize,
    /// Number of frames per second above which a connection is closed.
    #[setting(Number(1, 1_000_000), default = 100)]
    pub max_frames_per_second: u32,
    /// Number of bytes of missed events that one user may read per second by sync, with a burst of
    /// 16 seconds. Faster readers are delayed.
    #[setting(Number(65_536, 1_073_741_824), default = 2_097_152)]
    pub sync_bytes_per_second: u32,
    /// Maximum number of members with which all connections in a conversation get its ephemeral
    /// events. In larger conversations, only connections that display it (view) do.
    #[setting(Number(2, 100), default = 20)]
    pub small_conversation: u32,
    /// Maximum number of Socket.IO sessions that one address (for IPv6 its /64) may have open
    /// before authentication; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 50)]
    pub max_anonymous_per_address: usize,
    /// Minimum size of frames that are compressed for clients that offer permessage-deflate, in
    /// bytes; 0: never.
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
    /// Number of attempts of a failing job. Then it becomes a dead letter, which an administrator
    /// can requeue.
    #[setting(Number(1, 20), default = 5)]
    pub max_attempts: u32,
    /// Delays before a failed job is retried, in seconds: after the first failure, the second and
    /// so on. The last one applies to all later failures.
    #[setting(Numbers(1, 2_592_000), default = "60,600,3600,86400")]
    #[serde(deserialize_with = "list_of_seconds")]
    pub backoff: Vec<Duration>,
    /// Kinds of jobs that this instance runs, if its role includes jobs (see server.role). *: all; a kind after a ! is left
    /// out, so *,!file_text leaves the texts of files to other instances. Each kind must be run by an instance.
    #[setting(Texts, default = "*")]
    pub kinds: Vec<String>,
}

/// Kinds of jobs that exist. Those of [`AI_JOB_KINDS`] need an AI provider.
pub(super) const JOB_KINDS: &[&str] = &[
    "answer",
    "title",
    "mail",
    "forget",
    "departure",
    "sweep_uploads",
    "transcribe",
    "preview",
    "keep_payment_method",
    "finish_payment_setup",
    "broadcast",
    "task_due",
    "export",
    "scheduled_message",
    "reminder",
    "push",
    "missed_mail",
    "read_knowledge",
    "file_text",
    "sweep_knowledge",
    "gateway_batch",
    "gateway_response",
    "sweep_gateway",
];

/// Kinds of jobs that call AI providers.
const AI_JOB_KINDS: &[&str] = &["answer", "title", "transcribe", "read_knowledge", "gateway_batch", "gateway_response"];

impl Jobs {
    /// True if this instance runs jobs of this kind, provided that its role includes jobs.
    #[must_use]
    pub fn runs(&self, kind: &str) -> bool {
        let is_left_out = self.kinds.iter().any(|chosen| chosen.strip_prefix('!') == Some(kind));
        !is_left_out && self.kinds.iter().any(|chosen| chosen == "*" || chosen == kind)
    }

    /// True if some of the jobs that this instance runs call AI providers.
    #[must_use]
    pub fn use_ai(&self) -> bool {
        AI_JOB_KINDS.iter().any(|kind| self.runs(kind))
    }

    /// Returns the first chosen kind that doesn't exist.
    pub(super) fn unknown_kind(&self) -> Option<&str> {
        let mut chosen = self.kinds.iter().map(|kind| kind.strip_prefix('!').unwrap_or(kind));
        chosen.find(|kind| *kind != "*" && !JOB_KINDS.contains(kind))
    }

    /// Delay before the next attempt after this many failures; `None` if there is no further
    /// attempt.
    #[must_use]
    pub fn backoff_after(&self, failures: u32) -> Option<Duration> {
        let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(place).or(self.backoff.last()).copied();
        wait.filter(|_| failures < self.max_attempts)
    }
}

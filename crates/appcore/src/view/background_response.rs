//! Responses of the gateway that are created in the background.

use super::stored_by_name;

/// State of a background response, as OpenAI names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundResponseStatus {
    Queued,
    InProgress,
    Completed,
    /// The output was cut off by a limit or a content filter.
    Incomplete,
    Failed,
    Cancelled,
}

impl BackgroundResponseStatus {
    /// True if the response has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }
}

stored_by_name! {
    BackgroundResponseStatus {
        Queued = "queued",
        InProgress = "in_progress",
        Completed = "completed",
        Incomplete = "incomplete",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

//! Files and batches of the AI gateway.

use super::stored_by_name;

/// API format of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchFormat {
    /// `/v1/batches`, with files.
    OpenAi,
    /// `/v1/messages/batches`.
    Anthropic,
}

/// State of a batch, as OpenAI names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    Validating,
    /// The input file is invalid.
    Failed,
    InProgress,
    /// All requests are done, and the result files are being written.
    Finalizing,
    Completed,
    /// The completion window ended before all requests were done.
    Expired,
    Cancelling,
    Cancelled,
}

impl BatchStatus {
    /// True if the batch has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// Outcome of one request of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    Succeeded,
    Errored,
    Canceled,
    Expired,
}

/// Place where the requests of a batch are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchExecution {
    /// This server sends them one by one.
    Local,
    /// A provider's batch API executes them.
    Provider,
}

/// State of a part of a batch that is submitted to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionState {
    Prepared,
    /// The request that creates the job was sent, and its answer is unknown.
    Submitting,
    Submitted,
    /// The results are recorded.
    Ended,
    /// The provider didn't accept the job.
    Refused,
}

/// State of a stored file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayFileState {
    /// The content is being received.
    Pending,
    Ready,
    /// The content is being removed.
    Deleted,
}

stored_by_name! {
    BatchFormat { OpenAi = "openai", Anthropic = "anthropic" }
    BatchStatus {
        Validating = "validating",
        Failed = "failed",
        InProgress = "in_progress",
        Finalizing = "finalizing",
        Completed = "completed",
        Expired = "expired",
        Cancelling = "cancelling",
        Cancelled = "cancelled",
    }
    BatchOutcome { Succeeded = "succeeded", Errored = "errored", Canceled = "canceled", Expired = "expired" }
    BatchExecution { Local = "local", Provider = "provider" }
    SubmissionState {
        Prepared = "prepared",
        Submitting = "submitting",
        Submitted = "submitted",
        Ended = "ended",
        Refused = "refused",
    }
    GatewayFileState { Pending = "pending", Ready = "ready", Deleted = "deleted" }
}

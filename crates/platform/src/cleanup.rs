//! Jobs that delete unused files. Code that drops a reference to a file enqueues such a job; a
//! higher-level crate executes it.

use appcore::{AppError, BackgroundResponseId, BatchId, ConversationId, GatewayFileId, Timestamp, UploadId, UserId};
use jobs::JobPayload;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Deletes files that are not referenced any more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepJob {
    Upload(UploadId),
    /// Files of a deleted conversation.
    Conversation(ConversationId),
}

impl JobPayload for SweepJob {
    const KIND: &'static str = "sweep_uploads";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.subject())
    }

    fn subject(&self) -> Uuid {
        match self {
            Self::Upload(id) => id.0,
            Self::Conversation(id) => id.0,
        }
    }
}

/// Deletes the knowledge files of deleted assistants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KnowledgeSweepJob {}

impl JobPayload for KnowledgeSweepJob {
    const KIND: &'static str = "sweep_knowledge";

    fn concurrency_key(&self) -> String {
        Self::KIND.to_owned()
    }

    fn subject(&self) -> Uuid {
        Uuid::nil()
    }
}

/// Enqueues the job, in the transaction that deletes assistants.
pub async fn enqueue_knowledge_sweep<C: ConnectionTrait>(db: &C, now: Timestamp) -> Result<(), AppError> {
    jobs::enqueue(db, now, &KnowledgeSweepJob {}).await
}

/// Deletes files, batches and background responses of the AI gateway.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewaySweepJob {
    /// File that has expired, was deleted or has not been received completely.
    File(GatewayFileId),
    /// Batch whose retention has ended.
    Batch(BatchId),
    /// Background response whose retention has ended.
    Response(BackgroundResponseId),
    /// Files, batches and background responses of a deleted account.
    User(UserId),
}

impl JobPayload for GatewaySweepJob {
    const KIND: &'static str = "sweep_gateway";

    fn concurrency_key(&self) -> String {
        format!("{}:{}", Self::KIND, self.subject())
    }

    fn subject(&self) -> Uuid {
        match self {
            Self::File(id) => id.0,
            Self::Batch(id) => id.0,
            Self::Response(id) => id.0,
            Self::User(id) => id.0,
        }
    }
}

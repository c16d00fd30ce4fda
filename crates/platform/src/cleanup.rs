//! Files that may not be needed any more: whoever gives one up asks for a look at it. What looks stands above.

use appcore::{AppError, ConversationId, Timestamp, UploadId};
use jobs::Stored;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Looks whether files are still needed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepJob {
    Upload(UploadId),
    /// Of a conversation that was deleted.
    Conversation(ConversationId),
}

impl Stored for SweepJob {
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

/// Removes the files of assistants that were deleted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KnowledgeSweepJob {}

impl Stored for KnowledgeSweepJob {
    const KIND: &'static str = "sweep_knowledge";

    fn concurrency_key(&self) -> String {
        Self::KIND.to_owned()
    }

    fn subject(&self) -> Uuid {
        Uuid::nil()
    }
}

/// Asks for it, in the transaction that deletes assistants.
pub async fn ask_for_knowledge<C: ConnectionTrait>(db: &C, now: Timestamp) -> Result<(), AppError> {
    jobs::ask(db, now, &KnowledgeSweepJob {}).await
}

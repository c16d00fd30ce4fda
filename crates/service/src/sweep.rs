//! Files that may not be needed any more: whoever gives one up asks for a look at it.

use appcore::{ConversationId, UploadId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::jobs::Stored;

/// Looks whether files are still needed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SweepJob {
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

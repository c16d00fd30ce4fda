//! Payload of push jobs. They are executed by the notifications module, which knows what to show.

use appcore::{ConversationId, NotificationId, UserId};
use jobs::JobPayload;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushJob {
    pub user_id: UserId,
    pub conversation_id: Option<ConversationId>,
    /// Notification to show. `None` if the conversation's notifications have been read and are to
    /// be closed on the devices.
    pub notification_id: Option<NotificationId>,
    /// For a retry: the device, and the number of attempts so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<(Uuid, u32)>,
}

impl PushJob {
    pub fn wake(user_id: UserId, id: NotificationId, conversation_id: Option<ConversationId>) -> Self {
        Self { user_id, conversation_id, notification_id: Some(id), again: None }
    }

    pub fn withdraw(user_id: UserId, conversation_id: Option<ConversationId>) -> Self {
        Self { user_id, conversation_id, notification_id: None, again: None }
    }
}

impl JobPayload for PushJob {
    const KIND: &'static str = "push";

    /// Concurrency key by which the pushes of a user are sent in order. A retry to a single device
    /// has a separate key, so that a hanging device doesn't block the others.
    fn concurrency_key(&self) -> String {
        match self.again {
            Some((device, _)) => format!("{}:{device}", Self::KIND),
            None => format!("{}:{}", Self::KIND, self.user_id),
        }
    }

    fn subject(&self) -> Uuid {
        self.user_id.0
    }
}

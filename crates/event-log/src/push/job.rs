//! What is stored of waking somebody's devices, or of taking back what they show. It is done by who knows what people are told.

use appcore::{ConversationId, NotificationId, UserId};
use jobs::Stored;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PushJob {
    pub user_id: UserId,
    pub conversation_id: Option<ConversationId>,
    /// What for; none: what the devices show of the conversation is read by now.
    pub notification_id: Option<NotificationId>,
    /// Only this device, which was tried so often already.
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

impl Stored for PushJob {
    const KIND: &'static str = "push";

    /// What somebody is woken for keeps its order; a device that hangs makes nobody else wait.
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

//! Signals between instances.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ApiKeyId, ConversationId, InstanceId, MessageId, SessionId, Timestamp, UserId};

/// Change of a provider key's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProviderKeyChange {
    /// The key is paused for this many milliseconds.
    #[serde(rename = "Rests")]
    Paused(u64),
    /// The provider refuses the key.
    #[serde(rename = "Off")]
    Disabled,
    /// The provider accepts the key again.
    #[serde(rename = "On")]
    Enabled,
}

/// Message between instances that clients don't see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// These sessions ended: their tokens are refused and their sockets closed (4401).
    SessionsEnded(Vec<SessionId>),
    /// These API keys were revoked: they are refused and their sockets closed (4401).
    ApiKeysRevoked(Vec<ApiKeyId>),
    /// A user stopped this answer.
    StopGeneration(MessageId),
    /// A job is waiting to be claimed.
    JobsWaiting,
    /// This network is banned. A ban by an administrator refuses all requests and closes
    /// connections; an automatic one spares valid credentials.
    Banned {
        network: IpNet,
        until: Timestamp,
        /// True for a ban by an administrator. Earlier releases don't send it; the table of bans
        /// corrects it within seconds.
        #[serde(default)]
        is_manual: bool,
    },
    /// A ban of this network was lifted. Other bans of it may still be in force.
    BanLifted(IpNet),
    /// Cached data about this user is out of date.
    UserChanged(UserId),
    /// Permissions changed of API keys that have, or whose owner or workspace has, one of these
    /// ids.
    KeysChanged(Vec<Uuid>),
    /// The gateway's models changed.
    ModelsChanged,
    /// A payment method was enabled or disabled.
    PaymentSwitchesChanged,
    /// An administrator paused a provider's key until the given time, or resumed it.
    #[serde(rename = "ProviderKeyRests")]
    ProviderKeyPaused { provider: String, key: String, until: Option<Timestamp> },
    /// The gateway of instance `by` observed a change of a provider key's state; `key` is its index
    /// in the configuration. Without a model it applies to all of them.
    #[serde(rename = "ProviderKeyLearned")]
    ProviderKeyObserved { by: Uuid, provider: String, key: usize, model: Option<String>, fate: ProviderKeyChange },
    /// Asks if a connection of this user shows the conversation. Instances that have one answer
    /// [`Signal::ViewReply`].
    #[serde(rename = "WhoShows")]
    ViewQuery { question: Uuid, user_id: UserId, conversation_id: ConversationId },
    /// Affirmative answer to [`Signal::ViewQuery`].
    #[serde(rename = "Shows")]
    ViewReply { question: Uuid },
    /// Asks which instances have a connection of this user. Those that have one answer
    /// [`Signal::ConnectionReply`].
    #[serde(rename = "WhoServes")]
    ConnectionQuery { asked_by: InstanceId, user_id: UserId },
    /// Affirmative answer to [`Signal::ConnectionQuery`].
    #[serde(rename = "Serves")]
    ConnectionReply { asked_by: InstanceId, user_id: UserId },
    /// Messages have to be indexed again by the search.
    #[serde(rename = "SearchTouched")]
    SearchIndexStale,
    /// Messages may have been lost: consumers with a position must catch up. Never sent between
    /// instances.
    Gap,
}

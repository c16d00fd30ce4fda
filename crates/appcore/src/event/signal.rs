//! Signals between instances.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ChannelSet;
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

/// Message between instances. Clients don't see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// These sessions ended. Their tokens are refused and their connections are closed (4401).
    SessionsEnded(Vec<SessionId>),
    /// These API keys were revoked. They are refused and their connections are closed (4401).
    ApiKeysRevoked(Vec<ApiKeyId>),
    /// A user stopped this answer.
    StopGeneration(MessageId),
    /// A job is waiting to be claimed.
    JobsWaiting,
    /// This network is banned. A ban by an administrator refuses all requests and closes
    /// connections. An automatic ban refuses only requests without valid credentials.
    Banned {
        network: IpNet,
        until: Timestamp,
        /// True for a ban by an administrator. Earlier releases don't send this field. The instance
        /// then reads the correct value from the table of bans within seconds.
        #[serde(default)]
        is_manual: bool,
    },
    /// A ban of this network was lifted. There may be other bans of it that are still in force.
    BanLifted(IpNet),
    /// Cached data about this user is out of date.
    UserChanged(UserId),
    /// The permissions of API keys changed. The ids are those of keys, or of the keys' owners or
    /// workspaces.
    KeysChanged(Vec<Uuid>),
    /// The gateway's models changed.
    ModelsChanged,
    /// A payment method was enabled or disabled.
    PaymentSwitchesChanged,
    /// An administrator paused a provider's key until the given time, or resumed it.
    #[serde(rename = "ProviderKeyRests")]
    ProviderKeyPaused { provider: String, key: String, until: Option<Timestamp> },
    /// An administrator asked to forget the settings that were learned about a provider's model.
    ProviderSettingsForgotten { provider: String, model: String },
    /// A program deleted a response that instances may have in memory.
    ResponseDeleted { key_id: ApiKeyId, id: String },
    /// The gateway of instance `by` observed a change of a provider key's state. `key` is the key's
    /// index in the configuration. Without a model, the change applies to all models.
    #[serde(rename = "ProviderKeyLearned")]
    ProviderKeyObserved { by: Uuid, provider: String, key: usize, model: Option<String>, fate: ProviderKeyChange },
    /// Question whether a connection of this user displays the conversation. Each instance that has
    /// such a connection answers with [`Signal::ViewReply`].
    #[serde(rename = "WhoShows")]
    ViewQuery { question: Uuid, user_id: UserId, conversation_id: ConversationId },
    /// Affirmative answer to [`Signal::ViewQuery`].
    #[serde(rename = "Shows")]
    ViewReply { question: Uuid },
    /// Question which instances have a connection of this user. Each of them answers with
    /// [`Signal::ConnectionReply`].
    #[serde(rename = "WhoServes")]
    ConnectionQuery { asked_by: InstanceId, user_id: UserId },
    /// Affirmative answer to [`Signal::ConnectionQuery`].
    #[serde(rename = "Serves")]
    ConnectionReply { asked_by: InstanceId, user_id: UserId },
    /// The search has to index some messages again.
    #[serde(rename = "SearchTouched")]
    SearchIndexStale,
    /// Last sequence numbers of conversations with recent events, for instances that don't receive these events, and for
    /// those that have lost one. Sent some times a second for all conversations together.
    LogAdvanced { heads: Vec<(ConversationId, i64)> },
    /// These channels of the bus are open from now on. Earlier messages on them may have been lost, so readers of their
    /// conversations must catch up. Never sent between instances.
    ChannelsOpened(ChannelSet),
    /// Messages may have been lost, so consumers with a position must catch up. Never sent between
    /// instances.
    Gap,
}

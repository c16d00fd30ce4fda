//! Messages between instances.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{ApiKeyId, ConversationId, InstanceId, MessageId, SessionId, Timestamp, UserId};

/// What becomes of a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyFate {
    /// It rests for so many milliseconds.
    Rests(u64),
    /// The provider refuses it.
    Off,
    /// The provider takes it again.
    On,
}

/// Messages between instances that clients don't see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// These sign-ins are over: their tokens are refused and their sockets closed (4401).
    SessionsEnded(Vec<SessionId>),
    /// These API keys were revoked: they are refused and their sockets closed (4401).
    ApiKeysRevoked(Vec<ApiKeyId>),
    /// The reader asked this answer to stop.
    StopGeneration(MessageId),
    /// There is a job to claim.
    JobsWaiting,
    /// This network is banned until then. A ban by an administrator refuses everybody and closes connections; an automatic one spares valid
    /// credentials.
    Banned {
        network: IpNet,
        until: Timestamp,
        /// Made by an administrator. Earlier releases don't send it; the table of bans corrects it within seconds.
        #[serde(default)]
        is_manual: bool,
    },
    /// A ban of this network was lifted. The table says whether another one is in force.
    BanLifted(IpNet),
    /// Cached data about this person is out of date.
    UserChanged(UserId),
    /// What the API keys may do has changed that have one of these ids, or whose owner or workspace has.
    KeysChanged(Vec<Uuid>),
    /// The gateway's models are others.
    ModelsChanged,
    /// A payment method was switched on or off.
    PaymentSwitchesChanged,
    /// An administrator lets a provider's key rest until then, or use it again at once.
    ProviderKeyRests { provider: String, key: String, until: Option<Timestamp> },
    /// What the gateway of an instance, `by`, has learned of a provider's key by using it; `key` is its place in the configuration, and
    /// without a model it is about all of them.
    ProviderKeyLearned { by: Uuid, provider: String, key: usize, model: Option<String>, fate: KeyFate },
    /// Whether a connection of this person shows the conversation: whoever has one says [`Signal::Shows`].
    WhoShows { question: Uuid, user_id: UserId, conversation_id: ConversationId },
    /// One does.
    Shows { question: Uuid },
    /// Who has a connection of this person, asked by an instance that has something to tell them: whoever has one says [`Signal::Serves`].
    WhoServes { asked_by: InstanceId, user_id: UserId },
    /// A thread of some instance has one.
    Serves { asked_by: InstanceId, user_id: UserId },
    /// Messages are to be read into the search index again.
    SearchTouched,
    /// Messages may have been lost: holders of a position must catch up. Never sent between instances.
    Gap,
}

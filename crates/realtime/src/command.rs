//! Commands of clients: frames parsed into commands, independently of the client's identity.

use std::{collections::HashMap, sync::LazyLock};

use appcore::{
    AppError, Code, ConversationId, MessageId, UploadId, UserId,
    text::ClientId,
    view::{Mention, PresenceStatus},
};
use metrics::{Counter, metrics};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

use crate::{
    codec::Payload,
    protocol::{self, Components},
    shard::{MAX_DISPLAYED, MAX_WATCHED},
};

/// Maximum number of conversations per `sync`. A client with more conversations sends several.
pub const MAX_SYNC_CONVERSATIONS: usize = 1_000;

/// Maximum length of a parser's error message that is passed on to the client, in characters.
const MAX_PARSE_ERROR_CHARS: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Send(Box<Send>),
    Receipt {
        conversation_id: ConversationId,
        seq: i64,
        is_read: bool,
    },
    Typing {
        conversation_id: ConversationId,
        active: bool,
    },
    Presence(PresenceStatus),
    /// Conversations that the client displays.
    View(Vec<ConversationId>),
    /// Users whose presence the client watches.
    WatchPresence(Vec<UserId>),
    /// Last sequence number that the client has, by conversation.
    Sync(HashMap<ConversationId, i64>),
    StopGeneration(MessageId),
    Ping,
}

impl Command {
    /// Span name in traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "frame message.send",
            Self::Receipt { .. } => "frame receipt",
            Self::Typing { .. } => "frame typing",
            Self::Presence(_) => "frame presence",
            Self::View(_) => "frame view",
            Self::WatchPresence(_) => "frame presence.watch",
            Self::Sync(_) => "frame sync",
            Self::StopGeneration(_) => "frame generation.stop",
            Self::Ping => "frame ping",
        }
    }

    /// True if the command only reads.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        match self {
            Self::Sync(_) | Self::Ping | Self::View(_) | Self::WatchPresence(_) => true,
            Self::Send(_)
            | Self::Receipt { .. }
            | Self::Typing { .. }
            | Self::Presence(_)
            | Self::StopGeneration(_) => false,
        }
    }
}

/// Message to send. The length of its text is checked later, because the limit depends on the
/// conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub conversation_id: ConversationId,
    pub client_id: ClientId,
    pub content: String,
    pub reply_to: Option<MessageId>,
    pub mentions: Vec<Mention>,
    /// Attached uploads, which must be the sender's.
    pub attachments: Vec<UploadId>,
    /// True if the sender has confirmed that the message may mention many users.
    pub confirm: bool,
    /// Model to answer the message.
    pub model: Option<String>,
    pub thread_id: Option<MessageId>,
    pub also_to_conversation: bool,
    pub has_previews: bool,
}

/// Payload of one type of client frame.
trait CommandPayload: DeserializeOwned + ToSchema {
    /// Value of the frame's `type`.
    const KIND: &'static str;

    fn into_command(self) -> Result<Command, AppError>;
}

/// [`CommandPayload`] with its type erased.
struct CommandType {
    kind: &'static str,
    parse: fn(Payload<'_>) -> Result<Command, AppError>,
    schema: fn(&mut Components) -> RefOr<Schema>,
}

impl CommandType {
    const fn of<T: CommandPayload>() -> Self {
        Self { kind: T::KIND, parse: |payload| read::<T>(payload)?.into_command(), schema: protocol::payload::<T> }
    }
}

/// All client frames.
const COMMAND_TYPES: &[CommandType] = &[
    CommandType::of::<SendPayload>(),
    CommandType::of::<ReceiptPayload>(),
    CommandType::of::<TypingPayload>(),
    CommandType::of::<PresencePayload>(),
    CommandType::of::<ViewPayload>(),
    CommandType::of::<WatchPayload>(),
    CommandType::of::<SyncPayload>(),
    CommandType::of::<StopPayload>(),
    // `ping` accepts any payload.
    CommandType { parse: |_| Ok(Command::Ping), ..CommandType::of::<PingPayload>() },
];

/// Counters of received frames in the order of [`COMMAND_TYPES`], followed by the counter of
/// unknown types.
static RECEIVED: LazyLock<Vec<Counter>> = LazyLock::new(|| {
    COMMAND_TYPES
        .iter()
        .map(|known| known.kind)
        .chain(["unknown"])
        .map(|kind| metrics().realtime.received_counter(kind))
        .collect()
});

/// Parses a command of this type.
pub fn parse(kind: &str, payload: Payload<'_>) -> Result<Command, AppError> {
    let place = COMMAND_TYPES.iter().position(|known| known.kind == kind);
    if let Some(counter) = RECEIVED.get(place.unwrap_or(COMMAND_TYPES.len())) {
        counter.inc();
    }
    let known = place.and_then(|place| COMMAND_TYPES.get(place)).ok_or(Code::UnknownType)?;
    (known.parse)(payload)
}

/// Returns the payload schemas by type. Referenced schemas are added to `components`.
pub(crate) fn schemas(components: &mut Components) -> Vec<(&'static str, RefOr<Schema>)> {
    COMMAND_TYPES.iter().map(|known| (known.kind, (known.schema)(components))).collect()
}

/// Sends a message. The answer is `ack` once the message is stored.
#[derive(Deserialize, ToSchema)]
struct SendPayload {
    conversation_id: ConversationId,
    /// Idempotency key chosen by the client. A repeated key returns the first message.
    client_id: String,
    content: String,
    #[serde(default)]
    reply_to: Option<MessageId>,
    #[serde(default)]
    mentions: Vec<Mention>,
    /// Uploads of the sender to attach, at most 10. With uploads, `content` may be empty.
    #[serde(default)]
    attachment_ids: Vec<UploadId>,
    /// Confirms that the message may mention many users.
    #[serde(default)]
    confirm: bool,
    /// Model that answers, if the message addresses an assistant. Defaults to the model of the chat
    /// or the assistant.
    #[serde(default)]
    model: Option<String>,
    /// Root message of the thread to reply in.
    #[serde(default)]
    thread_id: Option<MessageId>,
    /// True to show a reply in a thread in the main timeline as well.
    #[serde(default)]
    also_to_conversation: bool,
    /// False to show no link previews. Otherwise they are shown, unless the sender or the workspace
    /// has disabled them.
    previews: Option<bool>,
}

impl CommandPayload for SendPayload {
    const KIND: &'static str = "message.send";

    fn into_command(self) -> Result<Command, AppError> {
        let Self {
            conversation_id,
            client_id,
            content,
            reply_to,
            mentions,
            attachment_ids,
            confirm,
            model,
            thread_id,
            also_to_conversation,
            previews,
        } = self;
        let client_id = ClientId::parse(client_id)?;
        Ok(Command::Send(Box::new(Send {
            conversation_id,
            client_id,
            content,
            reply_to,
            mentions,
            attachments: attachment_ids,
            confirm,
            model,
            thread_id,
            also_to_conversation,
            has_previews: previews.unwrap_or(true),
        })))
    }
}

/// Reports the position up to which messages were delivered or read. There is no answer.
#[derive(Deserialize, ToSchema)]
struct ReceiptPayload {
    conversation_id: ConversationId,
    seq: i64,
    #[schema(inline)]
    state: ReceiptState,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ReceiptState {
    Delivered,
    Read,
}

impl CommandPayload for ReceiptPayload {
    const KIND: &'static str = "receipt";

    fn into_command(self) -> Result<Command, AppError> {
        let is_read = matches!(self.state, ReceiptState::Read);
        Ok(Command::Receipt { conversation_id: self.conversation_id, seq: self.seq, is_read })
    }
}

/// Reports that the user has started or stopped typing. There is no answer.
#[derive(Deserialize, ToSchema)]
struct TypingPayload {
    conversation_id: ConversationId,
    active: bool,
}

impl CommandPayload for TypingPayload {
    const KIND: &'static str = "typing";

    fn into_command(self) -> Result<Command, AppError> {
        Ok(Command::Typing { conversation_id: self.conversation_id, active: self.active })
    }
}

/// Sets the user's own presence. The server sets `offline` itself. There is no answer.
#[derive(Deserialize, ToSchema)]
struct PresencePayload {
    status: PresenceStatus,
}

impl CommandPayload for PresencePayload {
    const KIND: &'static str = "presence";

    fn into_command(self) -> Result<Command, AppError> {
        match self.status {
            PresenceStatus::Offline => {
                Err(AppError::field("status", "invalid", "Use online, away or dnd. Offline is set automatically."))
            }
            status => Ok(Command::Presence(status)),
        }
    }
}

/// Sets the conversations that the client displays, replacing the previous list. There is no
/// answer.
#[derive(Deserialize, ToSchema)]
struct ViewPayload {
    #[schema(max_items = 8)]
    conversation_ids: Vec<ConversationId>,
}

impl CommandPayload for ViewPayload {
    const KIND: &'static str = "view";

    fn into_command(self) -> Result<Command, AppError> {
        check_displayed(&self.conversation_ids)?;
        Ok(Command::View(self.conversation_ids))
    }
}

/// Sets the users whose presence the client watches, replacing the previous list. The answer is
/// `presences`.
#[derive(Deserialize, ToSchema)]
struct WatchPayload {
    #[schema(max_items = 500)]
    user_ids: Vec<UserId>,
}

impl CommandPayload for WatchPayload {
    const KIND: &'static str = "presence.watch";

    fn into_command(self) -> Result<Command, AppError> {
        if self.user_ids.len() > MAX_WATCHED {
            return Err(too_many(format!("Watch up to {MAX_WATCHED} people at a time.")));
        }
        Ok(Command::WatchPresence(self.user_ids))
    }
}

/// Requests the events after these positions in the log. The server sends the events, then
/// `sync.done`.
#[derive(Deserialize, ToSchema)]
struct SyncPayload {
    #[schema(value_type = HashMap<String, i64>)]
    cursors: HashMap<ConversationId, i64>,
}

impl CommandPayload for SyncPayload {
    const KIND: &'static str = "sync";

    fn into_command(self) -> Result<Command, AppError> {
        if self.cursors.len() > MAX_SYNC_CONVERSATIONS {
            return Err(AppError::field(
                "cursors",
                "too_long",
                format!("Sync up to {MAX_SYNC_CONVERSATIONS} conversations at a time."),
            ));
        }
        Ok(Command::Sync(self.cursors))
    }
}

/// Stops an answer in progress. The answer to this frame is `ack`.
#[derive(Deserialize, ToSchema)]
struct StopPayload {
    message_id: MessageId,
}

impl CommandPayload for StopPayload {
    const KIND: &'static str = "generation.stop";

    fn into_command(self) -> Result<Command, AppError> {
        Ok(Command::StopGeneration(self.message_id))
    }
}

/// Checks the connection. The answer is `pong`.
#[derive(Deserialize, ToSchema)]
struct PingPayload {}

impl CommandPayload for PingPayload {
    const KIND: &'static str = "ping";

    fn into_command(self) -> Result<Command, AppError> {
        Ok(Command::Ping)
    }
}

/// Fails if there are more conversations than a client may display at once.
pub(crate) fn check_displayed(ids: &[ConversationId]) -> Result<(), AppError> {
    if ids.len() > MAX_DISPLAYED {
        return Err(too_many(format!("View up to {MAX_DISPLAYED} conversations at a time.")));
    }
    Ok(())
}

fn too_many(sentence: String) -> AppError {
    AppError::refused(Code::TooMany, sentence)
}

fn read<T: DeserializeOwned>(payload: Payload<'_>) -> Result<T, AppError> {
    payload.read().map_err(|error| {
        let complaint = error.to_string();
        // The position within the payload is removed, because it means nothing to a client that
        // built the payload as an object.
        let complaint: String =
            complaint.split(" at line ").next().unwrap_or_default().chars().take(MAX_PARSE_ERROR_CHARS).collect();
        AppError::refused(Code::Invalid, format!("The payload isn't valid: {complaint}."))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(kind: &str, payload: Value) -> Result<Command, AppError> {
        parse(kind, Payload::Value(payload))
    }

    const ID: &str = "01890000-0000-7000-8000-000000000001";

    #[test]
    fn accepts_every_type_of_the_contract() {
        let conversation_id: ConversationId = ID.parse().unwrap();
        assert!(matches!(
            parsed("message.send", json!({"conversation_id": ID, "client_id": "c1", "content": "hi", "attachment_ids": []})),
            Ok(Command::Send(send)) if send.client_id.as_str() == "c1" && send.reply_to.is_none()
        ));
        assert_eq!(
            parsed("receipt", json!({"conversation_id": ID, "seq": 3, "state": "read"})).unwrap(),
            Command::Receipt { conversation_id, seq: 3, is_read: true }
        );
        assert_eq!(
            parsed("typing", json!({"conversation_id": ID, "active": true})).unwrap(),
            Command::Typing { conversation_id, active: true }
        );
        assert_eq!(parsed("presence", json!({"status": "dnd"})).unwrap(), Command::Presence(PresenceStatus::Dnd));
        assert_eq!(parsed("sync", json!({"cursors": {ID: 4}})).unwrap(), Command::Sync([(conversation_id, 4)].into()));
        assert!(matches!(parsed("generation.stop", json!({"message_id": ID})), Ok(Command::StopGeneration(_))));
        assert_eq!(parsed("ping", Value::Null).unwrap(), Command::Ping);
        assert_eq!(parsed("view", json!({"conversation_ids": [ID]})).unwrap(), Command::View(vec![conversation_id]));
        assert_eq!(
            parsed("presence.watch", json!({"user_ids": [ID]})).unwrap(),
            Command::WatchPresence(vec![ID.parse().unwrap()])
        );
    }

    #[test]
    fn rejects_more_items_than_allowed() {
        assert!(parsed("view", json!({"conversation_ids": vec![ID; MAX_DISPLAYED]})).is_ok());
        let error = parsed("view", json!({"conversation_ids": vec![ID; MAX_DISPLAYED + 1]})).unwrap_err();
        assert_eq!(error.code(), Code::TooMany);
        assert!(parsed("presence.watch", json!({"user_ids": vec![ID; MAX_WATCHED]})).is_ok());
        let error = parsed("presence.watch", json!({"user_ids": vec![ID; MAX_WATCHED + 1]})).unwrap_err();
        assert_eq!(error.code(), Code::TooMany);
    }

    #[test]
    fn names_missing_and_invalid_fields() {
        let error = parsed("typing", json!({"active": true})).unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        assert!(error.sentence().contains("conversation_id"), "{}", error.sentence());
        for (kind, payload) in [
            ("message.send", json!({"conversation_id": ID, "client_id": "has space", "content": "hi"})),
            ("message.send", json!({"conversation_id": "x", "client_id": "c", "content": "hi"})),
            ("message.send", json!({"conversation_id": ID, "client_id": "c", "content": 7})),
            ("receipt", json!({"conversation_id": ID, "seq": 3, "state": "seen"})),
            ("receipt", json!({"conversation_id": ID, "seq": 1.5, "state": "read"})),
            ("presence", json!({"status": "offline"})),
            ("view", json!({"conversation_ids": ["x"]})),
            ("view", json!({})),
            ("presence.watch", json!({"user_ids": 7})),
            ("sync", json!({"cursors": {"x": 4}})),
            ("sync", json!({"cursors": [1]})),
            ("generation.stop", json!({})),
        ] {
            assert_eq!(parsed(kind, payload.clone()).unwrap_err().code(), Code::Invalid, "{kind} {payload}");
        }
        assert_eq!(parsed("dance", json!({})).unwrap_err().code(), Code::UnknownType);
    }
}

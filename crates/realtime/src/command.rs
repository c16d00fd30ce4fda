//! What a client can ask for over a connection: frames parsed into commands, before anybody knows who asks.

use std::collections::HashMap;

use appcore::{
    AppError, Code, ConversationId, MessageId, UserId,
    text::ClientId,
    view::{Mention, PresenceStatus},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    codec::Payload,
    shard::{MAX_SHOWN, MAX_WATCHED},
};

/// Conversations that one `sync` may name. Who has more asks again.
pub const SYNC_CONVERSATIONS: usize = 1_000;

/// Characters of a parser's complaint that are passed on.
const COMPLAINT: usize = 200;

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
    /// The conversations that the client shows.
    View(Vec<ConversationId>),
    /// The people whose presence the client wants to know.
    WatchPresence(Vec<UserId>),
    /// What the client has, by conversation.
    Sync(HashMap<ConversationId, i64>),
    StopGeneration(MessageId),
    Ping,
}

impl Command {
    /// Whether it only asks for something, and changes nothing.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
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

/// A message to be sent; its text is measured where the limit is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub conversation_id: ConversationId,
    pub client_id: ClientId,
    pub content: String,
    pub reply_to: Option<MessageId>,
    pub mentions: Vec<Mention>,
    /// It may mention many.
    pub confirm: bool,
}

/// Reads a command of this type.
pub fn parse(kind: &str, payload: Payload<'_>) -> Result<Command, AppError> {
    match kind {
        "message.send" => {
            #[derive(Deserialize)]
            struct Fields {
                conversation_id: ConversationId,
                client_id: String,
                content: String,
                #[serde(default)]
                reply_to: Option<MessageId>,
                #[serde(default)]
                mentions: Vec<Mention>,
                #[serde(default)]
                confirm: bool,
            }
            let Fields { conversation_id, client_id, content, reply_to, mentions, confirm } = read(payload)?;
            Ok(Command::Send(Box::new(Send {
                conversation_id,
                client_id: ClientId::parse(client_id)?,
                content,
                reply_to,
                mentions,
                confirm,
            })))
        }
        "receipt" => {
            #[derive(Deserialize)]
            struct Fields {
                conversation_id: ConversationId,
                seq: i64,
                state: State,
            }
            #[derive(Deserialize)]
            #[serde(rename_all = "lowercase")]
            enum State {
                Delivered,
                Read,
            }
            let Fields { conversation_id, seq, state } = read(payload)?;
            Ok(Command::Receipt { conversation_id, seq, is_read: matches!(state, State::Read) })
        }
        "typing" => {
            #[derive(Deserialize)]
            struct Fields {
                conversation_id: ConversationId,
                active: bool,
            }
            let Fields { conversation_id, active } = read(payload)?;
            Ok(Command::Typing { conversation_id, active })
        }
        "presence" => {
            #[derive(Deserialize)]
            struct Fields {
                status: PresenceStatus,
            }
            match read::<Fields>(payload)?.status {
                PresenceStatus::Offline => {
                    Err(AppError::field("status", "invalid", "Use online, away or dnd. Offline is set automatically."))
                }
                status => Ok(Command::Presence(status)),
            }
        }
        "view" => {
            #[derive(Deserialize)]
            struct Fields {
                conversation_ids: Vec<ConversationId>,
            }
            let ids = read::<Fields>(payload)?.conversation_ids;
            check_shown(&ids)?;
            Ok(Command::View(ids))
        }
        "presence.watch" => {
            #[derive(Deserialize)]
            struct Fields {
                user_ids: Vec<UserId>,
            }
            let ids = read::<Fields>(payload)?.user_ids;
            if ids.len() > MAX_WATCHED {
                return Err(too_many(format!("Watch up to {MAX_WATCHED} people at a time.")));
            }
            Ok(Command::WatchPresence(ids))
        }
        "sync" => {
            #[derive(Deserialize)]
            struct Fields {
                cursors: HashMap<ConversationId, i64>,
            }
            let cursors = read::<Fields>(payload)?.cursors;
            if cursors.len() > SYNC_CONVERSATIONS {
                return Err(AppError::field(
                    "cursors",
                    "too_long",
                    format!("Sync up to {SYNC_CONVERSATIONS} conversations at a time."),
                ));
            }
            Ok(Command::Sync(cursors))
        }
        "generation.stop" => {
            #[derive(Deserialize)]
            struct Fields {
                message_id: MessageId,
            }
            Ok(Command::StopGeneration(read::<Fields>(payload)?.message_id))
        }
        "ping" => Ok(Command::Ping),
        _ => Err(Code::UnknownType.into()),
    }
}

/// Refuses more conversations than a client can show at once.
pub(crate) fn check_shown(ids: &[ConversationId]) -> Result<(), AppError> {
    if ids.len() > MAX_SHOWN {
        return Err(too_many(format!("View up to {MAX_SHOWN} conversations at a time.")));
    }
    Ok(())
}

fn too_many(sentence: String) -> AppError {
    AppError::refused(Code::TooMany, sentence)
}

fn read<T: DeserializeOwned>(payload: Payload<'_>) -> Result<T, AppError> {
    payload.read().map_err(|error| {
        let complaint = error.to_string();
        // Where in the payload it is says nothing to whoever wrote it as an object.
        let complaint: String =
            complaint.split(" at line ").next().unwrap_or_default().chars().take(COMPLAINT).collect();
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
    fn every_type_of_the_contract_is_known() {
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
    fn more_than_a_client_can_show_is_refused() {
        assert!(parsed("view", json!({"conversation_ids": vec![ID; MAX_SHOWN]})).is_ok());
        let error = parsed("view", json!({"conversation_ids": vec![ID; MAX_SHOWN + 1]})).unwrap_err();
        assert_eq!(error.code(), Code::TooMany);
        assert!(parsed("presence.watch", json!({"user_ids": vec![ID; MAX_WATCHED]})).is_ok());
        let error = parsed("presence.watch", json!({"user_ids": vec![ID; MAX_WATCHED + 1]})).unwrap_err();
        assert_eq!(error.code(), Code::TooMany);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
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

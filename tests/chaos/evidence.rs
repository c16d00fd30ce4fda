//! Record of a run: everything that clients saw, sent and received, with the times. It is the input
//! of the checker.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Value, new_id};

/// Time in milliseconds since 1970, as in the log.
pub type Moment = i64;

pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Index of a conversation in [`Evidence::conversations`].
pub type Chat = usize;

#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub conversations: Vec<Conversation>,
    pub readers: Vec<Reader>,
    pub writers: Vec<Writer>,
    pub faults: Vec<Fault>,
    /// Times at which the machine did not schedule the run itself, with the durations in
    /// milliseconds.
    pub stalls: Vec<(Moment, i64)>,
    /// Problems that the cluster still has at the end.
    pub unhealed: Vec<String>,
    /// Responses that must not occur, and processes that have ended unexpectedly.
    pub surprises: Vec<String>,
    /// Marks of the texts that were edited away or deleted. Each [`mark`] occurred in only one
    /// text.
    pub removed: Vec<String>,
    /// Marks that can still be read at the end, each with the place.
    pub readable: Vec<(&'static str, String)>,
    /// Number of times that the visitor has joined and left the channel.
    pub visits: usize,
}

/// Prefix of all marks.
pub const MARK: &str = "mark-";

/// Creates a unique mark for a new text, by which the text can be searched later.
pub fn mark() -> String {
    format!("{MARK}{}", new_id())
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub name: &'static str,
    /// True if ephemeral events are sent only to viewers.
    pub is_large: bool,
    pub log: Vec<Logged>,
    /// Messages as the history returns them.
    pub history: Vec<Stored>,
    /// Ids of the members at the end of the run.
    pub members: BTreeSet<String>,
    /// Read positions that the server reported to some of the members.
    pub positions: Vec<ReadPosition>,
}

/// Message of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sender: String,
    pub client_id: String,
    pub says: Says,
    pub has: Extras,
}

/// Reactions, replies, votes and pin that users have added to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Number of reactions per emoji.
    pub reactions: BTreeMap<String, usize>,
    pub replies: usize,
    /// Digest of the results of a poll.
    pub results: Option<u64>,
    pub is_pinned: bool,
}

impl Extras {
    pub fn of(message: &Value) -> Self {
        let reactions = message["reactions"].as_array().into_iter().flatten();
        let count = |value: &Value| usize::try_from(value.as_u64().unwrap_or(0)).unwrap_or(usize::MAX);
        Self {
            reactions: reactions
                .filter_map(|one| Some((one["emoji"].as_str()?.to_owned(), count(&one["count"]))))
                .collect(),
            replies: count(&message["thread"]["reply_count"]),
            results: message["poll"]["results"].is_object().then(|| digest(&message["poll"]["results"].to_string())),
            is_pinned: message["pinned_at"].is_string(),
        }
    }
}

/// Change of the reactions, replies, votes or pin of a message by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Reacted {
        message: u64,
        emoji: String,
        user: String,
    },
    TookBack {
        message: u64,
        emoji: String,
        user: String,
    },
    /// A reply was added to a thread; `no` is its number there.
    Replied {
        root: u64,
        no: i64,
    },
    ReplyDeleted {
        root: u64,
    },
    /// Digest of the results of the poll after a vote.
    Voted {
        message: u64,
        results: u64,
    },
    /// The message was pinned or unpinned.
    Pinned {
        message: u64,
        is_pinned: bool,
    },
    /// The message was deleted.
    Deleted {
        message: u64,
    },
}

impl Change {
    pub fn of(kind: &str, payload: &Value) -> Option<Self> {
        let text = |field: &str| payload[field].as_str().map(str::to_owned);
        let message = payload["message_id"].as_str().map(digest);
        let root = |of: &Value| of["thread_id"].as_str().map(digest);
        match kind {
            "reaction.added" => {
                Some(Self::Reacted { message: message?, emoji: text("emoji")?, user: text("user_id")? })
            }
            "reaction.removed" => {
                Some(Self::TookBack { message: message?, emoji: text("emoji")?, user: text("user_id")? })
            }
            "poll.updated" => Some(Self::Voted { message: message?, results: digest(&payload["results"].to_string()) }),
            "message.pinned" | "message.unpinned" => {
                Some(Self::Pinned { message: message?, is_pinned: kind == "message.pinned" })
            }
            "message.created" => {
                let reply = &payload["message"];
                Some(Self::Replied { root: root(reply)?, no: reply["no"].as_i64()? })
            }
            "message.deleted" => match root(payload) {
                Some(root) => Some(Self::ReplyDeleted { root }),
                None => Some(Self::Deleted { message: message? }),
            },
            _ => None,
        }
    }
}

/// Read position and unread count of a member, as the server reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    pub user: String,
    pub read_seq: i64,
    pub unread: i64,
}

/// Event in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub seq: i64,
    pub event: Event,
    pub committed: Moment,
    /// Id, sender and `client_id` of a new message.
    pub message: Option<(String, String, String)>,
    /// Number of a new message in the main conversation.
    pub no: Option<i64>,
    pub change: Option<Change>,
}

/// Digest of a message's text. It is small, so that a million can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says {
    pub message: u64,
    /// Digest of the text; `None` if the message was deleted.
    pub text: Option<u64>,
}

impl Says {
    pub fn of(message: &Value) -> Option<Self> {
        let text = message["deleted_at"].is_null().then(|| digest(message["content"].as_str().unwrap_or_default()));
        Some(Self { message: digest(message["id"].as_str()?), text })
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Digest of an event. It is small, so that a million can be kept.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    pub digest: u64,
    /// Id of the member who was added or removed.
    pub member: Option<String>,
    /// New text of a message, as digest.
    pub says: Option<Says>,
}

/// Compares events without their texts: the log contains the current text of a message, even in
/// events that were sent before an edit.
impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, self.digest, &self.member) == (other.kind, other.digest, &other.member)
    }
}

impl Eq for Event {}

impl Event {
    pub fn of(kind: &str, payload: &Value) -> Self {
        const KINDS: [&str; 12] = [
            "message.created",
            "message.updated",
            "message.deleted",
            "member.added",
            "member.removed",
            "member.updated",
            "conversation.updated",
            "reaction.added",
            "reaction.removed",
            "message.pinned",
            "message.unpinned",
            "poll.updated",
        ];
        let kind = KINDS.into_iter().find(|known| *known == kind).unwrap_or("another");
        let member = match kind {
            "member.added" => payload["member"]["user_id"].as_str(),
            "member.removed" => payload["user_id"].as_str(),
            _ => None,
        };
        let says = match (kind, payload["message_id"].as_str()) {
            ("message.deleted", Some(id)) => Some(Says { message: digest(id), text: None }),
            _ => Says::of(&payload["message"]),
        };
        let mut payload = payload.clone();
        if let Some(message) = payload.get_mut("message").and_then(Value::as_object_mut) {
            // Removes the fields that later changes rewrite: the log contains the current message,
            // even in events that were sent before an edit, reaction, pin, reply or deletion.
            for field in ["content", "edited_at", "deleted_at", "reactions", "pinned_at", "thread", "poll"] {
                message.remove(field);
            }
        }
        Self { kind, digest: digest(&payload.to_string()), member: member.map(str::to_owned), says }
    }
}

/// Client that follows its conversations.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    pub name: String,
    pub user: String,
    /// True for the visitor, who repeatedly joins and leaves the channel. The delivery of events
    /// during the visits is not guaranteed.
    pub is_visitor: bool,
    pub seen: Vec<(Moment, Seen)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// First frame of a connection, with the heads of the conversations. After a resumption, a
    /// stream sends the missed events first.
    Hello {
        heads: BTreeMap<Chat, i64>,
        resumes: bool,
    },
    /// The client has requested the events that it missed.
    Sync,
    /// The sync is complete. Contains the conversations that were refused for now (`refused`), and
    /// those of which the user is no longer a member.
    Synced {
        refused: BTreeSet<Chat>,
        gone: BTreeSet<Chat>,
    },
    /// The client was told to sync these conversations; `None` for all.
    Resync(Option<BTreeSet<Chat>>),
    Event(Chat, i64, Event),
    /// The client views these conversations.
    Views(BTreeSet<Chat>),
    /// Ephemeral event for viewers of a conversation, with its type.
    Passing(Chat, String),
    /// The user was added to a conversation whose memberships have no sequence number.
    Joined(Chat),
    /// The user was removed from such a conversation.
    Left(Chat),
    /// The client has read this event from the log by a request.
    Fetched(Chat, i64, Event),
    /// The connection has ended. Contains the code of the close frame, if there was one.
    Lost(Option<u16>),
}

/// Client that sends messages.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub name: String,
    pub user: String,
    pub did: Vec<(Moment, Did)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// A new connection was opened.
    Connected,
    Sent {
        client_id: String,
    },
    /// The message was acknowledged, by a frame on this connection or by the status 200 or 201.
    Acknowledged {
        chat: Chat,
        client_id: String,
        message: String,
        seq: i64,
    },
    /// The message was refused temporarily; the client will send it again.
    PutOff {
        client_id: String,
    },
    /// A request had no result: there was no response, or one with the status 502, 503 or 504.
    Failed {
        what: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    KillInstance,
    /// Kills an instance before it can publish what it has committed.
    KillUntold,
    /// Kills an instance and Redis.
    KillBoth,
    /// Kills all instances, Redis and PostgreSQL.
    Blackout,
    FreezeInstance,
    RollingRestart,
    EndBackends,
    StopDatabase,
    CutDatabase,
    SlowDatabase,
    DeadDatabase,
    KillRedis,
    CutRedis,
    SlowRedis,
    DeadRedis,
    CutClients,
    SlowClients,
    DropClients,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    pub what: String,
    pub from: Moment,
    /// Time at which the fault has been repaired.
    pub to: Moment,
}

//! What a run leaves behind: what everybody saw, did and was answered, and when. The checker judges it, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Value, new_id};

/// Milliseconds since 1970, as the log has them.
pub type Moment = i64;

pub fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A conversation, by its place in [`Evidence::conversations`].
pub type Chat = usize;

#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub conversations: Vec<Conversation>,
    pub readers: Vec<Reader>,
    pub writers: Vec<Writer>,
    pub faults: Vec<Fault>,
    /// When the machine gave the run itself no time, and for how long.
    pub stalls: Vec<(Moment, i64)>,
    /// What is wrong with the cluster at the end.
    pub unhealed: Vec<String>,
    /// Answers that nobody may get, and processes that ended otherwise than they should.
    pub surprises: Vec<String>,
    /// Marks of texts that were edited away or deleted: each is a [`mark`] that stood in one text only.
    pub removed: Vec<String>,
    /// What can still be read at the end, and where.
    pub readable: Vec<(&'static str, String)>,
    /// How often somebody joined the channel and left it again.
    pub visits: usize,
}

/// What every mark begins with.
pub const MARK: &str = "mark-";

/// A mark for a new text, to find it by wherever it may stand.
pub fn mark() -> String {
    format!("{MARK}{}", new_id())
}

#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub name: &'static str,
    /// Passing events go to viewers only.
    pub is_large: bool,
    pub log: Vec<Logged>,
    /// Its messages as the history has them.
    pub history: Vec<Stored>,
    /// The users that are in it when the run ends.
    pub members: BTreeSet<String>,
    /// What some of them are told of their own position.
    pub positions: Vec<ReadPosition>,
}

/// A message of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub sender: String,
    pub client_id: String,
    pub says: Says,
    pub has: Extras,
}

/// What others have added to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// How many reacted with each emoji.
    pub reactions: BTreeMap<String, usize>,
    pub replies: usize,
    /// Of a poll: its results, as a digest.
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

/// What an event adds to a message or takes from it.
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
    /// A reply, with its number in the thread.
    Replied {
        root: u64,
        no: i64,
    },
    ReplyDeleted {
        root: u64,
    },
    /// The results of a poll, as a digest.
    Voted {
        message: u64,
        results: u64,
    },
    /// It was pinned, or its pin was taken away.
    Pinned {
        message: u64,
        is_pinned: bool,
    },
    /// The message itself was deleted.
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

/// How far a member has read, and how much is unread, as the server counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    pub user: String,
    pub read_seq: i64,
    pub unread: i64,
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub seq: i64,
    pub event: Event,
    pub committed: Moment,
    /// Of a new message: its id, its sender and the `client_id`.
    pub message: Option<(String, String, String)>,
    /// Of a new message in the main line: its number.
    pub no: Option<i64>,
    pub change: Option<Change>,
}

/// What a message says, short enough to be kept a million times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Says {
    pub message: u64,
    /// None: it was deleted.
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

/// What an event says, short enough to be kept a million times.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: &'static str,
    pub digest: u64,
    /// Who was added or removed.
    pub member: Option<String>,
    /// What a message says from here on.
    pub says: Option<Says>,
}

/// A text is left out: the log has it as it is now, also in what was told before it was edited.
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
            // The log has a message as it is now, also in what was told before it was edited, reacted to, pinned, answered or deleted.
            for field in ["content", "edited_at", "deleted_at", "reactions", "pinned_at", "thread", "poll"] {
                message.remove(field);
            }
        }
        Self { kind, digest: digest(&payload.to_string()), member: member.map(str::to_owned), says }
    }
}

/// A client that follows its conversations.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    pub name: String,
    pub user: String,
    /// It joins and leaves the channel: what comes when is not promised to it.
    pub is_visitor: bool,
    pub seen: Vec<(Moment, Seen)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A connection's first frame: how far the conversations have come. A resumed stream first gets what it missed.
    Hello {
        heads: BTreeMap<Chat, i64>,
        resumes: bool,
    },
    /// It asked for what it missed.
    Sync,
    /// It got that; these conversations it was refused for now, and these because it is not in them any more.
    Synced {
        refused: BTreeSet<Chat>,
        gone: BTreeSet<Chat>,
    },
    /// It was told to sync, these or all.
    Resync(Option<BTreeSet<Chat>>),
    Event(Chat, i64, Event),
    /// It says that it shows these.
    Views(BTreeSet<Chat>),
    /// An event without a number, for those who view the conversation; its type.
    Passing(Chat, String),
    /// It is told that it is in a conversation whose memberships take no number.
    Joined(Chat),
    /// It is told that it no longer is.
    Left(Chat),
    /// It read this from the log by a request.
    Fetched(Chat, i64, Event),
    /// The connection is over; the code where the server said goodbye.
    Lost(Option<u16>),
}

/// A client that sends messages.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    pub name: String,
    pub user: String,
    pub did: Vec<(Moment, Did)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// The next connection.
    Connected,
    Sent {
        client_id: String,
    },
    /// Acknowledged, by a frame on this connection or by a 200 or 201.
    Acknowledged {
        chat: Chat,
        client_id: String,
        message: String,
        seq: i64,
    },
    /// Refused for now: it will be sent again.
    PutOff {
        client_id: String,
    },
    /// A request that came to nothing: no answer, or 502, 503, 504.
    Failed {
        what: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    KillInstance,
    /// Before it could tell what it had committed.
    KillUntold,
    /// An instance and Redis.
    KillBoth,
    /// Everything.
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
    /// When what had been broken was whole again.
    pub to: Moment,
}

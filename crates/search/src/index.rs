//! Interface of a message index: its updates and queries. An index contains words but no texts, and never decides on
//! read access.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    deadline::Deadline,
    query::{Atom, Has},
    token::Tokens,
};

/// Maximum number of words that an index returns at once: copies of the whole vocabulary of a large installation would
/// use as much memory as everything else.
pub const TERMS: usize = 50_000;

/// Message to be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub message: Uuid,
    pub conversation: Uuid,
    /// `None` if the author is not searchable.
    pub author: Option<Uuid>,
    /// Milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    pub has: BTreeSet<Has>,
    pub tokens: Tokens,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Inserts or replaces a message.
    Upsert(Document),
    /// Removes the message with this id.
    Remove(Uuid),
}

impl Change {
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Upsert(document) => document.message,
            Self::Remove(id) => *id,
        }
    }
}

/// Changes that are written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub changes: Vec<Change>,
    /// Conversations whose messages are all removed.
    pub removed_conversations: Vec<Uuid>,
    /// New positions in the logs: conversations and the sequence numbers of their last indexed events.
    pub positions: Vec<(Uuid, i64)>,
    /// True if the messages are older than all indexed ones; they are ordered newest first.
    pub is_older: bool,
    /// New state of the initial fill.
    pub fill: Option<FillState>,
}

/// State of the initial fill of a new index with the existing messages, from the newest to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillState {
    /// Messages with ids below this one are not indexed yet.
    pub below: Uuid,
    pub is_done: bool,
}

/// Query of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each list requires a match of at least one of its atoms.
    pub all: Vec<Vec<Atom>>,
    pub none: Vec<Atom>,
    /// Required authors, any of them; `None`: no restriction.
    pub authors: Option<Vec<Uuid>>,
    pub has: BTreeSet<Has>,
    /// Searched conversations. The caller has checked that the user may read them.
    pub conversations: Vec<Uuid>,
    /// Start of the period, inclusive.
    pub from: Option<i64>,
    /// End of the period, exclusive.
    pub until: Option<i64>,
    /// Also matches similar words, if the index determines these itself.
    pub is_wide: bool,
    /// Cursor: only messages with lower numbers.
    pub below: Option<i64>,
    pub limit: u32,
    /// Time at which an index that supports it stops and returns nothing.
    pub deadline: Deadline,
}

impl Plan {
    /// Words whose document frequencies [`Self::most`] uses.
    pub fn terms(&self) -> BTreeSet<&str> {
        self.all.iter().flatten().flat_map(Atom::terms).map(String::as_str).collect()
    }

    /// Estimated number of messages, of `all`, that are scanned from the newest on until `limit` of the `visible` ones
    /// are found, assuming an even distribution.
    #[must_use]
    pub fn looked_at(&self, all: i64, visible: i64) -> i64 {
        all.min(i64::from(self.limit).saturating_mul(all) / visible.max(1))
    }

    /// True if, for a query without words, scanning all messages by time is cheaper than reading and sorting those of
    /// the conversations, which takes twice as long per message.
    #[must_use]
    pub fn goes_by_time(&self, all: i64, visible: i64) -> bool {
        self.looked_at(all, visible) / 2 <= visible
    }

    /// Upper bounds of the number of matches of each list of `all`, from the document frequencies of words; `None` if
    /// unknown.
    #[must_use]
    pub fn most(&self, counts: &HashMap<String, i64>) -> Vec<Option<i64>> {
        self.all.iter().map(|any| any.iter().map(|atom| atom.most(counts)).sum()).collect()
    }
}

/// Message that may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Document number; newer messages have higher ones.
    pub number: i64,
    pub message: Uuid,
    pub conversation: Uuid,
    pub author: Option<Uuid>,
    pub created_at: i64,
}

//! Interface of a message index: its updates and its queries. An index contains the words of
//! messages but not their texts, and never decides on read access.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    deadline::Deadline,
    query::{Atom, Has},
    token::Tokens,
};

/// Maximum number of words that an index returns at once. A copy of the whole vocabulary of a large
/// installation would need as much memory as everything else.
pub const MAX_TERMS: usize = 50_000;

/// Message to be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub message: Uuid,
    pub conversation: Uuid,
    /// Author; `None` if messages can't be searched by their author.
    pub author: Option<Uuid>,
    /// Time of the message, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    pub has: BTreeSet<Has>,
    pub tokens: Tokens,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Inserts or replaces a message.
    Upsert(Document),
    /// Removes a message, given by its id.
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

/// Changes of the index that are written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub changes: Vec<Change>,
    /// Conversations whose messages are all removed.
    pub removed_conversations: Vec<Uuid>,
    /// New positions in the logs: each conversation with the sequence number of its last indexed
    /// event.
    pub positions: Vec<(Uuid, i64)>,
    /// True if the messages are older than all indexed ones; they are then ordered from newest to
    /// oldest.
    pub is_older: bool,
    /// New state of the initial fill.
    pub fill: Option<FillState>,
}

/// State of the initial fill, which adds the existing messages to a new index, from the newest to
/// the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillState {
    /// Messages with ids below this one are not indexed yet.
    pub below: Uuid,
    pub is_done: bool,
}

/// Query of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Required conditions. Of each list, at least one atom must match.
    pub all: Vec<Vec<Atom>>,
    pub none: Vec<Atom>,
    /// Required authors, one of whom must match; `None` for any author.
    pub authors: Option<Vec<Uuid>>,
    pub has: BTreeSet<Has>,
    /// Conversations to search. The caller has checked that the user may read them.
    pub conversations: Vec<Uuid>,
    /// Start of the period, inclusive.
    pub from: Option<i64>,
    /// End of the period, exclusive.
    pub until: Option<i64>,
    /// True to match similar words as well, if the index determines these itself.
    pub is_wide: bool,
    /// Cursor: matches only messages with lower numbers.
    pub below: Option<i64>,
    pub limit: u32,
    /// Time at which the index stops and returns nothing, if it supports deadlines.
    pub deadline: Deadline,
}

impl Plan {
    /// Returns the words whose document frequencies [`Self::most`] needs.
    pub fn terms(&self) -> BTreeSet<&str> {
        self.all.iter().flatten().flat_map(Atom::terms).map(String::as_str).collect()
    }

    /// Estimates how many of `all` messages are scanned, from the newest on, until `limit` of the
    /// `visible` ones are found. Assumes that these are distributed evenly.
    #[must_use]
    pub fn estimated_scan(&self, all: i64, visible: i64) -> i64 {
        all.min(i64::from(self.limit).saturating_mul(all) / visible.max(1))
    }

    /// For a query without words: true if scanning all messages by time is cheaper than reading and
    /// sorting the messages of the conversations. The latter takes twice as long per message.
    #[must_use]
    pub fn scans_by_time(&self, all: i64, visible: i64) -> bool {
        self.estimated_scan(all, visible) / 2 <= visible
    }

    /// Returns an upper bound of the number of matches for each list of `all`, computed from the
    /// document frequencies of words; `None` if unknown.
    #[must_use]
    pub fn max_hits(&self, counts: &HashMap<String, i64>) -> Vec<Option<i64>> {
        self.all.iter().map(|any| any.iter().map(|atom| atom.max_hits(counts)).sum()).collect()
    }
}

/// Message that may match the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Document number. Newer messages have higher numbers.
    pub number: i64,
    pub message: Uuid,
    pub conversation: Uuid,
    pub author: Option<Uuid>,
    pub created_at: i64,
}

//! Content and queries of a message index.

use std::collections::BTreeSet;

use ::search::{Atom, Deadline, Has, Tokens};
use appcore::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Message to be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub message: Uuid,
    pub conversation: Uuid,
    /// Author; `None` if messages can't be searched by their author.
    pub author: Option<Uuid>,
    pub created_at: Timestamp,
    pub has: BTreeSet<Has>,
    pub tokens: Tokens,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Adds a message, in place of an earlier version if the index contains one.
    Put(Document),
    /// Removes a message, given by its id.
    Remove(Uuid),
}

impl Change {
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Put(document) => document.message,
            Self::Remove(id) => *id,
        }
    }
}

/// Changes of the index, written together with the state that they lead to.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// At most one change of each message.
    pub changes: Vec<Change>,
    /// Conversations whose messages are all removed.
    pub removed_conversations: Vec<Uuid>,
    pub state: IndexState,
}

/// Progress of an index, stored in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexState {
    /// Time before which all recorded events are indexed.
    pub through: Timestamp,
    /// Messages with ids below this one are not indexed yet; `None` if all are.
    pub unfilled_below: Option<Uuid>,
    /// Request to rebuild the index after which it was created.
    pub rebuild_request: Option<Uuid>,
    /// Last request to remove the words of removed messages that was executed.
    pub purge_request: Option<Uuid>,
}

impl IndexState {
    pub(crate) const fn is_filling(&self) -> bool {
        self.unfilled_below.is_some()
    }
}

/// Query of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Required conditions. Of each list, at least one atom must match.
    pub all: Vec<Vec<Atom>>,
    pub none: Vec<Atom>,
    /// Required authors, one of whom must match; `None` for any author.
    pub authors: Option<Vec<Uuid>>,
    pub has: BTreeSet<Has>,
    /// Conversations to search. The caller has checked that the user may read them.
    pub conversations: Vec<Uuid>,
    /// Start of the period in milliseconds since 1970-01-01 UTC, inclusive.
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

/// Message that may match the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Document number. Newer messages have higher numbers; messages of the same millisecond may
    /// have the same one, and are then always returned together.
    pub number: i64,
    pub message: Uuid,
}

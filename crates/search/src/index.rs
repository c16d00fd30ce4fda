//! What an index of messages is told and asked. It holds words, no texts, and it never decides what somebody may read.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use crate::{
    deadline::Deadline,
    query::{Atom, Has},
    token::Tokens,
};

/// Words that an index tells at once: of all words of a large installation copies would take as much memory as everything else.
pub const TERMS: usize = 50_000;

/// A message, to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub message: Uuid,
    pub conversation: Uuid,
    /// None: nobody that can be searched for.
    pub author: Option<Uuid>,
    /// In milliseconds since 1970.
    pub created_at: i64,
    pub has: BTreeSet<Has>,
    pub tokens: Tokens,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, or has other words now.
    Put(Document),
    /// The message with this id is gone.
    Remove(Uuid),
}

impl Change {
    /// The message's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Put(document) => document.message,
            Self::Remove(id) => *id,
        }
    }
}

/// What is written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub changes: Vec<Change>,
    /// Conversations that are gone, with all of their messages.
    pub gone: Vec<Uuid>,
    /// How far these conversations are read then: the numbers of their last events.
    pub positions: Vec<(Uuid, i64)>,
    /// The messages are older than all that are there, the newest of them first.
    pub is_older: bool,
    /// How far it is filled then.
    pub fill: Option<Fill>,
}

/// How far a new index is filled with what was there before it, from the newest message to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The messages with ids below this one are missing.
    pub below: Uuid,
    pub is_done: bool,
}

/// What an index is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of each of these lists one.
    pub all: Vec<Vec<Atom>>,
    pub none: Vec<Atom>,
    /// By one of these; anybody where it is none.
    pub authors: Option<Vec<Uuid>>,
    pub has: BTreeSet<Has>,
    /// In one of these. Who asks may read them all.
    pub conversations: Vec<Uuid>,
    /// From this moment on.
    pub from: Option<i64>,
    /// Before this moment.
    pub until: Option<i64>,
    /// Words that are like these answer as well, for an index that knows by itself which those are.
    pub is_wide: bool,
    /// Only what is numbered below it.
    pub below: Option<i64>,
    pub limit: u32,
    /// An index that can stops then, and finds nothing.
    pub deadline: Deadline,
}

impl Plan {
    /// The words whose counts [`Self::most`] goes by.
    pub fn terms(&self) -> BTreeSet<&str> {
        self.all.iter().flatten().flat_map(Atom::terms).map(String::as_str).collect()
    }

    /// About how many of `all` messages are gone through from the newest on until there are enough of the `visible` ones that are asked about, as far as
    /// these are spread evenly.
    #[must_use]
    pub fn looked_at(&self, all: i64, visible: i64) -> i64 {
        all.min(i64::from(self.limit).saturating_mul(all) / visible.max(1))
    }

    /// Where no words are asked for: whether all messages are gone through by time, rather than those of the conversations read and put in order, which
    /// takes twice as long for each.
    #[must_use]
    pub fn goes_by_time(&self, all: i64, visible: i64) -> bool {
        self.looked_at(all, visible) / 2 <= visible
    }

    /// In how many messages each of `all` is at most, by how many each word is in; none where that can't be told.
    #[must_use]
    pub fn most(&self, counts: &HashMap<String, i64>) -> Vec<Option<i64>> {
        self.all.iter().map(|any| any.iter().map(|atom| atom.most(counts)).sum()).collect()
    }
}

/// A message that may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Newer messages have higher ones.
    pub number: i64,
    pub message: Uuid,
    pub conversation: Uuid,
    pub author: Option<Uuid>,
    pub created_at: i64,
}

//! Polls: a message that people answer by choosing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, UserId};

/// What one chooses from, as whoever asks says it. The question is the message's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPoll {
    /// Each of up to 100 characters, no two the same.
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<String>,
    /// One may choose several.
    #[serde(default)]
    pub multiple: bool,
    /// Nobody is told who has chosen what.
    #[serde(default)]
    pub anonymous: bool,
    /// Up to a year from now. Left out: when its author closes it.
    #[serde(default)]
    pub closes_at: Option<Timestamp>,
}

/// What one chooses from, and what has been chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Poll {
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<String>,
    /// One may choose several.
    pub multiple: bool,
    /// Nobody is told who has chosen what.
    pub anonymous: bool,
    /// From then on nobody votes any more.
    pub closes_at: Option<Timestamp>,
    pub results: PollResults,
}

/// What has been chosen in a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollResults {
    /// One for each option, in their order.
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<PollResult>,
    /// How many people have voted.
    pub voters: u64,
    /// When its author closed it; left out while it is open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollResult {
    pub votes: u64,
    /// The first who have chosen it, at most 20; none where the poll is anonymous.
    #[schema(max_items = 20)]
    pub user_ids: Vec<UserId>,
}

/// What one has chosen oneself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnVote {
    /// By their places, from 0; none where one has not voted.
    #[schema(max_items = 10)]
    pub choices: Vec<u8>,
}

impl Poll {
    /// Since when nobody votes any more, if that is so `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.results.closed_at.is_some() || self.closes_at.is_some_and(|end| end <= now)
    }
}

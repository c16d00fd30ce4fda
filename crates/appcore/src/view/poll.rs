//! Polls.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Timestamp, UserId};

/// Poll to create; its question is the message's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPoll {
    /// Different options of up to 100 characters.
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<String>,
    /// True if several options can be chosen.
    #[serde(default)]
    pub multiple: bool,
    /// True if nobody sees who voted for which option.
    #[serde(default)]
    pub anonymous: bool,
    /// End, at most a year from now; if absent, the author closes it.
    #[serde(default)]
    pub closes_at: Option<Timestamp>,
}

/// Poll with its results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Poll {
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<String>,
    /// True if several options can be chosen.
    pub multiple: bool,
    /// True if nobody sees who voted for which option.
    pub anonymous: bool,
    /// End; absent if the author closes it.
    pub closes_at: Option<Timestamp>,
    pub results: PollResults,
}

/// Results of a poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollResults {
    /// Results, in the order of the options.
    #[schema(min_items = 2, max_items = 10)]
    pub options: Vec<PollResult>,
    /// Number of users who have voted.
    pub voters: u64,
    /// Time at which the author closed the poll; absent if not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub closed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PollResult {
    pub votes: u64,
    /// First users who voted for the option, at most 20; empty if anonymous.
    #[schema(max_items = 20)]
    pub user_ids: Vec<UserId>,
}

/// Vote of the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OwnVote {
    /// Zero-based indices of the chosen options; empty without a vote.
    #[schema(max_items = 10)]
    pub choices: Vec<u8>,
}

impl Poll {
    /// True if the poll is closed at `now`.
    #[must_use]
    pub fn is_closed_at(&self, now: Timestamp) -> bool {
        self.results.closed_at.is_some() || self.closes_at.is_some_and(|end| end <= now)
    }
}

//! Search results.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Message, Sender};
use crate::{ConversationId, MessageId, Timestamp, UploadId};

/// Type of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchType {
    #[default]
    Message,
    Conversation,
    Person,
    /// Messages with files.
    File,
}

/// Content that a message must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchHas {
    File,
    Image,
    Link,
    Voice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchSort {
    /// The best match is first. Of equal matches, the newest is first.
    #[default]
    Relevance,
    Newest,
}

/// Conversation of a search result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Title; null if named after its members.
    pub title: Option<String>,
}

/// Match in a file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundInFile {
    pub upload_id: UploadId,
    pub name: String,
    /// Single line of text around the match.
    pub excerpt: String,
    /// Offset and length of each match, in UTF-16 code units.
    pub highlights: Vec<[usize; 2]>,
}

/// Search result: a message with its conversation, a conversation, or a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conversation: Option<FoundConversation>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Sender>,
    /// Offset and length of each match in the text, in UTF-16 code units.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub highlights: Vec<[usize; 2]>,
    /// Match in a file of the message.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<FoundInFile>,
}

/// Number of matching messages of one author or conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchFacet {
    #[schema(value_type = String, format = Uuid)]
    pub id: uuid::Uuid,
    pub name: Option<String>,
    pub count: u64,
}

/// Number of matching messages that have this content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHasFacet {
    pub has: SearchHas,
    pub count: u64,
}

/// Number of matching messages of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchDayFacet {
    /// Start of the day, in the caller's time zone.
    pub begins_at: Timestamp,
    pub count: u64,
}

/// Facets of the newest 500 matching messages at most, most frequent value first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchFacets {
    /// Authors: users and assistants.
    pub author: Vec<SearchFacet>,
    pub conversation: Vec<SearchFacet>,
    pub has: Vec<SearchHasFacet>,
    /// Days with matches, the oldest first.
    pub day: Vec<SearchDayFacet>,
}

/// Word without matches, and its correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchCorrection {
    /// Word as typed, in lower case.
    pub typed: String,
    pub instead: String,
}

/// Number of matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchTotal {
    pub count: u64,
    /// True if all matches were counted, not only the newest 500.
    pub is_all: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    pub items: Vec<SearchHit>,
    /// Value of `cursor` for the next page; null on the last one.
    pub next: Option<String>,
    pub facets: SearchFacets,
    /// Number of matches; null on later pages.
    pub total: Option<SearchTotal>,
    /// Time back to which messages were searched, if stopped early; `next` continues there.
    pub searched_to: Option<Timestamp>,
    /// True if nothing matched exactly and similar words are included.
    pub is_corrected: bool,
    /// Misspelled words with corrections. With `exact`, they are searched as typed.
    pub corrections: Vec<SearchCorrection>,
    /// True if results may be missing because messages are still being indexed.
    pub is_filling: bool,
    /// True if results may be missing because of the time limit.
    pub timed_out: bool,
    pub took_ms: u64,
}

/// Message that an answer is based on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchSource {
    /// Number of the source, shown in square brackets.
    pub n: u64,
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    /// Name of the author.
    pub sender: String,
    pub created_at: Timestamp,
}

/// Answer of an assistant about search results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchAnswer {
    /// Markdown text, with the numbers of sources as `[1]`.
    pub text: String,
    /// Messages that the text cites.
    pub sources: Vec<SearchSource>,
    pub assistant: Sender,
    /// Number of messages that the model read.
    pub read_count: u64,
    /// Cost in micro-credits; null if unknown.
    pub cost: Option<i64>,
    pub took_ms: u64,
}

/// Summary of unread messages by an assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatchUp {
    /// Markdown text, with the numbers of sources as `[1]`.
    pub text: String,
    /// Messages that the text cites.
    pub sources: Vec<SearchSource>,
    pub assistant: Sender,
    /// Number of messages that the model read.
    pub read_count: u64,
    /// True if some messages were left out.
    pub has_more: bool,
    /// Cost in micro-credits; null if unknown.
    pub cost: Option<i64>,
    pub took_ms: u64,
}

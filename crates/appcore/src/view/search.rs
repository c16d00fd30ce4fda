//! What a search finds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConversationKind, Message, Sender};
use crate::{ConversationId, MessageId, Timestamp, UploadId};

/// What is searched for.
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

/// What a message must have to be found.
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
    /// What fits best first; of what fits as well, the newest.
    #[default]
    Relevance,
    Newest,
}

/// The conversation that something was found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundConversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// Null where it goes by the names of those in it.
    pub title: Option<String>,
}

/// Where the words are in a file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundInFile {
    pub upload_id: UploadId,
    pub name: String,
    /// What the file says around them, in one line.
    pub excerpt: String,
    /// Where in the excerpt the words are: beginnings and lengths, in UTF-16 units.
    pub highlights: Vec<[usize; 2]>,
}

/// Something that was found: a message with its conversation, a conversation, or a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHit {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<Message>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conversation: Option<FoundConversation>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<Sender>,
    /// Where in the message's text the words are: beginnings and lengths, in UTF-16 units.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub highlights: Vec<[usize; 2]>,
    /// The words are in a file of the message, and not in the message alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<FoundInFile>,
}

/// How many of the messages that were found are by somebody, or in a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchFacet {
    #[schema(value_type = String, format = Uuid)]
    pub id: uuid::Uuid,
    pub name: Option<String>,
    pub count: u64,
}

/// How many of the messages that were found have such a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchHasFacet {
    pub has: SearchHas,
    pub count: u64,
}

/// How many of the messages that were found are of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchDayFacet {
    /// When it begins where the caller is.
    pub begins_at: Timestamp,
    pub count: u64,
}

/// Of the newest messages that were found, at most 500: most first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchFacets {
    /// People and assistants.
    pub author: Vec<SearchFacet>,
    pub conversation: Vec<SearchFacet>,
    pub has: Vec<SearchHasFacet>,
    /// The days on which there is something, oldest first.
    pub day: Vec<SearchDayFacet>,
}

/// A word that nothing has, and the one that was looked for in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchCorrection {
    /// In small letters.
    pub typed: String,
    pub instead: String,
}

/// How much was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchTotal {
    pub count: u64,
    /// There is no more than that; otherwise it is of the newest 500.
    pub is_all: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchResults {
    pub items: Vec<SearchHit>,
    /// The `cursor` of what comes next; null at the end.
    pub next: Option<String>,
    pub facets: SearchFacets,
    /// Null on later pages.
    pub total: Option<SearchTotal>,
    /// Up to when messages were looked at, where a search ends before it has looked at all: `next` goes on from there.
    pub searched_to: Option<Timestamp>,
    /// Nothing has just the words that were asked for; what is there has similar ones too.
    pub is_corrected: bool,
    /// What was taken for a typo. `exact` looks for the words as they are.
    pub corrections: Vec<SearchCorrection>,
    /// What was there before the index is still being read, so older messages may be missing.
    pub is_filling: bool,
    /// The search reached its time limit: there may be more than was found.
    pub timed_out: bool,
    pub took_ms: u64,
}

/// A message that an answer may have something from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchSource {
    /// What stands for it in the text, in square brackets.
    pub n: u64,
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    /// Who wrote it.
    pub sender: String,
    pub created_at: Timestamp,
}

/// What an assistant says about what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SearchAnswer {
    /// Markdown, with the numbers of sources: `[1]`.
    pub text: String,
    /// The messages that it cites.
    pub sources: Vec<SearchSource>,
    pub assistant: Sender,
    /// So many messages were read.
    pub read_count: u64,
    /// In millionths of a credit; null where the model has no price.
    pub cost: Option<i64>,
    pub took_ms: u64,
}

/// What an assistant says about what somebody has not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatchUp {
    /// Markdown, with the numbers of sources: `[1]`.
    pub text: String,
    /// The messages that it cites.
    pub sources: Vec<SearchSource>,
    pub assistant: Sender,
    /// So many messages were read.
    pub read_count: u64,
    /// There are older ones, or more conversations, that were not read for it.
    pub has_more: bool,
    /// In millionths of a credit; null where the model has no price.
    pub cost: Option<i64>,
    pub took_ms: u64,
}

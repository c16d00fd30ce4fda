//! Search of messages, conversations and people.

use std::time::Duration;

use appcore::{
    AppError, AssistantId, ConversationId, Timestamp, UserId, WorkspaceId,
    view::{CatchUp, ConversationKind, SearchAnswer, SearchHas, SearchResults, SearchSort, SearchType},
};
use message_search::{CatchUpScope, MessageSearchRequest, SearchQuestion};
use natter_macro::{dto, endpoint};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{Access, Bound, Ctx, Endpoint, EndpointDef, RateGroup, Reply, input::FromText};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<Search>(),
    EndpointDef::of::<AnswerSearch>(),
    EndpointDef::of::<CatchUpConversation>(),
    EndpointDef::of::<CatchUpAll>(),
];

impl FromText for SearchType {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "message" => Some(Self::Message),
            "conversation" => Some(Self::Conversation),
            "person" => Some(Self::Person),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

impl FromText for SearchHas {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "file" => Some(Self::File),
            "image" => Some(Self::Image),
            "link" => Some(Self::Link),
            "voice" => Some(Self::Voice),
            _ => None,
        }
    }
}

impl FromText for SearchSort {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "relevance" => Some(Self::Relevance),
            "newest" => Some(Self::Newest),
            _ => None,
        }
    }
}

/// Maximum number of values in a comma-separated parameter.
const MAX_VALUES: usize = 50;

/// Values separated by commas.
pub struct CommaSeparated<T>(pub(super) Vec<T>);

impl<T> PartialSchema for CommaSeparated<T> {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

impl<T> ToSchema for CommaSeparated<T> {}

impl<T: FromText> FromText for CommaSeparated<T> {
    fn from_text(text: &str) -> Option<Self> {
        let values: Vec<T> = text.split(',').take(MAX_VALUES + 1).map(T::from_text).collect::<Option<_>>()?;
        (values.len() <= MAX_VALUES).then_some(Self(values))
    }
}

#[dto(request)]
pub struct SearchRequest {
    /// Words and operators: `"a phrase"`, `-without`, `begin*`, `from:name`, `in:title`,
    /// `has:file`, `is:thread`, `is:pinned`, `is:saved`, and `before:`, `after:` and `on:` with a
    /// date such as `2026-11-23`, `2026-11` or `today`. At most 512 characters and 24 words. By
    /// default everything matches.
    #[from(query)]
    pub q: Option<String>,
    /// Type of the results; by default messages.
    #[from(query)]
    pub r#type: Option<SearchType>,
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// Authors (users or assistants), separated by commas; any may match.
    #[from(query)]
    pub author: Option<CommaSeparated<UserId>>,
    /// Conversations, separated by commas; any may match.
    #[from(query)]
    pub conversation_id: Option<CommaSeparated<ConversationId>>,
    /// Only conversations of this kind.
    #[from(query)]
    pub kind: Option<ConversationKind>,
    /// Start of the period.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// End of the period.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// IANA time zone of dates in `q` and `facets.day`. Defaults to the caller's, or else UTC.
    #[from(query)]
    pub timezone: Option<String>,
    /// Required content: `file`, `image`, `link` or `voice`, separated by commas; all must match.
    #[from(query)]
    pub has: Option<CommaSeparated<SearchHas>>,
    #[from(query)]
    pub sort: Option<SearchSort>,
    /// True to match only the exact words.
    #[from(query)]
    pub exact: Option<bool>,
    /// Maximum number of results, at most 50; by default 20.
    #[from(query)]
    pub limit: Option<u64>,
    /// Value of `next` in the previous response.
    #[from(query)]
    pub cursor: Option<String>,
}

/// Search
///
/// Searches content that the caller can read, regardless of case and diacritics. If there are few
/// results, parts of words and misspelled words match too, with a lower rank: one error from four
/// letters on, two from eight. A message can be found within a second after it was sent.
#[endpoint(GET "/r1/search", tag = "search", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for Search {
    type Request = SearchRequest;
    type Response = SearchResults;

    async fn handle(ctx: &Ctx, request: SearchRequest) -> Result<Reply<SearchResults>, AppError> {
        let ask = MessageSearchRequest {
            text: request.q.unwrap_or_default(),
            kind_of_hit: request.r#type.unwrap_or_default(),
            workspace_id: request.workspace_id,
            authors: request.author.map(|several| several.0).unwrap_or_default(),
            conversations: request.conversation_id.map(|several| several.0).unwrap_or_default(),
            kind: request.kind,
            from: request.from,
            to: request.to,
            timezone: request.timezone,
            has: request.has.map(|several| several.0).unwrap_or_default(),
            is_exact: request.exact.unwrap_or_default(),
            sort: request.sort.unwrap_or_default(),
            limit: request.limit,
            cursor: request.cursor,
            ..MessageSearchRequest::default()
        };
        Ok(Reply::of(message_search::search(ctx.search(), ctx.user()?, ask).await?))
    }
}

/// Deadline of a request that a model answers.
const ANSWER_DEADLINE: Duration = Duration::from_secs(70);

#[dto(request)]
pub struct AnswerSearchRequest {
    /// Query, as in `GET /r1/search`.
    pub q: Option<String>,
    pub workspace_id: Option<WorkspaceId>,
    /// Authors, any of which may match.
    #[validate(length(max = 50))]
    pub authors: Option<Vec<UserId>>,
    /// Conversations, any of which may match.
    #[validate(length(max = 50))]
    pub conversation_ids: Option<Vec<ConversationId>>,
    pub kind: Option<ConversationKind>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// IANA time zone of dates in `q`. Defaults to the caller's, or else UTC.
    pub timezone: Option<String>,
    /// Content types, all of which must match.
    #[validate(length(max = 4))]
    pub has: Option<Vec<SearchHas>>,
    pub sort: Option<SearchSort>,
    pub exact: Option<bool>,
    /// Question about the results, at most 500 characters. By default, what they say about `q`.
    pub question: Option<String>,
    /// Assistant that answers; by default the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Answer a question from search results
///
/// An assistant reads up to 50 messages found, and answers with references. Nobody else is
/// notified, and the answer is not stored. Charged like other answers.
#[endpoint(POST "/r1/search/answer", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_DEADLINE),
    errors(NotFound, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for AnswerSearch {
    type Request = AnswerSearchRequest;
    type Response = SearchAnswer;

    async fn handle(ctx: &Ctx, request: AnswerSearchRequest) -> Result<Reply<SearchAnswer>, AppError> {
        let ask = MessageSearchRequest {
            text: request.q.unwrap_or_default(),
            workspace_id: request.workspace_id,
            authors: request.authors.unwrap_or_default(),
            conversations: request.conversation_ids.unwrap_or_default(),
            kind: request.kind,
            from: request.from,
            to: request.to,
            timezone: request.timezone,
            has: request.has.unwrap_or_default(),
            sort: request.sort.unwrap_or_default(),
            is_exact: request.exact.unwrap_or_default(),
            ..MessageSearchRequest::default()
        };
        let question = SearchQuestion { ask, text: request.question, assistant_id: request.assistant_id };
        Ok(Reply::of(message_search::answer(ctx.search(), ctx.user()?, question).await?))
    }
}

#[dto(request)]
pub struct CatchUpConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Sequence number; summarises only later messages. By default the unread ones.
    #[schema(minimum = 0)]
    pub since: Option<i64>,
    /// Assistant that summarises; by default the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Summarise unread messages of a conversation
///
/// An assistant summarises, with references, the messages of others in the main timeline since the
/// caller last read it: at most the newest 200 messages and 30,000 characters. Nobody else is
/// notified, and the answer is not stored. Charged like other answers.
#[endpoint(POST "/r1/conversations/{id}/catch-up", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_DEADLINE),
    errors(NotFound, NotAMember, WrongState, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for CatchUpConversation {
    type Request = CatchUpConversationRequest;
    type Response = CatchUp;

    async fn handle(ctx: &Ctx, request: CatchUpConversationRequest) -> Result<Reply<CatchUp>, AppError> {
        let CatchUpConversationRequest { id, since, assistant_id } = request;
        let missed = CatchUpScope::Conversation { id, since };
        Ok(Reply::of(message_search::catch_up(ctx.search(), ctx.user()?, missed, assistant_id).await?))
    }
}

#[dto(request)]
pub struct CatchUpAllRequest {
    /// Workspace; by default the shared one, or else the caller's personal one.
    pub workspace_id: Option<WorkspaceId>,
    /// Assistant that summarises; by default the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Summarise unread messages of a workspace
///
/// An assistant summarises the caller's unread messages in a workspace, except in muted
/// conversations and chats with assistants. It reads the 20 most recently active conversations, up
/// to 40 messages each.
#[endpoint(POST "/r1/catch-up", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_DEADLINE),
    errors(NotFound, WrongState, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for CatchUpAll {
    type Request = CatchUpAllRequest;
    type Response = CatchUp;

    async fn handle(ctx: &Ctx, request: CatchUpAllRequest) -> Result<Reply<CatchUp>, AppError> {
        let missed = CatchUpScope::Workspace(request.workspace_id);
        Ok(Reply::of(message_search::catch_up(ctx.search(), ctx.user()?, missed, request.assistant_id).await?))
    }
}

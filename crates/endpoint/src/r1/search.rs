//! Searching messages, conversations and people.

use std::time::Duration;

use appcore::{
    AppError, AssistantId, ConversationId, Timestamp, UserId, WorkspaceId,
    view::{CatchUp, ConversationKind, SearchAnswer, SearchHas, SearchResults, SearchSort, SearchType},
};
use message_search::{Ask, Missed, Question};
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

/// The most of what can be given with commas between.
const SEVERAL: usize = 50;

/// Values with commas between.
pub struct Several<T>(pub(super) Vec<T>);

impl<T> PartialSchema for Several<T> {
    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

impl<T> ToSchema for Several<T> {}

impl<T: FromText> FromText for Several<T> {
    fn from_text(text: &str) -> Option<Self> {
        let values: Vec<T> = text.split(',').take(SEVERAL + 1).map(T::from_text).collect::<Option<_>>()?;
        (values.len() <= SEVERAL).then_some(Self(values))
    }
}

#[dto(request)]
pub struct SearchRequest {
    /// Words, and operators: `"a phrase"`, `-without`, `begin*`, `from:name`, `in:title`, `has:file`, `is:thread`, `is:pinned`, `is:saved`, `before:`, `after:`
    /// and `on:` with a date such as `2026-11-23`, `2026-11`, `today`. At most 512 characters and 24 words. Left out: everything.
    #[from(query)]
    pub q: Option<String>,
    /// Left out: messages.
    #[from(query)]
    pub r#type: Option<SearchType>,
    #[from(query)]
    pub workspace_id: Option<WorkspaceId>,
    /// A person or an assistant; several with commas between: any of them.
    #[from(query)]
    pub author: Option<Several<UserId>>,
    /// One, or several with commas between: any of them.
    #[from(query)]
    pub conversation_id: Option<Several<ConversationId>>,
    /// In conversations of this kind.
    #[from(query)]
    pub kind: Option<ConversationKind>,
    /// From this moment on.
    #[from(query)]
    pub from: Option<Timestamp>,
    /// Up to this moment.
    #[from(query)]
    pub to: Option<Timestamp>,
    /// Of which days are, by its name in the IANA database: of those in `q`, and of `facets.day`. Left out: the caller's, or UTC.
    #[from(query)]
    pub timezone: Option<String>,
    /// `file`, `image`, `link`, `voice`, or several with commas between: all of them.
    #[from(query)]
    pub has: Option<Several<SearchHas>>,
    #[from(query)]
    pub sort: Option<SearchSort>,
    /// Words are looked for as they were typed, without those that are like them.
    #[from(query)]
    pub exact: Option<bool>,
    /// At most 50; left out, 20.
    #[from(query)]
    pub limit: Option<u64>,
    /// The `next` of an earlier answer to the same search.
    #[from(query)]
    pub cursor: Option<String>,
}

/// Search
///
/// In what the caller may read now. Letters are compared without their case and their marks. Where little is found, words with a typo (one from four letters on,
/// two from eight) and parts of words are found as well, after the others. A message is found within a second of being sent.
#[endpoint(GET "/r1/search", tag = "search", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for Search {
    type Request = SearchRequest;
    type Response = SearchResults;

    async fn handle(ctx: &Ctx, request: SearchRequest) -> Result<Reply<SearchResults>, AppError> {
        let ask = Ask {
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
            ..Ask::default()
        };
        Ok(Reply::of(message_search::search(ctx.search(), ctx.user()?, ask).await?))
    }
}

/// How long a model may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(70);

#[dto(request)]
pub struct AnswerSearchRequest {
    /// As in a search.
    pub q: Option<String>,
    pub workspace_id: Option<WorkspaceId>,
    /// By any of them.
    #[validate(length(max = 50))]
    pub authors: Option<Vec<UserId>>,
    /// In any of them.
    #[validate(length(max = 50))]
    pub conversation_ids: Option<Vec<ConversationId>>,
    pub kind: Option<ConversationKind>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Of which days are, by its name in the IANA database. Left out: the caller's, or UTC.
    pub timezone: Option<String>,
    /// All of these.
    #[validate(length(max = 4))]
    pub has: Option<Vec<SearchHas>>,
    pub sort: Option<SearchSort>,
    pub exact: Option<bool>,
    /// Left out: what the messages say about `q`. At most 500 characters.
    pub question: Option<String>,
    /// Left out: the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Ask about what is found
///
/// An assistant reads what the search finds for the caller, up to 50 messages, and answers with their numbers. Nobody else is told, and nothing of it is kept.
/// It is paid for like other answers.
#[endpoint(POST "/r1/search/answer", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_WITHIN),
    errors(NotFound, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for AnswerSearch {
    type Request = AnswerSearchRequest;
    type Response = SearchAnswer;

    async fn handle(ctx: &Ctx, request: AnswerSearchRequest) -> Result<Reply<SearchAnswer>, AppError> {
        let ask = Ask {
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
            ..Ask::default()
        };
        let question = Question { ask, text: request.question, assistant_id: request.assistant_id };
        Ok(Reply::of(message_search::answer(ctx.search(), ctx.user()?, question).await?))
    }
}

#[dto(request)]
pub struct CatchUpConversationRequest {
    #[from(path)]
    pub id: ConversationId,
    /// What came after this event. Left out: what the caller has not read.
    #[schema(minimum = 0)]
    pub since: Option<i64>,
    /// Left out: the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Catch up with a conversation
///
/// An assistant reads what others have said in its main line since the caller read it last, at most the newest 200 messages and 30,000 characters, and tells what
/// matters of it with the numbers of messages. Nobody else is told, and nothing of it is kept. It is paid for like other answers.
#[endpoint(POST "/r1/conversations/{id}/catch-up", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_WITHIN),
    errors(NotFound, NotAMember, WrongState, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for CatchUpConversation {
    type Request = CatchUpConversationRequest;
    type Response = CatchUp;

    async fn handle(ctx: &Ctx, request: CatchUpConversationRequest) -> Result<Reply<CatchUp>, AppError> {
        let CatchUpConversationRequest { id, since, assistant_id } = request;
        let missed = Missed::Conversation { id, since };
        Ok(Reply::of(message_search::catch_up(ctx.search(), ctx.user()?, missed, assistant_id).await?))
    }
}

#[dto(request)]
pub struct CatchUpAllRequest {
    /// Left out, the shared workspace, else one's own.
    pub workspace_id: Option<WorkspaceId>,
    /// Left out: the default assistant.
    pub assistant_id: Option<AssistantId>,
}

/// Catch up with a workspace
///
/// An assistant tells what matters of all conversations of a workspace that the caller has not read, but for muted ones and those with an assistant: the 20 in which somebody has
/// written last, at most 40 messages of each.
#[endpoint(POST "/r1/catch-up", tag = "search", access = Access::User, rate = RateGroup::MessageSend, deadline = Bound::Fixed(ANSWER_WITHIN),
    errors(NotFound, WrongState, OutOfCredits, BudgetExceeded, QuotaReached, Unavailable))]
impl Endpoint for CatchUpAll {
    type Request = CatchUpAllRequest;
    type Response = CatchUp;

    async fn handle(ctx: &Ctx, request: CatchUpAllRequest) -> Result<Reply<CatchUp>, AppError> {
        let missed = Missed::Workspace(request.workspace_id);
        Ok(Reply::of(message_search::catch_up(ctx.search(), ctx.user()?, missed, request.assistant_id).await?))
    }
}

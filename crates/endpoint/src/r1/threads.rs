//! Threads, and the messages around a message.

use appcore::{
    AppError, MessageId,
    page::{Page, PageRequest},
    view::{FollowedThread, Message, Neighbours, Thread, ThreadPosition},
};
use conversations::messages::{
    self,
    threads::{self, FollowedThreadFilter, ThreadRange},
};
use natter_macro::{dto, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::DEFAULT_LIMIT;
use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply, input::FromText};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ShowThread>(),
    EndpointDef::of::<ListThreads>(),
    EndpointDef::of::<FollowThread>(),
    EndpointDef::of::<UnfollowThread>(),
    EndpointDef::of::<ReadThread>(),
    EndpointDef::of::<SolveThread>(),
    EndpointDef::of::<ReopenThread>(),
    EndpointDef::of::<ShowNeighbours>(),
];

#[dto(request)]
pub struct ShowThreadRequest {
    /// Root message of the thread.
    #[from(path)]
    pub id: MessageId,
    /// Number of a reply; lists the oldest replies after it.
    #[from(query)]
    pub after_no: Option<i64>,
    /// Number of a reply; lists the newest replies before it.
    #[from(query)]
    pub before_no: Option<i64>,
    /// Maximum number of replies, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// Show a thread
///
/// Oldest first. Without `after_no` and `before_no`, the newest replies.
#[endpoint(GET "/r1/messages/{id}/thread", tag = "threads", access = Access::User, rate = RateGroup::Read, errors(WrongState))]
impl Endpoint for ShowThread {
    type Request = ShowThreadRequest;
    type Response = Thread;

    async fn handle(ctx: &Ctx, request: ShowThreadRequest) -> Result<Reply<Thread>, AppError> {
        let ShowThreadRequest { id, after_no, before_no, limit } = request;
        let part = ThreadRange { after_no, before_no, limit: limit.unwrap_or(DEFAULT_LIMIT) };
        Ok(Reply::of(threads::page(ctx.conversations(), ctx.user()?, id, part).await?))
    }
}

/// Threads of the caller to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThreadFilter {
    #[default]
    All,
    Unread,
    Solved,
}

impl FromText for ThreadFilter {
    fn from_text(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::All),
            "unread" => Some(Self::Unread),
            "solved" => Some(Self::Solved),
            _ => None,
        }
    }
}

#[dto(request)]
pub struct ListThreadsRequest {
    #[from(query)]
    pub filter: Option<ThreadFilter>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the threads that you follow
///
/// Newest reply first. Users follow a thread when they reply, are mentioned, have written its root
/// message, or on request.
#[endpoint(GET "/r1/threads", tag = "threads", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListThreads {
    type Request = ListThreadsRequest;
    type Response = Page<FollowedThread>;

    async fn handle(ctx: &Ctx, request: ListThreadsRequest) -> Result<Reply<Page<FollowedThread>>, AppError> {
        let which = match request.filter.unwrap_or_default() {
            ThreadFilter::All => FollowedThreadFilter::All,
            ThreadFilter::Unread => FollowedThreadFilter::Unread,
            ThreadFilter::Solved => FollowedThreadFilter::Solved,
        };
        Ok(Reply::of(threads::list(ctx.conversations(), ctx.user()?, which, request.page).await?))
    }
}

#[dto(request)]
pub struct ThreadRequest {
    /// Root message of the thread.
    #[from(path)]
    pub id: MessageId,
}

/// Follow a thread
#[endpoint(PUT "/r1/messages/{id}/follow", tag = "threads", access = Access::User, rate = RateGroup::Write, errors(NotAMember, WrongState))]
impl Endpoint for FollowThread {
    type Request = ThreadRequest;
    type Response = ThreadPosition;

    async fn handle(ctx: &Ctx, request: ThreadRequest) -> Result<Reply<ThreadPosition>, AppError> {
        Ok(Reply::of(threads::follow(ctx.conversations(), ctx.user()?, request.id, true).await?))
    }
}

/// Stop following a thread
#[endpoint(DELETE "/r1/messages/{id}/follow", tag = "threads", access = Access::User, rate = RateGroup::Write, errors(NotAMember, WrongState))]
impl Endpoint for UnfollowThread {
    type Request = ThreadRequest;
    type Response = ThreadPosition;

    async fn handle(ctx: &Ctx, request: ThreadRequest) -> Result<Reply<ThreadPosition>, AppError> {
        Ok(Reply::of(threads::follow(ctx.conversations(), ctx.user()?, request.id, false).await?))
    }
}

#[dto(request)]
pub struct ReadThreadRequest {
    /// Root message of the thread.
    #[from(path)]
    pub id: MessageId,
    /// Number of the last reply that the caller has read.
    #[validate(range(min = 0))]
    pub no: i64,
}

/// Mark a thread as read up to a reply
///
/// Never moves back. No effect for users who don't follow the thread.
#[endpoint(POST "/r1/messages/{id}/thread/read", tag = "threads", access = Access::User, rate = RateGroup::Write, errors(NotAMember, WrongState))]
impl Endpoint for ReadThread {
    type Request = ReadThreadRequest;
    type Response = ThreadPosition;

    async fn handle(ctx: &Ctx, request: ReadThreadRequest) -> Result<Reply<ThreadPosition>, AppError> {
        Ok(Reply::of(threads::read(ctx.conversations(), ctx.user()?, request.id, request.no).await?))
    }
}

/// Mark a thread as solved
#[endpoint(PUT "/r1/messages/{id}/solved", tag = "threads", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for SolveThread {
    type Request = ThreadRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ThreadRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(threads::solve(ctx.conversations(), ctx.user()?, request.id, true).await?))
    }
}

/// Mark a thread as open again
#[endpoint(DELETE "/r1/messages/{id}/solved", tag = "threads", access = Access::User, rate = RateGroup::Write, errors(Forbidden, NotAMember, Archived, WrongState))]
impl Endpoint for ReopenThread {
    type Request = ThreadRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ThreadRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(threads::solve(ctx.conversations(), ctx.user()?, request.id, false).await?))
    }
}

#[dto(request)]
pub struct ShowNeighboursRequest {
    #[from(path)]
    pub id: MessageId,
    /// Messages before and after, from 1 to 100; by default 20.
    #[from(query)]
    pub count: Option<u64>,
}

/// Show a message with its neighbours
///
/// For a reply, the replies around it in its thread.
#[endpoint(GET "/r1/messages/{id}/around", tag = "messages", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowNeighbours {
    type Request = ShowNeighboursRequest;
    type Response = Neighbours;

    async fn handle(ctx: &Ctx, request: ShowNeighboursRequest) -> Result<Reply<Neighbours>, AppError> {
        let count = request.count.unwrap_or(20);
        Ok(Reply::of(messages::neighbours(ctx.conversations(), ctx.user()?, request.id, count).await?))
    }
}

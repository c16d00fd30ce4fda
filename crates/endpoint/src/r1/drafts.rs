//! Drafts and scheduled messages.

use appcore::{
    AppError, ConversationId, MessageId, ScheduledId, Timestamp,
    page::{Page, PageRequest},
    view::{Draft, Mention, Message, Scheduled},
};
use conversations::messages::{
    drafts,
    scheduled::{self, ScheduledChange},
};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<PutDraft>(),
    EndpointDef::of::<ListDrafts>(),
    EndpointDef::of::<ListScheduled>(),
    EndpointDef::of::<ShowScheduled>(),
    EndpointDef::of::<ChangeScheduled>(),
    EndpointDef::of::<SendScheduled>(),
    EndpointDef::of::<DeleteScheduled>(),
];

#[dto(request)]
pub struct PutDraftRequest {
    #[from(path)]
    pub id: ConversationId,
    /// Text, at most as long as a message; empty to delete the draft.
    pub content: String,
    /// Root message of the thread that the draft belongs to.
    pub thread_id: Option<MessageId>,
    /// Message that the draft replies to.
    pub reply_to: Option<MessageId>,
    /// Time of the last edit, for a later upload; by default or if in the future, now.
    pub updated_at: Option<Timestamp>,
}

/// Store a draft
///
/// The caller's other connections receive `draft.updated`. A more recent edit of another device is
/// kept and returned.
#[endpoint(PUT "/r1/conversations/{id}/draft", tag = "drafts", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded, TooMany))]
impl Endpoint for PutDraft {
    type Request = PutDraftRequest;
    type Response = Draft;

    async fn handle(ctx: &Ctx, request: PutDraftRequest) -> Result<Reply<Draft>, AppError> {
        let PutDraftRequest { id, content, thread_id, reply_to, updated_at } = request;
        let draft = Draft { conversation_id: id, thread_id, content, reply_to, updated_at: ctx.app().clock.now() };
        Ok(Reply::of(drafts::save(ctx.conversations(), ctx.user()?, draft, updated_at).await?))
    }
}

#[dto(request)]
pub struct ListDraftsRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your drafts
///
/// Newest first.
#[endpoint(GET "/r1/drafts", tag = "drafts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListDrafts {
    type Request = ListDraftsRequest;
    type Response = Page<Draft>;

    async fn handle(ctx: &Ctx, request: ListDraftsRequest) -> Result<Reply<Page<Draft>>, AppError> {
        Ok(Reply::of(drafts::list(ctx.conversations(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct ListScheduledRequest {
    /// Only messages in this conversation.
    #[from(query)]
    pub conversation_id: Option<ConversationId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your scheduled messages
///
/// By send time, earliest first. Scheduled by `POST /r1/conversations/{id}/messages` with
/// `send_at`.
#[endpoint(GET "/r1/scheduled", tag = "drafts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListScheduled {
    type Request = ListScheduledRequest;
    type Response = Page<Scheduled>;

    async fn handle(ctx: &Ctx, request: ListScheduledRequest) -> Result<Reply<Page<Scheduled>>, AppError> {
        Ok(Reply::of(scheduled::list(ctx.conversations(), ctx.user()?, request.conversation_id, request.page).await?))
    }
}

#[dto(request)]
pub struct ScheduledRequest {
    #[from(path)]
    pub id: ScheduledId,
}

/// Show a scheduled message
#[endpoint(GET "/r1/scheduled/{id}", tag = "drafts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowScheduled {
    type Request = ScheduledRequest;
    type Response = Scheduled;

    async fn handle(ctx: &Ctx, request: ScheduledRequest) -> Result<Reply<Scheduled>, AppError> {
        Ok(Reply::of(scheduled::find(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChangeScheduledRequest {
    #[from(path)]
    pub id: ScheduledId,
    pub content: Option<String>,
    #[validate(length(max = 100))]
    pub mentions: Option<Vec<Mention>>,
    /// New send time, from 10 seconds to a year from now.
    pub send_at: Option<Timestamp>,
}

/// Change a scheduled message
///
/// Schedules a failed message again. Refused while it is being sent.
#[endpoint(PATCH "/r1/scheduled/{id}", tag = "drafts", access = Access::User, rate = RateGroup::Write, errors(QuotaExceeded, WrongState, NotAMember))]
impl Endpoint for ChangeScheduled {
    type Request = ChangeScheduledRequest;
    type Response = Scheduled;

    async fn handle(ctx: &Ctx, request: ChangeScheduledRequest) -> Result<Reply<Scheduled>, AppError> {
        let change = ScheduledChange { content: request.content, mentions: request.mentions, send_at: request.send_at };
        Ok(Reply::of(scheduled::update(ctx.conversations(), ctx.user()?, request.id, change).await?))
    }
}

/// Send a scheduled message now
#[endpoint(POST "/r1/scheduled/{id}/send", tag = "drafts", access = Access::User, rate = RateGroup::MessageSend, status = 201, errors(Forbidden, NotAMember, Archived, TooManyAnswers, QuotaExceeded, SlowMode, WordRefused))]
impl Endpoint for SendScheduled {
    type Request = ScheduledRequest;
    type Response = Message;

    async fn handle(ctx: &Ctx, request: ScheduledRequest) -> Result<Reply<Message>, AppError> {
        Ok(Reply::of(scheduled::send_now(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Delete a scheduled message
///
/// Refused while it is being sent.
#[endpoint(DELETE "/r1/scheduled/{id}", tag = "drafts", access = Access::User, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for DeleteScheduled {
    type Request = ScheduledRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ScheduledRequest) -> Result<Reply<NoData>, AppError> {
        scheduled::remove(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

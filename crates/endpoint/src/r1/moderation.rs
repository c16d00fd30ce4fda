//! Reports of messages, what administrators do about them, and the words that are not wanted in a channel.

use std::collections::BTreeSet;

use appcore::{
    AppError, ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId,
    page::{Page, PageRequest},
    view::{
        HiddenMessage, Report, ReportDeed, ReportDetails, ReportReason, ReportReceipt, ReportStatus, Warning,
        WordAction, WordFilter,
    },
};
use conversations::moderation::{self, ReportFilter, Resolution};
use identity::accounts::Confirmed;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ReportMessage>(),
    EndpointDef::of::<ShowHiddenMessage>(),
    EndpointDef::of::<ListWarnings>(),
    EndpointDef::of::<SeeWarning>(),
    EndpointDef::of::<ShowWordFilter>(),
    EndpointDef::of::<SetWordFilter>(),
    EndpointDef::of::<ListReports>(),
    EndpointDef::of::<ShowReport>(),
    EndpointDef::of::<TakeReport>(),
    EndpointDef::of::<ReleaseReport>(),
    EndpointDef::of::<ResolveReport>(),
    EndpointDef::of::<HideMessage>(),
    EndpointDef::of::<RestoreMessage>(),
];

#[dto(request)]
pub struct ReportMessageRequest {
    #[from(path)]
    pub id: MessageId,
    pub reason: ReportReason,
    /// What there is to add. At most 1,000 characters.
    pub words: Option<String>,
}

/// Report a message
///
/// To the administrators of the installation, who see what it says then. 201 the first time, 200 while an earlier report of the same message by
/// the caller is not closed.
#[endpoint(POST "/r1/messages/{id}/report", tag = "moderation", access = Access::User, rate = RateGroup::Write, status(201, 200), errors(WrongState, TooMany))]
impl Endpoint for ReportMessage {
    type Request = ReportMessageRequest;
    type Response = ReportReceipt;

    async fn handle(ctx: &Ctx, request: ReportMessageRequest) -> Result<Reply<ReportReceipt>, AppError> {
        let words = request.words.as_deref();
        let (receipt, is_new) =
            moderation::report(ctx.conversations(), ctx.user()?, request.id, request.reason, words).await?;
        Ok(if is_new { Reply::of(receipt) } else { Reply::ok(receipt) })
    }
}

#[dto(request)]
pub struct MessageRequest {
    #[from(path)]
    pub id: MessageId,
}

/// Read what a hidden message says
///
/// For its author, and for administrators in a session: with a fresh sign-in where the message was never reported and they are not in its
/// conversation. The audit log says that they have read it. To others it is not there.
#[endpoint(GET "/r1/messages/{id}/hidden", tag = "moderation", access = Access::User, rate = RateGroup::Read, errors(ScopeMissing, FreshSignInRequired))]
impl Endpoint for ShowHiddenMessage {
    type Request = MessageRequest;
    type Response = HiddenMessage;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<HiddenMessage>, AppError> {
        Ok(Reply::of(moderation::hidden(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListWarningsRequest {
    /// Only those that one has not read.
    #[from(query)]
    pub unseen: Option<bool>,
    #[from(page)]
    pub page: PageRequest,
}

/// List what moderators have told one
///
/// The newest first.
#[endpoint(GET "/r1/users/me/warnings", tag = "moderation", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListWarnings {
    type Request = ListWarningsRequest;
    type Response = Page<Warning>;

    async fn handle(ctx: &Ctx, request: ListWarningsRequest) -> Result<Reply<Page<Warning>>, AppError> {
        let only_unseen = request.unseen.unwrap_or(false);
        Ok(Reply::of(moderation::warnings(ctx.conversations(), ctx.user()?, only_unseen, request.page).await?))
    }
}

#[dto(request)]
pub struct SeeWarningRequest {
    #[from(path)]
    pub id: WarningId,
}

/// Say that one has read what a moderator has told one
#[endpoint(POST "/r1/users/me/warnings/{id}/seen", tag = "moderation", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for SeeWarning {
    type Request = SeeWarningRequest;
    type Response = Warning;

    async fn handle(ctx: &Ctx, request: SeeWarningRequest) -> Result<Reply<Warning>, AppError> {
        Ok(Reply::of(moderation::see(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChannelRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show the words that are not wanted in a channel
///
/// For those who manage it.
#[endpoint(GET "/r1/conversations/{id}/word_filter", tag = "moderation", access = Access::User, rate = RateGroup::Read, errors(Forbidden))]
impl Endpoint for ShowWordFilter {
    type Request = ChannelRequest;
    type Response = WordFilter;

    async fn handle(ctx: &Ctx, request: ChannelRequest) -> Result<Reply<WordFilter>, AppError> {
        Ok(Reply::of(moderation::word_filter(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct SetWordFilterRequest {
    #[from(path)]
    pub id: ConversationId,
    pub action: WordAction,
    /// At most 200, each of at most 60 characters. None: nothing is looked for.
    #[validate(length(max = 1000))]
    pub words: Vec<String>,
}

/// Say which words are not wanted in a channel
///
/// Whole words and phrases, whatever their case and accents, in what people send or edit from now on; a message with one is refused with
/// `word_refused` and `details.word`, or sent with the word masked. For those who manage the channel.
#[endpoint(PUT "/r1/conversations/{id}/word_filter", tag = "moderation", access = Access::User, rate = RateGroup::Write, errors(Forbidden, WrongState, Archived))]
impl Endpoint for SetWordFilter {
    type Request = SetWordFilterRequest;
    type Response = WordFilter;

    async fn handle(ctx: &Ctx, request: SetWordFilterRequest) -> Result<Reply<WordFilter>, AppError> {
        let SetWordFilterRequest { id, action, words } = request;
        let filter = WordFilter { action, words };
        Ok(Reply::of(moderation::set_word_filter(ctx.conversations(), ctx.user()?, id, filter).await?))
    }
}

#[dto(request)]
pub struct ListReportsRequest {
    #[from(query)]
    pub status: Option<ReportStatus>,
    #[from(query)]
    pub reason: Option<ReportReason>,
    /// Only reports on this person.
    #[from(query)]
    pub author_id: Option<UserId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List the reports of messages
///
/// The newest first.
#[endpoint(GET "/r1/admin/reports", tag = "moderation", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ListReports {
    type Request = ListReportsRequest;
    type Response = Page<Report>;

    async fn handle(ctx: &Ctx, request: ListReportsRequest) -> Result<Reply<Page<Report>>, AppError> {
        let ListReportsRequest { status, reason, author_id, page } = request;
        let filter = ReportFilter { status, reason, author: author_id.map(|id| id.0), except: None };
        Ok(Reply::of(moderation::list(ctx.conversations(), ctx.user()?, filter, page).await?))
    }
}

#[dto(request)]
pub struct ReportRequest {
    #[from(path)]
    pub id: ReportId,
}

/// Show a report
///
/// With the message's files, the other reports on its author, and how often they were warned.
#[endpoint(GET "/r1/admin/reports/{id}", tag = "moderation", access = Access::Admin, rate = RateGroup::Read)]
impl Endpoint for ShowReport {
    type Request = ReportRequest;
    type Response = ReportDetails;

    async fn handle(ctx: &Ctx, request: ReportRequest) -> Result<Reply<ReportDetails>, AppError> {
        Ok(Reply::of(moderation::details(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Take a report
///
/// The others see who looks after it. Somebody else may take it over.
#[endpoint(POST "/r1/admin/reports/{id}/take", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for TakeReport {
    type Request = ReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ReportRequest) -> Result<Reply<Report>, AppError> {
        Ok(Reply::of(moderation::take(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Put a report back into the queue
#[endpoint(POST "/r1/admin/reports/{id}/release", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for ReleaseReport {
    type Request = ReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ReportRequest) -> Result<Reply<Report>, AppError> {
        Ok(Reply::of(moderation::release(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ResolveReportRequest {
    #[from(path)]
    pub id: ReportId,
    /// Actions to take. Empty: the report is dismissed.
    pub actions: Vec<ReportDeed>,
    /// What the author is told with a warning. At most 1,000 characters.
    pub words: Option<String>,
}

/// Close a report
///
/// With all others of the same message. What the message said is not kept with them any longer.
#[endpoint(POST "/r1/admin/reports/{id}/resolve", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ResolveReport {
    type Request = ResolveReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ResolveReportRequest, by: &Confirmed) -> Result<Reply<Report>, AppError> {
        let actions: BTreeSet<ReportDeed> = request.actions.into_iter().collect();
        let resolution = Resolution { actions, words: request.words };
        Ok(Reply::of(moderation::resolve(ctx.conversations(), by, request.id, resolution).await?))
    }
}

/// Whether a message is hidden.
#[dto(response)]
pub struct MessageHidden {
    pub id: MessageId,
    /// Since when; null: it is not.
    pub hidden_at: Option<Timestamp>,
}

/// Hide a message
///
/// Its place stays, with `hidden_at`; what it says only its author and administrators can read.
#[endpoint(POST "/r1/admin/messages/{id}/hide", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for HideMessage {
    type Request = MessageRequest;
    type Response = MessageHidden;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<MessageHidden>, AppError> {
        let hidden_at = moderation::hide(ctx.conversations(), ctx.user()?, request.id, true).await?.hidden_at;
        Ok(Reply::of(MessageHidden { id: request.id, hidden_at }))
    }
}

/// Show a hidden message again
#[endpoint(POST "/r1/admin/messages/{id}/restore", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RestoreMessage {
    type Request = MessageRequest;
    type Response = MessageHidden;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<MessageHidden>, AppError> {
        let hidden_at = moderation::hide(ctx.conversations(), ctx.user()?, request.id, false).await?.hidden_at;
        Ok(Reply::of(MessageHidden { id: request.id, hidden_at }))
    }
}

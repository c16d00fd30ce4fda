//! Message reports, moderation by administrators, and word filters of channels.

use std::collections::BTreeSet;

use appcore::{
    AppError, ConversationId, MessageId, ReportId, Timestamp, UserId, WarningId,
    page::{Page, PageRequest},
    view::{
        HiddenMessage, Report, ReportAction, ReportDetails, ReportReason, ReportReceipt, ReportStatus, Warning,
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
    /// Comment by the reporter, at most 1,000 characters.
    pub words: Option<String>,
}

/// Report a message
///
/// Reports the current content of the message to the administrators. Returns 201 for a new report,
/// and 200 if the caller's report is still open.
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

/// Show the content of a hidden message
///
/// Allowed to its author, and to administrators in a session. Their access is recorded in the audit
/// log, and requires a fresh sign-in if the message was never reported and they are not members of
/// the conversation. Returns 404 to others.
#[endpoint(GET "/r1/messages/{id}/hidden", tag = "moderation", access = Access::User, rate = RateGroup::Read, errors(ScopeMissing, FreshSignInRequired))]
impl Endpoint for ShowHiddenMessage {
    type Request = MessageRequest;
    type Response = HiddenMessage;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<HiddenMessage>, AppError> {
        Ok(Reply::of(moderation::hidden_content(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ListWarningsRequest {
    /// If true, lists only unread warnings.
    #[from(query)]
    pub unseen: Option<bool>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your warnings from moderators
///
/// Newest first.
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

/// Mark a warning as read
#[endpoint(POST "/r1/users/me/warnings/{id}/seen", tag = "moderation", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for SeeWarning {
    type Request = SeeWarningRequest;
    type Response = Warning;

    async fn handle(ctx: &Ctx, request: SeeWarningRequest) -> Result<Reply<Warning>, AppError> {
        Ok(Reply::of(moderation::acknowledge_warning(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ChannelRequest {
    #[from(path)]
    pub id: ConversationId,
}

/// Show the word filter of a channel
///
/// Allowed to users who manage the channel.
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
    /// Words or phrases, at most 200 of up to 60 characters; empty to disable the filter.
    #[validate(length(max = 1000))]
    pub words: Vec<String>,
}

/// Set the word filter of a channel
///
/// Finds whole words and phrases, regardless of case and accents, in messages sent or edited from
/// now on. They are masked, or the message is refused with `word_refused` and `details.word`.
/// Allowed to users who manage the channel.
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
    /// Only reports about messages of this user.
    #[from(query)]
    pub author_id: Option<UserId>,
    #[from(page)]
    pub page: PageRequest,
}

/// List message reports
///
/// Newest first.
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
/// With the message's attachments, other reports about its author, and the author's warnings.
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
/// Other administrators see who handles the report, and may take it over.
#[endpoint(POST "/r1/admin/reports/{id}/take", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for TakeReport {
    type Request = ReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ReportRequest) -> Result<Reply<Report>, AppError> {
        Ok(Reply::of(moderation::assign(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

/// Return a report to the queue
#[endpoint(POST "/r1/admin/reports/{id}/release", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for ReleaseReport {
    type Request = ReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ReportRequest) -> Result<Reply<Report>, AppError> {
        Ok(Reply::of(moderation::unassign(ctx.conversations(), ctx.user()?, request.id).await?))
    }
}

#[dto(request)]
pub struct ResolveReportRequest {
    #[from(path)]
    pub id: ReportId,
    /// Actions; empty to dismiss the report.
    pub actions: Vec<ReportAction>,
    /// Warning to the author, at most 1,000 characters.
    pub words: Option<String>,
}

/// Resolve a report
///
/// Resolves all reports of the message, and deletes their copies of the content.
#[endpoint(POST "/r1/admin/reports/{id}/resolve", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, requires = Confirmed, errors(WrongState))]
impl Endpoint for ResolveReport {
    type Request = ResolveReportRequest;
    type Response = Report;

    async fn handle(ctx: &Ctx, request: ResolveReportRequest, by: &Confirmed) -> Result<Reply<Report>, AppError> {
        let actions: BTreeSet<ReportAction> = request.actions.into_iter().collect();
        let resolution = Resolution { actions, words: request.words };
        Ok(Reply::of(moderation::resolve(ctx.conversations(), by, request.id, resolution).await?))
    }
}

/// Visibility of a message.
#[dto(response)]
pub struct MessageHidden {
    pub id: MessageId,
    /// Time at which the message was hidden; null if visible.
    pub hidden_at: Option<Timestamp>,
}

/// Hide a message
///
/// The message gets `hidden_at`; only its author and administrators can read the content.
#[endpoint(POST "/r1/admin/messages/{id}/hide", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for HideMessage {
    type Request = MessageRequest;
    type Response = MessageHidden;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<MessageHidden>, AppError> {
        let hidden_at = moderation::hide(ctx.conversations(), ctx.user()?, request.id, true).await?.hidden_at;
        Ok(Reply::of(MessageHidden { id: request.id, hidden_at }))
    }
}

/// Unhide a message
#[endpoint(POST "/r1/admin/messages/{id}/restore", tag = "moderation", access = Access::Admin, rate = RateGroup::Write, errors(WrongState))]
impl Endpoint for RestoreMessage {
    type Request = MessageRequest;
    type Response = MessageHidden;

    async fn handle(ctx: &Ctx, request: MessageRequest) -> Result<Reply<MessageHidden>, AppError> {
        let hidden_at = moderation::hide(ctx.conversations(), ctx.user()?, request.id, false).await?.hidden_at;
        Ok(Reply::of(MessageHidden { id: request.id, hidden_at }))
    }
}

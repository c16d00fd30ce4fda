//! Reminders of messages.

use appcore::{
    AppError, MessageId, ReminderId, Timestamp,
    page::{Page, PageRequest},
    view::Reminder,
};
use conversations::messages::reminders;
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] =
    &[EndpointDef::of::<CreateReminder>(), EndpointDef::of::<ListReminders>(), EndpointDef::of::<DeleteReminder>()];

#[dto(request)]
pub struct CreateReminderRequest {
    #[from(path)]
    pub id: MessageId,
    /// Time, at most one year from now.
    pub at: Timestamp,
    /// Text, at most 200 characters.
    #[schema(max_length = 200)]
    pub note: Option<String>,
}

/// Create a reminder of a message
///
/// At that time, the caller's connections receive `notification` of kind `reminder`, unless the
/// message was deleted.
#[endpoint(POST "/r1/messages/{id}/reminders", tag = "drafts", access = Access::User, rate = RateGroup::Write, status = 201, errors(QuotaExceeded, TooMany))]
impl Endpoint for CreateReminder {
    type Request = CreateReminderRequest;
    type Response = Reminder;

    async fn handle(ctx: &Ctx, request: CreateReminderRequest) -> Result<Reply<Reminder>, AppError> {
        let CreateReminderRequest { id, at, note } = request;
        Ok(Reply::of(reminders::create(ctx.conversations(), ctx.user()?, id, at, note.as_deref()).await?))
    }
}

#[dto(request)]
pub struct ListRemindersRequest {
    #[from(page)]
    pub page: PageRequest,
}

/// List your reminders
///
/// Earliest first, without messages that the caller can no longer read.
#[endpoint(GET "/r1/reminders", tag = "drafts", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListReminders {
    type Request = ListRemindersRequest;
    type Response = Page<Reminder>;

    async fn handle(ctx: &Ctx, request: ListRemindersRequest) -> Result<Reply<Page<Reminder>>, AppError> {
        Ok(Reply::of(reminders::list(ctx.conversations(), ctx.user()?, request.page).await?))
    }
}

#[dto(request)]
pub struct ReminderRequest {
    #[from(path)]
    pub id: ReminderId,
}

/// Delete a reminder
#[endpoint(DELETE "/r1/reminders/{id}", tag = "drafts", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for DeleteReminder {
    type Request = ReminderRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReminderRequest) -> Result<Reply<NoData>, AppError> {
        reminders::remove(ctx.conversations(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

//! Notifications and notification settings.

use appcore::{
    AppError, NotificationId, Timestamp,
    page::{Page, PageRequest},
    view::{Notification, NotificationKind, NotificationSettings, Notify, QuietHours},
};
use bytes::Bytes;
use event_log::notifications::{self, Filter, SettingsChange};
use natter_macro::{dto, endpoint};

use crate::{Access, Ctx, Endpoint, EndpointDef, NoData, NoInput, RateGroup, Reply, input::FromText};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<ListNotifications>(),
    EndpointDef::of::<ReadNotifications>(),
    EndpointDef::of::<ShowNotificationSettings>(),
    EndpointDef::of::<ChangeNotificationSettings>(),
    EndpointDef::of::<UnsubscribeFromMails>(),
];

/// Maximum number of notifications that a request marks as read.
const MAX_READ: usize = 500;

impl FromText for NotificationKind {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

#[dto(request)]
pub struct ListNotificationsRequest {
    /// True for unread notifications only.
    #[from(query)]
    pub unread: Option<bool>,
    #[from(query)]
    pub kind: Option<NotificationKind>,
    #[from(page)]
    pub page: PageRequest,
}

/// List your notifications
///
/// Newest first. Unread messages in a conversation, replies in a thread and reactions to a message
/// form one notification each. Notifications are kept for 90 days, or until their message is
/// deleted.
#[endpoint(GET "/r1/notifications", tag = "notifications", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListNotifications {
    type Request = ListNotificationsRequest;
    type Response = Page<Notification>;

    async fn handle(ctx: &Ctx, request: ListNotificationsRequest) -> Result<Reply<Page<Notification>>, AppError> {
        let filter = Filter { is_unread: request.unread.unwrap_or(false), kind: request.kind };
        Ok(Reply::of(notifications::list(&ctx.app().events, ctx.user()?, filter, request.page).await?))
    }
}

#[dto(request)]
pub struct ReadNotificationsRequest {
    /// Ids of the notifications, at most 500.
    pub ids: Option<Vec<NotificationId>>,
    /// True to mark all; `ids` is then not needed.
    pub all: Option<bool>,
}

/// Mark notifications as read
///
/// Reading the conversation or thread does the same. The caller's other connections receive
/// `notifications.read`.
#[endpoint(POST "/r1/notifications/read", tag = "notifications", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for ReadNotifications {
    type Request = ReadNotificationsRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: ReadNotificationsRequest) -> Result<Reply<NoData>, AppError> {
        let ids = match (request.ids, request.all.unwrap_or(false)) {
            (None, true) => None,
            (Some(ids), false) if ids.len() <= MAX_READ => Some(ids),
            (Some(_), false) => {
                return Err(AppError::field("ids", "too_many", format!("List up to {MAX_READ} at a time.")));
            }
            _ => return Err(AppError::field("ids", "invalid", "List notification IDs, or set all.")),
        };
        notifications::mark_read(&ctx.app().events, ctx.user()?, ids.as_deref()).await?;
        Ok(Reply::of(NoData))
    }
}

/// Show your notification settings
#[endpoint(GET "/r1/notifications/settings", tag = "notifications", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowNotificationSettings {
    type Request = NoInput;
    type Response = NotificationSettings;

    async fn handle(ctx: &Ctx, _: NoInput) -> Result<Reply<NotificationSettings>, AppError> {
        Ok(Reply::of(notifications::settings(&ctx.app().events, ctx.user()?).await?))
    }
}

#[dto(request)]
pub struct ChangeNotificationSettingsRequest {
    /// Messages to be notified of, unless set for the conversation
    /// (`PATCH /r1/conversations/{id}/own`).
    pub level: Option<Notify>,
    /// Keywords to be notified of, at most 50, regardless of case and accents; replaces the
    /// previous list.
    #[schema(max_items = 50)]
    pub keywords: Option<Vec<String>>,
    /// Quiet hours. If null, there are none.
    pub quiet: Option<Option<QuietHours>>,
    /// Time until which "do not disturb" is on; null turns it off.
    pub dnd_until: Option<Option<Timestamp>>,
    /// Minutes after which missed notifications are e-mailed, from 5 to 10,080; null for never.
    pub mail_after_minutes: Option<Option<i64>>,
    pub push: Option<bool>,
    pub show_text: Option<bool>,
}

/// Change your notification settings
///
/// Omitted fields stay unchanged.
#[endpoint(PATCH "/r1/notifications/settings", tag = "notifications", access = Access::User, rate = RateGroup::Write)]
impl Endpoint for ChangeNotificationSettings {
    type Request = ChangeNotificationSettingsRequest;
    type Response = NotificationSettings;

    async fn handle(
        ctx: &Ctx,
        request: ChangeNotificationSettingsRequest,
    ) -> Result<Reply<NotificationSettings>, AppError> {
        let change = SettingsChange {
            level: request.level,
            keywords: request.keywords,
            quiet: request.quiet,
            dnd_until: request.dnd_until,
            mail_after_minutes: request.mail_after_minutes,
            push: request.push,
            show_text: request.show_text,
        };
        Ok(Reply::of(notifications::change_settings(&ctx.app().events, ctx.user()?, change).await?))
    }
}

#[dto(request)]
pub struct UnsubscribeFromMailsRequest {
    /// Token from the e-mail.
    #[from(query)]
    pub token: String,
    /// Body that mail programs send (RFC 8058). It is ignored.
    #[from(bytes, "application/x-www-form-urlencoded")]
    pub body: Bytes,
}

/// Unsubscribe from notification e-mails
///
/// For mail programs, without sign-in. An unknown token has no effect.
#[endpoint(POST "/r1/notifications/unsubscribe", tag = "notifications", access = Access::Public, rate = RateGroup::Write)]
impl Endpoint for UnsubscribeFromMails {
    type Request = UnsubscribeFromMailsRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: UnsubscribeFromMailsRequest) -> Result<Reply<NoData>, AppError> {
        tracing::debug!(bytes = request.body.len(), "one-click unsubscribe received");
        notifications::unsubscribe(&ctx.app().events, &request.token).await?;
        Ok(Reply::of(NoData))
    }
}

//! Notifications: mentions, subscribed messages, replies, reactions, keywords and reminders.
//!
//! Recipients are resolved [asynchronously](notifier): a task reads new log events and stores a row
//! per recipient together with its position in the log. So senders don't wait for this, a crash
//! only causes an idempotent repetition, and messages that were deleted, edited or read meanwhile
//! produce no notification. Rows of messages contain no text; it is read from the message when the
//! notification is shown.
//!
//! Other components create notifications with [`notify`].

mod announcements;
mod describe;
mod digest_email;
mod inbox;
mod keyword;
mod log_events;
mod notifier;
mod push_jobs;
mod quiet_hours;
mod recipients;
mod settings;

use std::collections::BTreeMap;

use appcore::{
    AppError, ConversationId, MessageId, NotificationId, Timestamp, UploadId, UserId,
    event::{BusMessage, Envelope, Event, EventBus, MAX_BATCHED_IDS, Topic},
    view::{Notification, NotificationKind},
};
use dbcontext::{
    constraint::app_error,
    query::notifications::{self as rows, NotificationKey, NotificationRow},
};

pub use announcements::{BroadcastNotification, store_broadcast, withdraw_broadcast};
pub use dbcontext::query::notifications::Filter;
pub use dbcontext::query::notifications::{NotificationReadPosition, ReadScope};
pub use digest_email::DigestJob;
pub use digest_email::unsubscribe;
pub use inbox::mark_passed_read;
pub use inbox::{list, mark_read};
pub(crate) use notifier::start;
pub use settings::{SettingsChange, change_settings, settings};

use crate::EventLogService;
use crate::push;

/// Maximum length, in characters, of the text stored with a notification that doesn't refer to a
/// message.
const MAX_TEXT_CHARS: usize = 300;

/// Notification created by another component.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Id of the notification, chosen by the caller; makes the call idempotent.
    pub id: NotificationId,
    pub user_id: UserId,
    /// `Reminder`, `Export` or `System`.
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    pub message_id: Option<MessageId>,
    pub upload_id: Option<UploadId>,
    /// Detail that depends on the kind, for example the due time.
    pub detail: Option<String>,
    /// Title; defaults to the author of the message.
    pub title: Option<String>,
    /// Text; defaults to the start of the message.
    pub text: Option<String>,
}

/// Stores a notification, unless one with its id already exists. Publishes it to the user's
/// connections and enqueues pushes and the digest email.
pub async fn notify(service: &EventLogService, notice: NewNotification) -> Result<(), AppError> {
    let now = service.clock.now();
    // Reminders are never silent, because the user has chosen their time.
    let silent =
        notice.kind != NotificationKind::Reminder && quiet_hours::is_silenced(service, notice.user_id, now).await?;
    let cut = |text: String| text.chars().take(MAX_TEXT_CHARS).collect::<String>();
    let row = NotificationRow {
        conversation_id: notice.conversation_id,
        message_id: notice.message_id,
        detail: notice.detail,
        upload_id: notice.upload_id,
        title: notice.title.map(cut),
        text: notice.text.map(cut),
        ..NotificationRow::new(notice.user_id, notice.id, notice.kind, silent, now)
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    let stored = rows::insert(&tx, vec![row]).await?;
    let has_device = push::enqueue(&tx, now, &stored).await?;
    digest_email::enqueue(&tx, now, &stored).await?;
    tx.commit().await.map_err(app_error)?;
    if has_device {
        service.wake_workers();
    }
    publish(service, stored).await
}

/// Renders a single notification.
async fn describe_one(service: &EventLogService, row: NotificationRow) -> Result<Notification, AppError> {
    let described = describe::render_all(service, vec![row]).await?.pop();
    described.ok_or_else(|| AppError::internal(anyhow::anyhow!("rendered notification is missing")))
}

/// Publishes notifications to the connections of their recipients.
pub async fn publish(service: &EventLogService, stored: Vec<NotificationRow>) -> Result<(), AppError> {
    if stored.is_empty() {
        return Ok(());
    }
    // Notifications that are identical for many recipients are rendered only once.
    let mut alike = BTreeMap::<_, (NotificationRow, Vec<UserId>)>::new();
    for row in stored {
        let key = (row.id, row.count, row.silent, row.kind);
        let user = row.user_id;
        alike.entry(key).or_insert_with(|| (row, Vec::new())).1.push(user);
    }
    let (first, people): (Vec<_>, Vec<_>) = alike.into_values().unzip();
    let described = describe::render_all(service, first).await?;
    let mut messages = Vec::new();
    for (notification, people) in described.into_iter().zip(people) {
        let event = Event::Notification(notification);
        for people in people.chunks(MAX_BATCHED_IDS) {
            let envelope = Envelope::seal(&event, Topic::Users(people.to_vec()), service.clock.now());
            messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
        }
    }
    drop(service.bus.publish(messages));
    Ok(())
}

/// Publishes to users' connections which of their notifications have been read or withdrawn.
fn publish_removal(
    bus: &dyn EventBus,
    now: Timestamp,
    told: &[NotificationKey],
    event: impl Fn(Vec<NotificationId>) -> Event,
) -> Result<(), AppError> {
    let mut of_each: BTreeMap<UserId, Vec<NotificationId>> = BTreeMap::new();
    for one in told {
        of_each.entry(one.user_id).or_default().push(one.id);
    }
    // Recipients who lose the same notifications share an envelope, for example when a message with
    // `@all` is deleted.
    let mut alike: BTreeMap<Vec<NotificationId>, Vec<UserId>> = BTreeMap::new();
    for (user, ids) in of_each {
        alike.entry(ids).or_default().push(user);
    }
    let mut messages = Vec::new();
    for (ids, people) in alike {
        let event = event(ids);
        for people in people.chunks(MAX_BATCHED_IDS) {
            let envelope = Envelope::seal(&event, Topic::Users(people.to_vec()), now);
            messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
        }
    }
    if !messages.is_empty() {
        drop(bus.publish(messages));
    }
    Ok(())
}

//! What people are told of that concerns them: mentions, messages where they want all of them, replies, reactions, keywords, reminders.
//!
//! Whom a message concerns is found [behind](notifier) what is sent: a task looks through the log, as far as it has not been looked through yet,
//! and stores a row for each person together with how far it has come. So a sender waits for nothing, a kill costs a repetition that changes
//! nothing, and what was deleted, edited away or read meanwhile is told to nobody. Rows hold no text: what is shown is read from the
//! message when it is shown.
//!
//! Other parts say what they have to say by [`notify`].

mod announced;
mod describe;
mod finding;
mod happenings;
mod missed;
mod notifier;
mod own;
mod pushing;
mod quiet;
mod settings;

use std::collections::BTreeMap;

use appcore::{
    AppError, ConversationId, MessageId, NotificationId, Timestamp, UploadId, UserId,
    event::{BusMessage, Envelope, Event, EventBus, MAX_NAMED, Topic},
    view::{Notification, NotificationKind},
};
use dbcontext::{
    constraint::app_error,
    query::notifications::{self as rows, NotificationRow, Told},
};

pub use announced::{Announced, announce, withdraw};
pub use dbcontext::query::notifications::Filter;
pub use dbcontext::query::notifications::{Place, ReadTo};
pub use missed::MissedJob;
pub use missed::unsubscribe;
pub(crate) use notifier::start;
pub use own::passed;
pub use own::{list, read};
pub use settings::{SettingsChange, change_settings, settings};

use crate::EventLogService;
use crate::push;

/// The longest text that is kept of what no message says, in characters.
const MAX_TEXT: usize = 300;

/// Something that another part of the program has to tell somebody.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Chosen by whoever tells it: the same one again is told once.
    pub id: NotificationId,
    pub user_id: UserId,
    /// A reminder, an export, or the system.
    pub kind: NotificationKind,
    pub conversation_id: Option<ConversationId>,
    pub message_id: Option<MessageId>,
    pub upload_id: Option<UploadId>,
    /// When what it is about is due, for instance.
    pub detail: Option<String>,
    /// Left out, who wrote the message.
    pub title: Option<String>,
    /// Left out, how the message begins.
    pub text: Option<String>,
}

/// Tells somebody something, once, wherever they are.
pub async fn notify(service: &EventLogService, notice: Notice) -> Result<(), AppError> {
    let now = service.clock.now();
    // Reminders are what they asked for at just this time.
    let silent = notice.kind != NotificationKind::Reminder && quiet::is_disturbed(service, notice.user_id, now).await?;
    let cut = |text: String| text.chars().take(MAX_TEXT).collect::<String>();
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
    let has_device = push::ask(&tx, now, &stored).await?;
    missed::ask(&tx, now, &stored).await?;
    tx.commit().await.map_err(app_error)?;
    if has_device {
        service.wake_workers();
    }
    tell(service, stored).await
}

/// One that somebody has, as it is shown.
async fn describe_one(service: &EventLogService, row: NotificationRow) -> Result<Notification, AppError> {
    let described = describe::all(service, vec![row]).await?.pop();
    described.ok_or_else(|| AppError::internal(anyhow::anyhow!("a notification went missing")))
}

/// Tells the connections of those whom these are for.
pub async fn tell(service: &EventLogService, stored: Vec<NotificationRow>) -> Result<(), AppError> {
    if stored.is_empty() {
        return Ok(());
    }
    // What is alike for many is put into words once.
    let mut alike = BTreeMap::<_, (NotificationRow, Vec<UserId>)>::new();
    for row in stored {
        let key = (row.id, row.count, row.silent, row.kind.clone());
        let user = row.user_id;
        alike.entry(key).or_insert_with(|| (row, Vec::new())).1.push(user);
    }
    let (first, people): (Vec<_>, Vec<_>) = alike.into_values().unzip();
    let described = describe::all(service, first).await?;
    let mut messages = Vec::new();
    for (notification, people) in described.into_iter().zip(people) {
        let event = Event::Notification(notification);
        for people in people.chunks(MAX_NAMED) {
            let envelope = Envelope::seal(&event, Topic::Users(people.to_vec()), service.clock.now());
            messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
        }
    }
    drop(service.bus.publish(messages));
    Ok(())
}

/// Tells people that some of theirs are read, or gone.
fn tell_of_end(
    bus: &dyn EventBus,
    now: Timestamp,
    told: &[Told],
    event: impl Fn(Vec<NotificationId>) -> Event,
) -> Result<(), AppError> {
    let mut of_each: BTreeMap<UserId, Vec<NotificationId>> = BTreeMap::new();
    for one in told {
        of_each.entry(one.user_id).or_default().push(one.id);
    }
    // Many people lose the same one when a message goes that was for all of them.
    let mut alike: BTreeMap<Vec<NotificationId>, Vec<UserId>> = BTreeMap::new();
    for (user, ids) in of_each {
        alike.entry(ids).or_default().push(user);
    }
    let mut messages = Vec::new();
    for (ids, people) in alike {
        let event = event(ids);
        for people in people.chunks(MAX_NAMED) {
            let envelope = Envelope::seal(&event, Topic::Users(people.to_vec()), now);
            messages.push(BusMessage::Envelope(envelope.map_err(AppError::internal)?.into()));
        }
    }
    if !messages.is_empty() {
        drop(bus.publish(messages));
    }
    Ok(())
}

//! Broadcasts of administrators, delivered as notifications.

use appcore::{
    AppError, NotificationId, Timestamp, UserId,
    event::Event,
    view::{BroadcastChannel, NotificationKind},
};
use dbcontext::{
    constraint::app_error,
    query::{
        notifications::{self as rows, NotificationKey, NotificationRow},
        notifier,
    },
};
use sea_orm::ConnectionTrait;

use super::{MAX_TEXT_CHARS, describe, publish_removal, quiet_hours};
use crate::EventLogService;
use crate::push;

/// Content of a broadcast.
pub struct BroadcastNotification<'a> {
    pub id: NotificationId,
    pub title: &'a str,
    /// Text of the broadcast as Markdown.
    pub body: &'a str,
    pub channels: &'a [BroadcastChannel],
}

/// Stores the notification for the given users in the caller's transaction. The caller publishes
/// the result after the commit. Users in quiet hours or do-not-disturb get a silent notification.
pub async fn store_broadcast<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    announced: &BroadcastNotification<'_>,
    people: &[UserId],
) -> Result<Vec<NotificationRow>, AppError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let said = notifier::do_not_disturb_of(db, people).await?;
    let text: String = describe::plain_text(announced.body).chars().take(MAX_TEXT_CHARS).collect();
    let row = |user: &UserId| {
        let silent = match said.get(user) {
            Some(said) => quiet_hours::is_silenced_by(said.quiet.as_deref(), said.dnd_until, now)?,
            None => false,
        };
        Ok::<_, AppError>(NotificationRow {
            title: Some(announced.title.to_owned()),
            text: Some(text.clone()),
            ..NotificationRow::new(*user, announced.id, NotificationKind::System, silent, now)
        })
    };
    let stored = rows::insert(db, people.iter().map(row).collect::<Result<_, _>>()?).await?;
    if announced.channels.contains(&BroadcastChannel::Push) {
        push::enqueue(db, now, &stored).await?;
    }
    Ok(stored)
}

/// Withdraws a broadcast from the notifications and devices of the given users.
pub async fn withdraw_broadcast(
    service: &EventLogService,
    id: NotificationId,
    people: &[UserId],
) -> Result<(), AppError> {
    let now = service.clock.now();
    let told: Vec<NotificationKey> = people.iter().map(|user| NotificationKey { user_id: *user, id }).collect();
    let tx = service.db.begin().await.map_err(app_error)?;
    let gone = rows::withdraw(&tx, &told).await?;
    push::enqueue_withdrawn(&tx, now, &gone).await?;
    tx.commit().await.map_err(app_error)?;
    let gone: Vec<NotificationKey> = gone.iter().map(NotificationKey::from).collect();
    publish_removal(service.bus.as_ref(), now, &gone, |ids| Event::NotificationsWithdrawn { ids })
}

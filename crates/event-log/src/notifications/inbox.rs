//! Inbox: the caller's own notifications, and marking them as read.

use std::time::Duration;

use appcore::{
    AppError, NotificationId, Timestamp,
    auth::Principal,
    event::{Event, EventBus},
    page::{Page, PageRequest},
    view::Notification,
};
use dbcontext::{
    Database,
    query::notifications::{self as rows, Filter, NotificationKey, NotificationReadPosition},
};

use super::{describe, publish_removal};
use crate::EventLogService;
use crate::push;

/// Period within which an answer is read by a person who watched it being written. Their client
/// reports the position only after the notification is stored.
const ATTENDED_PERIOD: Duration = Duration::from_secs(10);

/// Returns the caller's notifications, newest first.
pub async fn list(
    service: &EventLogService,
    by: &Principal,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<Notification>, AppError> {
    let (found, total) = rows::list(&service.db.replica().await, by.user_id, filter, page).await?;
    Ok(Page::new(describe::render_all(service, found).await?, page, total))
}

/// Marks the given notifications of the caller as read, or all.
pub async fn mark_read(
    service: &EventLogService,
    by: &Principal,
    ids: Option<&[NotificationId]>,
) -> Result<(), AppError> {
    let read = rows::mark_read(service.db.writer(), by.user_id, ids, service.clock.now()).await?;
    if !read.is_empty() {
        let told: Vec<NotificationKey> =
            read.iter().map(|id| NotificationKey { user_id: by.user_id, id: *id }).collect();
        push::enqueue_read(service.db.writer(), service.clock.now(), &told).await?;
        let ids = ids.map(|_| read);
        service.notify_user(by.user_id, &Event::NotificationsRead { ids })?;
    }
    Ok(())
}

/// Marks notifications as read whose messages are at or before the given read positions. Withdraws
/// those about answers that were read at once.
pub async fn mark_passed_read(
    db: &Database,
    bus: &dyn EventBus,
    now: Timestamp,
    reads: &[NotificationReadPosition],
) -> Result<(), AppError> {
    // Reads first, because usually there are no such notifications, and then there is no need to
    // wait for the write lock.
    let passed = rows::unread_before_positions(db.reader(), reads).await?;
    if passed.is_empty() {
        return Ok(());
    }
    let watched = rows::withdraw_new_answers(db.writer(), &passed, now.minus(ATTENDED_PERIOD)).await?;
    if !watched.is_empty() {
        push::enqueue_withdrawn(db.writer(), now, &watched).await?;
        let watched: Vec<NotificationKey> = watched.iter().map(NotificationKey::from).collect();
        publish_removal(bus, now, &watched, |ids| Event::NotificationsWithdrawn { ids })?;
    }
    let read = rows::mark_keys_read(db.writer(), &passed, now).await?;
    push::enqueue_read(db.writer(), now, &read).await?;
    publish_removal(bus, now, &read, |ids| Event::NotificationsRead { ids: Some(ids) })
}

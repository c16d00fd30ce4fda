//! Web push subscriptions and the VAPID key of the installation.

use appcore::{AppError, ConversationId, NotificationId, SessionId, Timestamp, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, Set};
use uuid::Uuid;

use super::{
    notifications::NotificationKey,
    raw,
    rows::{Column, Rows},
    single,
};
use crate::{
    constraint::app_error,
    entity::{notification, push_key, push_subscription},
};

/// Id of the only row of `push_keys`.
pub(super) const KEY_ID: i32 = 1;

#[derive(Clone, Debug, FromQueryResult)]
pub struct Subscription {
    pub id: Uuid,
    pub endpoint: String,
    pub p256dh: Vec<u8>,
    pub auth: Vec<u8>,
}

/// Inserts or updates a subscription. Deletes a user's older subscriptions beyond the newest
/// `most`.
pub async fn subscribe<C: ConnectionTrait>(
    db: &C,
    (user, session): (UserId, SessionId),
    new: &Subscription,
    now: Timestamp,
    most: u32,
) -> Result<(), AppError> {
    let row = push_subscription::ActiveModel {
        id: Set(new.id),
        user_id: Set(user),
        session_id: Set(session),
        endpoint: Set(new.endpoint.clone()),
        p256dh: Set(new.p256dh.clone()),
        auth: Set(new.auth.clone()),
        created_at: Set(now),
    };
    let changed = [
        push_subscription::Column::UserId,
        push_subscription::Column::SessionId,
        push_subscription::Column::P256dh,
        push_subscription::Column::Auth,
        push_subscription::Column::CreatedAt,
    ];
    single::upsert(db, row, [push_subscription::Column::Endpoint], changed).await?;
    let sql = format!(
        "DELETE FROM push_subscriptions WHERE user_id = $1 AND id NOT IN \
         (SELECT id FROM push_subscriptions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT {most})"
    );
    raw::run(db, &sql, vec![user.into()]).await
}

/// Deletes a subscription; returns `false` if the user has none with this endpoint.
pub async fn unsubscribe<C: ConnectionTrait>(db: &C, user: UserId, endpoint: &str) -> Result<bool, AppError> {
    let done = push_subscription::Entity::delete_many()
        .filter(push_subscription::Column::UserId.eq(user))
        .filter(push_subscription::Column::Endpoint.eq(endpoint))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Deletes a subscription that no longer exists at the push service.
pub async fn remove<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<(), AppError> {
    push_subscription::Entity::delete_by_id(id).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Subscriptions of a user's active sessions.
pub async fn of_user<C: ConnectionTrait>(db: &C, user: UserId, now: Timestamp) -> Result<Vec<Subscription>, AppError> {
    let sql = "SELECT p.id, p.endpoint, p.p256dh, p.auth FROM push_subscriptions p \
               JOIN user_sessions s ON s.id = p.session_id AND s.ended_at IS NULL AND s.expires_at > $2 WHERE p.user_id = $1";
    raw::find::<_, Subscription>(db, sql, vec![user.into(), now.into()]).await
}

/// Returns those of these users who have a subscription.
pub async fn subscribers_among<C: ConnectionTrait>(db: &C, people: &[UserId]) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Subscriber {
        user_id: UserId,
    }
    let asked = Rows::ids(db.get_database_backend(), people.iter().map(|id| id.0));
    let sql = format!("SELECT DISTINCT p.user_id FROM {} JOIN push_subscriptions p ON p.user_id = w.id", asked.table());
    let found = asked.find::<_, Subscriber>(db, sql).await?;
    Ok(found.into_iter().map(|row| row.user_id).collect())
}

/// Marks a notification as pushed; returns `false` if it was read or withdrawn.
pub async fn mark_pushed<C: ConnectionTrait>(db: &C, user: UserId, id: NotificationId) -> Result<bool, AppError> {
    let done = notification::Entity::update_many()
        .set(notification::ActiveModel { pushed: Set(true), ..Default::default() })
        .filter(notification::Column::UserId.eq(user))
        .filter(notification::Column::Id.eq(id))
        .filter(notification::Column::ReadAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// User and conversation of a pushed notification that was read or withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromQueryResult)]
pub struct PushedNotification {
    pub user_id: UserId,
    pub conversation_id: Option<ConversationId>,
}

/// Returns those of these notifications that were pushed to a device.
pub async fn pushed_among<C: ConnectionTrait>(
    db: &C,
    told: &[NotificationKey],
) -> Result<Vec<PushedNotification>, AppError> {
    let columns = [Column::Uuid("user_id"), Column::Uuid("id")];
    let rows = told.iter().map(|one| [one.user_id.0.into(), one.id.0.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "SELECT DISTINCT n.user_id, n.conversation_id FROM {} JOIN notifications n ON n.user_id = w.user_id AND n.id = w.id AND n.pushed",
        rows.table()
    );
    rows.find::<_, PushedNotification>(db, sql).await
}

/// VAPID key in its stored form, sealed or plain.
#[derive(Clone, Debug)]
pub struct StoredKey {
    pub private_key: Vec<u8>,
    pub is_sealed: bool,
}

pub async fn key<C: ConnectionTrait>(db: &C) -> Result<Option<StoredKey>, AppError> {
    let found = push_key::Entity::find_by_id(KEY_ID).one(db).await.map_err(app_error)?;
    Ok(found.map(|key| StoredKey { private_key: key.private_key, is_sealed: key.is_sealed }))
}

/// Stores the key unless one exists.
pub async fn store_key<C: ConnectionTrait>(db: &C, key: StoredKey, public_key: &str) -> Result<(), AppError> {
    let row = push_key::ActiveModel {
        id: Set(KEY_ID),
        private_key: Set(key.private_key),
        is_sealed: Set(key.is_sealed),
        public_key: Set(public_key.to_owned()),
    };
    single::insert_if_absent(db, row).await?;
    Ok(())
}

/// Replaces the plain VAPID key by its sealed form.
pub async fn seal_key<C: ConnectionTrait>(db: &C, sealed: Vec<u8>) -> Result<(), AppError> {
    push_key::Entity::update_many()
        .set(push_key::ActiveModel { private_key: Set(sealed), is_sealed: Set(true), ..Default::default() })
        .filter(push_key::Column::Id.eq(KEY_ID))
        .filter(push_key::Column::IsSealed.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

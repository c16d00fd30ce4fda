//! Devices that are woken, and the key by which push services know this server.

use appcore::{AppError, ConversationId, NotificationId, SessionId, Timestamp, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult};
use uuid::Uuid;

use super::{
    notifications::Told,
    raw,
    rows::{Column, Rows},
};
use crate::constraint::app_error;

/// A device that asked to be woken.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Subscription {
    pub id: Uuid,
    pub endpoint: String,
    pub p256dh: Vec<u8>,
    pub auth: Vec<u8>,
}

/// Stores a device; the same one again is what it is now. Of one person's the newest `most` stay.
pub async fn subscribe<C: ConnectionTrait>(
    db: &C,
    (user, session): (UserId, SessionId),
    new: &Subscription,
    now: Timestamp,
    most: u32,
) -> Result<(), AppError> {
    let sql = "INSERT INTO push_subscriptions (id, user_id, session_id, endpoint, p256dh, auth, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (endpoint) DO UPDATE SET user_id = excluded.user_id, session_id = excluded.session_id, p256dh = excluded.p256dh, \
               auth = excluded.auth, created_at = excluded.created_at";
    let values = vec![
        new.id.into(),
        user.into(),
        session.into(),
        new.endpoint.as_str().into(),
        new.p256dh.clone().into(),
        new.auth.clone().into(),
        now.into(),
    ];
    raw::execute(db, sql, values).await?;
    let sql = format!(
        "DELETE FROM push_subscriptions WHERE user_id = $1 AND id NOT IN \
         (SELECT id FROM push_subscriptions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT {most})"
    );
    raw::run(db, &sql, vec![user.into()]).await
}

/// `false` when somebody has no such device.
pub async fn unsubscribe<C: ConnectionTrait>(db: &C, user: UserId, endpoint: &str) -> Result<bool, AppError> {
    let sql = "DELETE FROM push_subscriptions WHERE user_id = $1 AND endpoint = $2";
    Ok(raw::execute(db, sql, vec![user.into(), endpoint.into()]).await? > 0)
}

/// Forgets a device that is no longer there.
pub async fn remove<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<(), AppError> {
    raw::run(db, "DELETE FROM push_subscriptions WHERE id = $1", vec![id.into()]).await
}

/// Somebody's devices that are signed in.
pub async fn of<C: ConnectionTrait>(db: &C, user: UserId, now: Timestamp) -> Result<Vec<Subscription>, AppError> {
    let sql = "SELECT p.id, p.endpoint, p.p256dh, p.auth FROM push_subscriptions p \
               JOIN user_sessions s ON s.id = p.session_id AND s.ended_at IS NULL AND s.expires_at > $2 WHERE p.user_id = $1";
    raw::find::<_, Subscription>(db, sql, vec![user.into(), now.into()]).await
}

/// Those of these people who have a device.
pub async fn who<C: ConnectionTrait>(db: &C, people: &[UserId]) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        user_id: UserId,
    }
    let asked = Rows::ids(db.get_database_backend(), people.iter().map(|id| id.0));
    let sql = format!("SELECT DISTINCT p.user_id FROM {} JOIN push_subscriptions p ON p.user_id = w.id", asked.table());
    let found = Row::find_by_statement(asked.statement(sql)?).all(db).await.map_err(app_error)?;
    Ok(found.into_iter().map(|row| row.user_id).collect())
}

/// Notes that a notification has woken somebody; `false` where it is read or gone.
pub async fn note_pushed<C: ConnectionTrait>(db: &C, user: UserId, id: NotificationId) -> Result<bool, AppError> {
    let sql = "UPDATE notifications SET pushed = TRUE WHERE user_id = $1 AND id = $2 AND read_at IS NULL";
    Ok(raw::execute(db, sql, vec![user.into(), id.into()]).await? > 0)
}

/// A conversation of which something has woken somebody that is read by now, or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, FromQueryResult)]
pub struct Woken {
    pub user_id: UserId,
    pub conversation_id: Option<ConversationId>,
}

/// Of these, which have woken somebody.
pub async fn woken<C: ConnectionTrait>(db: &C, told: &[Told]) -> Result<Vec<Woken>, AppError> {
    let columns = [Column::Uuid("user_id"), Column::Uuid("id")];
    let rows = told.iter().map(|one| [one.user_id.0.into(), one.id.0.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    let sql = format!(
        "SELECT DISTINCT n.user_id, n.conversation_id FROM {} JOIN notifications n ON n.user_id = w.user_id AND n.id = w.id AND n.pushed",
        rows.table()
    );
    Woken::find_by_statement(rows.statement(sql)?).all(db).await.map_err(app_error)
}

/// The key by which push services know this server.
#[derive(Clone, Debug, FromQueryResult)]
pub struct StoredKey {
    pub private_key: Vec<u8>,
    pub is_sealed: bool,
}

pub async fn key<C: ConnectionTrait>(db: &C) -> Result<Option<StoredKey>, AppError> {
    let sql = "SELECT private_key, is_sealed FROM push_keys WHERE id = 1";
    raw::find_one(db, sql, vec![]).await
}

/// Stores the key, unless there is one.
pub async fn store_key<C: ConnectionTrait>(db: &C, key: StoredKey, public_key: &str) -> Result<(), AppError> {
    let sql = "INSERT INTO push_keys (id, private_key, is_sealed, public_key) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING";
    raw::run(db, sql, vec![key.private_key.into(), key.is_sealed.into(), public_key.into()]).await
}

/// Puts the sealed form of the key in the place of the clear one.
pub async fn seal_key<C: ConnectionTrait>(db: &C, sealed: Vec<u8>) -> Result<(), AppError> {
    let sql = "UPDATE push_keys SET private_key = $1, is_sealed = TRUE WHERE id = 1 AND NOT is_sealed";
    raw::run(db, sql, vec![sealed.into()]).await
}

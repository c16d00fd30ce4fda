//! Sessions and their refresh tokens.

use appcore::{AppError, GeoLocation, SessionId, Timestamp, UserId, page::PageRequest, view::UserRole};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Select, Set, sea_query::Expr,
};
use uuid::Uuid;

use super::rows::padded_to_power_of_two;
use crate::{
    constraint::app_error,
    entity::{refresh_token, user, user_session},
};

pub struct NewSession {
    pub id: SessionId,
    pub user_id: UserId,
    pub device: DeviceInfo,
    pub expires_at: Timestamp,
}

/// Attributes of a device that are updated during a session.
pub struct DeviceInfo {
    pub user_agent: Option<String>,
    pub address: Option<String>,
    pub location: Option<GeoLocation>,
    pub at: Timestamp,
}

pub async fn insert<C: ConnectionTrait>(db: &C, new: NewSession) -> Result<(), AppError> {
    let (country, city) = columns(new.device.location);
    let row = user_session::ActiveModel {
        id: Set(new.id),
        user_id: Set(new.user_id),
        user_agent: Set(new.device.user_agent),
        address: Set(new.device.address),
        country: Set(country),
        city: Set(city),
        created_at: Set(new.device.at),
        last_used_at: Set(new.device.at),
        expires_at: Set(new.expires_at),
        ended_at: Set(None),
        confirmed_at: Set(None),
    };
    user_session::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Attributes of a session that authorise a request.
#[derive(Clone, Debug, FromQueryResult)]
pub struct LiveSession {
    pub id: SessionId,
    pub user_id: UserId,
    pub role: UserRole,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Returns those of these sessions that are active and whose accounts still exist.
pub async fn live_sessions<C: ConnectionTrait>(
    db: &C,
    ids: &[SessionId],
    now: Timestamp,
) -> Result<Vec<LiveSession>, AppError> {
    active_sessions(now)
        .filter(user_session::Column::Id.is_in(padded_to_power_of_two(ids)))
        .select_only()
        .column(user_session::Column::Id)
        .column(user_session::Column::UserId)
        .column(user_session::Column::LastUsedAt)
        .column(user_session::Column::ExpiresAt)
        .column(user::Column::Role)
        .join(sea_orm::JoinType::InnerJoin, to_user())
        .filter(user::Column::IsDeleted.eq(false))
        .filter(user::Column::SuspendedAt.is_null())
        .into_model()
        .all(db)
        .await
        .map_err(app_error)
}

/// Returns the sessions that have ended since the given time.
pub async fn ended_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<SessionId>, AppError> {
    user_session::Entity::find()
        .filter(user_session::Column::EndedAt.gte(since))
        .select_only()
        .column(user_session::Column::Id)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

/// Returns the time at which the user last authenticated in the session: at the sign-in, or at a
/// later confirmation.
pub async fn authenticated_at<C: ConnectionTrait>(db: &C, id: SessionId) -> Result<Option<Timestamp>, AppError> {
    let times: Option<(Timestamp, Option<Timestamp>)> = user_session::Entity::find_by_id(id)
        .select_only()
        .column(user_session::Column::CreatedAt)
        .column(user_session::Column::ConfirmedAt)
        .into_tuple()
        .one(db)
        .await
        .map_err(app_error)?;
    Ok(times.map(|(created_at, confirmed_at)| confirmed_at.unwrap_or(created_at)))
}

/// Records that the user has confirmed their identity; returns `false` if the session has ended.
pub async fn record_confirmation<C: ConnectionTrait>(db: &C, id: SessionId, now: Timestamp) -> Result<bool, AppError> {
    let row = user_session::ActiveModel { confirmed_at: Set(Some(now)), ..Default::default() };
    let done = user_session::Entity::update_many()
        .set(row)
        .filter(user_session::Column::Id.eq(id))
        .filter(user_session::Column::EndedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Lists a user's active sessions, most recently used first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    now: Timestamp,
    page: PageRequest,
) -> Result<(Vec<user_session::Model>, u64), AppError> {
    let query = active_sessions(now)
        .filter(user_session::Column::UserId.eq(user_id))
        .order_by_desc(user_session::Column::LastUsedAt)
        .order_by_desc(user_session::Column::Id);
    super::page::select(db, query, page).await
}

/// Ends a session of a user; returns `false` if there is none.
pub async fn end<C: ConnectionTrait>(db: &C, user_id: UserId, id: SessionId, now: Timestamp) -> Result<bool, AppError> {
    let done = user_session::Entity::update_many()
        .col_expr(user_session::Column::EndedAt, Expr::value(now))
        .filter(user_session::Column::Id.eq(id))
        .filter(user_session::Column::UserId.eq(user_id))
        .filter(user_session::Column::EndedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Ends all of a user's sessions except `kept`, and deletes the pending sign-ins. Returns the ids
/// of the ended sessions.
pub async fn end_all<C: ConnectionTrait>(
    db: &C,
    user_id: UserId,
    kept: Option<SessionId>,
    now: Timestamp,
) -> Result<Vec<SessionId>, AppError> {
    super::pending_sign_ins::delete_all(db, user_id).await?;
    let mut query = user_session::Entity::update_many()
        .col_expr(user_session::Column::EndedAt, Expr::value(now))
        .filter(user_session::Column::UserId.eq(user_id))
        .filter(user_session::Column::EndedAt.is_null());
    if let Some(kept) = kept {
        query = query.filter(user_session::Column::Id.ne(kept));
    }
    let ended = query.exec_with_returning(db).await.map_err(app_error)?;
    Ok(ended.into_iter().map(|session| session.id).collect())
}

/// Records the last use of sessions.
pub async fn record_use<C: ConnectionTrait>(db: &C, ids: &[SessionId], now: Timestamp) -> Result<(), AppError> {
    user_session::Entity::update_many()
        .col_expr(user_session::Column::LastUsedAt, Expr::value(now))
        .filter(user_session::Column::Id.is_in(padded_to_power_of_two(ids)))
        .filter(user_session::Column::LastUsedAt.lt(now))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Updates the attributes of a session's device. They change when the browser is updated or the
/// user moves to another place.
pub async fn update_device<C: ConnectionTrait>(db: &C, id: SessionId, seen: DeviceInfo) -> Result<(), AppError> {
    let (country, city) = columns(seen.location);
    let row = user_session::ActiveModel {
        user_agent: Set(seen.user_agent),
        address: Set(seen.address),
        country: Set(country),
        city: Set(city),
        last_used_at: Set(seen.at),
        ..Default::default()
    };
    user_session::Entity::update_many()
        .set(row)
        .filter(user_session::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Deletes a user's expired sessions and their tokens.
pub async fn delete_expired<C: ConnectionTrait>(db: &C, user_id: UserId, now: Timestamp) -> Result<(), AppError> {
    user_session::Entity::delete_many()
        .filter(user_session::Column::UserId.eq(user_id))
        .filter(user_session::Column::ExpiresAt.lt(now))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn insert_token<C: ConnectionTrait>(
    db: &C,
    session_id: SessionId,
    hash: Vec<u8>,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = refresh_token::ActiveModel {
        id: Set(Uuid::now_v7()),
        session_id: Set(session_id),
        token_hash: Set(hash),
        created_at: Set(now),
        used_at: Set(None),
        successor: Set(None),
    };
    row.insert(db).await.map_err(app_error)?;
    Ok(())
}

/// Finds a refresh token and its session, in any state.
pub async fn token<C: ConnectionTrait>(
    db: &C,
    hash: &[u8],
) -> Result<Option<(refresh_token::Model, user_session::Model)>, AppError> {
    let Some(token) = refresh_token::Entity::find()
        .filter(refresh_token::Column::TokenHash.eq(hash))
        .one(db)
        .await
        .map_err(app_error)?
    else {
        return Ok(None);
    };
    let session = user_session::Entity::find_by_id(token.session_id).one(db).await.map_err(app_error)?;
    Ok(session.map(|session| (token, session)))
}

/// Consumes a refresh token; returns `false` if it was already used.
pub async fn consume_token<C: ConnectionTrait>(
    db: &C,
    id: Uuid,
    successor: Option<Vec<u8>>,
    now: Timestamp,
) -> Result<bool, AppError> {
    let row = refresh_token::ActiveModel { used_at: Set(Some(now)), successor: Set(successor), ..Default::default() };
    let done = refresh_token::Entity::update_many()
        .set(row)
        .filter(refresh_token::Column::Id.eq(id))
        .filter(refresh_token::Column::UsedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Deletes the sealed responses to a session's token rotations before `before`; retries can no
/// longer request them.
pub async fn delete_successors<C: ConnectionTrait>(
    db: &C,
    session_id: SessionId,
    before: Timestamp,
) -> Result<(), AppError> {
    let row = refresh_token::ActiveModel { successor: Set(None), ..Default::default() };
    refresh_token::Entity::update_many()
        .set(row)
        .filter(refresh_token::Column::SessionId.eq(session_id))
        .filter(refresh_token::Column::UsedAt.lt(before))
        .filter(refresh_token::Column::Successor.is_not_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Splits a location into the columns `country` and `city`.
fn columns(place: Option<GeoLocation>) -> (Option<String>, Option<String>) {
    place.map_or((None, None), |GeoLocation { country, city }| (Some(country.as_str().to_owned()), city))
}

fn active_sessions(now: Timestamp) -> Select<user_session::Entity> {
    user_session::Entity::find()
        .filter(user_session::Column::EndedAt.is_null())
        .filter(user_session::Column::ExpiresAt.gt(now))
}

fn to_user() -> sea_orm::RelationDef {
    user_session::Entity::belongs_to(user::Entity).from(user_session::Column::UserId).to(user::Column::Id).into()
}

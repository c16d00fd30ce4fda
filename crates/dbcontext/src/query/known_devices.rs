//! Devices from which users have signed in.

use appcore::{AppError, UserId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, sea_query::OnConflict,
};

use crate::{constraint::app_error, entity::known_device};

/// Maximum number of devices per user; the most recent ones are kept.
const MAX_DEVICES: u64 = 50;

/// Lists a user's devices, most recent first.
pub async fn of_user<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<Vec<known_device::Model>, AppError> {
    known_device::Entity::find()
        .filter(known_device::Column::UserId.eq(user_id))
        .order_by_desc(known_device::Column::LastSeenAt)
        .limit(MAX_DEVICES)
        .all(db)
        .await
        .map_err(app_error)
}

/// Records a sign-in from a device.
pub async fn record<C: ConnectionTrait>(db: &C, seen: known_device::Model) -> Result<(), AppError> {
    let row = known_device::ActiveModel {
        user_id: Set(seen.user_id),
        network: Set(seen.network),
        agent: Set(seen.agent),
        last_seen_at: Set(seen.last_seen_at),
    };
    let again =
        OnConflict::columns([known_device::Column::UserId, known_device::Column::Network, known_device::Column::Agent])
            .update_column(known_device::Column::LastSeenAt)
            .to_owned();
    known_device::Entity::insert(row).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Deletes a user's oldest devices beyond [`MAX_DEVICES`].
pub async fn trim<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<(), AppError> {
    let oldest_kept = known_device::Entity::find()
        .filter(known_device::Column::UserId.eq(user_id))
        .order_by_desc(known_device::Column::LastSeenAt)
        .offset(MAX_DEVICES)
        .one(db)
        .await
        .map_err(app_error)?;
    if let Some(row) = oldest_kept {
        known_device::Entity::delete_many()
            .filter(known_device::Column::UserId.eq(user_id))
            .filter(known_device::Column::LastSeenAt.lte(row.last_seen_at))
            .exec(db)
            .await
            .map_err(app_error)?;
    }
    Ok(())
}

//! Settings of users: their instructions for all assistants.

use appcore::{AppError, Timestamp, UserId};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, Set};

use super::single;
use crate::{
    constraint::app_error,
    entity::user_settings::{ActiveModel, Column, Entity},
};

/// Returns the instructions of a user; empty if there are none.
pub async fn instructions<C: ConnectionTrait>(db: &C, user: UserId) -> Result<String, AppError> {
    let found = Entity::find_by_id(user).select_only().column(Column::Instructions).into_tuple().one(db).await;
    Ok(found.map_err(app_error)?.unwrap_or_default())
}

pub async fn set_instructions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    instructions: String,
    now: Timestamp,
) -> Result<(), AppError> {
    let row = ActiveModel { user_id: Set(user), instructions: Set(instructions), updated_at: Set(now) };
    single::upsert(db, row, [Column::UserId], [Column::Instructions, Column::UpdatedAt]).await
}

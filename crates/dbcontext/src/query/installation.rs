//! Milestones of the installation and their times.

use std::collections::HashMap;

use appcore::{AppError, Timestamp};
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect, Set};

use super::single;
use crate::{
    constraint::app_error,
    entity::installation::{ActiveModel, Column, Entity},
};

/// Milestone: an administrator has finished the setup.
pub const SETUP_FINISHED: &str = "setup_finished";
/// Milestone: the mail server has accepted a test message.
pub const MAIL_TESTED: &str = "mail_tested";
/// Milestone: an AI provider has answered a test question.
pub const QUESTION_ANSWERED: &str = "question_answered";

/// Returns the last time at which each milestone was reached.
pub async fn times<C: ConnectionTrait>(db: &C) -> Result<HashMap<String, Timestamp>, AppError> {
    let columns = Entity::find().select_only().columns([Column::Name, Column::UpdatedAt]);
    let found: Vec<(String, Timestamp)> = columns.into_tuple().all(db).await.map_err(app_error)?;
    Ok(found.into_iter().collect())
}

/// Records that a milestone was reached.
pub async fn record<C: ConnectionTrait>(db: &C, name: &str, now: Timestamp) -> Result<(), AppError> {
    let row = ActiveModel { name: Set(name.to_owned()), value: Set(String::new()), updated_at: Set(now) };
    single::upsert(db, row, [Column::Name], [Column::UpdatedAt]).await
}

pub async fn delete<C: ConnectionTrait>(db: &C, name: &str) -> Result<(), AppError> {
    Entity::delete_by_id(name).exec(db).await.map_err(app_error)?;
    Ok(())
}

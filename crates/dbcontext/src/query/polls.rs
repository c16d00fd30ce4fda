//! Votes in polls. The summary is stored with the message as JSON.

use appcore::{AppError, MessageId, UserId, view::Poll};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

use super::single;
use crate::{
    constraint::app_error,
    entity::{
        message,
        poll_vote::{ActiveModel, Column, Entity},
    },
};

/// Indices of the options that a user has chosen.
pub async fn votes<C: ConnectionTrait>(db: &C, message: MessageId, user: UserId) -> Result<Vec<u8>, AppError> {
    let choices = Entity::find()
        .filter(Column::MessageId.eq(message))
        .filter(Column::UserId.eq(user))
        .order_by_asc(Column::Choice)
        .select_only()
        .column(Column::Choice)
        .into_tuple::<i16>()
        .all(db)
        .await
        .map_err(app_error)?;
    choices.into_iter().map(|choice| choice.try_into().map_err(AppError::internal)).collect()
}

/// Replaces a user's votes.
pub async fn set_votes<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    user: UserId,
    choices: &[u8],
    seq: i64,
) -> Result<(), AppError> {
    Entity::delete_many()
        .filter(Column::MessageId.eq(message))
        .filter(Column::UserId.eq(user))
        .filter(Column::Choice.is_not_in(choices.iter().map(|choice| i16::from(*choice))))
        .exec(db)
        .await
        .map_err(app_error)?;
    for choice in choices {
        let vote = ActiveModel {
            message_id: Set(message),
            user_id: Set(user),
            choice: Set(i16::from(*choice)),
            seq: Set(seq),
        };
        single::insert_if_absent(db, vote).await?;
    }
    Ok(())
}

/// Returns the first `most` voters of an option, in the order of their votes.
pub async fn first_voters<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    choice: u8,
    most: usize,
) -> Result<Vec<UserId>, AppError> {
    Entity::find()
        .filter(Column::MessageId.eq(message))
        .filter(Column::Choice.eq(i16::from(choice)))
        .order_by_asc(Column::Seq)
        .limit(u64::try_from(most).ok())
        .select_only()
        .column(Column::UserId)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

/// Stores the summary of a poll.
pub async fn set_summary<C: ConnectionTrait>(db: &C, message: MessageId, poll: &Poll) -> Result<(), AppError> {
    let poll = serde_json::to_string(poll).map_err(AppError::internal)?;
    message::Entity::update_many()
        .set(message::ActiveModel { poll: Set(Some(poll)), ..Default::default() })
        .filter(message::Column::Id.eq(message))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

//! Who has chosen what in polls. What is shown of it stands with the message, as JSON.

use appcore::{AppError, MessageId, UserId, view::Poll};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::raw;
use crate::constraint::app_error;

#[derive(FromQueryResult)]
struct Choice {
    choice: i16,
}

/// What somebody has chosen, by the places of the options.
pub async fn chosen<C: ConnectionTrait>(db: &C, message: MessageId, user: UserId) -> Result<Vec<u8>, AppError> {
    let sql = "SELECT choice FROM poll_votes WHERE message_id = $1 AND user_id = $2 ORDER BY choice";
    let rows = Choice::find_by_statement(raw::statement(db, sql, vec![message.into(), user.into()])).all(db).await;
    rows.map_err(app_error)?.into_iter().map(|row| row.choice.try_into().map_err(AppError::internal)).collect()
}

/// Puts these in the place of what somebody had chosen.
pub async fn choose<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    user: UserId,
    choices: &[u8],
    seq: i64,
) -> Result<(), AppError> {
    let kept: Vec<String> = choices.iter().map(u8::to_string).collect();
    let others = if kept.is_empty() { String::new() } else { format!(" AND choice NOT IN ({})", kept.join(", ")) };
    let sql = format!("DELETE FROM poll_votes WHERE message_id = $1 AND user_id = $2{others}");
    raw::run(db, &sql, vec![message.into(), user.into()]).await?;
    for choice in choices {
        let sql =
            "INSERT INTO poll_votes (message_id, user_id, choice, seq) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        raw::run(db, sql, vec![message.into(), user.into(), i16::from(*choice).into(), seq.into()]).await?;
    }
    Ok(())
}

/// The first `most` who have chosen an option, in their order.
pub async fn first<C: ConnectionTrait>(
    db: &C,
    message: MessageId,
    choice: u8,
    most: usize,
) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Voter {
        user_id: UserId,
    }
    let sql = format!("SELECT user_id FROM poll_votes WHERE message_id = $1 AND choice = $2 ORDER BY seq LIMIT {most}");
    let values = vec![message.into(), i16::from(choice).into()];
    let rows = raw::find::<_, Voter>(db, &sql, values).await?;
    Ok(rows.into_iter().map(|row| row.user_id).collect())
}

/// Stores what is shown of a poll.
pub async fn set<C: ConnectionTrait>(db: &C, message: MessageId, poll: &Poll) -> Result<(), AppError> {
    let poll = serde_json::to_string(poll).map_err(AppError::internal)?;
    raw::run(db, "UPDATE messages SET poll = $2 WHERE id = $1", vec![message.into(), poll.into()]).await
}

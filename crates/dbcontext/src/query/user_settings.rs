//! What people set for themselves: their instructions to all assistants.

use appcore::{AppError, Timestamp, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};

use crate::constraint::app_error;

/// Empty where somebody has none.
pub async fn instructions<C: ConnectionTrait>(db: &C, user: UserId) -> Result<String, AppError> {
    #[derive(FromQueryResult)]
    struct Row {
        instructions: String,
    }
    let sql = "SELECT instructions FROM user_settings WHERE user_id = $1";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [user.into()]);
    let found = Row::find_by_statement(statement).one(db).await.map_err(app_error)?;
    Ok(found.map(|row| row.instructions).unwrap_or_default())
}

pub async fn set_instructions<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    instructions: String,
    now: Timestamp,
) -> Result<(), AppError> {
    let sql = "INSERT INTO user_settings (user_id, instructions, updated_at) VALUES ($1, $2, $3) \
               ON CONFLICT (user_id) DO UPDATE SET instructions = excluded.instructions, updated_at = excluded.updated_at";
    let values: [Value; 3] = [user.into(), instructions.into(), now.into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    db.execute_raw(statement).await.map_err(app_error)?;
    Ok(())
}

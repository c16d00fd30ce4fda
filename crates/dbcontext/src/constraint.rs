//! What the database's errors mean to a caller.

use appcore::{AppError, Code};
use rusqlite::ErrorCode;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Whether a unique constraint was violated: the caller turns it into the field or the conflict that it stands for.
#[must_use]
pub fn unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Any other error: the database is away (503), the value can't be stored (422), or it is a defect of ours (500).
#[must_use]
pub fn app_error(error: DbErr) -> AppError {
    match &error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => AppError::unavailable(error),
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => match classify(cause)
        {
            Class::Away => AppError::unavailable(error),
            Class::Unstorable => AppError::refused(
                Code::Invalid,
                "The text contains a character that can't be stored. Remove it and try again.",
            ),
            Class::Defect => AppError::internal(error),
        },
        _ => AppError::internal(error),
    }
}

/// The same of the connection by which SQLite commits.
pub(crate) fn sqlite_unique_violation(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE))
}

pub(crate) fn sqlite_error(error: rusqlite::Error) -> AppError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => AppError::unavailable(error),
        _ => AppError::internal(error),
    }
}

enum Class {
    Away,
    Unstorable,
    Defect,
}

fn classify(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => Class::Away,
        sqlx::Error::Database(cause) => match cause.code().as_deref() {
            // https://www.postgresql.org/docs/15/errcodes-appendix.html: connection (08), resources (53), operator (57),
            // lost a race (40), statement took too long (57014), idle in transaction (25P03).
            Some(code)
                if ["08", "53", "57", "40", "25P0"].iter().any(|class| code.len() == 5 && code.starts_with(class)) =>
            {
                Class::Away
            }
            Some("22021" | "22P05") => Class::Unstorable,
            // SQLite: busy (5), locked (6) and their extended codes.
            Some("5" | "6" | "261" | "262" | "517") => Class::Away,
            _ => Class::Defect,
        },
        _ => Class::Defect,
    }
}

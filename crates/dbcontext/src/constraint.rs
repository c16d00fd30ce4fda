//! Maps database errors to application errors.

use appcore::{AppError, Code};
use rusqlite::ErrorCode;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// True if a unique constraint was violated. The caller returns the error of the field or conflict
/// that the constraint stands for.
#[must_use]
pub fn unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Error message for users if the database is read-only, such as after a failover that has left a
/// replica in the primary's place.
const READ_ONLY: &str =
    "The server's database can only be read right now, so nothing can be saved. You can still read. Tell your admin.";

/// Error of a database that is read-only.
#[must_use]
pub fn read_only() -> AppError {
    AppError::refused(Code::Unavailable, READ_ONLY)
}

/// True if `error` is [`read_only`].
#[must_use]
pub fn is_read_only(error: &AppError) -> bool {
    matches!(error, AppError::Refused { code: Code::Unavailable, message: Some(message), .. } if message == READ_ONLY)
}

/// True if the database has refused a write because it is read-only.
pub(crate) fn is_read_only_cause(error: &sqlx::Error) -> bool {
    matches!(classify(error), ErrorClass::ReadOnly)
}

fn log_read_only(cause: &dyn std::error::Error) -> AppError {
    tracing::warn!(cause = %cause, "database is read-only");
    read_only()
}

/// Maps any other database error: unreachable or read-only database (503), full disk (507), value
/// that cannot be stored (422), or defect in the server (500).
#[must_use]
pub fn app_error(error: DbErr) -> AppError {
    match &error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => AppError::unavailable(error),
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => match classify(cause)
        {
            ErrorClass::Away => AppError::unavailable(error),
            ErrorClass::Full => disk_full(&error),
            ErrorClass::ReadOnly => log_read_only(&error),
            ErrorClass::Unstorable => AppError::refused(
                Code::Invalid,
                "The text contains a character that can't be stored. Remove it and try again.",
            ),
            ErrorClass::Defect => AppError::internal(error),
        },
        _ => AppError::internal(error),
    }
}

/// [`unique_violation`] for errors of SQLite's connection for commits of messages.
pub(crate) fn sqlite_unique_violation(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE))
}

pub(crate) fn sqlite_error(error: rusqlite::Error) -> AppError {
    let is_full_shared_memory =
        || error.sqlite_error().is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE);
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => AppError::unavailable(error),
        Some(ErrorCode::DiskFull) => disk_full(&error),
        Some(ErrorCode::ReadOnly) => log_read_only(&error),
        _ if is_full_shared_memory() => disk_full(&error),
        _ => AppError::internal(error),
    }
}

fn disk_full(cause: &dyn std::error::Error) -> AppError {
    tracing::warn!(cause = %cause, "database disk is full");
    Code::StorageFull.into()
}

enum ErrorClass {
    Away,
    Full,
    ReadOnly,
    Unstorable,
    Defect,
}

fn classify(error: &sqlx::Error) -> ErrorClass {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => ErrorClass::Away,
        sqlx::Error::Database(cause) => match cause.code().as_deref() {
            // Disk full. PostgreSQL: 53100. SQLite: failed to extend the write-ahead log (13) or
            // the shared memory (4874).
            Some("53100" | "13" | "4874") => ErrorClass::Full,
            // Read-only. PostgreSQL: a replica or a read-only session. SQLite: 8 and its extended
            // codes.
            Some("25006" | "8" | "264" | "520" | "776" | "1032" | "1288" | "1544") => ErrorClass::ReadOnly,
            // Error of a PostgreSQL replica when a read-write transaction begins.
            Some("0A000") if cause.message().contains("during recovery") => ErrorClass::ReadOnly,
            // https://www.postgresql.org/docs/15/errcodes-appendix.html: connection (08), resources (53), operator
            // (57), serialisation failure or deadlock (40), statement timeout (57014), idle in transaction (25P03).
            Some(code)
                if ["08", "53", "57", "40", "25P0"].iter().any(|class| code.len() == 5 && code.starts_with(class)) =>
            {
                ErrorClass::Away
            }
            Some("22021" | "22P05") => ErrorClass::Unstorable,
            // SQLite: busy (5), locked (6) and their extended codes.
            Some("5" | "6" | "261" | "262" | "517") => ErrorClass::Away,
            _ => ErrorClass::Defect,
        },
        _ => ErrorClass::Defect,
    }
}

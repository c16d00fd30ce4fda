//! What the database's errors mean to a caller.

use appcore::{AppError, Code};
use rusqlite::ErrorCode;
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// Whether a unique constraint was violated: the caller turns it into the field or the conflict that it stands for.
#[must_use]
pub fn unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// What a database that takes no changes is answered with, such as a replica that a failover has left in the primary's place.
const READ_ONLY: &str =
    "The server's database can only be read just now, so nothing can be saved. You can still read. Tell your admin.";

/// The database takes no changes.
#[must_use]
pub fn read_only() -> AppError {
    AppError::refused(Code::Unavailable, READ_ONLY)
}

/// Whether an error is [`read_only`].
#[must_use]
pub fn is_read_only(error: &AppError) -> bool {
    matches!(error, AppError::Refused { code: Code::Unavailable, message: Some(message), .. } if message == READ_ONLY)
}

fn found_read_only(cause: &dyn std::error::Error) -> AppError {
    tracing::warn!(cause = %cause, "the database can only be read");
    read_only()
}

/// Any other error: the database is away or takes no changes (503), its disk is full (507), the value can't be stored (422), or it is a defect of ours (500).
#[must_use]
pub fn app_error(error: DbErr) -> AppError {
    match &error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => AppError::unavailable(error),
        DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => match classify(cause)
        {
            Class::Away => AppError::unavailable(error),
            Class::Full => full(&error),
            Class::ReadOnly => found_read_only(&error),
            Class::Unstorable => AppError::refused(
                Code::Invalid,
                "The text contains a character that can't be stored. Remove it and try again.",
            ),
            Class::Defect => AppError::internal(error),
        },
        _ => AppError::internal(error),
    }
}

/// Whether the connection by which SQLite commits has refused a row that is there already.
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
        Some(ErrorCode::DiskFull) => full(&error),
        Some(ErrorCode::ReadOnly) => found_read_only(&error),
        _ if is_full_shared_memory() => full(&error),
        _ => AppError::internal(error),
    }
}

fn full(cause: &dyn std::error::Error) -> AppError {
    tracing::warn!(cause = %cause, "the disk of the database is full");
    Code::StorageFull.into()
}

enum Class {
    Away,
    /// The disk is full.
    Full,
    /// It takes no changes.
    ReadOnly,
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
            // PostgreSQL; SQLite, for its log (13) and for what it shares with other connections (4874).
            Some("53100" | "13" | "4874") => Class::Full,
            // PostgreSQL: a replica, or one that was told so; SQLite (8) and its extended codes.
            Some("25006" | "8" | "264" | "520" | "776" | "1032" | "1288" | "1544") => Class::ReadOnly,
            // What a replica says to a transaction that is to write.
            Some("0A000") if cause.message().contains("during recovery") => Class::ReadOnly,
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

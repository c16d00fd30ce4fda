//! Queries for positions in PostgreSQL's write-ahead log, on the primary and on a standby. The layer of queries depends on the
//! connections, so they are not part of it.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Statement, Value};

/// Position of the primary.
#[derive(Debug, FromQueryResult)]
pub(super) struct PrimaryPosition {
    /// End of the flushed part of the log, as text.
    pub lsn: String,
    /// Name of the current file of the log. Its first eight digits are the timeline.
    pub file: String,
    /// Identifier of the cluster, which its standbys have as well.
    pub system: i64,
    pub synchronous_commit: String,
}

/// State of a server that should be a standby, compared with a position.
#[derive(Debug, FromQueryResult)]
pub(super) struct StandbyPosition {
    pub in_recovery: bool,
    /// Number of bytes between its last replayed record and the position; not positive if it has replayed the position.
    pub missing: Option<i64>,
    pub timeline: Option<i32>,
    pub system: i64,
}

/// Reads the position of the primary.
pub(super) async fn primary<C: ConnectionTrait>(db: &C) -> Result<PrimaryPosition, DbErr> {
    let sql = "SELECT pg_current_wal_flush_lsn()::text AS lsn, pg_walfile_name(pg_current_wal_flush_lsn()) AS file, \
               (SELECT system_identifier FROM pg_control_system()) AS system, \
               current_setting('synchronous_commit') AS synchronous_commit";
    find_one(db, sql, Vec::new()).await
}

/// Compares a standby with a position of the primary.
pub(super) async fn standby<C: ConnectionTrait>(db: &C, lsn: &str) -> Result<StandbyPosition, DbErr> {
    // A role that may not see the receiver gets the timeline of the control file, which changes later.
    let sql = "SELECT pg_is_in_recovery() AS in_recovery, \
               pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint AS missing, \
               COALESCE((SELECT received_tli FROM pg_stat_wal_receiver), \
                        (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS timeline, \
               (SELECT system_identifier FROM pg_control_system()) AS system";
    find_one(db, sql, vec![lsn.into()]).await
}

async fn find_one<C: ConnectionTrait, T: FromQueryResult>(db: &C, sql: &str, values: Vec<Value>) -> Result<T, DbErr> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let row = T::find_by_statement(statement).one(db).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("the position in the write-ahead log".to_owned()))
}

//! Positions in the write-ahead log: that of the primary, and how far a standby is from it.

use std::{
    fmt, mem,
    sync::{Arc, Mutex},
};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement};
use tokio::sync::{Notify, oneshot};

use super::lock;
use crate::availability::Failure as _;

/// Position of the primary. The timeline is in the first eight digits of the name of a WAL file.
const POSITION: &str = "SELECT pg_current_wal_flush_lsn()::text AS lsn, pg_walfile_name(pg_current_wal_flush_lsn()) AS file, \
     (SELECT system_identifier FROM pg_control_system()) AS system, \
     current_setting('synchronous_commit') AS synchronous_commit";
/// State of the replica. A role that may not see the receiver gets the timeline of the control file, which changes later.
const STANDBY: &str = "SELECT pg_is_in_recovery() AS in_recovery, \
     pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint AS missing, \
     COALESCE((SELECT received_tli FROM pg_stat_wal_receiver), \
              (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS timeline, \
     (SELECT system_identifier FROM pg_control_system()) AS system";

/// Position in the write-ahead log of the primary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    lsn: String,
    timeline: i64,
    system: i64,
    /// True if commits are flushed before they are visible.
    pub is_synchronous: bool,
}

/// State of a server that should be a standby, compared with a position.
#[derive(Debug)]
pub(super) struct Standby {
    is_in_recovery: bool,
    /// Number of bytes between its last replayed record and the position; not positive if it has replayed the position.
    missing: Option<i64>,
    timeline: Option<i32>,
    system: i64,
}

/// Reason why a read goes to the primary.
#[derive(Debug)]
pub(super) enum Fault {
    /// The primary can't be reached.
    NoPosition,
    /// Commits on the primary become visible before they are flushed, so that its position doesn't cover them.
    AsynchronousCommit,
    /// No connection was free, or could be opened, in time.
    Busy,
    /// Number of bytes that the replica had not replayed in time.
    Lagging(i64),
    /// The replica doesn't respond in time.
    Silent,
    NotStandby,
    OtherSystem,
    OtherTimeline,
    Error(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::NoPosition => "the primary can't be reached",
            Self::AsynchronousCommit => "synchronous_commit is off on the primary, so its position isn't reliable",
            Self::Busy => "no connection is free",
            Self::Lagging(bytes) => return write!(to, "it lags {bytes} bytes behind the primary"),
            Self::Silent => "it doesn't answer",
            Self::NotStandby => "it isn't a standby, or was promoted",
            Self::OtherSystem => "it isn't a standby of this primary",
            Self::OtherTimeline => "it follows another timeline than the primary",
            Self::Error(error) => error.as_str(),
        })
    }
}

impl Standby {
    /// Queries the state of the server, compared with a position.
    pub async fn query(transaction: &DatabaseTransaction, position: &Position) -> Result<Self, DbErr> {
        let values = [position.lsn.as_str().into()];
        let row =
            transaction.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, STANDBY, values)).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the state of the replica".to_owned()))?;
        Ok(Self {
            is_in_recovery: row.try_get("", "in_recovery")?,
            missing: row.try_get("", "missing")?,
            timeline: row.try_get("", "timeline")?,
            system: row.try_get("", "system")?,
        })
    }

    /// Compares the server with the primary at a position. Returns the number of bytes that it has not replayed yet.
    pub fn missing(&self, position: &Position) -> Result<i64, Fault> {
        if self.system != position.system {
            return Err(Fault::OtherSystem);
        }
        if !self.is_in_recovery {
            return Err(Fault::NotStandby);
        }
        if self.timeline.map(i64::from) != Some(position.timeline) {
            return Err(Fault::OtherTimeline);
        }
        Ok(self.missing.unwrap_or(i64::MAX).max(0))
    }
}

impl Position {
    /// Queries the position of the primary.
    pub async fn query(primary: &impl ConnectionTrait) -> PositionAnswer {
        let row = primary.query_one_raw(Statement::from_string(DbBackend::Postgres, POSITION)).await;
        row.and_then(|row| Self::parse(&row.ok_or_else(|| DbErr::RecordNotFound("the position".to_owned()))?))
            .map(Arc::new)
            .map_err(|error| (!error.is_connection_error()).then(|| error.to_string().into()))
    }

    fn parse(row: &QueryResult) -> Result<Self, DbErr> {
        let file: String = row.try_get("", "file")?;
        let timeline = file.get(..8).and_then(|digits| i64::from_str_radix(digits, 16).ok());
        Ok(Self {
            lsn: row.try_get("", "lsn")?,
            timeline: timeline.ok_or_else(|| DbErr::Type(format!("{file} is not the name of a WAL file")))?,
            system: row.try_get("", "system")?,
            is_synchronous: row.try_get::<String>("", "synchronous_commit")? != "off",
        })
    }
}

/// Position of the primary, or the reason why the primary refuses to give it; `None` if it can't be reached.
pub(super) type PositionAnswer = Result<Arc<Position>, Option<Arc<str>>>;
pub(super) type PositionRequest = oneshot::Sender<PositionAnswer>;

/// Requests for the primary's position. All requests that arrive while a query is in progress share the next one.
#[derive(Debug, Default)]
pub(super) struct PositionRequests {
    waiting: Mutex<Vec<PositionRequest>>,
    arrived: Notify,
}

impl PositionRequests {
    /// Returns a position that is not older than this call.
    pub async fn request(&self) -> Result<Arc<Position>, Fault> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).push(sender);
        self.arrived.notify_one();
        match receiver.await {
            Ok(Ok(position)) => Ok(position),
            Ok(Err(Some(reason))) => Err(Fault::Error(reason.to_string())),
            Ok(Err(None)) | Err(_) => Err(Fault::NoPosition),
        }
    }

    /// Returns the requests that have arrived, at least one. Their position must be queried after that.
    pub async fn collect(&self) -> Vec<PositionRequest> {
        loop {
            self.arrived.notified().await;
            let waiting = mem::take(&mut *lock(&self.waiting));
            if !waiting.is_empty() {
                return waiting;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn requests_during_a_query_share_the_next_one() {
        let requests = Arc::new(PositionRequests::default());
        let request = || {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move { requests.request().await.unwrap().lsn.clone() })
        };
        let answer = |waiting: Vec<PositionRequest>, lsn: &str| {
            let position = Position { lsn: lsn.to_owned(), timeline: 1, system: 7, is_synchronous: true };
            let position = Ok(Arc::new(position));
            waiting.into_iter().for_each(|request| request.send(position.clone()).unwrap());
        };
        let first = request();
        let during_first = requests.collect().await;
        let later = [request(), request(), request()];
        while lock(&requests.waiting).len() < later.len() {
            tokio::task::yield_now().await;
        }
        answer(during_first, "0/1");
        assert_eq!(first.await.unwrap(), "0/1");
        answer(requests.collect().await, "0/2");
        for request in later {
            assert_eq!(request.await.unwrap(), "0/2", "a position that was queried before the request may be too old");
        }
    }

    #[test]
    fn only_a_standby_of_the_same_history_is_compared() {
        let position = Position { lsn: "0/10".to_owned(), timeline: 2, system: 7, is_synchronous: true };
        let standby =
            |is_in_recovery, timeline, system| Standby { is_in_recovery, missing: Some(-5), timeline, system };
        assert_eq!(standby(true, Some(2), 7).missing(&position).unwrap(), 0);
        assert!(matches!(standby(false, Some(2), 7).missing(&position), Err(Fault::NotStandby)));
        assert!(matches!(standby(true, Some(2), 8).missing(&position), Err(Fault::OtherSystem)));
        for timeline in [Some(1), Some(3), None] {
            assert!(matches!(standby(true, timeline, 7).missing(&position), Err(Fault::OtherTimeline)));
        }
        let behind = Standby { is_in_recovery: true, missing: Some(9), timeline: Some(2), system: 7 };
        assert_eq!(behind.missing(&position).unwrap(), 9);
        let unknown = Standby { missing: None, ..behind };
        assert!(unknown.missing(&position).unwrap() > 0);
    }
}

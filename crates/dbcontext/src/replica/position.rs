//! Positions in the write-ahead log: that of the primary, and how far a standby is from it.

use std::{
    fmt, mem,
    sync::{Arc, Mutex},
};

use sea_orm::{ConnectionTrait, DbErr};
use tokio::sync::{Notify, oneshot};

use super::{
    lock,
    replication::{self, PrimaryPosition, StandbyPosition},
};
use crate::availability::Failure as _;

/// Position in the write-ahead log of the primary.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub lsn: String,
    timeline: i64,
    system: i64,
    /// True if commits are flushed before they are visible.
    pub is_synchronous: bool,
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

/// Compares a server with the primary at a position. Returns the number of bytes that it has not replayed yet.
pub(super) fn missing_bytes(standby: &StandbyPosition, position: &Position) -> Result<i64, Fault> {
    if standby.system != position.system {
        return Err(Fault::OtherSystem);
    }
    if !standby.in_recovery {
        return Err(Fault::NotStandby);
    }
    if standby.timeline.map(i64::from) != Some(position.timeline) {
        return Err(Fault::OtherTimeline);
    }
    Ok(standby.missing.unwrap_or(i64::MAX).max(0))
}

impl Position {
    /// Queries the position of the primary.
    pub async fn query(primary: &impl ConnectionTrait) -> PositionAnswer {
        let position = replication::primary(primary).await.and_then(Self::parse);
        position.map(Arc::new).map_err(|error| (!error.is_connection_error()).then(|| error.to_string().into()))
    }

    fn parse(row: PrimaryPosition) -> Result<Self, DbErr> {
        let PrimaryPosition { lsn, file, system, synchronous_commit } = row;
        let timeline = file.get(..8).and_then(|digits| i64::from_str_radix(digits, 16).ok());
        let timeline = timeline.ok_or_else(|| DbErr::Type(format!("{file} is not the name of a WAL file")))?;
        Ok(Self { lsn, timeline, system, is_synchronous: synchronous_commit != "off" })
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
            |in_recovery, timeline, system| StandbyPosition { in_recovery, missing: Some(-5), timeline, system };
        let missing = |standby| missing_bytes(&standby, &position);
        assert_eq!(missing(standby(true, Some(2), 7)).unwrap(), 0);
        assert!(matches!(missing(standby(false, Some(2), 7)), Err(Fault::NotStandby)));
        assert!(matches!(missing(standby(true, Some(2), 8)), Err(Fault::OtherSystem)));
        for timeline in [Some(1), Some(3), None] {
            assert!(matches!(missing(standby(true, timeline, 7)), Err(Fault::OtherTimeline)));
        }
        assert_eq!(missing(StandbyPosition { missing: Some(9), ..standby(true, Some(2), 7) }).unwrap(), 9);
        assert!(missing(StandbyPosition { missing: None, ..standby(true, Some(2), 7) }).unwrap() > 0);
    }
}

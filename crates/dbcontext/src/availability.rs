//! Availability of the database: client-side timeouts, a circuit breaker and its probes.
//!
//! PostgreSQL limits the duration of statements by itself, but not if it is down or hangs, or if
//! the network drops packets silently: then the connection stays open without a response, and the
//! pool tries to connect for as long as the caller may wait. So if a response takes longer than
//! [`SLOW_RESPONSE`], [`Monitor`] probes the server with a connection of its own. If the probe
//! fails, the circuit breaker opens: pending and new statements fail at once until a probe
//! succeeds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use appcore::{
    AppError, RuntimeBound,
    breaker::{Breaker, Circuit, Policy},
};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout},
};

use crate::constraint::{is_read_only, is_read_only_cause};

/// Timeout of waiting for a pooled connection, after which the caller gets a 503.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
/// Timeout of a statement, including the wait for a connection: slightly more than PostgreSQL's own statement timeout.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(12);
/// Response time above which the server is probed.
const SLOW_RESPONSE: Duration = Duration::from_millis(300);
/// Timeout of connecting. A refused connection fails at once; the timeout applies to a server that doesn't respond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time after a refused write in which the older connections are tested before use. Each is used in it, or idle and
/// tested anyway.
const WRITE_REFUSAL_PERIOD: Duration = Duration::from_secs(60);
/// Minimum time between two probes while the breaker is closed.
const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Circuit breaker policy: a single failed probe opens the breaker. While it is open, the server is
/// probed often, because a refused connection is cheap.
const POLICY: Policy =
    Policy { failures: 1, pause: Duration::from_millis(100), longest_pause: Duration::from_millis(250) };

/// Runs requests to the database with a time limit, and fails them at once while the circuit breaker is open. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub(crate) struct Availability {
    /// Runtime that opened the database; connections belong to it and outlive their callers' runtimes.
    runtime: Handle,
    /// `None` for SQLite, which runs in this process.
    monitor: Option<Arc<Monitor>>,
}

impl Availability {
    /// Creates an instance for an in-process database, which is always reachable.
    pub fn unmonitored() -> Self {
        Self { runtime: Handle::current(), monitor: None }
    }

    pub fn monitored(options: PgConnectOptions) -> Self {
        Self { runtime: Handle::current(), monitor: Some(Arc::new(Monitor::start(options))) }
    }

    pub fn circuit(&self) -> Circuit {
        self.monitor.as_ref().map_or(Circuit::Closed, |monitor| monitor.state.breaker.circuit())
    }

    /// Decides whether a pooled connection can be used as it is, must be tested first, or is dead.
    pub fn check_pooled(&self, age: Duration, idle_for: Duration) -> PooledConnectionState {
        let Some(Monitor { state, .. }) = self.monitor.as_deref() else { return PooledConnectionState::Usable };
        let troubles = *state.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let is_since = |moment: Option<Instant>, time: Duration| moment.is_some_and(|moment| moment.elapsed() <= time);
        if is_since(troubles.probe_failed_at, age) {
            PooledConnectionState::Dead
        } else if is_since(troubles.connection_failed_at, idle_for)
            || is_since(troubles.write_refused_at, age.min(WRITE_REFUSAL_PERIOD))
        {
            PooledConnectionState::Unproven
        } else {
            PooledConnectionState::Usable
        }
    }

    /// Wraps a value that holds connections so that it is dropped on their runtime.
    pub fn bind<T>(&self, inside: T) -> RuntimeBound<T> {
        RuntimeBound::new(self.runtime.clone(), inside)
    }

    /// Awaits a result. Fails if `limit` passes or the circuit breaker opens first.
    pub async fn within<T, E: Failure>(
        &self,
        limit: Duration,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let mut asked = self.bind(Box::pin(asked));
        let Some(Monitor { state, .. }) = self.monitor.as_deref() else {
            return timeout(limit, asked).await.unwrap_or_else(|_| Err(E::from_abandoned_wait(TIMED_OUT)));
        };
        if state.breaker.is_open() {
            return Err(E::from_abandoned_wait(UNREACHABLE));
        }
        if let Ok(answer) = timeout(SLOW_RESPONSE.min(limit), &mut asked).await {
            if matches!(&answer, Err(error) if error.is_connection_error()) {
                state.record_failure(|troubles| &mut troubles.connection_failed_at);
                state.suspected.notify_one();
            }
            if matches!(&answer, Err(error) if error.is_write_refusal()) {
                state.record_failure(|troubles| &mut troubles.write_refused_at);
            }
            return answer;
        }
        state.suspected.notify_one();
        tokio::select! {
            answer = timeout(limit.saturating_sub(begun.elapsed()), &mut asked) => {
                answer.unwrap_or_else(|_| Err(E::from_abandoned_wait(TIMED_OUT)))
            }
            () = state.breaker.wait_until_open() => Err(E::from_abandoned_wait(UNREACHABLE)),
        }
    }
}

/// Probes the server over separate connections when requests are slow or fail, until a probe
/// succeeds.
#[derive(Debug)]
struct Monitor {
    state: Arc<ProbeState>,
    task: AbortHandle,
}

#[derive(Debug)]
struct ProbeState {
    breaker: Breaker,
    suspected: Notify,
    troubles: Mutex<LastFailures>,
    options: PgConnectOptions,
}

/// Times of the last events that may have broken pooled connections.
#[derive(Clone, Copy, Debug, Default)]
struct LastFailures {
    /// Time at which a connection last broke.
    connection_failed_at: Option<Instant>,
    /// Time at which a probe last failed.
    probe_failed_at: Option<Instant>,
    /// Time at which a read-only server last refused a write.
    write_refused_at: Option<Instant>,
}

/// Whether a pooled connection can be used, as judged before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PooledConnectionState {
    Usable,
    /// Another connection broke after this one was last used, or a write was refused, so this one must be tested first.
    Unproven,
    /// The connection was opened before the last outage.
    Dead,
}

impl Monitor {
    fn start(options: PgConnectOptions) -> Self {
        let state = Arc::new(ProbeState {
            breaker: Breaker::new("postgresql", POLICY),
            suspected: Notify::new(),
            troubles: Mutex::default(),
            options,
        });
        let task = tokio::spawn(Arc::clone(&state).run()).abort_handle();
        Self { state, task }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProbeState {
    fn record_failure(&self, which: impl FnOnce(&mut LastFailures) -> &mut Option<Instant>) {
        *which(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner)) = Some(Instant::now());
    }

    async fn run(self: Arc<Self>) {
        loop {
            self.suspected.notified().await;
            self.probe_until_it_answers().await;
            tokio::time::sleep(MIN_PROBE_INTERVAL).await;
        }
    }

    async fn probe_until_it_answers(&self) {
        loop {
            match self.breaker.admit() {
                Ok(probe) => match self.connect().await {
                    Ok(()) => return probe.record_success(),
                    Err(error) => {
                        self.record_failure(|troubles| &mut troubles.probe_failed_at);
                        probe.record_failure(&error);
                    }
                },
                Err(refused) => tokio::time::sleep(refused.retry_after).await,
            }
        }
    }

    /// Opens a connection to find out whether the server is reachable. An error response counts as
    /// reachable, except that of a server that is shutting down.
    async fn connect(&self) -> Result<(), sqlx::Error> {
        let connected =
            timeout(CONNECT_TIMEOUT, self.options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        match connected {
            Ok(connection) => {
                // Doesn't wait longer for the graceful close, which is optional.
                let _ = timeout(MIN_PROBE_INTERVAL, connection.close()).await;
                Ok(())
            }
            Err(sqlx::Error::Database(error)) if !is_going_away(error.code().as_deref()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const UNREACHABLE: &str = "database unreachable";
const TIMED_OUT: &str = "database request timed out";

/// Error types that can tell a broken connection from a failed statement.
pub(crate) trait Failure {
    fn is_connection_error(&self) -> bool;
    /// True if the server is read-only, such as a former primary after a fail-over.
    fn is_write_refusal(&self) -> bool;
    /// Creates the error of an abandoned wait.
    fn from_abandoned_wait(reason: &'static str) -> Self;
}

impl Failure for DbErr {
    fn is_connection_error(&self) -> bool {
        match self {
            Self::Conn(_) | Self::ConnectionAcquire(_) => true,
            Self::Exec(RuntimeErr::SqlxError(cause)) | Self::Query(RuntimeErr::SqlxError(cause)) => match &**cause {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
                sqlx::Error::Database(error) => is_going_away(error.code().as_deref()),
                _ => false,
            },
            _ => false,
        }
    }

    fn is_write_refusal(&self) -> bool {
        match self {
            Self::Exec(RuntimeErr::SqlxError(cause)) | Self::Query(RuntimeErr::SqlxError(cause)) => {
                is_read_only_cause(cause)
            }
            _ => false,
        }
    }

    fn from_abandoned_wait(reason: &'static str) -> Self {
        Self::Conn(RuntimeErr::Internal(reason.to_owned()))
    }
}

impl Failure for AppError {
    fn is_connection_error(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    fn is_write_refusal(&self) -> bool {
        is_read_only(self)
    }

    fn from_abandoned_wait(reason: &'static str) -> Self {
        Self::unavailable(anyhow::anyhow!(reason))
    }
}

/// Matches the error codes of a server that shuts down, has crashed or is starting up (57P01 to 57P03).
fn is_going_away(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("57P"))
}

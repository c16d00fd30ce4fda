//! Whether the database can be reached, and client-side timeouts for when it can't.
//!
//! PostgreSQL ends what takes too long by itself, but not when it is gone, when it stands still, or when the network drops packets
//! silently: then a connection stays open and nothing comes, and the pool tries to connect for as long as a caller may wait. So what
//! takes longer than [`SLOW`] has a connection of its own tried ([`Monitor`]). Where that fails the circuit breaker opens: everything that
//! waits for the database is answered at once, and so is what comes, until a probe succeeds.

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

/// How long a query may wait for a free connection before the caller gets a 503.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(8);
/// What a statement may take, the wait for a connection included: a little more than PostgreSQL gives a statement.
pub(crate) const STATEMENT: Duration = Duration::from_secs(12);
/// How long an answer may take before it is asked whether the database can be reached at all.
const SLOW: Duration = Duration::from_millis(300);
/// How long a new connection may take. One that is refused is refused at once; silence is only believed after this.
const CONNECT: Duration = Duration::from_secs(3);
/// Least time between two probes while the breaker is closed.
const BETWEEN_PROBES: Duration = Duration::from_millis(500);
/// A probe is evidence enough. While the database is away it is tried often: a refused connection costs nothing.
const POLICY: Policy =
    Policy { failures: 1, pause: Duration::from_millis(100), longest_pause: Duration::from_millis(250) };

/// Runs what is asked of a database, for as long as there is a chance of an answer. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Availability {
    /// Connections belong to the runtime that opened the database, and outlive whoever asks.
    runtime: Handle,
    /// `None` for SQLite, which is part of this process.
    monitor: Option<Arc<Monitor>>,
}

impl Availability {
    /// For a database that can't go away.
    pub fn always() -> Self {
        Self { runtime: Handle::current(), monitor: None }
    }

    pub fn monitored(options: PgConnectOptions) -> Self {
        Self { runtime: Handle::current(), monitor: Some(Arc::new(Monitor::start(options))) }
    }

    pub fn circuit(&self) -> Circuit {
        self.monitor.as_ref().map_or(Circuit::Closed, |monitor| monitor.state.breaker.circuit())
    }

    /// Whether a pooled connection can be used as it is, must prove first that it lives, or is dead.
    pub fn trust(&self, age: Duration, idle_for: Duration) -> Trust {
        let Some(Monitor { state, .. }) = self.monitor.as_deref() else { return Trust::Usable };
        let troubles = *state.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let is_since = |moment: Option<Instant>, time: Duration| moment.is_some_and(|moment| moment.elapsed() <= time);
        if is_since(troubles.away, age) {
            Trust::Dead
        } else if is_since(troubles.broken, idle_for) {
            Trust::Unproven
        } else {
            Trust::Usable
        }
    }

    /// Binds what holds connections to their runtime.
    pub fn bind<T>(&self, inside: T) -> RuntimeBound<T> {
        RuntimeBound::new(self.runtime.clone(), inside)
    }

    /// Waits for an answer: until `limit`, and only while the database can be reached.
    pub async fn within<T, E: Failure>(
        &self,
        limit: Duration,
        asked: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let mut asked = self.bind(Box::pin(asked));
        let Some(Monitor { state, .. }) = self.monitor.as_deref() else {
            return timeout(limit, asked).await.unwrap_or_else(|_| Err(E::from_wait(TOO_LATE)));
        };
        if state.breaker.is_open() {
            return Err(E::from_wait(AWAY));
        }
        if let Ok(answer) = timeout(SLOW.min(limit), &mut asked).await {
            if matches!(&answer, Err(error) if error.is_of_connection()) {
                state.troubled(|troubles| &mut troubles.broken);
                state.suspected.notify_one();
            }
            return answer;
        }
        state.suspected.notify_one();
        tokio::select! {
            answer = timeout(limit.saturating_sub(begun.elapsed()), &mut asked) => {
                answer.unwrap_or_else(|_| Err(E::from_wait(TOO_LATE)))
            }
            () = state.breaker.opened() => Err(E::from_wait(AWAY)),
        }
    }
}

/// Tries connections of its own when somebody suspects that the database is away, and as long as it is.
#[derive(Debug)]
struct Monitor {
    state: Arc<Probing>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Probing {
    breaker: Breaker,
    suspected: Notify,
    troubles: Mutex<Troubles>,
    options: PgConnectOptions,
}

/// What may have broken pooled connections.
#[derive(Clone, Copy, Debug, Default)]
struct Troubles {
    /// When a connection last broke.
    broken: Option<Instant>,
    /// When a probe last found it away.
    away: Option<Instant>,
}

/// What is known of a pooled connection before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Usable,
    /// Another one broke since it was last used.
    Unproven,
    /// It is older than the last outage.
    Dead,
}

impl Monitor {
    fn start(options: PgConnectOptions) -> Self {
        let state = Arc::new(Probing {
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

impl Probing {
    fn troubled(&self, which: impl FnOnce(&mut Troubles) -> &mut Option<Instant>) {
        *which(&mut self.troubles.lock().unwrap_or_else(PoisonError::into_inner)) = Some(Instant::now());
    }

    async fn run(self: Arc<Self>) {
        loop {
            self.suspected.notified().await;
            self.probe_until_it_answers().await;
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    }

    async fn probe_until_it_answers(&self) {
        loop {
            match self.breaker.admit() {
                Ok(probe) => match self.connect().await {
                    Ok(()) => return probe.succeeded(),
                    Err(error) => {
                        self.troubled(|troubles| &mut troubles.away);
                        probe.failed(&error);
                    }
                },
                Err(refused) => tokio::time::sleep(refused.retry_after).await,
            }
        }
    }

    /// Whether a new connection is accepted. A server that refuses it with a reason of its own is there.
    async fn connect(&self) -> Result<(), sqlx::Error> {
        let connected = timeout(CONNECT, self.options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        match connected {
            Ok(connection) => {
                // Nobody waits for a server to say goodbye.
                let _ = timeout(BETWEEN_PROBES, connection.close()).await;
                Ok(())
            }
            Err(sqlx::Error::Database(error)) if !is_going_away(error.code().as_deref()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

const AWAY: &str = "the database can't be reached";
const TOO_LATE: &str = "the database did not answer in time";

/// An error that may come of the connection and not of what was asked.
pub(crate) trait Failure {
    fn is_of_connection(&self) -> bool;
    /// For whoever is not to wait any longer.
    fn from_wait(reason: &'static str) -> Self;
}

impl Failure for DbErr {
    fn is_of_connection(&self) -> bool {
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

    fn from_wait(reason: &'static str) -> Self {
        Self::Conn(RuntimeErr::Internal(reason.to_owned()))
    }
}

impl Failure for AppError {
    fn is_of_connection(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    fn from_wait(reason: &'static str) -> Self {
        Self::unavailable(anyhow::anyhow!(reason))
    }
}

/// PostgreSQL shuts down, has crashed or is starting up (57P01 to 57P03).
fn is_going_away(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("57P"))
}

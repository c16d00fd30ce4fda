//! Redis client of the services: a pool, a circuit breaker, and a timeout for each command.
//!
//! Every caller has a fallback for an unavailable Redis. After a few consecutive failures the
//! breaker refuses commands at once, until a probe succeeds.

pub mod client_certificate;
pub mod sentinel;

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use appcore::{
    RuntimeBound, Secret,
    breaker::{Breaker, Circuit, Policy},
    config::split_hosts,
};
use deadpool_redis::{
    Pool, PoolError, Runtime,
    redis::{
        Cmd, Pipeline, RedisError, RedisFuture, Value,
        aio::{ConnectionLike, MultiplexedConnection},
    },
};
use tokio::{runtime::Handle, time::error::Elapsed};

/// Timeout of waiting for a connection, of creating one, and of checking one before it is used again. Without Redis, a
/// request continues after it.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(1);

const BREAKER_POLICY: Policy =
    Policy { failures: 3, pause: Duration::from_millis(250), longest_pause: Duration::from_millis(500) };
/// Timeout of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Redis client. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    pool: Connections,
    breaker: Arc<Breaker>,
    /// Runtime of the connections. They must outlive the worker thread that first used them.
    runtime: Handle,
}

#[derive(Clone)]
enum Connections {
    Server(Pool),
    Sentinel(sentinel::Pool),
}

/// Connection of the pool.
pub enum Connection {
    Server(deadpool_redis::Connection),
    Sentinel(sentinel::Connection),
}

impl Redis {
    /// Client for `redis.url`, whose connections live in the caller's runtime. Redis doesn't have to be available yet.
    pub fn open(url: &Secret) -> anyhow::Result<Self> {
        let servers = split_hosts(url.expose()).context("it is not a valid address")?;
        let timeout = Some(CONNECTION_TIMEOUT);
        if sentinel::is_sentinel(&servers) {
            let manager = sentinel::PrimaryManager::new(&servers)?;
            let pool = sentinel::Pool::builder(manager).wait_timeout(timeout).create_timeout(timeout);
            let pool = pool.recycle_timeout(timeout).runtime(Runtime::Tokio1).build()?;
            return Ok(Self::of(Connections::Sentinel(pool)));
        }
        let [server] = servers.as_slice() else { anyhow::bail!("several hosts need redis+sentinel://") };
        let client = client_certificate::client(server)?;
        let manager = deadpool_redis::Manager::new(client.get_connection_info().clone())?;
        let pool = Pool::builder(manager).wait_timeout(timeout).create_timeout(timeout);
        Ok(Self::new(pool.recycle_timeout(timeout).runtime(Runtime::Tokio1).build()?))
    }

    /// Client whose connections live in the caller's runtime.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self::of(Connections::Server(pool))
    }

    fn of(pool: Connections) -> Self {
        Self { pool, breaker: Arc::new(Breaker::new("redis", BREAKER_POLICY)), runtime: Handle::current() }
    }

    /// Connection from the pool, for a command that runs in [`Self::within`].
    pub async fn connection(&self) -> Result<Connection, PoolError> {
        Ok(match &self.pool {
            Connections::Server(pool) => Connection::Server(pool.get().await?),
            // Boxed, so that requests don't reserve memory for both kinds of pools.
            Connections::Sentinel(pool) => Connection::Sentinel(Box::pin(pool.get()).await?),
        })
    }

    /// Runs a command with a timeout, unless the circuit breaker is open.
    pub async fn execute<T>(
        &self,
        limit: Duration,
        question: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let admitted = self.breaker.admit()?;
        let question = RuntimeBound::new(self.runtime.clone(), Box::pin(question));
        let answer = tokio::time::timeout(limit, question).await.map_err(anyhow::Error::from).flatten();
        match &answer {
            Err(error) if is_connection_error(error) => admitted.record_failure(error),
            _ => admitted.record_success(),
        }
        answer
    }

    /// Sends a ping.
    pub async fn ping(&self) -> anyhow::Result<()> {
        let asked = self.execute(PING_TIMEOUT, async {
            let mut connection = self.connection().await?;
            Ok(deadpool_redis::redis::cmd("PING").query_async::<()>(&mut connection).await?)
        });
        asked.await
    }

    /// Number of open connections, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        let status = match &self.pool {
            Connections::Server(pool) => pool.status(),
            Connections::Sentinel(pool) => pool.status(),
        };
        (status.size, status.available)
    }

    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.breaker.circuit()
    }
}

impl Deref for Connection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        match self {
            Self::Server(connection) => connection,
            Self::Sentinel(connection) => connection,
        }
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        match self {
            Self::Server(connection) => connection,
            Self::Sentinel(connection) => connection,
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        (**self).req_packed_command(command)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        (**self).req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        (**self).get_db()
    }
}

/// True if Redis did not answer, as opposed to an error of the command.
fn is_connection_error(error: &anyhow::Error) -> bool {
    let of_redis = |error: &RedisError| {
        error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() || error.is_timeout()
    };
    error.is::<Elapsed>()
        || error.downcast_ref::<RedisError>().is_some_and(of_redis)
        || error.downcast_ref::<PoolError>().is_some_and(|error| match error {
            PoolError::Backend(error) => of_redis(error),
            PoolError::Timeout(_) => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unavailable_redis_opens_the_breaker() {
        let redis = Redis::new(stage::unreachable_redis());
        for _ in 0..BREAKER_POLICY.failures {
            assert_eq!(redis.circuit(), Circuit::Closed);
            let asked = redis.execute(Duration::from_secs(5), async { Ok(redis.connection().await.map(drop)?) }).await;
            assert!(asked.is_err());
        }
        assert_eq!(redis.circuit(), Circuit::Open);
        let refused = redis.execute(Duration::from_secs(5), std::future::pending::<anyhow::Result<()>>()).await;
        assert!(refused.unwrap_err().is::<appcore::breaker::CircuitOpen>());
    }
}

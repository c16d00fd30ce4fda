//! Addresses of the form `redis+sentinel://user:password@host:port,host:port/NAME/DATABASE`. The hosts are those of
//! Sentinel, the user and the password those of the Redis servers. The query may have `sentinel_user` and
//! `sentinel_password`, and those of a [client certificate](super::client_certificate).

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use redis::{
    ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError, TlsMode,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;
use url::Url;

use super::client_certificate;

/// Default port of Sentinel.
const PORT: u16 = 26_379;

/// True if the address names Sentinels, and not a Redis server.
#[must_use]
pub fn is_sentinel(servers: &[Url]) -> bool {
    servers.first().is_some_and(|server| server.scheme().ends_with("+sentinel"))
}

/// Client that finds the current primary.
pub fn client(servers: &[Url]) -> anyhow::Result<SentinelClient> {
    let Parts { sentinels, name, redis, own, is_encrypted } = Parts::parse(servers)?;
    let mut builder =
        SentinelClientBuilder::new(sentinels, name, SentinelServerType::Master)?.set_client_to_redis_db(redis.db());
    if let Some(user) = redis.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = redis.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = own.username() {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = own.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if is_encrypted {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificate) = servers.first().map(client_certificate::load).transpose()?.flatten() {
        builder = builder.set_client_to_redis_certificates(certificate.clone());
        builder = builder.set_client_to_sentinel_certificates(certificate);
    }
    Ok(builder.build()?)
}

/// Pool of connections to the current primary.
pub(super) type Pool = managed::Pool<PrimaryManager>;
pub(super) type Connection = managed::Object<PrimaryManager>;

/// Opens the connections of a pool to the current primary, and tests them.
pub struct PrimaryManager {
    client: Mutex<SentinelClient>,
    pings: AtomicUsize,
}

impl PrimaryManager {
    pub(super) fn new(servers: &[Url]) -> anyhow::Result<Self> {
        Ok(Self { client: Mutex::new(client(servers)?), pings: AtomicUsize::new(0) })
    }
}

impl managed::Manager for PrimaryManager {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> Result<MultiplexedConnection, RedisError> {
        self.client.lock().await.get_async_connection().await
    }

    async fn recycle(&self, connection: &mut MultiplexedConnection, _: &Metrics) -> RecycleResult<RedisError> {
        // A response to an earlier ping shows that the connection is out of step.
        let number = self.pings.fetch_add(1, Ordering::Relaxed).to_string();
        let answer: String = redis::cmd("PING").arg(&number).query_async(connection).await?;
        if answer == number { Ok(()) } else { Err(RecycleError::message("wrong response to a ping")) }
    }
}

/// Parts of an address.
struct Parts {
    sentinels: Vec<ConnectionAddr>,
    /// Name of the primary at the Sentinels.
    name: String,
    /// User, password and database of the primary.
    redis: RedisConnectionInfo,
    /// User and password of the Sentinels.
    own: RedisConnectionInfo,
    is_encrypted: bool,
}

impl Parts {
    fn parse(servers: &[Url]) -> anyhow::Result<Self> {
        let first = servers.first().context("there is no host")?;
        let mut path = first.path().trim_matches('/').split('/');
        let name = path.next().filter(|name| !name.is_empty()).context("the name of the primary is missing")?;
        let database = path.next().map(str::parse::<i64>).transpose().context("the database is not a number")?;
        let is_encrypted = first.scheme().starts_with("rediss");
        let of_query =
            |key: &str| first.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        // The library decodes the user and the password of a URL with its own scheme.
        let mut server = Url::parse(if is_encrypted { "rediss://primary" } else { "redis://primary" })?;
        let copied = server.set_username(first.username()).and_then(|()| server.set_password(first.password()));
        copied.ok().context("the user or the password is malformed")?;
        let mut redis = server.as_str().into_connection_info()?.redis_settings().clone();
        if let Some(database) = database {
            redis = redis.set_db(database);
        }
        let mut own = RedisConnectionInfo::default();
        if let Some(user) = of_query("sentinel_user") {
            own = own.set_username(user);
        }
        if let Some(password) = of_query("sentinel_password") {
            own = own.set_password(password);
        }
        let sentinels = servers.iter().map(|server| {
            let (host, port) =
                (server.host_str().context("a host is missing")?.to_owned(), server.port().unwrap_or(PORT));
            Ok(if is_encrypted {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            } else {
                ConnectionAddr::Tcp(host, port)
            })
        });
        let sentinels = sentinels.collect::<anyhow::Result<_>>()?;
        Ok(Self { sentinels, name: name.to_owned(), redis, own, is_encrypted })
    }
}

#[cfg(test)]
mod tests {
    use appcore::config::split_hosts;

    use super::*;

    #[test]
    fn parses_hosts_name_database_and_passwords() {
        let text = "rediss+sentinel://natter:p%40ss@one:1,two/main/3?sentinel_user=watch&sentinel_password=secret";
        let servers = split_hosts(text).unwrap();
        assert!(is_sentinel(&servers));
        let Parts { sentinels, name, redis, own, .. } = Parts::parse(&servers).unwrap();
        let addresses: Vec<String> = sentinels.iter().map(ToString::to_string).collect();
        assert_eq!((addresses, name.as_str()), (vec!["one:1".to_owned(), "two:26379".to_owned()], "main"));
        assert_eq!((own.username(), own.password()), (Some("watch"), Some("secret")));
        assert_eq!((redis.username(), redis.password(), redis.db()), (Some("natter"), Some("p@ss"), 3));
        for malformed in ["redis+sentinel://one", "redis+sentinel://one/main/x"] {
            assert!(client(&split_hosts(malformed).unwrap()).is_err(), "{malformed}");
        }
        assert!(!is_sentinel(&split_hosts("redis://one/0").unwrap()));
    }
}

//! Addresses of the form `redis+sentinel://user:password@host:port,host:port/NAME/DATABASE`. The hosts are those of
//! Sentinel, the user and the password those of the Redis servers. The query may have `sentinel_user` and
//! `sentinel_password`.

use anyhow::Context as _;
use deadpool_redis::sentinel::{
    Manager, SentinelNodeConnectionInfo as PoolNode, SentinelServerType as PoolNodeType, TlsMode as PoolTls,
};
use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, TlsMode,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};
use url::Url;

/// Default port of Sentinel.
const PORT: u16 = 26_379;

/// True if the address names Sentinels, and not a Redis server.
#[must_use]
pub fn is_sentinel(servers: &[Url]) -> bool {
    servers.first().is_some_and(|server| server.scheme().ends_with("+sentinel"))
}

/// Client that finds the current primary.
pub fn client(servers: &[Url]) -> anyhow::Result<SentinelClient> {
    let Parts { sentinels, name, redis, is_encrypted } = Parts::parse(servers)?;
    let mut node = SentinelNodeConnectionInfo::default().set_redis_connection_info(redis);
    if is_encrypted {
        node = node.set_tls_mode(TlsMode::Secure);
    }
    Ok(SentinelClient::build(sentinels, name, Some(node), SentinelServerType::Master)?)
}

/// Creates the connections of a pool to the current primary.
pub(super) fn manager(servers: &[Url]) -> anyhow::Result<Manager> {
    let Parts { sentinels, name, redis, is_encrypted } = Parts::parse(servers)?;
    let tls_mode = is_encrypted.then_some(PoolTls::Secure);
    let node = PoolNode { tls_mode, redis_connection_info: Some(redis.into()) };
    Ok(Manager::new(sentinels, name, Some(node), PoolNodeType::Master)?)
}

/// Parts of an address.
struct Parts {
    sentinels: Vec<ConnectionInfo>,
    /// Name of the primary at the Sentinels.
    name: String,
    /// User, password and database of the primary.
    redis: RedisConnectionInfo,
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
            let address = if is_encrypted {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            } else {
                ConnectionAddr::Tcp(host, port)
            };
            Ok(address.into_connection_info()?.set_redis_settings(own.clone()))
        });
        Ok(Self { sentinels: sentinels.collect::<anyhow::Result<_>>()?, name: name.to_owned(), redis, is_encrypted })
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
        let Parts { sentinels, name, .. } = Parts::parse(&servers).unwrap();
        let addresses: Vec<String> = sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        assert_eq!((addresses, name.as_str()), (vec!["one:1".to_owned(), "two:26379".to_owned()], "main"));
        assert_eq!(sentinels[0].redis_settings().username(), Some("watch"));
        for malformed in ["redis+sentinel://one", "redis+sentinel://one/main/x"] {
            assert!(client(&split_hosts(malformed).unwrap()).is_err(), "{malformed}");
        }
        assert!(!is_sentinel(&split_hosts("redis://one/0").unwrap()));
    }
}

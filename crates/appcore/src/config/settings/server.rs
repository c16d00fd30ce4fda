//! Settings of the process itself: server, database, Redis, metrics and outgoing connections.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use natter_macro::Settings;
use serde::Deserialize;
use url::{Url, form_urlencoded::byte_serialize};

use super::{listener, seconds, without_trailing_slash};
use crate::ConversationId;
use crate::config::Destination;
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("server")]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Address to listen on. 0.0.0.0 or :: listens on all addresses.
    #[setting(Text, default = "127.0.0.1")]
    pub host: String,
    /// Port to listen on. 0 selects a free one.
    #[setting(Number(0, 65_535), default = 8080)]
    pub port: u16,
    /// URL at which browsers reach this server, including its path if it is not at the root of the
    /// host. With https, cookies are marked Secure. Not set: an http URL from host and port.
    #[setting(Url(&["http", "https"]), example = "https://chat.example.org")]
    pub public_url: Option<Url>,
    /// Networks (CIDR) of the proxies whose forwarding headers are trusted to contain the client's
    /// address.
    #[setting(Networks, default = "")]
    pub trusted_proxies: Vec<IpNet>,
    /// Header in which a trusted proxy sends the client's country. It is ignored if another client
    /// sends it. none: no header.
    #[setting(Text, default = "CF-IPCountry")]
    country_header: String,
    /// Geolocation database in MaxMind's format (GeoLite2, DB-IP), for the list of devices. Not set: only the proxy's country header is used.
    #[setting(Text, example = "/var/lib/natter/GeoLite2-City.mmdb")]
    pub geoip_database: Option<PathBuf>,
    /// Other web origins that may call the API with the user's cookies, such as https://app.example.org.
    #[setting(Origins, default = "")]
    pub cors_origins: Vec<String>,
    /// URL at which other instances reach this one. Not set: an http URL from host and port or, if
    /// the server listens on all addresses, from the local address of the connection to Redis.
    #[setting(Url(&["http", "https"]), example = "http://10.0.0.5:8080")]
    pub advertise_url: Option<Url>,
    /// Maximum number of open HTTP connections per address (for IPv6 its /64), not counting trusted
    /// proxies and WebSockets; 0: unlimited.
    #[setting(Number(0, 1_000_000), default = 1000)]
    pub max_connections_per_address: usize,
    /// Maximum number of bytes of request bodies that this instance holds in memory at the same
    /// time. The last quarter is reserved for bodies of up to 64 KiB.
    #[setting(Number(65_536, 1_099_511_627_776), default = 268_435_456)]
    pub body_bytes: usize,
    /// Maximum part of server.body_bytes that one user may occupy.
    #[setting(Number(65_536, 1_099_511_627_776), default = 67_108_864)]
    pub body_bytes_per_user: usize,
    /// Maximum part of server.body_bytes that one address (for IPv6 its /64) may occupy without
    /// authentication.
    #[setting(Number(65_536, 1_099_511_627_776), default = 33_554_432)]
    pub body_bytes_per_address: usize,
    /// Number of threads that serve requests; 0: one per core.
    #[setting(Number(0, 1_024), default = 0)]
    pub workers: usize,
    /// Role of this instance: serve users (web), generate answers and send mail (worker), or both (all).
    #[setting(Choice(&["all", "web", "worker"]), default = "all")]
    pub role: Role,
    /// Directory of the database in embedded mode, and of e-mails if there is no mail server.
    #[setting(Text, default = "./data")]
    pub data_dir: PathBuf,
    /// Disk space that is kept free, in bytes. If less is free, messages are still stored, but
    /// other requests that need space are refused (507). 0: no reserve.
    #[setting(Number(0, 1_125_899_906_842_624), default = 536_870_912)]
    pub min_free_bytes: u64,
    /// Time that a shutdown waits for requests and jobs in progress, in seconds.
    #[setting(Number(0, 3_600), default = 30)]
    #[serde(rename = "shutdown_grace_seconds", deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
}

/// Role of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    All,
    Web,
    Worker,
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("database")]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// URL of an SQLite file or a PostgreSQL database. Not set: natter.db in server.data_dir.
    #[setting(SecretUrl(&["sqlite", "postgres", "postgresql"]), example = "postgres://natter:…@localhost/natter")]
    #[serde(default)]
    pub url: Secret,
    /// Maximum number of database connections of this instance. On PostgreSQL, its writer uses up
    /// to three more, and its liveness lock another one.
    #[setting(Number(2, 10_000), default = 20)]
    pub max_connections: u32,
    /// URL of a standby of the PostgreSQL database, from which history, search and lists are read. Not set: none.
    #[setting(SecretUrl(&["postgres", "postgresql"]), example = "postgres://natter:…@replica.internal/natter")]
    #[serde(default)]
    pub replica_url: Option<Secret>,
    /// Maximum number of connections of this instance to database.replica_url. Probes use another one.
    #[setting(Number(1, 10_000), default = 20)]
    pub replica_max_connections: u32,
    /// Connection pooler between this server and PostgreSQL: none, or PgBouncer in session or transaction mode. The same on all instances.
    #[setting(Choice(&["none", "session", "transaction"]), default = "none")]
    pub pooler: Pooler,
    /// Partitions of the messages and the event log: none, or monthly on PostgreSQL, for tables of tens of millions of rows. Existing tables are converted
    /// while the server runs, and aren't converted back.
    #[setting(Choice(&["none", "monthly"]), default = "none")]
    pub partitions: Partitions,
    /// Migrate the schema at the start. Not set: true on SQLite, false on PostgreSQL.
    #[setting(Switch, example = true)]
    pub(super) migrate_on_start: Option<bool>,
}

/// Partitions of the tables that grow with every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Partitions {
    None,
    Monthly,
}

/// Connection pooler between an instance and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooler {
    None,
    /// A client has a connection to PostgreSQL for as long as it is connected.
    Session,
    /// A client has a connection to PostgreSQL for a transaction.
    Transaction,
}

/// Database engine, from the scheme of `database.url`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("redis")]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// URL of the Redis server that instances share: for events (unless bus.url is set), limits, presence and tickets.
    /// With Sentinel: redis+sentinel://host:port,host:port/NAME. Not set: this is the only instance.
    #[setting(ServerUrl(&["redis", "rediss", "redis+sentinel", "rediss+sentinel"]), example = "redis://localhost:6379/0")]
    pub url: Option<Secret>,
    /// File with the client certificate for Redis over TLS, in PEM format. Also used for a bus.url with rediss.
    #[setting(Text, example = "/etc/natter/redis.crt")]
    client_cert: Option<PathBuf>,
    /// File with the private key of redis.client_cert, in PEM format.
    #[setting(Text, example = "/etc/natter/redis.key")]
    client_key: Option<PathBuf>,
}

impl Redis {
    /// Adds the files of the client certificate to an address, unless it names others.
    pub(super) fn add_client_certificate(&self, url: &mut Secret) {
        let mut text = url.expose().to_owned();
        if text.contains("client_cert=") {
            return;
        }
        for (name, file) in [("client_cert", &self.client_cert), ("client_key", &self.client_key)] {
            if let Some(file) = file {
                let separator = if text.contains('?') { '&' } else { '?' };
                let file: String = byte_serialize(file.as_os_str().as_encoded_bytes()).collect();
                text = format!("{text}{separator}{name}={file}");
            }
        }
        *url = Secret::from(text);
    }
}

/// Message broker through which other programs receive events.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("events")]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// URL of the broker through which other programs receive all durable events and changes of accounts:
    /// nats://host:port,host:port with JetStream (tls: encrypted), or kafka://host:port,host:port. Not set: none.
    #[setting(ServerUrl(&["nats", "tls", "kafka"]), example = "nats://nats.internal:4222")]
    #[serde(default)]
    pub url: Option<Secret>,
    /// First part of the subjects on NATS: events of conversations have the subjects natter.chat.messages.0 to 15, changes
    /// of accounts natter.user_events.
    #[setting(Text, default = "natter")]
    pub subject_prefix: String,
    /// First part of the names of the topics on Kafka: team for team.chat.messages and team.user-events. Not set: chat.messages
    /// and user-events.
    #[setting(Text, example = "team")]
    #[serde(default)]
    pub topic_prefix: Option<String>,
    /// IDs of the conversations whose events are published. *: all.
    #[setting(Texts, default = "*")]
    pub conversations: Vec<String>,
}

impl Events {
    /// True if the events of this conversation are published.
    #[must_use]
    pub fn includes(&self, conversation: ConversationId) -> bool {
        self.conversations.iter().any(|chosen| chosen == "*" || chosen.parse() == Ok(conversation.0))
    }
}

/// Bus that carries events between instances.
#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("bus")]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// URL of the server that carries events between instances: redis://, redis+sentinel://host:port,host:port/NAME,
    /// redis+cluster://host:port,host:port or nats://host:port,host:port (rediss and tls: encrypted). Not set: redis.url.
    #[setting(
        ServerUrl(&[
            "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "nats", "tls"
        ]),
        example = "nats://nats.internal:4222"
    )]
    pub url: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("metrics")]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port that serve /metrics for Prometheus. They must not be public. none: no
    /// metrics.
    #[setting(Listen, default = "127.0.0.1:9464")]
    #[serde(deserialize_with = "listener")]
    pub listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("audit")]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Number of days after which entries of the audit log are deleted. 0: never.
    #[setting(Number(0, 36_500), default = 365)]
    pub retention_days: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("workspaces")]
#[serde(deny_unknown_fields)]
pub struct Workspaces {
    /// Name of the workspace that everyone joins at sign-up; none: there is no such workspace. Not
    /// set: Home on SQLite, none on PostgreSQL.
    #[setting(Text, example = "Home")]
    pub(super) shared: Option<String>,
}

/// Settings of requests to URLs that users choose.
#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("outgoing")]
#[serde(deny_unknown_fields)]
pub struct Outgoing {
    /// Hosts, addresses and networks outside the public Internet that may be requested, also by
    /// http, when users choose the URL (MCP servers, images by URL, link previews).
    #[setting(Destinations, example = "files.example.org,10.1.0.0/16")]
    #[serde(default)]
    pub allow: Vec<Destination>,
}

impl Server {
    /// Public URL of the server, without a trailing slash.
    pub fn public_url(&self) -> String {
        self.public_url.as_ref().map_or_else(|| self.local_url(), without_trailing_slash)
    }

    /// Base path of the app, such as `/chat`; empty at the root of its host.
    pub fn base_path(&self) -> &str {
        self.public_url.as_ref().map_or("", |url| url.path().trim_end_matches('/'))
    }

    /// Checks `public_url`. Its path is used in pages, cookies and proxy rules without escaping. It
    /// must not begin with a path of the API or of static files, because then it would be unclear
    /// whether a proxy has already stripped it.
    pub(super) fn is_base_path_valid(&self) -> bool {
        let Some(url) = &self.public_url else { return true };
        let path = url.path().strip_prefix('/').unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain);
        let is_own = path.split('/').next().is_some_and(|first| RESERVED_PATHS.contains(&first));
        url.query().is_none()
            && url.fragment().is_none()
            && (path.is_empty() || (path.split('/').all(is_segment) && !is_own))
    }

    /// Host of the public URL, or `localhost`.
    pub fn public_host(&self) -> String {
        self.public_url.as_ref().and_then(Url::host_str).map_or_else(|| "localhost".to_owned(), str::to_owned)
    }

    /// URL at which other instances reach this one.
    pub fn advertise_url(&self) -> String {
        self.advertise_url.as_ref().map_or_else(|| self.local_url(), without_trailing_slash)
    }

    /// Header in which trusted proxies send the client's country; `None` if none is configured.
    pub fn country_header(&self) -> Option<&str> {
        Some(self.country_header.as_str()).filter(|name| *name != "none")
    }

    /// True if the server listens on the loopback interface only.
    pub fn is_on_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// True if the public URL is https, so that cookies are marked Secure.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// URL from host and port. An unspecified address such as 0.0.0.0 is replaced by `localhost`.
    fn local_url(&self) -> String {
        let host = match self.host.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => "localhost".to_owned(),
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => self.host.clone(),
        };
        format!("http://{host}:{}", self.port)
    }
}

impl Database {
    pub fn kind(&self) -> DatabaseKind {
        if self.url.expose().starts_with("postgres") { DatabaseKind::Postgres } else { DatabaseKind::Sqlite }
    }
}

/// First path segments that belong to the API or to static files.
pub(super) const RESERVED_PATHS: [&str; 13] = [
    "r1",
    "v1",
    "v1beta",
    "v2",
    "api",
    "openai",
    "files",
    "health",
    "metrics",
    "socket.io",
    "docs",
    ".well-known",
    "_app",
];

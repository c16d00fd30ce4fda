//! Typed configuration: one struct per section, in which each setting is declared once.

mod ai;
mod auth;
mod conversations;
mod limits;
mod payment;
mod server;
mod storage;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use url::Url;

pub use ai::{
    Ai, ChatTitleSource, Gateway, Knowledge, Mcp, McpCommand, Provider, ReservationSettings, SearchProviderKind,
    UnknownPricePolicy, WebSearch,
};
pub use auth::{Auth, Mail, OauthKind, OauthProvider, SignUpPolicy};
use conversations::JOB_KINDS;
pub use conversations::{Jobs, Messages, Realtime};
pub use limits::{Firewall, RateLimit};
pub use payment::{GatewaySettings, Payment, Seller};
use server::RESERVED_PATHS;
pub use server::{
    Audit, Bus, Database, DatabaseKind, Events, Metrics, Outgoing, Partitions, Pooler, Redis, Role, Server, Workspaces,
};
pub use storage::{Backup, Search, Uploads};

use super::error::ConfigError;
use super::setting::Setting;
use crate::{Secret, auth::password::Policy as PasswordPolicy};

/// Settings of all sections, in the order of the reference file.
pub(super) const SECTIONS: [&[Setting]; 31] = [
    Server::SETTINGS,
    Database::SETTINGS,
    Redis::SETTINGS,
    Bus::SETTINGS,
    Events::SETTINGS,
    Auth::SETTINGS,
    PasswordPolicy::SETTINGS,
    OauthProvider::SETTINGS,
    Mail::SETTINGS,
    RateLimit::SETTINGS,
    Firewall::SETTINGS,
    Metrics::SETTINGS,
    Audit::SETTINGS,
    Workspaces::SETTINGS,
    Messages::SETTINGS,
    Realtime::SETTINGS,
    Jobs::SETTINGS,
    Ai::SETTINGS,
    Provider::SETTINGS,
    Knowledge::SETTINGS,
    Mcp::SETTINGS,
    McpCommand::SETTINGS,
    Gateway::SETTINGS,
    WebSearch::SETTINGS,
    Uploads::SETTINGS,
    Search::SETTINGS,
    Backup::SETTINGS,
    Outgoing::SETTINGS,
    ReservationSettings::SETTINGS,
    Payment::SETTINGS,
    Seller::SETTINGS,
];

/// Configuration of an instance. The attributes of a field declare the accepted values and the
/// default. Its doc comment is the explanation for operators.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// All settings for the admin console, with the source of each value. Secrets are masked.
    #[serde(skip)]
    pub described: Vec<crate::view::Setting>,
    pub server: Server,
    pub database: Database,
    #[serde(default)]
    pub redis: Redis,
    #[serde(default)]
    pub bus: Bus,
    pub events: Events,
    pub auth: Auth,
    #[serde(default)]
    pub mail: Mail,
    pub rate_limit: RateLimit,
    pub firewall: Firewall,
    pub metrics: Metrics,
    pub audit: Audit,
    #[serde(default)]
    pub workspaces: Workspaces,
    pub messages: Messages,
    pub realtime: Realtime,
    pub jobs: Jobs,
    pub ai: Ai,
    pub knowledge: Knowledge,
    pub mcp: Mcp,
    pub gateway: Gateway,
    #[serde(default)]
    pub web_search: WebSearch,
    pub uploads: Uploads,
    #[serde(default)]
    pub search: Search,
    pub backup: Backup,
    #[serde(default)]
    pub outgoing: Outgoing,
    pub holds: ReservationSettings,
    pub payment: Payment,
}

impl Config {
    /// True in embedded mode: SQLite and a single process.
    pub fn is_embedded(&self) -> bool {
        self.database.kind() == DatabaseKind::Sqlite
    }

    /// URL of the bus between instances; `None` if this is the only instance.
    pub fn bus_url(&self) -> Option<&Secret> {
        self.bus.url.as_ref().or(self.redis.url.as_ref())
    }

    /// True if the server may be reachable from other machines.
    pub fn is_reachable_by_others(&self) -> bool {
        let is_known_here = self.server.public_url.as_ref().is_none_or(is_loopback);
        !self.server.is_on_loopback() || !is_known_here || !self.server.trusted_proxies.is_empty()
    }

    /// True if `natter serve` migrates the schema at the start.
    pub fn migrate_on_start(&self) -> bool {
        self.database.migrate_on_start.unwrap_or(self.is_embedded())
    }

    /// Name of the workspace that everyone joins at sign-up.
    pub fn shared_workspace(&self) -> Option<&str> {
        let usual = if self.is_embedded() { "Home" } else { "none" };
        Some(self.workspaces.shared.as_deref().unwrap_or(usual)).filter(|name| *name != "none")
    }

    /// True if the setting determines the name of the shared workspace. Otherwise the workspace's
    /// owner does.
    pub fn names_shared_workspace(&self) -> bool {
        self.workspaces.shared.is_some()
    }

    /// Kinds of jobs that [`Jobs::kinds`] may contain.
    pub const JOB_KINDS: &'static [&'static str] = JOB_KINDS;

    /// Fills in values that depend on other settings, and refuses combinations that are invalid.
    pub(super) fn complete(&mut self) -> Result<(), ConfigError> {
        if self.database.url.is_empty() {
            self.database.url = Secret::from(super::default_database(&self.server.data_dir));
        }
        if let Some(mut url) = self.redis.url.take() {
            self.redis.add_client_certificate(&mut url);
            self.redis.url = Some(url);
        }
        if let Some(url) = self.bus.url.as_mut().filter(|url| url.expose().starts_with("rediss")) {
            self.redis.add_client_certificate(url);
        }
        if self.is_embedded() && self.server.role != Role::All {
            return Err(ConfigError::new(
                "The setting server.role must be all on SQLite, which allows only one process. Set database.url to run several.",
            ));
        }
        if self.is_embedded() && self.database.replica_url.is_some() {
            return Err(ConfigError::new(
                "The setting database.replica_url needs a PostgreSQL database in database.url; SQLite has no replicas.",
            ));
        }
        if !self.server.is_base_path_valid() {
            return Err(ConfigError::new(format!(
                "The setting server.public_url may end with a path of letters, digits, '-', '.', '_' and '~', such as https://example.org/chat, but with no query and no fragment; and the path must not begin with one of ours ({}).",
                RESERVED_PATHS.join(", ")
            )));
        }
        if self.auth.refresh_ttl < self.auth.access_ttl {
            return Err(ConfigError::new("The setting auth.refresh_ttl must not be shorter than auth.access_ttl."));
        }
        if self.is_embedded() && self.database.partitions != Partitions::None {
            return Err(ConfigError::new(
                "The setting database.partitions must be none on SQLite, which has no partitions. Set database.url to use PostgreSQL.",
            ));
        }
        if self.jobs.backoff.is_empty() {
            return Err(ConfigError::new("The setting jobs.backoff must hold at least one number of seconds."));
        }
        if let Some(unknown) = self.jobs.unknown_kind() {
            return Err(ConfigError::new(format!(
                "The setting jobs.kinds must hold * or some of these kinds, each with or without a !: {}. It holds {unknown:?}.",
                JOB_KINDS.join(", ")
            )));
        }
        if !JOB_KINDS.iter().any(|kind| self.jobs.runs(kind)) && self.server.role != Role::Web {
            return Err(ConfigError::new(
                "The setting jobs.kinds leaves no kind of job for this instance. Set server.role to web if it should run none.",
            ));
        }
        if self.is_embedded() && !JOB_KINDS.iter().all(|kind| self.jobs.runs(kind)) {
            return Err(ConfigError::new(
                "The setting jobs.kinds must be * on SQLite, which allows only one process. Set database.url to run several.",
            ));
        }
        if self.firewall.durations.is_empty() {
            return Err(ConfigError::new("The setting firewall.durations must hold at least one number of seconds."));
        }
        for command in &self.mcp.commands {
            command.check()?;
        }
        for provider in &self.auth.oauth {
            provider.check()?;
        }
        self.web_search.check()?;
        for (asked, answered) in &self.ai.model_map {
            let provider = answered.split_once('/').map(|(provider, _)| provider);
            if !self.ai.providers.iter().any(|known| Some(known.name.as_str()) == provider) {
                return Err(ConfigError::new(format!(
                    "The setting ai.model_map.{asked:?} must name a configured provider, as <provider>/<model>, not {answered:?}."
                )));
            }
        }
        Ok(())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns the URL without a trailing slash, because the paths that are appended start with one.
fn without_trailing_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn listener<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "none" => Ok(None),
        address => address.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// Parses a list of numbers of seconds. The items of a list are always texts.
fn list_of_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map(Duration::from_secs).map_err(serde::de::Error::custom)).collect()
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(asked, value)| Ok((asked, String::deserialize(value).map_err(serde::de::Error::custom)?)))
        .collect()
}

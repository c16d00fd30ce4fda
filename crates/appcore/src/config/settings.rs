//! The settings as the program reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;
use utoipa::ToSchema;

use super::{destination::Destination, error::ConfigError};
use crate::{
    auth::password::Policy as PasswordPolicy,
    limit::{Limit, RateGroup, Violation},
    secret::Secret,
    view::ConversationKind,
};

/// Everything that can be set. What a setting means, and what holds when nobody sets it, is written once: in the table
/// that `config.toml` is made from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// All settings as people are shown them, with where each value came from; secrets hidden.
    #[serde(skip)]
    pub described: Vec<crate::view::Setting>,
    pub server: Server,
    pub database: Database,
    #[serde(default)]
    pub redis: Redis,
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
    pub uploads: Uploads,
    #[serde(default)]
    pub search: Search,
    pub backup: Backup,
    #[serde(default)]
    pub outgoing: Outgoing,
    pub holds: Holds,
    pub payment: Payment,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub public_url: Option<Url>,
    pub trusted_proxies: Vec<IpNet>,
    country_header: String,
    pub geoip_database: Option<PathBuf>,
    pub cors_origins: Vec<String>,
    pub advertise_url: Option<Url>,
    /// 0: no limit.
    pub max_connections_per_address: usize,
    /// Of requests' bodies in memory: all of them, one user's, and those of an address without one.
    pub body_bytes: usize,
    pub body_bytes_per_user: usize,
    pub body_bytes_per_address: usize,
    /// 0: one per core.
    pub workers: usize,
    pub role: Role,
    pub data_dir: PathBuf,
    pub min_free_bytes: u64,
    #[serde(rename = "shutdown_grace_seconds", deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    All,
    Web,
    Worker,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Always there once the configuration is loaded.
    #[serde(default)]
    pub url: Secret,
    pub max_connections: u32,
    migrate_on_start: Option<bool>,
}

/// Which engine `database.url` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Not set: this instance is alone and keeps everything in its own memory.
    pub url: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    #[serde(deserialize_with = "seconds")]
    pub access_ttl: Duration,
    #[serde(deserialize_with = "seconds")]
    pub refresh_ttl: Duration,
    #[serde(deserialize_with = "seconds")]
    pub refresh_grace: Duration,
    #[serde(deserialize_with = "seconds")]
    pub fresh_for: Duration,
    pub private_key_file: Option<PathBuf>,
    pub key_encryption_secret: Option<Secret>,
    pub setup_token: Option<Secret>,
    pub signup: SignUp,
    pub failed_signins: u32,
    pub failed_signins_per_address: u32,
    pub failed_signins_per_account: u32,
    #[serde(deserialize_with = "seconds")]
    pub failed_window: Duration,
    pub password: PasswordPolicy,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_oauth")]
    pub oauth: Vec<OauthProvider>,
}

/// Somebody by whom people can sign in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthProvider {
    #[serde(skip)]
    pub name: String,
    pub kind: OauthKind,
    /// As it was written: it is compared letter by letter.
    pub issuer: Option<String>,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub scopes: Option<Vec<String>>,
    pub trust_email: Option<bool>,
    pub team_id: Option<String>,
    pub key_id: Option<String>,
    pub private_key_file: Option<PathBuf>,
}

/// Which provider of identities it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OauthKind {
    Oidc,
    Google,
    Microsoft,
    Apple,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Not set: mails are written to files.
    pub smtp_url: Option<Secret>,
    pub from: Option<String>,
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    Open,
    Invite,
    Closed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub enabled: bool,
    /// 0: no such limit.
    pub flood_per_second: u32,
    pub flood_burst: u32,
    auth: Limit,
    refresh: Limit,
    message_send: Limit,
    upload: Limit,
    gateway: Limit,
    ephemeral: Limit,
    handshake: Limit,
    read: Limit,
    conversation: Limit,
    write: Limit,
}

impl RateLimit {
    pub const fn of(&self, group: RateGroup) -> Limit {
        match group {
            RateGroup::Auth => self.auth,
            RateGroup::Refresh => self.refresh,
            RateGroup::MessageSend => self.message_send,
            RateGroup::Upload => self.upload,
            RateGroup::Gateway => self.gateway,
            RateGroup::Ephemeral => self.ephemeral,
            RateGroup::Handshake => self.handshake,
            RateGroup::Read => self.read,
            RateGroup::Conversation => self.conversation,
            RateGroup::Write => self.write,
        }
    }
}

/// When an address is kept out. Nothing of it holds where `rate_limit.enabled` is off.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firewall {
    /// 0: nobody is banned but by an administrator.
    pub violations_to_ban: usize,
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// At least one.
    #[serde(deserialize_with = "list_of_seconds")]
    pub durations: Vec<Duration>,
    pub violations: Vec<Violation>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// None: nobody reads them.
    #[serde(deserialize_with = "listener")]
    pub listen: Option<SocketAddr>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// 0: the log is kept for ever.
    pub retention_days: u32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspaces {
    shared: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    pub max_chars: usize,
    pub max_prompt_chars: usize,
    /// 0: the event log is kept for ever.
    pub event_retention_days: u32,
}

impl Messages {
    /// How many characters a person's message in such a conversation may have.
    #[must_use]
    pub const fn max_chars_in(&self, kind: ConversationKind) -> usize {
        if kind.capabilities().asks_every_message { self.max_prompt_chars } else { self.max_chars }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Realtime {
    /// 0: no limit.
    pub max_connections_per_user: usize,
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// What may wait for a client that takes nothing for a second.
    pub backlog_bytes: usize,
    /// What may wait for a client that reads.
    pub max_backlog_bytes: usize,
    /// What may wait beyond `backlog_bytes` on all connections together.
    pub backlog_budget_bytes: usize,
    pub max_frames_per_second: u32,
    /// What a person may read of the log by syncing.
    pub sync_bytes_per_second: u32,
    /// Members up to which everybody who follows a conversation counts as a viewer of it.
    pub small_conversation: u32,
    /// Socket.IO sessions of one address whose client has not said who it is. 0: no limit.
    pub max_anonymous_per_address: usize,
    /// Bytes from which a frame is compressed for clients that agree to it. 0: nothing is agreed on.
    pub compression: usize,
    pub io_uring: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ai {
    pub default_model: Option<String>,
    /// What writes voice notes down.
    pub transcription_model: Option<String>,
    pub titles: Titles,
    pub context_tokens: usize,
    pub workers: usize,
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub answer_timeout: Duration,
    pub proxy: Option<Secret>,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_providers")]
    pub providers: Vec<Provider>,
    /// Another name for a model → `<provider>/<model>`.
    #[serde(default, deserialize_with = "pairs")]
    pub model_map: Vec<(String, String)>,
    /// Name of a model at its provider → what it takes.
    #[serde(default, deserialize_with = "pairs")]
    pub takes: Vec<(String, String)>,
}

/// Jobs that fail.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    pub max_attempts: u32,
    #[serde(deserialize_with = "list_of_seconds")]
    pub backoff: Vec<Duration>,
}

impl Jobs {
    /// How long a job waits that failed so many times; none: it is a dead letter.
    #[must_use]
    pub fn wait_after(&self, failures: u32) -> Option<Duration> {
        let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.backoff.get(place).or(self.backoff.last()).copied();
        wait.filter(|_| failures < self.max_attempts)
    }
}

/// Files that assistants know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// None: the first model whose name says so.
    pub model: Option<String>,
    pub max_files: u64,
    pub max_file_bytes: u64,
    pub max_pieces: u64,
    pub prompt_tokens: usize,
}

/// Tools of assistants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    #[serde(deserialize_with = "seconds")]
    pub call_timeout: Duration,
    #[serde(deserialize_with = "seconds")]
    pub confirm_timeout: Duration,
    pub max_calls: usize,
    pub max_rounds: usize,
    pub max_result_bytes: usize,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_commands")]
    pub commands: Vec<McpCommand>,
}

/// A program that has tools.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpCommand {
    #[serde(skip)]
    pub name: String,
    /// The program, then its arguments.
    pub command: Vec<String>,
    /// As `NAME=value`.
    #[serde(default)]
    pub env: Vec<Secret>,
    /// What administrators may add to it.
    #[serde(default)]
    pub env_names: Vec<String>,
}

impl McpCommand {
    /// Names and values.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, Secret)> {
        let pair = |text: &Secret| {
            let (name, value) = text.expose().split_once('=')?;
            Some((name.trim().to_owned(), Secret::new(value.to_owned())))
        };
        self.env.iter().filter_map(pair).collect()
    }

    fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        if self.command.first().is_none_or(|program| program.trim().is_empty()) {
            return Err(ConfigError::new(format!("The setting mcp.commands.{name}.command must name a program.")));
        }
        if self.env.iter().any(|text| text.expose().split_once('=').is_none_or(|(name, _)| name.trim().is_empty())) {
            return Err(ConfigError::new(format!(
                "The setting mcp.commands.{name}.env must have the form NAME=value."
            )));
        }
        Ok(())
    }
}

/// What programs ask of AI providers, under `/v1`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub max_body_bytes: usize,
    /// 0: no limit.
    pub default_rpm: u32,
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    pub unknown_price: UnknownPrice,
    /// Tokens that an answer is assumed to have at most where the caller sets no limit.
    pub assumed_output: u64,
    /// How long an answer is given again to the same question. Zero: never.
    #[serde(rename = "cache_seconds", deserialize_with = "seconds")]
    pub cache: Duration,
    /// 0: requests are kept for ever.
    pub retention_days: u32,
}

/// Files that people upload.
/// A search engine of the operator's, where messages are found by it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// A Meilisearch; none: the index is beside the database, or in it.
    #[serde(default)]
    pub url: Option<Url>,
    #[serde(default)]
    pub key: Option<Secret>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uploads {
    /// A folder, or `s3://bucket/prefix`; none: a folder in `server.data_dir`.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub s3_endpoint: Option<Url>,
    #[serde(default)]
    pub s3_region: Option<String>,
    #[serde(default)]
    pub s3_access_key_id: Option<Secret>,
    #[serde(default)]
    pub s3_secret_access_key: Option<Secret>,
    pub max_bytes: usize,
    /// Bytes of a workspace's files. 0: no limit.
    pub workspace_bytes: i64,
    /// Bytes of a person's files and texts. 0: no limit.
    pub user_bytes: i64,
    /// Bytes of a person's notes, drafts, scheduled messages, prompts, tasks and instructions. 0: no limit.
    pub text_bytes: i64,
    /// Bytes of those that are in no message yet.
    pub unsent_bytes: i64,
    /// Types of files that nobody may upload, such as `application/x-msdownload` or `video/*`.
    #[serde(default)]
    pub refused_types: Vec<String>,
}

impl Uploads {
    /// Whether nobody may upload files of this type.
    #[must_use]
    pub fn refuses(&self, media_type: &str) -> bool {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.refused_types.iter().any(|refused| match refused.strip_suffix("/*") {
            Some(family) => essence.split('/').next() == Some(family),
            None => essence == *refused,
        })
    }
}

/// Backups that the server makes by itself, on SQLite.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// 0: none are made.
    pub every_hours: u32,
    pub keep: usize,
    /// A folder, or `s3://bucket/prefix`; none: a folder in `server.data_dir`.
    #[serde(default)]
    pub url: Option<String>,
}

/// Requests to addresses that somebody else has chosen.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outgoing {
    /// What may be reached beyond the public Internet.
    #[serde(default)]
    pub allow: Vec<Destination>,
}

/// What is done with a model whose price nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPrice {
    /// It costs nothing.
    Free,
    Refuse,
}

/// What is held for requests that are under way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    #[serde(deserialize_with = "seconds")]
    pub expiry: Duration,
}

/// How people pay. Where no way is on, nothing is charged.
#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    #[serde(deserialize_with = "seconds")]
    pub reconcile_after: Duration,
    #[serde(deserialize_with = "seconds")]
    pub reconcile_every: Duration,
    /// 0: events are kept for ever.
    pub event_retention_days: u32,
    #[serde(deserialize_with = "seconds")]
    pub grace: Duration,
    pub seller: Seller,
    /// By their names.
    #[serde(flatten)]
    pub gateways: BTreeMap<String, GatewaySettings>,
}

/// What is set of a payment gateway. The gateway's own file knows what there is.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct GatewaySettings(toml::Table);

impl GatewaySettings {
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.0.get(ENABLED).and_then(toml::Value::as_bool).unwrap_or_default()
    }

    /// All but whether it is on.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let mut settings = self.0.clone();
        settings.remove(ENABLED);
        settings.try_into().map_err(|error: toml::de::Error| ConfigError::new(error.message().to_owned()))
    }
}

/// Some of it is secret.
impl fmt::Debug for GatewaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewaySettings").field(ENABLED, &self.is_enabled()).finish_non_exhaustive()
    }
}

const ENABLED: &str = "enabled";

/// Who sells, as it stands on receipts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    pub name: Option<String>,
    pub address: Option<String>,
    pub vat_id: Option<String>,
    pub tax_name: String,
    /// In hundredths of a percent; 0: no line of it.
    pub tax_rate: u32,
}

/// How a chat with an assistant is named after its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Titles {
    /// The model that answered is asked for a title.
    Model,
    /// The first words of the question.
    Words,
}

/// One AI service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    #[serde(skip)]
    pub name: String,
    /// The API that it speaks.
    pub kind: String,
    /// With the version segment.
    pub base_url: Option<Url>,
    #[serde(default)]
    pub keys: Vec<Secret>,
    pub models: Vec<String>,
    /// Of this instance; none: no limit.
    pub requests_per_minute: Option<u32>,
    /// For this provider; none: the proxy of all.
    pub proxy: Option<Secret>,
    /// Whether it speaks OpenAI's responses.
    #[serde(default)]
    pub responses: bool,
    /// Whether tools that it runs itself are handed on.
    #[serde(default)]
    pub hosted_tools: bool,
    /// Fields that route or cost, and pass to it.
    #[serde(default)]
    pub passes: Vec<String>,
}

impl Config {
    /// SQLite, one process: nothing else to install.
    pub fn is_embedded(&self) -> bool {
        self.database.kind() == DatabaseKind::Sqlite
    }

    /// Whether others than the people at this machine may get to this server.
    pub fn is_reachable_by_others(&self) -> bool {
        let is_known_here = self.server.public_url.as_ref().is_none_or(is_loopback);
        !self.server.is_on_loopback() || !is_known_here || !self.server.trusted_proxies.is_empty()
    }

    /// Whether `natter serve` brings the schema up to date by itself.
    pub fn migrate_on_start(&self) -> bool {
        self.database.migrate_on_start.unwrap_or(self.is_embedded())
    }

    /// The workspace that everyone joins at sign-up.
    pub fn shared_workspace(&self) -> Option<&str> {
        let usual = if self.is_embedded() { "Home" } else { "none" };
        Some(self.workspaces.shared.as_deref().unwrap_or(usual)).filter(|name| *name != "none")
    }

    /// Whether its name is the setting's. Otherwise whoever owns it names it.
    pub fn names_shared_workspace(&self) -> bool {
        self.workspaces.shared.is_some()
    }

    /// Fills in what depends on other settings, and refuses what can't be together.
    pub(super) fn complete(&mut self) -> Result<(), ConfigError> {
        if self.database.url.is_empty() {
            self.database.url = Secret::from(super::default_database(&self.server.data_dir));
        }
        if self.is_embedded() && self.server.role != Role::All {
            return Err(ConfigError::new(
                "The setting server.role must be all on SQLite, which one process has to itself; set database.url to share the work.",
            ));
        }
        if !self.server.is_path_possible() {
            return Err(ConfigError::new(format!(
                "The setting server.public_url may end with a path of letters, digits, '-', '.', '_' and '~', such as https://example.org/chat, but with no query and no fragment; and the path must not begin with one of ours ({}).",
                OWN_PATHS.join(", ")
            )));
        }
        if self.auth.refresh_ttl < self.auth.access_ttl {
            return Err(ConfigError::new("The setting auth.refresh_ttl must not be shorter than auth.access_ttl."));
        }
        if self.jobs.backoff.is_empty() {
            return Err(ConfigError::new("The setting jobs.backoff must hold at least one number of seconds."));
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

impl Server {
    /// The address that browsers use.
    pub fn public_url(&self) -> String {
        self.public_url.as_ref().map_or_else(|| self.own_url(), trimmed)
    }

    /// The path that the app stands below, such as `/chat`; empty at the root of its host.
    pub fn path(&self) -> &str {
        self.public_url.as_ref().map_or("", |url| url.path().trim_end_matches('/'))
    }

    /// It stands in pages, cookies and rules of proxies as it is, and what a proxy has taken it off already must not seem to have it still.
    fn is_path_possible(&self) -> bool {
        let Some(url) = &self.public_url else { return true };
        let path = url.path().strip_prefix('/').unwrap_or_default();
        let path = path.strip_suffix('/').unwrap_or(path);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let is_segment = |segment: &str| !segment.is_empty() && segment.bytes().all(is_plain);
        let is_own = path.split('/').next().is_some_and(|first| OWN_PATHS.contains(&first));
        url.query().is_none()
            && url.fragment().is_none()
            && (path.is_empty() || (path.split('/').all(is_segment) && !is_own))
    }

    /// The host of that address, for what needs a name.
    pub fn public_host(&self) -> String {
        self.public_url.as_ref().and_then(Url::host_str).map_or_else(|| "localhost".to_owned(), str::to_owned)
    }

    /// The address that other instances use.
    pub fn advertise_url(&self) -> String {
        self.advertise_url.as_ref().map_or_else(|| self.own_url(), trimmed)
    }

    /// The header that trusted proxies tell the client's country in; none: they don't.
    pub fn country_header(&self) -> Option<&str> {
        Some(self.country_header.as_str()).filter(|name| *name != "none")
    }

    /// Whether it listens for this machine alone.
    pub fn is_on_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Browsers come by TLS: cookies are marked Secure.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// An address that listens everywhere is reached by name, not by itself.
    fn own_url(&self) -> String {
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

impl OauthProvider {
    /// The longest name: it is a part of addresses.
    const MAX_NAME: usize = 40;

    fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let refuse = |what: &str| Err(ConfigError::new(format!("The setting auth.oauth.{name}{what}")));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if name.len() > Self::MAX_NAME || !name.bytes().all(plain) {
            return refuse(" must have a name of small letters, digits, - and _, because it is a part of addresses.");
        }
        match &self.issuer {
            Some(issuer) if !is_private(issuer) => {
                return refuse(".issuer must begin with https://, or be on this machine.");
            }
            None if self.kind == OauthKind::Oidc => return refuse(".issuer is missing: oidc may be anybody."),
            _ => {}
        }
        let has_key = self.team_id.is_some() && self.key_id.is_some() && self.private_key_file.is_some();
        if self.kind == OauthKind::Apple && self.client_secret.is_none() && !has_key {
            return refuse(" needs team_id, key_id and private_key_file, from which Apple's secret is made.");
        }
        Ok(())
    }
}

/// Whether nobody on the way can read or change what is sent there.
fn is_private(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Provider {
    /// Where its API is, where that is not the public service of its kind.
    pub fn base_url(&self) -> Option<String> {
        self.base_url.as_ref().map(trimmed)
    }
}

/// How addresses begin that are no pages of the app.
const OWN_PATHS: [&str; 9] = ["r1", "v1", "files", "health", "metrics", "socket.io", "docs", ".well-known", "_app"];

/// Paths are appended with their own slash.
fn trimmed(url: &Url) -> String {
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

/// Lists hold texts, whatever stands in them.
fn list_of_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map(Duration::from_secs).map_err(serde::de::Error::custom)).collect()
}

fn named_providers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Provider>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(name, value)| {
            let provider = Provider::deserialize(value).map_err(serde::de::Error::custom)?;
            Ok(Provider { name, ..provider })
        })
        .collect()
}

fn named_commands<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<McpCommand>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(name, value)| {
            let command = McpCommand::deserialize(value).map_err(serde::de::Error::custom)?;
            Ok(McpCommand { name, ..command })
        })
        .collect()
}

fn named_oauth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OauthProvider>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(name, value)| {
            let provider = OauthProvider::deserialize(value).map_err(serde::de::Error::custom)?;
            Ok(OauthProvider { name, ..provider })
        })
        .collect()
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    table
        .into_iter()
        .map(|(asked, value)| Ok((asked, String::deserialize(value).map_err(serde::de::Error::custom)?)))
        .collect()
}

//! Settings of assistants and of the gateway: providers, knowledge, tools.

use std::time::Duration;

use natter_macro::Settings;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{pairs, seconds, without_trailing_slash};
use crate::config::ConfigError;
use crate::credits::MicroCredits;
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("ai")]
#[serde(deny_unknown_fields)]
pub struct Ai {
    /// Model of assistants that have none of their own. Not set: the first model of the first
    /// provider.
    #[setting(Text, example = "openai/gpt-5-mini")]
    pub default_model: Option<String>,
    /// Title of a chat with an assistant, which is set after the first answer: either a text that
    /// the model generates in another short request (model), or the first words of the question
    /// (words).
    #[setting(Choice(&["model", "words"]), default = "words")]
    pub titles: ChatTitleSource,
    /// Model that transcribes voice notes, by its name in the gateway. Not set: voice notes are not
    /// transcribed.
    #[setting(Text, example = "whisper-1")]
    pub transcription_model: Option<String>,
    /// Maximum size of the conversation history that is sent to a model, in estimated tokens. The
    /// question itself is always sent in full.
    #[setting(Number(1_000, 10_000_000), default = 32_000)]
    pub context_tokens: usize,
    /// Maximum number of answers that this instance generates at the same time.
    #[setting(Number(1, 10_000), default = 64)]
    pub workers: usize,
    /// Timeout in seconds for a provider that sends no data while an answer is awaited or streamed.
    /// Some models think for minutes before the first word.
    #[setting(Number(1, 3_600), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// Timeout for one answer including retries, in seconds.
    #[setting(Number(1, 86_400), default = 1800)]
    #[serde(deserialize_with = "seconds")]
    pub answer_timeout: Duration,
    /// Proxy for calls to AI providers. Not set: no proxy.
    #[setting(SecretUrl(&["http", "https", "socks5", "socks5h"]), example = "socks5h://proxy.example.org:1080")]
    pub proxy: Option<Secret>,
    /// Providers, in the order of the file.
    #[serde(default, deserialize_with = "named_providers")]
    pub providers: Vec<Provider>,
    /// Alias of a model, as <provider>/<model>.
    #[setting(Text, each, example = "openai/gpt-5-mini")]
    #[serde(default, deserialize_with = "pairs")]
    pub model_map: Vec<(String, String)>,
    /// Request parameters that a model supports: thinking, sampling, maximum output and thoughts
    /// (see docs/gateway.md). The key is the provider's name of the model, or a prefix of it with *
    /// at the end. Overrides Natter's own table.
    #[setting(Text, each, example = "budget:0..38912 any 32768")]
    #[serde(default, deserialize_with = "pairs")]
    pub takes: Vec<(String, String)>,
}

/// Settings of the knowledge files of assistants.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("knowledge")]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// Model that embeds knowledge files and questions. Not set: the first model with "embed" in
    /// its name, if there is one.
    #[setting(Text, example = "text-embedding-3-small")]
    pub model: Option<String>,
    /// Maximum number of knowledge files per assistant.
    #[setting(Number(1, 1_000), default = 50)]
    pub max_files: u64,
    /// Maximum size of a knowledge file, in bytes.
    #[setting(Number(1_024, 1_073_741_824), default = 20_971_520)]
    pub max_file_bytes: u64,
    /// Maximum number of chunks, of about 500 tokens each, in the knowledge files of one assistant.
    /// All of them are searched for each answer.
    #[setting(Number(1, 1_000_000), default = 20_000)]
    pub max_pieces: u64,
    /// Maximum size of the chunks that are included in one request to a model, in tokens.
    #[setting(Number(500, 100_000), default = 4000)]
    pub prompt_tokens: usize,
}

/// Settings of the tools of assistants.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("mcp")]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Timeout of one tool call, in seconds.
    #[setting(Number(1, 3_600), default = 60)]
    #[serde(deserialize_with = "seconds")]
    pub call_timeout: Duration,
    /// Time that an answer waits for the user to allow a tool call, in seconds.
    #[setting(Number(10, 86_400), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub confirm_timeout: Duration,
    /// Maximum number of tool calls in one answer.
    #[setting(Number(1, 200), default = 32)]
    pub max_calls: usize,
    /// Maximum number of rounds of tool calls in one answer. After that the model must answer.
    #[setting(Number(1, 50), default = 8)]
    pub max_rounds: usize,
    /// Maximum size of a tool result that is sent to a model, in bytes. The rest is cut off.
    #[setting(Number(1_024, 1_048_576), default = 32_768)]
    pub max_result_bytes: usize,
    /// Commands, in the order of the file.
    #[serde(default, deserialize_with = "named_commands")]
    pub commands: Vec<McpCommand>,
}

/// Local MCP server, which runs as a program.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("mcp.commands.*")]
#[serde(deny_unknown_fields)]
pub struct McpCommand {
    #[serde(skip)]
    pub name: String,
    /// Program of an MCP server on this machine and its arguments. The server communicates over
    /// standard input and output. Only programs in this file are ever run.
    #[setting(Texts, example = "/usr/local/bin/docs-server,--stdio")]
    pub command: Vec<String>,
    /// Environment of the program, as NAME=value, in addition to PATH, HOME, LANG, LC_ALL, TMPDIR
    /// and TZ. The program inherits nothing else from this server.
    #[setting(Secrets, example = "TOKEN=…")]
    #[serde(default)]
    pub env: Vec<Secret>,
    /// Environment variables whose values administrators may set in the app. Must not include
    /// variables that change the program itself, such as PATH, LD_PRELOAD or NODE_OPTIONS.
    #[setting(Texts, example = "API_TOKEN")]
    #[serde(default)]
    pub env_names: Vec<String>,
}

impl McpCommand {
    /// Names and values of the environment variables in `env`.
    #[must_use]
    pub fn env_pairs(&self) -> Vec<(String, Secret)> {
        let pair = |text: &Secret| {
            let (name, value) = text.expose().split_once('=')?;
            Some((name.trim().to_owned(), Secret::new(value.to_owned())))
        };
        self.env.iter().filter_map(pair).collect()
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
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

/// Settings of the AI gateway, through which API clients call AI providers under `/v1`.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("gateway")]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Maximum size of a request under /v1, in bytes.
    #[setting(Number(65_536, 1_073_741_824), default = 33_554_432)]
    pub max_body_bytes: usize,
    /// Maximum number of requests per minute of a key that has no limit of its own. Applies only if
    /// rate_limit.enabled is true. 0: unlimited.
    #[setting(Number(0, 1_000_000_000), default = 60)]
    pub default_rpm: u32,
    /// Time without data after which a stream under /v1 sends a keep-alive, in seconds.
    #[setting(Number(1, 3_600), default = 15)]
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// Treatment of a model whose price is neither in the built-in table nor set by an
    /// administrator: it costs nothing (free), or calls are refused (refuse).
    #[setting(Choice(&["free", "refuse"]), default = "free")]
    pub unknown_price: UnknownPricePolicy,
    /// Number of output tokens that are reserved in a budget for a request without an output limit.
    #[setting(Number(1, 10_000_000), default = 4096)]
    pub assumed_output: u64,
    /// Lifetime of cached answers under /v1, in seconds. An identical request with the same key
    /// gets the cached answer if it asks for it. 0: no cache.
    #[setting(Number(0, 86_400), default = 300)]
    #[serde(rename = "cache_seconds", deserialize_with = "seconds")]
    pub cache: Duration,
    /// Number of days after which records of single requests are deleted; the daily sums are kept.
    /// 0: never.
    #[setting(Number(0, 36_500), default = 90)]
    pub retention_days: u32,
    /// Maximum size of a file under /v1/files, in bytes. It also limits the results of a batch.
    #[setting(Number(65_536, 1_099_511_627_776), default = 209_715_200)]
    pub file_bytes: u64,
    /// Maximum total size of the files that a user's API keys have stored under /v1/files, in
    /// bytes. Results of batches are stored beyond it, but count.
    #[setting(Number(65_536, 1_099_511_627_776), default = 2_147_483_648)]
    pub user_file_bytes: u64,
    /// Number of batches that an instance processes at the same time.
    #[setting(Number(1, 1_000), default = 4)]
    pub batches: usize,
    /// Number of requests of a batch that are processed at the same time.
    #[setting(Number(1, 1_000), default = 4)]
    pub batch_parallel: usize,
    /// Number of background responses that an instance executes at the same time.
    #[setting(Number(1, 10_000), default = 16)]
    pub background_responses: usize,
}

/// Settings of the web search that the gateway runs for models whose provider has none.
#[derive(Clone, Debug, Default, Deserialize, Settings)]
#[settings("web_search")]
#[serde(deny_unknown_fields)]
pub struct WebSearch {
    /// Search provider for requests under /v1 that ask for a web search, if the model's provider has
    /// none of its own: a SearXNG server (searxng), Tavily (tavily) or Brave Search (brave). Not set:
    /// no search.
    #[setting(Choice(&["searxng", "tavily", "brave"]), example = "searxng")]
    #[serde(default)]
    pub kind: Option<SearchProviderKind>,
    /// Base URL of the search provider. A server outside the public Internet must be listed in
    /// outgoing.allow. Not set: the public service of Tavily or Brave Search.
    #[setting(Url(&["http", "https"]), example = "https://searxng.example.org")]
    #[serde(default)]
    pub url: Option<Url>,
    /// API key of the search provider. SearXNG needs none.
    #[setting(Credential, example = "tvly-…")]
    #[serde(default)]
    pub key: Option<Secret>,
    /// Price of one search, in micro-credits. It is charged in addition to the tokens.
    #[setting(Number(0, 1_000_000_000), default = 0)]
    #[serde(default)]
    pub price: MicroCredits,
}

/// Kind of search provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchProviderKind {
    Searxng,
    Tavily,
    Brave,
}

impl WebSearch {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.kind {
            Some(SearchProviderKind::Searxng) if self.url.is_none() => {
                Err(ConfigError::new("The setting web_search.url must be the URL of the SearXNG server."))
            }
            Some(SearchProviderKind::Tavily | SearchProviderKind::Brave) if self.key.is_none() => {
                Err(ConfigError::new("The setting web_search.key must be the API key of the search provider."))
            }
            _ => Ok(()),
        }
    }
}

/// Treatment of models without a known price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPricePolicy {
    /// The model costs nothing.
    Free,
    Refuse,
}

/// Settings of budget reservations.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("holds")]
#[serde(deny_unknown_fields)]
pub struct ReservationSettings {
    /// Time after which a reservation in a budget expires if the instance that made it has crashed,
    /// in seconds.
    #[setting(Number(1, 86_400), default = 80)]
    #[serde(deserialize_with = "seconds")]
    pub expiry: Duration,
}

/// Source of the title of a chat with an assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatTitleSource {
    /// Title that the model generates.
    Model,
    /// The first words of the question.
    Words,
}

/// AI provider.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("ai.providers.*")]
#[serde(deny_unknown_fields)]
pub struct Provider {
    #[serde(skip)]
    pub name: String,
    /// API of the provider: openai (which many other providers support), or a native API. See
    /// docs/gateway.md for all of them.
    #[setting(Text, example = "openai")]
    pub kind: String,
    /// Base URL of the provider's API, including the version. Not set: the public service of its
    /// kind.
    #[setting(Url(&["http", "https"]), example = "https://api.openai.com/v1")]
    pub base_url: Option<Url>,
    /// API keys. A self-hosted server may need none. Keys with the same project, written as
    /// project=key, share a quota and are paused together.
    #[setting(Secrets, example = "sk-…")]
    #[serde(default)]
    pub keys: Vec<Secret>,
    /// Available models, with the preferred one first.
    #[setting(Texts, example = "gpt-5-mini")]
    pub models: Vec<String>,
    /// Maximum number of requests that this instance sends to the provider per minute. Not set:
    /// unlimited.
    #[setting(Number(1, 1_000_000), example = 60)]
    pub requests_per_minute: Option<u32>,
    /// Proxy for calls to this provider. Not set: the proxy in ai.proxy.
    #[setting(SecretUrl(&["http", "https", "socks5", "socks5h"]), example = "socks5h://name:password@proxy.example.org:1080")]
    pub proxy: Option<Secret>,
    /// True if a provider of kind openai supports /responses, so that such requests are passed
    /// through. Not set: they are converted to chat completions.
    #[setting(Switch, example = true)]
    #[serde(default)]
    pub responses: bool,
    /// Pass tools that the provider runs itself, such as web search, through with /responses. The
    /// provider bills them in addition to tokens, at the prices of the model. Not set: they are
    /// removed from requests.
    #[setting(Switch, example = true)]
    #[serde(default)]
    pub hosted_tools: bool,
    /// Request fields that select another model, provider or price, and that are passed through
    /// nevertheless (models, route, provider, plugins, transforms, web_search_options,
    /// service_tier, speed, inference_geo, store); for betas, a prefix of their name. Not set: they
    /// are removed.
    #[setting(Texts, example = "provider,service_tier")]
    #[serde(default)]
    pub passes: Vec<String>,
}

impl Provider {
    /// Configured base URL, without a trailing slash.
    pub fn base_url(&self) -> Option<String> {
        self.base_url.as_ref().map(without_trailing_slash)
    }
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

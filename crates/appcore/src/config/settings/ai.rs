//! Settings of assistants and of the gateway: providers, knowledge, tools.

use std::time::Duration;

use natter_macro::Settings;
use serde::{Deserialize, Deserializer};
use url::Url;

use super::{pairs, seconds, trimmed};
use crate::config::ConfigError;
use crate::secret::Secret;

#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("ai")]
#[serde(deny_unknown_fields)]
pub struct Ai {
    /// Model of assistants that name none. Not set: the first provider's first model.
    #[setting(Text, example = "openai/gpt-5-mini")]
    pub default_model: Option<String>,
    /// How a chat with an assistant is named after its first answer: model (one more short request) or words (the first ones of the question).
    #[setting(Choice(&["model", "words"]), default = "words")]
    pub titles: Titles,
    /// Model that writes down what is said in voice notes, by its name in the gateway. Not set: nobody does.
    #[setting(Text, example = "whisper-1")]
    pub transcription_model: Option<String>,
    /// Tokens (estimated) of a conversation that a model is given to read at most; the question itself always whole.
    #[setting(Number(1_000, 10_000_000), default = 32_000)]
    pub context_tokens: usize,
    /// Answers that this instance writes at the same time.
    #[setting(Number(1, 10_000), default = 64)]
    pub workers: usize,
    /// Seconds that a provider may be silent while an answer is awaited or streams; some think for minutes before their first word.
    #[setting(Number(1, 3_600), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// Seconds that one answer may take, retries included.
    #[setting(Number(1, 86_400), default = 1800)]
    #[serde(deserialize_with = "seconds")]
    pub answer_timeout: Duration,
    /// Proxy for calls to AI providers. Not set: none.
    #[setting(SecretUrl(&["http", "https", "socks5", "socks5h"]), example = "socks5h://proxy.example.org:1080")]
    pub proxy: Option<Secret>,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_providers")]
    pub providers: Vec<Provider>,
    /// Another name for a model, as <provider>/<model>.
    #[setting(Text, each, example = "openai/gpt-5-mini")]
    #[serde(default, deserialize_with = "pairs")]
    pub model_map: Vec<(String, String)>,
    /// What a model takes of a request, by its provider's name for it, * at the end for any that begin so: thinking, sampling, longest answer, thoughts (docs/gateway.md). It goes before what Natter knows of it.
    #[setting(Text, each, example = "budget:0..38912 any 32768")]
    #[serde(default, deserialize_with = "pairs")]
    pub takes: Vec<(String, String)>,
}

/// Files that assistants know.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("knowledge")]
#[serde(deny_unknown_fields)]
pub struct Knowledge {
    /// The model that embeds the files of assistants and what they are asked. Not set: the first one with "embed" in its name, if there is any.
    #[setting(Text, example = "text-embedding-3-small")]
    pub model: Option<String>,
    /// Files that one assistant can be given.
    #[setting(Number(1, 1_000), default = 50)]
    pub max_files: u64,
    /// Bytes of such a file at most.
    #[setting(Number(1_024, 1_073_741_824), default = 20_971_520)]
    pub max_file_bytes: u64,
    /// Pieces that the files of one assistant are cut into at most; each has some 500 tokens. All of them are looked at for each answer.
    #[setting(Number(1, 1_000_000), default = 20_000)]
    pub max_pieces: u64,
    /// Tokens of pieces that a model reads for one answer at most.
    #[setting(Number(500, 100_000), default = 4000)]
    pub prompt_tokens: usize,
}

/// Tools of assistants.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("mcp")]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Seconds that one call of a tool may take.
    #[setting(Number(1, 3_600), default = 60)]
    #[serde(deserialize_with = "seconds")]
    pub call_timeout: Duration,
    /// Seconds that an answer waits for whoever asked to allow a call of a tool.
    #[setting(Number(10, 86_400), default = 600)]
    #[serde(deserialize_with = "seconds")]
    pub confirm_timeout: Duration,
    /// Calls of tools for one answer at most.
    #[setting(Number(1, 200), default = 32)]
    pub max_calls: usize,
    /// How often a model may ask for tools in one answer; then it has to answer.
    #[setting(Number(1, 50), default = 8)]
    pub max_rounds: usize,
    /// Bytes of one tool's result that a model reads at most; the rest is left out.
    #[setting(Number(1_024, 1_048_576), default = 32_768)]
    pub max_result_bytes: usize,
    /// In the order in which they were written.
    #[serde(default, deserialize_with = "named_commands")]
    pub commands: Vec<McpCommand>,
}

/// A program that has tools.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("mcp.commands.*")]
#[serde(deny_unknown_fields)]
pub struct McpCommand {
    #[serde(skip)]
    pub name: String,
    /// A program on this machine that has tools (MCP over its standard streams), and its arguments. Only what stands here is ever run.
    #[setting(Texts, example = "/usr/local/bin/docs-server,--stdio")]
    pub command: Vec<String>,
    /// Its environment, as NAME=value, beside PATH, HOME, LANG, LC_ALL, TMPDIR and TZ. It gets nothing else of this server's.
    #[setting(Secrets, example = "TOKEN=…")]
    #[serde(default)]
    pub env: Vec<Secret>,
    /// Variables whose values admins may set in the app. None that change what is run, such as PATH, LD_PRELOAD or NODE_OPTIONS.
    #[setting(Texts, example = "API_TOKEN")]
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

/// What programs ask of AI providers, under `/v1`.
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("gateway")]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Bytes of a request under /v1 at most.
    #[setting(Number(65_536, 1_073_741_824), default = 33_554_432)]
    pub max_body_bytes: usize,
    /// Requests in a minute that a key may make which has no such limit of its own, where rate_limit.enabled. 0: any number.
    #[setting(Number(0, 1_000_000_000), default = 60)]
    pub default_rpm: u32,
    /// Seconds of silence after which a stream under /v1 says that it is alive.
    #[setting(Number(1, 3_600), default = 15)]
    #[serde(rename = "heartbeat_seconds", deserialize_with = "seconds")]
    pub heartbeat: Duration,
    /// What is done with a model whose price is neither in the shipped table nor set by an administrator: it costs nothing (free), or it is refused.
    #[setting(Choice(&["free", "refuse"]), default = "free")]
    pub unknown_price: UnknownPrice,
    /// Tokens that are held in a budget for an answer whose caller sets no limit.
    #[setting(Number(1, 10_000_000), default = 4096)]
    pub assumed_output: u64,
    /// Seconds for which an answer under /v1 is given again to the same question of the same key, where that asks for it. 0: never.
    #[setting(Number(0, 86_400), default = 300)]
    #[serde(rename = "cache_seconds", deserialize_with = "seconds")]
    pub cache: Duration,
    /// Days after which single requests are forgotten; the sums of days stay. 0: never.
    #[setting(Number(0, 36_500), default = 90)]
    pub retention_days: u32,
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
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("holds")]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// Seconds after which what is held in a budget is free again, where the instance died that was to settle it.
    #[setting(Number(1, 86_400), default = 80)]
    #[serde(deserialize_with = "seconds")]
    pub expiry: Duration,
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
#[derive(Clone, Debug, Deserialize, Settings)]
#[settings("ai.providers.*")]
#[serde(deny_unknown_fields)]
pub struct Provider {
    #[serde(skip)]
    pub name: String,
    /// Which API the provider speaks: openai (and everything compatible with it), or its own: docs/gateway.md lists them.
    #[setting(Text, example = "openai")]
    pub kind: String,
    /// Where the provider's API is, with its version. Not set: the public service of its kind.
    #[setting(Url(&["http", "https"]), example = "https://api.openai.com/v1")]
    pub base_url: Option<Url>,
    /// API keys; a server of one's own may need none. project=key: keys of one project share its quota and rest together.
    #[setting(Secrets, example = "sk-…")]
    #[serde(default)]
    pub keys: Vec<Secret>,
    /// Models that may be used, the preferred one first.
    #[setting(Texts, example = "gpt-5-mini")]
    pub models: Vec<String>,
    /// Requests that this instance sends to the provider in a minute at most. Not set: no limit.
    #[setting(Number(1, 1_000_000), example = 60)]
    pub requests_per_minute: Option<u32>,
    /// Proxy for calls to this provider. Not set: ai.proxy.
    #[setting(SecretUrl(&["http", "https", "socks5", "socks5h"]), example = "socks5h://name:password@proxy.example.org:1080")]
    pub proxy: Option<Secret>,
    /// Whether a provider of kind openai speaks /responses, too: then they pass as they are. Not set: they go to it as chat completions.
    #[setting(Switch, example = true)]
    #[serde(default)]
    pub responses: bool,
    /// Whether tools that the provider runs itself, such as a search of the web, pass to it with responses. They cost beside the tokens, by their prices at the model. Not set: they are left out.
    #[setting(Switch, example = true)]
    #[serde(default)]
    pub hosted_tools: bool,
    /// Fields that choose another model, provider or price (models, route, provider, plugins, transforms, web_search_options, service_tier, speed, inference_geo, store) and pass to the provider all the same; of betas the beginning. Not set: they are left out.
    #[setting(Texts, example = "provider,service_tier")]
    #[serde(default)]
    pub passes: Vec<String>,
}

impl Provider {
    /// Where its API is, where that is not the public service of its kind.
    pub fn base_url(&self) -> Option<String> {
        self.base_url.as_ref().map(trimmed)
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

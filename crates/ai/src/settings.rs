//! Settings of the AI providers, and resolution of model names.

use std::{collections::BTreeMap, time::Duration};

use appcore::config::Outgoing;
use reqwest::Url;

use crate::{AiError, ProviderKind, SearchSettings, Secret};

/// The configuration section `ai`.
#[derive(Debug, Clone, Default)]
pub struct AiSettings {
    /// Default model; the first provider's first model if unset.
    pub default_model: Option<String>,
    /// Outbound proxy, `http://…` or `socks5://…`. Proxies in environment variables are never used.
    pub proxy: Option<String>,
    /// Providers in order of preference. If there are none, the built-in demo answers.
    pub providers: Vec<ProviderSettings>,
    /// Requested model name → `<provider>/<model>`.
    pub model_map: BTreeMap<String, String>,
    /// Provider's name of a model, or a prefix followed by `*` → its parameters, which override the
    /// built-in table.
    pub model_params: BTreeMap<String, String>,
    pub limits: Limits,
    /// Search provider for models whose provider has none.
    pub web_search: Option<SearchSettings>,
    /// Network access of requests that fetch addresses given by callers, beyond the public
    /// Internet.
    pub outgoing: Outgoing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    pub name: String,
    pub kind: ProviderKind,
    /// Base URL including the version segment (`…/v1`, `…/v1beta`); the kind's public service if
    /// unset.
    pub base_url: Option<String>,
    /// API keys. Without any, requests carry no key, as local servers expect. `project=key` names
    /// the project whose quota the key shares.
    pub keys: Vec<Secret>,
    /// Models that may be requested; any model if empty.
    pub models: Vec<String>,
    pub requests_per_minute: Option<u32>,
    /// Overrides [`AiSettings::proxy`].
    pub proxy: Option<String>,
    /// True if an OpenAI-compatible server offers the Responses API; otherwise such calls are
    /// converted to chat completions.
    pub responses: bool,
    /// True if tools that the provider runs (web search, code interpreter) pass through in
    /// Responses API calls. They are billed separately from tokens.
    pub hosted_tools: bool,
    /// Names of restricted request fields, which select another model, provider or price, that pass
    /// through; betas by their prefixes.
    pub passes: Vec<String>,
}

/// Limits and timeouts of provider requests.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Timeout of the TCP and TLS handshakes (10 s).
    pub connect: Duration,
    /// Maximum silence while an answer is awaited or streams; stream comments count as activity (10
    /// min).
    pub idle: Duration,
    /// Timeout of one answer including all retries (30 min).
    pub deadline: Duration,
    /// Time to wait for usage figures once the answer is complete (2 s).
    pub linger: Duration,
    /// First delay between retries; doubles each time (1 s).
    pub backoff: Duration,
    /// Number of retries after the first attempt (3).
    pub retries: usize,
    /// Longest delay requested by a provider for which the server waits itself; a longer one is
    /// reported to the user (15 s).
    pub max_retry_after: Duration,
    /// Maximum size of a stream frame, in bytes (16 MiB): an image arrives in one frame.
    pub max_frame_bytes: usize,
    /// Maximum size of an answer, in bytes (64 MiB).
    pub max_answer_bytes: usize,
    /// Pause between two words of the demo (40 ms).
    pub demo_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            deadline: Duration::from_secs(1_800),
            linger: Duration::from_secs(2),
            backoff: Duration::from_secs(1),
            retries: 3,
            max_retry_after: Duration::from_secs(15),
            max_frame_bytes: 16 * 1024 * 1024,
            max_answer_bytes: 64 * 1024 * 1024,
            demo_pause: Duration::from_millis(40),
        }
    }
}

/// An invalid setting. The message names the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("ai.proxy is not a usable proxy address; write http://host:port or socks5://host:port")]
    Proxy,
    #[error("ai.providers.{0}.base_url is not a usable http or https address")]
    BaseUrl(String),
    #[error("ai.providers.{0}.keys holds a key that cannot stand in a header")]
    Key(String),
    #[error("ai.default_model names the model \"{0}\", which no provider has")]
    DefaultModel(String),
    #[error("ai.providers.{0}.models must name at least one model, or ai.default_model must be set")]
    NoModel(String),
    #[error("ai.model_map.{asked} must be \"<provider>/<model>\" with a provider of ai.providers")]
    ModelMap { asked: String },
    #[error("ai.takes.{0} must say thinking, sampling, the longest answer and thoughts as docs/gateway.md has them")]
    Takes(String),
    #[error("web_search.url or web_search.key is not usable")]
    WebSearch,
    #[error("the HTTP client could not be started; are the system's root certificates installed?")]
    Client,
}

/// Resolved model: index in [`AiSettings::providers`] and the provider's name of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub provider: usize,
    pub model: String,
}

impl ProviderSettings {
    /// Public service of this kind, without keys, for any model.
    #[must_use]
    pub fn new(name: String, kind: ProviderKind) -> Self {
        Self {
            name,
            kind,
            base_url: None,
            keys: Vec::new(),
            models: Vec::new(),
            requests_per_minute: None,
            proxy: None,
            responses: false,
            hosted_tools: false,
            passes: Vec::new(),
        }
    }

    /// Base URL of the service, including the version.
    pub(crate) fn base(&self) -> Result<Url, SettingsError> {
        let written = self.base_url.as_deref().map_or(self.kind.dialect().public_url(), str::trim);
        let base = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        base.ok_or_else(|| SettingsError::BaseUrl(self.name.clone()))
    }
}

impl AiSettings {
    /// Resolves the default model, or names the setting that is missing.
    pub(crate) fn default_target(&self) -> Result<Target, SettingsError> {
        match self.default_model.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => self
                .target(name)
                .or_else(|_| self.parse_target(name).ok_or(AiError::UnknownModel))
                .map_err(|_| SettingsError::DefaultModel(name.to_owned())),
            None => {
                let model = self.providers.first().and_then(|first| first.models.first());
                match model {
                    Some(model) => Ok(Target { provider: 0, model: model.clone() }),
                    None => {
                        Err(SettingsError::NoModel(self.providers.first().map_or_else(String::new, |p| p.name.clone())))
                    }
                }
            }
        }
    }

    /// Resolves a requested model name: by the map, by a provider's list, by `<provider>/<model>`,
    /// or at the first provider without a list. A provider with a list serves only models that an
    /// administrator mapped or listed.
    pub(crate) fn target(&self, asked: &str) -> Result<Target, AiError> {
        if let Some(mapped) = self.model_map.get(asked) {
            return self.parse_target(mapped).ok_or(AiError::UnknownModel);
        }
        if let Some(provider) =
            self.providers.iter().position(|provider| provider.models.iter().any(|model| model == asked))
        {
            return Ok(Target { provider, model: asked.to_owned() });
        }
        if let Some(target) = self.parse_target(asked) {
            let listed = &self.providers[target.provider].models;
            if listed.is_empty() || listed.contains(&target.model) {
                return Ok(target);
            }
        }
        let open = self.providers.iter().position(|provider| provider.models.is_empty());
        open.map(|provider| Target { provider, model: asked.to_owned() }).ok_or(AiError::UnknownModel)
    }

    /// Parses `<provider>/<model>`; a model's name may contain further slashes.
    fn parse_target(&self, name: &str) -> Option<Target> {
        let (provider, model) = name.split_once('/')?;
        let provider = self.providers.iter().position(|settings| settings.name.eq_ignore_ascii_case(provider))?;
        (!model.is_empty()).then(|| Target { provider, model: model.to_owned() })
    }

    pub(crate) fn check_map(&self) -> Result<(), SettingsError> {
        match self.model_map.iter().find(|(_, target)| self.parse_target(target).is_none()) {
            Some((asked, _)) => Err(SettingsError::ModelMap { asked: asked.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, models: &[&str]) -> ProviderSettings {
        let models = models.iter().map(|&model| model.to_owned()).collect();
        ProviderSettings { models, ..ProviderSettings::new(name.to_owned(), ProviderKind::OPENAI) }
    }

    fn target(provider: usize, model: &str) -> Target {
        Target { provider, model: model.to_owned() }
    }

    #[test]
    fn resolves_only_mapped_and_listed_names() {
        let settings = AiSettings {
            providers: vec![provider("openai", &["small", "org/large"]), provider("google", &["flash"])],
            model_map: [("fast".to_owned(), "google/lite".to_owned())].into(),
            ..AiSettings::default()
        };
        assert_eq!(settings.target("fast"), Ok(target(1, "lite")));
        assert_eq!(settings.target("flash"), Ok(target(1, "flash")));
        assert_eq!(settings.target("org/large"), Ok(target(0, "org/large")));
        assert_eq!(settings.target("OPENAI/org/large"), Ok(target(0, "org/large")));
        assert_eq!(settings.target("openai/secret-preview"), Err(AiError::UnknownModel));
        assert_eq!(settings.target("nothing"), Err(AiError::UnknownModel));
        assert_eq!(settings.default_target(), Ok(target(0, "small")));
    }

    #[test]
    fn accepts_any_name_without_a_list() {
        let settings = AiSettings {
            default_model: Some("local/llama".to_owned()),
            providers: vec![provider("local", &[])],
            ..AiSettings::default()
        };
        assert_eq!(settings.default_target(), Ok(target(0, "llama")));
        assert_eq!(settings.target("qwen"), Ok(target(0, "qwen")));
    }

    #[test]
    fn reports_the_key_of_invalid_settings() {
        let mut settings = AiSettings { providers: vec![provider("local", &[])], ..AiSettings::default() };
        assert_eq!(settings.default_target(), Err(SettingsError::NoModel("local".to_owned())));
        settings.providers[0].models.push("a".to_owned());
        settings.default_model = Some("b".to_owned());
        assert_eq!(settings.default_target(), Err(SettingsError::DefaultModel("b".to_owned())));
        settings.model_map.insert("x".to_owned(), "elsewhere/y".to_owned());
        assert_eq!(settings.check_map(), Err(SettingsError::ModelMap { asked: "x".to_owned() }));
    }
}

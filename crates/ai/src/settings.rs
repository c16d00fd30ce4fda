//! What the AI layer is told by configuration, and how a model's name finds its provider.

use std::{collections::BTreeMap, time::Duration};

use appcore::config::Outgoing;
use reqwest::Url;

use crate::{AiError, ProviderKind, Secret};

/// The section `ai` of the configuration.
#[derive(Debug, Clone, Default)]
pub struct AiSettings {
    /// The model of whoever asks for none. Without it the first provider's first model.
    pub default_model: Option<String>,
    /// An outbound proxy, `http://…` or `socks5://…`. The environment's proxies are never used.
    pub proxy: Option<String>,
    /// In order of preference. None: the built-in demo answers.
    pub providers: Vec<ProviderSettings>,
    /// Name that is asked for → `<provider>/<model>`.
    pub model_map: BTreeMap<String, String>,
    /// Name of a model at its provider, `*` at its end for any that begin so → what it takes, before the table that is shipped.
    pub takes: BTreeMap<String, String>,
    pub limits: Limits,
    /// What may be fetched for callers beyond the public Internet.
    pub outgoing: Outgoing,
}

/// One provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    pub name: String,
    pub kind: ProviderKind,
    /// With the version segment (`…/v1`, `…/v1beta`). Without it the kind's public service.
    pub base_url: Option<String>,
    /// None: requests carry no key, as local servers expect. `project=key` names the project whose quota the key shares.
    pub keys: Vec<Secret>,
    /// What may be asked of it. None named: any model.
    pub models: Vec<String>,
    pub requests_per_minute: Option<u32>,
    /// Instead of [`AiSettings::proxy`].
    pub proxy: Option<String>,
    /// Whether a server of OpenAI's kind speaks responses, too; else they go to it as chat completions.
    pub responses: bool,
    /// Whether tools that the provider runs itself (a search of the web, an interpreter) pass to it with responses. They cost beside the tokens.
    pub hosted_tools: bool,
    /// Fields of requests that choose another model or provider or a price, and that pass to it all the same, by their names; of betas by their beginnings.
    pub passes: Vec<String>,
}

/// Every limit and time-out towards a provider.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For the TCP and TLS handshakes (10 s).
    pub connect: Duration,
    /// Longest silence while an answer is awaited or streams; comments of the stream count as signs of life (10 min).
    pub idle: Duration,
    /// For one answer with all its silent retries (30 min).
    pub deadline: Duration,
    /// How long usage figures are waited for once the answer itself is complete (2 s).
    pub linger: Duration,
    /// First wait between silent retries; it doubles each time (1 s).
    pub backoff: Duration,
    /// Silent retries after the first try (3).
    pub retries: usize,
    /// A longer wait than this, asked for by the provider, is told to the reader instead of waited for (15 s).
    pub patience: Duration,
    /// Largest frame of a stream in bytes (16 MiB): pictures come in one.
    pub max_frame_bytes: usize,
    /// Largest answer on the wire in bytes (64 MiB).
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
            patience: Duration::from_secs(15),
            max_frame_bytes: 16 * 1024 * 1024,
            max_answer_bytes: 64 * 1024 * 1024,
            demo_pause: Duration::from_millis(40),
        }
    }
}

/// A setting that cannot work. The sentence names the key.
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
    #[error("the HTTP client could not be started; are the system's root certificates installed?")]
    Client,
}

/// Where a model's name leads: the provider's place in [`AiSettings::providers`] and the upstream's name for the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub provider: usize,
    pub model: String,
}

impl ProviderSettings {
    /// Its kind's public service, asked without a key for any model.
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

    /// Where its service is, with the version.
    pub(crate) fn base(&self) -> Result<Url, SettingsError> {
        let written = self.base_url.as_deref().map_or(self.kind.dialect().public_url(), str::trim);
        let base = Url::parse(written).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        base.ok_or_else(|| SettingsError::BaseUrl(self.name.clone()))
    }
}

impl AiSettings {
    /// The model of whoever asks for none, or the key that has to be set.
    pub(crate) fn default_target(&self) -> Result<Target, SettingsError> {
        match self.default_model.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => self
                .target(name)
                .or_else(|_| self.named_target(name).ok_or(AiError::UnknownModel))
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

    /// Finds the model that someone asks for: by the map, by a provider's list, by `<provider>/<model>`, or at the first
    /// provider that lists nothing. Only what an administrator mapped or listed is reachable at a provider with a list.
    pub(crate) fn target(&self, asked: &str) -> Result<Target, AiError> {
        if let Some(mapped) = self.model_map.get(asked) {
            return self.named_target(mapped).ok_or(AiError::UnknownModel);
        }
        if let Some(provider) =
            self.providers.iter().position(|provider| provider.models.iter().any(|model| model == asked))
        {
            return Ok(Target { provider, model: asked.to_owned() });
        }
        if let Some(target) = self.named_target(asked) {
            let listed = &self.providers[target.provider].models;
            if listed.is_empty() || listed.contains(&target.model) {
                return Ok(target);
            }
        }
        let open = self.providers.iter().position(|provider| provider.models.is_empty());
        open.map(|provider| Target { provider, model: asked.to_owned() }).ok_or(AiError::UnknownModel)
    }

    /// Reads `<provider>/<model>`; a model's own name may hold further slashes.
    fn named_target(&self, name: &str) -> Option<Target> {
        let (provider, model) = name.split_once('/')?;
        let provider = self.providers.iter().position(|settings| settings.name.eq_ignore_ascii_case(provider))?;
        (!model.is_empty()).then(|| Target { provider, model: model.to_owned() })
    }

    pub(crate) fn check_map(&self) -> Result<(), SettingsError> {
        match self.model_map.iter().find(|(_, target)| self.named_target(target).is_none()) {
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
    fn a_name_leads_to_what_is_mapped_or_listed_and_nothing_else() {
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
    fn a_provider_without_a_list_takes_any_name() {
        let settings = AiSettings {
            default_model: Some("local/llama".to_owned()),
            providers: vec![provider("local", &[])],
            ..AiSettings::default()
        };
        assert_eq!(settings.default_target(), Ok(target(0, "llama")));
        assert_eq!(settings.target("qwen"), Ok(target(0, "qwen")));
    }

    #[test]
    fn settings_that_cannot_work_name_their_key() {
        let mut settings = AiSettings { providers: vec![provider("local", &[])], ..AiSettings::default() };
        assert_eq!(settings.default_target(), Err(SettingsError::NoModel("local".to_owned())));
        settings.providers[0].models.push("a".to_owned());
        settings.default_model = Some("b".to_owned());
        assert_eq!(settings.default_target(), Err(SettingsError::DefaultModel("b".to_owned())));
        settings.model_map.insert("x".to_owned(), "elsewhere/y".to_owned());
        assert_eq!(settings.check_map(), Err(SettingsError::ModelMap { asked: "x".to_owned() }));
    }
}

//! The way to the providers that are configured.

use ai::{Ai, AiSettings, Limits, ProviderKind, ProviderSettings};
use appcore::config;

/// Connects to them. None of them is asked for it.
pub fn connect(config: &config::Ai, outgoing: &config::Outgoing) -> anyhow::Result<Ai> {
    Ok(Ai::build(settings(config, outgoing))?)
}

fn settings(config: &config::Ai, outgoing: &config::Outgoing) -> AiSettings {
    let provider = |provider: &config::Provider| ProviderSettings {
        name: provider.name.clone(),
        kind: match provider.kind {
            config::ProviderKind::Openai => ProviderKind::OpenAi,
            config::ProviderKind::Gemini => ProviderKind::Gemini,
            config::ProviderKind::Anthropic => ProviderKind::Anthropic,
        },
        base_url: Some(provider.base_url()),
        keys: provider.keys.clone(),
        models: provider.models.clone(),
        requests_per_minute: provider.requests_per_minute,
        proxy: provider.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        responses: provider.responses,
    };
    AiSettings {
        default_model: config.default_model.clone(),
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        providers: config.providers.iter().map(provider).collect(),
        model_map: config.model_map.iter().cloned().collect(),
        limits: Limits { idle: config.idle_timeout, deadline: config.answer_timeout, ..Limits::default() },
        outgoing: outgoing.clone(),
    }
}

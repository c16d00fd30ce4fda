//! Client of the configured providers.

use ai::{Ai, AiSettings, Limits, ProviderKind, ProviderSettings, SearchSettings};
use anyhow::Context as _;
use appcore::config;

/// Creates the client without contacting any provider.
pub fn connect(config: &config::Config) -> anyhow::Result<Ai> {
    Ok(Ai::build(settings(&config.ai, &config.web_search, &config.outgoing)?)?)
}

fn settings(
    config: &config::Ai,
    search: &config::WebSearch,
    outgoing: &config::Outgoing,
) -> anyhow::Result<AiSettings> {
    let provider = |provider: &config::Provider| {
        let kind = ProviderKind::from_name(&provider.kind).with_context(|| unknown_kind(provider))?;
        anyhow::Ok(ProviderSettings {
            name: provider.name.clone(),
            kind,
            base_url: provider.base_url(),
            keys: provider.keys.clone(),
            models: provider.models.clone(),
            requests_per_minute: provider.requests_per_minute,
            proxy: provider.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
            responses: provider.responses,
            hosted_tools: provider.hosted_tools,
            passes: provider.passes.clone(),
        })
    };
    Ok(AiSettings {
        default_model: config.default_model.clone(),
        proxy: config.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
        providers: config.providers.iter().map(provider).collect::<anyhow::Result<_>>()?,
        model_map: config.model_map.iter().cloned().collect(),
        model_params: config.takes.iter().cloned().collect(),
        limits: Limits { idle: config.idle_timeout, deadline: config.answer_timeout, ..Limits::default() },
        web_search: search.kind.map(|kind| SearchSettings { kind, url: search.url.clone(), key: search.key.clone() }),
        outgoing: outgoing.clone(),
    })
}

fn unknown_kind(provider: &config::Provider) -> String {
    let known: Vec<&str> = ProviderKind::all().map(ProviderKind::name).collect();
    format!("ai.providers.{}.kind is \"{}\"; it must be one of {}", provider.name, provider.kind, known.join(", "))
}

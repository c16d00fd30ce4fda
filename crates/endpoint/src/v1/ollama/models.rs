//! Models that an API key may call, as Ollama describes its own.

use ai::{GatewayError, read_ollama_model};
use appcore::{
    AppError,
    view::{ModelCapabilities, UsableModel},
};
use bytes::Bytes;
use gateway::GatewayCaller;
use serde_json::{Value, json};

use super::super::json_reply;
use crate::{
    Ctx, Raw, Reply,
    v1::{
        call::{CallContext, authenticate_key},
        failure::to_gateway_error,
    },
};

/// Tag of a name without one.
const LATEST: &str = ":latest";
/// Time of the last change, which is unknown.
const MODIFIED_AT: &str = "1970-01-01T00:00:00Z";
/// Value of `general.architecture`, and prefix of the details that follow from it.
const ARCHITECTURE: &str = "natter";

/// Lists the names and aliases of the models, sorted.
pub(super) async fn list(ctx: &Ctx) -> Result<Reply<Raw>, AppError> {
    let models = gateway::models(ctx.gateway(), &authenticate_key(ctx).await?);
    let mut listed: Vec<(&str, Value)> = Vec::new();
    for model in &models {
        let names = std::iter::once(&model.name).chain(&model.aliases);
        listed.extend(names.map(|name| (name.as_str(), list_item(name, model))));
    }
    listed.sort_by_key(|(name, _)| *name);
    let listed: Vec<Value> = listed.into_iter().map(|(_, item)| item).collect();
    Ok(json_reply(&json!({ "models": listed })))
}

/// Describes a model.
pub(super) async fn show(ctx: &Ctx, body: &Bytes) -> Result<Reply<Raw>, AppError> {
    let description = find_and_describe(ctx, body).await;
    Ok(CallContext::for_ollama(ctx).reply(description.map(|description| json_reply(&description))))
}

async fn find_and_describe(ctx: &Ctx, body: &[u8]) -> Result<Value, GatewayError> {
    let caller = authenticate_key(ctx).await.map_err(|error| to_gateway_error(&error))?;
    let requested = read_ollama_model(body)?;
    let name = find_name(ctx, &caller, &requested).unwrap_or_else(|| requested.clone());
    if let Some(model) = gateway::models(ctx.gateway(), &caller).iter().find(|model| is_named(model, &name)) {
        return Ok(describe(&name, &model.capabilities, model.context_window, model.provider.as_deref()));
    }
    // A provider that lists no models has every model, and nothing is known of it.
    if gateway::may_call(ctx.gateway(), &caller, &name) {
        return Ok(describe(&name, &ModelCapabilities::default(), None, None));
    }
    Err(GatewayError::unknown_model(&requested))
}

/// Name of the model that a client means if it isn't the requested one: clients add the tag
/// `latest` to names without a tag, or leave it out.
pub(super) fn find_name(ctx: &Ctx, caller: &GatewayCaller, requested: &str) -> Option<String> {
    let may_call = |name: &str| gateway::may_call(ctx.gateway(), caller, name);
    let other = match requested.strip_suffix(LATEST) {
        Some(plain) => {
            let models = gateway::models(ctx.gateway(), caller);
            if models.iter().any(|model| is_named(model, requested)) {
                return None;
            }
            plain.to_owned()
        }
        None if requested.contains(':') || may_call(requested) => return None,
        None => format!("{requested}{LATEST}"),
    };
    may_call(&other).then_some(other)
}

fn is_named(model: &UsableModel, name: &str) -> bool {
    model.name == name || model.aliases.iter().any(|alias| alias == name)
}

fn list_item(name: &str, model: &UsableModel) -> Value {
    json!({
        "name": name, "model": name, "modified_at": MODIFIED_AT, "size": 0, "digest": "",
        "details": details(model.provider.as_deref()), "capabilities": capabilities(name, &model.capabilities),
    })
}

fn describe(name: &str, known: &ModelCapabilities, context_window: Option<u64>, provider: Option<&str>) -> Value {
    let mut info = json!({ "general.architecture": ARCHITECTURE, "general.basename": name });
    if let Some(tokens) = context_window.or(known.context_window) {
        info[format!("{ARCHITECTURE}.context_length")] = tokens.into();
    }
    json!({
        "license": "", "modelfile": "", "parameters": "", "template": "", "details": details(provider),
        "model_info": info, "capabilities": capabilities(name, known), "modified_at": MODIFIED_AT,
    })
}

/// Details that clients show. The family is the provider.
fn details(provider: Option<&str>) -> Value {
    let family = provider.unwrap_or_default();
    json!({
        "parent_model": "", "format": "", "family": family, "families": [family], "parameter_size": "",
        "quantization_level": "",
    })
}

/// Ollama's names of the capabilities, as far as they are known.
fn capabilities(name: &str, known: &ModelCapabilities) -> Vec<&'static str> {
    // The price table has no column for embeddings.
    if name.to_ascii_lowercase().contains("embed") {
        return vec!["embedding"];
    }
    let optional = [(known.tools, "tools"), (known.images, "vision"), (known.reasoning, "thinking")];
    let optional = optional.into_iter().filter_map(|(is_there, name)| is_there.then_some(name));
    std::iter::once("completion").chain(optional).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_known_capabilities() {
        let all = ModelCapabilities { images: true, tools: true, reasoning: true, ..ModelCapabilities::default() };
        for (name, known, expected) in [
            ("small", &ModelCapabilities::default(), &["completion"][..]),
            ("large", &all, &["completion", "tools", "vision", "thinking"]),
            ("text-embedding-3-small", &ModelCapabilities::default(), &["embedding"]),
        ] {
            assert_eq!(capabilities(name, known), expected, "{name}");
        }
        let known = describe("large", &all, Some(8_192), Some("openai"));
        assert_eq!(known["model_info"]["natter.context_length"], 8_192);
        assert_eq!((&known["details"]["family"], &known["capabilities"][1]), (&json!("openai"), &json!("tools")));
        assert_eq!(describe("small", &all, None, None)["model_info"]["natter.context_length"], Value::Null);
    }
}

//! Commands below `natter models`.

use anyhow::ensure;
use appcore::{config::Config, credits::MicroCredits};
use clap::Subcommand;
use gateway::{Ai, Capability, CapabilityCheck, CheckVerdict, cost, custom_providers, shipped_price};
use serde_json::{Value, json};

use super::Output;

#[derive(Subcommand)]
pub enum Models {
    /// Ask providers with small real calls what their models accept; exits with 1 if a model can't be asked
    Check {
        /// Name of a provider; by default all
        provider: Option<String>,
        /// Provider's name of a model; by default all models that are listed for the provider
        model: Option<String>,
    },
}

/// Model of a provider that is checked.
struct CheckedModel {
    provider: String,
    model: String,
}

pub async fn run(config: Config, action: Models, output: Output) -> anyhow::Result<()> {
    let Models::Check { provider, model } = action;
    let config = config.with_key_file()?;
    let ai = gateway::connect(&config)?;
    // Without a database, the providers of the configuration can still be checked.
    if let Err(error) = load_added(&config, &ai).await {
        tracing::warn!(%error, "failed to read the providers that were added in the console");
    }
    let models = select(ai.provider_models(), provider.as_deref(), model)?;
    output.confirm(&cost_notice(&models))?;
    let mut results = Vec::new();
    let mut lines = String::new();
    let mut is_faulty = false;
    for checked in &models {
        let checks = check(&ai, checked).await;
        is_faulty |= checks.iter().any(|check| check.verdict == CheckVerdict::Fault);
        lines.extend(checks.iter().map(|check| line(checked, check)));
        results.extend(checks.iter().map(|check| item(checked, check)));
    }
    output.result(&lines, &Value::Array(results))?;
    ensure!(!is_faulty, "At least one model couldn't be asked.");
    Ok(())
}

/// Loads the providers that were added in the console.
async fn load_added(config: &Config, ai: &Ai) -> anyhow::Result<()> {
    let database = super::connect(config).await?;
    let key = config.auth.key_encryption_secret.as_ref();
    custom_providers::load(&database, ai, key).await.map_err(super::explain)
}

async fn check(ai: &Ai, checked: &CheckedModel) -> Vec<CapabilityCheck> {
    ai.check_capabilities(&checked.provider, &checked.model).await
}

/// Selects the models to check.
fn select(
    known: Vec<(String, Vec<String>)>,
    provider: Option<&str>,
    model: Option<String>,
) -> anyhow::Result<Vec<CheckedModel>> {
    ensure!(!known.is_empty(), "There is no AI provider.");
    let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    let is_known = provider.is_none_or(|provider| names.contains(&provider));
    ensure!(is_known, "There is no such provider. There are: {}.", names.join(", "));
    let selected = known.into_iter().filter(|(name, _)| provider.is_none_or(|provider| provider == name));
    let models = selected.flat_map(|(provider, models)| {
        let models = model.clone().map_or(models, |model| vec![model]);
        models.into_iter().map(move |model| CheckedModel { provider: provider.clone(), model })
    });
    let models: Vec<CheckedModel> = models.collect();
    ensure!(!models.is_empty(), "No models are listed for the provider. Name one.");
    Ok(models)
}

/// Statement of what the calls cost at most.
fn cost_notice(models: &[CheckedModel]) -> String {
    let usage = Capability::max_usage();
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    let calls = models.len() * Capability::ALL.len();
    let prices: Vec<Option<MicroCredits>> =
        models.iter().map(|checked| shipped_price(&checked.model).map(|price| cost(price, &usage))).collect();
    let known: i64 = prices.iter().flatten().map(|cost| cost.0).sum();
    let unknown = prices.iter().filter(|price| price.is_none()).count();
    let tokens = format!(
        "{calls} calls with at most {} input and {} output tokens will be sent",
        input * models.len() as u64,
        output * models.len() as u64
    );
    // A credit of the table is a US dollar.
    let dollars = format!("{}.{:06}", known / 1_000_000, known % 1_000_000);
    match unknown {
        0 => format!("{tokens}, which cost at most {dollars} US dollars"),
        _ if unknown == models.len() => format!("{tokens}; their price is not known"),
        _ => format!(
            "{tokens}, which cost at most {dollars} US dollars and those of {unknown} models without a known price"
        ),
    }
}

fn line(checked: &CheckedModel, check: &CapabilityCheck) -> String {
    let CheckedModel { provider, model } = checked;
    // Control characters of a provider's message could change the terminal.
    let reason: String =
        check.reason.iter().flat_map(|reason| reason.chars()).filter(|letter| !letter.is_control()).collect();
    let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
    format!("{:<8} {provider}/{model} {}{reason}\n", check.verdict.as_str(), check.capability.as_str())
}

fn item(checked: &CheckedModel, check: &CapabilityCheck) -> Value {
    json!({
        "provider": checked.provider, "model": checked.model, "capability": check.capability.as_str(),
        "verdict": check.verdict.as_str(), "reason": check.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured() -> Vec<(String, Vec<String>)> {
        let models = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        vec![("one".to_owned(), models(["gpt-5-mini", "a"])), ("two".to_owned(), models(["b", "c"]))]
    }

    fn names(provider: Option<&str>, model: Option<&str>) -> Vec<String> {
        let selected = select(configured(), provider, model.map(str::to_owned)).unwrap();
        selected.iter().map(|checked| format!("{}/{}", checked.provider, checked.model)).collect()
    }

    #[test]
    fn selects_providers_and_models() {
        assert_eq!(names(None, None), ["one/gpt-5-mini", "one/a", "two/b", "two/c"]);
        assert_eq!(names(Some("two"), None), ["two/b", "two/c"]);
        assert_eq!(names(Some("two"), Some("other")), ["two/other"]);
        assert!(select(configured(), Some("three"), None).is_err());
        assert!(select(Vec::new(), None, None).is_err());
    }

    #[test]
    fn states_the_cost() {
        let notice = |model| cost_notice(&select(configured(), Some("one"), Some(String::from(model))).unwrap());
        assert!(notice("gpt-5-mini").contains("8 calls with at most 16000 input and 4000 output tokens"));
        assert!(notice("gpt-5-mini").contains("cost at most 0.012"), "{}", notice("gpt-5-mini"));
        assert!(notice("a").ends_with("their price is not known"), "{}", notice("a"));
    }
}

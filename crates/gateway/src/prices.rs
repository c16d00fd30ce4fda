//! Prices and capabilities of models from the shipped table.
//!
//! One credit equals one US dollar of the table. Prices set by administrators take precedence.

use std::{collections::HashMap, sync::LazyLock};

use appcore::{
    AppError,
    config::UnknownPricePolicy,
    credits::MicroCredits,
    view::{LongPrice, ModelCapabilities, ModelPrice},
};

use crate::{GatewayService, Model, Refusal};

/// Version of the price table.
const VERSION: &str = "litellm-1.109.1-2026-11-24";

/// Price of a web search by Anthropic's own tool, which all of its models have: 10 US dollars per
/// thousand (docs.claude.com, web search tool, "Usage and pricing"). The table doesn't contain it.
const CLAUDE_SEARCH: MicroCredits = MicroCredits(10_000);

/// Price of a container in which Anthropic runs code: 0.05 US dollars per hour, with a minimum of
/// five minutes (docs.claude.com, code execution tool, "Usage and pricing").
const CLAUDE_CONTAINER: MicroCredits = MicroCredits(4_167);

/// Prices of OpenAI's tools (platform.openai.com/docs/pricing, "Built-in tools"), which the table
/// doesn't contain either. A thousand web searches cost 10 US dollars, or 25 with
/// `web_search_preview` and a model without reasoning. A container costs 0.03 US dollars per GiB.
/// An image is billed by tokens of its own; its price here is that of a large one of the highest
/// quality.
const OPENAI_SEARCH: MicroCredits = MicroCredits(10_000);
const OPENAI_PLAIN_SEARCH: MicroCredits = MicroCredits(25_000);
const OPENAI_CONTAINER: MicroCredits = MicroCredits(30_000);
const OPENAI_IMAGE: MicroCredits = MicroCredits(250_000);
/// Prices of searches by Gemini's tool `googleSearch` (ai.google.dev/gemini-api/docs/pricing,
/// "Grounding with Google Search"): 14 US dollars per thousand queries, or 35 per thousand answers
/// before Gemini 3. The free allowance is not known here.
const GEMINI_SEARCH: MicroCredits = MicroCredits(14_000);
const OLDER_GEMINI_SEARCH: MicroCredits = MicroCredits(35_000);
/// Prefixes of OpenAI's model names.
const OPENAI_PREFIXES: [&str; 6] = ["gpt-", "o1", "o3", "o4", "chat-latest", "computer-use"];

/// Entry of the price table.
#[derive(Clone, Debug)]
pub(super) struct PriceEntry {
    pub price: ModelPrice,
    pub version: &'static str,
    pub capabilities: ModelCapabilities,
}

/// Fails with an error on `field` if the model's price is unknown and the configuration refuses
/// such models.
pub fn check_price(service: &GatewayService, name: &str, field: &'static str) -> Result<(), AppError> {
    let model = service.find_model(name);
    if service.check_price(name, model.as_deref()).is_ok() {
        return Ok(());
    }
    let message = format!("The model “{name}” has no price yet. Choose another one, or ask an admin to set its price.");
    Err(AppError::field(field, "no_price", message))
}

impl GatewayService {
    /// True if models with unknown prices are refused. The built-in demo has no price and is free.
    pub fn requires_prices(&self) -> bool {
        self.config.gateway.unknown_price == UnknownPricePolicy::Refuse && self.ai.has_provider()
    }

    /// Fails if the model's price is unknown and the configuration refuses such models.
    pub(super) fn check_price(&self, name: &str, model: Option<&Model>) -> Result<(), Refusal> {
        if model.is_some_and(|model| model.price.is_some()) || !self.requires_prices() {
            return Ok(());
        }
        Err(Refusal::NoPrice(name.to_owned()))
    }
}

static TABLE: LazyLock<HashMap<&'static str, PriceEntry>> = LazyLock::new(|| {
    let lines = include_str!("prices.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

/// Price of a model in the shipped table, by its name at the provider.
#[must_use]
pub fn shipped_price(model: &str) -> Option<&'static ModelPrice> {
    find(model).map(|entry| &entry.price)
}

/// Returns the entry of a model by its upstream name. A dated version has the price of the undated
/// model.
pub(super) fn find(model: &str) -> Option<&'static PriceEntry> {
    let plain = model.rsplit_once('/').map_or(model, |(_, plain)| plain);
    let named = |name: &str| TABLE.get(name);
    named(model).or_else(|| named(plain)).or_else(|| named(strip_date(plain)?))
}

/// Removes the date: `gpt-5-mini-2025-08-07` becomes `gpt-5-mini`.
fn strip_date(model: &str) -> Option<&str> {
    const DATE: usize = "-2025-08-07".len();
    let start = model.len().checked_sub(DATE)?;
    let (name, date) = (model.get(..start)?, model.get(start..)?);
    let is_date = date.char_indices().all(|(place, letter)| match place {
        0 | 5 | 8 => letter == '-',
        _ => letter.is_ascii_digit(),
    });
    is_date.then_some(name)
}

fn read(line: &'static str) -> Option<(&'static str, PriceEntry)> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let &[name, input, output, cached, cache_write, context_window, max_output, abilities, audio, audio_output, long] =
        fields.as_slice()
    else {
        return None;
    };
    let amount = |text: &str| text.parse().ok().map(MicroCredits);
    let is_of_openai = is_of_openai(name);
    let price = ModelPrice {
        input: amount(input)?,
        output: amount(output)?,
        cached: amount(cached),
        cache_write: amount(cache_write),
        audio: amount(audio),
        audio_output: amount(audio_output),
        search: search_price(name, abilities),
        container: container_price(name),
        image: is_of_openai.then_some(OPENAI_IMAGE),
        long: read_long(long),
    };
    let capabilities = ModelCapabilities {
        context_window: context_window.parse().ok(),
        max_output: max_output.parse().ok(),
        images: abilities.contains('i'),
        pdf: abilities.contains('p'),
        audio: abilities.contains('a'),
        tools: abilities.contains('t'),
        json_schema: abilities.contains('j'),
        reasoning: abilities.contains('r'),
    };
    Some((name, PriceEntry { price, version: VERSION, capabilities }))
}

fn is_of_openai(name: &str) -> bool {
    OPENAI_PREFIXES.iter().any(|beginning| name.starts_with(beginning)) && !name.starts_with("gpt-oss")
}

fn search_price(name: &str, abilities: &str) -> Option<MicroCredits> {
    let of_openai = || if abilities.contains('r') { OPENAI_SEARCH } else { OPENAI_PLAIN_SEARCH };
    match name {
        _ if name.starts_with("claude-") => Some(CLAUDE_SEARCH),
        _ if name.starts_with("gemini-1") || name.starts_with("gemini-2") => Some(OLDER_GEMINI_SEARCH),
        _ if name.starts_with("gemini-") => Some(GEMINI_SEARCH),
        _ => is_of_openai(name).then(of_openai),
    }
}

fn container_price(name: &str) -> Option<MicroCredits> {
    if name.starts_with("claude-") { Some(CLAUDE_CONTAINER) } else { is_of_openai(name).then_some(OPENAI_CONTAINER) }
}

/// Parses a long-input price: threshold in tokens, then the prices of input, output, cache reads
/// and cache writes.
fn read_long(text: &str) -> Option<LongPrice> {
    let fields: Vec<&str> = text.split(':').collect();
    let &[above, input, output, cached, cache_write] = fields.as_slice() else { return None };
    let amount = |text: &str| text.parse().ok().map(MicroCredits);
    Some(LongPrice {
        above: above.parse().ok()?,
        input: amount(input)?,
        output: amount(output)?,
        cached: amount(cached),
        cache_write: amount(cache_write),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_audio_and_long_input_prices() {
        let flash = find("gemini-2.5-flash").unwrap().price;
        assert_eq!((flash.input, flash.audio), (MicroCredits(300_000), Some(MicroCredits(1_000_000))));
        let pro = find("gemini-2.5-pro").unwrap().price.for_input(200_001);
        assert_eq!((pro.input, pro.output), (MicroCredits(2_500_000), MicroCredits(15_000_000)));
        assert!(TABLE.values().filter(|known| known.price.long.is_some()).count() > 20);
    }

    #[test]
    fn reads_prices_of_provider_tools() {
        let of = |model: &str| {
            let price = find(model).unwrap().price;
            [price.search, price.container, price.image].map(|amount| amount.map(|amount| amount.0))
        };
        assert_eq!(of("gpt-5-mini"), [Some(10_000), Some(30_000), Some(250_000)]);
        assert_eq!(of("gpt-4o")[0], Some(25_000));
        assert_eq!(of("claude-sonnet-5"), [Some(10_000), Some(4_167), None]);
        assert_eq!(of("gemini-2.5-flash"), [Some(35_000), None, None]);
    }

    #[test]
    fn reads_pdf_capability() {
        for (model, reads) in
            [("gpt-5-mini", true), ("claude-sonnet-5", true), ("gemini-2.5-flash", true), ("glm-4.5v", false)]
        {
            assert_eq!(find(model).unwrap().capabilities.pdf, reads, "{model}");
        }
    }

    #[test]
    fn parses_every_line_of_the_table() {
        let lines = include_str!("prices.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(TABLE.len(), lines);
        assert!(TABLE.values().all(|known| known.price.input.0 >= 0 && known.price.output.0 >= 0));
    }

    #[test]
    fn finds_models_by_name_provider_prefix_and_dated_version() {
        let mini = find("gpt-5-mini").unwrap();
        assert_eq!((mini.price.input, mini.price.output), (MicroCredits(250_000), MicroCredits(2_000_000)));
        for name in ["gpt-5-mini-2025-08-07", "openai/gpt-5-mini"] {
            assert_eq!(find(name).unwrap().price, mini.price, "{name}");
        }
        assert!(
            find("gpt-5-mini-2999-01-01").is_some()
                && find("no-such-model").is_none()
                && find("é-2025-08-07").is_none()
        );
    }
}

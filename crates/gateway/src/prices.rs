//! What models cost and what they can do, by the shipped table.
//!
//! A credit of the table is a US dollar. An administrator's price goes before it.

use std::{collections::HashMap, sync::LazyLock};

use appcore::{
    AppError,
    config::UnknownPrice,
    credits::MicroCredits,
    view::{LongPrice, ModelCapabilities, ModelPrice},
};

use crate::{GatewayService, Model, Refusal};

/// Which edition of the table it is.
const VERSION: &str = "litellm-1.109.1-2026-11-24";

/// A search of the web by Anthropic's own tool, which all of its models have: 10 US dollars for a thousand (docs.claude.com, web search tool, "Usage and
/// pricing"). It isn't in the table.
const CLAUDE_SEARCH: MicroCredits = MicroCredits(10_000);

/// A container in which Anthropic runs code: 0.05 US dollars an hour, five minutes of it at least (docs.claude.com, code execution tool, "Usage and pricing").
const CLAUDE_CONTAINER: MicroCredits = MicroCredits(4_167);

/// What OpenAI's tools cost (platform.openai.com/docs/pricing, "Built-in tools"), which isn't in the table either: a search of the web 10 US dollars for a
/// thousand, 25 by `web_search_preview` and a model that doesn't think; a container 0.03 for each gigabyte; a picture, which is billed by its own tokens, as
/// much as a large one of the highest quality.
const OPENAI_SEARCH: MicroCredits = MicroCredits(10_000);
const OPENAI_PLAIN_SEARCH: MicroCredits = MicroCredits(25_000);
const OPENAI_CONTAINER: MicroCredits = MicroCredits(30_000);
const OPENAI_IMAGE: MicroCredits = MicroCredits(250_000);
/// How the names of its models begin.
const OPENAI: [&str; 6] = ["gpt-", "o1", "o3", "o4", "chat-latest", "computer-use"];

/// A model of the table.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub price: ModelPrice,
    pub version: &'static str,
    pub capabilities: ModelCapabilities,
}

/// Refuses a model whose price nobody knows, by the field that names it, where the setting says so.
pub fn check_price(service: &GatewayService, name: &str, field: &'static str) -> Result<(), AppError> {
    let model = service.find_model(name);
    if service.check_price(name, model.as_deref()).is_ok() {
        return Ok(());
    }
    let message = format!("The model “{name}” has no price yet. Choose another one, or ask an admin to set its price.");
    Err(AppError::field(field, "no_price", message))
}

impl GatewayService {
    /// Whether models are refused whose price nobody knows. The built-in demo has none, and costs nothing.
    pub fn wants_prices(&self) -> bool {
        self.config.gateway.unknown_price == UnknownPrice::Refuse && self.ai.has_provider()
    }

    /// Refuses a model whose price nobody knows, where the setting says so.
    pub(super) fn check_price(&self, name: &str, model: Option<&Model>) -> Result<(), Refusal> {
        if model.is_some_and(|model| model.price.is_some()) || !self.wants_prices() {
            return Ok(());
        }
        Err(Refusal::NoPrice(name.to_owned()))
    }
}

static TABLE: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let lines = include_str!("prices.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(read).collect()
});

/// The entry of a model, by the name that its provider has for it. A dated edition of a model costs what the model does.
pub(super) fn find(model: &str) -> Option<&'static Known> {
    let plain = model.rsplit_once('/').map_or(model, |(_, plain)| plain);
    let named = |name: &str| TABLE.get(name);
    named(model).or_else(|| named(plain)).or_else(|| named(undated(plain)?))
}

/// `gpt-5-mini-2025-08-07` is a `gpt-5-mini`.
fn undated(model: &str) -> Option<&str> {
    const DATE: usize = "-2025-08-07".len();
    let start = model.len().checked_sub(DATE)?;
    let (name, date) = (model.get(..start)?, model.get(start..)?);
    let is_date = date.char_indices().all(|(place, letter)| match place {
        0 | 5 | 8 => letter == '-',
        _ => letter.is_ascii_digit(),
    });
    is_date.then_some(name)
}

fn read(line: &'static str) -> Option<(&'static str, Known)> {
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
        search: searching(name, abilities),
        container: containing(name),
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
    Some((name, Known { price, version: VERSION, capabilities }))
}

fn is_of_openai(name: &str) -> bool {
    OPENAI.iter().any(|beginning| name.starts_with(beginning)) && !name.starts_with("gpt-oss")
}

fn searching(name: &str, abilities: &str) -> Option<MicroCredits> {
    let of_openai = || if abilities.contains('r') { OPENAI_SEARCH } else { OPENAI_PLAIN_SEARCH };
    if name.starts_with("claude-") { Some(CLAUDE_SEARCH) } else { is_of_openai(name).then(of_openai) }
}

fn containing(name: &str) -> Option<MicroCredits> {
    if name.starts_with("claude-") { Some(CLAUDE_CONTAINER) } else { is_of_openai(name).then_some(OPENAI_CONTAINER) }
}

/// More tokens than this, then the prices of input, output, what is read from a cache and what is written to it.
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
    fn sound_and_long_inputs_have_their_prices() {
        let flash = find("gemini-2.5-flash").unwrap().price;
        assert_eq!((flash.input, flash.audio), (MicroCredits(300_000), Some(MicroCredits(1_000_000))));
        let pro = find("gemini-2.5-pro").unwrap().price.of_input(200_001);
        assert_eq!((pro.input, pro.output), (MicroCredits(2_500_000), MicroCredits(15_000_000)));
        assert!(TABLE.values().filter(|known| known.price.long.is_some()).count() > 20);
    }

    #[test]
    fn tools_of_providers_have_their_prices() {
        let of = |model: &str| {
            let price = find(model).unwrap().price;
            [price.search, price.container, price.image].map(|amount| amount.map(|amount| amount.0))
        };
        assert_eq!(of("gpt-5-mini"), [Some(10_000), Some(30_000), Some(250_000)]);
        assert_eq!(of("gpt-4o")[0], Some(25_000));
        assert_eq!(of("claude-sonnet-5"), [Some(10_000), Some(4_167), None]);
        assert_eq!(of("gemini-2.5-flash"), [None; 3]);
    }

    #[test]
    fn models_that_read_pdfs_are_known() {
        for (model, reads) in
            [("gpt-5-mini", true), ("claude-sonnet-5", true), ("gemini-2.5-flash", true), ("glm-4.5v", false)]
        {
            assert_eq!(find(model).unwrap().capabilities.pdf, reads, "{model}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("prices.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(TABLE.len(), lines);
        assert!(TABLE.values().all(|known| known.price.input.0 >= 0 && known.price.output.0 >= 0));
    }

    #[test]
    fn a_model_is_found_by_its_name_its_providers_and_its_edition() {
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

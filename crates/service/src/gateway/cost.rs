//! What tokens cost.

use ::ai::Usage;
use appcore::{credits::MicroCredits, view::ModelPrice};

/// What so many tokens cost.
pub(crate) fn cost(price: &ModelPrice, usage: &Usage) -> MicroCredits {
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    let price = price.of_input(input);
    let cached = usage.cached.unwrap_or(0).min(input);
    let written = usage.cache_write.unwrap_or(0).min(input - cached);
    let spoken = usage.audio_output.unwrap_or(0).min(output);
    let heard = usage.audio.unwrap_or(0).saturating_sub(spoken).min(input - cached - written);
    let millionths = price.input.of_tokens(input - cached - written - heard)
        + price.cached.unwrap_or(price.input).of_tokens(cached)
        + price.cache_write.unwrap_or(price.input).of_tokens(written)
        + price.audio.unwrap_or(price.input).of_tokens(heard)
        + price.output.of_tokens(output - spoken)
        + price.audio_output.unwrap_or(price.output).of_tokens(spoken);
    MicroCredits::rounded_up(millionths)
}

#[cfg(test)]
mod tests {
    use appcore::view::LongPrice;

    use super::*;

    const PRICE: ModelPrice = ModelPrice {
        input: MicroCredits(1_000_000),
        output: MicroCredits(10_000_000),
        cached: Some(MicroCredits(100_000)),
        cache_write: None,
        audio: None,
        audio_output: None,
        long: None,
    };

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input: Some(input), cached: Some(cached), output: Some(output), ..Usage::default() }
    }

    #[test]
    fn cached_input_has_a_price_of_its_own_and_counts_once() {
        assert_eq!(cost(&PRICE, &usage(100, 0, 10)), MicroCredits(200));
        assert_eq!(cost(&PRICE, &usage(100, 90, 10)), MicroCredits(119));
        assert_eq!(cost(&PRICE, &usage(100, 900, 0)), MicroCredits(10), "no more was cached than was read");
        assert_eq!(cost(&PRICE, &Usage::default()), MicroCredits::ZERO);
    }

    #[test]
    fn sound_has_a_price_of_its_own_both_ways() {
        let price =
            ModelPrice { audio: Some(MicroCredits(40_000_000)), audio_output: Some(MicroCredits(80_000_000)), ..PRICE };
        let usage = Usage { audio: Some(14), audio_output: Some(4), ..usage(30, 0, 6) };
        assert_eq!(cost(&price, &usage), MicroCredits(20 + 10 * 40 + 2 * 10 + 4 * 80));
        assert_eq!(cost(&PRICE, &usage), MicroCredits(30 + 60), "where it has none it is like the rest");
        let nonsense = Usage { audio: Some(900), audio_output: Some(500), ..usage };
        assert_eq!(cost(&price, &nonsense), MicroCredits(30 * 40 + 6 * 80), "no more sound than there is of all");
    }

    #[test]
    fn a_long_input_makes_all_of_it_dearer() {
        let long = LongPrice {
            above: 200,
            input: MicroCredits(2_000_000),
            output: MicroCredits(15_000_000),
            cached: Some(MicroCredits(200_000)),
            cache_write: None,
        };
        let price = ModelPrice { long: Some(long), ..PRICE };
        assert_eq!(cost(&price, &usage(200, 0, 10)), MicroCredits(300));
        assert_eq!(cost(&price, &usage(201, 0, 10)), MicroCredits(552));
        assert_eq!(cost(&price, &usage(300, 100, 0)), MicroCredits(420));
    }
}

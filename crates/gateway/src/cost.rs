//! Cost of calls.

use ::ai::{MAX_RESULT_TOKENS, TokenEstimate, ToolUses, Usage};
use appcore::{
    credits::MicroCredits,
    view::{LongPrice, ModelPrice},
};

/// Returns the cost of the given usage. Whether the long-input price applies is determined
/// separately for the provider's extra calls (such as a compaction) and for the call that answers.
pub fn cost(price: &ModelPrice, usage: &Usage) -> MicroCredits {
    let beside = usage.extra;
    let without = |count: Option<u64>, beside: u64| count.map(|count| count.saturating_sub(beside));
    let own = Usage {
        input: without(usage.input, beside.input),
        cached: without(usage.cached, beside.cached),
        cache_write: without(usage.cache_write, beside.cache_write),
        output: without(usage.output, beside.output),
        ..*usage
    };
    let others = Usage {
        input: Some(beside.input),
        cached: Some(beside.cached),
        cache_write: Some(beside.cache_write),
        output: Some(beside.output),
        ..Usage::default()
    };
    let of_own = of_tokens(&price.for_input(own.input.unwrap_or(0)), &own);
    let of_others = of_tokens(&price.for_input(beside.longest), &others);
    MicroCredits::round_up_millionths(of_own + of_others) + of_tools(price, usage.tools())
}

/// Returns the prices of tokens in a batch, as a percentage of the ordinary ones. The prices of the
/// provider's tools stay.
pub(super) fn batch_price(price: &ModelPrice, percent: u8) -> ModelPrice {
    let part = |price: MicroCredits| MicroCredits((price.0.saturating_mul(i64::from(percent)) + 99) / 100);
    let long = price.long.map(|long| LongPrice {
        above: long.above,
        input: part(long.input),
        output: part(long.output),
        cached: long.cached.map(part),
        cache_write: long.cache_write.map(part),
    });
    ModelPrice {
        input: part(price.input),
        output: part(price.output),
        cached: price.cached.map(part),
        cache_write: price.cache_write.map(part),
        audio: price.audio.map(part),
        audio_output: price.audio_output.map(part),
        long,
        ..*price
    }
}

/// Returns the cost of tokens at these prices, in millionths of a micro-credit.
fn of_tokens(price: &ModelPrice, usage: &Usage) -> i128 {
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    let cached = usage.cached.unwrap_or(0).min(input);
    let written = usage.cache_write.unwrap_or(0).min(input - cached);
    let spoken = usage.audio_output.unwrap_or(0).min(output);
    let heard = usage.audio.unwrap_or(0).saturating_sub(spoken).min(input - cached - written);
    price.input.cost_of_tokens(input - cached - written - heard)
        + price.cached.unwrap_or(price.input).cost_of_tokens(cached)
        + price.cache_write.unwrap_or(price.input).cost_of_tokens(written)
        + price.audio.unwrap_or(price.input).cost_of_tokens(heard)
        + price.output.cost_of_tokens(output - spoken)
        + price.audio_output.unwrap_or(price.output).cost_of_tokens(spoken)
}

/// Returns the cost of the provider's tools, in addition to the tokens.
fn of_tools(price: &ModelPrice, ToolUses { searches, containers, images }: ToolUses) -> MicroCredits {
    let kinds = [(price.search, searches), (price.container, containers), (price.image, images)];
    let micro = kinds.into_iter().map(|(each, count)| each.unwrap_or_default().cost_of_tokens(count)).sum::<i128>();
    MicroCredits(i64::try_from(micro).unwrap_or(i64::MAX))
}

/// Returns the cost of web searches that the gateway runs.
pub(super) fn cost_of_searches(price: MicroCredits, searches: u64) -> MicroCredits {
    MicroCredits(i64::try_from(price.cost_of_tokens(searches)).unwrap_or(i64::MAX))
}

/// Returns the estimate of a call for which the gateway searches the web at most this many times:
/// the model reads the whole conversation again after each search, and its results.
pub(super) fn with_search_rounds(wanted: TokenEstimate, searches: u64) -> TokenEstimate {
    let of_results = searches.saturating_mul(searches.saturating_add(1)) / 2;
    let results = of_results.saturating_mul(MAX_RESULT_TOKENS);
    let input = wanted.input.saturating_mul(searches.saturating_add(1)).saturating_add(results);
    TokenEstimate { input, ..wanted }
}

/// Returns the maximum cost of a call with this many output tokens: each token is charged at the
/// highest rate that may apply.
pub(super) fn max_cost(price: &ModelPrice, wanted: TokenEstimate, output: u64) -> MicroCredits {
    let sound = |price: Option<MicroCredits>| price.filter(|_| wanted.has_audio);
    let dearest =
        |usual: MicroCredits, others: &[Option<MicroCredits>]| others.iter().copied().flatten().fold(usual, Ord::max);
    let times = 1 + u64::from(wanted.is_shortened);
    let (asked, output) = (wanted.input.saturating_mul(times), output.saturating_mul(times));
    // The input may have more tokens than estimated and exceed the long-input threshold.
    let tiers = [price.for_input(0), price.for_input(wanted.input.saturating_mul(2))];
    let costs = tiers.map(|price| {
        let input = dearest(price.input, &[price.cached, price.cache_write, sound(price.audio)]);
        let answer = dearest(price.output, &[sound(price.audio_output)]);
        (input.cost_of_tokens(asked), answer.cost_of_tokens(output))
    });
    let [(input, answer), (long_input, long_answer)] = costs;
    // If the provider shortens the conversation, it makes two calls, and only one of them may have
    // a long input.
    let tokens = if wanted.is_shortened {
        input.max(long_input) + answer.max(long_answer)
    } else {
        (input + answer).max(long_input + long_answer)
    };
    MicroCredits::round_up_millionths(tokens) + of_tools(price, wanted.tools)
}

/// Returns the maximum number of output tokens of a call. Without a limit in the request, `assumed`
/// tokens are reserved, because the longest possible answer would exceed every small budget. `most`
/// is the model's maximum.
pub(super) fn most_output(wanted: TokenEstimate, assumed: u64, most: Option<u64>) -> u64 {
    let each = wanted.max_output.unwrap_or(assumed);
    each.min(most.unwrap_or(u64::MAX)).saturating_add(wanted.predicted).saturating_mul(wanted.choices)
}

#[cfg(test)]
mod tests {
    mod bodies;

    use ::ai::ExtraCalls;
    use proptest::prelude::*;

    use super::*;

    const PRICE: ModelPrice = ModelPrice {
        input: MicroCredits(1_000_000),
        output: MicroCredits(10_000_000),
        cached: Some(MicroCredits(100_000)),
        cache_write: None,
        audio: None,
        audio_output: None,
        search: None,
        container: None,
        image: None,
        long: None,
    };

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input: Some(input), cached: Some(cached), output: Some(output), ..Usage::default() }
    }

    #[test]
    fn charges_cached_input_at_its_own_price_and_once() {
        assert_eq!(cost(&PRICE, &usage(100, 0, 10)), MicroCredits(200));
        assert_eq!(cost(&PRICE, &usage(100, 90, 10)), MicroCredits(119));
        assert_eq!(cost(&PRICE, &usage(100, 900, 0)), MicroCredits(10), "no more was cached than was read");
        assert_eq!(cost(&PRICE, &Usage::default()), MicroCredits::ZERO);
    }

    #[test]
    fn batches_cost_a_part_of_the_token_prices() {
        let price = ModelPrice { search: Some(MicroCredits(10_000)), ..PRICE };
        let half = batch_price(&price, 50);
        assert_eq!(
            (half.input, half.output, half.cached),
            (MicroCredits(500_000), MicroCredits(5_000_000), Some(MicroCredits(50_000)))
        );
        assert_eq!((half.search, half.cache_write), (price.search, None));
        assert_eq!(batch_price(&price, 100), price);
        assert_eq!(cost(&half, &usage(100, 0, 10)), MicroCredits(100));
    }

    #[test]
    fn charges_audio_at_its_own_prices() {
        let price =
            ModelPrice { audio: Some(MicroCredits(40_000_000)), audio_output: Some(MicroCredits(80_000_000)), ..PRICE };
        let usage = Usage { audio: Some(14), audio_output: Some(4), ..usage(30, 0, 6) };
        assert_eq!(cost(&price, &usage), MicroCredits(20 + 10 * 40 + 2 * 10 + 4 * 80));
        assert_eq!(cost(&PRICE, &usage), MicroCredits(30 + 60), "without an own price, it costs the same as text");
        let nonsense = Usage { audio: Some(900), audio_output: Some(500), ..usage };
        assert_eq!(
            cost(&price, &nonsense),
            MicroCredits(30 * 40 + 6 * 80),
            "no more audio tokens than tokens in total"
        );
    }

    #[test]
    fn charges_provider_tools_in_addition_to_tokens() {
        let used = Usage { searches: Some(3), containers: Some(4), images: Some(1), ..usage(100, 0, 10) };
        assert_eq!(cost(&PRICE, &used), MicroCredits(200), "tools without a price");
        let price = ModelPrice { search: Some(MicroCredits(10_000)), ..PRICE };
        assert_eq!(cost(&price, &used), MicroCredits(30_200));
        let price = ModelPrice { container: Some(MicroCredits(30_000)), image: Some(MicroCredits(250_000)), ..price };
        assert_eq!(cost(&price, &used), MicroCredits(400_200));
    }

    #[test]
    fn estimates_the_rounds_of_a_searching_call() {
        let wanted = TokenEstimate::text_only(100, Some(10));
        assert_eq!(with_search_rounds(wanted, 0), wanted);
        assert_eq!(with_search_rounds(wanted, 2).input, 3 * 100 + 3 * MAX_RESULT_TOKENS);
        assert_eq!(cost_of_searches(MicroCredits(4_000), 3), MicroCredits(12_000));
    }

    #[test]
    fn long_input_price_applies_to_the_whole_input() {
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
        // Usage of a shortened conversation: of the call that read all of it, and of the one that
        // answers.
        let shortened = |input: u64, longest: u64| Usage {
            extra: ExtraCalls { input, longest, cached: 50, output: 10, ..ExtraCalls::default() },
            ..usage(100 + input, 50, 20)
        };
        assert_eq!(cost(&price, &shortened(150, 150)), MicroCredits(100 + 100 + 5 + 200), "neither is long");
        assert_eq!(cost(&price, &shortened(250, 250)), MicroCredits(100 + 100 + 400 + 10 + 150), "one is long");
        assert_eq!(cost(&price, &shortened(250, 125)), MicroCredits(100 + 100 + 200 + 5 + 100), "there are two calls");
    }

    fn amounts() -> impl Strategy<Value = MicroCredits> {
        (0_i64..100_000_000).prop_map(MicroCredits)
    }

    fn prices() -> impl Strategy<Value = ModelPrice> {
        let kinds = (amounts(), amounts(), prop::array::uniform7(prop::option::of(amounts())));
        let long =
            prop::option::of((0_u64..3_000, amounts(), amounts(), prop::array::uniform2(prop::option::of(amounts()))));
        (kinds, long).prop_map(
            |((input, output, [cached, cache_write, audio, audio_output, search, container, image]), long)| {
                ModelPrice {
                    input,
                    output,
                    cached,
                    cache_write,
                    audio,
                    audio_output,
                    search,
                    container,
                    image,
                    long: long.map(|(above, long_input, long_output, [cached, cache_write])| LongPrice {
                        above,
                        input: long_input,
                        output: long_output,
                        cached,
                        cache_write,
                    }),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn reserves_at_least_what_is_charged(
            price in prices(),
            (input, most, choices, has_sound) in (0_u64..4_000, 0_u64..4_000, 1_u64..128, any::<bool>()),
            most_uses in prop::array::uniform3(0_u64..20),
            shares in prop::array::uniform9(0_u64..=100),
        ) {
            let part = |of: u64, share: usize| of * shares[share] / 100;
            let [searches, containers, images] = most_uses;
            let tools = ToolUses { searches, containers, images };
            let wanted = TokenEstimate { tools, choices, has_audio: has_sound, ..TokenEstimate::text_only(input, Some(most)) };
            let (asked, answered) = (part(input, 0), part(most * choices, 1));
            let spoken = if has_sound { part(answered, 2) } else { 0 };
            let heard = if has_sound { part(asked, 3) } else { 0 };
            let usage = Usage {
                cache_write: Some(part(asked, 4)),
                audio: Some(heard + spoken),
                audio_output: Some(spoken),
                searches: Some(part(searches, 6)),
                containers: Some(part(containers, 7)),
                images: Some(part(images, 8)),
                ..usage(asked, part(asked, 5), answered)
            };
            prop_assert!(cost(&price, &usage) <= max_cost(&price, wanted, most * choices));
        }
    }
}

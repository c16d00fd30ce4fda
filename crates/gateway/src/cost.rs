//! What tokens cost.

use ::ai::{ToolUses, Usage, Wanted};
use appcore::{credits::MicroCredits, view::ModelPrice};

/// What so many tokens cost. Calls that were made beside the answer are long or not by themselves, as is the one that answers.
pub fn cost(price: &ModelPrice, usage: &Usage) -> MicroCredits {
    let beside = usage.beside;
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
    let of_own = of_tokens(&price.of_input(own.input.unwrap_or(0)), &own);
    let of_others = of_tokens(&price.of_input(beside.longest), &others);
    MicroCredits::rounded_up(of_own + of_others) + of_tools(price, usage.tools())
}

/// What tokens cost at these prices, in millionths.
fn of_tokens(price: &ModelPrice, usage: &Usage) -> i128 {
    let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
    let cached = usage.cached.unwrap_or(0).min(input);
    let written = usage.cache_write.unwrap_or(0).min(input - cached);
    let spoken = usage.audio_output.unwrap_or(0).min(output);
    let heard = usage.audio.unwrap_or(0).saturating_sub(spoken).min(input - cached - written);
    price.input.of_tokens(input - cached - written - heard)
        + price.cached.unwrap_or(price.input).of_tokens(cached)
        + price.cache_write.unwrap_or(price.input).of_tokens(written)
        + price.audio.unwrap_or(price.input).of_tokens(heard)
        + price.output.of_tokens(output - spoken)
        + price.audio_output.unwrap_or(price.output).of_tokens(spoken)
}

/// What tools of the provider's cost beside the tokens.
fn of_tools(price: &ModelPrice, ToolUses { searches, containers, images }: ToolUses) -> MicroCredits {
    let kinds = [(price.search, searches), (price.container, containers), (price.image, images)];
    let micro = kinds.into_iter().map(|(each, count)| each.unwrap_or_default().of_tokens(count)).sum::<i128>();
    MicroCredits(i64::try_from(micro).unwrap_or(i64::MAX))
}

/// What a call costs at most, whose answers have so many tokens: each is of the dearest kind that it may turn out to be.
pub(super) fn worst_cost(price: &ModelPrice, wanted: Wanted, output: u64) -> MicroCredits {
    let sound = |price: Option<MicroCredits>| price.filter(|_| wanted.has_sound);
    let dearest =
        |usual: MicroCredits, others: &[Option<MicroCredits>]| others.iter().copied().flatten().fold(usual, Ord::max);
    let times = 1 + u64::from(wanted.is_shortened);
    let (asked, output) = (wanted.input.saturating_mul(times), output.saturating_mul(times));
    // The question may have more tokens than it looks, and so be a long one.
    let tiers = [price.of_input(0), price.of_input(wanted.input.saturating_mul(2))];
    let costs = tiers.map(|price| {
        let input = dearest(price.input, &[price.cached, price.cache_write, sound(price.audio)]);
        let answer = dearest(price.output, &[sound(price.audio_output)]);
        (input.of_tokens(asked), answer.of_tokens(output))
    });
    let [(input, answer), (long_input, long_answer)] = costs;
    // Of a conversation that is shortened one call may be long, and another one not.
    let tokens = if wanted.is_shortened {
        input.max(long_input) + answer.max(long_answer)
    } else {
        (input + answer).max(long_input + long_answer)
    };
    MicroCredits::rounded_up(tokens) + of_tools(price, wanted.tools)
}

/// The most tokens that all answers to a call have. `assumed`: who names no limit is held for the usual answer, as the longest possible one would use up every
/// small budget. `most`: what its model writes at most.
pub(super) fn most_output(wanted: Wanted, assumed: u64, most: Option<u64>) -> u64 {
    let each = wanted.max_output.unwrap_or(assumed);
    each.min(most.unwrap_or(u64::MAX)).saturating_add(wanted.predicted).saturating_mul(wanted.choices)
}

#[cfg(test)]
mod tests {
    mod bodies;

    use ::ai::Beside;
    use appcore::view::LongPrice;
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
    fn tools_of_the_provider_cost_beside_the_tokens() {
        let used = Usage { searches: Some(3), containers: Some(4), images: Some(1), ..usage(100, 0, 10) };
        assert_eq!(cost(&PRICE, &used), MicroCredits(200), "where they have no price");
        let price = ModelPrice { search: Some(MicroCredits(10_000)), ..PRICE };
        assert_eq!(cost(&price, &used), MicroCredits(30_200));
        let price = ModelPrice { container: Some(MicroCredits(30_000)), image: Some(MicroCredits(250_000)), ..price };
        assert_eq!(cost(&price, &used), MicroCredits(400_200));
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
        // A conversation that was shortened on its way: the call that read all of it, and the one that answers.
        let shortened = |input: u64, longest: u64| Usage {
            beside: Beside { input, longest, cached: 50, output: 10, ..Beside::default() },
            ..usage(100 + input, 50, 20)
        };
        assert_eq!(cost(&price, &shortened(150, 150)), MicroCredits(100 + 100 + 5 + 200), "neither is long");
        assert_eq!(cost(&price, &shortened(250, 250)), MicroCredits(100 + 100 + 400 + 10 + 150), "one is");
        assert_eq!(cost(&price, &shortened(250, 125)), MicroCredits(100 + 100 + 200 + 5 + 100), "they are two");
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
        fn whatever_is_asked_no_less_is_held_than_is_booked(
            price in prices(),
            (input, most, choices, has_sound) in (0_u64..4_000, 0_u64..4_000, 1_u64..128, any::<bool>()),
            most_uses in prop::array::uniform3(0_u64..20),
            shares in prop::array::uniform9(0_u64..=100),
        ) {
            let part = |of: u64, share: usize| of * shares[share] / 100;
            let [searches, containers, images] = most_uses;
            let tools = ToolUses { searches, containers, images };
            let wanted = Wanted { tools, choices, has_sound, ..Wanted::words(input, Some(most)) };
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
            prop_assert!(cost(&price, &usage) <= worst_cost(&price, wanted, most * choices));
        }
    }
}

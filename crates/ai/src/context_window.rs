//! Selection of the conversation history that fits a model's context window.

use crate::ChatMessage;

/// Estimated tokens of the markup around a turn.
const TOKENS_PER_TURN: usize = 4;

/// Conservative estimate of a text's tokens: four ASCII characters, or one other character, per
/// token. No tokenizer is used because each model has its own; real counts are lower for nearly all
/// languages.
pub fn estimate_tokens(text: &str) -> usize {
    let (ascii, other) =
        text.chars().fold(
            (0_usize, 0_usize),
            |(ascii, other), char| {
                if char.is_ascii() { (ascii + 1, other) } else { (ascii, other + 1) }
            },
        );
    ascii.div_ceil(4) + other
}

/// Estimated tokens of a turn.
pub fn turn_tokens(turn: &ChatMessage) -> usize {
    let pictures: usize = turn.pictures.iter().map(|picture| picture.tokens).sum();
    let files: usize = turn.files.iter().map(|file| file.tokens).sum();
    estimate_tokens(&turn.text) + pictures + files
}

/// Newest turns of `history` (oldest first) that fit into `budget` tokens together with `system`,
/// which always counts. The newest turn is always included, truncated to its end if it alone is too
/// long.
pub fn window(system: Option<&str>, history: &[ChatMessage], budget: usize) -> Vec<ChatMessage> {
    let mut left = budget.saturating_sub(system.map_or(0, |text| estimate_tokens(text) + TOKENS_PER_TURN));
    let mut shown = Vec::new();
    for message in history.iter().rev() {
        let cost = turn_tokens(message) + TOKENS_PER_TURN;
        if cost > left {
            if shown.is_empty() {
                let text = ending_of(&message.text, left.saturating_sub(TOKENS_PER_TURN));
                shown.push(ChatMessage { text: text.to_owned(), ..message.clone() });
            }
            break;
        }
        left -= cost;
        shown.push(message.clone());
    }
    shown.reverse();
    shown
}

/// Last characters of `text` that fit into `tokens`, at least one.
fn ending_of(text: &str, tokens: usize) -> &str {
    let mut quarters = 0_usize;
    let allowed = tokens.saturating_mul(4).max(4);
    let start = text.char_indices().rev().take_while(|(_, char)| {
        quarters += if char.is_ascii() { 1 } else { 4 };
        quarters <= allowed
    });
    start.last().map_or(text, |(start, _)| &text[start..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn turns(texts: &[&str]) -> Vec<ChatMessage> {
        texts.iter().map(|&text| ChatMessage::user(text)).collect()
    }

    #[test]
    fn selects_the_newest_turns_that_fit() {
        let history = turns(&["aaaaaaaa", "bbbbbbbb", "cccccccc"]);
        assert_eq!(window(None, &history, 100), history);
        assert_eq!(window(None, &history, 12), history[1..], "two turns of 2 + 4 tokens");
        assert_eq!(window(Some("ssss"), &history, 12), history[2..], "1 + 4 tokens for the system prompt");
    }

    #[test]
    fn truncates_a_long_last_turn_to_its_end() {
        let history = turns(&["before", &"0123456789".repeat(10)]);
        assert_eq!(window(None, &history, 6), turns(&["23456789"]));
        assert_eq!(window(Some("far too long a prompt"), &history, 1), turns(&["6789"]));
    }

    proptest! {
        #[test]
        fn selects_a_suffix_within_the_budget(
            texts in prop::collection::vec(".{0,60}", 0..12),
            budget in 0_usize..120,
        ) {
            let history: Vec<ChatMessage> = texts.into_iter().map(ChatMessage::user).collect();
            let shown = window(None, &history, budget);
            prop_assert_eq!(shown.is_empty(), history.is_empty());
            let cost: usize = shown.iter().map(|turn| estimate_tokens(&turn.text) + TOKENS_PER_TURN).sum();
            prop_assert!(cost <= budget || shown.len() == 1);
            let rest = &history[history.len() - shown.len()..];
            prop_assert!(shown.iter().skip(1).eq(rest.iter().skip(1)));
            prop_assert!(shown.iter().zip(rest).all(|(turn, whole)| whole.text.ends_with(&turn.text)));
        }
    }
}

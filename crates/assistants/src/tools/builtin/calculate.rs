//! Calculator: exact arithmetic, percentages, functions and units, which models get wrong on their
//! own.
//!
//! The input is limited before parsing: in its length, and in its characters, because without those
//! of function definitions there is no recursion. The evaluation is limited in time, and its stack
//! is large enough for the deepest nesting that the input can have.

use std::{
    thread,
    time::{Duration, Instant},
};

use appcore::UserId;
use fend_core::{Context, Interrupt, evaluate_with_interrupt};
use mcp::Tool;
use platform::work_pools::WorkOwner;
use serde_json::{Map, Value, json};

use super::{error_text, required_text};
use crate::AssistantsService;

pub(super) const NAME: &str = "calculate";
const MAX_EXPRESSION_LEN: usize = 300;
/// Maximum length of a result, in characters.
const MAX_RESULT_CHARS: usize = 2_000;
const TIME_LIMIT: Duration = Duration::from_secs(1);
const STACK_BYTES: usize = 64 * 1024 * 1024;
const FAILED_MESSAGE: &str = "This can't be calculated.";
/// Allowed characters besides letters and digits.
const ALLOWED_SIGNS: &str = " +-*/^%().,!";

pub(super) fn tool() -> Tool {
    let description = "Calculates exactly. Use it for any arithmetic instead of doing it yourself. It knows + - * / ^ %, brackets, functions such as \
        sqrt, ln, log10, sin and round, and units, such as `3.5% of 1200`, `2^64 - 1`, `180 cm to feet` or `45 minutes to hours`.";
    let schema = json!({
        "type": "object",
        "properties": { "expression": { "type": "string", "maxLength": MAX_EXPRESSION_LEN, "description": "One expression, with . before decimals." } },
        "required": ["expression"],
        "additionalProperties": false,
    });
    super::read_only_tool(NAME, "Calculate", description, schema)
}

pub(super) async fn call(
    service: &AssistantsService,
    asker: UserId,
    arguments: &Map<String, Value>,
) -> Result<String, String> {
    let expression = required_text(arguments, "expression")?.to_owned();
    let _slot = service.work.compute.acquire(WorkOwner::user(asker)).await.map_err(error_text)?;
    tokio::task::spawn_blocking(move || evaluate(expression)).await.unwrap_or_else(|_| Err(FAILED_MESSAGE.to_owned()))
}

struct TimeLimit(Instant);

impl Interrupt for TimeLimit {
    fn should_interrupt(&self) -> bool {
        Instant::now() >= self.0
    }
}

fn evaluate(expression: String) -> Result<String, String> {
    if expression.len() > MAX_EXPRESSION_LEN {
        return Err(format!("The expression is too long: use up to {MAX_EXPRESSION_LEN} characters."));
    }
    if let Some(sign) = expression.chars().find(|char| !char.is_ascii_alphanumeric() && !ALLOWED_SIGNS.contains(*char))
    {
        return Err(format!("The sign {sign:?} isn't known here. Use letters, digits and {ALLOWED_SIGNS:?}."));
    }
    let work = move || -> Result<String, String> {
        let until = TimeLimit(Instant::now() + TIME_LIMIT);
        let done = evaluate_with_interrupt(&expression, &mut Context::new(), &until)?;
        Ok(done.get_main_result().chars().take(MAX_RESULT_CHARS).collect())
    };
    let working = thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    // A panic counts as a failed calculation.
    working.ok().and_then(|working| working.join().ok()).unwrap_or_else(|| Err(FAILED_MESSAGE.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(expression: &str) -> Result<String, String> {
        evaluate(expression.to_owned())
    }

    #[test]
    fn calculates_exactly() {
        for (expression, expected) in [
            ("2 + 2 * 3", "8"),
            ("(1.1 + 2.2) * 10", "33"),
            ("2^64 - 1", "18446744073709551615"),
            ("5% of 100", "5"),
            ("sqrt 49", "7"),
            ("5 ft to m", "1.524 m"),
        ] {
            assert_eq!(result(expression).as_deref(), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn bounds_time_recursion_and_input() {
        let deep = format!("{}1{}", "(".repeat(149), ")".repeat(149));
        assert_eq!(result(&deep).as_deref(), Ok("1"));
        let minus = format!("{}1", "-".repeat(299));
        for endless in ["9^9^9^9", "999999999!", "10^(10^10)", &minus, &"(".repeat(300), "1 +"] {
            // The result doesn't matter, only that the calculation ends.
            drop(result(endless));
        }
        for refused in ["\\x. x x", "f = x: f x", "\"text\"", "@debug 1", &"1".repeat(MAX_EXPRESSION_LEN + 1)] {
            assert!(result(refused).is_err(), "{refused}");
        }
        assert!(result("10^1900").is_ok_and(|digits| digits.len() <= MAX_RESULT_CHARS));
    }
}

//! Normalises tool calls for all providers: ids are unique, non-empty and at most 40 bytes long
//! (OpenAI's limit), arguments are JSON objects, and every call has exactly one result.
//!
//! Ids that some servers assign stay in conversations that continue with another provider, which
//! would reject the whole request or match a result to the wrong call. Calls without a result and
//! results without a call come from interrupted rounds and from clients that trim the conversation.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    canonical::{Part, Request, Speaker, ToolResult, Turn},
    dialect::openai_chat::provider_format::{sha256_hex, split_text},
};

pub(crate) const MAX_ID_LEN: usize = 40;
/// Number of hash characters in the id that replaces one above the maximum length.
const HASH_LEN: usize = 32;

/// New ids of the calls that share one original id.
#[derive(Default)]
struct CallsOfId {
    ids: VecDeque<String>,
    /// Number of calls that have a result, counted from the first.
    answered: usize,
}

/// Replaces invalid arguments, and invalid or duplicate call ids with the ids of their results.
/// Deterministic: the same conversation gets the same ids each time, because provider caches depend
/// on it.
pub(crate) fn normalise(request: &mut Request) {
    let (mut taken, mut next) = (HashSet::new(), 0);
    let mut calls: HashMap<String, CallsOfId> = HashMap::new();
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match part {
            Part::Call(call) => {
                if let Some(arguments) = repaired_arguments(&call.arguments) {
                    call.arguments = arguments;
                }
                let id = unique_id(&call.id, &taken, &mut next);
                taken.insert(id.clone());
                let of_id = calls.entry(std::mem::replace(&mut call.id, id.clone())).or_default();
                of_id.ids.drain(..std::mem::take(&mut of_id.answered));
                of_id.ids.push_back(id);
            }
            Part::Result(result) => {
                let Some(of_id) = calls.get_mut(&result.id) else { continue };
                let place = of_id.answered.min(of_id.ids.len().saturating_sub(1));
                if let Some(id) = of_id.ids.get(place) {
                    result.id.clone_from(id);
                    of_id.answered = place + 1;
                }
            }
            _ => {}
        }
    }
    join_results(&mut request.turns);
    pair_results(request);
}

/// Moves the results of one round into one turn if system instructions stand between them.
fn join_results(turns: &mut Vec<Turn>) {
    let mut gathered: Vec<Turn> = Vec::with_capacity(turns.len());
    let mut answer: Option<usize> = None;
    for mut turn in std::mem::take(turns) {
        match turn.speaker {
            Speaker::Assistant => answer = None,
            Speaker::System => {}
            Speaker::User => {
                if let Some(first) = answer.and_then(|place| gathered.get_mut(place)) {
                    let parts = std::mem::take(&mut turn.parts).into_iter();
                    let (results, others): (Vec<Part>, Vec<Part>) =
                        parts.partition(|part| matches!(part, Part::Result(_)));
                    first.parts.extend(results);
                    if others.is_empty() {
                        continue;
                    }
                    turn.parts = others;
                } else {
                    answer = Some(gathered.len());
                }
            }
        }
        gathered.push(turn);
    }
    *turns = gathered;
}

/// Gives each call exactly one result in the following turn and removes results without a call.
fn pair_results(request: &mut Request) {
    let mut paired = Vec::with_capacity(request.turns.len());
    let mut open: Vec<String> = Vec::new();
    for mut turn in std::mem::take(&mut request.turns) {
        match turn.speaker {
            Speaker::User => turn.parts = with_results(turn.parts, &std::mem::take(&mut open)),
            Speaker::Assistant => {
                let parts = with_results(Vec::new(), &open);
                if !parts.is_empty() {
                    paired.push(Turn { speaker: Speaker::User, parts });
                }
                let id = |part: &Part| match part {
                    Part::Call(call) => Some(call.id.clone()),
                    _ => None,
                };
                open = turn.parts.iter().filter_map(id).collect();
            }
            Speaker::System => {}
        }
        paired.push(turn);
    }
    request.turns = paired;
}

/// Returns the parts of the user's turn with exactly one result for each of these calls. Results of
/// other calls become text.
fn with_results(parts: Vec<Part>, calls: &[String]) -> Vec<Part> {
    let mut said: Vec<Part> = Vec::with_capacity(parts.len());
    // Index of each call's result in `parts`; `None` until it is found.
    let mut places: HashMap<&str, Option<usize>> = calls.iter().map(|id| (id.as_str(), None)).collect();
    for part in parts {
        let Part::Result(result) = part else {
            said.push(part);
            continue;
        };
        match places.get_mut(result.id.as_str()) {
            Some(Some(place)) => {
                if let Some(Part::Result(before)) = said.get_mut(*place) {
                    before.parts.extend(result.parts);
                }
            }
            Some(place) => {
                *place = Some(said.len());
                said.push(Part::Result(result));
            }
            None => {
                let text = split_text(&result.parts).0;
                said.push(Part::Text(format!("[What a tool has answered]\n{text}")));
                said.extend(result.parts.into_iter().filter(|part| matches!(part, Part::Media(_))));
            }
        }
    }
    let is_open = |id: &&String| places.get(id.as_str()).is_some_and(Option::is_none);
    let broken = calls.iter().filter(is_open).map(|id| {
        let parts = vec![Part::Text("It was broken off before it had a result.".to_owned())];
        Part::Result(ToolResult { id: id.clone(), parts, is_error: true })
    });
    let mut all: Vec<Part> = broken.collect();
    all.append(&mut said);
    all
}

/// Returns a valid, unused id. `next` is where the last search for a free number ended; starting
/// over each time would be quadratic.
fn unique_id(id: &str, taken: &HashSet<String>, next: &mut usize) -> String {
    let short = if id.len() > MAX_ID_LEN { hashed_id(id) } else { id.to_owned() };
    if !short.is_empty() && !taken.contains(&short) {
        return short;
    }
    *next = taken.len().max(*next);
    loop {
        let made = format!("call_{next}");
        if !taken.contains(&made) {
            return made;
        }
        *next += 1;
    }
}

/// Id that replaces one above the maximum length.
pub(crate) fn hashed_id(id: &str) -> String {
    format!("call_{}", &sha256_hex(id)[..HASH_LEN])
}

/// Returns a JSON object in place of arguments that aren't one; `None` if they are. An interrupted
/// answer leaves truncated arguments, and some servers send none for a call without arguments;
/// most servers then reject every later request of the conversation.
pub(crate) fn repaired_arguments(arguments: &str) -> Option<String> {
    let is_object = |json: &str| json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok();
    if is_object(arguments) {
        return None;
    }
    let value: Option<Value> = serde_json::from_str(arguments).ok();
    Some(match value {
        None if arguments.trim().is_empty() => "{}".to_owned(),
        Some(Value::Null) => "{}".to_owned(),
        // PHP's encoding of an empty object.
        Some(Value::Array(items)) if items.is_empty() => "{}".to_owned(),
        // Some clients encode the JSON text twice.
        Some(Value::String(inner)) if is_object(&inner) => inner,
        _ => json!({ "_raw": arguments }).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::ToolCall;

    /// Normalises a conversation whose tool rounds have these ids of calls and results, and returns
    /// the new ids.
    fn ids(rounds: &[(&[&str], &[&str])]) -> Vec<(Vec<String>, Vec<String>)> {
        let mut request = Request::default();
        for (calls, results) in rounds {
            let call = |id: &&str| Part::Call(ToolCall { id: (*id).to_owned(), ..ToolCall::default() });
            let result =
                |id: &&str| Part::Result(ToolResult { id: (*id).to_owned(), parts: Vec::new(), is_error: false });
            request.append(Speaker::Assistant, calls.iter().map(call));
            request.append(Speaker::User, results.iter().map(result));
        }
        normalise(&mut request);
        let of = |turn: usize| {
            let parts = request.turns.get(turn).map(|turn| turn.parts.as_slice()).unwrap_or_default();
            let id = |part: &Part| match part {
                Part::Call(call) => call.id.clone(),
                Part::Result(result) => result.id.clone(),
                other => panic!("{other:?}"),
            };
            parts.iter().map(id).collect::<Vec<_>>()
        };
        (0..rounds.len()).map(|round| (of(2 * round), of(2 * round + 1))).collect()
    }

    #[test]
    fn keeps_valid_ids() {
        let found = ids(&[(&["call_a", "toolu_b"], &["toolu_b", "call_a"])]);
        let own = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
        assert_eq!(found, [(own(["call_a", "toolu_b"]), own(["toolu_b", "call_a"]))]);
    }

    #[test]
    fn replaces_empty_and_duplicate_ids() {
        for id in ["", "0"] {
            let found = ids(&[(&[id, id], &[id, id]), (&[id], &[id])]);
            let [(calls, results), (later, its)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((calls, later), (results, its));
            let all: HashSet<&String> = calls.iter().chain(later).collect();
            assert!(all.len() == 3 && !all.iter().any(|id| id.is_empty()), "{found:?}");
        }
    }

    #[test]
    fn pairs_calls_with_results() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let found = ids(&[(&["a", "b"], &["a"]), (&["a"], &["a", "a"])]);
        assert_eq!(found[0], (vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]), "b was interrupted");
        assert!(found[1].0[0] != "a" && found[1].0 == found[1].1, "two results are merged: {found:?}");

        let result = |id: &str, text: &str| {
            Part::Result(ToolResult { id: id.to_owned(), parts: vec![Part::Text(text.to_owned())], is_error: false })
        };
        let call =
            |id: &str| Part::Call(ToolCall { id: id.to_owned(), arguments: "{}".to_owned(), ..ToolCall::default() });
        let text = |text: &str| Part::Text(text.to_owned());
        let mut request = Request::default();
        request.append(Speaker::User, [result("lost", "31"), text("x")]);
        request.append(Speaker::Assistant, [call("a")]);
        request.append(Speaker::System, [text("be brief")]);
        request.append(Speaker::Assistant, [call("b")]);
        normalise(&mut request);
        let turn = |at: usize| (request.turns[at].speaker, &request.turns[at].parts);
        assert_eq!(turn(0), (Speaker::User, &vec![text("[What a tool has answered]\n31"), text("x")]));
        let (speaker, parts) = turn(3);
        let is_of_a = |part: &Part| matches!(part, Part::Result(result) if result.id == "a" && result.is_error);
        assert!(speaker == Speaker::User && parts.iter().all(is_of_a) && parts.len() == 1, "{parts:?}");
        assert_eq!(turn(4), (Speaker::Assistant, &vec![call("b")]), "the latest calls may still be answered");
        assert_eq!(request.turns.len(), 5);
    }

    #[test]
    fn joins_results_around_system_turns() {
        let result = |id: &str| Part::Result(ToolResult { id: id.to_owned(), parts: Vec::new(), is_error: false });
        let call = |id: &str| Part::Call(ToolCall { id: id.to_owned(), ..ToolCall::default() });
        let text = |text: &str| Part::Text(text.to_owned());
        let mut request = Request::default();
        request.append(Speaker::Assistant, [call("a"), call("b"), call("c")]);
        request.append(Speaker::User, [result("a")]);
        request.append(Speaker::System, [text("be brief")]);
        request.append(Speaker::User, [result("b"), text("x")]);
        request.append(Speaker::System, [text("be kind")]);
        request.append(Speaker::User, [result("c")]);
        normalise(&mut request);
        let turns: Vec<(Speaker, Vec<Part>)> =
            request.turns.into_iter().skip(1).map(|turn| (turn.speaker, turn.parts)).collect();
        let expected = [
            (Speaker::User, vec![result("a"), result("b"), result("c")]),
            (Speaker::System, vec![text("be brief")]),
            (Speaker::User, vec![text("x")]),
            (Speaker::System, vec![text("be kind")]),
        ];
        assert_eq!(turns, expected);
    }

    #[test]
    fn avoids_collisions_with_given_ids() {
        const CALLS: usize = 40;
        // Ids that the generator would produce too, and as many calls without an id.
        let own: Vec<String> = (0..CALLS).map(|number| format!("call_{}", CALLS + number)).collect();
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.resize(2 * CALLS, "");
        let found = ids(&[(all.as_slice(), all.as_slice()), (&[""], &[""])]);
        let (calls, results) = &found[0];
        assert!(calls == results && calls[..CALLS] == own);
        assert_eq!(calls.iter().chain(&found[1].0).collect::<HashSet<_>>().len(), 2 * CALLS + 1);
    }

    #[test]
    fn resumes_the_search_for_a_free_id() {
        let (mut taken, mut next) = (HashSet::from(["call_8".to_owned()]), 7);
        for (made, end) in [("call_7", 7), ("call_9", 9), ("call_10", 10)] {
            let id = unique_id("", &taken, &mut next);
            assert_eq!((id.as_str(), next), (made, end));
            taken.insert(id);
        }
    }

    #[test]
    fn shortens_long_ids_deterministically() {
        let long = "call_".repeat(20);
        let once = || ids(&[(&[long.as_str(), "b"], &["b", long.as_str()])]);
        let (calls, results) = once().remove(0);
        assert!(calls[0].len() <= MAX_ID_LEN && calls[0] == results[1] && calls[1] == "b");
        assert_eq!(once(), once());
    }

    #[test]
    fn repairs_arguments_that_are_no_object() {
        for (sent, expected) in [
            ("{\"city\": \"Huế\"}", None),
            (" {} ", None),
            ("", Some("{}")),
            (" \n", Some("{}")),
            ("null", Some("{}")),
            ("[]", Some("{}")),
            ("{\"city\": ", Some(r#"{"_raw":"{\"city\": "}"#)),
            ("{}{}", Some(r#"{"_raw":"{}{}"}"#)),
            ("Huế", Some(r#"{"_raw":"Huế"}"#)),
            ("[1]", Some(r#"{"_raw":"[1]"}"#)),
            (r#""{\"city\":1}""#, Some(r#"{"city":1}"#)),
            (r#""city""#, Some(r#"{"_raw":"\"city\""}"#)),
        ] {
            assert_eq!(repaired_arguments(sent).as_deref(), expected, "{sent}");
            let call = ToolCall { id: "a".to_owned(), arguments: sent.to_owned(), ..ToolCall::default() };
            let mut request = Request::default();
            request.append(Speaker::Assistant, [Part::Call(call)]);
            normalise(&mut request);
            let [Part::Call(call)] = request.turns[0].parts.as_slice() else { panic!("{request:?}") };
            assert_eq!(call.arguments, expected.unwrap_or(sent), "{sent}");
        }
    }
}

//! Ids of calls as every provider takes them: none twice, none empty, and none longer than 40 letters (OpenAI). What some servers give their calls is kept in
//! conversations that go on elsewhere, where one such id has the whole question refused, or a result told of another call. So has a call without its result, and
//! a result without its call: a round that was broken off, or a conversation that a program has shortened.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    dialect::openai_chat::upstream::{hashed, split_text},
    neutral::{Part, Request, Speaker, ToolResult, Turn},
};

const LONGEST: usize = 40;
/// Letters of the hash of a longer one.
const KEPT: usize = 32;

/// The calls under the id that they came with, by their own ids.
#[derive(Default)]
struct Calls {
    ids: VecDeque<String>,
    /// So many of them have a result, the first ones.
    answered: usize,
}

/// Gives each call that needs it another id, and the results after it theirs. The same conversation gets the same ids each time: caches of providers live on
/// that.
pub(crate) fn mend(request: &mut Request) {
    let (mut taken, mut next) = (HashSet::new(), 0);
    let mut calls: HashMap<String, Calls> = HashMap::new();
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match part {
            Part::Call(call) => {
                let id = mended(&call.id, &taken, &mut next);
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
    gather(&mut request.turns);
    pair(request);
}

/// Brings together what came of a round of calls, where instructions stand between the results: it is one answer.
fn gather(turns: &mut Vec<Turn>) {
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

/// Leaves each call with one result in the turn behind it, and no result without its call.
fn pair(request: &mut Request) {
    let mut paired = Vec::with_capacity(request.turns.len());
    let mut open: Vec<String> = Vec::new();
    for mut turn in std::mem::take(&mut request.turns) {
        match turn.speaker {
            Speaker::User => turn.parts = answered(turn.parts, &std::mem::take(&mut open)),
            Speaker::Assistant => {
                let parts = answered(Vec::new(), &open);
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

/// What the user's side says, with a result for each of these calls and for no others.
fn answered(parts: Vec<Part>, calls: &[String]) -> Vec<Part> {
    let mut said: Vec<Part> = Vec::with_capacity(parts.len());
    // Where the result of each call stands, once there is one.
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

/// `next`: where the search for a free number goes on, which is where it ended the last time. From the start, each search would pass all calls before.
fn mended(id: &str, taken: &HashSet<String>, next: &mut usize) -> String {
    let short = if id.len() > LONGEST { format!("call_{}", &hashed(id)[..KEPT]) } else { id.to_owned() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::ToolCall;

    /// The ids of a conversation: rounds of calls, each with its results.
    fn ids(rounds: &[(&[&str], &[&str])]) -> Vec<(Vec<String>, Vec<String>)> {
        let mut request = Request::default();
        for (calls, results) in rounds {
            let call = |id: &&str| Part::Call(ToolCall { id: (*id).to_owned(), ..ToolCall::default() });
            let result =
                |id: &&str| Part::Result(ToolResult { id: (*id).to_owned(), parts: Vec::new(), is_error: false });
            request.say(Speaker::Assistant, calls.iter().map(call));
            request.say(Speaker::User, results.iter().map(result));
        }
        mend(&mut request);
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
    fn ids_that_every_provider_takes_stay_as_they_are() {
        let found = ids(&[(&["call_a", "toolu_b"], &["toolu_b", "call_a"])]);
        let own = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
        assert_eq!(found, [(own(["call_a", "toolu_b"]), own(["toolu_b", "call_a"]))]);
    }

    #[test]
    fn no_id_is_empty_or_there_twice_and_results_go_by_their_calls() {
        for id in ["", "0"] {
            let found = ids(&[(&[id, id], &[id, id]), (&[id], &[id])]);
            let [(calls, results), (later, its)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((calls, later), (results, its));
            let all: HashSet<&String> = calls.iter().chain(later).collect();
            assert!(all.len() == 3 && !all.iter().any(|id| id.is_empty()), "{found:?}");
        }
    }

    #[test]
    fn each_call_has_one_result_and_each_result_its_call() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let found = ids(&[(&["a", "b"], &["a"]), (&["a"], &["a", "a"])]);
        assert_eq!(found[0], (vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]), "b was broken off");
        assert!(found[1].0[0] != "a" && found[1].0 == found[1].1, "of two results one is made: {found:?}");

        let result = |id: &str, text: &str| {
            Part::Result(ToolResult { id: id.to_owned(), parts: vec![Part::Text(text.to_owned())], is_error: false })
        };
        let call = |id: &str| Part::Call(ToolCall { id: id.to_owned(), ..ToolCall::default() });
        let text = |text: &str| Part::Text(text.to_owned());
        let mut request = Request::default();
        request.say(Speaker::User, [result("lost", "31"), text("x")]);
        request.say(Speaker::Assistant, [call("a")]);
        request.say(Speaker::System, [text("be brief")]);
        request.say(Speaker::Assistant, [call("b")]);
        mend(&mut request);
        let turn = |at: usize| (request.turns[at].speaker, &request.turns[at].parts);
        assert_eq!(turn(0), (Speaker::User, &vec![text("[What a tool has answered]\n31"), text("x")]));
        let (speaker, parts) = turn(3);
        let is_of_a = |part: &Part| matches!(part, Part::Result(result) if result.id == "a" && result.is_error);
        assert!(speaker == Speaker::User && parts.iter().all(is_of_a) && parts.len() == 1, "{parts:?}");
        assert_eq!(turn(4), (Speaker::Assistant, &vec![call("b")]), "what is asked for now may be answered yet");
        assert_eq!(request.turns.len(), 5);
    }

    #[test]
    fn results_are_one_answer_though_instructions_stand_between_them() {
        let result = |id: &str| Part::Result(ToolResult { id: id.to_owned(), parts: Vec::new(), is_error: false });
        let call = |id: &str| Part::Call(ToolCall { id: id.to_owned(), ..ToolCall::default() });
        let text = |text: &str| Part::Text(text.to_owned());
        let mut request = Request::default();
        request.say(Speaker::Assistant, [call("a"), call("b"), call("c")]);
        request.say(Speaker::User, [result("a")]);
        request.say(Speaker::System, [text("be brief")]);
        request.say(Speaker::User, [result("b"), text("x")]);
        request.say(Speaker::System, [text("be kind")]);
        request.say(Speaker::User, [result("c")]);
        mend(&mut request);
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
    fn made_ids_keep_out_of_the_way_of_those_that_came() {
        const CALLS: usize = 40;
        // Ids that stand where others would be made, and as many calls that have none.
        let own: Vec<String> = (0..CALLS).map(|number| format!("call_{}", CALLS + number)).collect();
        let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
        all.resize(2 * CALLS, "");
        let found = ids(&[(all.as_slice(), all.as_slice()), (&[""], &[""])]);
        let (calls, results) = &found[0];
        assert!(calls == results && calls[..CALLS] == own);
        assert_eq!(calls.iter().chain(&found[1].0).collect::<HashSet<_>>().len(), 2 * CALLS + 1);
    }

    #[test]
    fn the_search_for_a_free_id_goes_on_where_the_last_one_ended() {
        let (mut taken, mut next) = (HashSet::from(["call_8".to_owned()]), 7);
        for (made, end) in [("call_7", 7), ("call_9", 9), ("call_10", 10)] {
            let id = mended("", &taken, &mut next);
            assert_eq!((id.as_str(), next), (made, end));
            taken.insert(id);
        }
    }

    #[test]
    fn a_long_id_is_a_short_one_each_time() {
        let long = "call_".repeat(20);
        let once = || ids(&[(&[long.as_str(), "b"], &["b", long.as_str()])]);
        let (calls, results) = once().remove(0);
        assert!(calls[0].len() <= LONGEST && calls[0] == results[1] && calls[1] == "b");
        assert_eq!(once(), once());
    }
}

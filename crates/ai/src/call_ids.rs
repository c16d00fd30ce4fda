//! Ids of calls as every provider takes them: none twice, none empty, and none longer than 40 letters (OpenAI). What some servers give their calls is kept in
//! conversations that go on elsewhere, where one such id has the whole question refused, or a result told of another call.

use std::collections::{HashMap, HashSet};

use crate::{
    dialect::openai_chat::upstream::hashed,
    neutral::{Part, Request},
};

const LONGEST: usize = 40;
/// Letters of the hash of a longer one.
const KEPT: usize = 32;

/// A call under the id that it came with.
struct Call {
    id: String,
    is_answered: bool,
}

/// Gives each call that needs it another id, and the results after it theirs. The same conversation gets the same ids each time: caches of providers live on
/// that.
pub(crate) fn mend(request: &mut Request) {
    let mut taken = HashSet::new();
    let mut calls: HashMap<String, Vec<Call>> = HashMap::new();
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match part {
            Part::Call(call) => {
                let id = mended(&call.id, &taken);
                taken.insert(id.clone());
                let of_id = calls.entry(std::mem::replace(&mut call.id, id.clone())).or_default();
                of_id.retain(|call| !call.is_answered);
                of_id.push(Call { id, is_answered: false });
            }
            Part::Result(result) => {
                let Some(of_id) = calls.get_mut(&result.id) else { continue };
                let place = of_id.iter().position(|call| !call.is_answered).unwrap_or(of_id.len().saturating_sub(1));
                if let Some(call) = of_id.get_mut(place) {
                    call.is_answered = true;
                    result.id.clone_from(&call.id);
                }
            }
            _ => {}
        }
    }
}

fn mended(id: &str, taken: &HashSet<String>) -> String {
    let short = if id.len() > LONGEST { format!("call_{}", &hashed(id)[..KEPT]) } else { id.to_owned() };
    if !short.is_empty() && !taken.contains(&short) {
        return short;
    }
    let free = (taken.len()..).map(|number| format!("call_{number}")).find(|id| !taken.contains(id));
    free.unwrap_or(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neutral::{Speaker, ToolCall, ToolResult};

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
        // A call that nobody has answered, and a result that comes twice.
        let found = ids(&[(&["a", "b"], &["a"]), (&["a"], &["a", "a"])]);
        assert_eq!(found[0], (vec!["a".to_owned(), "b".to_owned()], vec!["a".to_owned()]));
        assert!(found[1].0[0] != "a" && found[1].1 == vec![found[1].0[0].clone(); 2], "{found:?}");
        assert_eq!(ids(&[(&[], &["lost"])]), [(vec!["lost".to_owned()], Vec::new())], "a result without its call");
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

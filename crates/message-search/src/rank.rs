//! Ranking of hits, and spelling corrections.

use std::{cmp::Reverse, collections::HashMap};

use ::search::{Query, RequiredTerm};
use appcore::view::SearchCorrection;

use crate::window::Hit;

/// Sorts hits by score, then by age, newest first. Alternatives of a mistyped word take turns, the most frequent one
/// first; otherwise a word that is frequent in recent messages would hide the others.
pub(super) fn rank(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| Reverse(hit.candidate.number));
    let mut of_word: HashMap<(u32, &[Option<String>]), usize> = HashMap::new();
    let turns: Vec<usize> = hits
        .iter()
        .map(|hit| {
            let met = of_word.entry((hit.score, &hit.found.corrections)).or_default();
            *met += 1;
            if hit.found.corrections.iter().any(Option::is_some) { *met } else { 0 }
        })
        .collect();
    let places: Vec<_> = hits
        .iter()
        .zip(turns)
        .map(|(hit, turn)| {
            let of_word = of_word.get(&(hit.score, hit.found.corrections.as_slice())).copied().unwrap_or_default();
            // Without a corrected word, hits stay ordered by score and time.
            let of_word = if turn == 0 { 0 } else { of_word };
            (Reverse(hit.score), turn, Reverse(of_word), Reverse(hit.candidate.number))
        })
        .collect();
    let mut placed: Vec<_> = places.into_iter().zip(hits).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, hit)| hit).collect()
}

/// Returns spelling corrections: for each word without exact hits, the word that most hits contain instead.
pub(super) fn find_corrections(query: &Query, hits: &[Hit]) -> Vec<SearchCorrection> {
    let of = |(at, wanted): (usize, &RequiredTerm)| {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for hit in hits.iter().filter(|hit| !hit.found.corrections.is_empty()) {
            *counts.entry(hit.found.corrections.get(at)?.as_deref()?).or_default() += 1;
        }
        let (instead, _) = counts.into_iter().max_by_key(|(word, count)| (*count, Reverse(*word)))?;
        Some(SearchCorrection { typed: wanted.typed.clone(), instead: instead.to_owned() })
    };
    query.required.iter().enumerate().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ::search::Match;
    use appcore::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::index::Candidate;

    fn hit(number: i64, score: u32, instead: Option<&str>) -> Hit {
        let id = Uuid::from_u128(1);
        let candidate = Candidate { number, message: id };
        let found = Match { corrections: vec![instead.map(str::to_owned)], ..Match::default() };
        Hit {
            candidate,
            conversation: id,
            author: None,
            created_at: Timestamp(number),
            found,
            score,
            has: BTreeSet::new(),
            is_in_files: false,
        }
    }

    #[test]
    fn alternatives_of_a_typo_take_turns() {
        let form = |number| hit(number, 6, Some("form"));
        let hits = vec![hit(1, 12, None), hit(2, 6, Some("foam")), form(3), form(4), hit(5, 12, None), form(6)];
        let order: Vec<i64> = rank(hits).iter().map(|hit| hit.candidate.number).collect();
        assert_eq!(order, [5, 1, 6, 2, 4, 3]);
    }
}

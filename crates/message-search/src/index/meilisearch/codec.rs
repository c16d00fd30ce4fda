//! JSON of Meilisearch requests and responses.

use ::search::{Atom, Has};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::index::{Candidate, Document, Plan};

/// Minimum number of letters of a word in which one typo is tolerated, and in which two are.
const ONE_TYPO: u8 = 4;
const TWO_TYPOS: u8 = 8;

/// Name of the attribute without typo tolerance, and of the one with it.
const EXACT: &str = "exact";
const SIMILAR: &str = "similar";

pub(super) fn settings_of_messages() -> Value {
    json!({
        "searchableAttributes": [EXACT, SIMILAR],
        "filterableAttributes": ["conversation", "author", "has", "created_at", "number"],
        "sortableAttributes": ["number"],
        // Meilisearch returns the newest messages first; the ranking by relevance is computed later from the texts.
        "rankingRules": ["sort", "words", "typo", "proximity", "attribute", "exactness"],
        "typoTolerance": {
            "minWordSizeForTypos": { "oneTypo": ONE_TYPO, "twoTypos": TWO_TYPOS },
            "disableOnAttributes": [EXACT],
        },
    })
}

pub(super) fn settings_of_state() -> Value {
    json!({ "filterableAttributes": ["id"] })
}

pub(super) fn document(document: &Document) -> Value {
    let tokens = document.tokens.words.iter().chain(&document.tokens.additional);
    let words: Vec<&str> = tokens.map(|token| token.term.as_str()).collect();
    let words = words.join(" ");
    let has: Vec<&str> = document.has.iter().map(|has| flag(*has)).collect();
    json!({
        "id": document.message,
        "number": document_number(document.message),
        "conversation": document.conversation,
        "author": document.author,
        "created_at": document.created_at.millis(),
        "has": has,
        EXACT: words,
        SIMILAR: words,
    })
}

/// Document number by which messages are ordered. It consists of the milliseconds in the message's id and some bits
/// after them, and is small enough to be exact in JSON.
pub(super) fn document_number(message: Uuid) -> i64 {
    let (high, _) = message.as_u64_pair();
    let (millis, within) = (high >> 16, (high >> 7) & 0x1f);
    i64::try_from((millis << 5) | within).unwrap_or(i64::MAX)
}

pub(super) fn encode_query(plan: &Plan) -> Value {
    let mut filter = vec![one_of("conversation", &plan.conversations)];
    filter.extend(plan.authors.as_deref().map(|authors| one_of("author", authors)));
    filter.extend(plan.has.iter().map(|has| format!("has = \"{}\"", flag(*has))));
    filter.extend(plan.from.map(|from| format!("created_at >= {from}")));
    filter.extend(plan.until.map(|until| format!("created_at < {until}")));
    filter.extend(plan.below.map(|below| format!("number < {below}")));
    json!({
        "q": query_words(plan),
        "filter": filter,
        "sort": ["number:desc"],
        "limit": plan.limit,
        "matchingStrategy": "all",
        "attributesToSearchOn": [if plan.is_wide { SIMILAR } else { EXACT }],
        "attributesToRetrieve": ["id", "number"],
    })
}

/// Returns the words to search, in the spelling that was typed, since Meilisearch finds similar words itself.
/// Meilisearch treats the last word as a prefix, so a word that the user has not finished is placed last. Extra hits
/// are harmless, because they are matched again.
fn query_words(plan: &Plan) -> String {
    let (mut words, mut beginnings) = (Vec::new(), Vec::new());
    for atom in plan.all.iter().filter_map(|any| any.first()) {
        match atom {
            Atom::Word(word) => words.push(word.clone()),
            Atom::Phrase { terms, is_open: false } => words.push(format!("\"{}\"", terms.join(" "))),
            Atom::Phrase { terms, is_open: true } => beginnings.insert(0, terms.join(" ")),
            Atom::Prefix(beginning) => beginnings.push(beginning.clone()),
        }
    }
    words.extend(beginnings);
    words.join(" ")
}

pub(super) fn one_of(field: &str, ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("{field} IN [{}]", ids.join(", "))
}

pub(super) fn candidate(hit: &Value) -> Option<Candidate> {
    Some(Candidate { number: hit["number"].as_i64()?, message: hit["id"].as_str()?.parse().ok()? })
}

const fn flag(has: Has) -> &'static str {
    match has {
        Has::File => "file",
        Has::Image => "image",
        Has::Link => "link",
        Has::Voice => "voice",
    }
}

#[cfg(test)]
mod tests {
    use ::search::tokens;
    use appcore::Timestamp;

    use super::*;

    const MESSAGE: &str = "0199f3c2-7b01-7abc-8def-000000000001";
    const CONVERSATION: &str = "0199f3c2-0000-7000-8000-000000000002";

    fn id(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    #[test]
    fn encodes_queries() {
        let plan = Plan {
            all: vec![
                vec![Atom::Prefix("pla".to_owned())],
                vec![Atom::Word("tran".to_owned()), Atom::Word("trans".to_owned())],
                vec![Atom::Phrase { terms: vec!["good".to_owned(), "morning".to_owned()], is_open: false }],
                vec![Atom::Phrase { terms: vec!["nat".to_owned(), "12".to_owned()], is_open: true }],
            ],
            authors: Some(vec![id(MESSAGE)]),
            has: [Has::Link].into(),
            conversations: vec![id(CONVERSATION)],
            from: Some(5),
            below: Some(9),
            limit: 500,
            ..Plan::default()
        };
        let asked = encode_query(&plan);
        assert_eq!(asked["q"], "tran \"good morning\" nat 12 pla");
        let filter = json!([
            format!("conversation IN [\"{CONVERSATION}\"]"),
            format!("author IN [\"{MESSAGE}\"]"),
            "has = \"link\"",
            "created_at >= 5",
            "number < 9",
        ]);
        assert_eq!((&asked["filter"], &asked["attributesToSearchOn"]), (&filter, &json!(["exact"])));
        assert_eq!(encode_query(&Plan { is_wide: true, ..plan })["attributesToSearchOn"], json!(["similar"]));
    }

    #[test]
    fn encodes_documents_and_decodes_hits() {
        let written = document(&Document {
            message: id(MESSAGE),
            conversation: id(CONVERSATION),
            author: None,
            created_at: Timestamp(7),
            has: [Has::File].into(),
            tokens: tokens("getName — Đặng"),
        });
        assert_eq!((&written["exact"], &written["has"]), (&json!("get name dang getname"), &json!(["file"])));
        let found = candidate(&written).unwrap();
        assert_eq!((found.message, found.number), (id(MESSAGE), document_number(id(MESSAGE))));
    }

    #[test]
    fn numbers_increase_with_time_and_fit_into_json() {
        let numbers: Vec<i64> = [
            "0199f3c2-7b01-7000-8000-000000000000",
            "0199f3c2-7b01-7f00-8000-000000000000",
            "0199f3c2-7b02-7000-8000-000000000000",
            "ffffffff-ffff-7fff-bfff-ffffffffffff",
        ]
        .map(|text| document_number(id(text)))
        .into();
        assert!(numbers.is_sorted() && numbers[0] < numbers[1], "{numbers:?}");
        assert!(numbers[3] < 1 << 53);
    }
}

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Deadline, Dictionary, Interpretation, Matcher, Query, tokens};

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn document(message: u128, conversation: u128, text: &str) -> Document {
    let created_at = i64::try_from(message).unwrap() * 1_000;
    let (message, conversation) = (id(message), id(conversation));
    Document { message, conversation, author: Some(id(77)), created_at, has: BTreeSet::new(), tokens: tokens(text) }
}

fn index(documents: impl IntoIterator<Item = Document>) -> (tempfile::TempDir, SqliteIndex) {
    let folder = tempfile::tempdir().unwrap();
    let mut index = SqliteIndex::open(&folder.path().join("search.db")).unwrap();
    let changes = documents.into_iter().map(Change::Upsert).collect();
    index.apply(&Batch { changes, ..Batch::default() }).unwrap();
    (folder, index)
}

fn plan(query: &str, conversations: &[u128]) -> Plan {
    let query = Query::parse(query, 0).unwrap();
    let all = Interpretation::default().atoms(&query);
    let conversations = conversations.iter().map(|one| id(*one)).collect();
    let Query { excluded: none, has, from, until, .. } = query;
    Plan { all, none, has, from, until, conversations, limit: 500, ..Plan::default() }
}

fn found(index: &SqliteIndex, plan: &Plan) -> Vec<u128> {
    index.candidates(plan).unwrap().into_iter().map(|candidate| candidate.message.as_u128()).collect()
}

#[test]
fn searches_only_given_conversations() {
    let (_folder, index) = index([document(1, 10, "a blue whale"), document(2, 20, "Blue"), document(3, 10, "red")]);
    assert_eq!(found(&index, &plan("blue", &[10, 20])), [2, 1]);
    assert_eq!(found(&index, &plan("blue", &[20])), [2]);
    assert!(found(&index, &plan("blue", &[30])).is_empty() && found(&index, &plan("blue", &[])).is_empty());
    assert_eq!(found(&index, &plan("-blue", &[10, 20])), [3]);
    assert_eq!(found(&index, &plan("\"blue whale\"", &[10, 20])), [1]);
    assert_eq!(found(&index, &Plan { below: Some(FIRST_NUMBER + 1), ..plan("blue", &[10, 20]) }), [1]);
}

#[test]
fn edited_and_deleted_texts_are_not_found() {
    let (_folder, mut index) = index([document(1, 10, "secret"), document(2, 10, "other secret")]);
    let changes = vec![Change::Upsert(document(1, 10, "edited")), Change::Remove(id(2)), Change::Remove(id(9))];
    index.apply(&Batch { changes, positions: vec![(id(10), 4), (id(30), 1)], ..Batch::default() }).unwrap();
    assert!(found(&index, &plan("secret", &[10])).is_empty());
    assert_eq!(found(&index, &plan("edited", &[10])), [1]);
    assert_eq!([10, 30, 40].map(|one| index.position(id(one)).unwrap()), [4, 1, 0]);
}

/// The last characters of the two runs without spaces are adjacent in the index, but not in the
/// text.
#[test]
fn phrases_match_text_words_only() {
    let (_folder, index) = index([document(1, 10, "天天a天今"), document(2, 10, "天 今")]);
    assert_eq!(found(&index, &plan("\"天 今", &[10])), [2]);
}

#[test]
fn filters_by_author_file_and_time() {
    let file = Document { has: [Has::File].into(), author: Some(id(78)), ..document(1, 10, "plan") };
    let (_folder, index) = index([file, document(2, 10, "plan"), Document { author: None, ..document(3, 10, "plan") }]);
    assert_eq!(found(&index, &plan("has:file", &[10])), [1]);
    let by = |author| Plan { authors: Some(vec![id(author)]), ..plan("plan", &[10]) };
    assert_eq!((found(&index, &by(77)), found(&index, &by(78))), (vec![2], vec![1]));
    assert!(found(&index, &by(79)).is_empty());
    assert_eq!(found(&index, &Plan { from: Some(2_000), until: Some(3_000), ..plan("plan", &[10]) }), [2]);
}

/// If a small conversation is searched and there are large ones, the conversation is included in
/// the full-text query. The results are the same.
#[test]
fn searches_frequent_words_by_conversation() {
    let many = (0..600).map(|number| document(number + 100, 10, "common"));
    let (_folder, index) = index(many.chain([document(1, 20, "common word"), document(2, 20, "word")]));
    let conversations = index.numbers("conversations", "conv", &[id(20)]).unwrap();
    let extent = index.extent(&conversations).unwrap();
    let is_found_everywhere = |query| index.is_global_scan_cheaper(&plan(query, &[20]), &extent).unwrap();
    assert!(!is_found_everywhere("common") && is_found_everywhere("word"));
    assert!(is_found_everywhere("\"common word\"") && !is_found_everywhere("\"common common\""));
    assert!(!is_found_everywhere("common*") && !is_found_everywhere("common-wo*"));
    assert_eq!(found(&index, &plan("common", &[20])), [1]);
    assert_eq!(found(&index, &plan("common", &[10])).len(), 500);
}

/// FTS5 reads from the newest match on and stops early, however many matches there are.
#[test]
fn reads_matches_without_sorting() {
    let many = (0..300).map(|number| document(number + 100, 10, "word"));
    let (_folder, index) = index(many.chain([document(1, 20, "word other"), document(2, 30, "word")]));
    for conversations in [[10, 20].as_slice(), &[20]] {
        for query in ["word", "word -other", "wor*"] {
            let steps = steps(&index, &plan(query, conversations));
            assert!(steps.starts_with("SCAN words") && !steps.contains("B-TREE"), "{query}: {steps}");
        }
    }
    assert_eq!(found(&index, &Plan { limit: 2, below: Some(FIRST_NUMBER + 3), ..plan("word", &[10, 20]) }), [102, 101]);
    assert_eq!(found(&index, &plan("word -other", &[20, 30])), [2]);
}

fn steps(index: &SqliteIndex, plan: &Plan) -> String {
    let (sql, values) = index.candidate_statement(plan).unwrap().unwrap();
    let mut explain = index.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = explain.query_map(params_from_iter(values.iter().map(AsRef::as_ref)), |row| row.get::<_, String>(3));
    steps.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

/// A query without words returns the newest messages that the user may read.
#[test]
fn reads_newest_messages_without_sorting() {
    let many = (0..300).map(|number| document(number + 100, 10, "word"));
    let (_folder, index) = index(many.chain([document(1, 20, "word"), document(2, 30, "word")]));
    let of_large = plan("", &[10, 20]);
    assert_eq!(found(&index, &Plan { limit: 3, ..of_large.clone() }), [1, 399, 398]);
    assert!(!steps(&index, &of_large).contains("B-TREE"), "{}", steps(&index, &of_large));
    let below = Plan { below: Some(FIRST_NUMBER + 2), ..of_large };
    assert_eq!(found(&index, &below), [101, 100]);
    assert!(!steps(&index, &below).contains("B-TREE"), "{}", steps(&index, &below));
    // A small conversation is read by an index on the conversation.
    let of_small = plan("", &[20]);
    assert_eq!(found(&index, &of_small), [1]);
    assert!(steps(&index, &of_small).contains("documents_conv"), "{}", steps(&index, &of_small));
}

#[test]
fn keeps_the_file_unless_its_version_differs() {
    let (folder, index) = index([document(1, 10, "here")]);
    drop(index);
    let file = folder.path().join("search.db");
    let index = SqliteIndex::open(&file).unwrap();
    assert_eq!(found(&index, &plan("here", &[10])), [1]);
    let terms = index.terms_after(0).unwrap();
    assert_eq!(Dictionary::default().with(terms).with_prefix("he", 5), ["here"]);
    index.connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
    drop(index);
    assert!(found(&SqliteIndex::open(&file).unwrap(), &plan("here", &[10])).is_empty());
}

#[test]
fn old_messages_get_lower_numbers_and_clear_empties_the_index() {
    let (_folder, mut index) = index([document(5, 10, "new word")]);
    let changes = [4, 3].map(|number| Change::Upsert(document(number, 20, "old word"))).into();
    let fill = Some(FillState { below: id(3), is_done: false });
    index.apply(&Batch { changes, is_older: true, fill, ..Batch::default() }).unwrap();
    assert_eq!(found(&index, &plan("word", &[10, 20])), [5, 4, 3]);
    assert_eq!((index.fill().unwrap(), index.messages().unwrap()), (fill, 3));
    index.apply(&Batch { removed_conversations: vec![id(20)], ..Batch::default() }).unwrap();
    assert_eq!((found(&index, &plan("word", &[10, 20])), index.messages().unwrap()), (vec![5], 1));
    index.clear().unwrap();
    assert!(found(&index, &plan("word", &[10, 20])).is_empty() && index.fill().unwrap().is_none());
    assert!(index.terms_after(0).unwrap().is_empty());
}

/// A command-line tool may write at the same time as the server. Each waits for the other and sees
/// its changes.
#[test]
fn concurrent_writers_take_turns() {
    let (folder, mut index) = index([document(1, 10, "here")]);
    let mut beside = SqliteIndex::open(&folder.path().join("search.db")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..50 {
                beside.clear().unwrap();
            }
        });
        for message in 0..500 {
            let changes = vec![Change::Upsert(document(message, 10, "there"))];
            index.apply(&Batch { changes, ..Batch::default() }).unwrap();
        }
    });
    let changes = vec![Change::Upsert(document(500, 10, "last"))];
    index.apply(&Batch { changes, ..Batch::default() }).unwrap();
    assert_eq!(found(&index, &plan("last", &[10])), [500]);
}

#[test]
fn rebuilds_a_corrupt_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("search.db");
    fs::write(&file, "no database at all, however long this text may be: ".repeat(100)).unwrap();
    let mut index = SqliteIndex::open(&file).unwrap();
    index.apply(&Batch { changes: vec![Change::Upsert(document(1, 10, "here"))], ..Batch::default() }).unwrap();
    assert_eq!(found(&index, &plan("here", &[10])), [1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any query, the index finds exactly those texts that the matcher accepts.
    #[test]
    fn index_finds_what_the_matcher_accepts(texts in proptest::collection::vec("([a-cB今天đ]{1,3}[ -]?){0,5}", 1..8), asked in "([a-cB今天\"*-]{1,3} ?){1,4}") {
        let documents = texts.iter().zip(1..).map(|(text, number)| document(number, 10, text));
        let (_folder, index) = index(documents);
        let query = Query::parse(&asked, 0).unwrap();
        let matcher_reading = Interpretation::default();
        let matcher = Matcher::new(&query, &matcher_reading);
        let answering = texts.iter().zip(1_u128..).filter(|(text, _)| matcher.matches(text).is_some());
        let mut answering: Vec<u128> = answering.map(|(_, number)| number).collect();
        answering.reverse();
        prop_assert_eq!(found(&index, &plan(&asked, &[10])), answering);
    }
}

#[test]
fn search_past_its_deadline_is_empty_and_the_next_one_works() {
    let documents = (1..=400).map(|number| document(number, 10, &format!("word{number} common")));
    let (_folder, index) = index(documents);
    let late = Plan { deadline: Deadline::after(std::time::Duration::ZERO), ..plan("common", &[10]) };
    assert!(found(&index, &late).is_empty());
    assert_eq!(found(&index, &plan("common", &[10])).len(), 400);
}

#[test]
fn purge_removes_words_of_removed_messages_from_files() {
    let texts = (1..=300).map(|number| document(number, 10, &format!("kept{number} zanzibar")));
    let (folder, mut index) =
        index(texts.chain([document(900, 10, "removed quokka"), document(901, 20, "forgotten wombat")]));
    let changes = vec![Change::Upsert(document(1, 10, "changed")), Change::Remove(id(900))];
    index.apply(&Batch { changes, removed_conversations: vec![id(20)], ..Batch::default() }).unwrap();
    let removed = index.removed().unwrap();
    assert_eq!(removed, 3);
    let mut is_first = true;
    while index.purge_step(is_first).unwrap() {
        is_first = false;
    }
    index.purge_terms(removed).unwrap();
    assert_eq!(index.removed().unwrap(), 0);
    let bytes: Vec<u8> =
        ["search.db", "search.db-wal"].iter().flat_map(|name| fs::read(folder.path().join(name)).unwrap()).collect();
    let is_there = |word: &str| memchr::memmem::find(&bytes, word.as_bytes()).is_some();
    for word in ["quokka", "wombat", "kept1 "] {
        assert!(!is_there(word), "{word}");
    }
    assert!(is_there("zanzibar"));
    let terms = index.terms_after(0).unwrap();
    let count = |word: &str| terms.iter().find(|term| term.text == word).map(|term| term.count);
    assert_eq!(
        (count("zanzibar"), count("kept1"), count("quokka"), count("changed")),
        (Some(299), None, None, Some(1))
    );
    assert_eq!(found(&index, &plan("zanzibar", &[10])).len(), 299);
}

#[test]
fn message_removed_during_a_purge_is_left_to_the_next_purge() {
    let (_folder, mut index) = index((1..=20).map(|number| document(number, 10, &format!("word{number}"))));
    let remove = |number| Batch { changes: vec![Change::Remove(id(number))], ..Batch::default() };
    index.apply(&remove(1)).unwrap();
    let removed = index.removed().unwrap();
    index.purge_step(true).unwrap();
    index.apply(&remove(2)).unwrap();
    index.purge_terms(removed).unwrap();
    assert!(index.removed().unwrap() > 0);
}

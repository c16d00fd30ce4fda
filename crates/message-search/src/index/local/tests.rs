use std::collections::BTreeSet;

use ::search::{Atom, Deadline, Has, Interpretation, Matcher, Query, tokens};
use appcore::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::index::Document;

fn id(number: u64) -> Uuid {
    Uuid::from_u64_pair(number << 16, number)
}

fn document(message: u64, conversation: u64, text: &str) -> Document {
    let created_at = Timestamp(i64::try_from(message).unwrap() * 1_000);
    let (message, conversation) = (id(message), id(conversation));
    Document { message, conversation, author: Some(id(77)), created_at, has: BTreeSet::new(), tokens: tokens(text) }
}

fn state(through: i64) -> IndexState {
    IndexState { through: Timestamp(through), unfilled_below: None, rebuild_request: None, purge_request: None }
}

fn batch(changes: Vec<Change>) -> Batch {
    Batch { changes, removed_conversations: Vec::new(), state: state(1) }
}

fn open(folder: &TempDir) -> LocalIndex {
    LocalIndex::open(folder.path()).unwrap()
}

fn index(documents: impl IntoIterator<Item = Document>) -> (TempDir, LocalIndex) {
    let folder = tempfile::tempdir().unwrap();
    let index = open(&folder);
    index.0.write(batch(documents.into_iter().map(Change::Put).collect())).unwrap();
    (folder, index)
}

fn plan(query: &str, conversations: &[u64]) -> Plan {
    let query = Query::parse(query, 0).unwrap();
    let all = Interpretation::default().atoms(&query);
    let conversations = conversations.iter().map(|one| id(*one)).collect();
    let Query { excluded: none, has, from, until, .. } = query;
    Plan { all, none, has, from, until, conversations, limit: 500, ..Plan::default() }
}

fn found(index: &LocalIndex, plan: &Plan) -> Vec<u64> {
    let files = index.0.files();
    let found = query::candidates(&files.reader.searcher(), files.fields, plan).unwrap();
    found.into_iter().map(|candidate| candidate.message.as_u64_pair().1).collect()
}

#[test]
fn searches_only_given_conversations() {
    let (_folder, index) = index([document(1, 10, "a blue whale"), document(2, 20, "Blue"), document(3, 10, "red")]);
    assert_eq!(found(&index, &plan("blue", &[10, 20])), [2, 1]);
    assert_eq!(found(&index, &plan("blue", &[20])), [2]);
    assert!(found(&index, &plan("blue", &[30])).is_empty() && found(&index, &plan("blue", &[])).is_empty());
    assert_eq!(found(&index, &plan("-blue", &[10, 20])), [3]);
    assert_eq!(found(&index, &plan("\"blue whale\"", &[10, 20])), [1]);
    let many: Vec<u64> = (1_000..1_100).chain([20]).collect();
    assert_eq!(found(&index, &plan("blue", &many)), [2]);
}

#[test]
fn edited_and_deleted_texts_are_not_found() {
    let documents = [document(1, 10, "secret"), document(2, 10, "other secret"), document(3, 20, "secret")];
    let (_folder, index) = index(documents);
    let changes = vec![Change::Put(document(1, 10, "edited")), Change::Remove(id(2)), Change::Remove(id(9))];
    index.0.write(batch(changes)).unwrap();
    assert_eq!(found(&index, &plan("secret", &[10, 20])), [3]);
    assert_eq!(found(&index, &plan("edited", &[10])), [1]);
    let removed = Batch { removed_conversations: vec![id(20)], ..batch(Vec::new()) };
    index.0.write(removed).unwrap();
    assert_eq!(found(&index, &plan("", &[10, 20])), [1]);
}

#[test]
fn filters_by_author_content_and_time() {
    let file = Document { has: [Has::File].into(), author: Some(id(78)), ..document(1, 10, "plan") };
    let (_folder, index) = index([file, document(2, 10, "plan"), Document { author: None, ..document(3, 10, "plan") }]);
    assert_eq!(found(&index, &plan("has:file", &[10])), [1]);
    let by = |authors: &[u64]| Plan { authors: Some(authors.iter().copied().map(id).collect()), ..plan("plan", &[10]) };
    assert_eq!((found(&index, &by(&[77])), found(&index, &by(&[77, 78]))), (vec![2], vec![2, 1]));
    assert!(found(&index, &by(&[79])).is_empty() && found(&index, &by(&[])).is_empty());
    let many: Vec<u64> = (78..98).collect();
    assert_eq!(found(&index, &by(&many)), [1]);
    assert_eq!(found(&index, &Plan { from: Some(2_000), until: Some(3_000), ..plan("plan", &[10]) }), [2]);
}

#[test]
fn pages_end_between_numbers() {
    let (_folder, index) = index((1..=300).map(|number| document(number, 10, "word")));
    // Two messages of the same moment, in another segment.
    let twins =
        [700, 701].map(|low| Document { message: Uuid::from_u64_pair(150 << 16, low), ..document(150, 10, "word") });
    index.0.write(batch(twins.into_iter().map(Change::Put).collect())).unwrap();
    let mut below = None;
    let mut all = Vec::new();
    loop {
        let files = index.0.files();
        let asked = Plan { limit: 7, below, ..plan("word", &[10]) };
        let page = query::candidates(&files.reader.searcher(), files.fields, &asked).unwrap();
        let Some(last) = page.last() else { break };
        below = Some(last.number);
        all.extend(page);
    }
    assert_eq!(all.len(), 302);
    assert!(all.is_sorted_by(|one, other| one.number >= other.number));
    assert_eq!(all.iter().map(|one| one.message).collect::<BTreeSet<_>>().len(), 302);
}

#[test]
fn words_are_looked_up_in_all_segments() {
    let (_folder, index) = index([document(1, 10, "message message massage"), document(2, 10, "umlaufzeit")]);
    index.0.write(batch(vec![Change::Put(document(3, 10, "messages message laufzeit nat1234"))])).unwrap();
    let words = SearchIndex::vocabulary(&index).unwrap();
    assert_eq!(words.with_prefix("mess", 5), ["message", "messages"]);
    assert_eq!(words.similar("mesage", 5), [("message".to_owned(), 1), ("messages".to_owned(), 2)]);
    assert_eq!(words.similar("essage", 5)[0], ("message".to_owned(), 1));
    assert_eq!(words.similar("nessage", 5)[0], ("message".to_owned(), 1));
    assert_eq!(words.similar("emssage", 5)[0], ("message".to_owned(), 1));
    assert_eq!(words.similar("amessage", 5)[0], ("message".to_owned(), 1));
    assert_eq!(words.containing("aufzeit", 5), ["laufzeit", "umlaufzeit"]);
    assert_eq!(words.containing("1234", 5), [""; 0]);
}

#[test]
fn search_past_its_deadline_is_empty() {
    let (_folder, index) = index((1..=400).map(|number| document(number, 10, &format!("word{number} common"))));
    let late = Plan { deadline: Deadline::after(Duration::ZERO), ..plan("common", &[10]) };
    assert!(found(&index, &late).is_empty());
    assert_eq!(found(&index, &plan("common", &[10])).len(), 400);
}

#[tokio::test]
async fn a_closed_index_is_kept() {
    let (folder, index) = index([document(1, 10, "here")]);
    index.close().await.unwrap();
    assert_eq!(stored(folder.path()).unwrap()[0].messages, 1);
    drop(index);
    let again = open(&folder);
    assert_eq!(found(&again, &plan("here", &[10])), [1]);
    assert_eq!(again.state().await.unwrap(), Some(state(1)));
}

/// A kill loses what was written after the last flush, together with its state.
#[tokio::test]
async fn a_killed_index_has_the_content_of_its_state() {
    let (folder, index) = index([document(1, 10, "here")]);
    index.0.files().directory.flush().unwrap();
    index.0.write(Batch { state: state(2), ..batch(vec![Change::Put(document(2, 10, "here too"))]) }).unwrap();
    assert_eq!(found(&index, &plan("here", &[10])), [2, 1]);
    drop(index);
    let again = open(&folder);
    let content = (found(&again, &plan("here", &[10])), again.state().await.unwrap());
    assert_eq!(content, (vec![1], Some(state(1))));
    again.0.write(batch(vec![Change::Put(document(2, 10, "here too"))])).unwrap();
    assert_eq!(found(&again, &plan("here", &[10])), [2, 1]);
}

/// A failed indexer writes again what is not committed.
#[tokio::test]
async fn a_rollback_discards_what_is_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(&folder);
    let filling = |below, changes| {
        let state = IndexState { unfilled_below: Some(id(below)), ..state(1) };
        Batch { state, ..batch(changes) }
    };
    index.0.write(filling(9, vec![Change::Put(document(9, 10, "here"))])).unwrap();
    // During the initial fill, only some writes are committed at once.
    for _ in 0..2 {
        index.0.write(filling(8, vec![Change::Put(document(8, 10, "here"))])).unwrap();
        assert_eq!(index.state().await.unwrap().unwrap().unfilled_below, Some(id(9)));
        index.rollback().await.unwrap();
    }
    index.0.write(batch(vec![Change::Put(document(8, 10, "here"))])).unwrap();
    assert_eq!((found(&index, &plan("here", &[10])), index.messages().await.unwrap()), (vec![9, 8], 2));
}

#[tokio::test]
async fn a_damaged_index_is_built_again() {
    let (folder, index) = index([document(1, 10, "here")]);
    index.close().await.unwrap();
    drop(index);
    let files = fs::read_dir(folder.path().join("search/0")).unwrap().map(|entry| entry.unwrap().path());
    let terms = files.filter(|path| path.extension().is_some_and(|end| end == "term")).last().unwrap();
    fs::write(terms, "nothing").unwrap();
    assert!(stored(folder.path()).is_err());
    let again = open(&folder);
    assert!(again.state().await.unwrap().is_none() && found(&again, &plan("here", &[10])).is_empty());
    again.0.write(batch(vec![Change::Put(document(1, 10, "here"))])).unwrap();
    assert_eq!(found(&again, &plan("here", &[10])), [1]);
}

#[test]
fn instances_share_a_data_folder() {
    let (folder, first) = index([document(1, 10, "here")]);
    let second = open(&folder);
    assert!(found(&second, &plan("here", &[10])).is_empty());
    assert!(stored(folder.path()).unwrap().iter().all(|index| index.state.is_none()));
    remove_unused(folder.path()).unwrap();
    assert_eq!(found(&first, &plan("here", &[10])), [1]);
    drop((first, second));
    remove_unused(folder.path()).unwrap();
    assert!(stored(folder.path()).unwrap().is_empty());
}

#[tokio::test]
async fn purge_removes_words_of_removed_messages() {
    let kept = (1..=300).map(|number| document(number, 10, &format!("kept{number} zanzibar")));
    let (_folder, index) = index(kept.chain([document(900, 10, "quokka"), document(901, 20, "wombat")]));
    let changes = vec![Change::Put(document(1, 10, "changed")), Change::Remove(id(900))];
    index.0.write(Batch { removed_conversations: vec![id(20)], ..batch(changes) }).unwrap();
    index.purge().await.unwrap();
    let words = SearchIndex::vocabulary(&index).unwrap();
    for word in ["quokka", "wombat"] {
        assert!(words.with_prefix(word, 1).is_empty(), "{word}");
    }
    assert_eq!(words.with_prefix("zanz", 1), ["zanzibar"]);
    assert_eq!(found(&index, &plan("zanzibar", &[10])).len(), 299);
    assert_eq!(index.state().await.unwrap(), Some(state(1)));
}

#[tokio::test]
async fn clear_removes_messages_and_state() {
    let (_folder, index) = index([document(1, 10, "here")]);
    index.clear().await.unwrap();
    assert!(found(&index, &plan("", &[10])).is_empty() && index.state().await.unwrap().is_none());
    index.0.write(batch(vec![Change::Put(document(2, 10, "here"))])).unwrap();
    assert_eq!(found(&index, &plan("here", &[10])), [2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// For any query, the index finds all texts that the matcher accepts.
    #[test]
    fn index_finds_what_the_matcher_accepts(texts in proptest::collection::vec("([a-cB今天đ]{1,3}[ -]?){0,5}", 1..8), asked in "([a-cB今天\"*-]{1,3} ?){1,4}") {
        let (_folder, index) = index(texts.iter().zip(1..).map(|(text, number)| document(number, 10, text)));
        let query = Query::parse(&asked, 0).unwrap();
        let reading = Interpretation::default();
        let matcher = Matcher::new(&query, &reading);
        let found = found(&index, &plan(&asked, &[10]));
        for (text, number) in texts.iter().zip(1..) {
            let is_phrase = query.excluded.iter().any(|atom| matches!(atom, Atom::Phrase { .. }));
            if matcher.matches(text).is_some() && !is_phrase {
                prop_assert!(found.contains(&number), "{text:?} {asked:?} {found:?}");
            }
        }
        prop_assert!(found.is_sorted_by(|one, other| one > other));
    }
}

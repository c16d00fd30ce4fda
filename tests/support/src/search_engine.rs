//! Fake Meilisearch that behaves as documented in the calls that Natter uses: indexes, settings,
//! documents, tasks and search. It executes tasks at once, and tolerates typos of one letter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::application::Setup;

const KEY: &str = "a-key-for-tests";

#[derive(Default)]
struct State {
    indexes: BTreeMap<String, BTreeMap<String, Value>>,
    settings: BTreeMap<String, Value>,
    /// Error of each task; `None` if it has succeeded.
    tasks: Vec<Option<&'static str>>,
    is_away: bool,
    problems: Vec<String>,
}

pub struct SearchEngine {
    state: Arc<Mutex<State>>,
    port: u16,
    serving: JoinHandle<()>,
}

impl SearchEngine {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("free port");
        let port = listener.local_addr().expect("it has an address").port();
        let state: Arc<Mutex<State>> = Arc::default();
        let serving = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            }
        });
        Self { state, port, serving }
    }

    /// Adds the settings with which Natter uses this engine.
    #[must_use]
    pub fn configure(&self, setup: Setup) -> Setup {
        setup.set("search.url", format!("http://127.0.0.1:{}", self.port)).set("search.key", KEY)
    }

    /// Makes the engine answer 503, or work again.
    pub fn is_away(&self, is_away: bool) {
        lock(&self.state).is_away = is_away;
    }

    /// Deletes all data.
    pub fn forget(&self) {
        let mut state = lock(&self.state);
        state.indexes.clear();
        state.settings.clear();
    }

    /// Number of documents that contain this text.
    #[must_use]
    pub fn documents_with(&self, text: &str) -> usize {
        let state = lock(&self.state);
        state.indexes.values().flat_map(BTreeMap::values).filter(|one| one.to_string().contains(text)).count()
    }

    /// Returns the requests that were not supported.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        lock(&self.state).problems.clone()
    }
}

impl Drop for SearchEngine {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves the requests of one connection.
async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut head, mut length, mut has_key) = (String::new(), 0, false);
        loop {
            let mut line = String::new();
            match stream.read_line(&mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if head.is_empty() {
                line.clone_into(&mut head);
            }
            if let Some((name, value)) = line.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse().unwrap_or(0),
                    "authorization" => has_key = value.trim() == format!("Bearer {KEY}"),
                    _ => {}
                }
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, answer) = {
            let mut state = lock(&state);
            match () {
                () if state.is_away => (503, json!({ "message": "away", "code": "unavailable" })),
                () if !has_key => (403, json!({ "message": "no key", "code": "invalid_api_key" })),
                () => state.answer(method, path, &body),
            }
        };
        let text = answer.to_string();
        let answer = format!(
            "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl State {
    fn answer(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method, parts.as_slice()) {
            ("GET", ["tasks", task]) => {
                let found = task.parse::<usize>().ok().and_then(|task| self.tasks.get(task));
                match found {
                    Some(None) => (200, json!({ "status": "succeeded", "error": null })),
                    Some(Some(code)) => (200, json!({ "status": "failed", "error": { "code": code } })),
                    None => (404, json!({ "code": "task_not_found" })),
                }
            }
            ("POST", ["indexes"]) => {
                let uid = body["uid"].as_str().unwrap_or_default().to_owned();
                let is_there = self.indexes.contains_key(&uid);
                self.indexes.entry(uid).or_default();
                self.task(is_there.then_some("index_already_exists"))
            }
            (_, ["indexes", uid, rest @ ..]) => {
                let uid = (*uid).to_owned();
                if !self.indexes.contains_key(&uid) {
                    return (404, json!({ "code": "index_not_found" }));
                }
                self.of_index(method, &uid, rest, body)
            }
            _ => self.unknown(method, path),
        }
    }

    fn of_index(&mut self, method: &str, uid: &str, rest: &[&str], body: &Value) -> (u16, Value) {
        let settings = self.settings.get(uid).cloned().unwrap_or_default();
        let documents = self.indexes.entry(uid.to_owned()).or_default();
        match (method, rest) {
            ("PATCH", ["settings"]) => {
                self.settings.insert(uid.to_owned(), body.clone());
                self.task(None)
            }
            ("GET", ["stats"]) => (200, json!({ "numberOfDocuments": documents.len(), "isIndexing": false })),
            ("POST", ["documents"]) => {
                for document in body.as_array().into_iter().flatten() {
                    documents.insert(document["id"].as_str().unwrap_or_default().to_owned(), document.clone());
                }
                self.task(None)
            }
            ("DELETE", ["documents"]) => {
                documents.clear();
                self.task(None)
            }
            ("POST", ["documents", "delete-batch"]) => {
                for id in body.as_array().into_iter().flatten() {
                    documents.remove(id.as_str().unwrap_or_default());
                }
                self.task(None)
            }
            ("POST", ["documents", "delete"]) => {
                let filter = body["filter"].as_str().unwrap_or_default();
                documents.retain(|_, document| !fits(document, filter));
                self.task(None)
            }
            ("POST", ["documents", "fetch"]) => {
                let (offset, limit) = (number(&body["offset"], 0), number(&body["limit"], 20));
                let found: Vec<&Value> =
                    documents.values().filter(|one| fit(one, &body["filter"])).skip(offset).take(limit).collect();
                (200, json!({ "results": found, "offset": offset, "limit": limit }))
            }
            ("GET", ["documents", id]) => match documents.get(*id) {
                Some(document) => (200, document.clone()),
                None => (404, json!({ "code": "document_not_found" })),
            },
            ("POST", ["search"]) => {
                // Fields by which the request filters or sorts must be in the settings of the
                // index.
                if settings["sortableAttributes"] != json!(["number"]) {
                    return (400, json!({ "message": "not sortable", "code": "invalid_search_sort" }));
                }
                let attribute = body["attributesToSearchOn"][0].as_str().unwrap_or("exact");
                let q = body["q"].as_str().unwrap_or_default();
                let mut found: Vec<&Value> = documents
                    .values()
                    .filter(|one| fit(one, &body["filter"]))
                    .filter(|one| answers(one[attribute].as_str().unwrap_or_default(), q, attribute == "similar"))
                    .collect();
                found.sort_by_key(|one| std::cmp::Reverse(one["number"].as_i64()));
                found.truncate(number(&body["limit"], 20));
                (200, json!({ "hits": found, "query": q }))
            }
            _ => self.unknown(method, &format!("{uid}/{}", rest.join("/"))),
        }
    }

    fn task(&mut self, problem: Option<&'static str>) -> (u16, Value) {
        self.tasks.push(problem);
        (202, json!({ "taskUid": self.tasks.len() - 1, "status": "enqueued" }))
    }

    fn unknown(&mut self, method: &str, path: &str) -> (u16, Value) {
        self.problems.push(format!("{method} {path}"));
        (400, json!({ "message": "unknown", "code": "bad_request" }))
    }
}

fn number(value: &Value, usual: usize) -> usize {
    value.as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(usual)
}

/// True if the document matches all conditions.
fn fit(document: &Value, filter: &Value) -> bool {
    filter.as_array().into_iter().flatten().all(|one| fits(document, one.as_str().unwrap_or_default()))
}

fn fits(document: &Value, condition: &str) -> bool {
    let text = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
    if let Some((field, list)) = condition.split_once(" IN ") {
        return list.trim_matches(['[', ']']).split(", ").any(|one| one.trim_matches('"') == text(field));
    }
    let mut words = condition.splitn(3, ' ');
    let (field, sign, value) =
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is = document[field].as_i64().unwrap_or_default();
    let wanted = value.parse::<i64>().unwrap_or_default();
    match sign {
        "=" => {
            document[field].as_array().into_iter().flatten().any(|one| one.as_str() == Some(value.trim_matches('"')))
        }
        ">=" => is >= wanted,
        "<" => is < wanted,
        _ => false,
    }
}

/// True if all words and phrases match. The last word is a prefix.
fn answers(text: &str, q: &str, has_typos: bool) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let parts: Vec<&str> = q.split('"').collect();
    let last = parts.len() - 1;
    parts.iter().enumerate().all(|(place, part)| {
        let wanted: Vec<&str> = part.split_whitespace().collect();
        if place % 2 == 1 {
            return words.windows(wanted.len().max(1)).any(|run| run == wanted);
        }
        wanted.iter().enumerate().all(|(at, one)| {
            let is_last = place == last && at + 1 == wanted.len();
            words.iter().any(|word| {
                word == one || is_last && word.starts_with(one) || has_typos && one.len() > 3 && is_near(word, one)
            })
        })
    })
}

/// True if one letter of the words differs, or one word has one letter more.
fn is_near(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let (rest, others) = (&one[same..], &other[same..]);
    let without = |letters: &[char]| letters.get(1..).unwrap_or_default().to_vec();
    without(rest) == without(others) || without(rest) == others || rest == without(others)
}

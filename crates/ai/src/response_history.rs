//! Short-lived store of Responses API output, so that clients can refer to it by
//! `previous_response_id` or `item_reference`.
//!
//! Entries belong to the API key that made the call. They are kept in memory and, if there are
//! several instances, in the shared [store](ResponseStore), unless the client sends `store: false`.
//! References to expired entries are rejected with instructions; only reasoning items are dropped
//! silently, since every model answers without them.

mod stored;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use appcore::ApiKeyId;
use bytes::Bytes;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

pub(crate) use self::stored::list_input_items;
use crate::{
    GatewayError,
    response_store::{ResponsePublisher, ResponseStore},
};

/// Memory limits per API key and in total, in bytes.
const KEY_BYTES: usize = 2 * 1024 * 1024;
const TOTAL_BYTES: usize = 16 * 1024 * 1024;
/// Maximum total size of the items that one request may refer to, in bytes: everything stored for
/// the key, twice, since an item may be referred to twice.
const MAX_REFERENCED_BYTES: usize = 2 * KEY_BYTES;
/// Time to live of an entry.
const ENTRY_TTL: Duration = Duration::from_secs(3_600);
/// Maximum number of responses in a conversation.
const MAX_CONVERSATION_LEN: usize = 1_000;
/// Maximum number of look-ups in the shared store per request.
const MAX_LOOKUPS: usize = 10_000;
/// Estimated memory overhead of an entry, in bytes.
const ENTRY_OVERHEAD: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct StoredResponses(Mutex<ResponsesState>);

#[derive(Debug, Default)]
struct ResponsesState {
    keys: HashMap<ApiKeyId, KeyEntries>,
    bytes: usize,
}

/// Entries of one API key.
#[derive(Debug, Default)]
struct KeyEntries {
    entries: HashMap<String, (Entry, Instant)>,
    /// Names of the entries, oldest first.
    order: VecDeque<String>,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Entry {
    /// JSON of an item.
    Item(String),
    Answer(Arc<Answer>),
}

/// A response, with the input since the previous one.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    previous: Option<String>,
    /// JSON of the input items.
    asked: Vec<String>,
    /// Ids of the output items.
    said: Vec<String>,
    /// JSON of the response object without its output. Empty if another version has stored it.
    #[serde(default)]
    head: String,
    /// True if the client deleted the response. It is still part of the responses that continue it.
    #[serde(default)]
    is_deleted: bool,
}

/// The expanded part of a request that referred to earlier output.
#[derive(Debug, Clone)]
pub struct PreviousResponse {
    /// Id of the response that the request continues.
    previous: Option<String>,
    /// Number of leading input items that come from earlier responses.
    items: usize,
    /// True if those items are stored with the new response, which then doesn't depend on the previous
    /// one.
    is_copied: bool,
}

/// Stores the response to one request once it is complete.
#[derive(Debug, Clone)]
pub(crate) struct ResponseRecorder {
    responses: Arc<StoredResponses>,
    key: ApiKeyId,
    body: Bytes,
    followed: Option<Box<PreviousResponse>>,
    /// Publisher to the other instances.
    sharing: Option<ResponsePublisher>,
}

/// Serialised form of an entry in the shared store.
#[derive(Deserialize)]
struct SerializedEntry {
    /// Unix time of creation, in seconds.
    at: u64,
    item: Option<String>,
    answer: Option<Answer>,
}

static REFERENCE_MARKS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"item_reference\"", "\"previous_response_id\""].map(Finder::new));

/// True if a request may refer to earlier output.
pub(crate) fn may_have_references(body: &[u8]) -> bool {
    REFERENCE_MARKS.iter().any(|name| name.find(body).is_some())
}

/// Returns the ids that a request refers to.
pub(crate) fn referenced_ids(body: &[u8]) -> Vec<String> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return Vec::new() };
    let previous = fields.get("previous_response_id").and_then(Value::as_str).map(str::to_owned);
    let items = fields.get("input").and_then(Value::as_array).into_iter().flatten();
    let references = items.filter(|item| is_reference(item)).filter_map(|item| item["id"].as_str().map(str::to_owned));
    previous.into_iter().chain(references).take(MAX_LOOKUPS).collect()
}

impl StoredResponses {
    /// Loads these entries, and those they depend on, from the shared store.
    pub async fn load_shared(&self, shelf: &dyn ResponseStore, key: ApiKeyId, named: Vec<String>) {
        let (mut ids, mut sought, mut bytes) = (named, HashSet::new(), 0);
        while !ids.is_empty() && sought.len() < MAX_LOOKUPS && bytes <= KEY_BYTES {
            let (mut unknown, mut next) = (Vec::new(), Vec::new());
            for id in ids {
                if !sought.insert(id.clone()) {
                    continue;
                }
                match self.find(key, &id) {
                    Some(entry) => next.extend(entry.dependencies()),
                    None => unknown.push(id),
                }
            }
            if !unknown.is_empty() {
                let found = shelf.find(key, unknown.clone()).await;
                let known = unknown.into_iter().zip(found).filter_map(|(id, text)| Some((id, Entry::read(&text?)?)));
                let entries: Vec<(String, Entry)> = known.collect();
                for (_, entry) in &entries {
                    bytes += entry.bytes();
                    next.extend(entry.dependencies());
                }
                self.insert(key, entries);
            }
            ids = next;
        }
    }

    /// Expands the references in a request. `None` if it has none.
    pub fn expand_references(
        &self,
        key: ApiKeyId,
        body: &Bytes,
    ) -> Result<Option<(Bytes, PreviousResponse)>, GatewayError> {
        if !may_have_references(body) {
            return Ok(None);
        }
        // Malformed requests are reported by the code that parses all of it.
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return Ok(None) };
        let previous = fields.get("previous_response_id").and_then(Value::as_str).map(str::to_owned);
        let own = match fields.get_mut("input").map_or(Value::Null, Value::take) {
            Value::Array(items) => items,
            Value::String(text) => vec![message(&text)],
            Value::Null => Vec::new(),
            _ => return Ok(None),
        };
        if previous.is_none() && !own.iter().any(is_reference) {
            return Ok(None);
        }
        if previous.as_deref().is_some_and(|id| self.live_answer(key, id).is_none()) {
            return Err(unknown_answer());
        }
        let mut items = previous.as_deref().map(|id| self.conversation(key, id)).transpose()?.unwrap_or_default();
        let (before, mut bytes) = (items.len(), 0);
        for (place, item) in own.into_iter().enumerate() {
            if !is_reference(&item) {
                items.push(item);
                continue;
            }
            let id = item["id"].as_str().unwrap_or_default();
            match self.item(key, id) {
                Some((item, length)) => {
                    bytes += length;
                    if bytes > MAX_REFERENCED_BYTES {
                        return Err(too_many_references(place));
                    }
                    items.push(item);
                }
                None if id.starts_with("rs_") => {}
                None => return Err(unknown_item(place, id)),
            }
        }
        fields.shift_remove("previous_response_id");
        fields.insert("input".to_owned(), items.into());
        let body = Value::Object(fields).to_string().into();
        Ok(Some((body, PreviousResponse { previous, items: before, is_copied: false })))
    }

    /// Items of the conversation up to and including this response. Deleted responses are part of it.
    fn conversation(&self, key: ApiKeyId, id: &str) -> Result<Vec<Value>, GatewayError> {
        let mut answers = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next.take() {
            let answer =
                self.answer(key, &id).filter(|_| answers.len() < MAX_CONVERSATION_LEN).ok_or_else(unknown_answer)?;
            next = answer.previous.clone();
            answers.push(answer);
        }
        let mut items = Vec::new();
        for answer in answers.iter().rev() {
            items.extend(answer.asked.iter().filter_map(|item| serde_json::from_str::<Value>(item).ok()));
            for id in &answer.said {
                items.push(self.item(key, id).ok_or_else(unknown_answer)?.0);
            }
        }
        Ok(items)
    }

    fn find(&self, key: ApiKeyId, id: &str) -> Option<Entry> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (entry, at) = kept.keys.get(&key)?.entries.get(id)?;
        (at.elapsed() < ENTRY_TTL).then(|| entry.clone())
    }

    /// An item and the length of its JSON, in bytes.
    fn item(&self, key: ApiKeyId, id: &str) -> Option<(Value, usize)> {
        match self.find(key, id)? {
            Entry::Item(json) => Some((serde_json::from_str(&json).ok()?, json.len())),
            Entry::Answer(_) => None,
        }
    }

    fn answer(&self, key: ApiKeyId, id: &str) -> Option<Arc<Answer>> {
        match self.find(key, id)? {
            Entry::Answer(answer) => Some(answer),
            Entry::Item(_) => None,
        }
    }

    /// A response that isn't deleted.
    fn live_answer(&self, key: ApiKeyId, id: &str) -> Option<Arc<Answer>> {
        self.answer(key, id).filter(|answer| !answer.is_deleted)
    }

    fn insert(&self, key: ApiKeyId, entries: Vec<(String, Entry)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = kept.keys.entry(key).or_default();
        let before = shelf.bytes;
        for (id, entry) in entries {
            shelf.insert(id, entry);
        }
        shelf.evict();
        let after = shelf.bytes;
        if after == 0 {
            kept.keys.remove(&key);
        }
        kept.bytes = kept.bytes + after - before;
        while kept.bytes > TOTAL_BYTES {
            let used = |(key, shelf): (&ApiKeyId, &KeyEntries)| Some((shelf.last_at()?, *key));
            let Some((_, oldest)) = kept.keys.iter().filter_map(used).min() else { return };
            let freed = kept.keys.remove(&oldest).map_or(0, |shelf| shelf.bytes);
            kept.bytes = kept.bytes.saturating_sub(freed);
        }
    }
}

impl KeyEntries {
    fn insert(&mut self, id: String, entry: Entry) {
        self.bytes += id.len() + entry.bytes();
        match self.entries.insert(id.clone(), (entry, Instant::now())) {
            Some((before, _)) => self.bytes -= id.len() + before.bytes(),
            None => self.order.push_back(id),
        }
    }

    /// Evicts expired and excess entries.
    fn evict(&mut self) {
        while let Some(oldest) = self.order.front() {
            let is_old = self.entries.get(oldest).is_none_or(|(_, at)| at.elapsed() >= ENTRY_TTL);
            if self.bytes <= KEY_BYTES && !is_old {
                return;
            }
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((entry, _)) = self.entries.remove(&oldest) {
                self.bytes -= oldest.len() + entry.bytes();
            }
        }
    }

    /// Time at which the last entry was inserted.
    fn last_at(&self) -> Option<Instant> {
        self.order.back().and_then(|id| self.entries.get(id)).map(|(_, at)| *at)
    }
}

impl Entry {
    /// Deserialises an entry. `None` if it is expired or written by an incompatible version.
    fn read(text: &str) -> Option<Self> {
        let SerializedEntry { at, item, answer } = serde_json::from_str(text).ok()?;
        let is_old = now().saturating_sub(at) >= ENTRY_TTL.as_secs();
        let entry = answer.map(Arc::new).map(Self::Answer).or(item.map(Self::Item));
        entry.filter(|_| !is_old)
    }

    fn serialize(&self, at: u64) -> String {
        let written = match self {
            Self::Item(item) => json!({"at": at, "item": item}),
            Self::Answer(answer) => json!({"at": at, "answer": **answer}),
        };
        written.to_string()
    }

    /// Ids of the entries that this one depends on.
    fn dependencies(&self) -> Vec<String> {
        match self {
            Self::Item(_) => Vec::new(),
            Self::Answer(answer) => answer.previous.iter().chain(&answer.said).cloned().collect(),
        }
    }

    fn bytes(&self) -> usize {
        let texts = |texts: &[String]| texts.iter().map(|text| text.len() + ENTRY_OVERHEAD).sum::<usize>();
        ENTRY_OVERHEAD
            + match self {
                Self::Item(json) => json.len(),
                Self::Answer(answer) => texts(&answer.asked) + texts(&answer.said) + answer.head.len(),
            }
    }
}

impl PreviousResponse {
    /// Id of the response that the request continues.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// The same for a new response that has to contain its whole conversation, because the previous one
    /// is stored elsewhere and may be deleted there.
    #[must_use]
    pub fn copied(self) -> Self {
        Self { is_copied: true, ..self }
    }
}

#[derive(Deserialize)]
struct RequestBody<'a> {
    store: Option<bool>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl ResponseRecorder {
    pub fn new(given: &Arc<StoredResponses>, key: ApiKeyId, body: &Bytes, followed: Option<&PreviousResponse>) -> Self {
        let followed = followed.cloned().map(Box::new);
        Self { responses: Arc::clone(given), key, body: body.clone(), followed, sharing: None }
    }

    /// Sets the publisher to other instances.
    pub fn with_publisher(self, sharing: Option<ResponsePublisher>) -> Self {
        Self { sharing, ..self }
    }

    /// Stores a response object as sent to the client, unless the request has `store: false`.
    pub fn store(&self, answer: &Value) {
        if self.body.len() > KEY_BYTES {
            return;
        }
        let Ok(request) = serde_json::from_slice::<RequestBody<'_>>(&self.body) else { return };
        if request.store == Some(false) {
            return;
        }
        let (Some(id), Some(output)) = (answer["id"].as_str(), answer["output"].as_array()) else { return };
        let mut entries = Vec::with_capacity(output.len() + 1);
        let mut said = Vec::with_capacity(output.len());
        for item in output {
            let Some(id) = item["id"].as_str() else { return };
            said.push(id.to_owned());
            entries.push((id.to_owned(), Entry::Item(item.to_string())));
        }
        let followed = self.followed.as_deref().filter(|followed| !followed.is_copied);
        let previous = followed.and_then(|followed| followed.previous.clone());
        let asked = self.serialize_input(request.input);
        let head = stored::head(answer, self.followed.as_deref());
        let answer = Answer { previous, asked, said, head, is_deleted: false };
        entries.push((id.to_owned(), Entry::Answer(Arc::new(answer))));
        let bytes: usize = entries.iter().map(|(_, entry)| entry.bytes()).sum();
        if let Some(sharing) = self.sharing.as_ref().filter(|_| bytes <= KEY_BYTES) {
            let at = now();
            sharing.publish(entries.iter().map(|(id, entry)| (id.clone(), entry.serialize(at))).collect());
        }
        self.responses.insert(self.key, entries);
    }

    /// JSON of the request's own input items, without those of responses that it depends on.
    fn serialize_input(&self, input: Option<&RawValue>) -> Vec<String> {
        let Some(input) = input else { return Vec::new() };
        if let Ok(text) = serde_json::from_str::<String>(input.get()) {
            return vec![message(&text).to_string()];
        }
        let followed = self.followed.as_deref().filter(|followed| !followed.is_copied);
        let before = followed.map_or(0, |followed| followed.items);
        let items: Vec<&RawValue> = serde_json::from_str(input.get()).unwrap_or_default();
        items.into_iter().skip(before).map(|item| item.get().to_owned()).collect()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Message of a user as an input item.
pub(crate) fn message(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// True for an item reference. The type may be missing if the item has only an id.
fn is_reference(item: &Value) -> bool {
    let Some(fields) = item.as_object() else { return false };
    let is_bare = || fields.len() == 1 && fields.contains_key("id");
    fields.get("type").map_or_else(is_bare, |kind| kind == "item_reference")
}

fn unknown_answer() -> GatewayError {
    let message = "This response isn't stored here, or has expired: responses are kept for up to an hour. Send the whole conversation.";
    GatewayError::invalid_param("previous_response_id", message).with_code("previous_response_not_found")
}

fn unknown_item(place: usize, id: &str) -> GatewayError {
    let shown: String = id.chars().take(100).collect();
    let message = format!(
        "The item `{shown}` isn't stored here, or has expired. Send the items themselves, with `store: false`."
    );
    GatewayError::invalid_param(format!("input[{place}].id"), message)
}

/// Error for too many references: a reference is short but its item may be long, so unlimited
/// references could exhaust memory.
fn too_many_references(place: usize) -> GatewayError {
    let message = format!(
        "A request can refer to up to {} MiB of earlier responses. Send the items themselves, each once.",
        MAX_REFERENCED_BYTES / (1024 * 1024)
    );
    GatewayError::invalid_param(format!("input[{place}].id"), message)
}

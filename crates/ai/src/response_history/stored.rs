//! Retrieval and deletion of stored responses.

use std::sync::Arc;

use appcore::{ApiKeyId, work_pool::WorkOwner};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Answer, Entry, PreviousResponse, ResponseRecorder, StoredResponses, now};
use crate::{Ai, GatewayError, blocking_pool::run};

/// JSON of a response object without its output, with the id that the client continued.
pub(super) fn head(response: &Value, followed: Option<&PreviousResponse>) -> String {
    let mut head: Map<String, Value> = response.as_object().cloned().unwrap_or_default();
    head.shift_remove("output");
    head.insert("store".to_owned(), true.into());
    if let Some(previous) = followed.and_then(|followed| followed.previous.as_deref()) {
        head.insert("previous_response_id".to_owned(), previous.into());
    }
    Value::Object(head).to_string()
}

impl StoredResponses {
    /// Response object as the client received it.
    fn response(&self, key: ApiKeyId, id: &str) -> Option<Value> {
        let answer = self.live_answer(key, id)?;
        let mut response: Value = serde_json::from_str(&answer.head).ok()?;
        let output: Option<Vec<Value>> = answer.said.iter().map(|id| Some(self.item(key, id)?.0)).collect();
        response.as_object_mut()?.insert("output".to_owned(), output?.into());
        Some(response)
    }

    /// Input items of a response, with those of the responses that it continues.
    fn input_items(&self, key: ApiKeyId, id: &str) -> Option<Vec<Value>> {
        let answer = self.live_answer(key, id)?;
        let mut items = match &answer.previous {
            Some(previous) => self.conversation(key, previous).ok()?,
            None => Vec::new(),
        };
        items.extend(answer.asked.iter().filter_map(|item| serde_json::from_str(item).ok()));
        Some(list_input_items(id, items))
    }

    /// Marks a response as deleted and returns its entry for the shared store; `None` if it isn't stored.
    /// Its input and output stay until they expire, because later responses may continue it.
    fn mark_deleted(&self, key: ApiKeyId, id: &str) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let entries = kept.keys.get_mut(&key)?;
        let (entry, at) = entries.entries.get_mut(id)?;
        let Entry::Answer(answer) = &*entry else { return None };
        let Answer { previous, asked, said, .. } = &**answer;
        let (previous, asked, said) = (previous.clone(), asked.clone(), said.clone());
        let deleted = Entry::Answer(Arc::new(Answer { previous, asked, said, head: String::new(), is_deleted: true }));
        let freed = entry.bytes().saturating_sub(deleted.bytes());
        let serialized = deleted.serialize(now().saturating_sub(at.elapsed().as_secs()));
        *entry = deleted;
        entries.bytes -= freed;
        kept.bytes = kept.bytes.saturating_sub(freed);
        Some(serialized)
    }
}

/// Input items of a response in the form of a list.
pub(crate) fn list_input_items(response: &str, items: Vec<Value>) -> Vec<Value> {
    items.into_iter().enumerate().map(|(place, item)| listed(item, response, place)).collect()
}

/// Input item in the form of a list: with an id and a type, and its content as parts.
fn listed(mut item: Value, response: &str, place: usize) -> Value {
    let Some(fields) = item.as_object_mut() else { return item };
    let kind = if fields.get("role").is_some_and(|role| role == "assistant") { "output_text" } else { "input_text" };
    if let Some(Value::String(text)) = fields.get("content") {
        let parts = json!([{"type": kind, "text": text}]);
        fields.insert("content".to_owned(), parts);
    }
    fields.entry("type").or_insert_with(|| "message".into());
    fields.entry("id").or_insert_with(|| format!("in_{place}_{response}").into());
    item
}

fn not_found(id: &str) -> GatewayError {
    let shown: String = id.chars().take(100).collect();
    let message =
        format!("The response `{shown}` isn't stored here, or has expired: responses are kept for up to an hour.");
    GatewayError::new(crate::ErrorKind::NotFound, message).with_param("response_id")
}

impl Ai {
    /// Loads a response and what it depends on from the shared store, also if another instance has
    /// deleted it.
    pub(crate) async fn load_response(&self, key: ApiKeyId, id: &str) {
        let Some(store) = self.response_store() else { return };
        for text in store.find(key, vec![id.to_owned()]).await.into_iter().flatten() {
            if let Some(Entry::Answer(answer)) = Entry::read(&text)
                && answer.is_deleted
            {
                self.stored_responses().insert(key, vec![(id.to_owned(), Entry::Answer(answer))]);
            }
        }
        self.stored_responses().load_shared(&**store, key, vec![id.to_owned()]).await;
    }

    /// Stores a response that was created elsewhere, so that later requests of this API key can refer
    /// to it. `body` is its request with the whole conversation.
    pub async fn insert_response(&self, key: ApiKeyId, body: Bytes, response: String) -> Result<(), GatewayError> {
        let recorder = ResponseRecorder::new(self.stored_responses(), key, &body, None);
        let storing = run(WorkOwner::System, body.len() + response.len(), move || {
            if let Ok(response) = serde_json::from_str::<Value>(&response) {
                recorder.store(&response);
            }
        });
        storing.await
    }

    /// Marks a response as deleted in the memory of this instance.
    pub fn remove_response(&self, key: ApiKeyId, id: &str) {
        self.stored_responses().mark_deleted(key, id);
    }

    /// Stored response object of this API key.
    pub async fn stored_response(&self, key: ApiKeyId, id: &str) -> Result<Value, GatewayError> {
        self.load_response(key, id).await;
        self.stored_responses().response(key, id).ok_or_else(|| not_found(id))
    }

    /// Input items of a stored response, oldest first.
    pub async fn response_input_items(&self, key: ApiKeyId, id: &str) -> Result<Vec<Value>, GatewayError> {
        self.load_response(key, id).await;
        self.stored_responses().input_items(key, id).ok_or_else(|| not_found(id))
    }

    /// Deletes a stored response. It stays part of the responses that continue it.
    pub async fn delete_response(&self, key: ApiKeyId, id: &str) -> Result<(), GatewayError> {
        self.load_response(key, id).await;
        let is_live = self.stored_responses().live_answer(key, id).is_some();
        let deleted = self.stored_responses().mark_deleted(key, id).filter(|_| is_live);
        let deleted = deleted.ok_or_else(|| not_found(id))?;
        if let Some(store) = self.response_store() {
            store.store(key, vec![(id.to_owned(), deleted)]).await;
        }
        Ok(())
    }
}

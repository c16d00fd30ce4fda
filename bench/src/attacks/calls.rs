//! API calls that both the attacker and the other members make.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};
use support::{Caller, Member, new_id};

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Makes a call and returns the data of the answer; `None` if the call failed.
pub async fn data(caller: &Caller, request: RequestBuilder) -> Option<Value> {
    let answer = caller.try_send(request).await.ok()?;
    (200..300).contains(&answer.status).then(|| answer.body["data"].clone())
}

/// Request that sends a message with the given uploads.
pub fn message(by: &Member, conversation: &str, content: &str, uploads: &[&Value]) -> RequestBuilder {
    let ids: Vec<&Value> = uploads.iter().map(|upload| &upload["id"]).collect();
    let body = json!({ "client_id": new_id(), "content": content, "attachment_ids": ids });
    by.request(Method::POST, &format!("/r1/conversations/{conversation}/messages")).json(&body)
}

/// Request that searches for messages.
pub fn search(by: &Member, query: &str, is_exact: bool) -> RequestBuilder {
    let exact = is_exact.to_string();
    let parameters = [("q", query), ("exact", exact.as_str())];
    let encoded = Url::parse_with_params("http://localhost", parameters).ok();
    let encoded = encoded.as_ref().and_then(Url::query).unwrap_or_default();
    by.request(Method::GET, &format!("/r1/search?{encoded}"))
}

/// True if the search finds exactly this word in a message or a file.
pub async fn is_found(by: &Member, word: &str) -> bool {
    data(by, search(by, word, true)).await.is_some_and(|found| has_items(&found["items"]))
}

pub async fn has_previews(by: &Member, message: &Value) -> bool {
    let path = format!("/r1/messages/{}", message["id"].as_str().unwrap_or_default());
    data(by, by.request(Method::GET, &path)).await.is_some_and(|message| has_items(&message["previews"]))
}

pub fn has_items(list: &Value) -> bool {
    list.as_array().is_some_and(|items| !items.is_empty())
}

/// Polls until the condition is true. Returns false if it isn't after `limit`.
pub async fn poll<F: Future<Output = bool>>(limit: Duration, ask: impl Fn() -> F) -> bool {
    let end = Instant::now() + limit;
    while !ask().await {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    true
}

/// Creates a word that was not used before. It consists of letters only.
pub fn new_word() -> String {
    let letter = |byte: u8| char::from(if byte.is_ascii_digit() { byte - b'0' + b'g' } else { byte });
    // Uses the end of an id, which is random; its start is the time.
    new_id().bytes().rev().take(12).map(letter).collect()
}

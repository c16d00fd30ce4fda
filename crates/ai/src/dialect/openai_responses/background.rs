//! Background responses: their requests, response objects and events.
//!
//! A request with `background: true` is answered at once with a response object of the status
//! `queued`. The response object of the answer replaces it when the request has been executed.

use std::sync::LazyLock;

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{answer, request, stream_conversion};
use crate::{
    GatewayError,
    blocking_pool::{run, run_for_answer},
    dialect::{AnswerHead, fields::Fields, lone_surrogates},
    response_history::{PreviousResponse, list_input_items, message},
};

/// Fields of the request that are left out when it is executed.
const DELIVERY_FIELDS: [&str; 4] = ["background", "stream", "stream_options", "store"];
/// Fields that the object of the answer gets from the object of the queued response.
const KEPT_FIELDS: [&str; 5] = ["id", "created_at", "background", "store", "previous_response_id"];
/// Error of a failed response without a code of its own.
const SERVER_ERROR: &str = "server_error";

static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""background""#));

/// Request for a background response.
#[derive(Debug)]
pub struct BackgroundRequest {
    /// Body to execute.
    pub body: Bytes,
    /// Response object of the queued response.
    pub response: Value,
    /// True if the client asked for a stream.
    pub stream: bool,
}

/// Answer of a background response.
#[derive(Debug)]
pub struct BackgroundAnswer {
    /// `completed`, `incomplete` or `failed`.
    pub status: String,
    /// JSON of the response object.
    pub response: String,
}

/// Stream events of a response.
#[derive(Debug)]
pub struct ResponseEventFrames {
    pub frames: Bytes,
    /// Sequence number of the event after these.
    pub next: u64,
}

/// True if a request may ask for a background response.
#[must_use]
pub fn may_be_requested(body: &[u8]) -> bool {
    MARK.find(body).is_some()
}

/// True if a request asks for a background response.
pub async fn is_requested(owner: WorkOwner, body: &Bytes) -> Result<bool, GatewayError> {
    #[derive(Deserialize)]
    struct Head {
        background: Option<bool>,
    }

    let body = body.clone();
    // Malformed requests are reported by the code that parses all of them.
    run(owner, body.len(), move || {
        serde_json::from_slice::<Head>(&body).is_ok_and(|head| head.background == Some(true))
    })
    .await
}

/// Converts a request into the body to execute and the object of the queued response.
pub async fn prepare(
    owner: WorkOwner,
    id: String,
    created: u64,
    body: Bytes,
    previous: Option<PreviousResponse>,
) -> Result<BackgroundRequest, GatewayError> {
    run(owner, body.len(), move || prepare_body(id, created, &body, previous.as_ref())).await?
}

fn prepare_body(
    id: String,
    created: u64,
    body: &[u8],
    previous: Option<&PreviousResponse>,
) -> Result<BackgroundRequest, GatewayError> {
    let mut body = lone_surrogates::parse_request(body)?;
    let fields = Fields::root(&body)?;
    if fields.flag("store")? == Some(false) {
        let message = "A background response is stored. Leave out `store`, or set it to true.";
        return Err(GatewayError::invalid_param("store", message));
    }
    if let Some(name) = request::STORED_RESPONSE_FIELDS.into_iter().find(|name| fields.get(name).is_some()) {
        return Err(request::stored_response_error(name));
    }
    let stream = fields.flag("stream")?.unwrap_or(false);
    let head = AnswerHead { id, created, model: fields.text("model")?.unwrap_or_default().to_owned() };
    let mut response = answer::response(&head, &request::echoed_fields(&fields), "queued", &[], None);
    response["background"] = true.into();
    response["store"] = true.into();
    if let Some(previous) = previous.and_then(PreviousResponse::id) {
        response["previous_response_id"] = previous.into();
    }
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !DELIVERY_FIELDS.contains(&name.as_str()));
    }
    Ok(BackgroundRequest { body: body.to_string().into(), response, stream })
}

/// Converts an answer, or the error that ended the request, into the final response object.
/// `queued` is the JSON of the object of the queued response.
pub async fn finish(
    owner: WorkOwner,
    queued: String,
    answer: Result<Bytes, GatewayError>,
) -> Result<BackgroundAnswer, GatewayError> {
    let size = queued.len() + answer.as_ref().map_or(0, Bytes::len);
    run_for_answer(owner, size, move || finish_object(&queued, answer)).await
}

fn finish_object(queued: &str, answer: Result<Bytes, GatewayError>) -> BackgroundAnswer {
    let mut queued: Map<String, Value> = serde_json::from_str(queued).unwrap_or_default();
    let unreadable = |_| GatewayError::new(crate::ErrorKind::BadUpstream, "The answer couldn't be read.");
    let answer = answer.and_then(|body| serde_json::from_slice::<Map<String, Value>>(&body).map_err(unreadable));
    let response = match answer {
        Ok(mut response) => {
            for name in KEPT_FIELDS {
                if let Some(value) = queued.get(name) {
                    response.insert(name.to_owned(), value.clone());
                }
            }
            response
        }
        Err(error) => {
            let code = error.openai_code().unwrap_or(SERVER_ERROR);
            queued.insert("error".to_owned(), json!({"code": code, "message": error.message()}));
            queued.insert("status".to_owned(), "failed".into());
            queued
        }
    };
    let status = response.get("status").and_then(Value::as_str);
    let status = status.filter(|status| ["incomplete", "failed"].contains(status)).unwrap_or("completed");
    BackgroundAnswer { status: status.to_owned(), response: Value::Object(response).to_string() }
}

/// Parses the JSON of a response object, and sets its current status.
pub async fn parse_object(owner: WorkOwner, response: String, status: &'static str) -> Result<Value, GatewayError> {
    run_for_answer(owner, response.len(), move || object(&response, status)).await
}

fn object(response: &str, status: &str) -> Value {
    let mut response: Value = serde_json::from_str(response).unwrap_or_else(|_| json!({}));
    response["status"] = status.into();
    response
}

/// Input items of a response from the body of its request, oldest first.
pub async fn input_items(owner: WorkOwner, id: String, body: String) -> Result<Vec<Value>, GatewayError> {
    let size = body.len();
    let parse = move || {
        let mut body: Value = serde_json::from_str(&body).unwrap_or_default();
        let items = match body["input"].take() {
            Value::Array(items) => items,
            Value::String(text) => vec![message(&text)],
            _ => Vec::new(),
        };
        list_input_items(&id, items)
    };
    run_for_answer(owner, size, parse).await
}

/// Renders the events of a background response in its current status, from the sequence number
/// `first` on. `response` is the JSON of its object.
pub async fn render_events(
    owner: WorkOwner,
    response: String,
    status: &'static str,
    first: u64,
) -> Result<ResponseEventFrames, GatewayError> {
    run_for_answer(owner, response.len(), move || events(&object(&response, status), first)).await
}

fn events(response: &Value, first: u64) -> ResponseEventFrames {
    let events = stream_conversion::events_of_background_response(response, first);
    ResponseEventFrames { frames: events.text.into(), next: events.count.max(first) }
}

/// Renders the events of a response that was not created in the background, from the sequence
/// number `first` on.
#[must_use]
pub fn render_stored_events(response: &Value, first: u64) -> Bytes {
    stream_conversion::events_of_response(response, first).text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn prepared(body: &Value) -> Result<BackgroundRequest, GatewayError> {
        prepare_body("resp_bg1".to_owned(), 7, body.to_string().as_bytes(), None)
    }

    fn numbers(frames: &[u8]) -> Vec<(u64, String)> {
        let lines = std::str::from_utf8(frames).unwrap().lines().filter_map(|line| line.strip_prefix("data: "));
        let parsed = lines.map(|data| serde_json::from_str::<Value>(data).unwrap());
        parsed
            .map(|event| (event["sequence_number"].as_u64().unwrap(), event["type"].as_str().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn separates_the_request_from_its_delivery() {
        let body = json!({
            "model": "small", "input": "Hi", "background": true, "stream": true, "store": true, "temperature": 0.5,
        });
        let request = prepared(&body).unwrap();
        assert_eq!(request.body, json!({"model": "small", "input": "Hi", "temperature": 0.5}).to_string());
        assert!(request.stream);
        let response = &request.response;
        assert_eq!((&response["id"], &response["status"]), (&json!("resp_bg1"), &json!("queued")));
        assert_eq!((&response["background"], &response["store"]), (&json!(true), &json!(true)));
        assert_eq!((&response["temperature"], &response["output"]), (&json!(0.5), &json!([])));
        let refused = prepared(&json!({"model": "small", "input": "Hi", "background": true, "store": false}));
        assert_eq!(refused.unwrap_err().param.as_deref(), Some("store"));
    }

    #[test]
    fn the_answer_has_the_id_of_the_queued_response() {
        let queued = prepared(&json!({"model": "small", "input": "Hi"})).unwrap().response.to_string();
        let answer = json!({"id": "resp_other", "created_at": 9, "status": "incomplete", "output": [], "store": false});
        let ended = finish_object(&queued, Ok(answer.to_string().into()));
        let response: Value = serde_json::from_str(&ended.response).unwrap();
        assert_eq!(ended.status, "incomplete");
        assert_eq!(
            (&response["id"], &response["created_at"], &response["store"]),
            (&json!("resp_bg1"), &json!(7), &json!(true))
        );
        let failed = finish_object(&queued, Err(GatewayError::new(ErrorKind::Internal, "No.")));
        let response: Value = serde_json::from_str(&failed.response).unwrap();
        assert_eq!((failed.status.as_str(), &response["status"]), ("failed", &json!("failed")));
        assert_eq!(response["error"], json!({"code": "server_error", "message": "No."}));
    }

    /// A client that reconnects sees each event once, in whatever state it was cut off.
    #[test]
    fn later_states_only_append_events() {
        let queued = prepared(&json!({"model": "small", "input": "Hi"})).unwrap().response;
        let part = json!({"type": "output_text", "text": "Hello", "annotations": []});
        let output =
            json!([{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}]);
        let mut ended = queued.clone();
        (ended["status"], ended["output"]) = (json!("completed"), output);
        let all = numbers(&events(&ended, 0).frames);
        assert_eq!(all.last().unwrap().1, "response.completed");
        let mut next = 0;
        let mut seen = Vec::new();
        let mut running = queued.clone();
        running["status"] = "in_progress".into();
        for state in [&queued, &queued, &running, &ended, &ended] {
            let appended = events(state, next);
            seen.extend(numbers(&appended.frames));
            next = appended.next;
        }
        assert_eq!(seen, all);
        for (number, (sequence, _)) in all.iter().enumerate() {
            assert_eq!(number as u64, *sequence);
        }
        for (status, kind) in [("failed", "response.failed"), ("cancelled", "response.cancelled")] {
            let ended = object(&queued.to_string(), status);
            assert_eq!(numbers(&events(&ended, 3).frames), [(3, kind.to_owned())]);
        }
    }
}

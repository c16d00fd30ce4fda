//! Passthrough of the Responses format: bytes pass unchanged, and only fields for routing, billing
//! and isolation between users are read.
//!
//! Nothing is stored at the provider because its API key is shared: any user could continue a
//! stored response. References by id to data stored under that key are rejected for the same
//! reason.

mod request;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::{Value, json};

pub(super) use self::request::LATER_TOOLS_MARK;
pub(crate) use self::request::{PassthroughTerms, rewrite_request};
use super::server_tools::BilledUses;
use crate::{
    AiError, Finish, Usage,
    dialect::{
        fields::lenient_count,
        openai_chat::passthrough::text_length,
        passthrough::{EventReader, PassthroughTap},
    },
    meter::Meter,
    provider_http::failure::{self, Failure},
    response_history::ResponseRecorder,
    used_call_ids::{UsedCallIds, is_client_call},
};

pub(crate) type ResponsesTap = PassthroughTap<ResponseEvents>;

/// Parses usage leniently, because malformed usage must not fail the answer.
pub(super) fn read_usage(said: &Value) -> Usage {
    Usage {
        input: lenient_count(&said["input_tokens"]),
        cached: lenient_count(&said["input_tokens_details"]["cached_tokens"]),
        cache_write: lenient_count(&said["input_tokens_details"]["cache_write_tokens"]),
        output: lenient_count(&said["output_tokens"]),
        reasoning: lenient_count(&said["output_tokens_details"]["reasoning_tokens"]),
        ..Usage::default()
    }
}

/// Meters a whole answer; fails if the body isn't one.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter, record: Option<&ResponseRecorder>) -> Result<(), Failure> {
    let response: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = whole_failure(&response) {
        return Err(failure);
    }
    if !response["output"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.record_output(estimate_text_quarters(&TEXT_KEY, body));
    record_final_response(&response, &BilledUses::from_response(&response), meter);
    if let Some(record) = record {
        record.store(&response);
    }
    Ok(())
}

/// Failure that a whole answer reports.
pub(super) fn whole_failure(answer: &Value) -> Option<Failure> {
    let unknown = || (answer["status"] == "failed").then(failure::unknown_failure);
    response_failure(answer).or_else(|| failure::parse_value(answer)).or_else(unknown)
}

/// Error of a failed response.
fn response_failure(response: &Value) -> Option<Failure> {
    let error = response.get("error").filter(|error| !error.is_null())?;
    failure::parse_value(&json!({ "error": error }))
}

fn record_final_response(response: &Value, used: &BilledUses, meter: &Meter) {
    if let Some(tools) = used.usage() {
        meter.record_usage(tools);
    }
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        meter.record_usage(read_usage(usage));
    }
    meter.record_finish(if response["status"] == "incomplete" { Finish::Length } else { Finish::Stop });
    meter.close();
}

static TEXT_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""text":"#));
static DELTA_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""delta":"#));
static CALL_ID_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""call_id""#));
static SEQUENCE_KEY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""sequence_number":"#));
/// Substrings of frames with the end, an error, a call, a complete item, or a partial image.
static METERED_EVENT_MARKS: LazyLock<[Finder<'static>; 7]> = LazyLock::new(|| {
    [
        "response.completed",
        "response.incomplete",
        "response.failed",
        r#""response.output_item.done""#,
        r#""response.image_generation_call.partial_image""#,
        r#""error""#,
        r#""call_id""#,
    ]
    .map(Finder::new)
});

/// Estimated length of the strings under this key, in quarters of a token.
fn estimate_text_quarters(key: &Finder<'static>, block: &[u8]) -> u64 {
    key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
}

/// Meters the events of a stream.
#[derive(Debug, Default)]
pub(crate) struct ResponseEvents {
    is_done: bool,
    count: u64,
    /// Uses of billed tools.
    used: BilledUses,
    record: Option<ResponseRecorder>,
    ids: ItemCallIds,
}

/// Call ids of one answer's items, in which those of the conversation are replaced.
#[derive(Debug, Default)]
struct ItemCallIds {
    used: UsedCallIds,
    /// Id of each call so far, by the index of its item.
    assigned: BTreeMap<u64, Value>,
}

impl ItemCallIds {
    /// Replaces the call id of the item with this index. True if it changes.
    fn replace(&mut self, index: u64, item: &mut Value) -> bool {
        if !is_client_call(item) {
            return false;
        }
        if let Some(known) = self.assigned.get(&index) {
            let is_changed = item["call_id"] != *known;
            item["call_id"] = known.clone();
            return is_changed;
        }
        let is_changed = self.used.replace_in_item(item);
        self.assigned.insert(index, item["call_id"].clone());
        is_changed
    }

    /// Replaces the call ids of a response. True if one changes.
    fn replace_all(&mut self, response: &mut Value) -> bool {
        let items = response.get_mut("output").and_then(Value::as_array_mut).into_iter().flatten();
        let replaced = (0..).zip(items).filter_map(|(index, item)| self.replace(index, item).then_some(()));
        replaced.count() > 0
    }
}

/// Replaces the call ids of a whole answer.
pub(crate) fn replace_call_ids(body: Bytes, used: UsedCallIds) -> Bytes {
    if CALL_ID_KEY.find(&body).is_none() {
        return body;
    }
    let Ok(mut response) = serde_json::from_slice::<Value>(&body) else { return body };
    let mut ids = ItemCallIds { used, assigned: BTreeMap::new() };
    if ids.replace_all(&mut response) { response.to_string().into() } else { body }
}

impl ResponseEvents {
    /// Creates a reader that also stores the answer if `record` is given.
    pub fn new(record: Option<ResponseRecorder>, used: UsedCallIds) -> Self {
        Self { record, ids: ItemCallIds { used, assigned: BTreeMap::new() }, ..Self::default() }
    }
}

impl EventReader for ResponseEvents {
    fn text_quarters(block: &[u8]) -> u64 {
        estimate_text_quarters(&DELTA_KEY, block)
    }

    fn is_marked(block: &[u8]) -> bool {
        METERED_EVENT_MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    fn rewrite(&mut self, said: &mut Value) -> bool {
        let index = said["output_index"].as_u64();
        match (said["type"].as_str(), index) {
            (Some("response.output_item.added" | "response.output_item.done"), Some(index)) => {
                said.get_mut("item").is_some_and(|item| self.ids.replace(index, item))
            }
            (Some("response.completed" | "response.incomplete"), _) => {
                said.get_mut("response").is_some_and(|response| self.ids.replace_all(response))
            }
            _ => false,
        }
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        match said["type"].as_str() {
            Some("response.created") => {
                self.used.record_tools(&said["response"]);
                Ok(())
            }
            // Clients that disconnect early pay for the tool uses so far, including partial images.
            Some(kind @ ("response.output_item.done" | "response.image_generation_call.partial_image")) => {
                let is_done = kind == "response.output_item.done";
                let is_new =
                    if is_done { self.used.record_item(&said["item"]) } else { self.used.record_partial_image(said) };
                if is_new && let Some(tools) = self.used.usage() {
                    meter.record_usage(tools);
                }
                Ok(())
            }
            Some("response.completed" | "response.incomplete") => {
                self.is_done = true;
                self.used.merge(BilledUses::from_response(&said["response"]));
                record_final_response(&said["response"], &self.used, meter);
                if let Some(record) = &self.record {
                    record.store(&said["response"]);
                }
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(AiError::Garbled.into()),
        }
    }

    fn failure(said: &Value) -> Option<Failure> {
        match said["type"].as_str() {
            // Some servers put the error beside the response.
            Some("response.failed") => {
                let told = response_failure(&said["response"]).or_else(|| failure::parse_value(said));
                Some(told.unwrap_or_else(failure::unknown_failure))
            }
            _ => failure::parse_error_event(said),
        }
    }

    fn count(&mut self, passed: &[u8]) {
        self.count += SEQUENCE_KEY.find_iter(passed).count() as u64;
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.is_done
    }

    fn sequence(&self) -> u64 {
        self.count
    }

    fn finish(&mut self, _: &Meter) -> Result<&'static [u8], Failure> {
        Err(AiError::Truncated.into())
    }
}

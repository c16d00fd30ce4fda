//! Converts between whole and streamed responses, for servers and relays that answer in the form
//! that was not requested.

use std::io::Write as _;

use bytes::Bytes;
use serde_json::{Value, json};

use super::passthrough::ResponseEvents;
use crate::{
    AiError,
    dialect::passthrough::EventReader as _,
    provider_http::{
        events::{self, Event, Splitter},
        failure::Failure,
    },
};

/// Extracts the response from the end of a stream. If the end omits the output, the preceding items
/// are used.
pub(crate) fn response_of_stream(body: &[u8]) -> Result<Bytes, Failure> {
    let (mut splitter, mut items) = (Splitter::default(), Vec::new());
    splitter.push([body, b"\n\n"].concat().into());
    while let Some(event) = splitter.next() {
        let (Event::Data(data) | Event::Error(data) | Event::Bare(data)) = events::read(&event) else { continue };
        let Ok(mut said) = serde_json::from_slice::<Value>(&data) else { continue };
        if let Some(failure) = ResponseEvents::failure(&said) {
            return Err(failure);
        }
        match said["type"].as_str() {
            Some("response.output_item.done") => items.push(said["item"].take()),
            Some("response.completed" | "response.incomplete") => {
                let mut response = said["response"].take();
                if response.is_object() && response["output"].as_array().is_none_or(Vec::is_empty) {
                    response["output"] = items.into();
                }
                return Ok(response.to_string().into());
            }
            _ => {}
        }
    }
    Err(AiError::Truncated.into())
}

/// Writes a response as stream events.
pub(crate) fn stream_of_response(response: &Value) -> Bytes {
    events_of_response(response, 0).text.into()
}

/// Events of a response that has ended, from the sequence number `first` on.
pub(super) fn events_of_response(response: &Value, first: u64) -> EventFrames {
    let mut frames = EventFrames::from(first);
    frames.start(response, &[("response.created", "in_progress"), ("response.in_progress", "in_progress")]);
    frames.complete(response);
    frames
}

/// Events of a background response in its current state, from the sequence number `first` on. The
/// events of a state stay the first ones of each later state.
pub(super) fn events_of_background_response(response: &Value, first: u64) -> EventFrames {
    let mut frames = EventFrames::from(first);
    frames.start(response, &[("response.created", "queued"), ("response.queued", "queued")]);
    if response["status"] != "queued" {
        frames.start(response, &[("response.in_progress", "in_progress")]);
    }
    if response["status"] != "queued" && response["status"] != "in_progress" {
        frames.complete(response);
    }
    frames
}

/// Writer of numbered events.
#[derive(Default)]
pub(super) struct EventFrames {
    pub text: Vec<u8>,
    /// Number of events, including those that are left out.
    pub count: u64,
    /// Sequence number of the first event that is written.
    first: u64,
}

impl EventFrames {
    fn from(first: u64) -> Self {
        Self { first, ..Self::default() }
    }

    fn add(&mut self, kind: &str, mut data: Value) {
        let number = self.count;
        self.count += 1;
        if number < self.first {
            return;
        }
        data["type"] = kind.into();
        data["sequence_number"] = number.into();
        // Writing to a vector can't fail.
        let _ = write!(self.text, "event: {kind}\ndata: {data}\n\n");
    }

    /// Adds events of these kinds with the response as it was in these states, before its output.
    fn start(&mut self, response: &Value, kinds: &[(&str, &str)]) {
        let mut begun = response.clone();
        begun["output"] = json!([]);
        for field in ["usage", "incomplete_details", "error"] {
            begun[field] = Value::Null;
        }
        for (kind, status) in kinds {
            begun["status"] = (*status).into();
            self.add(kind, json!({ "response": begun }));
        }
    }

    /// Adds the output, and the event that ends the stream.
    fn complete(&mut self, response: &Value) {
        for (index, item) in response["output"].as_array().into_iter().flatten().enumerate() {
            self.add_item(index, item);
        }
        let kind = match response["status"].as_str() {
            Some("incomplete") => "response.incomplete",
            Some("failed") => "response.failed",
            Some("cancelled") => "response.cancelled",
            _ => "response.completed",
        };
        self.add(kind, json!({ "response": response }));
    }

    fn add_item(&mut self, index: usize, item: &Value) {
        let mut begun = item.clone();
        if !begun["status"].is_null() {
            begun["status"] = "in_progress".into();
        }
        for (field, nothing) in
            [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("input", json!(""))]
        {
            // Only existing fields are emptied, because items of other types lack them.
            if begun[field].is_array() || begun[field].is_string() {
                begun[field] = nothing;
            }
        }
        self.add("response.output_item.added", json!({"output_index": index, "item": begun}));
        let within = |more: Value| {
            let mut data = json!({"item_id": item["id"], "output_index": index});
            if let (Some(fields), Value::Object(more)) = (data.as_object_mut(), more) {
                fields.extend(more);
            }
            data
        };
        for (name, at, of) in
            [("content", "content_index", "content"), ("summary", "summary_index", "reasoning_summary")]
        {
            for (place, part) in item[name].as_array().into_iter().flatten().enumerate() {
                let (kind, field) = match part["type"].as_str() {
                    Some("output_text") => ("output_text", "text"),
                    Some("refusal") => ("refusal", "refusal"),
                    Some("summary_text") => ("reasoning_summary_text", "text"),
                    Some("reasoning_text") => ("reasoning_text", "text"),
                    _ => continue,
                };
                let mut empty = part.clone();
                empty[field] = "".into();
                self.add(&format!("response.{of}_part.added"), within(json!({at: place, "part": empty})));
                let mut delta = json!({at: place, "delta": part[field]});
                let mut done = json!({at: place, field: part[field]});
                if kind == "output_text" {
                    delta["logprobs"] = json!([]);
                    done["logprobs"] = json!([]);
                }
                self.add(&format!("response.{kind}.delta"), within(delta));
                self.add(&format!("response.{kind}.done"), within(done));
                self.add(&format!("response.{of}_part.done"), within(json!({at: place, "part": part})));
            }
        }
        for (kind, called, field) in [
            ("function_call", "function_call_arguments", "arguments"),
            ("custom_tool_call", "custom_tool_call_input", "input"),
        ] {
            if item["type"] == kind {
                self.add(&format!("response.{called}.delta"), within(json!({"delta": item[field]})));
                self.add(&format!("response.{called}.done"), within(json!({field: item[field], "name": item["name"]})));
            }
        }
        self.add("response.output_item.done", json!({"output_index": index, "item": item}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Meter, dialect::openai_responses::passthrough::ResponsesTap, tapped_stream::Tap as _};

    fn response(status: &str) -> Value {
        json!({"id": "resp_1", "object": "response", "status": status, "error": null, "output": [
            {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Look.", "annotations": []}]},
            {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"},
            {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBO"}],
            "usage": {"input_tokens": 3, "output_tokens": 2}})
    }

    #[test]
    fn converts_a_response_to_a_stream() {
        for status in ["completed", "incomplete"] {
            let whole = response(status);
            let text = stream_of_response(&whole);
            let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
            let passed = tap.pass(text.clone(), &meter).unwrap().unwrap();
            assert!(tap.is_done() && passed == text);
            assert_eq!((meter.usage().input, meter.usage().output), (Some(3), Some(2)));
            let events: Vec<Value> = std::str::from_utf8(&text)
                .unwrap()
                .lines()
                .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
                .collect();
            for (number, event) in events.iter().enumerate() {
                assert_eq!(event["sequence_number"], number);
            }
            let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
            assert_eq!(of("response.output_item.added").len(), 4);
            assert_eq!(of("response.output_item.added")[2]["item"]["arguments"], "");
            assert_eq!(of("response.output_text.delta")[0]["delta"], "Look.");
            assert_eq!(of("response.reasoning_summary_text.delta")[0]["delta"], "hm");
            assert_eq!(of("response.function_call_arguments.done")[0]["arguments"], "{\"a\":1}");
            assert_eq!(events.last().unwrap()["response"], whole);
            assert_eq!(response_of_stream(&text).unwrap(), whole.to_string());
        }
    }

    #[test]
    fn completes_the_output_from_earlier_items() {
        let item = response("completed")["output"][1].clone();
        let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
        let end =
            json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}});
        let text = format!("data: {done}\n\ndata: {end}\n\n");
        let read: Value = serde_json::from_slice(&response_of_stream(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(read["output"], json!([item]));
    }

    #[test]
    fn rejects_cut_and_failed_streams() {
        let text = stream_of_response(&response("completed"));
        let cut = &text[..text.len() / 2];
        assert_eq!(response_of_stream(cut).unwrap_err(), AiError::Truncated.into());
        let failed =
            "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}\n\n";
        assert_eq!(response_of_stream(failed.as_bytes()).unwrap_err().error, AiError::Busy { retry_after: None });
    }
}

//! Answers of `/api/chat` and `/api/generate`, written from chat and text completions.

use std::time::Instant;

use appcore::{Clock, work_pool::WorkOwner};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{OllamaEndpoint, context};
use crate::{
    AiError, GatewayError, Usage,
    blocking_pool::run_for_answer,
    call_ids::repaired_arguments,
    dialect::{fields::data_url, lone_surrogates, openai_chat::usage},
    provider_http::{
        events::{self, Event, Splitter},
        failure::Failure,
    },
};

/// Writer of an answer.
pub struct OllamaAnswer {
    endpoint: OllamaEndpoint,
    model: String,
    shows_thinking: bool,
    /// True if the request unloads the model from memory.
    unloads: bool,
    /// Conversation that the `context` of the answer continues, with the role of each text.
    history: Option<Vec<(String, String)>>,
    started_at: Instant,
    first_token_at: Option<Instant>,
    splitter: Splitter,
    /// Text so far, if the answer gets a `context`.
    text: String,
    calls: Vec<PartialCall>,
    finish: Option<String>,
    usage: Usage,
    is_ended: bool,
}

/// Tool call, as far as it has arrived.
#[derive(Default)]
struct PartialCall {
    index: u64,
    id: String,
    name: String,
    arguments: String,
}

/// Part of an answer.
#[derive(Default)]
struct AnswerPart {
    text: String,
    thinking: String,
    /// Images in base64.
    images: Vec<Value>,
    calls: Vec<Value>,
    logprobs: Option<Value>,
}

impl AnswerPart {
    fn is_empty(&self) -> bool {
        let has_list = !self.images.is_empty() || !self.calls.is_empty() || self.logprobs.is_some();
        self.text.is_empty() && self.thinking.is_empty() && !has_list
    }
}

impl OllamaAnswer {
    pub(super) fn new(endpoint: OllamaEndpoint, model: &str) -> Self {
        Self {
            endpoint,
            model: model.to_owned(),
            shows_thinking: true,
            unloads: false,
            history: None,
            started_at: Instant::now(),
            first_token_at: None,
            splitter: Splitter::default(),
            text: String::new(),
            calls: Vec::new(),
            finish: None,
            usage: Usage::default(),
            is_ended: false,
        }
    }

    pub(super) fn with_history(self, history: Option<Vec<(String, String)>>) -> Self {
        Self { history, ..self }
    }

    pub(super) fn with_thinking(self, shows_thinking: bool) -> Self {
        Self { shows_thinking, ..self }
    }

    pub(super) fn with_unload(self, unloads: bool) -> Self {
        Self { unloads, ..self }
    }

    /// Answer to a request that only loads or unloads the model.
    #[must_use]
    pub fn loaded(&self) -> Bytes {
        let mut line = self.line(&AnswerPart::default());
        line["done"] = true.into();
        line["done_reason"] = if self.unloads { "unload" } else { "load" }.into();
        line.to_string().into()
    }

    /// Converts a whole completion.
    pub async fn write_whole(self, owner: WorkOwner, completion: Bytes) -> Result<Bytes, GatewayError> {
        run_for_answer(owner, completion.len(), move || self.convert_whole(&completion)).await?
    }

    fn convert_whole(mut self, completion: &[u8]) -> Result<Bytes, GatewayError> {
        let garbled = |_| GatewayError::from(Failure::from(AiError::Garbled));
        let completion = lone_surrogates::parse_request(completion).map_err(garbled)?;
        let part = self.read(&completion);
        let part = AnswerPart { calls: self.drain_calls(), ..part };
        let mut line = self.line(&part);
        self.close(&mut line);
        Ok(line.to_string().into())
    }

    /// Converts frames of a streamed completion to lines. Empty if they have no content.
    pub fn push(&mut self, frames: Bytes) -> Bytes {
        let mut out = Vec::new();
        self.splitter.push(frames);
        while let Some(frame) = self.splitter.next() {
            self.convert_frame(&frame, &mut out);
        }
        out.into()
    }

    /// Returns the last lines after the last frame, if they haven't been returned yet.
    pub fn finish(&mut self) -> Bytes {
        let mut out = Vec::new();
        let rest = self.splitter.drain_rest();
        self.convert_frame(&rest, &mut out);
        if !self.is_ended && self.finish.is_some() {
            self.write_end(&mut out);
        } else if !self.is_ended {
            self.fail(GatewayError::from(Failure::from(AiError::Truncated)).message(), &mut out);
        }
        out.into()
    }

    fn convert_frame(&mut self, frame: &Bytes, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        match events::read(frame) {
            Event::Data(data) if data.trim_ascii() == b"[DONE]" => self.write_end(out),
            Event::Data(data) | Event::Error(data) | Event::Bare(data) => {
                let Ok(chunk) = lone_surrogates::parse_request(&data) else { return };
                if let Some(message) = error_message(&chunk) {
                    self.fail(message, out);
                    return;
                }
                let part = self.read(&chunk);
                if !part.is_empty() {
                    write_line(&self.line(&part), out);
                }
            }
            // A heartbeat. Clients fail at an empty line, but not at a line without text.
            Event::Nothing if frame.starts_with(b":") => write_line(&self.line(&AnswerPart::default()), out),
            Event::Nothing => {}
        }
    }

    fn fail(&mut self, message: &str, out: &mut Vec<u8>) {
        self.is_ended = true;
        write_line(&json!({ "error": message }), out);
    }

    fn write_end(&mut self, out: &mut Vec<u8>) {
        self.is_ended = true;
        let calls = self.drain_calls();
        if !calls.is_empty() {
            write_line(&self.line(&AnswerPart { calls, ..AnswerPart::default() }), out);
        }
        let mut line = self.line(&AnswerPart::default());
        self.close(&mut line);
        write_line(&line, out);
    }

    /// Reads a completion or a chunk of one. Its tool calls are collected.
    fn read(&mut self, completion: &Value) -> AnswerPart {
        if let Some(usage) = usage::of_chunk(completion) {
            self.usage = usage.into();
        }
        let choice = &completion["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.finish = Some(reason.to_owned());
        }
        let message = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        let mut part = AnswerPart::default();
        for text in [&choice["text"], &message["content"], &message["refusal"]] {
            part.text.push_str(text.as_str().unwrap_or_default());
        }
        if self.shows_thinking {
            let thinking = ["reasoning_content", "reasoning"].map(|name| message[name].as_str().unwrap_or_default());
            part.thinking = thinking.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned();
        }
        let images = message["images"].as_array().into_iter().flatten();
        let images = images.filter_map(|image| data_url(image["image_url"]["url"].as_str()?));
        part.images = images.map(|(_, data)| data.into()).collect();
        part.logprobs = Some(&choice["logprobs"]["content"]).filter(|tokens| tokens.is_array()).cloned();
        for (place, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            self.read_call(place, call);
        }
        if self.first_token_at.is_none() && (!part.is_empty() || !self.calls.is_empty()) {
            self.first_token_at = Some(Instant::now());
        }
        if self.history.is_some() {
            self.text.push_str(&part.text);
        }
        part
    }

    /// Reads a tool call or a part of one. Whole calls have no index but their place.
    fn read_call(&mut self, place: usize, call: &Value) {
        let index = call["index"].as_u64().unwrap_or(place as u64);
        let at = self.calls.iter().position(|known| known.index == index).unwrap_or_else(|| {
            self.calls.push(PartialCall { index, ..PartialCall::default() });
            self.calls.len() - 1
        });
        let known = &mut self.calls[at];
        let function = &call["function"];
        for (text, field) in [(&call["id"], &mut known.id), (&function["name"], &mut known.name)] {
            if field.is_empty() {
                text.as_str().unwrap_or_default().clone_into(field);
            }
        }
        match &function["arguments"] {
            Value::String(more) => known.arguments.push_str(more),
            Value::Null => {}
            object => known.arguments = object.to_string(),
        }
    }

    fn drain_calls(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.calls).into_iter().map(PartialCall::write).collect()
    }

    /// Line with a part of the answer.
    fn line(&self, part: &AnswerPart) -> Value {
        let created_at = Clock::system().now();
        let mut line = json!({"model": self.model, "created_at": created_at});
        let is_chat = self.endpoint == OllamaEndpoint::Chat;
        let content = if is_chat {
            line["message"] = json!({"role": "assistant", "content": part.text});
            &mut line["message"]
        } else {
            line["response"] = part.text.clone().into();
            &mut line
        };
        if !part.thinking.is_empty() {
            content["thinking"] = part.thinking.clone().into();
        }
        if !part.calls.is_empty() {
            content["tool_calls"] = part.calls.clone().into();
        }
        if !part.images.is_empty() {
            content["images"] = part.images.clone().into();
        }
        if let Some(logprobs) = &part.logprobs {
            line["logprobs"] = logprobs.clone();
        }
        line["done"] = false.into();
        line
    }

    /// Adds the end of the answer: its reason, the numbers of tokens, and durations in nanoseconds.
    fn close(&mut self, line: &mut Value) {
        let now = Instant::now();
        let first = self.first_token_at.unwrap_or(now);
        // Clients divide by the durations.
        let nanos = |from: Instant, to: Instant| u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX).max(1);
        line["done"] = true.into();
        line["done_reason"] = match self.finish.as_deref() {
            None | Some("tool_calls" | "function_call") => "stop",
            Some(reason) => reason,
        }
        .into();
        if let Some(mut history) = self.history.take() {
            history.push(("assistant".to_owned(), std::mem::take(&mut self.text)));
            line["context"] = context::encode(&history).into();
        }
        line["total_duration"] = nanos(self.started_at, now).into();
        line["load_duration"] = 0.into();
        line["prompt_eval_count"] = self.usage.input.unwrap_or(0).into();
        line["prompt_eval_duration"] = nanos(self.started_at, first).into();
        line["eval_count"] = self.usage.output.unwrap_or(0).into();
        line["eval_duration"] = nanos(first, now).into();
    }
}

impl PartialCall {
    /// Ollama's arguments are an object.
    fn write(self) -> Value {
        let arguments = repaired_arguments(&self.arguments).unwrap_or(self.arguments);
        let arguments = serde_json::from_str(&arguments).unwrap_or_else(|_| json!({}));
        json!({"id": self.id, "function": {"index": self.index, "name": self.name, "arguments": arguments}})
    }
}

/// Message of an error in OpenAI's format. Some servers send an empty error with each chunk.
fn error_message(chunk: &Value) -> Option<&str> {
    let error = &chunk["error"];
    error["message"].as_str().or(error.as_str()).filter(|message| !message.is_empty())
}

fn write_line(line: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: OllamaEndpoint = OllamaEndpoint::Chat;
    const GENERATE: OllamaEndpoint = OllamaEndpoint::Generate;

    fn frames(chunks: &[Value]) -> Vec<u8> {
        let frames = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
        frames.collect::<String>().into_bytes()
    }

    fn delta(delta: Value) -> Value {
        json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    fn finished(reason: &str) -> Value {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    }

    /// Lines of an answer that arrives byte by byte, without the fields that depend on the time.
    fn lines(mut answer: OllamaAnswer, stream: &[u8]) -> Vec<Value> {
        let mut out = Vec::new();
        for byte in stream {
            out.extend_from_slice(&answer.push(Bytes::copy_from_slice(&[*byte])));
        }
        out.extend_from_slice(&answer.finish());
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| without_times(serde_json::from_str(line).unwrap())).collect()
    }

    fn without_times(mut line: Value) -> Value {
        let fields = line.as_object_mut().unwrap();
        for name in ["created_at", "total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
            fields.shift_remove(name);
        }
        line
    }

    fn said(content: &str) -> Value {
        json!({"model": "m", "message": {"role": "assistant", "content": content}, "done": false})
    }

    fn done(reason: &str, input: u64, output: u64) -> Value {
        let mut line = said("");
        line["done"] = true.into();
        line["done_reason"] = reason.into();
        line["prompt_eval_count"] = input.into();
        line["eval_count"] = output.into();
        line
    }

    #[test]
    fn converts_streamed_chats() {
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
        let chunks = [
            delta(json!({"role": "assistant", "content": ""})),
            delta(json!({"reasoning_content": "Whiskers."})),
            delta(json!({"content": "A "})),
            json!({"choices": [{"index": 0, "delta": {"content": "cat."}}], "error": {}}),
            finished("stop"),
            usage,
        ];
        let stream = [&b": ping\n\n"[..], frames(&chunks).as_slice(), b"data: [DONE]\n\n", b": ping\n\n"].concat();
        let mut thought = said("");
        thought["message"]["thinking"] = "Whiskers.".into();
        let expected = [said(""), thought, said("A "), said("cat."), done("stop", 7, 3)];
        assert_eq!(lines(OllamaAnswer::new(CHAT, "m"), &stream), expected);
        let silent = OllamaAnswer::new(CHAT, "m").with_thinking(false);
        assert_eq!(lines(silent, &stream), [said(""), said("A "), said("cat."), done("stop", 7, 3)]);
    }

    #[test]
    fn joins_streamed_tool_calls() {
        let part = |index: u64, id: Value, name: Value, arguments: &str| {
            delta(
                json!({"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}),
            )
        };
        let chunks = [
            part(0, json!("call_a"), json!("f"), ""),
            part(0, Value::Null, Value::Null, "{\"x\":"),
            part(0, Value::Null, json!(""), "1}"),
            part(1, json!("call_b"), json!("g"), ""),
            finished("tool_calls"),
        ];
        let stream = [frames(&chunks).as_slice(), b"data: [DONE]\n\n"].concat();
        let mut calls = said("");
        calls["message"]["tool_calls"] = json!([
            {"id": "call_a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}},
            {"id": "call_b", "function": {"index": 1, "name": "g", "arguments": {}}},
        ]);
        assert_eq!(lines(OllamaAnswer::new(CHAT, "m"), &stream), [calls, done("stop", 0, 0)]);
    }

    #[test]
    fn ends_broken_streams_with_an_error() {
        let begun = frames(&[delta(json!({"content": "A "}))]);
        let failed = frames(&[json!({"error": {"message": "Busy.", "type": "server_error"}})]);
        let error = |message: &str| json!({ "error": message });
        for (stream, last) in [
            (begun.clone(), error("The AI provider cut off the answer.")),
            ([begun.clone(), failed.clone()].concat(), error("Busy.")),
            ([begun.as_slice(), b"data: {\"error\":\"Gone.\"}"].concat(), error("Gone.")),
            ([begun.clone(), frames(&[finished("length")])].concat(), done("length", 0, 0)),
        ] {
            let shown = String::from_utf8_lossy(&stream).into_owned();
            assert_eq!(lines(OllamaAnswer::new(CHAT, "m"), &stream), [said("A "), last], "{shown}");
        }
        let after = [failed.as_slice(), b"data: [DONE]\n\n", &begun].concat();
        assert_eq!(lines(OllamaAnswer::new(CHAT, "m"), &after), [error("Busy.")]);
    }

    #[test]
    fn converts_whole_chats() {
        let message = json!({
            "role": "assistant", "content": null, "refusal": "No.", "reasoning": "Hm.",
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}],
            "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}],
        });
        let logprobs = json!({"content": [{"token": "No.", "logprob": -0.5}]});
        let choice = json!({"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "tool_calls"});
        let completion = json!({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
        let whole = OllamaAnswer::new(CHAT, "m").convert_whole(completion.to_string().as_bytes()).unwrap();
        let mut expected = done("stop", 7, 3);
        expected["message"] = json!({
            "role": "assistant", "content": "No.", "thinking": "Hm.", "images": ["iVBO"],
            "tool_calls": [{"id": "call_a", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}}],
        });
        expected["logprobs"] = json!([{"token": "No.", "logprob": -0.5}]);
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert!(
            ["total_duration", "prompt_eval_duration", "eval_duration"]
                .iter()
                .all(|name| whole[name].as_u64() > Some(0))
        );
        assert_eq!(without_times(whole), expected);
        assert!(OllamaAnswer::new(CHAT, "m").convert_whole(b"<html>").is_err());
    }

    #[test]
    fn converts_answers_to_prompts() {
        let history = vec![("user".to_owned(), "Hello?".to_owned())];
        let stream =
            [frames(&[delta(json!({"content": "Yes."})), finished("stop")]).as_slice(), b"data: [DONE]\n\n"].concat();
        let lines = lines(OllamaAnswer::new(GENERATE, "m").with_history(Some(history)), &stream);
        assert_eq!(lines[0], json!({"model": "m", "response": "Yes.", "done": false}));
        let turns = [("user", "Hello?"), ("assistant", "Yes.")].map(|(role, text)| (role.to_owned(), text.to_owned()));
        assert_eq!(context::decode(lines[1]["context"].as_array().unwrap()), turns);
        assert_eq!((&lines[1]["response"], &lines[1]["done_reason"]), (&json!(""), &json!("stop")));

        let completion = json!({"choices": [{"text": " upon", "index": 0, "finish_reason": "length"}]});
        let whole = OllamaAnswer::new(GENERATE, "m").convert_whole(completion.to_string().as_bytes()).unwrap();
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!((&whole["response"], &whole["done_reason"]), (&json!(" upon"), &json!("length")));
        assert_eq!(whole["context"], Value::Null);
    }

    #[test]
    fn confirms_that_a_model_is_loaded() {
        for (answer, reason) in
            [(OllamaAnswer::new(CHAT, "m"), "load"), (OllamaAnswer::new(GENERATE, "m").with_unload(true), "unload")]
        {
            let loaded: Value = serde_json::from_slice(&answer.loaded()).unwrap();
            assert_eq!((&loaded["done"], &loaded["done_reason"]), (&json!(true), &json!(reason)), "{loaded}");
        }
    }
}

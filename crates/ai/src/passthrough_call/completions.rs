//! Text completions, the predecessor of chat completions.
//!
//! Where no provider has them, a single text is completed by a chat with one user message, whose
//! answer is converted.

use std::future::ready;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{AnswerParams, ParsedRequest, RequestFields, parse_answer};
use crate::{
    AiError, Finish, Frames, GatewayError, Meter, TokenEstimate,
    dialect::openai_chat::{self, usage},
    estimate_tokens,
    meter::quarters,
    provider_http::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
    tapped_stream::Tap,
};

/// Maximum number of output tokens if the request sets none; OpenAI's value.
const DEFAULT_MAX_TOKENS: u64 = 16;
/// Maximum number of prompts per call.
const MAX_PROMPTS: usize = 2_048;
/// Maximum number of answers to one prompt.
const MAX_CHOICES: u64 = 128;
/// Fields that only a provider with completions supports, each with its default.
const COMPLETION_FIELDS: [(&str, Value); 4] =
    [("suffix", Value::Null), ("echo", Value::Bool(false)), ("logprobs", Value::Null), ("best_of", Value::Null)];
const END: &[u8] = b"data: [DONE]\n\n";

#[derive(Debug)]
pub(super) struct CompletionParams {
    /// True if the caller asked for the usage chunk of a stream.
    wants_usage: bool,
    /// Number of choices in the answer.
    choices: u64,
}

pub(super) fn read(request: &RequestFields<'_>) -> Result<ParsedRequest, GatewayError> {
    let fields = &request.fields;
    let wrong = || fields.error("prompt", "`prompt` must be a text, a list of texts, or tokens.");
    let prompts = match fields.get("prompt") {
        Some(prompt @ Value::String(_)) => vec![prompt_tokens(prompt)],
        Some(Value::Array(tokens)) if !tokens.is_empty() && tokens.iter().all(Value::is_u64) => {
            vec![Some(tokens.len() as u64)]
        }
        Some(Value::Array(prompts)) if prompts.len() > MAX_PROMPTS => {
            return Err(fields.error("prompt", format!("`prompt` can have up to {MAX_PROMPTS} items.")));
        }
        Some(Value::Array(prompts)) if !prompts.is_empty() => prompts.iter().map(prompt_tokens).collect(),
        _ => return Err(wrong()),
    };
    let count = prompts.len() as u64;
    let input = prompts.into_iter().sum::<Option<u64>>().ok_or_else(wrong)?;
    let choices = |name: &str| -> Result<u64, GatewayError> {
        match fields.count(name)?.unwrap_or(1) {
            count @ 1..=MAX_CHOICES => Ok(count),
            _ => Err(fields.error(name, format!("`{name}` must be between 1 and {MAX_CHOICES}."))),
        }
    };
    let (answers, generated) = (choices("n")?, choices("best_of")?);
    let stream = fields.flag("stream")?.unwrap_or(false);
    let options = fields.object("stream_options")?;
    let wants_usage = options.map(|options| options.flag("include_usage")).transpose()?.flatten().unwrap_or(false);
    // Many servers treat a limit of 0 as unlimited.
    let max_output = Some(fields.count("max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS)).filter(|most| *most > 0);
    let estimate =
        TokenEstimate { choices: count * answers.max(generated), ..TokenEstimate::text_only(input, max_output) };
    let params = CompletionParams { wants_usage, choices: count * answers };
    Ok(ParsedRequest { estimate, stream, params: AnswerParams::Completion(params) })
}

/// Tokens of a prompt, which is a text or a list of tokens.
fn prompt_tokens(prompt: &Value) -> Option<u64> {
    match prompt {
        Value::String(text) => Some(estimate_tokens(text) as u64),
        Value::Array(tokens) => tokens.iter().all(Value::is_u64).then_some(tokens.len() as u64),
        _ => None,
    }
}

/// Sets the output limit, which other servers than OpenAI's may not have by default, and requests
/// the usage of a stream.
pub(super) fn adapt(body: &mut Value) {
    if body["max_tokens"].is_null() {
        body["max_tokens"] = DEFAULT_MAX_TOKENS.into();
    }
    if body["stream"] == true {
        if body["stream_options"].is_null() {
            body["stream_options"] = json!({});
        }
        body["stream_options"]["include_usage"] = true.into();
    }
}

/// Chat request with the prompt as its only message. Returns an error naming the field that a chat
/// doesn't support.
pub(super) fn chat_body(body: &Value) -> Result<Value, GatewayError> {
    let Value::String(prompt) = &body["prompt"] else {
        let message = "The providers of this model complete only a single text. Send `prompt` as a string.";
        return Err(GatewayError::invalid_param("prompt", message));
    };
    for (name, default) in COMPLETION_FIELDS {
        let value = &body[name];
        let is_default = value.is_null() || *value == default || *value == "" || (name == "best_of" && *value == 1);
        if !is_default {
            let message = format!("The providers of this model don't support `{name}`.");
            return Err(GatewayError::invalid_param(name, message));
        }
    }
    let mut chat = body.clone();
    let limit = Some(&body["max_tokens"]).filter(|limit| !limit.is_null()).cloned();
    if let Some(fields) = chat.as_object_mut() {
        for name in COMPLETION_FIELDS.map(|(name, _)| name).into_iter().chain(["prompt", "max_tokens"]) {
            fields.shift_remove(name);
        }
    }
    chat["messages"] = json!([{"role": "user", "content": prompt}]);
    chat["max_completion_tokens"] = limit.unwrap_or_else(|| DEFAULT_MAX_TOKENS.into());
    Ok(chat)
}

/// Meters a whole answer.
pub(super) fn meter_whole(answer: &[u8], meter: &Meter) -> Result<(), Failure> {
    let answer = parse_answer(answer)?;
    let choices = answer["choices"].as_array().ok_or(AiError::Garbled)?;
    let text = choices.iter().map(|choice| quarters(choice["text"].as_str().unwrap_or_default().as_bytes())).sum();
    meter.record_output(text);
    if let Some(usage) = usage::of_chunk(&answer) {
        meter.record_usage(usage.into());
    }
    let finish = choices.iter().find_map(|choice| choice["finish_reason"].as_str()).map(openai_chat::finish);
    meter.record_finish(finish.unwrap_or(Finish::Stop));
    meter.close();
    Ok(())
}

/// Converts a chat completion.
pub(super) fn from_chat(answer: &[u8]) -> Result<Bytes, Failure> {
    let answer: Value = serde_json::from_slice(answer).map_err(|_| AiError::Garbled)?;
    Ok(text_completion(&answer, "message").to_string().into())
}

/// Converts a chat completion or a chunk of one, whose text is in this field of each choice.
fn text_completion(chat: &Value, field: &str) -> Value {
    let choice = |choice: &Value| {
        json!({
            "text": choice[field]["content"].as_str().unwrap_or_default(), "index": choice["index"],
            "logprobs": null, "finish_reason": choice["finish_reason"],
        })
    };
    let choices: Vec<Value> = chat["choices"].as_array().into_iter().flatten().map(choice).collect();
    let mut completion = json!({
        "id": chat["id"].as_str().unwrap_or_default().replace("chatcmpl-", "cmpl-"), "object": "text_completion",
        "created": chat["created"], "model": chat["model"], "choices": choices,
    });
    if chat["usage"].is_object() {
        completion["usage"] = chat["usage"].clone();
    }
    completion
}

/// Converts frames of a chat completion.
fn convert_frames(frames: Bytes) -> Bytes {
    let (mut splitter, mut out) = (Splitter::default(), Vec::new());
    splitter.push(frames);
    while let Some(frame) = splitter.next() {
        let chunk = match events::read(&frame) {
            Event::Data(data) => serde_json::from_slice::<Value>(&data).ok(),
            Event::Error(_) | Event::Bare(_) | Event::Nothing => None,
        };
        match chunk.filter(|chunk| chunk["choices"].is_array()) {
            Some(chunk) if is_empty(&chunk) => {}
            Some(chunk) => out.extend_from_slice(format!("data: {}\n\n", text_completion(&chunk, "delta")).as_bytes()),
            // Comments, errors and the end are the same in both formats.
            None => out.extend_from_slice(&frame),
        }
    }
    out.into()
}

/// True if a chunk of a chat has neither text nor an end nor usage.
fn is_empty(chunk: &Value) -> bool {
    let is_silent = |choice: &Value| {
        choice["delta"]["content"].as_str().is_none_or(str::is_empty) && choice["finish_reason"].is_null()
    };
    chunk["choices"].as_array().is_some_and(|choices| choices.iter().all(is_silent)) && !chunk["usage"].is_object()
}

impl CompletionParams {
    pub fn tap(&self) -> CompletionTap {
        CompletionTap { wants_usage: self.wants_usage, open: self.choices, is_done: false, failed: None }
    }

    /// Converts a whole answer to a stream: some servers ignore that a stream was requested.
    pub fn frames(&self, answer: &[u8], meter: &Meter) -> Result<Bytes, Failure> {
        meter_whole(answer, meter)?;
        let answer = parse_answer(answer)?;
        Ok([format!("data: {answer}\n\n").as_bytes(), END].concat().into())
    }

    /// Converts the stream of a chat.
    pub fn chat_frames(&self, frames: Frames) -> Frames {
        let converted = frames.map(|frames| frames.map(convert_frames));
        // An empty chunk would end the response.
        converted.filter(|frames| ready(frames.as_ref().is_ok_and(|frames| !frames.is_empty()))).boxed()
    }
}

/// Passes on the chunks of a stream.
#[derive(Debug)]
pub(super) struct CompletionTap {
    wants_usage: bool,
    /// Number of choices that haven't ended.
    open: u64,
    is_done: bool,
    /// Failure that arrived after good chunks.
    failed: Option<Failure>,
}

impl CompletionTap {
    fn pass_frame(&mut self, frame: &Bytes, meter: &Meter, out: &mut Vec<u8>) -> Result<(), Failure> {
        let data = match events::read(frame) {
            Event::Data(data) => data,
            Event::Error(data) | Event::Bare(data) => return Err(failure::parse_event(&data)),
            Event::Nothing => {
                if frame.starts_with(b":") {
                    out.extend_from_slice(frame);
                }
                return Ok(());
            }
        };
        if data.trim_ascii() == b"[DONE]" {
            self.write_end(meter, out);
            return Ok(());
        }
        let chunk = parse_answer(&data)?;
        let choices = chunk["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
        for choice in choices {
            meter.record_output(quarters(choice["text"].as_str().unwrap_or_default().as_bytes()));
            if let Some(reason) = choice["finish_reason"].as_str() {
                self.open = self.open.saturating_sub(1);
                meter.record_finish(openai_chat::finish(reason));
            }
        }
        if let Some(usage) = usage::of_chunk(&chunk) {
            meter.record_usage(usage.into());
        }
        // Clients that didn't ask for the usage expect a choice in each chunk.
        if !choices.is_empty() || self.wants_usage {
            out.extend_from_slice(frame);
        }
        Ok(())
    }

    fn write_end(&mut self, meter: &Meter, out: &mut Vec<u8>) {
        self.is_done = true;
        if meter.finish().is_none() {
            meter.record_finish(Finish::Stop);
        }
        meter.close();
        out.extend_from_slice(END);
    }
}

impl Tap for CompletionTap {
    type Out = Bytes;

    fn pass(&mut self, block: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let (mut splitter, mut out) = (Splitter::default(), Vec::with_capacity(block.len()));
        splitter.push(block);
        while !self.is_done
            && let Some(frame) = splitter.next()
        {
            match self.pass_frame(&frame, meter, &mut out) {
                Ok(()) => {}
                Err(failure) if out.is_empty() => return Err(failure),
                Err(failure) => {
                    self.failed = Some(failure);
                    break;
                }
            }
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.open == 0
    }

    fn failure(&mut self) -> Option<Failure> {
        self.failed.take()
    }

    fn finish(&mut self, rest: Bytes, meter: &Meter) -> Result<Option<Bytes>, Failure> {
        let mut out = Vec::new();
        if !rest.trim_ascii().is_empty() {
            // The rest is a last event without its blank line, or an error outside the event format.
            let last = self.pass([rest.as_ref(), b"\n\n"].concat().into(), meter)?;
            out.extend_from_slice(&last.unwrap_or_default());
        }
        if !self.is_done && self.failed.is_none() {
            if self.open == 0 {
                self.write_end(meter, &mut out);
            } else if out.is_empty() {
                return Err(AiError::Truncated.into());
            } else {
                self.failed = Some(AiError::Truncated.into());
            }
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

//! Writes answers in the format of Gemini's API, whole and as stream events.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{client_request::WRAPPED_FIELD, sealed_reasoning};
use crate::{
    Finish, Usage,
    canonical::{Answer, Block, Choice, Citation, Event, ToolCall, Writer},
    dialect::AnswerHead,
    reasoning_blocks::OpaqueBlock,
};

/// Properties of a request that its answer depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AnswerOptions {
    /// True if the caller asked for the thoughts.
    pub shows_thoughts: bool,
    /// True if the model answers with an object that holds the answer in one field.
    pub is_wrapped: bool,
}

/// Writes a whole answer.
pub(crate) fn whole(head: &AnswerHead, options: AnswerOptions, answer: &Answer, usage: &Usage) -> Value {
    let candidates = answer.choices.iter().enumerate();
    let candidates = candidates.map(|(index, choice)| candidate(index, &parts(choice, options), choice)).collect();
    response(head, candidates, Some(usage))
}

fn response(head: &AnswerHead, candidates: Vec<Value>, usage: Option<&Usage>) -> Value {
    let mut response = json!({ "candidates": candidates });
    if let Some(usage) = usage {
        response["usageMetadata"] = usage_metadata(usage);
    }
    response["modelVersion"] = head.model.as_str().into();
    response["responseId"] = head.id.as_str().into();
    response
}

fn usage_metadata(usage: &Usage) -> Value {
    let (output, thoughts) = (usage.output.unwrap_or(0), usage.reasoning.unwrap_or(0));
    let mut written = json!({
        "promptTokenCount": usage.input.unwrap_or(0),
        "candidatesTokenCount": output.saturating_sub(thoughts),
        "totalTokenCount": usage.total(),
    });
    for (name, count) in [("cachedContentTokenCount", usage.cached), ("thoughtsTokenCount", usage.reasoning)] {
        if let Some(count) = count.filter(|&count| count > 0) {
            written[name] = count.into();
        }
    }
    written
}

/// Writes a candidate that has ended.
fn candidate(index: usize, parts: &[Value], choice: &Choice) -> Value {
    // Google ends a stream with an empty text, and its libraries reject content without parts.
    let parts = if parts.is_empty() { json!([{"text": ""}]) } else { json!(parts) };
    let mut written = json!({
        "content": {"role": "model", "parts": parts},
        "finishReason": finish_reason(choice.finish.unwrap_or(Finish::Stop)),
        "index": index,
    });
    if let Some(grounding) = grounding_metadata(choice) {
        written["groundingMetadata"] = grounding;
    }
    if !choice.logprobs.is_empty() {
        written["logprobsResult"] = logprobs_result(&choice.logprobs);
    }
    written
}

const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered => "SAFETY",
    }
}

fn parts(choice: &Choice, options: AnswerOptions) -> Vec<Value> {
    let mut parts = Vec::with_capacity(choice.blocks.len());
    // Reasoning that the signature of the next call holds.
    let mut reasoning = Vec::new();
    for block in &choice.blocks {
        match block {
            Block::Text(text) if options.is_wrapped => parts.push(json!({"text": unwrapped(text)})),
            Block::Text(text) | Block::Refusal(text) => parts.push(json!({ "text": text })),
            Block::Thinking { text, signature, details } => {
                reasoning.push(if details.is_empty() {
                    OpaqueBlock::thought(text, signature.as_deref())
                } else {
                    OpaqueBlock::details(details)
                });
                if options.shows_thoughts && !text.is_empty() {
                    parts.push(thought(text));
                }
            }
            Block::Redacted(data) => reasoning.push(OpaqueBlock::redacted(data)),
            Block::Search(_) | Block::Audio(_) => {}
            Block::Picture { mime, data } => parts.push(inline_data(mime, data)),
            Block::Call(call) | Block::FreeCall(call) => {
                parts.push(function_call(call, &std::mem::take(&mut reasoning)));
            }
        }
    }
    parts
}

fn thought(text: &str) -> Value {
    json!({"text": text, "thought": true})
}

fn inline_data(mime: &str, data: &str) -> Value {
    json!({"inlineData": {"mimeType": mime, "data": data}})
}

fn function_call(call: &ToolCall, reasoning: &[OpaqueBlock]) -> Value {
    let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    let args = if args.is_object() { args } else { json!({}) };
    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
    if let Some(signature) = call.signature.clone().or_else(|| sealed_reasoning::seal(reasoning)) {
        part["thoughtSignature"] = signature.into();
    }
    part
}

/// Answer within the object that the model was asked for. A text that isn't this object, such as one
/// that broke off, stays as it is.
fn unwrapped(text: &str) -> String {
    let answer = serde_json::from_str(text).ok().and_then(|mut object: Value| {
        let inner = object.get_mut(WRAPPED_FIELD)?;
        Some(inner.take().to_string())
    });
    answer.unwrap_or_else(|| text.to_owned())
}

/// Queries of web searches, cited pages, and the ranges of text that cite them; `None` if there are
/// none.
fn grounding_metadata(choice: &Choice) -> Option<Value> {
    let (citations, text) = (&choice.citations, choice.text());
    let queries: Vec<&str> = choice
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Search(search) => Some(search.query.as_str()),
            _ => None,
        })
        .collect();
    if citations.is_empty() && queries.is_empty() {
        return None;
    }
    // Google counts bytes.
    let offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    let offset = |character: usize| offsets.get(character).copied().unwrap_or(text.len());
    let (mut urls, mut chunks, mut supports) = (Vec::new(), Vec::new(), Vec::new());
    for Citation { url, title, start, end } in citations {
        let index = urls.iter().position(|known| *known == url).unwrap_or_else(|| {
            urls.push(url);
            chunks.push(json!({"web": {"uri": url, "title": title}}));
            urls.len() - 1
        });
        let (start, end) = (offset(*start), offset(*end));
        let segment = json!({"startIndex": start, "endIndex": end, "text": text.get(start..end).unwrap_or_default()});
        supports.push(json!({"segment": segment, "groundingChunkIndices": [index]}));
    }
    let mut metadata = json!({"groundingChunks": chunks, "groundingSupports": supports});
    if !queries.is_empty() {
        metadata["webSearchQueries"] = json!(queries);
    }
    Some(metadata)
}

/// Converts OpenAI's log-probability objects.
fn logprobs_result(tokens: &[Value]) -> Value {
    let token = |token: &Value| json!({"token": token["token"], "logProbability": token["logprob"]});
    let top = |chosen: &Value| {
        let others: Vec<Value> =
            chosen["top_logprobs"].as_array().map(|top| top.iter().map(token).collect()).unwrap_or_default();
        json!({ "candidates": others })
    };
    let chosen: Vec<Value> = tokens.iter().map(token).collect();
    let top: Vec<Value> = tokens.iter().map(top).collect();
    json!({"topCandidates": top, "chosenCandidates": chosen})
}

/// Writes the frames of a stream. Calls, and what belongs to a whole candidate, follow in the last
/// one.
#[derive(Debug)]
pub(crate) struct GeminiWriter {
    head: AnswerHead,
    options: AnswerOptions,
    /// Events of which the last frame is made.
    events: Vec<Event>,
}

impl GeminiWriter {
    pub fn new(head: AnswerHead, options: AnswerOptions) -> Self {
        Self { head, options, events: Vec::new() }
    }

    fn write_part(&self, choice: u32, part: &Value, out: &mut Vec<u8>) {
        let candidate = json!({"content": {"role": "model", "parts": [part]}, "index": choice});
        frame(&response(&self.head, vec![candidate], None), out);
    }

    /// Parts of a candidate that have not been sent.
    fn unsent_parts(&self, choice: &Choice) -> Vec<Value> {
        let options = AnswerOptions { shows_thoughts: false, ..self.options };
        let mut unsent = parts(choice, options);
        unsent.retain(|part| self.options.is_wrapped || part.get("text").is_none());
        unsent
    }
}

fn frame(data: &Value, out: &mut Vec<u8>) {
    // Writing to a vector can't fail.
    let _ = write!(out, "data: {data}\n\n");
}

impl Writer for GeminiWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Text { choice, text } | Event::Refusal { choice, text }
                if !self.options.is_wrapped && !text.is_empty() =>
            {
                self.write_part(*choice, &json!({ "text": text }), out);
            }
            Event::Thinking { choice, text } if self.options.shows_thoughts && !text.is_empty() => {
                self.write_part(*choice, &thought(text), out);
            }
            Event::Picture { choice, mime, data } => {
                self.write_part(*choice, &inline_data(mime, data), out);
                // Images are too large to keep.
                return;
            }
            _ => {}
        }
        self.events.push(event.clone());
    }

    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        let answer = Answer::from_events(std::mem::take(&mut self.events));
        let candidates = answer.choices.iter().enumerate();
        let candidates = candidates.map(|(index, choice)| candidate(index, &self.unsent_parts(choice), choice));
        frame(&response(&self.head, candidates.collect(), Some(usage)), out);
    }
}

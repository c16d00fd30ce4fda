//! Writes answers in the chat completions format, whole and as chunks.

use std::{collections::BTreeSet, io::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{provider_format::reason, request::WriteOptions, usage};
use crate::{
    Usage,
    canonical::{Answer, AudioFormat, Block, Choice, Citation, Event, ToolCall, Writer},
    dialect::AnswerHead,
};

/// Lifetime of the id of an audio answer, in seconds. The id can't be referred to, because nothing
/// is stored; clients expect the field.
const AUDIO_TTL: u64 = 3_600;

/// Writes a whole answer.
pub(crate) fn whole(head: &AnswerHead, answer: &Answer, usage: &Usage) -> Value {
    whole_with_audio(head, answer, usage, AudioFormat::default())
}

/// Writes a whole answer, whose audio has this format.
pub(crate) fn whole_with_audio(head: &AnswerHead, answer: &Answer, usage: &Usage, format: AudioFormat) -> Value {
    let write = |(index, choice): (usize, &Choice)| {
        let mut written = write_choice(index, choice);
        if let Some(audio) = choice.blocks.iter().find_map(|block| match block {
            Block::Audio(audio) => Some(audio),
            _ => None,
        }) {
            let message = &mut written["message"];
            message["audio"] = json!({
                "id": audio_id(head), "data": STANDARD.encode(format.encode(audio)),
                "expires_at": head.created + AUDIO_TTL, "transcript": message["content"],
            });
            message["content"] = Value::Null;
        }
        written
    };
    let choices: Vec<Value> = answer.choices.iter().enumerate().map(write).collect();
    json!({
        "id": head.id, "object": "chat.completion", "created": head.created, "model": head.model,
        "choices": choices, "usage": usage::write(usage),
    })
}

fn write_choice(index: usize, choice: &Choice) -> Value {
    let (text, refusal, thinking) = (choice.text(), choice.refusal(), choice.thinking());
    let calls: Vec<Value> = choice
        .calls()
        .map(|(call, is_free)| if is_free { write_custom_call(call) } else { write_call(call) })
        .collect();
    let content = if text.is_empty() && (!calls.is_empty() || !refusal.is_empty()) { Value::Null } else { text.into() };
    let refusal = if refusal.is_empty() { Value::Null } else { refusal.into() };
    let mut message = json!({"role": "assistant", "content": content, "refusal": refusal});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if !thinking.is_empty() {
        message["reasoning_content"] = thinking.into();
    }
    let pictures = choice.blocks.iter().filter_map(|block| match block {
        Block::Picture { mime, data } => Some((mime, data)),
        _ => None,
    });
    let images: Vec<Value> = pictures.enumerate().map(|(index, (mime, data))| image(index, mime, data)).collect();
    if !images.is_empty() {
        message["images"] = images.into();
    }
    if !choice.citations.is_empty() {
        message["annotations"] = choice.citations.iter().map(annotation).collect();
    }
    let blocks: Vec<Value> = choice.blocks.iter().filter_map(thinking_block).collect();
    if !blocks.is_empty() {
        message["thinking_blocks"] = blocks.into();
    }
    let details = choice.blocks.iter().filter_map(|block| match block {
        Block::Thinking { details, .. } => Some(details),
        _ => None,
    });
    let details: Vec<Value> = details.flatten().cloned().collect();
    if !details.is_empty() {
        message["reasoning_details"] = details.into();
    }
    let logprobs =
        if choice.logprobs.is_empty() { Value::Null } else { json!({"content": choice.logprobs, "refusal": null}) };
    let finish = choice.finish.map_or("stop", reason);
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish})
}

fn audio_id(head: &AnswerHead) -> String {
    format!("audio_{}", head.id.strip_prefix("chatcmpl-").unwrap_or(&head.id))
}

fn write_call(call: &ToolCall) -> Value {
    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
    let mut written =
        json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}});
    if let Some(signature) = &call.signature {
        written["extra_content"] = google(signature);
    }
    written
}

fn write_custom_call(call: &ToolCall) -> Value {
    json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}})
}

/// A generated image, in the format of OpenRouter and `LiteLLM`.
fn image(index: usize, mime: &str, data: &str) -> Value {
    json!({"type": "image_url", "index": index, "image_url": {"url": format!("data:{mime};base64,{data}")}})
}

fn annotation(citation: &Citation) -> Value {
    let Citation { url, title, start, end } = citation;
    let cited = json!({"url": url, "title": title, "start_index": start, "end_index": end});
    json!({"type": "url_citation", "url_citation": cited})
}

fn google(signature: &str) -> Value {
    json!({"google": {"thought_signature": signature}})
}

/// A thinking block that must be sent back unchanged.
fn thinking_block(block: &Block) -> Option<Value> {
    match block {
        Block::Thinking { text, signature: Some(signature), .. } => {
            Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
        }
        Block::Redacted(data) => Some(json!({"type": "redacted_thinking", "data": data})),
        _ => None,
    }
}

/// Writes chunks.
#[derive(Debug)]
pub(crate) struct ChatWriter {
    /// Beginning of every chunk.
    start: String,
    options: WriteOptions,
    started: BTreeSet<u32>,
    /// Thinking text so far. It is sent again together with its signature.
    thinking: String,
    /// Number of images so far.
    pictures: usize,
    /// Id of the audio answer.
    audio_id: String,
}

impl ChatWriter {
    pub fn new(head: &AnswerHead, wishes: WriteOptions) -> Self {
        let (id, model) = (Value::from(head.id.as_str()), Value::from(head.model.as_str()));
        let created = head.created;
        let start = format!(
            r#"data: {{"id":{id},"object":"chat.completion.chunk","created":{created},"model":{model},"choices":["#
        );
        Self {
            start,
            options: wishes,
            started: BTreeSet::new(),
            thinking: String::new(),
            pictures: 0,
            audio_id: audio_id(head),
        }
    }

    fn chunk(&mut self, choice: u32, mut delta: Value, logprobs: &Value, finish: Option<&str>, out: &mut Vec<u8>) {
        if self.started.insert(choice) {
            delta["role"] = "assistant".into();
            if delta.get("content").is_none() && finish.is_none() {
                delta["content"] = "".into();
            }
        }
        let finish = finish.map_or(Value::Null, Into::into);
        let usage = if self.options.usage { r#","usage":null"# } else { "" };
        let start = &self.start;
        // Writing to a vector can't fail.
        let _ = write!(
            out,
            "{start}{{\"index\":{choice},\"delta\":{delta},\"logprobs\":{logprobs},\"finish_reason\":{finish}}}]{usage}}}\n\n"
        );
    }
}

impl Writer for ChatWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        let none = Value::Null;
        match event {
            Event::Text { choice, text } => self.chunk(*choice, json!({"content": text}), &none, None, out),
            Event::Refusal { choice, text } => self.chunk(*choice, json!({"refusal": text}), &none, None, out),
            Event::Thinking { choice, text } => {
                self.thinking.push_str(text);
                self.chunk(*choice, json!({"reasoning_content": text}), &none, None, out);
            }
            Event::Signature { choice, signature } => {
                let text = std::mem::take(&mut self.thinking);
                let block = json!({"type": "thinking", "thinking": text, "signature": signature});
                self.chunk(*choice, json!({"thinking_blocks": [block]}), &none, None, out);
            }
            Event::Redacted { choice, data } => {
                let block = json!({"type": "redacted_thinking", "data": data});
                self.chunk(*choice, json!({"thinking_blocks": [block]}), &none, None, out);
            }
            Event::ReasoningDetails { choice, details } => {
                self.chunk(*choice, json!({"reasoning_details": details}), &none, None, out);
            }
            Event::Picture { choice, mime, data } => {
                let image = image(self.pictures, mime, data);
                self.pictures += 1;
                self.chunk(*choice, json!({"images": [image]}), &none, None, out);
            }
            Event::Audio { choice, audio } => {
                let data = STANDARD.encode(self.options.audio.encode(audio));
                self.chunk(*choice, json!({"audio": {"id": self.audio_id, "data": data}}), &none, None, out);
            }
            Event::Call { choice, tool, id, name, signature } => {
                let mut call = json!({
                    "index": tool, "id": id, "type": "function", "function": {"name": name, "arguments": ""},
                });
                if let Some(signature) = signature {
                    call["extra_content"] = google(signature);
                }
                self.chunk(*choice, json!({"tool_calls": [call]}), &none, None, out);
            }
            Event::Arguments { choice, tool, json: more } => {
                let call = json!({"index": tool, "function": {"arguments": more}});
                self.chunk(*choice, json!({"tool_calls": [call]}), &none, None, out);
            }
            Event::CustomCall { choice, tool, id, name } => {
                let call = json!({"index": tool, "id": id, "type": "custom", "custom": {"name": name, "input": ""}});
                self.chunk(*choice, json!({"tool_calls": [call]}), &none, None, out);
            }
            Event::Input { choice, tool, text } => {
                let call = json!({"index": tool, "custom": {"input": text}});
                self.chunk(*choice, json!({"tool_calls": [call]}), &none, None, out);
            }
            Event::Citation { choice, citation } => {
                self.chunk(*choice, json!({"annotations": [annotation(citation)]}), &none, None, out);
            }
            Event::Logprobs { choice, tokens } => {
                self.chunk(*choice, json!({}), &json!({"content": tokens, "refusal": null}), None, out);
            }
            Event::Finish { choice, finish, .. } => self.chunk(*choice, json!({}), &none, Some(reason(*finish)), out),
            Event::Search { .. } | Event::Usage(_) => {}
        }
    }

    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        if self.options.usage {
            let _ = write!(out, "{}],\"usage\":{}}}\n\n", self.start, usage::write(usage));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

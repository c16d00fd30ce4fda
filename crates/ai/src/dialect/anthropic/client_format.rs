//! Writes answers in Anthropic's Messages format, whole and as stream events.
//!
//! Only one content block is open at a time. Calls that other providers interleave are buffered
//! until the open call ends.

use std::io::Write as _;

use serde_json::{Value, json};

use super::{reason, search_blocks, usage};
use crate::{
    Finish, Usage,
    canonical::{Answer, Block, Choice, Citation, Event, Writer},
    dialect::AnswerHead,
    reasoning_blocks::{MARKER, OpaqueBlock},
    web_search::SearchRun,
};

/// Writes a whole answer. `has_search` is true if the client asked for a web search: it then gets the
/// searches and citations as blocks, otherwise a list of the cited pages in the text.
pub(crate) fn whole(head: &AnswerHead, answer: &Answer, usage: &Usage, has_search: bool) -> Value {
    let choice = answer.choices.first();
    let write = if has_search { write_cited_content } else { write_content };
    let content = choice.map(write).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish).unwrap_or(Finish::Stop);
    let stop_sequence = choice.and_then(|choice| choice.stop_sequence.as_deref());
    json!({
        "id": head.id, "type": "message", "role": "assistant", "model": head.model, "content": content,
        "stop_reason": stop_reason(finish, stop_sequence), "stop_sequence": stop_sequence, "usage": usage::write(usage),
    })
}

fn stop_reason(finish: Finish, stop_sequence: Option<&str>) -> &'static str {
    match stop_sequence {
        Some(_) if finish == Finish::Stop => "stop_sequence",
        _ => reason(finish),
    }
}

fn write_content(choice: &Choice) -> Vec<Value> {
    let blocks: Vec<&Block> = choice.blocks.iter().filter(|block| !matches!(block, Block::Search(_))).collect();
    let mut content: Vec<Value> = blocks.iter().map(|written| block(written)).collect();
    let last = blocks.iter().rposition(|block| matches!(block, Block::Text(_)));
    if let Some((place, list)) = last.zip(source_list(&choice.citations, &choice.text()))
        && let Block::Text(text) = blocks[place]
    {
        content[place]["text"] = format!("{text}{list}").into();
    }
    content
}

fn write_cited_content(choice: &Choice) -> Vec<Value> {
    let lengths = choice.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.chars().count()),
        _ => None,
    });
    let lengths: Vec<usize> = lengths.collect();
    let mut citations = search_blocks::citations_of_texts(choice, &lengths).into_iter();
    let mut content = Vec::new();
    for written in &choice.blocks {
        match written {
            Block::Search(run) => content.extend(search_blocks::blocks(run)),
            Block::Text(_) => {
                let mut text = block(written);
                if let Some(citations) = citations.next().filter(|citations| !citations.is_empty()) {
                    text["citations"] = citations.into();
                }
                content.push(text);
            }
            written => content.push(block(written)),
        }
    }
    content
}

/// Lists the cited pages whose URL the text doesn't contain; `None` if there are none. Citations of
/// this format need data that only Anthropic can encrypt, so the list becomes part of the text.
fn source_list(citations: &[Citation], text: &str) -> Option<String> {
    let (mut urls, mut lines) = (Vec::new(), Vec::new());
    for Citation { url, title, .. } in citations {
        if urls.contains(&url) || text.contains(url.as_str()) {
            continue;
        }
        urls.push(url);
        lines.push(if title == url { format!("\n- {url}") } else { format!("\n- {title}: {url}") });
    }
    (!lines.is_empty()).then(|| format!("\n\nSources:{}", lines.concat()))
}

fn block(block: &Block) -> Value {
    match block {
        Block::Text(text) | Block::Refusal(text) => json!({"type": "text", "text": text}),
        Block::Thinking { text, details, .. } if !details.is_empty() => {
            json!({"type": "thinking", "thinking": text, "signature": OpaqueBlock::details(details).encode()})
        }
        Block::Thinking { text, signature, .. } => {
            json!({"type": "thinking", "thinking": text, "signature": signature.as_deref().unwrap_or(MARKER)})
        }
        Block::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
        // A search is written by `write_cited_content`.
        Block::Search(run) => json!({"type": "text", "text": run.query}),
        Block::Picture { mime, .. } => json!({"type": "text", "text": image_placeholder(mime)}),
        // Unreachable: requests of this format can't ask for audio.
        Block::Audio(_) => json!({"type": "text", "text": ""}),
        // Unreachable: this format has no free-form tools to call.
        Block::FreeCall(call) => {
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {"input": call.arguments}})
        }
        Block::Call(call) => {
            let input =
                serde_json::from_str(&call.arguments).ok().filter(Value::is_object).unwrap_or_else(|| json!({}));
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
        }
    }
}

/// Text that replaces a generated image, which this format can't carry.
fn image_placeholder(mime: &str) -> String {
    format!("[A picture ({mime}) was made. This form can't hold it: ask by chat completions or responses.]")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenBlock {
    Text,
    Thinking,
    Call(u32),
}

/// A call buffered until the open block ends.
#[derive(Debug)]
struct BufferedCall {
    tool: u32,
    id: String,
    name: String,
    arguments: String,
}

/// Writes the events of a stream.
#[derive(Debug)]
pub(crate) struct MessageWriter {
    head: AnswerHead,
    /// Estimated input tokens, sent until the provider reports the count.
    estimated_input: u64,
    has_started: bool,
    /// Index of the next block.
    index: u32,
    open: Option<OpenBlock>,
    buffered: Vec<BufferedCall>,
    /// Text so far.
    text: String,
    /// Citations that are not listed yet.
    citations: Vec<Citation>,
    /// True if the client asked for a web search.
    has_search: bool,
    finish: Finish,
    /// Matched stop sequence.
    stop_sequence: Option<String>,
}

impl MessageWriter {
    pub fn new(head: AnswerHead, asked: u64) -> Self {
        Self {
            head,
            estimated_input: asked,
            has_started: false,
            index: 0,
            open: None,
            buffered: Vec::new(),
            text: String::new(),
            citations: Vec::new(),
            has_search: false,
            finish: Finish::Stop,
            stop_sequence: None,
        }
    }

    /// Writes searches and citations as blocks if `has_search` is true: the client asked for a web
    /// search.
    pub fn with_search(self, has_search: bool) -> Self {
        Self { has_search, ..self }
    }

    fn start_message(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let asked = Usage { input: Some(self.estimated_input), ..Usage::default() };
            let message = json!({
                "id": self.head.id, "type": "message", "role": "assistant", "model": self.head.model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": usage::write(&asked),
            });
            event("message_start", &json!({"type": "message_start", "message": message}), out);
        }
    }

    fn start_block(&mut self, open: Option<OpenBlock>, content_block: &Value, out: &mut Vec<u8>) {
        let start = json!({"type": "content_block_start", "index": self.index, "content_block": content_block});
        event("content_block_start", &start, out);
        self.open = open;
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let delta = json!({"type": "content_block_delta", "index": self.index, "delta": delta});
        event("content_block_delta", &delta, out);
    }

    fn stop_block(&mut self, out: &mut Vec<u8>) {
        event("content_block_stop", &json!({"type": "content_block_stop", "index": self.index}), out);
        self.open = None;
        self.index += 1;
    }

    /// List of the sources that the text cites, once there is text.
    fn drain_sources(&mut self) -> Option<String> {
        if self.text.is_empty() {
            return None;
        }
        let list = source_list(&std::mem::take(&mut self.citations), &self.text)?;
        self.text.push_str(&list);
        Some(list)
    }

    /// Ends the open block and writes the buffered calls.
    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open == Some(OpenBlock::Text)
            && let Some(list) = self.drain_sources()
        {
            self.write_text(&list, out);
        }
        if self.open == Some(OpenBlock::Thinking) {
            // The thinking gets a placeholder signature: client libraries drop thinking without
            // one, but it has to come back with the next request.
            self.delta(&json!({"type": "signature_delta", "signature": MARKER}), out);
        }
        if self.open.is_some() {
            self.stop_block(out);
        }
        for call in std::mem::take(&mut self.buffered) {
            self.start_call(call.tool, &call.id, &call.name, out);
            if !call.arguments.is_empty() {
                self.delta(&json!({"type": "input_json_delta", "partial_json": call.arguments}), out);
            }
            self.stop_block(out);
        }
    }

    fn start_call(&mut self, tool: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        self.start_block(
            Some(OpenBlock::Call(tool)),
            &json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
            out,
        );
    }

    fn write_text(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.open != Some(OpenBlock::Text) {
            self.close(out);
            self.start_block(Some(OpenBlock::Text), &json!({"type": "text", "text": ""}), out);
        }
        self.delta(&json!({"type": "text_delta", "text": text}), out);
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open != Some(OpenBlock::Thinking) {
            self.close(out);
            self.start_block(
                Some(OpenBlock::Thinking),
                &json!({"type": "thinking", "thinking": "", "signature": ""}),
                out,
            );
        }
    }

    fn write_search(&mut self, run: &SearchRun, out: &mut Vec<u8>) {
        self.close(out);
        let [mut call, result] = search_blocks::blocks(run);
        let input = std::mem::replace(&mut call["input"], json!({}));
        self.start_block(None, &call, out);
        self.delta(&json!({"type": "input_json_delta", "partial_json": input.to_string()}), out);
        self.stop_block(out);
        self.start_block(None, &result, out);
        self.stop_block(out);
    }

    fn sign_thinking(&mut self, signature: &str, out: &mut Vec<u8>) {
        self.open_thinking(out);
        self.delta(&json!({"type": "signature_delta", "signature": signature}), out);
        self.stop_block(out);
    }
}

fn event(name: &str, data: &Value, out: &mut Vec<u8>) {
    // Writing to a vector can't fail.
    let _ = write!(out, "event: {name}\ndata: {data}\n\n");
}

fn choice_of(event: &Event) -> u32 {
    match event {
        Event::Text { choice, .. }
        | Event::Refusal { choice, .. }
        | Event::Thinking { choice, .. }
        | Event::Signature { choice, .. }
        | Event::Redacted { choice, .. }
        | Event::ReasoningDetails { choice, .. }
        | Event::Picture { choice, .. }
        | Event::Audio { choice, .. }
        | Event::Call { choice, .. }
        | Event::Arguments { choice, .. }
        | Event::CustomCall { choice, .. }
        | Event::Input { choice, .. }
        | Event::Logprobs { choice, .. }
        | Event::Citation { choice, .. }
        | Event::Search { choice, .. }
        | Event::Finish { choice, .. } => *choice,
        Event::Usage(_) => 0,
    }
}

impl Writer for MessageWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        // This format has a single choice.
        if choice_of(event) != 0 {
            return;
        }
        self.start_message(out);
        match event {
            Event::Text { text, .. } => {
                self.text.push_str(text);
                self.write_text(text, out);
            }
            Event::Refusal { text, .. } => self.write_text(text, out),
            Event::Citation { citation, .. } if self.has_search && self.open == Some(OpenBlock::Text) => {
                let citation = search_blocks::citation(citation);
                self.delta(&json!({"type": "citations_delta", "citation": citation}), out);
            }
            Event::Citation { citation, .. } => self.citations.push(citation.clone()),
            Event::Search { run, .. } if self.has_search => self.write_search(run, out),
            Event::Picture { mime, .. } => self.write_text(&image_placeholder(mime), out),
            Event::Thinking { text, .. } => {
                self.open_thinking(out);
                self.delta(&json!({"type": "thinking_delta", "thinking": text}), out);
            }
            Event::Signature { signature, .. } => self.sign_thinking(signature, out),
            Event::ReasoningDetails { details, .. } => self.sign_thinking(&OpaqueBlock::details(details).encode(), out),
            Event::Redacted { data, .. } => {
                self.close(out);
                self.start_block(None, &json!({"type": "redacted_thinking", "data": data}), out);
                self.stop_block(out);
            }
            Event::Call { tool, id, name, .. } => {
                if matches!(self.open, Some(OpenBlock::Call(_))) {
                    let (id, name) = (id.clone(), name.clone());
                    self.buffered.push(BufferedCall { tool: *tool, id, name, arguments: String::new() });
                } else {
                    self.close(out);
                    self.start_call(*tool, id, name, out);
                }
            }
            Event::Arguments { tool, json: more, .. } => {
                if self.open == Some(OpenBlock::Call(*tool)) {
                    self.delta(&json!({"type": "input_json_delta", "partial_json": more}), out);
                } else if let Some(call) = self.buffered.iter_mut().find(|call| call.tool == *tool) {
                    call.arguments.push_str(more);
                }
            }
            Event::Finish { finish, stop_sequence, .. } => {
                self.finish = *finish;
                self.stop_sequence.clone_from(stop_sequence);
            }
            Event::CustomCall { .. }
            | Event::Input { .. }
            | Event::Logprobs { .. }
            | Event::Search { .. }
            | Event::Audio { .. }
            | Event::Usage(_) => {}
        }
    }

    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        self.start_message(out);
        self.close(out);
        // Citations may follow the text's block.
        if let Some(list) = self.drain_sources() {
            self.write_text(list.trim_start(), out);
            self.close(out);
        }
        let stop_sequence = self.stop_sequence.as_deref();
        let delta = json!({"stop_reason": stop_reason(self.finish, stop_sequence), "stop_sequence": stop_sequence});
        event("message_delta", &json!({"type": "message_delta", "delta": delta, "usage": usage::write(usage)}), out);
        event("message_stop", &json!({"type": "message_stop"}), out);
    }
}

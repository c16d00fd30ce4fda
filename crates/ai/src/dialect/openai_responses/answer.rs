//! Writes answers in the Responses format, whole and as stream events.

pub(crate) mod compaction;

use std::io::Write as _;

use serde_json::{Map, Value, json};

use super::function_names::FunctionNames;
use crate::{
    Finish, Usage,
    canonical::{Answer, Block, Choice, Citation, Event, ToolCall, Writer},
    dialect::AnswerHead,
    reasoning_blocks::OpaqueBlock,
    response_history::ResponseRecorder,
    web_search::SearchRun,
};

/// Builds a response object. `repeated` holds the request fields that it echoes.
pub(super) fn response(
    head: &AnswerHead,
    repeated: &Value,
    status: &str,
    output: &[Value],
    usage: Option<&Usage>,
) -> Value {
    let mut response: Map<String, Value> = repeated.as_object().cloned().unwrap_or_default();
    let details = match status {
        "incomplete" => json!({"reason": "max_output_tokens"}),
        _ => Value::Null,
    };
    let fields = json!({
        "id": head.id, "object": "response", "created_at": head.created, "model": head.model, "status": status,
        "error": null, "incomplete_details": details, "output": output, "usage": usage.map(write_usage),
    });
    if let Value::Object(fields) = fields {
        response.extend(fields);
    }
    response.into()
}

fn write_usage(usage: &Usage) -> Value {
    let mut written = json!({
        "input_tokens": usage.input.unwrap_or(0),
        "input_tokens_details": {"cached_tokens": usage.cached.unwrap_or(0)},
        "output_tokens": usage.output.unwrap_or(0),
        "output_tokens_details": {"reasoning_tokens": usage.reasoning.unwrap_or(0)},
        "total_tokens": usage.total(),
    });
    if let Some(cache_write) = usage.cache_write {
        written["input_tokens_details"]["cache_write_tokens"] = cache_write.into();
    }
    written
}

fn with_incomplete_reason(finish: Finish, mut response: Value) -> Value {
    if finish == Finish::Filtered {
        response["incomplete_details"] = json!({"reason": "content_filter"});
    }
    response
}

fn status(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "completed",
        Finish::Length | Finish::Filtered => "incomplete",
    }
}

fn new_id(prefix: &str) -> String {
    format!("{prefix}_{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>())
}

fn text_part(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs})
}

/// Annotation of a text part that begins at character `part_start` of the choice's text.
fn annotation(citation: &Citation, part_start: usize) -> Value {
    let Citation { url, title, start, end } = citation;
    let [start, end] = [start, end].map(|index| index.saturating_sub(part_start));
    json!({"type": "url_citation", "url": url, "title": title, "start_index": start, "end_index": end})
}

/// Annotations of each text block. A citation belongs to the block in which its range ends.
fn annotations(choice: &Choice) -> Vec<Vec<Value>> {
    let texts = choice.blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.chars().count()),
        _ => None,
    });
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for length in texts {
        let start = parts.last().map_or(0, |(_, end)| *end);
        parts.push((start, start + length));
    }
    let mut lists = vec![Vec::new(); parts.len()];
    for citation in &choice.citations {
        let place = parts.iter().position(|(_, end)| citation.end <= *end).unwrap_or(parts.len().saturating_sub(1));
        if let (Some(list), Some((start, _))) = (lists.get_mut(place), parts.get(place)) {
            list.push(annotation(citation, *start));
        }
    }
    lists
}

fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
}

fn function_call(id: &str, status: &str, call: &ToolCall) -> Value {
    // Clients parse complete arguments as JSON.
    let arguments = if call.arguments.is_empty() && status == "completed" { "{}" } else { &call.arguments };
    json!({
        "id": id, "type": "function_call", "status": status, "call_id": call.id, "name": call.name,
        "arguments": arguments,
    })
}

fn custom_call(id: &str, status: &str, call: &ToolCall) -> Value {
    json!({
        "id": id, "type": "custom_tool_call", "status": status, "call_id": call.id, "name": call.name,
        "input": call.arguments,
    })
}

fn reasoning(id: &str, text: &str, sealed: Option<&OpaqueBlock>) -> Value {
    let summary = if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
    let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
    if let Some(sealed) = sealed {
        item["encrypted_content"] = sealed.encode().into();
    }
    item
}

/// A complete reasoning item. Some clients send back only its encrypted content.
fn thought(id: &str, text: &str, signature: Option<&str>, details: &[Value]) -> Value {
    let sealed = if details.is_empty() { OpaqueBlock::thought(text, signature) } else { OpaqueBlock::details(details) };
    reasoning(id, text, Some(&sealed))
}

/// A generated image, in the format of OpenAI's own tool.
fn picture(data: &str) -> Value {
    json!({"id": new_id("ig"), "type": "image_generation_call", "status": "completed", "result": data})
}

/// A web search, in the format of OpenAI's own tool.
fn web_search_call(id: &str, run: &SearchRun) -> Value {
    let status = if run.error.is_some() { "failed" } else { "completed" };
    let sources: Vec<Value> = run.pages.iter().map(|page| json!({"type": "url", "url": page.url})).collect();
    let action = json!({"type": "search", "query": run.query, "queries": [run.query], "sources": sources});
    json!({"id": id, "type": "web_search_call", "status": status, "action": action})
}

fn redacted(id: &str, data: &str) -> Value {
    reasoning(id, "", Some(&OpaqueBlock::redacted(data)))
}

/// Writes a whole answer.
pub(crate) fn whole(head: &AnswerHead, repeated: &Value, answer: &Answer, usage: &Usage) -> Value {
    let choice = answer.choices.first();
    let logprobs = choice.map(|choice| choice.logprobs.as_slice()).unwrap_or_default();
    let names = FunctionNames::from_echoed(repeated);
    let mut annotations = choice.map(annotations).unwrap_or_default().into_iter();
    let item = |block: &Block| {
        Some(match block {
            Block::Text(text) => {
                let annotations = annotations.next().unwrap_or_default();
                message(&new_id("msg"), "completed", &[text_part(text, &annotations, logprobs)])
            }
            Block::Refusal(text) => message(&new_id("msg"), "completed", &[refusal_part(text)]),
            Block::Thinking { text, signature, details } => thought(&new_id("rs"), text, signature.as_deref(), details),
            Block::Redacted(data) => redacted(&new_id("rs"), data),
            Block::Picture { data, .. } => picture(data),
            // Unreachable: requests of this format can't ask for audio.
            Block::Audio(_) => return None,
            Block::Call(call) => names.restore(function_call(&new_id(names.prefix(&call.name)), "completed", call)),
            Block::FreeCall(call) => custom_call(&new_id("ctc"), "completed", call),
            Block::Search(run) => web_search_call(&new_id("ws"), run),
        })
    };
    let output: Vec<Value> = choice.map(|choice| choice.blocks.iter().filter_map(item).collect()).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish).unwrap_or(Finish::Stop);
    with_incomplete_reason(finish, response(head, repeated, status(finish), &output, Some(usage)))
}

/// The open item for text or reasoning.
#[derive(Debug)]
struct OpenItem {
    id: String,
    index: usize,
    kind: OpenItemKind,
    text: String,
    signature: Option<String>,
    /// OpenRouter's `reasoning_details`.
    details: Vec<Value>,
    annotations: Vec<Value>,
    logprobs: Vec<Value>,
}

impl OpenItem {
    fn new(kind: OpenItemKind) -> Self {
        Self {
            id: String::new(),
            index: 0,
            kind,
            text: String::new(),
            signature: None,
            details: Vec::new(),
            annotations: Vec::new(),
            logprobs: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenItemKind {
    Text,
    Refusal,
    Reasoning,
}

/// A call in progress. Several may be open at once, since each event names its item.
#[derive(Debug)]
struct OpenCall {
    id: String,
    index: usize,
    tool: u32,
    call: ToolCall,
}

/// Writes the events of a stream.
#[derive(Debug)]
pub(crate) struct ResponseWriter {
    head: AnswerHead,
    repeated: Value,
    names: FunctionNames,
    sequence: u64,
    has_started: bool,
    output: Vec<Value>,
    open: Option<OpenItem>,
    calls: Vec<OpenCall>,
    /// Calls of free-form tools.
    custom_calls: Vec<OpenCall>,
    /// Length of the text in ended items, in characters.
    text_length: usize,
    /// Citations that no text item has yet.
    citations: Vec<Citation>,
    finish: Finish,
    record: Option<ResponseRecorder>,
}

impl ResponseWriter {
    pub fn new(head: AnswerHead, repeated: Value, record: Option<ResponseRecorder>) -> Self {
        let (output, calls, free) = (Vec::new(), Vec::new(), Vec::new());
        let names = FunctionNames::from_echoed(&repeated);
        Self {
            head,
            repeated,
            names,
            sequence: 0,
            has_started: false,
            output,
            open: None,
            calls,
            custom_calls: free,
            text_length: 0,
            citations: Vec::new(),
            finish: Finish::Stop,
            record,
        }
    }

    fn event(&mut self, kind: &str, mut data: Value, out: &mut Vec<u8>) {
        data["type"] = kind.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        // Writing to a vector can't fail.
        let _ = write!(out, "event: {kind}\ndata: {data}\n\n");
    }

    fn start_response(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_started, true) {
            for kind in ["response.created", "response.in_progress"] {
                let response = response(&self.head, &self.repeated, "in_progress", &[], None);
                self.event(kind, json!({ "response": response }), out);
            }
        }
    }

    /// Adds an item, which is replaced once complete.
    fn add(&mut self, item: Value, out: &mut Vec<u8>) -> usize {
        let index = self.output.len();
        self.event("response.output_item.added", json!({"output_index": index, "item": item}), out);
        self.output.push(item);
        index
    }

    fn done(&mut self, index: usize, item: Value, out: &mut Vec<u8>) {
        self.event("response.output_item.done", json!({"output_index": index, "item": item}), out);
        self.output[index] = item;
    }

    fn open(&mut self, kind: OpenItemKind, out: &mut Vec<u8>) -> &mut OpenItem {
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(out);
            let id = new_id(if kind == OpenItemKind::Reasoning { "rs" } else { "msg" });
            let item = match kind {
                OpenItemKind::Text | OpenItemKind::Refusal => message(&id, "in_progress", &[]),
                OpenItemKind::Reasoning => reasoning(&id, "", None),
            };
            let index = self.add(item, out);
            let (event, at, part) = match kind {
                OpenItemKind::Text => ("response.content_part.added", "content_index", text_part("", &[], &[])),
                OpenItemKind::Refusal => ("response.content_part.added", "content_index", refusal_part("")),
                OpenItemKind::Reasoning => (
                    "response.reasoning_summary_part.added",
                    "summary_index",
                    json!({"type": "summary_text", "text": ""}),
                ),
            };
            self.event(event, json!({"item_id": id, "output_index": index, at: 0, "part": part}), out);
            let open = OpenItem { id, index, ..OpenItem::new(kind) };
            return self.open.insert(open);
        }
        self.open.get_or_insert_with(|| OpenItem::new(kind))
    }

    fn write_text(&mut self, kind: OpenItemKind, text: &str, out: &mut Vec<u8>) {
        let open = self.open(kind, out);
        open.text.push_str(text);
        let (id, index) = (open.id.clone(), open.index);
        let mut data = json!({"item_id": id, "output_index": index, "delta": text});
        let event = match kind {
            OpenItemKind::Text => {
                data["content_index"] = 0.into();
                data["logprobs"] = json!([]);
                "response.output_text.delta"
            }
            OpenItemKind::Refusal => {
                data["content_index"] = 0.into();
                "response.refusal.delta"
            }
            OpenItemKind::Reasoning => {
                data["summary_index"] = 0.into();
                "response.reasoning_summary_text.delta"
            }
        };
        self.event(event, data, out);
    }

    fn write_search(&mut self, run: &SearchRun, out: &mut Vec<u8>) {
        self.close(out);
        let item = web_search_call(&new_id("ws"), run);
        let mut started = item.clone();
        started["status"] = "in_progress".into();
        let index = self.add(started, out);
        for state in ["in_progress", "searching", "completed"] {
            let data = json!({"item_id": item["id"], "output_index": index});
            self.event(&format!("response.web_search_call.{state}"), data, out);
        }
        self.done(index, item, out);
    }

    /// Annotates the open text item with the citations that have arrived.
    fn annotate(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.as_mut().filter(|open| open.kind == OpenItemKind::Text) else { return };
        let (id, index, first) = (open.id.clone(), open.index, open.annotations.len());
        let added = std::mem::take(&mut self.citations).into_iter();
        let added: Vec<Value> = added.map(|citation| annotation(&citation, self.text_length)).collect();
        open.annotations.extend(added.iter().cloned());
        for (place, annotation) in (first..).zip(added) {
            let data = json!({
                "item_id": id, "output_index": index, "content_index": 0, "annotation_index": place,
                "annotation": annotation,
            });
            self.event("response.output_text.annotation.added", data, out);
        }
    }

    /// Ends all open items.
    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_open(out);
        for open in std::mem::take(&mut self.calls) {
            let OpenCall { id, index, mut call, .. } = open;
            if call.arguments.is_empty() {
                call.arguments.push_str("{}");
            }
            if !self.names.is_search(&call.name) {
                let done =
                    json!({"item_id": id, "output_index": index, "name": call.name, "arguments": call.arguments});
                self.event("response.function_call_arguments.done", done, out);
            }
            let item = self.names.restore(function_call(&id, "completed", &call));
            self.done(index, item, out);
        }
    }

    /// Ends the open item for text or reasoning.
    fn close_open(&mut self, out: &mut Vec<u8>) {
        self.annotate(out);
        let Some(open) = self.open.take() else { return };
        let OpenItem { id, index, kind, text, signature, details, annotations, logprobs } = open;
        let at = |field: &str| json!({"item_id": id, "output_index": index, field: 0});
        let (event, field, mut done, end, part) = match kind {
            OpenItemKind::Text => (
                "response.output_text.done",
                "text",
                at("content_index"),
                "response.content_part.done",
                text_part(&text, &annotations, &logprobs),
            ),
            OpenItemKind::Refusal => (
                "response.refusal.done",
                "refusal",
                at("content_index"),
                "response.content_part.done",
                refusal_part(&text),
            ),
            OpenItemKind::Reasoning => (
                "response.reasoning_summary_text.done",
                "text",
                at("summary_index"),
                "response.reasoning_summary_part.done",
                json!({"type": "summary_text", "text": text}),
            ),
        };
        let mut part_done = done.clone();
        part_done["part"] = part.clone();
        done[field] = text.as_str().into();
        if kind == OpenItemKind::Text {
            done["logprobs"] = logprobs.into();
            self.text_length += text.chars().count();
        }
        self.event(event, done, out);
        self.event(end, part_done, out);
        let item = match kind {
            OpenItemKind::Text | OpenItemKind::Refusal => message(&id, "completed", &[part]),
            OpenItemKind::Reasoning => thought(&id, &text, signature.as_deref(), &details),
        };
        self.done(index, item, out);
    }
}

impl Writer for ResponseWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.start_response(out);
        match event {
            Event::Text { choice: 0, text } => self.write_text(OpenItemKind::Text, text, out),
            Event::Refusal { choice: 0, text } => self.write_text(OpenItemKind::Refusal, text, out),
            Event::Thinking { choice: 0, text } => self.write_text(OpenItemKind::Reasoning, text, out),
            Event::Signature { choice: 0, signature } => {
                self.open(OpenItemKind::Reasoning, out).signature = Some(signature.clone());
                self.close(out);
            }
            Event::ReasoningDetails { choice: 0, details } => {
                self.open(OpenItemKind::Reasoning, out).details.clone_from(details);
                self.close(out);
            }
            Event::Redacted { choice: 0, data } => {
                self.close(out);
                let item = redacted(&new_id("rs"), data);
                let index = self.add(item.clone(), out);
                self.done(index, item, out);
            }
            Event::Picture { choice: 0, data, .. } => {
                self.close(out);
                let item = picture(data);
                let index = self.add(item.clone(), out);
                self.done(index, item, out);
            }
            Event::Call { choice: 0, tool, id: call_id, name, signature } => {
                self.close_open(out);
                let call = ToolCall {
                    id: call_id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    signature: signature.clone(),
                };
                let id = new_id(self.names.prefix(name));
                let index = self.add(self.names.restore(function_call(&id, "in_progress", &call)), out);
                self.calls.push(OpenCall { id, index, tool: *tool, call });
            }
            Event::Arguments { choice: 0, tool, json: more } => {
                let Some(open) = self.calls.iter_mut().find(|open| open.tool == *tool) else { return };
                open.call.arguments.push_str(more);
                // A tool search has no such events: it is sent complete.
                if self.names.is_search(&open.call.name) {
                    return;
                }
                let delta = json!({"item_id": open.id, "output_index": open.index, "delta": more});
                self.event("response.function_call_arguments.delta", delta, out);
            }
            Event::CustomCall { choice: 0, tool, id: call_id, name } => {
                self.close_open(out);
                let call = ToolCall { id: call_id.clone(), name: name.clone(), ..ToolCall::default() };
                let id = new_id("ctc");
                let index = self.add(custom_call(&id, "in_progress", &call), out);
                self.custom_calls.push(OpenCall { id, index, tool: *tool, call });
            }
            Event::Input { choice: 0, tool, text } => {
                let Some(place) = self.custom_calls.iter().position(|open| open.tool == *tool) else { return };
                let OpenCall { id, index, mut call, .. } = self.custom_calls.swap_remove(place);
                call.arguments.clone_from(text);
                let at = |field: &str| json!({"item_id": id, "output_index": index, field: text});
                self.event("response.custom_tool_call_input.delta", at("delta"), out);
                self.event("response.custom_tool_call_input.done", at("input"), out);
                self.done(index, custom_call(&id, "completed", &call), out);
            }
            Event::Search { choice: 0, run } => self.write_search(run, out),
            Event::Citation { choice: 0, citation } => {
                self.citations.push(citation.clone());
                self.annotate(out);
            }
            Event::Logprobs { choice: 0, tokens } => {
                if let Some(open) = &mut self.open {
                    open.logprobs.extend(tokens.iter().cloned());
                }
            }
            Event::Finish { choice: 0, finish, .. } => self.finish = *finish,
            // Events of other choices are ignored, because this format has a single one.
            _ => {}
        }
    }

    fn finish(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        self.start_response(out);
        self.close(out);
        let status = status(self.finish);
        let response = with_incomplete_reason(
            self.finish,
            response(&self.head, &self.repeated, status, &self.output, Some(usage)),
        );
        if let Some(record) = &self.record {
            record.store(&response);
        }
        self.event(&format!("response.{status}"), json!({ "response": response }), out);
    }

    fn sequence(&self) -> u64 {
        self.sequence
    }
}

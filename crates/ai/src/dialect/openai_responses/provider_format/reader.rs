//! Parser of Responses API answers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{
    passthrough::{ResponseEvents, read_usage, whole_failure},
    server_tools::BilledUses,
};
use crate::{
    AiError, Finish,
    canonical::{Citation, Citations, Event, Reader, Source},
    dialect::{fields::data, openai_chat::new_call_id, passthrough::EventReader as _},
    provider_http::failure::Failure,
    reasoning_blocks::seal_encrypted,
    web_search::{SearchPage, SearchRun, UNAVAILABLE},
};

/// Parses stream events or a whole response.
#[derive(Debug, Default)]
pub(crate) struct ResponsesReader {
    /// Progress of the output items, by index.
    items: BTreeMap<u64, ItemProgress>,
    /// Number of calls so far.
    calls: u32,
    /// True if an item with text has arrived.
    has_text: bool,
    /// Length of the text so far, in characters.
    text_length: usize,
    citations: Citations,
    is_done: bool,
}

/// Content of an output item that has arrived.
#[derive(Debug, Default)]
struct ItemProgress {
    has_text: bool,
    /// Position of its text in the whole text, in characters.
    text_start: usize,
    has_logprobs: bool,
    /// Last part of the reasoning.
    reasoning: Option<ReasoningPart>,
    /// Index among the calls.
    call: Option<u32>,
    has_arguments: bool,
    is_complete: bool,
}

/// Part of a reasoning item, by the item's field and the index in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ReasoningPart {
    field: &'static str,
    index: u64,
}

impl Reader for ResponsesReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let event: Value = serde_json::from_slice(data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = ResponseEvents::failure(&event) {
            return Err(failure);
        }
        let index = event["output_index"].as_u64().unwrap_or(0);
        let delta = event["delta"].as_str().unwrap_or_default();
        let part = |field, index: &str| ReasoningPart { field, index: event[index].as_u64().unwrap_or(0) };
        match event["type"].as_str() {
            Some("response.output_text.delta") => {
                self.read_text(index, delta, out);
                self.read_logprobs(index, &event["logprobs"], out);
            }
            Some("response.output_text.annotation.added") => self.read_annotation(index, &event["annotation"], out),
            Some("response.refusal.delta") => self.read_refusal(index, delta, out),
            Some("response.reasoning_summary_text.delta") => {
                self.read_reasoning(index, part("summary", "summary_index"), delta, out);
            }
            Some("response.reasoning_text.delta") => {
                self.read_reasoning(index, part("content", "content_index"), delta, out);
            }
            Some("response.output_item.added") if event["item"]["type"] == "function_call" => {
                self.start_call(index, &event["item"], out);
            }
            Some("response.function_call_arguments.delta") => self.read_arguments(index, delta, out),
            Some("response.output_item.done") => self.read_item(index, &event["item"], out),
            Some("response.completed" | "response.incomplete") => self.read_response(&event["response"], out),
            // Starts and ends of parts, progress reports and unknown events are ignored.
            Some(_) => {}
            None => return Err(AiError::Garbled.into()),
        }
        Ok(())
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let response: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = whole_failure(&response) {
            return Err(failure);
        }
        if !response["output"].is_array() {
            return Err(AiError::Garbled.into());
        }
        self.read_response(&response, out);
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl ResponsesReader {
    /// Reads a final response. Its output is used only if no complete items preceded it.
    fn read_response(&mut self, response: &Value, out: &mut Vec<Event>) {
        if !self.items.values().any(|item| item.is_complete) {
            for (index, item) in (0..).zip(response["output"].as_array().into_iter().flatten()) {
                self.read_item(index, item, out);
            }
        }
        out.extend(BilledUses::from_response(response).usage().map(Event::Usage));
        if response["usage"].is_object() {
            out.push(Event::Usage(read_usage(&response["usage"])));
        }
        let finish = match response["incomplete_details"]["reason"].as_str() {
            Some("content_filter") => Finish::Filtered,
            Some(_) => Finish::Length,
            None if response["status"] == "incomplete" => Finish::Length,
            None if self.calls > 0 => Finish::ToolCalls,
            None => Finish::Stop,
        };
        out.push(Event::Finish { choice: 0, finish, stop_sequence: None });
        self.is_done = true;
    }

    /// Reads a complete item, except the content that has arrived already.
    fn read_item(&mut self, index: u64, item: &Value, out: &mut Vec<Event>) {
        let progress = self.items.entry(index).or_default();
        if std::mem::replace(&mut progress.is_complete, true) {
            return;
        }
        let list = |name: &str| item[name].as_array().into_iter().flatten();
        match item["type"].as_str() {
            Some("message") => {
                let (has_text, has_logprobs) = (progress.has_text, progress.has_logprobs);
                for part in list("content") {
                    if !has_text {
                        self.read_text(index, part["text"].as_str().unwrap_or_default(), out);
                        self.read_refusal(index, part["refusal"].as_str().unwrap_or_default(), out);
                    }
                    if !has_logprobs {
                        self.read_logprobs(index, &part["logprobs"], out);
                    }
                    for annotation in part["annotations"].as_array().into_iter().flatten() {
                        self.read_annotation(index, annotation, out);
                    }
                }
            }
            Some("reasoning") => {
                if progress.reasoning.is_none() {
                    for field in ["summary", "content"] {
                        for (place, part) in (0..).zip(list(field)) {
                            let text = part["text"].as_str().unwrap_or_default();
                            self.read_reasoning(index, ReasoningPart { field, index: place }, text, out);
                        }
                    }
                }
                if let Some(content) = item["encrypted_content"].as_str().filter(|content| !content.is_empty()) {
                    out.push(Event::Signature { choice: 0, signature: seal_encrypted(content) });
                }
            }
            Some("function_call") => {
                let has_arguments = progress.has_arguments;
                self.start_call(index, item, out);
                if !has_arguments {
                    let arguments = match &item["arguments"] {
                        Value::String(json) if !json.is_empty() => json.clone(),
                        // Some servers send the arguments as an object instead of JSON text.
                        object @ Value::Object(_) => object.to_string(),
                        _ => "{}".to_owned(),
                    };
                    self.read_arguments(index, &arguments, out);
                }
            }
            Some("web_search_call") => out.extend(search_run(item).map(|run| Event::Search { choice: 0, run })),
            Some("image_generation_call") => {
                let image = item["result"].as_str().filter(|image| !image.is_empty());
                if let Some(Source::Data { mime, data }) = image.map(|image| data("image/png", image)) {
                    out.push(Event::Picture { choice: 0, mime, data });
                }
            }
            _ => {}
        }
    }

    fn read_text(&mut self, index: u64, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let progress = self.items.entry(index).or_default();
        let is_first_of_item = !std::mem::replace(&mut progress.has_text, true);
        let is_later = std::mem::replace(&mut self.has_text, true);
        // Several messages become one text.
        let separator = if is_first_of_item && is_later { "\n\n" } else { "" };
        if is_first_of_item {
            progress.text_start = self.text_length + separator.len();
        }
        self.text_length += separator.len() + text.chars().count();
        out.push(Event::Text { choice: 0, text: format!("{separator}{text}") });
    }

    /// Reads a citation of a web page, whose range is within the item's text.
    fn read_annotation(&mut self, index: u64, annotation: &Value, out: &mut Vec<Event>) {
        let url = annotation["url"].as_str().filter(|url| !url.is_empty());
        let Some(url) = url.filter(|_| annotation["type"] == "url_citation") else { return };
        let start = self.items.get(&index).map_or(0, |item| item.text_start);
        let at = |name: &str| annotation[name].as_u64().and_then(|at| usize::try_from(at).ok());
        let title = annotation["title"].as_str();
        let citation = match at("start_index").zip(at("end_index")) {
            Some((from, to)) => Citation { start: start + from, ..Citation::new(url, title, start + to) },
            None => Citation { start, ..Citation::new(url, title, self.text_length) },
        };
        self.citations.add(0, citation, out);
    }

    fn read_refusal(&mut self, index: u64, text: &str, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.items.entry(index).or_default().has_text = true;
            out.push(Event::Refusal { choice: 0, text: text.to_owned() });
        }
    }

    fn read_logprobs(&mut self, index: u64, logprobs: &Value, out: &mut Vec<Event>) {
        if let Some(tokens) = logprobs.as_array().filter(|tokens| !tokens.is_empty()) {
            self.items.entry(index).or_default().has_logprobs = true;
            out.push(Event::Logprobs { choice: 0, tokens: tokens.clone() });
        }
    }

    /// Reads reasoning text. If an item has both a summary and the text itself, the one that arrives
    /// first is used.
    fn read_reasoning(&mut self, index: u64, part: ReasoningPart, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let progress = self.items.entry(index).or_default();
        let separator = match progress.reasoning {
            Some(last) if last.field != part.field => return,
            Some(last) if last != part => "\n\n",
            _ => "",
        };
        progress.reasoning = Some(part);
        out.push(Event::Thinking { choice: 0, text: format!("{separator}{text}") });
    }

    fn start_call(&mut self, index: u64, item: &Value, out: &mut Vec<Event>) {
        let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let progress = self.items.entry(index).or_default();
        let (None, Some(name)) = (progress.call, text("name")) else { return };
        let tool = self.calls;
        progress.call = Some(tool);
        self.calls = self.calls.saturating_add(1);
        let id = text("call_id").unwrap_or_else(new_call_id);
        out.push(Event::Call { choice: 0, tool, id, name, signature: None });
    }

    fn read_arguments(&mut self, index: u64, json: &str, out: &mut Vec<Event>) {
        let Some(progress) = self.items.get_mut(&index).filter(|_| !json.is_empty()) else { return };
        let Some(tool) = progress.call else { return };
        progress.has_arguments = true;
        out.push(Event::Arguments { choice: 0, tool, json: json.to_owned() });
    }
}

/// Web search of an item; `None` if the provider only opened a page.
fn search_run(item: &Value) -> Option<SearchRun> {
    let action = &item["action"];
    if action["type"].as_str().is_some_and(|kind| kind != "search") {
        return None;
    }
    let query = action["query"].as_str().or_else(|| action["queries"][0].as_str());
    let page = |source: &Value| {
        let url = source["url"].as_str()?.to_owned();
        let title = source["title"].as_str().unwrap_or(&url).to_owned();
        Some(SearchPage { url, title, text: String::new() })
    };
    let pages = action["sources"].as_array().into_iter().flatten().filter_map(page).collect();
    let error = (item["status"] == "failed").then_some(UNAVAILABLE);
    Some(SearchRun { query: query.unwrap_or_default().to_owned(), pages, error })
}

//! Parser of Anthropic Messages answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::usage::MessageUsage;
use crate::{
    AiError,
    canonical::{Citation, Citations, Event, Reader},
    dialect::openai_chat::finish_error,
    provider_http::failure::{self, Failure},
    web_search::{SearchPage, SearchRun, UNAVAILABLE},
};

/// Parses stream events or a whole message.
#[derive(Debug, Default)]
pub(crate) struct AnthropicReader {
    usage: MessageUsage,
    /// Index of each tool call, by the index of its content block.
    calls: BTreeMap<u64, u32>,
    /// Call blocks whose arguments have not arrived yet. A call whose block ends without any gets
    /// `{}`.
    without_arguments: BTreeSet<u64>,
    /// Length of the text so far and at the start of its last block, in characters.
    text_length: usize,
    block_start: usize,
    /// Web pages that the open block cites: URL and title. Their range is known when it ends.
    cited: Vec<(String, Option<String>)>,
    citations: Citations,
    /// Web searches without a result.
    searches: Vec<StartedSearch>,
    is_done: bool,
}

/// A web search whose result has not arrived.
#[derive(Debug)]
struct StartedSearch {
    /// Index of its content block.
    index: u64,
    id: String,
    query: String,
    /// Increments of its input, as JSON.
    input: String,
}

impl StartedSearch {
    fn into_query(self) -> String {
        let input: Value = serde_json::from_str(&self.input).unwrap_or_default();
        input["query"].as_str().map_or(self.query, str::to_owned)
    }
}

impl Reader for AnthropicReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let event: Value = serde_json::from_slice(data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&event) {
            return Err(failure);
        }
        let index = event["index"].as_u64().unwrap_or(0);
        match event["type"].as_str() {
            Some("message_start") => self.read_usage(&event["message"]["usage"], out)?,
            Some("content_block_start") => {
                self.write_citations(out);
                self.read_block(index, &event["content_block"], false, out);
            }
            Some("content_block_delta") => self.read_delta(index, &event["delta"], out),
            Some("content_block_stop") => {
                self.write_citations(out);
                if self.without_arguments.remove(&index) {
                    let call = self.calls.get(&index).copied();
                    out.extend(call.map(|tool| Event::Arguments { choice: 0, tool, json: "{}".to_owned() }));
                }
            }
            Some("message_delta") => {
                self.write_citations(out);
                read_stop(&event["delta"], out)?;
                self.read_usage(&event["usage"], out)?;
            }
            Some("message_stop") => self.is_done = true,
            // Pings and unknown events are ignored.
            Some(_) => {}
            None => return Err(AiError::Garbled.into()),
        }
        Ok(())
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let message: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&message) {
            return Err(failure);
        }
        let blocks = message["content"].as_array().ok_or(AiError::Garbled)?;
        for (index, block) in (0..).zip(blocks) {
            self.read_block(index, block, true, out);
            self.write_citations(out);
        }
        read_stop(&message, out)?;
        self.read_usage(&message["usage"], out)?;
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl AnthropicReader {
    fn read_usage(&mut self, usage: &Value, out: &mut Vec<Event>) -> Result<(), AiError> {
        if usage.is_object() {
            self.usage.update(serde_json::from_value(usage.clone()).map_err(|_| AiError::Garbled)?);
            out.push(Event::Usage(self.usage.into()));
        }
        Ok(())
    }

    fn read_block(&mut self, index: u64, block: &Value, is_whole: bool, out: &mut Vec<Event>) {
        let choice = 0;
        let text = |name: &str| block[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        match block["type"].as_str() {
            Some("text") => {
                self.block_start = self.text_length;
                self.read_text(text("text"), out);
                let citations = block["citations"].as_array().into_iter().flatten();
                citations.for_each(|citation| self.read_citation(citation));
            }
            Some("thinking") => {
                out.extend(text("thinking").map(|text| Event::Thinking { choice, text }));
                out.extend(text("signature").map(|signature| Event::Signature { choice, signature }));
            }
            Some("redacted_thinking") => out.extend(text("data").map(|data| Event::Redacted { choice, data })),
            Some("server_tool_use") if block["name"] == "web_search" => {
                let query = block["input"]["query"].as_str().unwrap_or_default().to_owned();
                self.searches.push(StartedSearch {
                    index,
                    id: text("id").unwrap_or_default(),
                    query,
                    input: String::new(),
                });
            }
            Some("web_search_tool_result") => self.read_search_result(block, out),
            Some("tool_use") => {
                let tool = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                self.calls.insert(index, tool);
                let id = text("id").unwrap_or_else(crate::dialect::openai_chat::new_call_id);
                out.push(Event::Call { choice, tool, id, name: text("name").unwrap_or_default(), signature: None });
                let input = &block["input"];
                let has_input = input.as_object().is_some_and(|input| !input.is_empty());
                if is_whole || has_input {
                    let json = if input.is_object() { input.to_string() } else { "{}".to_owned() };
                    out.push(Event::Arguments { choice, tool, json });
                } else {
                    self.without_arguments.insert(index);
                }
            }
            _ => {}
        }
    }

    fn read_search_result(&mut self, block: &Value, out: &mut Vec<Event>) {
        let place = self.searches.iter().position(|search| block["tool_use_id"] == search.id);
        let query = place.map(|place| self.searches.swap_remove(place)).map(StartedSearch::into_query);
        let page = |result: &Value| {
            let url = result["url"].as_str()?.to_owned();
            let title = result["title"].as_str().unwrap_or(&url).to_owned();
            Some(SearchPage { url, title, text: String::new() })
        };
        let pages = block["content"].as_array().into_iter().flatten().filter_map(page).collect();
        let error = block["content"]["error_code"].is_string().then_some(UNAVAILABLE);
        out.push(Event::Search { choice: 0, run: SearchRun { query: query.unwrap_or_default(), pages, error } });
    }

    fn read_text(&mut self, text: Option<String>, out: &mut Vec<Event>) {
        let Some(text) = text else { return };
        self.text_length += text.chars().count();
        out.push(Event::Text { choice: 0, text });
    }

    /// Reads a citation of a web page. Citations of the request's documents have no URL.
    fn read_citation(&mut self, citation: &Value) {
        if let Some(url) = citation["url"].as_str().filter(|url| !url.is_empty()) {
            self.cited.push((url.to_owned(), citation["title"].as_str().map(str::to_owned)));
        }
    }

    /// Writes the citations of the block that ends here.
    fn write_citations(&mut self, out: &mut Vec<Event>) {
        for (url, title) in self.cited.drain(..) {
            let citation = Citation::new(&url, title.as_deref(), self.text_length);
            self.citations.add(0, Citation { start: self.block_start, ..citation }, out);
        }
    }

    fn read_delta(&mut self, index: u64, delta: &Value, out: &mut Vec<Event>) {
        let choice = 0;
        let text = |name: &str| delta[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        match delta["type"].as_str() {
            Some("text_delta") => self.read_text(text("text"), out),
            Some("citations_delta") => self.read_citation(&delta["citation"]),
            Some("thinking_delta") => out.extend(text("thinking").map(|text| Event::Thinking { choice, text })),
            Some("signature_delta") => {
                out.extend(text("signature").map(|signature| Event::Signature { choice, signature }));
            }
            Some("input_json_delta") => {
                if let Some(search) = self.searches.iter_mut().find(|search| search.index == index) {
                    search.input.push_str(delta["partial_json"].as_str().unwrap_or_default());
                }
                let said = self.calls.get(&index).copied().zip(text("partial_json"));
                if let Some((tool, json)) = said {
                    self.without_arguments.remove(&index);
                    out.push(Event::Arguments { choice, tool, json });
                }
            }
            _ => {}
        }
    }
}

fn read_stop(said: &Value, out: &mut Vec<Event>) -> Result<(), AiError> {
    let Some(reason) = said["stop_reason"].as_str() else { return Ok(()) };
    // Servers that imitate this format report failures here, with the names of chat completions.
    if let Some(error) = finish_error(reason) {
        return Err(error);
    }
    let stop_sequence = said["stop_sequence"].as_str().map(str::to_owned);
    out.push(Event::Finish { choice: 0, finish: super::finish(reason), stop_sequence });
    Ok(())
}

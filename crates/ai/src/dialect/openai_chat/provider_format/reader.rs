//! Parser of answers in the format of chat completions.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::{
    AiError, Finish,
    canonical::{Citation, Citations, Event, Reader},
    dialect::{
        fields::data_url,
        openai_chat::{self, reasoning_details, usage},
    },
    provider_http::failure::{self, Failure},
    reasoning_blocks::text_of_details,
};

/// Fields with the output of a choice, in a chunk and in a whole answer. Perplexity sends both in
/// each: the increment in `delta`, and everything so far in `message`.
const CHUNK_FIELDS: [&str; 2] = ["delta", "message"];
const WHOLE_FIELDS: [&str; 2] = ["message", "delta"];

/// Parses `chat.completion.chunk`s up to `[DONE]`, or a whole `chat.completion`.
#[derive(Debug, Default)]
pub(crate) struct ChatReader {
    calls: Vec<Call>,
    /// Length of each choice's text so far, in characters.
    text_lengths: BTreeMap<u32, usize>,
    /// Web pages that the answer cites as a whole: URL and title.
    sources: Vec<(String, Option<String>)>,
    citations: Citations,
    /// OpenRouter's `reasoning_details` of each choice that no event has yet.
    details: BTreeMap<u32, Vec<Value>>,
    is_done: bool,
}

/// A call in progress.
#[derive(Debug)]
struct Call {
    choice: u32,
    /// Index among the choice's calls, counted here because some servers restart at 0 in each
    /// chunk.
    tool: u32,
    /// Index sent by the provider.
    index: Option<u64>,
    id: String,
    name: String,
    /// Arguments received so far.
    arguments: String,
}

impl Call {
    /// True if an increment with a name starts a new call although it has the id or index of this
    /// call: some servers give all calls the same index, and some repeat the name in each
    /// increment.
    fn is_over(&self, index: Option<u64>, name: &str, has_arguments: bool) -> bool {
        let is_elsewhere = index.is_some() && self.index.is_some() && index != self.index;
        // The arguments are parsed only if the increment may have ended an object; otherwise the
        // cost would be quadratic in the number of increments.
        let is_whole =
            || self.arguments.trim_end().ends_with('}') && serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok();
        is_elsewhere || ((has_arguments || self.name != name) && is_whole())
    }
}

impl Reader for ChatReader {
    fn read(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.is_done = true;
            for choice in self.text_lengths.keys().copied().collect::<Vec<_>>() {
                self.cite_sources(choice, out);
            }
            for choice in self.details.keys().copied().collect::<Vec<_>>() {
                out.extend(self.drain_details(choice));
            }
            return Ok(());
        }
        if data.is_empty() { Ok(()) } else { self.read_object(data, CHUNK_FIELDS, out) }
    }

    fn read_whole(&mut self, body: &[u8], out: &mut Vec<Event>) -> Result<(), Failure> {
        self.read_object(body, WHOLE_FIELDS, out)
    }

    fn is_done(&self) -> bool {
        self.is_done
    }
}

impl ChatReader {
    /// Parses a chunk or a whole answer. `fields` are the fields of a choice that may have its
    /// output, the preferred one first.
    fn read_object(&mut self, body: &[u8], fields: [&str; 2], out: &mut Vec<Event>) -> Result<(), Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&value) {
            return Err(failure);
        }
        let Value::Object(chunk) = &value else { return Err(AiError::Garbled.into()) };
        self.read_sources(&value);
        match chunk.get("choices") {
            Some(Value::Array(choices)) => {
                for choice in choices {
                    self.read_choice(choice, fields, out)?;
                }
            }
            None | Some(Value::Null) => {}
            Some(_) => return Err(AiError::Garbled.into()),
        }
        out.extend(usage::of_chunk(&value).map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    fn read_choice(&mut self, value: &Value, fields: [&str; 2], out: &mut Vec<Event>) -> Result<(), Failure> {
        let choice = value.get("index").and_then(Value::as_u64).unwrap_or(0);
        let choice = u32::try_from(choice).map_err(|_| AiError::Garbled)?;
        let reason = value.get("finish_reason").and_then(Value::as_str).filter(|reason| !reason.is_empty());
        let said = fields.into_iter().find_map(|name| Some((name, value.get(name).filter(|said| said.is_object())?)));
        if let Some((name, said)) = said {
            let details = reasoning_details::read(said);
            read_thinking(choice, said, &details, out)?;
            self.read_details(choice, details, name == "delta");
            let has_calls = self.calls.iter().any(|call| call.choice == choice);
            let output_start = out.len();
            let parts = || said.get("content").and_then(Value::as_array).into_iter().flatten();
            if let Some(text) = text_of(said, "content")? {
                *self.text_lengths.entry(choice).or_default() += text.chars().count();
                out.push(Event::Text { choice, text });
            }
            self.read_annotations(choice, said, out);
            // Searches of Groq's compound systems.
            for tool in said.get("executed_tools").and_then(Value::as_array).into_iter().flatten() {
                self.add_sources(&tool["search_results"]["results"]);
            }
            if reason.is_some() {
                self.cite_sources(choice, out);
            }
            let images = said.get("images").and_then(Value::as_array).into_iter().flatten();
            out.extend(images.chain(parts()).filter_map(|image| picture(choice, image)));
            if let Some(text) = text_of(said, "refusal")? {
                out.push(Event::Refusal { choice, text });
            }
            for call in said.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                self.read_call(choice, call, out);
            }
            if let Some(function) = said.get("function_call").filter(|call| call.is_object()) {
                self.read_call(choice, &json!({"index": 0, "function": function}), out);
            }
            // Details go before the output that follows the thinking. They don't interrupt calls,
            // whose arguments may be incomplete.
            if out.len() > output_start
                && !has_calls
                && let Some(details) = self.drain_details(choice)
            {
                out.insert(output_start, details);
            }
        }
        let logprobs = value.get("logprobs").and_then(|logprobs| logprobs.get("content")).and_then(Value::as_array);
        if let Some(tokens) = logprobs.filter(|tokens| !tokens.is_empty()) {
            out.push(Event::Logprobs { choice, tokens: tokens.clone() });
        }
        if let Some(failure) = openai_chat::choice_failure(value) {
            return Err(failure);
        }
        if let Some(reason) = reason {
            out.extend(self.drain_details(choice));
            let finish = openai_chat::finish(reason);
            let stop_sequence = if finish == Finish::Stop { stop_sequence(value) } else { None };
            out.push(Event::Finish { choice, finish, stop_sequence });
        }
        Ok(())
    }

    /// Reads `reasoning_details`, which are complete once output follows.
    fn read_details(&mut self, choice: u32, details: Vec<Value>, is_delta: bool) {
        if details.is_empty() {
            return;
        }
        let known = self.details.entry(choice).or_default();
        if is_delta {
            reasoning_details::append_delta(known, details);
        } else {
            known.extend(details);
        }
    }

    /// Event of the `reasoning_details` so far, if there are any.
    fn drain_details(&mut self, choice: u32) -> Option<Event> {
        let details = self.details.remove(&choice)?;
        Some(Event::ReasoningDetails { choice, details })
    }

    /// Reads the web pages that Perplexity, xAI, GLM and Qwen list beside the choices.
    fn read_sources(&mut self, chunk: &Value) {
        let of_qwen = &chunk["search_info"]["search_results"];
        for list in [&chunk["search_results"], &chunk["web_search"], &chunk["citations"], of_qwen] {
            self.add_sources(list);
        }
    }

    fn add_sources(&mut self, list: &Value) {
        for source in list.as_array().into_iter().flatten() {
            let text = |name: &str| source[name].as_str();
            let Some(url) = source.as_str().or_else(|| text("url")).or_else(|| text("link")) else { continue };
            let title = text("title").map(str::to_owned);
            match self.sources.iter().position(|(known, _)| known == url) {
                Some(at) => {
                    let known = &mut self.sources[at].1;
                    *known = known.take().or(title);
                }
                None if url.is_empty() || self.sources.len() == Citations::MAX => {}
                None => self.sources.push((url.to_owned(), title)),
            }
        }
    }

    /// Reads the citations of a message or delta.
    fn read_annotations(&mut self, choice: u32, said: &Value, out: &mut Vec<Event>) {
        for annotation in said["annotations"].as_array().into_iter().flatten() {
            if annotation["type"] != "url_citation" {
                continue;
            }
            // Some servers send the flat form of the Responses API.
            let fields = annotation.get("url_citation").unwrap_or(annotation);
            let Some(url) = fields["url"].as_str().filter(|url| !url.is_empty()) else { continue };
            let title = fields["title"].as_str();
            let index = |name: &str| fields[name].as_u64().and_then(|index| usize::try_from(index).ok());
            // OpenRouter sends zeros if the range is unknown.
            let range = index("start_index").zip(index("end_index")).filter(|(start, end)| start < end);
            let citation = match range {
                Some((start, end)) => Citation { start, ..Citation::new(url, title, end) },
                None if self.citations.has_url(choice, url) => continue,
                None => Citation::new(url, title, self.text_length(choice)),
            };
            self.citations.add(choice, citation, out);
        }
    }

    /// Cites the sources of the whole answer that no annotation has cited.
    fn cite_sources(&mut self, choice: u32, out: &mut Vec<Event>) {
        let length = self.text_length(choice);
        for (url, title) in &self.sources {
            if !self.citations.has_url(choice, url) {
                self.citations.add(choice, Citation::new(url, title.as_deref(), length), out);
            }
        }
    }

    /// Length of a choice's text so far, in characters.
    fn text_length(&self, choice: u32) -> usize {
        self.text_lengths.get(&choice).copied().unwrap_or(0)
    }

    fn read_call(&mut self, choice: u32, value: &Value, out: &mut Vec<Event>) {
        let index = value.get("index").and_then(Value::as_u64);
        let id = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let function = value.get("function");
        let text = |name| function.and_then(|function| function.get(name)).and_then(Value::as_str);
        let name = text("name").filter(|name| !name.is_empty());
        let arguments = match function.and_then(|function| function.get("arguments")) {
            Some(Value::String(json)) => json.clone(),
            // Some servers send the arguments as an object instead of JSON text.
            Some(object @ Value::Object(_)) => object.to_string(),
            _ => String::new(),
        };
        let known = || self.calls.iter().rev().filter(move |call| call.choice == choice);
        let of_index = |index| known().find(|call| call.index == Some(index));
        let of_id = |id: &str| {
            let here = known().find(|call| call.id == id && call.index == index);
            here.or_else(|| known().find(|call| call.id == id))
        };
        let place = match (id, index) {
            // Increments of a call may have a different id each time.
            (Some(id), _) => of_id(id).or_else(|| index.filter(|_| name.is_none()).and_then(of_index)),
            (None, Some(index)) => of_index(index),
            (None, None) if name.is_some() => None,
            (None, None) => known().next(),
        };
        let is_over = |call: &Call| name.is_some_and(|name| call.is_over(index, name, !arguments.trim().is_empty()));
        let place = place.filter(|call| !is_over(call)).map(|call| call.tool);
        let tool = match (place, name) {
            (Some(tool), _) => tool,
            (None, Some(name)) => {
                let tool = u32::try_from(known().count()).unwrap_or(u32::MAX);
                let is_new = |id: &&str| !known().any(|call| call.id == *id);
                let own = id.filter(is_new).map_or_else(openai_chat::new_call_id, str::to_owned);
                let google = value.get("extra_content").and_then(|extra| extra.get("google"));
                let signature = google.and_then(|google| google.get("thought_signature")).and_then(Value::as_str);
                let signature = signature.map(str::to_owned);
                let (id, name) = (id.unwrap_or_default().to_owned(), name.to_owned());
                out.push(Event::Call { choice, tool, id: own, name: name.clone(), signature });
                self.calls.push(Call { choice, tool, index, id, name, arguments: String::new() });
                tool
            }
            // The increment belongs to no call that has started.
            (None, None) => return,
        };
        let is_first =
            || self.calls.iter().any(|call| (call.choice, call.tool) == (choice, tool) && call.arguments.is_empty());
        let arguments = match unwrap_encoded(&arguments).filter(|_| is_first()) {
            Some(inner) => inner,
            None => arguments,
        };
        if !arguments.is_empty() {
            if let Some(call) = self.calls.iter_mut().find(|call| (call.choice, call.tool) == (choice, tool)) {
                call.arguments.push_str(&arguments);
            }
            out.push(Event::Arguments { choice, tool, json: arguments });
        }
    }
}

/// JSON text of an object that a model has encoded twice, as some open models do. `None` for other
/// arguments.
fn unwrap_encoded(arguments: &str) -> Option<String> {
    let inner: String = serde_json::from_str(arguments.trim_start().starts_with('"').then_some(arguments)?).ok()?;
    let is_object = serde_json::from_str::<Value>(&inner).is_ok_and(|value| value.is_object());
    is_object.then_some(inner)
}

fn read_thinking(choice: u32, said: &Value, details: &[Value], out: &mut Vec<Event>) -> Result<(), AiError> {
    let told = match text_of(said, "reasoning_content")? {
        Some(text) => Some(text),
        None => text_of(said, "reasoning")?,
    };
    let text = told.unwrap_or_else(|| text_of_details(details));
    if !text.is_empty() {
        out.push(Event::Thinking { choice, text });
    }
    // Mistral sends the thinking as parts of the content.
    let parts = said.get("content").and_then(Value::as_array).into_iter().flatten();
    for part in parts.filter(|part| part["type"] == "thinking") {
        out.extend(text_of(part, "thinking")?.map(|text| Event::Thinking { choice, text }));
    }
    Ok(())
}

/// Stop sequence that ended the choice. Servers name it in a field of their own: vLLM in
/// `stop_reason`, `SGLang` in `matched_stop`. A number is the id of a stop token.
fn stop_sequence(choice: &Value) -> Option<String> {
    let names = ["stop_reason", "matched_stop"];
    names.into_iter().find_map(|name| choice.get(name)?.as_str()).map(str::to_owned)
}

/// Generated image in the format of OpenRouter and `LiteLLM`. Images by URL are ignored.
fn picture(choice: u32, image: &Value) -> Option<Event> {
    let url = image["image_url"]["url"].as_str().or(image["image_url"].as_str())?;
    let (mime, data) = data_url(url)?;
    Some(Event::Picture { choice, mime: mime.to_owned(), data: data.to_owned() })
}

fn text_of(said: &Value, name: &str) -> Result<Option<String>, AiError> {
    match said.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        // Some servers send the text as a list of parts.
        Some(Value::Array(parts)) => {
            let text: String = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
            Ok((!text.is_empty()).then_some(text))
        }
        Some(_) if name == "reasoning" => Ok(None),
        Some(_) => Err(AiError::Garbled),
    }
}

//! Input file of a batch: validated completely before the first request is executed.
//!
//! Only the positions and ids of the lines are kept in memory. A line is read again when its
//! request is executed.

use std::collections::HashSet;

use appcore::view::{BatchFormat, GatewayEndpoint};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{MAX_REQUESTS, openai_batches::path_of};

/// Maximum number of reported errors.
const MAX_ERRORS: usize = 100;
/// Maximum length of a custom id, in bytes.
const MAX_ID_LEN: usize = 512;

/// Position of a request in the input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputLine {
    /// Number of the line, from 1.
    pub number: i64,
    pub start: u64,
    pub end: u64,
    pub custom_id: String,
}

/// Request of a batch.
#[derive(Deserialize)]
pub(crate) struct RequestLine<'a> {
    #[serde(borrow)]
    custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl<'a> RequestLine<'a> {
    /// Body of the request in this format.
    pub fn body(&self, format: BatchFormat) -> Option<&'a str> {
        let body = match format {
            BatchFormat::OpenAi => self.body,
            BatchFormat::Anthropic => self.params,
        };
        body.map(RawValue::get)
    }
}

#[derive(Deserialize)]
struct Head {
    model: Option<Value>,
}

/// Error in an input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputError {
    pub code: &'static str,
    pub message: String,
    pub line: Option<i64>,
    pub param: Option<&'static str>,
}

impl InputError {
    pub fn of_file(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), line: None, param: None }
    }
}

/// Renders errors in OpenAI's format.
pub(crate) fn render_errors(errors: &[InputError]) -> String {
    let errors = errors.iter().map(|InputError { code, message, line, param }| {
        json!({ "code": code, "message": message, "line": line, "param": param })
    });
    Value::Array(errors.collect()).to_string()
}

/// Scanner of an input file, which is fed chunk by chunk.
pub(crate) struct Scanner {
    format: BatchFormat,
    endpoint: GatewayEndpoint,
    /// Maximum length of a line, in bytes.
    max_line: usize,
    lines: Vec<InputLine>,
    ids: HashSet<String>,
    /// Model of the first request.
    model: Option<String>,
    errors: Vec<InputError>,
    /// Beginning of a line whose end has not arrived; `None` if the line is too long.
    partial: Option<Vec<u8>>,
    number: i64,
    start: u64,
    position: u64,
}

impl Scanner {
    pub fn new(format: BatchFormat, endpoint: GatewayEndpoint, max_line: usize) -> Self {
        Self {
            format,
            endpoint,
            max_line,
            lines: Vec::new(),
            ids: HashSet::new(),
            model: None,
            errors: Vec::new(),
            partial: Some(Vec::new()),
            number: 1,
            start: 0,
            position: 0,
        }
    }

    /// True if so many errors were found that the rest of the file doesn't matter.
    pub fn is_full(&self) -> bool {
        self.errors.len() >= MAX_ERRORS || self.lines.len() > MAX_REQUESTS
    }

    pub fn feed(&mut self, chunk: &[u8]) {
        if self.is_full() {
            return;
        }
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_end) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            match &mut self.partial {
                Some(partial) if partial.len() + text.len() > self.max_line => {
                    self.partial = None;
                    let message = format!("The line has more than {} bytes.", self.max_line);
                    self.report("line_too_long", message, None);
                }
                Some(partial) => partial.extend_from_slice(text),
                None => {}
            }
            self.position += piece.len() as u64;
            if is_end {
                self.finish_line(self.position - 1);
            }
            if self.is_full() {
                return;
            }
        }
    }

    /// Returns the lines, or the errors in the file.
    pub fn finish(mut self) -> Result<Vec<InputLine>, Vec<InputError>> {
        if !self.is_full() {
            self.finish_line(self.position);
        }
        if self.lines.len() > MAX_REQUESTS {
            let message = format!("The file has more than {MAX_REQUESTS} requests.");
            self.errors.push(InputError::of_file("too_many_requests", message));
        }
        if self.lines.is_empty() && self.errors.is_empty() {
            self.errors.push(InputError::of_file("empty_file", "The file has no requests."));
        }
        if self.errors.is_empty() { Ok(self.lines) } else { Err(self.errors) }
    }

    fn finish_line(&mut self, end: u64) {
        let line = self.partial.replace(Vec::new()).unwrap_or_default();
        if !line.trim_ascii().is_empty()
            && let Some(custom_id) = self.check(&line)
        {
            self.lines.push(InputLine { number: self.number, start: self.start, end, custom_id });
        }
        self.number += 1;
        self.start = self.position;
    }

    /// Validates a request and returns its custom id.
    fn check(&mut self, line: &[u8]) -> Option<String> {
        let Ok(request) = serde_json::from_slice::<RequestLine<'_>>(line) else {
            return self.refuse("invalid_json_line", "The line isn't a JSON object of a request.", None);
        };
        let text = |value: Option<&RawValue>| value.and_then(|value| serde_json::from_str::<String>(value.get()).ok());
        let custom_id = text(request.custom_id).filter(|id| !id.is_empty() && id.len() <= MAX_ID_LEN);
        let Some(custom_id) = custom_id else {
            let message = format!("`custom_id` must be a text of up to {MAX_ID_LEN} bytes.");
            return self.refuse("missing_required_parameter", message, Some("custom_id"));
        };
        if self.ids.contains(&custom_id) {
            let message = "Another request of the file has the same `custom_id`.";
            return self.refuse("duplicate_custom_id", message, Some("custom_id"));
        }
        if self.format == BatchFormat::OpenAi {
            if text(request.method).as_deref() != Some("POST") {
                return self.refuse("invalid_method", "`method` must be `POST`.", Some("method"));
            }
            let path = path_of(self.endpoint);
            if text(request.url).as_deref() != Some(path) {
                let message = format!("`url` must be the endpoint of the batch, `{path}`.");
                return self.refuse("invalid_url", message, Some("url"));
            }
        }
        let Some(body) = request.body(self.format).filter(|body| body.starts_with('{')) else {
            return self.refuse("missing_required_parameter", "`body` must be an object.", Some("body"));
        };
        if self.format == BatchFormat::OpenAi {
            self.check_model(body)?;
        }
        self.ids.insert(custom_id.clone());
        Some(custom_id)
    }

    /// Checks that all requests are for one model.
    fn check_model(&mut self, body: &str) -> Option<()> {
        let model = serde_json::from_str::<Head>(body).ok().and_then(|head| head.model);
        let Some(model) = model.as_ref().and_then(Value::as_str) else {
            // Only moderations have a default model.
            if model.is_none() && self.endpoint == GatewayEndpoint::Moderations {
                return Some(());
            }
            let message = "`model` must be the name of a model.";
            return self.refuse("missing_required_parameter", message, Some("body.model"));
        };
        match &self.model {
            Some(first) if first != model => {
                let message = "All requests of a batch must be for the same model.";
                return self.refuse("mismatched_model", message, Some("body.model"));
            }
            Some(_) => {}
            None => self.model = Some(model.to_owned()),
        }
        Some(())
    }

    fn refuse<T>(&mut self, code: &'static str, message: impl Into<String>, param: Option<&'static str>) -> Option<T> {
        self.report(code, message, param);
        None
    }

    /// Records an error in the current line.
    fn report(&mut self, code: &'static str, message: impl Into<String>, param: Option<&'static str>) {
        self.errors.push(InputError { code, message: message.into(), line: Some(self.number), param });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str, chunk: usize) -> Result<Vec<InputLine>, Vec<InputError>> {
        let mut scanner = Scanner::new(BatchFormat::OpenAi, GatewayEndpoint::Chat, 200);
        text.as_bytes().chunks(chunk).for_each(|chunk| scanner.feed(chunk));
        scanner.finish()
    }

    fn line(id: &str) -> String {
        request(json!(id), "POST", "/v1/chat/completions", json!({ "model": "small" }))
    }

    fn request(id: Value, method: &str, url: &str, body: Value) -> String {
        json!({ "custom_id": id, "method": method, "url": url, "body": body }).to_string()
    }

    #[test]
    fn finds_the_positions_of_lines_in_any_chunks() {
        let text = format!("{}\r\n\n{}", line("a"), line("b"));
        for chunk in [1, 7, 10_000] {
            let lines = scan(&text, chunk).unwrap();
            let found: Vec<_> = lines.iter().map(|line| (line.number, line.custom_id.as_str())).collect();
            assert_eq!(found, [(1, "a"), (3, "b")]);
            for found in lines {
                let range = usize::try_from(found.start).unwrap()..usize::try_from(found.end).unwrap();
                assert_eq!(text[range].trim_end(), line(&found.custom_id));
            }
        }
    }

    #[test]
    fn reports_errors_with_their_lines() {
        const URL: &str = "/v1/chat/completions";
        let small = || json!({ "model": "small" });
        let text = [
            line("a"),
            "{".to_owned(),
            line("a"),
            request(json!(7), "POST", URL, small()),
            request(json!("b"), "GET", URL, small()),
            request(json!("c"), "POST", "/v1/embeddings", small()),
            request(json!("d"), "POST", URL, json!([])),
            request(json!("e"), "POST", URL, json!({})),
            request(json!("f"), "POST", URL, json!({ "model": "other" })),
            "x".repeat(500),
            line("g"),
        ]
        .join("\n");
        for chunk in [3, 10_000] {
            let errors = scan(&text, chunk).unwrap_err();
            let found: Vec<_> =
                errors.iter().map(|error| (error.line.unwrap(), error.code, error.param.unwrap_or_default())).collect();
            assert_eq!(
                found,
                [
                    (2, "invalid_json_line", ""),
                    (3, "duplicate_custom_id", "custom_id"),
                    (4, "missing_required_parameter", "custom_id"),
                    (5, "invalid_method", "method"),
                    (6, "invalid_url", "url"),
                    (7, "missing_required_parameter", "body"),
                    (8, "missing_required_parameter", "body.model"),
                    (9, "mismatched_model", "body.model"),
                    (10, "line_too_long", ""),
                ]
            );
        }
    }

    #[test]
    fn limits_the_number_of_requests_and_errors() {
        assert_eq!(scan("\n \n", 1).unwrap_err()[0].code, "empty_file");
        assert_eq!(scan(&"{\n".repeat(1_000), 100).unwrap_err().len(), MAX_ERRORS);
        let mut scanner = Scanner::new(BatchFormat::Anthropic, GatewayEndpoint::Messages, 200);
        for number in 0..=MAX_REQUESTS + 5 {
            scanner.feed(format!("{{\"custom_id\":\"{number}\",\"params\":{{}}}}\n").as_bytes());
        }
        assert_eq!(scanner.finish().unwrap_err()[0].code, "too_many_requests");
    }
}

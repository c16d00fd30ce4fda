//! Passthrough of Gemini's format: fields that this gateway doesn't know reach the model, and only
//! those for routing and billing are read.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    answer::{UsageMetadata, bills_answers, search_queries},
    method,
    request::{LOST_SIGNATURE, generation},
    resource_name, sealed_reasoning, strip_model_prefix,
};
use crate::{
    AiError, Finish, GatewayError, Usage,
    dialect::{
        CountRequest, Post,
        fields::may_have,
        openai_chat::passthrough::{RewrittenRequest, text_length},
        passthrough::{EventReader, PassthroughTap},
    },
    meter::{AssumedUses, Meter, ToolUses},
    provider_http::{
        events::{self, Event, Splitter},
        failure::{self, Failure},
    },
    used_call_ids::UsedCallIds,
};

pub(crate) type GeminiTap = PassthroughTap<GeminiEvents>;

/// Field of an answer with the model's name.
pub(crate) const MODEL_FIELD: &str = "modelVersion";
/// Service tiers at the model's price or below.
const STANDARD_TIERS: [&str; 3] = ["unspecified", "standard", "flex"];
/// Tools by which the model searches the web, which is billed separately.
static SEARCH_TOOLS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| ["\"googleSearch", "\"googleMaps"].map(Finder::new));

/// Estimated searches of an answer; the flag is true if it may have more.
pub(crate) fn max_tool_uses(tools: Option<&RawValue>, assumed: AssumedUses) -> (ToolUses, bool) {
    let may_search = tools.is_some_and(|tools| may_have(tools.get().as_bytes(), SEARCH_TOOLS.as_slice()));
    let searches = if may_search { assumed.searches } else { 0 };
    (ToolUses { searches, ..ToolUses::default() }, may_search)
}

/// Rewrites a [normalised](super::client_body) request as the provider expects it. `passed` are the
/// restricted parameters that it may have.
pub(crate) fn rewrite_request(body: &Bytes, model: &str, passed: &[String]) -> Result<RewrittenRequest, GatewayError> {
    let (mut fields, stream) = provider_fields(body, model)?;
    let tier = fields.get("serviceTier").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let is_costly = tier.is_some_and(|tier| !STANDARD_TIERS.iter().any(|standard| tier.ends_with(standard)));
    if is_costly && !passed.iter().any(|name| name == "service_tier") {
        fields.shift_remove("serviceTier");
    }
    Ok(RewrittenRequest {
        body: Value::Object(fields).to_string().into(),
        stream,
        wants_usage: true,
        wants_several: false,
        searches: false,
        bills_code_container: false,
        used_ids: UsedCallIds::default(),
    })
}

/// Request that counts the tokens of a normalised request.
pub(crate) fn count_request(body: &Bytes, model: &str) -> Result<CountRequest, GatewayError> {
    let (mut fields, _) = provider_fields(body, model)?;
    fields.insert("model".to_owned(), resource_name(model).into());
    let body = json!({ "generateContentRequest": fields }).to_string().into();
    Ok(CountRequest { post: Post { path: method(model, "countTokens"), body }, field: "totalTokens" })
}

/// Fields of a request without those that its path has; the flag is true if it asks for a stream.
fn provider_fields(body: &Bytes, model: &str) -> Result<(Map<String, Value>, bool), GatewayError> {
    let mut fields: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    fields.shift_remove("model");
    let stream = fields.shift_remove("stream").is_some_and(|stream| stream == true);
    let contents = fields.get_mut("contents").and_then(Value::as_array_mut);
    for content in contents.into_iter().flatten().filter(|content| content["role"] == "model") {
        sign_calls(content, generation(model) >= 3);
    }
    Ok((fields, stream))
}

/// Removes the signatures of other providers' models, and adds a placeholder where Gemini needs one.
fn sign_calls(content: &mut Value, needs_signature: bool) {
    let parts = content.get_mut("parts").and_then(Value::as_array_mut);
    let mut is_first_call = true;
    for part in parts.into_iter().flatten().filter_map(Value::as_object_mut) {
        if part.get("thoughtSignature").and_then(Value::as_str).is_some_and(sealed_reasoning::is_sealed) {
            part.shift_remove("thoughtSignature");
        }
        if part.contains_key("functionCall") {
            let is_unsigned = part.get("thoughtSignature").is_none_or(Value::is_null);
            if is_unsigned && is_first_call && needs_signature {
                part.insert("thoughtSignature".to_owned(), LOST_SIGNATURE.into());
            }
            is_first_call = false;
        }
    }
}

/// Meters a whole answer; fails if the body isn't one.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter) -> Result<(), Failure> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failure::parse_value(&answer) {
        return Err(failure);
    }
    if !answer["candidates"].is_array() && !is_blocked(&answer) {
        return Err(AiError::Garbled.into());
    }
    meter.record_output(estimate_text_quarters(body));
    GeminiEvents::default().read(&answer, meter)?;
    meter.close();
    Ok(())
}

/// Converts a whole answer to frames, for a provider that sent no stream although one was requested.
/// Without `alt=sse`, an answer is a list of frames.
pub(crate) fn frames_of_whole(body: &[u8], meter: &Meter) -> Result<Bytes, Failure> {
    let frames = match serde_json::from_slice(body).map_err(|_| AiError::Garbled)? {
        Value::Array(frames) => frames,
        frame => vec![frame],
    };
    let (mut reader, mut out) = (GeminiEvents::default(), String::new());
    for frame in &frames {
        if let Some(failure) = failure::parse_value(frame) {
            return Err(failure);
        }
        let data = frame.to_string();
        meter.record_output(estimate_text_quarters(data.as_bytes()));
        reader.read(frame, meter)?;
        out = out + "data: " + &data + "\n\n";
    }
    reader.finish(meter)?;
    Ok(strip_model_prefix(out.into(), MODEL_FIELD))
}

fn is_blocked(answer: &Value) -> bool {
    answer["promptFeedback"]["blockReason"].is_string()
}

static TEXT_KEYS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| [r#""text":"#, r#""name":"#].map(Finder::new));
/// Substrings of frames with usage, a search, the end, or an error.
static METERED_EVENT_MARKS: LazyLock<[Finder<'static>; 5]> = LazyLock::new(|| {
    ["usageMetadata", "finishReason", "blockReason", "webSearchQueries", r#""error""#].map(Finder::new)
});

/// Estimated length of the text in a block, in quarters of a token.
fn estimate_text_quarters(block: &[u8]) -> u64 {
    let length = |key: &Finder<'_>| -> u64 {
        key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
    };
    TEXT_KEYS.iter().map(length).sum()
}

/// Meters the events of a stream. Usage in them is cumulative, and there is no final event.
#[derive(Debug, Default)]
pub(crate) struct GeminiEvents {
    /// Largest number of searches of a frame.
    searches: u64,
    has_finish: bool,
    is_done: bool,
}

impl EventReader for GeminiEvents {
    fn text_quarters(block: &[u8]) -> u64 {
        estimate_text_quarters(block)
    }

    fn is_marked(block: &[u8]) -> bool {
        METERED_EVENT_MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    /// Google's libraries fail at everything but data of one line, with a space before it.
    fn adapt(events: Bytes) -> Bytes {
        let events = strip_model_prefix(events, MODEL_FIELD);
        let is_plain = |line: &[u8]| line.is_empty() || line.starts_with(b"data: {");
        let mut lines = events.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        if lines.all(is_plain) {
            return events;
        }
        let mut out = Vec::with_capacity(events.len() + 64);
        let mut splitter = Splitter::default();
        splitter.push(events);
        while let Some(event) = splitter.next() {
            if let Event::Data(data) = events::read(&event)
                && data.trim_ascii().starts_with(b"{")
            {
                out.extend_from_slice(b"data: ");
                // Line breaks in JSON are only white space.
                out.extend(data.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
                out.extend_from_slice(b"\n\n");
            }
        }
        out.into()
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        let candidates = said["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
        for candidate in candidates {
            let mut queries: Vec<&str> = search_queries(&candidate["groundingMetadata"]).collect();
            queries.sort_unstable();
            queries.dedup();
            let is_older = said["modelVersion"].as_str().is_some_and(bills_answers);
            let searches = if is_older { queries.len().min(1) } else { queries.len() };
            self.searches = self.searches.max(searches as u64);
            if let Some(reason) = candidate["finishReason"].as_str() {
                self.has_finish = true;
                // A reason that reports a failure is passed on; clients of this format know it.
                meter.record_finish(super::answer::read_finish(reason).unwrap_or(Finish::Stop));
            }
        }
        if candidates.is_empty() && is_blocked(said) {
            self.has_finish = true;
            meter.record_finish(Finish::Filtered);
        }
        let counts = &said["usageMetadata"];
        if counts.is_object() || self.searches > 0 {
            let usage: Usage = UsageMetadata::from(counts.clone()).into();
            meter.record_usage(Usage { searches: Some(self.searches).filter(|&count| count > 0), ..usage });
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.has_finish
    }

    fn finish(&mut self, meter: &Meter) -> Result<&'static [u8], Failure> {
        if !self.has_finish {
            return Err(AiError::Truncated.into());
        }
        self.is_done = true;
        meter.close();
        Ok(b"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_requests_for_the_provider() {
        let sealed = "bnQxLmU="; // "nt1.e"
        let call = |signature: Value| json!({"functionCall": {"name": "f"}, "thoughtSignature": signature});
        let body = json!({"model": "m", "stream": true, "serviceTier": "PRIORITY", "safetySettings": [{"category": "C"}],
            "contents": [{"role": "model", "parts": [call(sealed.into()), call("CiQB".into()), {"functionCall": {"name": "g"}}]}],
            "tools": [{"googleSearch": {}}]});
        let body: Bytes = body.to_string().into();
        for (model, passed, expected) in [
            ("gemini-3-pro", vec!["service_tier".to_owned()], call(LOST_SIGNATURE.into())),
            ("gemini-2.5-pro", vec![], json!({"functionCall": {"name": "f"}})),
        ] {
            let rewritten = rewrite_request(&body, model, &passed).ok().unwrap();
            let written: Value = serde_json::from_slice(&rewritten.body).unwrap();
            let parts = &written["contents"][0]["parts"];
            assert_eq!((&parts[0], &parts[1]), (&expected, &call("CiQB".into())), "{model}");
            assert_eq!(parts[2], json!({"functionCall": {"name": "g"}}), "{model}");
            assert_eq!(written.get("serviceTier").is_some(), !passed.is_empty(), "{model}");
            assert!(rewritten.stream && written.get("model").is_none() && written.get("stream").is_none());
            assert_eq!(written["tools"][0], json!({"googleSearch": {}}));
        }
        let counted = count_request(&body, "gemini-3-pro").unwrap();
        let written: Value = serde_json::from_slice(&counted.post.body).unwrap();
        assert_eq!(written["generateContentRequest"]["model"], "models/gemini-3-pro");
    }

    #[test]
    fn adapts_events_to_googles_libraries() {
        for (events, expected) in [
            ("data: {\"a\":1}\r\n\r\n", "data: {\"a\":1}\r\n\r\n"),
            ("data: {\"a\":1}\n\ndata: {}\n\n", "data: {\"a\":1}\n\ndata: {}\n\n"),
            (": ping\n\nevent: x\ndata:{\"a\":1}\n\n", "data: {\"a\":1}\n\n"),
            ("data: {\ndata:  \"a\":1}\n\ndata: [DONE]\n\n", "data: {  \"a\":1}\n\n"),
        ] {
            assert_eq!(GeminiEvents::adapt(Bytes::from(events)), expected.as_bytes(), "{events}");
        }
    }

    #[test]
    fn meters_answers_and_searches() {
        let grounding = json!({"webSearchQueries": ["a", "", "b", "a"]});
        let candidate =
            json!({"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP", "groundingMetadata": grounding});
        let answer = json!({"candidates": [candidate],
            "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "cachedContentTokenCount": 4}});
        let expected = Usage {
            input: Some(7),
            cached: Some(4),
            output: Some(5),
            reasoning: Some(2),
            searches: Some(2),
            ..Usage::default()
        };
        let meter = Meter::default();
        meter_whole(answer.to_string().as_bytes(), &meter).ok().unwrap();
        assert_eq!(meter.usage(), expected);
        let meter = Meter::default();
        let frames = frames_of_whole(json!([answer]).to_string().as_bytes(), &meter).ok().unwrap();
        assert_eq!((frames, meter.usage()), (format!("data: {answer}\n\n").into(), expected));
        let mut older = answer.clone();
        older["modelVersion"] = json!("gemini-2.5-flash");
        let meter = Meter::default();
        meter_whole(older.to_string().as_bytes(), &meter).ok().unwrap();
        assert_eq!(meter.usage().searches, Some(1), "billed by answers");
        let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
        let meter = Meter::default();
        assert!(meter_whole(blocked.to_string().as_bytes(), &meter).is_ok());
        assert_eq!(meter.finish(), Some(Finish::Filtered));
        for broken in [json!({}), json!({"error": {"code": 429}})] {
            assert!(meter_whole(broken.to_string().as_bytes(), &Meter::default()).is_err(), "{broken}");
        }
        assert!(frames_of_whole(br#"[{"candidates":[]}]"#, &Meter::default()).is_err());
    }
}

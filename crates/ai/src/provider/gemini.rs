//! Google's native API, `v1beta`: `streamGenerateContent` as Server-Sent Events.
//!
//! The key goes into `x-goog-api-key` and never into the address, where it would end in logs. There is no last frame: the answer
//! is whole when a `finishReason` has come. Usage in the frames is cumulative, so the last one counts.

use async_trait::async_trait;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    AiError, ChatMessage, ChatRequest, ChatStream, Finish, Role, Secret, Usage,
    provider::Provider,
    wire::{Decoder, Ending, Http, Read, failure},
};

/// A provider at `base_url`, which includes the version segment.
#[derive(Debug, Clone)]
pub struct Gemini {
    http: Http,
    base: Url,
}

impl Gemini {
    pub fn new(http: Http, base: Url) -> Self {
        Self { http, base }
    }

    /// The model stands in a path, so it is escaped: its name may come from a user.
    fn url(&self, model: &str) -> Result<String, AiError> {
        let model = model.strip_prefix("models/").unwrap_or(model);
        let mut url = self.base.clone();
        let method = format!("{model}:streamGenerateContent");
        url.path_segments_mut().map_err(|()| AiError::UnknownModel)?.pop_if_empty().push("models").push(&method);
        url.set_query(Some("alt=sse"));
        Ok(url.into())
    }
}

#[async_trait]
impl Provider for Gemini {
    async fn stream(
        &self,
        request: &ChatRequest,
        key: Option<&Secret>,
        deadline: Instant,
    ) -> Result<ChatStream, AiError> {
        let body = write_request(request)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(key.expose()).map_err(|_| AiError::Credentials)?;
            value.set_sensitive(true);
            headers.insert("x-goog-api-key", value);
        }
        self.http.ask(&self.url(&request.model)?, headers, body, Candidates::default(), deadline).await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation_config: Option<GenerationConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

fn write_request(request: &ChatRequest) -> Result<Vec<u8>, AiError> {
    let mut turns = request.alternating();
    let mut system = request.system_text();
    if turns.is_empty() {
        // `contents` must not be empty, so a system prompt alone is asked as a user's text.
        turns.push(ChatMessage::user(system.take().ok_or(AiError::Rejected)?));
    }
    let contents = turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "model",
        };
        Content { role: Some(role), parts: [Part { text: &turn.text }] }
    });
    let body = Request {
        system_instruction: system.map(|text| Content { role: None, parts: [Part { text }] }),
        contents: contents.collect(),
        generation_config: (request.temperature.is_some() || request.max_tokens.is_some())
            .then_some(GenerationConfig { temperature: request.temperature, max_output_tokens: request.max_tokens }),
    };
    serde_json::to_vec(&body).map_err(|_| AiError::Rejected)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    candidates: Option<Vec<Candidate>>,
    usage_metadata: Option<UsageMetadata>,
    prompt_feedback: Option<PromptFeedback>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    index: u32,
    content: Option<CandidateContent>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct CandidateContent {
    parts: Option<Vec<CandidatePart>>,
}

#[derive(Deserialize)]
struct CandidatePart {
    text: Option<String>,
    #[serde(default)]
    thought: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
}

impl UsageMetadata {
    fn total(&self) -> Usage {
        let sum = |counts: [Option<u64>; 2]| counts.into_iter().flatten().reduce(u64::saturating_add);
        Usage {
            input: sum([self.prompt_token_count, self.tool_use_prompt_token_count]),
            output: sum([self.candidates_token_count, self.thoughts_token_count]),
            ..Usage::default()
        }
    }
}

/// Reads `GenerateContentResponse`s.
#[derive(Debug, Default)]
struct Candidates {
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Decoder for Candidates {
    fn read(&mut self, data: &str) -> Result<Read, AiError> {
        if data.trim().is_empty() {
            return Ok(Read::Nothing);
        }
        let value: Value = serde_json::from_str(data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::of_value(&value) {
            return Err(failure.error);
        }
        let frame: Frame = serde_json::from_value(value).map_err(|_| AiError::Garbled)?;
        if let Some(usage) = frame.usage_metadata {
            self.usage = Some(usage.total());
        }
        if frame.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some()) {
            self.finish = Some(Finish::Filtered);
        }
        let Some(candidate) = frame.candidates.into_iter().flatten().find(|candidate| candidate.index == 0) else {
            return Ok(Read::Nothing);
        };
        if let Some(reason) = &candidate.finish_reason {
            self.finish = Some(read_finish(reason)?);
        }
        let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
        let (thoughts, said): (Vec<CandidatePart>, Vec<CandidatePart>) =
            parts.into_iter().partition(|part| part.thought);
        let text = |parts: Vec<CandidatePart>| parts.into_iter().filter_map(|part| part.text).collect::<String>();
        let (thought, text) = (text(thoughts), text(said));
        Ok(match (text.is_empty(), thought.is_empty()) {
            (false, _) => Read::Text(text),
            (true, false) => Read::Thought(thought),
            (true, true) => Read::Nothing,
        })
    }

    fn ending(&self) -> Option<Ending> {
        self.finish.map(|finish| Ending { finish, usage: self.usage })
    }
}

fn read_finish(reason: &str) -> Result<Finish, AiError> {
    match reason {
        "MAX_TOKENS" => Ok(Finish::Length),
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "OTHER" => {
            Ok(Finish::Filtered)
        }
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_RESPONSE" | "MISSING_THOUGHT_SIGNATURE" => {
            Err(AiError::Garbled)
        }
        image if image.starts_with("IMAGE_") => Ok(Finish::Filtered),
        _ => Ok(Finish::Stop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn a_request_is_written_as_the_protocol_says() {
        let request = ChatRequest {
            model: "gemini-2.5-flash".to_owned(),
            system: Some("Be brief.".to_owned()),
            messages: vec![ChatMessage::user("Hi"), ChatMessage::assistant("Hello!"), ChatMessage::user("Again")],
            ..ChatRequest::default()
        };
        let body = String::from_utf8(write_request(&request).expect("a body")).expect("text");
        assert_eq!(
            body,
            r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"Hello!"}]},{"role":"user","parts":[{"text":"Again"}]}]}"#
        );
    }

    #[test]
    fn a_system_prompt_alone_is_asked_as_text() {
        let request = ChatRequest { system: Some("Say hello".to_owned()), ..ChatRequest::default() };
        let body = String::from_utf8(write_request(&request).expect("a body")).expect("text");
        assert_eq!(body, r#"{"contents":[{"role":"user","parts":[{"text":"Say hello"}]}]}"#);
        assert_eq!(write_request(&ChatRequest::default()), Err(AiError::Rejected));
    }

    #[test]
    fn the_model_stays_inside_its_segment_of_the_path() {
        let http = Http::new(None, std::sync::Arc::new(Limits::default())).expect("a client");
        let gemini = Gemini::new(http, Url::parse("http://127.0.0.1:1/v1beta/").expect("a url"));
        let url = |model: &str| gemini.url(model).expect("a url");
        assert_eq!(
            url("gemini-2.5-flash"),
            "http://127.0.0.1:1/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
        );
        assert_eq!(url("models/a"), "http://127.0.0.1:1/v1beta/models/a:streamGenerateContent?alt=sse");
        assert_eq!(
            url("../../x?key=1#"),
            "http://127.0.0.1:1/v1beta/models/..%2F..%2Fx%3Fkey=1%23:streamGenerateContent?alt=sse"
        );
    }

    #[test]
    fn frames_are_read_as_the_protocol_says() {
        let mut candidates = Candidates::default();
        let frames = [
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"think","thought":true}],"role":"model"}}],"usageMetadata":{"promptTokenCount":5,"thoughtsTokenCount":3}}"#,
                Read::Thought("think".to_owned()),
            ),
            (
                r#"{"candidates":[{"content":{"parts":[{"text":"Xin "},{"text":"chào"}],"role":"model"},"index":0}],"modelVersion":"x"}"#,
                Read::Text("Xin chào".to_owned()),
            ),
            (
                r#"{"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"thoughtsTokenCount":3}}"#,
                Read::Nothing,
            ),
        ];
        for (frame, expected) in frames {
            assert_eq!(candidates.ending(), None);
            assert_eq!(candidates.read(frame), Ok(expected), "{frame}");
        }
        let usage = Usage { input: Some(5), output: Some(5), ..Usage::default() };
        assert_eq!(candidates.ending(), Some(Ending { finish: Finish::Stop, usage: Some(usage) }));
    }

    #[test]
    fn refusals_and_failures_end_the_answer_as_what_they_are() {
        let finish = |frame: &str| {
            let mut candidates = Candidates::default();
            candidates.read(frame).map(|_| candidates.ending().map(|ending| ending.finish))
        };
        assert_eq!(finish(r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#), Ok(Some(Finish::Filtered)));
        assert_eq!(finish(r#"{"candidates":[{"finishReason":"IMAGE_SAFETY"}]}"#), Ok(Some(Finish::Filtered)));
        assert_eq!(finish(r#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#), Ok(Some(Finish::Length)));
        assert_eq!(finish(r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#), Err(AiError::Garbled));
        assert_eq!(
            finish(r#"[{"error":{"code":503,"status":"UNAVAILABLE"}}]"#),
            Err(AiError::Unavailable { retry_after: None })
        );
        assert_eq!(finish("not json"), Err(AiError::Garbled));
    }
}

//! OpenAI's chat completions, as spoken by OpenAI and by every server that is compatible with it.

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    AiError, ChatRequest, ChatStream, Finish, Role, Secret, Usage,
    provider::Provider,
    wire::{Decoder, Ending, Http, Read, failure},
};

/// A provider at `base_url`, which includes the version segment.
#[derive(Debug, Clone)]
pub struct OpenAi {
    http: Http,
    url: String,
}

impl OpenAi {
    pub fn new(http: Http, base_url: &str) -> Self {
        Self { http, url: format!("{}/chat/completions", base_url.trim_end_matches('/')) }
    }
}

#[async_trait]
impl Provider for OpenAi {
    async fn stream(
        &self,
        request: &ChatRequest,
        key: Option<&Secret>,
        deadline: Instant,
    ) -> Result<ChatStream, AiError> {
        let body = write_request(request)?;
        self.http.ask(&self.url, headers(key)?, body, Chunks::default(), deadline).await
    }
}

fn headers(key: Option<&Secret>) -> Result<HeaderMap, AiError> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose())).map_err(|_| AiError::Credentials)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

fn write_request(request: &ChatRequest) -> Result<Vec<u8>, AiError> {
    let turns = request.alternating();
    let system = request.system_text().map(|content| Message { role: "system", content });
    let messages: Vec<Message<'_>> = system
        .into_iter()
        .chain(turns.iter().map(|turn| Message {
            role: match turn.role {
                Role::User => "user",
                Role::Assistant => "assistant",
            },
            content: &turn.text,
        }))
        .collect();
    if messages.is_empty() {
        return Err(AiError::Rejected);
    }
    let body = Request {
        model: &request.model,
        messages,
        temperature: request.temperature,
        max_tokens: request.max_tokens,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    serde_json::to_vec(&body).map_err(|_| AiError::Rejected)
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<TokenCounts>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    delta: Option<Delta>,
    /// Where a server answers in one piece although a stream was asked for.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    /// What the model thinks, as `DeepSeek` and vLLM name it, or OpenRouter.
    reasoning_content: Option<String>,
    reasoning: Option<String>,
}

#[derive(Deserialize)]
struct TokenCounts {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Reads `chat.completion.chunk`s up to `[DONE]`.
#[derive(Debug, Default)]
struct Chunks {
    finish: Option<Finish>,
    usage: Option<Usage>,
}

impl Decoder for Chunks {
    fn read(&mut self, data: &str) -> Result<Read, AiError> {
        let data = data.trim();
        if data == "[DONE]" {
            // `[DONE]` ends the answer, even if the server gave no finish reason.
            self.finish.get_or_insert(Finish::Stop);
            return Ok(Read::End);
        }
        if data.is_empty() {
            return Ok(Read::Nothing);
        }
        let value: Value = serde_json::from_str(data).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::of_value(&value) {
            return Err(failure.error);
        }
        let chunk: Chunk = serde_json::from_value(value).map_err(|_| AiError::Garbled)?;
        if let Some(counts) = chunk.usage {
            self.usage =
                Some(Usage { input: counts.prompt_tokens, output: counts.completion_tokens, ..Usage::default() });
        }
        let Some(choice) = chunk.choices.into_iter().flatten().find(|choice| choice.index == 0) else {
            return Ok(Read::Nothing);
        };
        if let Some(reason) = choice.finish_reason.as_deref().filter(|reason| !reason.is_empty()) {
            self.finish = Some(match reason {
                "length" => Finish::Length,
                "content_filter" => Finish::Filtered,
                _ => Finish::Stop,
            });
        }
        let Some(delta) = choice.delta.or(choice.message) else { return Ok(Read::Nothing) };
        let text = delta.content.or(delta.refusal);
        let thought = delta.reasoning_content.or(delta.reasoning).filter(|thought| !thought.is_empty());
        Ok(match (text, thought) {
            (Some(text), None) => Read::Text(text),
            (Some(text), _) if !text.is_empty() => Read::Text(text),
            (_, Some(thought)) => Read::Thought(thought),
            (None, None) => Read::Nothing,
        })
    }

    fn ending(&self) -> Option<Ending> {
        self.finish.map(|finish| Ending { finish, usage: self.usage })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChatMessage;

    #[test]
    fn a_request_is_written_as_the_protocol_says() {
        let request = ChatRequest {
            model: "gpt-4o-mini".to_owned(),
            system: Some("Be brief.".to_owned()),
            messages: vec![
                ChatMessage::user("Hi"),
                ChatMessage::assistant("Hello!"),
                ChatMessage::user("Two \"lines\"\nplease"),
            ],
            ..ChatRequest::default()
        };
        let body = String::from_utf8(write_request(&request).expect("a body")).expect("text");
        assert_eq!(
            body,
            r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"Two \"lines\"\nplease"}],"stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(write_request(&ChatRequest::default()), Err(AiError::Rejected));
        let tuned = ChatRequest { temperature: Some(0.4), max_tokens: Some(50), ..request };
        let body = String::from_utf8(write_request(&tuned).expect("a body")).expect("text");
        assert!(body.contains(r#""temperature":0.4,"max_tokens":50,"stream":true"#), "{body}");
    }

    #[test]
    fn chunks_are_read_as_the_protocol_says() {
        let mut chunks = Chunks::default();
        let frames = [
            (r#"{"id":"c","object":"chat.completion.chunk","choices":[]}"#, Read::Nothing),
            (
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
                Read::Text(String::new()),
            ),
            (
                r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"},"finish_reason":null}]}"#,
                Read::Thought("hm".to_owned()),
            ),
            (r#"{"choices":[{"index":0,"delta":{"content":"","reasoning":"so"}}]}"#, Read::Thought("so".to_owned())),
            (
                r#"{"choices":[{"index":0,"delta":{"content":"Xin chào"},"logprobs":null}]}"#,
                Read::Text("Xin chào".to_owned()),
            ),
            (r#"{"choices":[{"index":1,"delta":{"content":"another choice"}}]}"#, Read::Nothing),
            (r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#, Read::Nothing),
            (r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}"#, Read::Nothing),
            ("[DONE]", Read::End),
        ];
        for (frame, expected) in frames {
            assert_eq!(chunks.read(frame), Ok(expected), "{frame}");
        }
        let usage = Usage { input: Some(9), output: Some(4), ..Usage::default() };
        assert_eq!(chunks.ending(), Some(Ending { finish: Finish::Length, usage: Some(usage) }));
    }

    #[test]
    fn errors_and_garbage_are_told_apart() {
        let mut chunks = Chunks::default();
        assert_eq!(
            chunks.read(r#"{"error":{"message":"slow down","code":"rate_limit_exceeded"}}"#),
            Err(AiError::Busy { retry_after: None })
        );
        for garbage in ["{", "<html>", "3", r#"{"choices":7}"#, r#"{"choices":[{"delta":{"content":{"a":1}}}]}"#] {
            assert_eq!(chunks.read(garbage), Err(AiError::Garbled), "{garbage}");
        }
        assert_eq!(chunks.ending(), None);
    }
}

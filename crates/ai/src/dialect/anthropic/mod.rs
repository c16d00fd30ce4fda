//! Anthropic's Messages API, as a client format and as a provider format.

pub(crate) mod answer;
pub(crate) mod client_format;
mod client_tools;
pub(crate) mod passthrough;
pub(crate) mod provider_format;
pub(crate) mod request;
mod search_blocks;
pub(crate) mod server_tools;
mod strict_tools;
pub(crate) mod usage;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use super::{CountRequest, Dialect, EndpointPath, Post, openai_chat};
use crate::{
    ApiStyle, Finish, GatewayError,
    canonical::{Reader, Request},
};

/// Fields of a request that a count accepts.
const COUNTED_FIELDS: [&str; 5] = ["model", "messages", "system", "tools", "tool_choice"];

pub(crate) struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn public_url(&self) -> &'static str {
        "https://api.anthropic.com/v1"
    }

    fn chat(&self, _model: &str, _is_stream: bool) -> EndpointPath {
        EndpointPath::from_segments(["messages"])
    }

    fn credentials(&self, key: &str) -> (&'static str, String) {
        ("x-api-key", key.to_owned())
    }

    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", "2023-06-01")]
    }

    fn write(&self, question: &Request, model: &str, _base: &Url) -> Result<Value, GatewayError> {
        provider_format::write(question, model)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(answer::AnthropicReader::default())
    }

    fn passes_through(&self, style: ApiStyle) -> bool {
        style == ApiStyle::Messages
    }

    fn count(
        &self,
        body: &Bytes,
        question: Option<&Request>,
        model: &str,
    ) -> Result<Option<CountRequest>, GatewayError> {
        let body = match question {
            Some(question) => {
                let mut written = provider_format::write(question, model)?;
                if let Some(fields) = written.as_object_mut() {
                    fields.retain(|name, _| COUNTED_FIELDS.contains(&name.as_str()));
                }
                written.to_string().into()
            }
            None => {
                let signed = passthrough::strip_foreign_blocks(body);
                openai_chat::passthrough::replace_model(signed.as_ref().unwrap_or(body), model)?.0
            }
        };
        Ok(Some(CountRequest {
            post: Post { path: EndpointPath::from_segments(["messages", "count_tokens"]), body },
            field: "input_tokens",
        }))
    }
}

/// Parses a `stop_reason`.
pub(crate) fn finish(reason: &str) -> Finish {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Filtered,
        _ => Finish::Stop,
    }
}

/// Returns the `stop_reason` that stands for a finish.
pub(crate) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Filtered => "refusal",
    }
}

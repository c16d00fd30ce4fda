//! Check of what a model accepts, by small real calls.
//!
//! The calls take the path of an ordinary chat completion, but without the built-in table of
//! [profiles](crate::profile), so that the provider itself answers. A request that the provider
//! refuses is repaired as usual; the repair is the reason that the check reports.

use std::sync::Arc;

use appcore::view::ModelParameterLimits;
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::{
    Ai, AnswerBody, ApiStyle, Call, Deployment, ErrorKind, Fallbacks, Forwarded, GatewayError, ModelParamOverrides,
    Route, Usage, ai::Upstream,
};

/// Maximum output of a call, in tokens. Models that reason need some hundred for the shortest answer.
const MAX_OUTPUT: u64 = 500;
/// Maximum input of a call, in tokens: an image may count as some thousand.
const MAX_INPUT: u64 = 2_000;
/// Settings of a profile that send every request as it is.
const UNADAPTED: &str = "system=any developer=yes turns=any user_after_tool=yes last=any images=yes files=yes audio=yes text_parts=yes \
    schema=yes json_word=no forced_tool=yes named_tool=yes tool_effort=any efforts=any stream=any cache=no";
/// Red image of 32 by 32 pixels.
const RED_IMAGE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAJ0lEQVR42u3NsQkAAAjAsP7/tF7hIASyp6lTCQQCgUAgEAgEgi/BAjLD/C5w/SM9AAAAAElFTkSuQmCC";

/// Capability that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    PlainAnswer,
    Stream,
    Tools,
    ParallelTools,
    Images,
    StructuredOutput,
    ReasoningEffort,
    SystemInTheMiddle,
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckVerdict {
    Ok,
    /// The provider refuses such requests.
    Refused,
    /// The provider accepts such requests, but they have no effect.
    Ignored,
    /// The provider couldn't be asked.
    Fault,
}

/// Check of one capability of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityCheck {
    pub capability: Capability,
    pub verdict: CheckVerdict,
    pub reason: Option<String>,
}

/// Answer to a call of a check.
struct CheckAnswer {
    /// Message of a chat completion; null for a stream.
    message: Value,
    usage: Usage,
}

impl Capability {
    pub const ALL: [Self; 8] = [
        Self::PlainAnswer,
        Self::Stream,
        Self::Tools,
        Self::ParallelTools,
        Self::Images,
        Self::StructuredOutput,
        Self::ReasoningEffort,
        Self::SystemInTheMiddle,
    ];

    /// Maximum usage of the calls that check all capabilities.
    #[must_use]
    pub fn max_usage() -> Usage {
        let calls = Self::ALL.len() as u64;
        Usage { input: Some(calls * MAX_INPUT), output: Some(calls * MAX_OUTPUT), ..Usage::default() }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlainAnswer => "plain",
            Self::Stream => "stream",
            Self::Tools => "tools",
            Self::ParallelTools => "parallel_tools",
            Self::Images => "images",
            Self::StructuredOutput => "structured_output",
            Self::ReasoningEffort => "reasoning_effort",
            Self::SystemInTheMiddle => "system_in_the_middle",
        }
    }

    /// Chat completion that uses the capability.
    fn request(self, model: &str) -> Value {
        let question = |text: &str| json!([{"role": "user", "content": text}]);
        let mut body = json!({"model": model, "max_completion_tokens": MAX_OUTPUT});
        let (messages, more) = match self {
            Self::PlainAnswer => (question("Answer with the word yes."), json!({})),
            Self::Stream => (
                question("Answer with the word yes."),
                json!({"stream": true, "stream_options": {"include_usage": true}}),
            ),
            Self::Tools => {
                (question("What is the weather in Hanoi? Use the tool."), json!({"tools": [weather_tool()]}))
            }
            Self::ParallelTools => (
                question("What is the weather in Hanoi, and what is it in Oslo? Call the tool for both at once."),
                json!({"tools": [weather_tool()], "parallel_tool_calls": true}),
            ),
            Self::Images => {
                let image = json!({"type": "image_url", "image_url": {"url": RED_IMAGE}});
                let text = json!({"type": "text", "text": "Which colour is this image? Answer with one word."});
                (json!([{"role": "user", "content": [text, image]}]), json!({}))
            }
            Self::StructuredOutput => {
                let schema = json!({"type": "object", "properties": {"colour": {"type": "string"}},
                    "required": ["colour"], "additionalProperties": false});
                let format = json!({"name": "colour", "strict": true, "schema": schema});
                (
                    question("Which colour has the sky on a clear day?"),
                    json!({"response_format": {"type": "json_schema", "json_schema": format}}),
                )
            }
            Self::ReasoningEffort => (question("Answer with the word yes."), json!({"reasoning_effort": "low"})),
            Self::SystemInTheMiddle => (
                json!([
                    {"role": "user", "content": "Hello."},
                    {"role": "assistant", "content": "Hello."},
                    {"role": "system", "content": "Answer in English."},
                    {"role": "user", "content": "Answer with the word yes."},
                ]),
                json!({}),
            ),
        };
        body["messages"] = messages;
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    }

    /// Reason why an accepted request had no effect. `None` if it had.
    fn missing_effect(self, answer: &CheckAnswer) -> Option<String> {
        let text = answer.message["content"].as_str().unwrap_or_default();
        let calls = answer.message["tool_calls"].as_array().map_or(0, Vec::len);
        let reason = match self {
            Self::PlainAnswer | Self::ReasoningEffort | Self::SystemInTheMiddle => {
                text.trim().is_empty().then_some("the answer is empty")
            }
            Self::Stream => {
                let is_reported = answer.usage.output.is_some() && !answer.usage.estimated;
                (!is_reported).then_some("the stream has no usage")
            }
            Self::Tools => (calls == 0).then_some("the answer calls no tool"),
            Self::ParallelTools => match calls {
                0 => Some("the answer calls no tool"),
                1 => Some("the answer has one call"),
                _ => None,
            },
            Self::Images => {
                (!text.to_lowercase().contains("red")).then_some("the answer doesn't name the colour of the image")
            }
            Self::StructuredOutput => {
                let is_valid = serde_json::from_str(text).is_ok_and(|value: Value| value["colour"].is_string());
                (!is_valid).then_some("the answer doesn't have the schema")
            }
        };
        reason.map(str::to_owned)
    }
}

fn weather_tool() -> Value {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let function = json!({"name": "get_weather", "description": "Weather of a city.", "parameters": parameters});
    json!({"type": "function", "function": function})
}

impl CheckVerdict {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Ignored => "ignored",
            Self::Fault => "fault",
        }
    }
}

impl Ai {
    /// Names of the providers, each with its models.
    #[must_use]
    pub fn provider_models(&self) -> Vec<(String, Vec<String>)> {
        let upstreams = self.upstreams();
        let providers = upstreams.providers().iter();
        providers.map(|known| (known.settings.name.clone(), known.settings.models.clone())).collect()
    }

    /// Checks all capabilities of a model of a provider. If the plain answer fails, the others are not
    /// checked.
    pub async fn check_capabilities(&self, provider: &str, model: &str) -> Vec<CapabilityCheck> {
        let mut checks = Vec::with_capacity(Capability::ALL.len());
        for capability in Capability::ALL {
            let check = self.check_capability(capability, provider, model).await;
            let is_over = capability == Capability::PlainAnswer && check.verdict != CheckVerdict::Ok;
            checks.push(check);
            if is_over {
                break;
            }
        }
        checks
    }

    async fn check_capability(&self, capability: Capability, provider: &str, model: &str) -> CapabilityCheck {
        let answer = self.request_check(capability, provider, model).await;
        // A setting that was learned would change the next check.
        let learned = self.upstreams().find(provider).map(|upstream| drain_learned(upstream, model));
        let repairs = learned.unwrap_or_default();
        let (verdict, reason) = match answer {
            Err(error) => (verdict_of(capability, &error), Some(error.message().to_owned())),
            Ok(_) if !repairs.is_empty() => (CheckVerdict::Refused, Some(format!("accepted as {}", repairs.join(" ")))),
            Ok(answer) => match capability.missing_effect(&answer) {
                Some(reason) if capability == Capability::PlainAnswer => (CheckVerdict::Fault, Some(reason)),
                Some(reason) => (CheckVerdict::Ignored, Some(reason)),
                None => (CheckVerdict::Ok, None),
            },
        };
        CapabilityCheck { capability, verdict, reason }
    }

    async fn request_check(
        &self,
        capability: Capability,
        provider: &str,
        model: &str,
    ) -> Result<CheckAnswer, GatewayError> {
        let limits = ModelParameterLimits { accepts: Some(UNADAPTED.to_owned()), ..ModelParameterLimits::default() };
        let deployment = Deployment {
            provider: provider.to_owned(),
            model: model.to_owned(),
            weight: 1,
            priority: 0,
            param_overrides: ModelParamOverrides::read(&limits, None).map(Arc::new),
        };
        let route =
            Route { requested_model: model.to_owned(), deployments: vec![deployment], fallbacks: Fallbacks::default() };
        let body = capability.request(model).to_string();
        let call = Call::new(ApiStyle::Chat, body.into(), Arc::new(route), format!("check-{}", capability.as_str()))
            .with_tokens(MAX_INPUT, MAX_OUTPUT);
        let Forwarded { body, meter, .. } = self.forward(call).await?;
        let message = match body {
            AnswerBody::Whole(body) => {
                let mut answer: Value = serde_json::from_slice(&body).unwrap_or_default();
                answer["choices"][0]["message"].take()
            }
            AnswerBody::Stream(frames) => {
                let frames: Vec<Bytes> = frames.map(|Ok(frame)| frame).collect().await;
                if meter.finish().is_none() {
                    return Err(GatewayError::new(ErrorKind::BadUpstream, stream_error(&frames.concat())));
                }
                Value::Null
            }
        };
        Ok(CheckAnswer { message, usage: meter.usage() })
    }
}

/// Removes what was learned about a model, and returns it.
fn drain_learned(upstream: &Upstream, model: &str) -> Vec<String> {
    let learned = upstream.profiles.learned().into_iter().filter(|learned| learned.model == model);
    let settings = learned.map(|learned| learned.setting).collect();
    upstream.profiles.clear(model);
    settings
}

/// Message of the error in a stream.
fn stream_error(frames: &[u8]) -> String {
    let text = String::from_utf8_lossy(frames);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut messages = data.filter_map(|data| {
        let frame: Value = serde_json::from_str(data).ok()?;
        frame["error"]["message"].as_str().map(str::to_owned)
    });
    messages.next().unwrap_or_else(|| "The stream broke off.".to_owned())
}

/// Verdict of a check whose call failed.
fn verdict_of(capability: Capability, error: &GatewayError) -> CheckVerdict {
    let is_refusal = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::ContextTooLong | ErrorKind::Declined);
    if is_refusal && capability != Capability::PlainAnswer { CheckVerdict::Refused } else { CheckVerdict::Fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(message: Value) -> CheckAnswer {
        CheckAnswer { message, usage: Usage::default() }
    }

    #[test]
    fn requests_are_small() {
        for capability in Capability::ALL {
            let body = capability.request("m");
            assert_eq!((&body["model"], &body["max_completion_tokens"]), (&json!("m"), &json!(MAX_OUTPUT)));
            assert!(body.to_string().len() < 1_000, "{body}");
        }
        let limits = ModelParameterLimits { accepts: Some(UNADAPTED.to_owned()), ..ModelParameterLimits::default() };
        assert!(ModelParamOverrides::read(&limits, None).is_some());
    }

    #[test]
    fn detects_requests_without_effect() {
        let call = json!({"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}});
        let text = |text: &str| json!({"content": text});
        let calls = |count: usize| json!({"content": null, "tool_calls": vec![call.clone(); count]});
        for (capability, message, has_effect) in [
            (Capability::PlainAnswer, text("Yes."), true),
            (Capability::PlainAnswer, text(" "), false),
            (Capability::Tools, calls(1), true),
            (Capability::Tools, text("Sunny."), false),
            (Capability::ParallelTools, calls(2), true),
            (Capability::ParallelTools, calls(1), false),
            (Capability::Images, text("Red."), true),
            (Capability::Images, text("I can't see it."), false),
            (Capability::StructuredOutput, text("{\"colour\": \"blue\"}"), true),
            (Capability::StructuredOutput, text("Blue."), false),
            (Capability::Stream, Value::Null, false),
        ] {
            let missing = capability.missing_effect(&answer(message.clone()));
            assert_eq!(missing.is_none(), has_effect, "{capability:?} {message}");
        }
        let usage = Usage { output: Some(1), ..Usage::default() };
        assert_eq!(Capability::Stream.missing_effect(&CheckAnswer { message: Value::Null, usage }), None);
    }

    #[test]
    fn a_refused_plain_answer_is_a_fault() {
        let error = |kind| GatewayError::new(kind, "No.");
        for (capability, kind, verdict) in [
            (Capability::Images, ErrorKind::Invalid, CheckVerdict::Refused),
            (Capability::PlainAnswer, ErrorKind::Invalid, CheckVerdict::Fault),
            (Capability::Images, ErrorKind::RateLimited, CheckVerdict::Fault),
        ] {
            assert_eq!(verdict_of(capability, &error(kind)), verdict);
        }
    }
}

//! Fields read from an answer or a chunk.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    super::{choice_failure, finish, usage::CompletionUsage},
    estimate_text_quarters,
    request::{byte_range, present},
};
use crate::{
    AiError, Finish,
    dialect::fields::normalised,
    meter::Meter,
    provider_http::failure::{self, Failure},
};

#[derive(Deserialize)]
pub(super) struct ParsedChunk<'a> {
    #[serde(borrow)]
    pub(super) choices: Option<Vec<ParsedChoice<'a>>>,
    pub(super) usage: Option<CompletionUsage>,
    /// Groq's field, which contains usage even if it was not requested.
    x_groq: Option<Value>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    /// Status of MiniMax.
    base_resp: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct ParsedChoice<'a> {
    #[serde(borrow)]
    index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) delta: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    native_finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Usage within a choice, as Kimi sends it.
    usage: Option<CompletionUsage>,
}

impl ParsedChoice<'_> {
    /// Finish reason. Some servers send an empty one with each chunk until the end.
    pub(super) fn finish_reason(&self) -> Option<&str> {
        self.finish_reason.map(|reason| reason.get().trim_matches('"')).filter(|reason| !reason.is_empty())
    }

    /// Failure that the choice reports instead of an answer.
    fn failure(&self) -> Option<Failure> {
        let fields = [self.error, self.native_finish_reason, self.finish_reason];
        if fields.iter().all(Option::is_none) {
            return None;
        }
        let [error, native, reason] =
            fields.map(|field| field.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()));
        choice_failure(&json!({"error": error, "native_finish_reason": native, "finish_reason": reason}))
    }

    /// Index of the choice; 0 if unreadable.
    pub(super) fn place(&self) -> u32 {
        self.index.and_then(|index| index.get().parse().ok()).unwrap_or(0)
    }
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    role: Option<&'a RawValue>,
}

/// Presence of the `role` field. Client libraries fail if no delta of a choice has it.
#[derive(Debug, Default)]
pub(super) enum Roles {
    #[default]
    Unknown,
    Sent,
    /// The server omits the role; these are the choices for which the gateway has added it.
    Omitted(BTreeSet<u32>),
}

impl Roles {
    /// Returns the texts to insert into a frame to add missing roles, with their byte ranges.
    pub(super) fn add(&mut self, data: &Bytes, choices: &[ParsedChoice<'_>]) -> Vec<((usize, usize), String)> {
        let mut parts = Vec::new();
        for choice in choices {
            let Some(raw) = choice.delta.filter(|delta| delta.get().starts_with('{')) else { continue };
            let Ok(Delta { role }) = serde_json::from_str(raw.get()) else { continue };
            let is_said = role.is_some_and(|role| role.get() != "null");
            if matches!(self, Self::Unknown) {
                *self = if is_said { Self::Sent } else { Self::Omitted(BTreeSet::new()) };
            }
            let Self::Omitted(choices) = self else { return parts };
            if !choices.insert(choice.place()) || is_said {
                continue;
            }
            parts.push(match role {
                Some(null) => (byte_range(data, null), r#""assistant""#.to_owned()),
                None => {
                    let (start, _) = byte_range(data, raw);
                    let comma = if raw.get()[1..].trim_start().starts_with('}') { "" } else { "," };
                    ((start + 1, start + 1), format!(r#""role":"assistant"{comma}"#))
                }
            });
        }
        parts
    }
}

impl ParsedChunk<'_> {
    pub(super) fn is_error(&self) -> bool {
        // Some servers send an empty error with each answer; it doesn't count as an error.
        let is_told = |error: &RawValue| !matches!(error.get(), r#""""# | "{}" | "[]" | "false" | "0");
        let has_failed =
            || self.base_resp.as_ref().is_some_and(|status| status["status_code"].as_u64().unwrap_or(0) != 0);
        self.error.is_some_and(is_told)
            || has_failed()
            || self.object.is_some_and(|object| object.get() == r#""error""#)
    }

    pub(super) fn usage(&self) -> Option<CompletionUsage> {
        let of_choice = || self.choices.iter().flatten().find_map(|choice| choice.usage);
        let of_groq = || {
            let usage = self.x_groq.as_ref().map(|groq| &groq["usage"]).filter(|usage| usage.is_object())?;
            Some(CompletionUsage::from(usage.clone()))
        };
        self.usage.or_else(of_choice).or_else(of_groq)
    }

    /// First failure that a choice reports.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.choices.iter().flatten().find_map(ParsedChoice::failure)
    }

    /// First finish reason of a choice.
    pub(super) fn finish(&self) -> Option<Finish> {
        self.choices.iter().flatten().find_map(ParsedChoice::finish_reason).map(finish)
    }
}

/// Normalises an answer or chunk that can't be parsed without changes.
pub(super) fn normalise(data: &[u8]) -> Result<String, AiError> {
    let mended = normalised(data, &[]).ok_or(AiError::Garbled)?;
    let is_read = serde_json::from_str::<ParsedChunk<'_>>(&mended).is_ok();
    if is_read { Ok(mended) } else { Err(AiError::Garbled) }
}

/// Meters a whole answer; fails if the body isn't one.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter) -> Result<(), Failure> {
    let Ok(whole) = serde_json::from_slice::<ParsedChunk<'_>>(body) else {
        return meter_whole(normalise(body)?.as_bytes(), meter);
    };
    if whole.is_error() || whole.choices.is_none() {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        return Err(failure::parse_value(&value).unwrap_or_else(|| AiError::Garbled.into()));
    }
    if let Some(failure) = whole.failure() {
        return Err(failure);
    }
    meter.record_output(estimate_text_quarters(body));
    if let Some(finish) = whole.finish() {
        meter.record_finish(finish);
    }
    if let Some(usage) = whole.usage() {
        meter.record_usage(usage.into());
    }
    meter.close();
    Ok(())
}

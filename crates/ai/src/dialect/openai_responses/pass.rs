//! OpenAI's responses on both sides: the bytes pass, and only what routing, billing and secrecy need is looked at.
//!
//! Nothing is stored upstream either: the provider's key is everybody's, so that anybody could go on from a stored answer. Nor is anything read that
//! somebody stored with that key, by its id.

mod request;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Value, json};

pub(super) use self::request::LATER;
pub(crate) use self::request::{Terms, rewrite};
use super::hosted::Used;
use crate::{
    AiError, Finish, Usage,
    dialect::{
        fields::counted,
        openai_chat::pass::text_length,
        pass::{EventReader, PassingTap},
    },
    given::Record,
    meter::Meter,
    wire::failure::{self, Failure},
};

/// Passes the events of a stream.
pub(crate) type ResponsesTap = PassingTap<ResponseEvents>;

/// Whatever a server writes there, its answer stands.
fn read_usage(said: &Value) -> Usage {
    Usage {
        input: counted(&said["input_tokens"]),
        cached: counted(&said["input_tokens_details"]["cached_tokens"]),
        output: counted(&said["output_tokens"]),
        reasoning: counted(&said["output_tokens_details"]["reasoning_tokens"]),
        ..Usage::default()
    }
}

/// Reads what billing needs of an answer in one piece; fails where it is none.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter, record: Option<&Record>) -> Result<(), Failure> {
    let response: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    let unsaid = || (response["status"] == "failed").then(failure::unknown);
    if let Some(failure) = failed(&response).or_else(|| failure::of_value(&response)).or_else(unsaid) {
        return Err(failure);
    }
    if !response["output"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.deliver(delivered(&TEXT, body));
    ended(&response, &Used::of(&response), meter);
    if let Some(record) = record {
        record.keep(&response);
    }
    Ok(())
}

/// The error that an answer consists of.
fn failed(response: &Value) -> Option<Failure> {
    let error = response.get("error").filter(|error| !error.is_null())?;
    failure::of_value(&json!({ "error": error }))
}

fn ended(response: &Value, used: &Used, meter: &Meter) {
    if let Some(tools) = used.usage() {
        meter.report(tools);
    }
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        meter.report(read_usage(usage));
    }
    meter.finished(if response["status"] == "incomplete" { Finish::Length } else { Finish::Stop });
    meter.close();
}

static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""text":"#));
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""delta":"#));
static NUMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""sequence_number":"#));
/// What the frames have that tell of the end, of an error, of an item that is there as a whole, or of a picture that can be seen.
static MARKS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    [
        "response.completed",
        "response.incomplete",
        "response.failed",
        r#""response.output_item.done""#,
        r#""response.image_generation_call.partial_image""#,
        r#""error""#,
    ]
    .map(Finder::new)
});

/// Quarters of the tokens in the texts under this key.
fn delivered(key: &Finder<'static>, block: &[u8]) -> u64 {
    key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
}

/// What the events of a stream say.
#[derive(Debug, Default)]
pub(crate) struct ResponseEvents {
    is_done: bool,
    count: u64,
    /// Tools that the provider ran.
    used: Used,
    record: Option<Record>,
}

impl ResponseEvents {
    /// Of an answer that is kept where there is something to keep it.
    pub fn kept(record: Option<Record>) -> Self {
        Self { record, ..Self::default() }
    }
}

impl EventReader for ResponseEvents {
    fn delivered(block: &[u8]) -> u64 {
        delivered(&DELTA, block)
    }

    fn is_marked(block: &[u8]) -> bool {
        MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        match said["type"].as_str() {
            Some("response.created") => {
                self.used.note_tools(&said["response"]);
                Ok(())
            }
            // Who leaves in the middle pays for what was done until then, or could be seen.
            Some(kind @ ("response.output_item.done" | "response.image_generation_call.partial_image")) => {
                let is_done = kind == "response.output_item.done";
                let is_new = if is_done { self.used.note(&said["item"]) } else { self.used.note_seen(said) };
                if is_new && let Some(tools) = self.used.usage() {
                    meter.report(tools);
                }
                Ok(())
            }
            Some("response.completed" | "response.incomplete") => {
                self.is_done = true;
                self.used.add(Used::of(&said["response"]));
                ended(&said["response"], &self.used, meter);
                if let Some(record) = &self.record {
                    record.keep(&said["response"]);
                }
                Ok(())
            }
            Some(_) => Ok(()),
            None => Err(AiError::Garbled.into()),
        }
    }

    fn failure(said: &Value) -> Option<Failure> {
        match said["type"].as_str() {
            // Some servers have the error beside the response.
            Some("response.failed") => {
                let told = failed(&said["response"]).or_else(|| failure::of_value(said));
                Some(told.unwrap_or_else(failure::unknown))
            }
            // The error's fields stand beside the type, or under a name of their own.
            Some("error") => failure::of_value(said).or_else(|| failure::of_value(&json!({ "error": said }))),
            _ => failure::of_value(said),
        }
    }

    fn count(&mut self, passed: &[u8]) {
        self.count += NUMBER.find_iter(passed).count() as u64;
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.is_done
    }

    fn sequence(&self) -> u64 {
        self.count
    }

    fn end(&mut self, _: &Meter) -> Result<&'static [u8], Failure> {
        Err(AiError::Cut.into())
    }
}

//! OpenAI's responses on both sides: the bytes pass, and only what routing and billing need is looked at.
//!
//! Nothing is stored upstream either: the provider's key is everybody's, so that anybody could go on from a stored answer.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    AiError, Finish, GatewayError, Usage,
    dialect::{
        openai_chat::pass::{Rewritten, beginning, place, present, replace, text_length},
        pass::{EventReader, PassingTap},
    },
    meter::Meter,
    wire::failure::{self, Failure},
};

/// Passes the events of a stream.
pub(crate) type ResponsesTap = PassingTap<ResponseEvents>;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: &'a RawValue,
    stream: Option<bool>,
    #[serde(borrow, default, deserialize_with = "present")]
    store: Option<&'a RawValue>,
}

/// The caller's request with the upstream's model, its answer not to be stored.
pub(crate) fn rewrite(body: &Bytes, model: &str) -> Result<Rewritten, GatewayError> {
    let head: Head<'_> = serde_json::from_slice(body).map_err(|error| GatewayError::unreadable(&error))?;
    let not_stored = match head.store {
        Some(store) => (place(body, store), "false".to_owned()),
        None => (beginning(body), r#""store":false,"#.to_owned()),
    };
    let parts = vec![(place(body, head.model), Value::from(model).to_string()), not_stored];
    Ok(Rewritten {
        body: replace(body, parts),
        stream: head.stream.unwrap_or(false),
        wants_usage: true,
        wants_several: false,
    })
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct ResponseUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        Self {
            input: usage.input_tokens,
            cached: usage.input_tokens_details.unwrap_or_default().cached_tokens,
            output: usage.output_tokens,
            reasoning: usage.output_tokens_details.unwrap_or_default().reasoning_tokens,
            ..Self::default()
        }
    }
}

/// Reads what billing needs of an answer in one piece; fails where it is none.
pub(crate) fn meter_whole(body: &[u8], meter: &Meter) -> Result<(), Failure> {
    let response: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
    if let Some(failure) = failed(&response) {
        return Err(failure);
    }
    if !response["output"].is_array() {
        return Err(AiError::Garbled.into());
    }
    meter.deliver(delivered(&TEXT, body));
    ended(&response, meter)
}

/// The error that an answer consists of.
fn failed(response: &Value) -> Option<Failure> {
    let error = response.get("error").filter(|error| !error.is_null())?;
    failure::of_value(&json!({ "error": error }))
}

fn ended(response: &Value, meter: &Meter) -> Result<(), Failure> {
    if let Some(usage) = response.get("usage").filter(|usage| usage.is_object()) {
        let usage: ResponseUsage = serde_json::from_value(usage.clone()).map_err(|_| AiError::Garbled)?;
        meter.report(usage.into());
    }
    meter.finished(if response["status"] == "incomplete" { Finish::Length } else { Finish::Stop });
    meter.close();
    Ok(())
}

static TEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""text":"#));
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""delta":"#));
static NUMBER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""sequence_number":"#));
/// What the frames have that tell of the end, or an error.
static MARKS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["response.completed", "response.incomplete", "response.failed", r#""error""#].map(Finder::new));

/// Quarters of the tokens in the texts under this key.
fn delivered(key: &Finder<'static>, block: &[u8]) -> u64 {
    key.find_iter(block).map(|at| text_length(&block[at + key.needle().len()..])).sum()
}

/// What the events of a stream say.
#[derive(Debug, Default)]
pub(crate) struct ResponseEvents {
    is_done: bool,
    count: u64,
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
            Some("response.completed" | "response.incomplete") => {
                self.is_done = true;
                ended(&said["response"], meter)
            }
            Some(_) => Ok(()),
            None => Err(AiError::Garbled.into()),
        }
    }

    fn failure(said: &Value) -> Option<Failure> {
        match said["type"].as_str() {
            Some("response.failed") => Some(failed(&said["response"]).unwrap_or_else(failure::unknown)),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::Tap;

    const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"error\":null}}\n\n";
    const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hello\"}\n\n";
    const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"status\":\"completed\",\"error\":null,\"output\":[],\"usage\":{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":0}}}}\n\n";
    const FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}\n\n";

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn an_answer_is_never_stored() {
        let rewritten = |body: &'static str| rewrite(&bytes(body), "best").map(|request| request.body).unwrap();
        assert_eq!(rewritten(r#"{"model":"m","input":"x"}"#), r#"{"store":false,"model":"best","input":"x"}"#);
        assert_eq!(rewritten(r#"{"store": true,"model":"m"}"#), r#"{"store": false,"model":"best"}"#);
        assert_eq!(rewritten(r#"{"model":"m","store":null}"#), r#"{"model":"best","store":false}"#);
    }

    #[test]
    fn events_pass_as_they_are_and_the_last_one_counts() {
        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        let mut out = Vec::new();
        for event in [CREATED, DELTA, COMPLETED] {
            out.extend(tap.pass(bytes(event), &meter).unwrap().unwrap());
        }
        assert_eq!(out, [CREATED, DELTA, COMPLETED].concat().into_bytes());
        let counted =
            Usage { input: Some(3), cached: Some(1), output: Some(2), reasoning: Some(0), ..Usage::default() };
        assert_eq!((meter.usage(), tap.is_done(), tap.sequence()), (counted, true, 3));
    }

    #[test]
    fn what_breaks_off_or_fails_says_so() {
        let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
        assert!(tap.pass(bytes(FAILED), &meter).is_err(), "another one can be asked");
        tap.pass(bytes(CREATED), &meter).unwrap();
        tap.pass(bytes(DELTA), &meter).unwrap();
        assert_eq!(tap.end(Bytes::new(), &meter), Err(AiError::Cut.into()));
        assert!(meter.usage().estimated);
        let both = Bytes::from([DELTA, FAILED].concat());
        assert_eq!(tap.pass(both, &meter).unwrap().unwrap(), DELTA);
        assert!(tap.failure().is_some());
        assert!(meter_whole(br#"{"error":{"message":"no","code":"server_error"},"output":[]}"#, &meter).is_err());
        assert!(meter_whole(br#"{"choices":[]}"#, &meter).is_err());
        let whole = br#"{"status":"incomplete","error":null,"output":[],"usage":{"input_tokens":1,"output_tokens":9}}"#;
        meter_whole(whole, &meter).unwrap();
        assert_eq!((meter.finish(), meter.usage().output), (Some(Finish::Length), Some(9)));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut tap, meter, body) = (ResponsesTap::default(), Meter::default(), Bytes::from(body));
            let _ = (rewrite(&body, "m").is_ok(), meter_whole(&body, &meter).is_ok(), tap.pass(body.clone(), &meter).is_ok());
            let _ = tap.end(body, &meter).is_ok();
        }
    }
}

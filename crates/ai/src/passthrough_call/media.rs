//! Answers with images or speech: their usage, and their streams of events.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use memchr::memmem::Finder;
use reqwest::Response;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{PassthroughCall, parse_answer, speech};
use crate::{
    AiError, Finish, Meter, Usage,
    dialect::{
        fields::lenient_count,
        passthrough::{EventReader, PassthroughTap},
    },
    provider_http::{self, failure::Failure},
};

pub(super) type MediaTap = PassthroughTap<MediaEvents>;

/// Parts of the names of events that end a medium or the stream.
static END_MARKS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| [".completed\"", "audio.done\"", "\"error\""].map(Finder::new));

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    Image {
        /// First part of the names of events.
        event: &'static str,
    },
    Speech,
}

#[derive(Debug)]
pub(super) struct MediaParams {
    pub medium: Medium,
    /// Number of requested media.
    pub count: u64,
    /// Estimated output tokens of all of them.
    pub output: u64,
}

#[derive(Deserialize)]
struct ImagesHead {
    data: Option<Vec<IgnoredAny>>,
    /// Parsed leniently, because malformed usage must not fail the answer.
    usage: Option<Value>,
}

impl MediaParams {
    /// Meters a whole answer in JSON.
    pub fn meter_whole(&self, answer: &[u8], call: &PassthroughCall) -> Result<(), Failure> {
        let (count, usage) = match serde_json::from_slice::<ImagesHead>(answer) {
            Ok(ImagesHead { data: Some(data), usage }) => (Some(data.len()), usage),
            _ => {
                let value = parse_answer(answer)?;
                (value["data"].as_array().map(Vec::len), Some(value["usage"].clone()))
            }
        };
        let count = match (self.medium, count) {
            (Medium::Image { .. }, count) => count.ok_or(AiError::Garbled)? as u64,
            (Medium::Speech, _) => self.count,
        };
        call.meter.record_output(0);
        let reported = usage.as_ref().and_then(|usage| self.medium.reported_usage(usage));
        call.meter.record_usage(reported.unwrap_or_else(|| self.estimated_usage(count, call)));
        call.meter.close();
        Ok(())
    }

    /// Records the estimated usage of an answer that has begun and reports none.
    pub fn record_estimate(&self, call: &PassthroughCall) {
        call.meter.record_output(0);
        call.meter.record_usage(self.estimated_usage(self.count, call));
    }

    /// Media type of an answer in bytes; `None` if it is JSON.
    pub fn audio_type(&self, response: &Response) -> Option<&'static str> {
        match self.medium {
            Medium::Image { .. } => None,
            Medium::Speech => speech::audio_type(provider_http::content_type(response.headers())),
        }
    }

    pub fn tap(&self, call: &PassthroughCall) -> MediaTap {
        let estimate = self.estimated_usage(self.count, call);
        MediaTap::with_reader(MediaEvents {
            medium: Some(self.medium),
            left: self.count,
            estimate,
            ..Default::default()
        })
    }

    /// Converts a whole answer to a stream: some servers ignore that a stream was requested.
    pub fn frames(&self, answer: &[u8], call: &PassthroughCall) -> Result<Bytes, Failure> {
        let events: Vec<Value> = match self.medium {
            Medium::Image { event } => {
                let answer = parse_answer(answer)?;
                let (kind, usage) = (format!("{event}.completed"), &answer["usage"]);
                let images = answer["data"].as_array().ok_or(AiError::Garbled)?;
                let completed = |image: &Value| {
                    let mut event = image.clone();
                    event["type"] = kind.clone().into();
                    event["usage"] = usage.clone();
                    event
                };
                images.iter().filter(|image| image.is_object()).map(completed).collect()
            }
            Medium::Speech if answer.starts_with(b"{") => vec![parse_answer(answer)?],
            Medium::Speech => vec![
                json!({"type": "speech.audio.delta", "audio": STANDARD.encode(answer)}),
                json!({"type": "speech.audio.done"}),
            ],
        };
        let last = events.last().ok_or(AiError::Empty)?;
        let reported = self.medium.reported_usage(&last["usage"]);
        call.meter.record_output(0);
        call.meter.record_usage(reported.unwrap_or_else(|| self.estimated_usage(events.len() as u64, call)));
        call.meter.record_finish(Finish::Stop);
        call.meter.close();
        Ok(events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into())
    }

    /// Usage of an answer with this number of media, if the provider reports no tokens.
    fn estimated_usage(&self, count: u64, call: &PassthroughCall) -> Usage {
        let output = self.output / self.count.max(1) * count;
        let usage = Usage { input: Some(call.meter.estimated_input()), estimated: true, ..Usage::default() };
        match self.medium {
            Medium::Image { .. } if call.has_image_price => Usage { output: Some(0), images: Some(count), ..usage },
            Medium::Image { .. } => Usage { output: Some(output), ..usage },
            Medium::Speech => {
                let output = Some(self.output);
                Usage { output, audio: output, audio_output: output, ..usage }
            }
        }
    }
}

impl Medium {
    /// Tokens that the provider reports.
    fn reported_usage(self, usage: &Value) -> Option<Usage> {
        let count = |name: &str, other: &str| lenient_count(&usage[name]).or_else(|| lenient_count(&usage[other]));
        let (input, output) = (count("input_tokens", "prompt_tokens"), count("output_tokens", "completion_tokens"));
        if input.unwrap_or(0).saturating_add(output.unwrap_or(0)) == 0 {
            return None;
        }
        let cached = lenient_count(&usage["input_tokens_details"]["cached_tokens"]);
        let usage =
            Usage { input: Some(input.unwrap_or(0)), output: Some(output.unwrap_or(0)), cached, ..Usage::default() };
        Some(match self {
            // Images that are billed by tokens aren't billed by the piece as well.
            Self::Image { .. } => Usage { images: Some(0), ..usage },
            Self::Speech => Usage { audio: usage.output, audio_output: usage.output, ..usage },
        })
    }
}

/// Meters the events of a stream.
#[derive(Debug, Default)]
pub(super) struct MediaEvents {
    medium: Option<Medium>,
    /// Number of media that aren't complete.
    left: u64,
    /// Usage to bill if the provider reports none.
    estimate: Usage,
    /// Sum of the reports.
    reported: Option<Usage>,
    has_started: bool,
    has_completed: bool,
}

impl EventReader for MediaEvents {
    fn text_quarters(_: &[u8]) -> u64 {
        0
    }

    fn is_marked(block: &[u8]) -> bool {
        END_MARKS.iter().any(|mark| mark.find(block).is_some())
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        if !std::mem::replace(&mut self.has_started, true) {
            meter.record_output(0);
            meter.record_usage(self.estimate);
        }
        let kind = said["type"].as_str().unwrap_or_default();
        if !kind.ends_with(".completed") && !kind.ends_with("audio.done") {
            return Ok(());
        }
        self.has_completed = true;
        self.left = self.left.saturating_sub(1);
        if let Some(usage) = self.medium.and_then(|medium| medium.reported_usage(&said["usage"])) {
            let sum = self.reported.unwrap_or_default().plus(usage);
            self.reported = Some(sum);
            meter.record_usage(sum);
        }
        if self.left == 0 {
            meter.record_finish(Finish::Stop);
            meter.close();
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.has_completed && self.left == 0
    }

    fn is_whole(&self) -> bool {
        self.is_done()
    }

    fn finish(&mut self, meter: &Meter) -> Result<&'static [u8], Failure> {
        // Some servers send fewer images than requested.
        if !self.has_completed {
            return Err(AiError::Truncated.into());
        }
        meter.record_finish(Finish::Stop);
        meter.close();
        Ok(b"")
    }
}

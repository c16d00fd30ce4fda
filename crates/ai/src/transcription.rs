//! Transcriptions and translations of recordings in OpenAI's format: by OpenAI-compatible providers,
//! and by Gemini through a chat request.

mod stream;

use std::sync::Arc;

use appcore::work_pool::WorkOwner;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream as streams};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::stream::TranscriptTap;
use crate::{
    Ai, AiError, AnswerBody, ApiStyle, Forwarded, GatewayError, Limits, Meter, Route,
    blocking_pool::run,
    canonical::Event,
    dialect::{EndpointPath, TranscriptionMethod, openai_chat::usage},
    forward::{AttemptError, EVENTS, JSON},
    multipart::{FormFile, MultipartForm},
    provider_http::{
        self,
        failure::{self, Failure},
    },
    route::{Attempt, RouteAttempts},
    tapped_stream::TappedStream,
};

const TEXT: &str = "text/plain; charset=utf-8";
/// Estimated bytes of audio per token; Gemini counts 32 tokens per second.
const BYTES_PER_TOKEN: u64 = 300;

/// Estimated tokens of a recording of this size, in bytes.
#[must_use]
pub const fn audio_tokens(bytes: u64) -> u64 {
    bytes / BYTES_PER_TOKEN
}

/// Task with a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioTask {
    /// Text in the language of the recording.
    Transcribe,
    /// Text in English.
    Translate,
}

impl AudioTask {
    /// Path below the provider's base URL.
    fn path(self) -> EndpointPath {
        EndpointPath::from_segments(match self {
            Self::Transcribe => ["audio", "transcriptions"],
            Self::Translate => ["audio", "translations"],
        })
    }
}

/// A recording to transcribe or translate.
#[derive(Debug, Clone)]
pub struct Recording {
    pub task: AudioTask,
    pub route: Arc<Route>,
    pub request_id: String,
    /// Owner of the call. The large bodies of different owners are processed in turn.
    pub owner: WorkOwner,
    pub file: Bytes,
    pub file_name: String,
    pub content_type: String,
    /// All other form fields except `model`, in the caller's order.
    pub fields: Vec<(String, String)>,
    pub meter: Arc<Meter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Text,
    Srt,
    Vtt,
    Verbose,
    /// JSON with speaker labels.
    Diarized,
}

/// An answer in progress.
enum StartedTranscript {
    Whole(Bytes),
    /// A stream that has arrived completely.
    Frames(Bytes),
    Stream(Box<TappedStream<TranscriptTap>>),
}

impl Recording {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let value = self.fields.iter().find(|field| field.0 == name).map(|field| field.1.trim());
        value.filter(|value| !value.is_empty())
    }

    /// True if the text should be streamed.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        // Python clients send `True`.
        self.field("stream").is_some_and(|stream| stream.eq_ignore_ascii_case("true") || stream == "1")
    }

    fn format(&self) -> Result<Format, GatewayError> {
        match self.field("response_format").unwrap_or("json") {
            "json" => Ok(Format::Json),
            "text" => Ok(Format::Text),
            "srt" => Ok(Format::Srt),
            "vtt" => Ok(Format::Vtt),
            "verbose_json" => Ok(Format::Verbose),
            "diarized_json" => Ok(Format::Diarized),
            _ => Err(GatewayError::invalid_param(
                "response_format",
                "`response_format` must be json, text, srt, verbose_json, vtt or diarized_json.",
            )),
        }
    }
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::Verbose | Self::Diarized => JSON,
            Self::Text | Self::Srt | Self::Vtt => TEXT,
        }
    }
}

impl Ai {
    /// Transcribes or translates a recording.
    pub async fn forward_transcription(&self, recording: Recording) -> Result<Forwarded, GatewayError> {
        let format = recording.format()?;
        if recording.file.is_empty() {
            return Err(GatewayError::invalid_param("file", "`file` must be a recording."));
        }
        let size = audio_tokens(recording.file.len() as u64);
        recording.meter.set_estimated_input(size);
        let deadline = Instant::now() + self.limits().deadline;
        let upstreams = self.upstreams();
        let mut tries = RouteAttempts::new(&upstreams, &recording.route, size, self.retry_policy(), deadline);
        loop {
            let attempt = tries.next().await?;
            recording.meter.start_attempt(&attempt.upstream.name, attempt.model, attempt.lease.tail());
            let asked = match attempt.upstream.kind.dialect().transcription() {
                TranscriptionMethod::Form => {
                    forward_form(&recording, format, &attempt, (self.limits(), deadline)).await
                }
                TranscriptionMethod::Question(write) => {
                    let asked = recording.clone();
                    // The recording is embedded in the request as base64 text.
                    match run(asked.owner, asked.file.len(), move || write(&asked, format).to_string()).await {
                        Ok(question) => transcribe_by_chat(&recording, (format, question), &attempt, deadline).await,
                        Err(error) => Err(AttemptError::Final(error)),
                    }
                }
                TranscriptionMethod::None => {
                    Err(AttemptError::Final(GatewayError::invalid("This model doesn't accept audio.")))
                }
            };
            match asked {
                Ok(heard) => {
                    let lease = attempt.record_success();
                    let (content_type, body) = match heard {
                        StartedTranscript::Whole(body) => (format.content_type(), AnswerBody::Whole(body)),
                        StartedTranscript::Frames(frames) => {
                            (EVENTS, AnswerBody::Stream(streams::iter([Ok(frames)]).boxed()))
                        }
                        StartedTranscript::Stream(relay) => {
                            (EVENTS, AnswerBody::Stream(relay.with_lease(lease).boxed()))
                        }
                    };
                    return Ok(Forwarded { content_type, body, meter: Arc::clone(&recording.meter) });
                }
                Err(AttemptError::Final(error)) => return Err(error),
                Err(AttemptError::Retryable(failure)) => {
                    recording.meter.record_attempt_failure(&failure.error);
                    tries.record_failure(attempt, failure)?;
                }
            }
        }
    }
}

/// Forwards the caller's form with the provider's name of the model.
async fn forward_form(
    recording: &Recording,
    format: Format,
    attempt: &Attempt<'_>,
    (limits, deadline): (&Arc<Limits>, Instant),
) -> Result<StartedTranscript, AttemptError> {
    let upstream = attempt.upstream;
    let request = form(recording).request(upstream.url(&recording.task.path()), attempt)?;
    recording.meter.record_request_sent();
    let response =
        upstream.http.send(request, Some(upstream.traced(attempt.model)), recording.is_stream(), deadline).await?;
    if recording.is_stream() && provider_http::content_type(response.headers()) == EVENTS {
        let body = upstream.http.stream_body(response);
        let meter = Arc::clone(&recording.meter);
        let mut relay =
            TappedStream::new(ApiStyle::Chat, TranscriptTap::default(), body, meter, Arc::clone(limits), deadline);
        relay.first().await?;
        return Ok(StartedTranscript::Stream(Box::new(relay)));
    }
    let body = upstream.http.read_whole(response, deadline).await?;
    meter_answer(&body, format, &recording.meter)?;
    // Some models ignore the request for a stream.
    if recording.is_stream() && format.content_type() == JSON {
        return Ok(StartedTranscript::Frames(stream::frames(&body, &recording.meter)?));
    }
    Ok(StartedTranscript::Whole(body))
}

fn meter_answer(body: &[u8], format: Format, meter: &Meter) -> Result<(), Failure> {
    meter.record_output(crate::meter::quarters(body));
    if format.content_type() == JSON {
        let value: Value = serde_json::from_slice(body).map_err(|_| AiError::Garbled)?;
        if let Some(failure) = failure::parse_value(&value) {
            return Err(failure);
        }
        stream::record_usage(&value["usage"], meter);
    }
    meter.close();
    Ok(())
}

fn form(recording: &Recording) -> MultipartForm {
    let file = FormFile {
        field: "file".to_owned(),
        name: recording.file_name.clone(),
        content_type: recording.content_type.clone(),
        content: recording.file.clone(),
    };
    MultipartForm { fields: recording.fields.clone(), files: vec![file] }
}

/// Transcribes by a chat request to the model.
async fn transcribe_by_chat(
    recording: &Recording,
    (format, question): (Format, String),
    attempt: &Attempt<'_>,
    deadline: Instant,
) -> Result<StartedTranscript, AttemptError> {
    if format == Format::Diarized {
        let message = "This model can't tell speakers apart. Choose another `response_format`.";
        return Err(AttemptError::Final(GatewayError::invalid_param("response_format", message)));
    }
    let upstream = attempt.upstream;
    let url = upstream.chat_url(attempt.model, false);
    recording.meter.record_request_sent();
    let response = upstream.post(recording.owner, attempt, &url, question.into(), false, deadline).await?;
    let answer = upstream.http.read_whole(response, deadline).await?;
    let mut events = Vec::new();
    upstream.kind.dialect().reader().read_whole(&answer, &mut events)?;
    let mut text = String::new();
    for event in events {
        match event {
            Event::Text { text: more, .. } => text.push_str(&more),
            Event::Usage(usage) => recording.meter.record_usage(usage),
            _ => {}
        }
    }
    recording.meter.record_output(crate::meter::quarters(text.as_bytes()));
    recording.meter.close();
    let written: Bytes = write(&text, format, &recording.meter)?.into();
    if recording.is_stream() && format.content_type() == JSON {
        return Ok(StartedTranscript::Frames(stream::frames(&written, &recording.meter)?));
    }
    Ok(StartedTranscript::Whole(written))
}

/// A segment of the text with its times, in seconds.
#[derive(serde::Deserialize)]
struct Segment {
    start: f64,
    end: f64,
    text: String,
}

fn write(text: &str, format: Format, meter: &Meter) -> Result<String, AiError> {
    let segments = || serde_json::from_str::<Vec<Segment>>(text).map_err(|_| AiError::Garbled);
    Ok(match format {
        Format::Text => format!("{}\n", text.trim()),
        Format::Json | Format::Diarized => {
            let counts = usage::write(&meter.usage());
            let counts = json!({"type": "tokens", "input_tokens": counts["prompt_tokens"],
                "output_tokens": counts["completion_tokens"], "total_tokens": counts["total_tokens"]});
            json!({"text": text.trim(), "usage": counts}).to_string()
        }
        Format::Srt => {
            let line = |(index, segment): (usize, &Segment)| {
                let (start, end) = (clock(segment.start, ','), clock(segment.end, ','));
                format!("{}\n{start} --> {end}\n{}\n\n", index + 1, segment.text.trim())
            };
            segments()?.iter().enumerate().map(line).collect()
        }
        Format::Vtt => {
            let line = |segment: &Segment| {
                let (start, end) = (clock(segment.start, '.'), clock(segment.end, '.'));
                format!("{start} --> {end}\n{}\n\n", segment.text.trim())
            };
            format!("WEBVTT\n\n{}", segments()?.iter().map(line).collect::<String>())
        }
        Format::Verbose => {
            let segments = segments()?;
            let whole: Vec<&str> = segments.iter().map(|segment| segment.text.trim()).collect();
            let duration = segments.last().map_or(0.0, |segment| segment.end);
            let item = |(id, segment): (usize, &Segment)| {
                json!({"id": id, "seek": 0, "start": segment.start, "end": segment.end, "text": segment.text,
                    "tokens": [], "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0, "no_speech_prob": 0.0})
            };
            let items: Vec<Value> = segments.iter().enumerate().map(item).collect();
            json!({"task": "transcribe", "language": "", "duration": duration, "text": whole.join(" "), "segments": items})
                .to_string()
        }
    })
}

/// Formats a subtitle time.
fn clock(seconds: f64, point: char) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let all = (seconds.clamp(0.0, 359_999.0) * 1_000.0).round() as u64;
    let (hours, minutes) = (all / 3_600_000, all / 60_000 % 60);
    format!("{hours:02}:{minutes:02}:{:02}{point}{:03}", all / 1_000 % 60, all % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(fields: &[(&str, &str)]) -> Recording {
        Recording {
            task: AudioTask::Transcribe,
            route: Arc::default(),
            request_id: String::new(),
            owner: WorkOwner::System,
            file: Bytes::from_static(b"RIFF"),
            file_name: "a\"b.wav".to_owned(),
            content_type: "audio/wav".to_owned(),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            meter: Arc::default(),
        }
    }

    #[test]
    fn forwards_the_form_with_the_providers_model() {
        let recording = recording(&[("model", "x"), ("language", "vi"), ("timestamp_granularities[]", "word")]);
        let form = form(&recording).encode("up", "B");
        let part = |name: &str, value: &str| {
            format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let expected = [
            part("language", "vi"),
            part("timestamp_granularities[]", "word"),
            part("model", "up"),
            "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a_b.wav\"\r\ncontent-type: audio/wav\r\n\r\nRIFF\r\n--B--\r\n".to_owned(),
        ];
        assert_eq!(form, expected.concat());
    }

    #[test]
    fn writes_every_format() {
        let heard = r#"[{"start":0,"end":1.5,"text":"Xin chào"},{"start":61.25,"end":3723.004,"text":"bạn"}]"#;
        let meter = Meter::default();
        assert_eq!(write(" Xin chào ", Format::Text, &meter).unwrap(), "Xin chào\n");
        assert!(write("Xin chào", Format::Json, &meter).unwrap().contains("\"text\":\"Xin chào\""));
        assert_eq!(
            write(heard, Format::Srt, &meter).unwrap(),
            "1\n00:00:00,000 --> 00:00:01,500\nXin chào\n\n2\n00:01:01,250 --> 01:02:03,004\nbạn\n\n"
        );
        assert!(
            write(heard, Format::Vtt, &meter)
                .unwrap()
                .starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nXin chào\n\n")
        );
        assert!(write(heard, Format::Verbose, &meter).unwrap().contains("\"text\":\"Xin chào bạn\""));
        assert_eq!(write("no JSON", Format::Srt, &meter), Err(AiError::Garbled));
    }

    #[test]
    fn parses_format_names() {
        assert_eq!(recording(&[("response_format", "vtt")]).format().ok(), Some(Format::Vtt));
        assert_eq!(recording(&[]).format().ok(), Some(Format::Json));
        assert!(recording(&[("response_format", "xml")]).format().is_err());
    }
}

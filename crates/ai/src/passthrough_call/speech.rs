//! Speech: bytes in the provider's audio format, or a stream of events.
//!
//! Gemini has no endpoint for speech. Its models speak in a chat, whose answer is converted.

use std::{future::ready, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    AnswerParams, ParsedBody, ParsedRequest, PassthroughCall, RequestFields,
    media::{MediaParams, Medium},
};
use crate::{
    Ai, AiError, AnswerBody, ErrorKind, Finish, Forwarded, Frames, GatewayError, Limits, Meter, Route, TokenEstimate,
    canonical::AudioFormat,
    dialect::fields::Fields,
    estimate_tokens,
    forward::EVENTS,
    keys::KeyLease,
    provider_http::{ByteStream, failure::Failure},
};

/// Estimated audio tokens per token of text: 20 per second, at 15 letters per second.
const AUDIO_PER_TEXT: u64 = 5;
/// Factor by which the audio may exceed its estimate.
const MAX_EXCESS: u64 = 2;
/// Media types of audio that are passed on; others become `application/octet-stream`.
const AUDIO_TYPES: [&str; 14] = [
    "audio/mpeg",
    "audio/mp3",
    "audio/mp4",
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/opus",
    "audio/ogg",
    "audio/webm",
    "audio/aac",
    "audio/flac",
    "audio/x-flac",
    "audio/pcm",
    "audio/L16",
];

pub(super) fn read(request: &RequestFields<'_>) -> Result<ParsedRequest, GatewayError> {
    let fields = &request.fields;
    let text = fields.required_text("input")?;
    let instructions = fields.get("instructions").and_then(|value| value.as_str()).unwrap_or_default();
    let spoken = estimate_tokens(text) as u64;
    let output = spoken.saturating_mul(AUDIO_PER_TEXT);
    let input = spoken.saturating_add(estimate_tokens(instructions) as u64);
    let estimate =
        TokenEstimate { has_audio: true, ..TokenEstimate::text_only(input, Some(output.saturating_mul(MAX_EXCESS))) };
    let stream = fields.get("stream_format").is_some_and(|format| format == "sse");
    let params = MediaParams { medium: Medium::Speech, count: 1, output };
    Ok(ParsedRequest { estimate, stream, params: AnswerParams::Media(params) })
}

/// Media type of an answer; `None` if it is JSON.
pub(super) fn audio_type(content_type: &str) -> Option<&'static str> {
    if content_type == "application/json" {
        return None;
    }
    let known = AUDIO_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(content_type));
    Some(known.unwrap_or("application/octet-stream"))
}

/// Waits for the first bytes. Until then another deployment can be tried.
pub(super) async fn open(body: ByteStream, limits: &Limits, deadline: Instant) -> Result<(Bytes, ByteStream), Failure> {
    // An empty chunk would end the response.
    let mut body = body.try_filter(|chunk| ready(!chunk.is_empty())).boxed();
    let patience = deadline.min(Instant::now() + limits.idle);
    let first = timeout_at(patience, body.next()).await.map_err(|_| AiError::Timeout)?;
    Ok((first.ok_or(AiError::Empty)??, body))
}

/// Audio in transit.
struct Audio {
    first: Option<Bytes>,
    body: ByteStream,
    meter: Arc<Meter>,
    /// Keeps the key counted as in use while the answer streams.
    _lease: KeyLease,
    limits: Arc<Limits>,
    deadline: Instant,
    /// Number of bytes that may still arrive.
    left: usize,
}

/// Passes the bytes on as they arrive. If the provider fails, the stream ends and the meter has no
/// finish.
pub(super) fn chunks(
    (first, body): (Bytes, ByteStream),
    meter: Arc<Meter>,
    lease: KeyLease,
    limits: &Arc<Limits>,
    deadline: Instant,
) -> Frames {
    let left = limits.max_answer_bytes;
    let audio = Audio { first: Some(first), body, meter, _lease: lease, limits: Arc::clone(limits), deadline, left };
    stream::unfold(audio, |mut audio| async move {
        let next = match audio.first.take() {
            Some(first) => Some(Ok(first)),
            None => {
                let patience = audio.deadline.min(Instant::now() + audio.limits.idle);
                timeout_at(patience, audio.body.next()).await.unwrap_or(Some(Err(AiError::Timeout)))
            }
        };
        match next {
            Some(Ok(chunk)) if chunk.len() <= audio.left => {
                audio.left -= chunk.len();
                Some((Ok(chunk), audio))
            }
            None => {
                audio.meter.record_finish(Finish::Stop);
                audio.meter.close();
                None
            }
            Some(failed) => {
                let error = failed.err().unwrap_or(AiError::TooLarge);
                tracing::warn!(code = error.code(), "speech stream failed");
                None
            }
        }
    })
    .boxed()
}

impl Ai {
    /// Serves speech as a chat whose answer is spoken.
    pub(super) async fn speak_by_chat(&self, call: &PassthroughCall, route: Route) -> Result<Forwarded, GatewayError> {
        let ParsedBody::Json(body) = &*call.request.body else {
            return Err(GatewayError::new(ErrorKind::Internal, "The request couldn't be read."));
        };
        let (body, format) = chat_body(body)?;
        let chat = call.as_chat(body.to_string().into(), route);
        let Forwarded { body, meter, .. } = self.forward(chat).await?;
        let AnswerBody::Whole(answer) = body else { return Err(Failure::from(AiError::Garbled).into()) };
        let (audio, usage) = read_chat(&answer)?;
        if call.request.stream {
            let frames = stream::iter([Ok(events(&audio, &usage))]).boxed();
            return Ok(Forwarded { content_type: EVENTS, body: AnswerBody::Stream(frames), meter });
        }
        let content_type = match format {
            AudioFormat::Pcm16 => "audio/pcm",
            AudioFormat::Wav => "audio/wav",
        };
        Ok(Forwarded { content_type, body: AnswerBody::Whole(audio), meter })
    }
}

/// Chat request that speaks the text, and the format of the audio. Returns an error naming the field
/// that isn't supported.
pub(super) fn chat_body(body: &Value) -> Result<(Value, AudioFormat), GatewayError> {
    let fields = Fields::root(body)?;
    let text = fields.required_text("input")?;
    let name = fields.text("response_format")?.unwrap_or("wav");
    let format = AudioFormat::parse(name).ok_or_else(|| {
        fields.error(
            "response_format",
            "This model speaks in the formats `wav` and `pcm`. Other formats aren't encoded here.",
        )
    })?;
    if fields.number("speed")?.is_some_and(|speed| speed != 1.0) {
        return Err(fields.error("speed", "This model has no `speed`. Describe the speed in `instructions`."));
    }
    let text = match fields.text("instructions")?.map(|style| style.trim().trim_end_matches(['.', ':'])) {
        Some(style) if !style.is_empty() => format!("{style}:\n{text}"),
        _ => text.to_owned(),
    };
    let mut audio = json!({"format": name});
    if let Some(voice) = fields.get("voice") {
        audio["voice"] = voice.clone();
    }
    let body = json!({
        "model": body["model"], "messages": [{"role": "user", "content": text}], "modalities": ["audio"], "audio": audio,
    });
    Ok((body, format))
}

/// Audio and usage of a chat completion.
pub(super) fn read_chat(answer: &[u8]) -> Result<(Bytes, Value), GatewayError> {
    let mut answer: Value = serde_json::from_slice(answer).map_err(|_| Failure::from(AiError::Garbled))?;
    let message = &answer["choices"][0]["message"];
    let Some(data) = message["audio"]["data"].as_str() else {
        return Err(Failure::from(AiError::Empty).into());
    };
    let audio = STANDARD.decode(data).map_err(|_| Failure::from(AiError::Garbled))?;
    Ok((audio.into(), answer["usage"].take()))
}

/// Stream events of a whole recording.
fn events(audio: &[u8], usage: &Value) -> Bytes {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let (input, output) = (count("prompt_tokens"), count("completion_tokens"));
    let usage = json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output});
    let delta = json!({"type": "speech.audio.delta", "audio": STANDARD.encode(audio)});
    let done = json!({"type": "speech.audio.done", "usage": usage});
    format!("data: {delta}\n\ndata: {done}\n\n").into()
}

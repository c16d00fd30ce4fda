//! Spoken answers.

use serde_json::{Value, json};

use super::{read, streamed, translated, whole};
use crate::{ApiStyle, ProviderKind, ai::encode_request, profile::adapt::BodyFormat};

fn request(format: &str) -> Value {
    json!({
        "model": "m", "modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": format},
        "messages": [{"role": "system", "content": "Whisper."}, {"role": "user", "content": "Say hi."}],
    })
}

/// Part with three bytes of samples.
fn frame(finish: Option<&str>) -> Value {
    let part = json!({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAA"}});
    json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": finish}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}]},
    })
}

#[test]
fn gemini_is_asked_to_speak() {
    let body = translated(ApiStyle::Chat, ProviderKind::GEMINI, &request("pcm16"));
    let voice = json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}});
    assert_eq!(body["generationConfig"]["responseModalities"], json!(["AUDIO"]));
    assert_eq!(body["generationConfig"]["speechConfig"], voice);
    assert_eq!(body["systemInstruction"], Value::Null);
    assert_eq!(body["contents"][0]["parts"], json!([{"text": "Whisper."}, {"text": "Say hi."}]));
}

#[test]
fn the_answer_has_the_audio() {
    let (answer, usage) = whole(ProviderKind::GEMINI, ApiStyle::Chat, &frame(Some("STOP"))).unwrap();
    let message = &answer["choices"][0]["message"];
    assert_eq!((&message["audio"]["data"], &message["content"]), (&json!("AAAA"), &Value::Null));
    assert_eq!(message["audio"]["id"], "audio_id_1");
    assert_eq!((usage.output, usage.audio_output), (Some(2), Some(2)));

    let (frames, _) = streamed(ProviderKind::GEMINI, ApiStyle::Chat, &[frame(None), frame(Some("STOP"))]).unwrap();
    let data: Vec<&Value> = frames.iter().map(|frame| &frame["choices"][0]["delta"]["audio"]["data"]).collect();
    assert_eq!(data.into_iter().filter(|data| !data.is_null()).collect::<Vec<_>>(), ["AAAA", "AAAA"]);
}

#[test]
fn refuses_formats_and_models_that_cannot_speak() {
    let encoded = |kind: ProviderKind, body: &Value| {
        let request = read(ApiStyle::Chat, body).unwrap();
        let base = kind.dialect().public_url().parse().unwrap();
        encode_request((kind, BodyFormat::of(kind)), &base, &request, "m", None).map_err(|error| error.param)
    };
    let mut stream = request("wav");
    stream["stream"] = true.into();
    for (kind, body, param) in [
        (ProviderKind::GEMINI, request("mp3"), "audio.format"),
        (ProviderKind::GEMINI, stream, "audio.format"),
        (ProviderKind::ANTHROPIC, request("wav"), "modalities"),
    ] {
        assert_eq!(encoded(kind, &body).unwrap_err().as_deref(), Some(param), "{body}");
    }
    assert!(encoded(ProviderKind::GEMINI, &request("wav")).is_ok());
    let mut text = request("mp3");
    text["modalities"] = json!(["text"]);
    assert!(encoded(ProviderKind::ANTHROPIC, &text).is_ok());
    let mut missing = request("wav");
    missing.as_object_mut().unwrap().shift_remove("audio");
    assert_eq!(read(ApiStyle::Chat, &missing).unwrap_err().param.as_deref(), Some("audio"));
}

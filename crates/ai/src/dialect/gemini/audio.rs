//! Transcription by asking the model for the text of a recording.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{AudioTask, Recording, forward::JSON, transcription::Format};

/// Builds the transcription request.
pub(super) fn transcription_request(recording: &Recording, format: Format) -> Value {
    let mut asked = match recording.task {
        AudioTask::Transcribe => {
            "Write down what is said in this recording, word by word, in its own language, and nothing else."
        }
        AudioTask::Translate => "Write down what is said in this recording, translated to English, and nothing else.",
    }
    .to_owned();
    // Writing to a string can't fail.
    if let Some(language) = recording.field("language") {
        let _ = write!(asked, " The language is {language} (ISO 639).");
    }
    if let Some(prompt) = recording.field("prompt") {
        let _ = write!(asked, " Words and style to expect: {prompt}");
    }
    let sound = json!({"mimeType": mime(recording), "data": STANDARD.encode(&recording.file)});
    let mut body = json!({"contents": [{"role": "user", "parts": [{"inlineData": sound}, {"text": asked}]}]});
    let mut config = json!({});
    if let Some(temperature) = recording.field("temperature").and_then(|text| text.parse::<f64>().ok()) {
        config["temperature"] = temperature.into();
    }
    if matches!(format, Format::Srt | Format::Vtt | Format::Verbose) {
        let number = json!({"type": "number", "description": "Seconds from the beginning"});
        let segment = json!({"type": "object", "required": ["start", "end", "text"],
            "properties": {"start": number, "end": number, "text": {"type": "string"}}});
        config["responseMimeType"] = JSON.into();
        config["responseJsonSchema"] = json!({"type": "array", "items": segment});
    }
    body["generationConfig"] = config;
    body
}

/// Media type of a recording as Gemini names it. Many clients send none, so the file extension
/// decides.
fn mime(recording: &Recording) -> String {
    let said = recording.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_told = said.starts_with("audio/") || said.starts_with("video/");
    let end = recording.file_name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let kind = if is_told { said.strip_prefix("audio/").unwrap_or_default() } else { end.as_str() };
    let known = match kind {
        "wav" | "wave" | "x-wav" | "vnd.wave" => "wav",
        "mp3" | "mpeg" | "mpga" => "mp3",
        "m4a" | "mp4" | "x-m4a" => "mp4",
        "ogg" | "oga" | "opus" => "ogg",
        "flac" | "x-flac" => "flac",
        "webm" => "webm",
        "aac" => "aac",
        "aif" | "aiff" | "x-aiff" => "aiff",
        _ => return said,
    };
    format!("audio/{known}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use appcore::work_pool::WorkOwner;

    use super::*;

    #[test]
    fn falls_back_to_the_file_extension() {
        for (content_type, name, expected) in [
            ("audio/wav", "a.mp3", "audio/wav"),
            ("audio/x-wav", "a", "audio/wav"),
            ("audio/mpeg", "a", "audio/mp3"),
            ("application/octet-stream", "Voice.M4A", "audio/mp4"),
            ("", "a.ogg", "audio/ogg"),
            ("audio/webm;codecs=opus", "blob", "audio/webm"),
            ("video/mp4", "a.mp4", "video/mp4"),
            ("application/octet-stream", "recording", "application/octet-stream"),
        ] {
            let recording = Recording {
                task: AudioTask::Transcribe,
                route: Arc::default(),
                request_id: String::new(),
                owner: WorkOwner::System,
                file: bytes::Bytes::from_static(b"RIFF"),
                file_name: name.to_owned(),
                content_type: content_type.to_owned(),
                fields: Vec::new(),
                meter: Arc::default(),
            };
            let asked = transcription_request(&recording, Format::Json);
            assert_eq!(asked["contents"][0]["parts"][0]["inlineData"]["mimeType"], expected, "{content_type} {name}");
        }
    }
}

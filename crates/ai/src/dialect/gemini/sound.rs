//! Sound, of which the model is asked what it hears.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Recording, forward::JSON, transcription::Format};

/// A question for the text of a recording.
pub(super) fn question(recording: &Recording, format: Format) -> Value {
    let mut asked =
        "Write down what is said in this recording, word by word, in its own language, and nothing else.".to_owned();
    // Writing into a string can't fail.
    if let Some(language) = recording.field("language") {
        let _ = write!(asked, " The language is {language} (ISO 639).");
    }
    if let Some(prompt) = recording.field("prompt") {
        let _ = write!(asked, " Words and style to expect: {prompt}");
    }
    let sound = json!({"mimeType": recording.content_type, "data": STANDARD.encode(&recording.file)});
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

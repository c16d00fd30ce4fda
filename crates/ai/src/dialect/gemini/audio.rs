//! Audio: transcription by asking the model for the text of a recording, and spoken answers.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::{
    AudioTask, GatewayError, Recording,
    canonical::{AudioFormat, AudioRequest, PcmAudio},
    forward::JSON,
    transcription::Format,
};

/// Sampling rate of Gemini's audio, in samples per second.
const DEFAULT_RATE: u32 = 24_000;
/// Voices of OpenAI, each with a similar one of Gemini (<https://ai.google.dev/gemini-api/docs/speech-generation>).
const VOICES: [(&str, &str); 13] = [
    ("alloy", "Zephyr"),
    ("ash", "Puck"),
    ("ballad", "Algieba"),
    ("cedar", "Enceladus"),
    ("coral", "Leda"),
    ("echo", "Charon"),
    ("fable", "Fenrir"),
    ("marin", "Despina"),
    ("nova", "Aoede"),
    ("onyx", "Orus"),
    ("sage", "Kore"),
    ("shimmer", "Callirrhoe"),
    ("verse", "Iapetus"),
];

/// Adds the request for a spoken answer to a generation config.
pub(super) fn write_config(
    audio: &AudioRequest,
    is_stream: bool,
    config: &mut Map<String, Value>,
) -> Result<(), GatewayError> {
    let refused = |message: &str| Err(GatewayError::invalid_param("audio.format", message));
    match AudioFormat::parse(&audio.format) {
        None => return refused("This model speaks in the formats `pcm16` and `wav`."),
        Some(AudioFormat::Wav) if is_stream => return refused("A stream of this model has the format `pcm16`."),
        Some(_) => {}
    }
    config.insert("responseModalities".to_owned(), json!(["AUDIO"]));
    if let Some(voice) = &audio.voice {
        let known = VOICES.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(voice));
        let name = known.map_or(voice.as_str(), |(_, name)| name);
        config.insert("speechConfig".to_owned(), json!({"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}));
    }
    Ok(())
}

/// Reads samples of an answer, such as `audio/L16;codec=pcm;rate=24000`. `None` for other media.
pub(super) fn read_pcm(mime: &str, data: &str) -> Option<PcmAudio> {
    let mime = mime.to_ascii_lowercase();
    let (kind, parameters) = mime.split_once(';').unwrap_or((&mime, ""));
    if !matches!(kind.trim(), "audio/l16" | "audio/pcm") {
        return None;
    }
    let rate = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("rate=")?.parse().ok());
    let samples = STANDARD.decode(data).ok()?.into();
    Some(PcmAudio { rate: rate.unwrap_or(DEFAULT_RATE), samples })
}

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
    fn reads_samples_only() {
        let audio = read_pcm("audio/L16;codec=pcm;rate=16000", "AAAA").unwrap();
        assert_eq!((audio.rate, audio.samples.len()), (16_000, 3));
        assert_eq!(read_pcm("audio/pcm", "AAAA").unwrap().rate, DEFAULT_RATE);
        assert_eq!(read_pcm("audio/mpeg", "AAAA"), None);
        assert_eq!(read_pcm("audio/L16", "?"), None);
    }

    #[test]
    fn requests_audio_in_known_formats() {
        let written = |voice: Option<&str>, format: &str, is_stream| {
            let audio = AudioRequest { voice: voice.map(str::to_owned), format: format.to_owned() };
            let mut config = Map::new();
            write_config(&audio, is_stream, &mut config).map(|()| Value::Object(config)).map_err(|error| error.param)
        };
        let voice = |name: &str| {
            json!({"responseModalities": ["AUDIO"],
                "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}}})
        };
        assert_eq!(written(Some("alloy"), "wav", false), Ok(voice("Zephyr")));
        assert_eq!(written(Some("Kore"), "pcm16", true), Ok(voice("Kore")));
        assert_eq!(written(None, "pcm16", false), Ok(json!({"responseModalities": ["AUDIO"]})));
        for (format, is_stream) in [("mp3", false), ("wav", true)] {
            assert_eq!(written(None, format, is_stream), Err(Some("audio.format".to_owned())));
        }
    }

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

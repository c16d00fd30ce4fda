//! Streamed transcriptions: `transcript.text.delta`, and `transcript.text.done` with the whole text
//! and its usage.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    AiError, Finish, Usage,
    dialect::passthrough::{EventReader, PassthroughTap},
    meter::{Meter, quarters},
    provider_http::failure::Failure,
};

pub(super) type TranscriptTap = PassthroughTap<TranscriptEvents>;

/// Meters the events of a stream.
#[derive(Debug, Default)]
pub(crate) struct TranscriptEvents {
    is_done: bool,
}

impl EventReader for TranscriptEvents {
    fn text_quarters(_: &[u8]) -> u64 {
        0
    }

    // A transcription has few events, so all of them are parsed.
    fn is_marked(_: &[u8]) -> bool {
        true
    }

    fn read(&mut self, said: &Value, meter: &Meter) -> Result<(), Failure> {
        match said["type"].as_str() {
            Some("transcript.text.delta") => {
                meter.record_output(quarters(said["delta"].as_str().unwrap_or_default().as_bytes()));
            }
            Some("transcript.text.done") => {
                self.is_done = true;
                record_usage(&said["usage"], meter);
                meter.record_finish(Finish::Stop);
                meter.close();
            }
            // Segments with speakers and unknown events need no metering.
            Some(_) => {}
            None => return Err(AiError::Garbled.into()),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn is_whole(&self) -> bool {
        self.is_done
    }

    fn finish(&mut self, _: &Meter) -> Result<&'static [u8], Failure> {
        Err(AiError::Truncated.into())
    }
}

/// Records the usage of a transcription, if it is in tokens.
pub(super) fn record_usage(counts: &Value, meter: &Meter) {
    if let (Some(input), Some(output)) = (counts["input_tokens"].as_u64(), counts["output_tokens"].as_u64()) {
        let audio = counts["input_token_details"]["audio_tokens"].as_u64();
        meter.record_usage(Usage { input: Some(input), output: Some(output), audio, ..Usage::default() });
    }
}

/// Converts a whole transcription to a stream: many models transcribe everything before they
/// answer.
pub(super) fn frames(whole: &[u8], meter: &Meter) -> Result<Bytes, AiError> {
    let said: Value = serde_json::from_slice(whole).map_err(|_| AiError::Garbled)?;
    let text = said["text"].as_str().ok_or(AiError::Garbled)?;
    let mut done = json!({"type": "transcript.text.done", "text": text});
    if said["usage"].is_object() {
        done["usage"] = said["usage"].clone();
    }
    let delta = json!({"type": "transcript.text.delta", "delta": text});
    meter.record_finish(Finish::Stop);
    Ok(format!("data: {delta}\n\ndata: {done}\n\n").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tapped_stream::Tap as _;

    const DELTA: &str = "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Hello\"}\n\n";
    const DONE: &str = "data: {\"type\":\"transcript.text.done\",\"text\":\"Hello\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":9,\"input_token_details\":{\"audio_tokens\":9},\"output_tokens\":2}}\n\n";

    #[test]
    fn passes_and_meters_events_up_to_the_last() {
        let (mut tap, meter) = (TranscriptTap::default(), Meter::default());
        let passed = tap.pass(Bytes::from(DELTA), &meter).unwrap().unwrap();
        assert_eq!((passed.as_ref(), tap.is_done()), (DELTA.as_bytes(), false));
        assert_eq!((meter.usage().output, meter.usage().estimated), (Some(2), true));
        let passed = tap.pass(format!("{DONE}data: [DONE]\n\n").into(), &meter).unwrap().unwrap();
        assert_eq!((passed.as_ref(), tap.is_done()), (DONE.as_bytes(), true));
        let counted = Usage { input: Some(9), output: Some(2), audio: Some(9), ..Usage::default() };
        assert_eq!((meter.usage(), meter.finish()), (counted, Some(Finish::Stop)));
    }

    #[test]
    fn fails_on_cut_streams_and_errors() {
        let meter = Meter::default();
        assert!(TranscriptTap::default().finish(Bytes::new(), &meter).is_err());
        let refused = TranscriptTap::default().pass("data: {\"error\":{\"code\":429}}\n\n".into(), &meter);
        assert_eq!(refused.unwrap_err().error, AiError::Busy { retry_after: None });
    }

    #[test]
    fn converts_a_whole_transcription_to_a_stream() {
        let meter = Meter::default();
        let written = frames(br#"{"text":"Hello","usage":{"input_tokens":9}}"#, &meter).unwrap();
        let written = String::from_utf8(written.to_vec()).unwrap();
        let events: Vec<Value> = written
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(&event["data: ".len()..]).unwrap())
            .collect();
        let expected = [
            json!({"type": "transcript.text.delta", "delta": "Hello"}),
            json!({"type": "transcript.text.done", "text": "Hello", "usage": {"input_tokens": 9}}),
        ];
        assert_eq!(events, expected);
        assert_eq!(frames(b"[]", &meter), Err(AiError::Garbled));
    }
}

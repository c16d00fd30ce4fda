//! Ends of answers: failures that servers report as a finish reason, and matched stop sequences.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    API_STYLES,
    openai_chat::passthrough::{ChatTap, meter_whole},
    reader, stream_bytes, streamed, whole, writer,
};
use crate::{
    AiError, ApiStyle, Meter, ProviderKind,
    canonical::Request,
    provider_http::failure::Failure,
    tapped_stream::Tap,
    translate::{AnswerParser, FormatConverter, read_whole},
};

const UNAVAILABLE: AiError = AiError::Unavailable { retry_after: None };

/// Ends of a choice, each with the error that they report.
fn failed_ends() -> Vec<(Value, AiError)> {
    let reasons = ["error", "abort", "aborted", "cancelled", "insufficient_system_resource", "engine_overloaded"];
    let mut ends: Vec<(Value, AiError)> =
        reasons.iter().map(|reason| (json!({"finish_reason": reason}), UNAVAILABLE)).collect();
    ends.extend([
        (json!({"finish_reason": "network_error"}), UNAVAILABLE),
        (json!({"finish_reason": "upstream_error"}), UNAVAILABLE),
        (json!({"finish_reason": "timed_out"}), UNAVAILABLE),
        (json!({"finish_reason": "stop", "native_finish_reason": "PROVIDER_OVERLOADED"}), UNAVAILABLE),
        (json!({"finish_reason": "ERROR"}), UNAVAILABLE),
        (json!({"finish_reason": "error", "native_finish_reason": "MALFORMED_FUNCTION_CALL"}), AiError::Garbled),
        (json!({"finish_reason": "stop", "native_finish_reason": "MALFORMED_FUNCTION_CALL"}), AiError::Garbled),
        (json!({"finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"}), AiError::Garbled),
        (json!({"finish_reason": "error", "error": {"code": 502, "message": "Provider disconnected"}}), UNAVAILABLE),
        (
            json!({"finish_reason": "error", "error": {"code": 429, "message": "x"}}),
            AiError::Busy { retry_after: None },
        ),
        (json!({"finish_reason": "stop", "error": {"code": 400, "message": "x"}}), AiError::Rejected),
    ]);
    ends
}

/// A choice whose `name` (`message` or `delta`) is `said`, with this end.
fn choice(name: &str, said: &Value, end: &Value) -> Value {
    let mut choice = json!({"index": 0, name: said});
    choice.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
    json!({"id": "c", "choices": [choice]})
}

fn wire(frames: &[Value]) -> Bytes {
    let frames: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    frames.into()
}

fn converter(style: ApiStyle) -> FormatConverter {
    FormatConverter::new(AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default()), writer(style))
}

#[test]
fn reports_failed_finishes_of_whole_answers() {
    for (end, expected) in failed_ends() {
        for text in ["", "half of the"] {
            let answer = choice("message", &json!({"role": "assistant", "content": text}), &end);
            for style in API_STYLES {
                let failure = whole(ProviderKind::OPENAI, style, &answer).unwrap_err();
                assert_eq!(failure.error, expected, "{style:?} {answer}");
            }
            let failure = meter_whole(answer.to_string().as_bytes(), &Meter::default()).unwrap_err();
            assert_eq!(failure.error, expected, "{answer}");
        }
    }
}

#[test]
fn reports_failed_finishes_before_the_first_output() {
    let start = choice("delta", &json!({"role": "assistant", "content": ""}), &json!({"finish_reason": null}));
    for (end, expected) in failed_ends() {
        let end = choice("delta", &json!({}), &end);
        for style in API_STYLES {
            let (mut tap, meter) = (converter(style), Meter::default());
            assert_eq!(tap.pass(wire(std::slice::from_ref(&start)), &meter).unwrap(), None, "{style:?}");
            assert_eq!(tap.pass(wire(std::slice::from_ref(&end)), &meter).unwrap_err().error, expected, "{style:?}");
        }
        let failure = ChatTap::new(true, false).pass(wire(&[start.clone(), end]), &Meter::default()).unwrap_err();
        assert_eq!(failure.error, expected);
    }
}

#[test]
fn reports_failed_finishes_after_output() {
    let start = choice("delta", &json!({"role": "assistant", "content": "half"}), &json!({"finish_reason": null}));
    for (end, expected) in failed_ends() {
        let frames = wire(&[start.clone(), choice("delta", &json!({"content": " of"}), &end)]);
        for style in API_STYLES {
            let (mut tap, meter) = (converter(style), Meter::default());
            let passed = tap.pass(frames.clone(), &meter).unwrap().unwrap();
            let passed = std::str::from_utf8(&passed).unwrap();
            assert!(passed.contains("half") && passed.contains(" of"), "{style:?} {passed}");
            assert_eq!(tap.failure().map(|failure| failure.error), Some(expected.clone()), "{style:?}");
        }
        let (mut tap, meter) = (ChatTap::new(true, false), Meter::default());
        assert_eq!(tap.pass(frames, &meter).unwrap().unwrap(), wire(std::slice::from_ref(&start)));
        assert_eq!(tap.failure().map(|failure| failure.error), Some(expected));
    }
}

#[test]
fn keeps_the_message_of_a_failed_choice() {
    let end = json!({"finish_reason": "error", "error": {"code": 502, "message": "Provider disconnected"}});
    let answer = choice("message", &json!({"role": "assistant", "content": ""}), &end);
    let message = |failure: Failure| failure.safe_message.map(|words| words.message);
    let failure = whole(ProviderKind::OPENAI, ApiStyle::Messages, &answer).unwrap_err();
    assert_eq!(message(failure).as_deref(), Some("Provider disconnected"));
    let failure = meter_whole(answer.to_string().as_bytes(), &Meter::default()).unwrap_err();
    assert_eq!(message(failure).as_deref(), Some("Provider disconnected"));
}

#[test]
fn accepts_unknown_finish_reasons() {
    for reason in ["eos", "stop", "COMPLETE", "anything"] {
        let end = json!({"finish_reason": reason, "native_finish_reason": "STOP", "error": null});
        let answer = choice("message", &json!({"role": "assistant", "content": "a"}), &end);
        let (message, _) = whole(ProviderKind::OPENAI, ApiStyle::Messages, &answer).unwrap();
        assert_eq!(message["stop_reason"], "end_turn", "{reason}");
        assert_eq!(meter_whole(answer.to_string().as_bytes(), &Meter::default()), Ok(()), "{reason}");
        let frames = [choice("delta", &json!({"role": "assistant", "content": "a"}), &end)];
        let (events, _) = streamed(ProviderKind::OPENAI, ApiStyle::Messages, &frames).unwrap();
        assert!(events.iter().any(|event| event["delta"]["stop_reason"] == "end_turn"), "{reason}");
    }
}

#[test]
fn reports_failed_finishes_of_other_formats() {
    let said = json!([{"type": "text", "text": "half"}]);
    let message = json!({"type": "message", "content": said, "stop_reason": "abort", "usage": {}});
    assert_eq!(whole(ProviderKind::ANTHROPIC, ApiStyle::Chat, &message).unwrap_err().error, UNAVAILABLE);
    let frames = wire(&[
        json!({"type": "message_start", "message": {}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "error"}}),
    ]);
    let failure = stream_bytes(ProviderKind::ANTHROPIC, ApiStyle::Chat, vec![frames]).unwrap_err();
    assert_eq!(failure.error, UNAVAILABLE);
    for reason in ["MALFORMED_FUNCTION_CALL", "TOO_MANY_TOOL_CALLS", "UNEXPECTED_TOOL_CALL"] {
        let answer = json!({"candidates": [{"content": {"parts": [{"text": "half"}]}, "finishReason": reason}]});
        assert_eq!(whole(ProviderKind::GEMINI, ApiStyle::Chat, &answer).unwrap_err().error, AiError::Garbled);
    }
}

/// Whole answer and stream that end at the stop sequence `STOP`.
fn stopped(kind: ProviderKind, field: &str) -> (Value, Vec<Value>) {
    if kind == ProviderKind::ANTHROPIC {
        let end = json!({"stop_reason": "stop_sequence", "stop_sequence": "STOP"});
        let whole = json!({"type": "message", "content": [{"type": "text", "text": "A B "}], "stop_reason": "stop_sequence",
            "stop_sequence": "STOP"});
        let text = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "A B "}});
        return (whole, vec![text, json!({"type": "message_delta", "delta": end}), json!({"type": "message_stop"})]);
    }
    let said = json!({"role": "assistant", "content": "A B "});
    let end = json!({"finish_reason": "stop", field: "STOP"});
    (choice("message", &said, &end), vec![choice("delta", &said, &json!({})), choice("delta", &json!({}), &end)])
}

#[test]
fn names_the_matched_stop_sequence_in_messages() {
    let vllm = (ProviderKind::OPENAI, "stop_reason");
    for (kind, field) in [vllm, (ProviderKind::OPENAI, "matched_stop"), (ProviderKind::ANTHROPIC, "")] {
        let (answer, frames) = stopped(kind, field);
        let (message, _) = whole(kind, ApiStyle::Messages, &answer).unwrap();
        let named = (&message["stop_reason"], &message["stop_sequence"]);
        assert_eq!(named, (&json!("stop_sequence"), &json!("STOP")), "{kind:?} {field}");
        let (events, _) = streamed(kind, ApiStyle::Messages, &frames).unwrap();
        let end = events.iter().find(|event| event["type"] == "message_delta").unwrap();
        assert_eq!(end["delta"], json!({"stop_reason": "stop_sequence", "stop_sequence": "STOP"}), "{kind:?} {field}");
        let (chat, _) = whole(kind, ApiStyle::Chat, &answer).unwrap();
        assert_eq!(chat["choices"][0]["finish_reason"], "stop", "{kind:?} {field}");
        let (response, _) = whole(kind, ApiStyle::Responses, &answer).unwrap();
        assert_eq!(response["status"], "completed", "{kind:?} {field}");
    }
}

#[test]
fn ignores_other_stops() {
    let said = json!({"role": "assistant", "content": "A B "});
    for end in [
        json!({"finish_reason": "stop", "stop_reason": null}),
        json!({"finish_reason": "stop", "stop_reason": 151_645}),
        json!({"finish_reason": "stop", "matched_stop": 151_645}),
    ] {
        let (message, _) = whole(ProviderKind::OPENAI, ApiStyle::Messages, &choice("message", &said, &end)).unwrap();
        assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!("end_turn"), &Value::Null), "{end}");
    }
    let cut = json!({"finish_reason": "length", "stop_reason": "STOP"});
    let (message, _) = whole(ProviderKind::OPENAI, ApiStyle::Messages, &choice("message", &said, &cut)).unwrap();
    assert_eq!((&message["stop_reason"], &message["stop_sequence"]), (&json!("max_tokens"), &Value::Null));
    for (stop, expected) in [("STOP", Some("STOP")), ("<|im_end|>", None)] {
        let asked = Request { stop: vec!["STOP".to_owned()], ..Request::default() };
        let parser = AnswerParser::new(reader(ProviderKind::OPENAI), std::sync::Arc::default()).with_tools(&asked);
        let answer = choice("message", &said, &json!({"finish_reason": "stop", "matched_stop": stop}));
        let (answer, _) = read_whole(answer.to_string().as_bytes(), parser, &Meter::default()).unwrap();
        assert_eq!(answer.choices[0].stop_sequence.as_deref(), expected, "{stop}");
    }
}

#[test]
fn reads_the_finish_reasons_of_other_servers() {
    for (reason, expected) in [
        ("MAX_TOKENS", "length"),
        ("max_new_tokens", "length"),
        ("content_filter: RECITATION", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("guardrail_intervened", "content_filter"),
        ("eos", "stop"),
        ("STOP", "stop"),
    ] {
        let said = json!({"role": "assistant", "content": "x"});
        let body = choice("message", &said, &json!({"finish_reason": reason}));
        let (answer, _) = whole(ProviderKind::OPENAI, ApiStyle::Chat, &body).unwrap();
        assert_eq!(answer["choices"][0]["finish_reason"], expected, "{reason}");
    }
}

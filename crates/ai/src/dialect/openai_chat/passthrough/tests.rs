use super::{
    super::{has_newer_limit, may_ignore_limit},
    *,
};
use crate::Usage;

fn rewritten(body: &str) -> (String, bool) {
    let out = rewrite_request(&Bytes::copy_from_slice(body.as_bytes()), "up\"stream", true).unwrap();
    (String::from_utf8(out.body.to_vec()).unwrap(), out.wants_usage)
}

#[test]
fn rewrites_only_model_and_usage() {
    assert_eq!(
        rewritten(r#"{ "a":1, "model" : "m", "messages":[] }"#),
        (r#"{ "a":1, "model" : "up\"stream", "messages":[] }"#.to_owned(), false)
    );
    assert_eq!(
        rewritten(r#"{"model":"m","stream":true}"#),
        (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), false)
    );
    assert_eq!(
        rewritten(r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#),
        (r#"{"stream_options":{"include_usage":true},"model":"up\"stream","stream":true}"#.to_owned(), true)
    );
    assert_eq!(
        rewritten(r#"{"stream":true,"stream_options":{"x":1},"model":"m"}"#),
        (r#"{"stream":true,"stream_options":{"x":1,"include_usage":true},"model":"up\"stream"}"#.to_owned(), false)
    );
}

#[test]
fn sends_one_limit_under_the_known_name() {
    let sent = |body: &str, knows_newer: bool| {
        let out = rewrite_request(&Bytes::copy_from_slice(body.as_bytes()), "m", knows_newer).unwrap();
        String::from_utf8(out.body.to_vec()).unwrap()
    };
    for (body, newer, older) in [
        (r#"{"model":"m", "max_tokens":5}"#, r#"{"model":"m", "max_tokens":5}"#, r#"{"model":"m", "max_tokens":5}"#),
        (
            r#"{"model":"m", "max_completion_tokens":5}"#,
            r#"{"model":"m", "max_completion_tokens":5}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":9,"model":"m","max_completion_tokens":5}"#,
            r#"{"model":"m","max_completion_tokens":5}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
            r#"{"max_tokens":null,"max\u005fcompletion_tokens":5,"model":"m"}"#,
            r#"{"max_tokens":5,"model":"m"}"#,
        ),
        (
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
            r#"{"max_tokens":9,"max_completion_tokens":null,"model":"m"}"#,
        ),
    ] {
        assert_eq!((sent(body, true).as_str(), sent(body, false).as_str()), (newer, older), "{body}");
    }
}

#[test]
fn selects_the_limit_name_by_server_and_model() {
    let of = |base: &str, model: &str| {
        let base = base.parse().unwrap();
        (has_newer_limit(&base, model), may_ignore_limit(&base, model))
    };
    for (base, model, expected) in [
        ("https://api.openai.com/v1", "gpt-4o", (true, false)),
        ("https://api.openai.com/v1", "gpt-5", (true, false)),
        ("https://mine.openai.azure.com/openai/v1", "my-deployment", (true, false)),
        ("https://api.groq.com/openai/v1", "llama-4", (true, false)),
        ("https://openrouter.ai/api/v1", "openai/gpt-5", (true, false)),
        ("http://127.0.0.1:4000/v1", "openai/gpt-5-mini", (true, true)),
        ("http://127.0.0.1:11434/v1", "gemma4:12b", (false, false)),
        ("https://openai.example.org/v1", "gpt-4o", (false, false)),
    ] {
        assert_eq!(of(base, model), expected, "{base} {model}");
    }
}

fn pass(wants_usage: bool, blocks: &[&'static str]) -> (String, Usage) {
    let (mut tap, meter) = (ChatTap::new(wants_usage, false), Meter::default());
    let mut out = Vec::new();
    for block in blocks {
        out.extend(tap.pass(Bytes::from_static(block.as_bytes()), &meter).unwrap().unwrap_or_default());
    }
    out.extend(tap.finish(Bytes::new(), &meter).unwrap().unwrap_or_default());
    (String::from_utf8(out).unwrap(), meter.usage())
}

const HELLO: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":null}],\"usage\":null}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const COUNTS: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[test]
fn passes_the_usage_frame_only_if_requested() {
    let counted = Usage { input: Some(3), output: Some(2), cached: Some(0), ..Usage::default() };
    assert_eq!(pass(true, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, COUNTS, DONE].concat(), counted));
    assert_eq!(pass(false, &[HELLO, STOP, COUNTS, DONE]), ([HELLO, STOP, DONE].concat(), counted));
}

#[test]
fn adds_frames_that_the_server_omits() {
    let (text, usage) = pass(true, &[HELLO, DONE]);
    let frames: Vec<&str> = text.split("\n\n").collect();
    assert!(frames[1].contains(r#""finish_reason":"stop""#), "{text}");
    let [null, none, next] = [r#""role" : null,"x":1"#, "", r#""content":"a""#]
        .map(|delta| format!("data: {{\"choices\":[{{\"delta\":{{{delta}}}}}]}}\n\n"));
    for (first, expected) in [(null, r#""role" : "assistant","x":1"#), (none, r#""role":"assistant""#)] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        let mut pass = |frame: &str| tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap().unwrap();
        assert_eq!(pass(&first), format!("data: {{\"choices\":[{{\"delta\":{{{expected}}}}}]}}\n\n"));
        assert_eq!(pass(&next), next);
    }
    assert!(frames[2].contains(r#""choices":[]"#) && frames[2].contains(r#""completion_tokens":2"#), "{text}");
    assert!(text.ends_with(DONE));
    assert_eq!(usage, Usage { input: Some(0), output: Some(2), estimated: true, ..Usage::default() });
    assert_eq!(pass(false, &[HELLO, STOP]).0, [HELLO, STOP, DONE].concat(), "a clean end after the finish");
}

#[test]
fn ends_the_stream_at_a_broken_frame() {
    let more = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}\n\n";
    for broken in ["data: {\"cho\n\n", "data: {\"a\":1}{\"a\":2}\n\n", "data: plain\n\n"] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        for frame in [HELLO, more] {
            assert_eq!(tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap().unwrap(), frame);
        }
        let passed = tap.pass(Bytes::from([more, broken, STOP].concat()), &meter).unwrap().unwrap();
        assert_eq!((passed.as_ref(), tap.failure()), (more.as_bytes(), Some(AiError::Garbled.into())), "{broken}");
    }
}

#[test]
fn drops_foreign_lines() {
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    let more = "{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"more\"}}]}";
    tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
    for frame in [format!("event: chunk\nid: 7\ndata: {more}\n\n"), format!("data: {more}\nretry: 10\n\n")] {
        let passed = tap.pass(Bytes::from(frame), &meter).unwrap().unwrap();
        assert_eq!(passed, format!("data: {more}\n\n"));
    }
    assert_eq!(tap.pass(Bytes::from_static(b"id: 7\n\n"), &meter).unwrap(), None);
    assert_eq!(tap.pass(Bytes::from_static(b": ping\n\n"), &meter).unwrap().unwrap(), ": ping\n\n");
}

#[test]
fn ignores_empty_finish_reasons() {
    let piece = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"\"}]}\n\n";
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    for _ in 0..2 {
        tap.pass(Bytes::from_static(piece.as_bytes()), &meter).unwrap();
        assert!(!tap.is_whole());
    }
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
    assert!(pass(false, &[piece, DONE]).0.contains(r#""finish_reason":"stop""#));
}

#[test]
fn infers_a_missing_finish_reason() {
    let call = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n";
    assert!(pass(false, &[call, DONE]).0.contains(r#""finish_reason":"tool_calls""#));
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    assert_eq!(tap.pass(Bytes::from_static(DONE.as_bytes()), &meter), Err(AiError::Empty.into()), "no output");
}

#[test]
fn tolerates_malformed_usage() {
    let told = |usage: &str| {
        let end =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],{usage}}}\n\n");
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        for frame in [HELLO, &end, DONE] {
            tap.pass(Bytes::copy_from_slice(frame.as_bytes()), &meter).unwrap();
        }
        let whole =
            format!("{{\"choices\":[{{\"message\":{{\"content\":\"Hello\"}},\"finish_reason\":\"stop\"}}],{usage}}}");
        let in_one_piece = Meter::default();
        meter_whole(whole.as_bytes(), &in_one_piece).unwrap();
        assert_eq!(in_one_piece.usage().input, meter.usage().input, "{usage}");
        (meter.usage().input, meter.usage().output)
    };
    assert_eq!(told(r#""usage":{"prompt_tokens":57.0,"completion_tokens":17.92}"#), (Some(57), Some(18)));
    assert_eq!(told(r#""usage":null,"usage":{"prompt_tokens":1,"completion_tokens":2}"#), (Some(1), Some(2)));
    for odd in [
        r#""usage":{"prompt_tokens":-1,"completion_tokens":"3","prompt_tokens_details":[]}"#,
        r#""usage":[]"#,
        r#""usage":7"#,
    ] {
        assert_eq!(told(odd).0, Some(0), "{odd}: by an estimate");
    }
}

#[test]
fn reports_streams_without_an_end_as_cut() {
    let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
    tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
    assert_eq!(tap.finish(Bytes::from_static(b"data: {\"cho"), &meter), Err(AiError::Garbled.into()));
}

#[test]
fn waits_for_the_last_choice() {
    let frame = |index: u32, rest: &str| {
        Bytes::from(format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"role\":\"assistant\"}}{rest}}}]}}\n\n"
        ))
    };
    let ended = r#","finish_reason":"stop""#;
    let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
    for (index, rest, is_whole) in [(0, "", false), (1, "", false), (1, ended, false), (0, ended, true)] {
        tap.pass(frame(index, rest), &meter).unwrap();
        assert_eq!(tap.is_whole(), is_whole, "{index}{rest}");
    }
    let (mut tap, meter) = (ChatTap::new(false, true), Meter::default());
    tap.pass([frame(0, ""), frame(1, ended)].concat().into(), &meter).unwrap();
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
}

#[test]
fn recognises_errors_of_any_shape() {
    for frame in [
        "data: {\"error\":{\"message\":\"x\",\"code\":429}}\n\n",
        "event: error\ndata: {\"error\":{\"code\":429}}\n\n",
        "{\"object\":\"error\",\"code\":429}\n\n",
    ] {
        let (mut tap, meter) = (ChatTap::new(false, false), Meter::default());
        tap.pass(Bytes::from_static(HELLO.as_bytes()), &meter).unwrap();
        let failed = tap.pass(Bytes::from_static(frame.as_bytes()), &meter).unwrap_err();
        assert_eq!(failed.error, AiError::Busy { retry_after: None }, "{frame}");
    }
}

#[test]
fn measures_text_without_parsing() {
    assert_eq!(estimate_text_quarters(br#"{"content":"ab\"cd","reasoning_content":"ef","x":"content"}"#), 8);
    assert_eq!(estimate_text_quarters(r#"{"content": "日","arguments":"{}"}"#.as_bytes()), 6);
    assert_eq!(estimate_text_quarters(br#"{"content":null,"content":"#), 0);
}

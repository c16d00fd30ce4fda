use proptest::prelude::*;

use super::{survey::VIDEO_TOKENS, *};

fn inspected(style: ApiStyle, body: &str) -> Result<(String, bool, Option<u64>, u64), String> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    inspect_body(style, &body)
        .map(|RequestInfo { model, stream, estimate: wanted, .. }| {
            (model.into_owned(), stream, wanted.max_output, wanted.choices)
        })
        .map_err(|error| error.message().to_owned())
}

#[test]
fn reads_the_limit_of_each_format() {
    let body = r#"{"model":"m","stream":null,"max_tokens":5,"max_completion_tokens":7,"max_output_tokens":9,"n":2}"#;
    assert_eq!(inspected(ApiStyle::Chat, body), Ok(("m".to_owned(), false, Some(7), 2)));
    assert_eq!(inspected(ApiStyle::Responses, body), Ok(("m".to_owned(), false, Some(9), 1)));
    assert_eq!(inspected(ApiStyle::Messages, body), Ok(("m".to_owned(), false, Some(5), 1)));
    assert_eq!(inspected(ApiStyle::Chat, r#"{"model":"a\/b","stream":true}"#), Ok(("a/b".to_owned(), true, None, 1)));
    let hidden = r#"{"model":"m","max_tokens":900,"max_completion_tokens":1}"#;
    assert_eq!(inspected(ApiStyle::Chat, hidden), Ok(("m".to_owned(), false, Some(900), 1)));
}

#[test]
fn treats_zero_as_unlimited_and_counts_predictions() {
    let most = |style, rest: &str| inspected(style, &format!(r#"{{"model":"m",{rest}}}"#)).unwrap().2;
    assert_eq!(most(ApiStyle::Chat, r#""max_tokens":0"#), None);
    assert_eq!(most(ApiStyle::Chat, r#""max_tokens":0,"max_completion_tokens":7"#), Some(7));
    assert_eq!(most(ApiStyle::Responses, r#""max_output_tokens":0"#), None);
    assert_eq!(most(ApiStyle::Messages, r#""max_tokens":0"#), None);
    let text = "what was said ".repeat(1_000);
    let predicted = |prediction: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m","max_tokens":1,"prediction":{prediction}}}"#));
        let wanted = inspect_body(ApiStyle::Chat, &body).unwrap().estimate;
        (wanted.max_output, wanted.predicted)
    };
    let (limit, tokens) = predicted(&format!(r#"{{"type":"content","content":"{text}"}}"#));
    assert!(limit == Some(1) && (3_500..3_600).contains(&tokens), "{tokens}");
    assert_eq!(predicted("null"), (Some(1), 0));
}

#[test]
fn detects_compaction() {
    let is_shortened = |style: ApiStyle, edit: &str| {
        let body = format!(r#"{{"model":"m","context_management":{{"edits":[{{"type":"{edit}"}}]}}}}"#);
        inspect_body(style, &Bytes::from(body)).unwrap().estimate.is_shortened
    };
    assert!(is_shortened(ApiStyle::Messages, "compact_20260112"));
    assert!(is_shortened(ApiStyle::Messages, r"compact\u005f20260112"));
    assert!(!is_shortened(ApiStyle::Messages, "clear_tool_uses_20250919"));
    assert!(!is_shortened(ApiStyle::Chat, "compact_20260112"));
}

#[tokio::test]
async fn normalises_bodies_like_most_libraries() {
    let look = async |body: &str| {
        super::inspect(WorkOwner::System, ApiStyle::Chat, &Bytes::copy_from_slice(body.as_bytes())).await
    };
    let body =
        r#"{"model":"m","stream":true,"max_tokens":4096.0,"n":1.0,"messages":[],"stream":false,"temperature":0.5}"#;
    let RequestInfo { stream, estimate: wanted, normalised_body, .. } = look(body).await.unwrap();
    assert_eq!((stream, wanted.max_output, wanted.choices), (false, Some(4_096), 1));
    let written = r#"{"model":"m","stream":false,"max_tokens":4096,"n":1,"messages":[],"temperature":0.5}"#;
    assert_eq!(normalised_body.as_deref(), Some(written.as_bytes()));
    assert_eq!(look(r#"{"model":"m","max_tokens":4096,"odd":1,"odd":2}"#).await.unwrap().normalised_body, None);
    let marked = look("\u{feff}{\"model\":\"m\",\"messages\":[]}").await.unwrap();
    assert_eq!(marked.normalised_body.as_deref(), Some(br#"{"model":"m","messages":[]}"#.as_slice()));
    for wrong in [r#"{"model":"m","n":1.5}"#, r#"{"model":"m","max_tokens":"9"}"#, r#"{"model":7,"n":1.0}"#, "[1.0]"] {
        assert!(look(wrong).await.is_err(), "{wrong}");
    }
    for (wrong, param) in [
        (r#"{"model":"m","n":1.5}"#, "n"),
        (r#"{"model":"m","max_tokens":"9"}"#, "max_tokens"),
        (r#"{"model":"m","max_completion_tokens":-1}"#, "max_completion_tokens"),
        (r#"{"model":"m","stream":"true"}"#, "stream"),
        (r#"{"model":7,"n":1.0}"#, "model"),
    ] {
        assert_eq!(look(wrong).await.unwrap_err().param.as_deref(), Some(param), "{wrong}");
    }
    let many = format!(r#"{{"model":"m","n":1.0,"messages":[{}{{}}]}}"#, "{},".repeat(MAX_ITEMS));
    assert_eq!(super::normalised(many.as_bytes()), None);
}

#[test]
fn detects_hosted_searches() {
    let searches = |style: ApiStyle, tools: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m","messages":[],"tools":{tools}}}"#));
        inspect_body(style, &body).unwrap().estimate.tools.searches
    };
    for (tools, found) in [
        (r#"[{"type":"web_search_20250305","name":"web_search","max_uses":3},{"name":"f"}]"#, 3),
        (r#"[{"type":"web_search_20250305","name":"web_search"}]"#, 30),
        (r#"[{"type":"web_search_20250305","max_uses":1},{"type":"web_search_20260209","max_uses":"x"}]"#, 31),
        (r#"[{"type":"web\u005fsearch_20250305","max_uses":2}]"#, 2),
        (r#"[{"name":"web_search","input_schema":{}}]"#, 0),
        ("[]", 0),
        ("\"web_search\"", 0),
    ] {
        assert_eq!(searches(ApiStyle::Messages, tools), found, "{tools}");
        assert_eq!(searches(ApiStyle::Chat, tools), 0);
    }
}

#[test]
fn parses_or_rejects_billed_tools() {
    let refused = |style: ApiStyle, tools: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m","tools":[{tools}]}}"#));
        inspect_body(style, &body).map(drop).map_err(|error| error.param)
    };
    for style in [ApiStyle::Responses, ApiStyle::Messages] {
        for unreadable in [r#""\ud83d""#, "1e999"] {
            let function = format!(r#"{{"name":"f","description":{unreadable}}}"#);
            assert_eq!(refused(style, &function), Ok(()), "no server tool is named");
            let beside = format!(r#"{{"type":"web_search_20250305"}},{function}"#);
            assert_eq!(refused(style, &beside), Err(Some("tools".to_owned())), "{unreadable}");
        }
    }
}

#[test]
fn detects_unbounded_tools() {
    let is_open = |style: ApiStyle, rest: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m",{rest}}}"#));
        inspect_body(style, &body).unwrap().estimate.has_open_tools
    };
    assert!(is_open(ApiStyle::Messages, r#""tools":[{"type":"web_search_20250305"}]"#));
    assert!(!is_open(ApiStyle::Messages, r#""tools":[{"type":"web_search_20250305","max_uses":3},{"name":"f"}]"#));
    assert!(is_open(ApiStyle::Responses, r#""tools":[{"type":"web_search"}]"#));
    assert!(!is_open(ApiStyle::Responses, r#""tools":[{"type":"web_search"}],"max_tool_calls":3"#));
    assert!(!is_open(ApiStyle::Responses, r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#));
    assert!(!is_open(ApiStyle::Chat, r#""web_search_options":{}"#));
}

#[test]
fn detects_billed_code_containers() {
    let containers = |tools: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m","messages":[],"tools":[{tools}]}}"#));
        inspect_body(ApiStyle::Messages, &body).unwrap().estimate.tools.containers
    };
    let code = r#"{"type":"code_execution_20250825","name":"code_execution"}"#;
    assert_eq!(containers(code), 1);
    assert_eq!(containers(r#"{"type":"code\u005fexecution_20260120"}"#), 1);
    assert_eq!(containers(r#"{"name":"code_execution","input_schema":{}}"#), 0);
    for (beside, paid) in
        [("web_search_20250305", 1), ("web_search_20260209", 0), ("web_fetch_20260209", 0), ("web_fetch_20270101", 0)]
    {
        assert_eq!(containers(&format!(r#"{code},{{"type":"{beside}"}}"#)), paid, "{beside}");
    }
}

#[test]
fn detects_web_search_in_chat_completions() {
    let searches = |options: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m",{options}"messages":[]}}"#));
        inspect_body(ApiStyle::Chat, &body).unwrap().estimate.tools.searches
    };
    assert_eq!(searches(""), 0);
    assert_eq!(searches(r#""web_search_options":null,"#), 0);
    assert_eq!(searches(r#""web_search_options":{},"#), 1);
    assert_eq!(searches(r#""web\u005fsearch_options":{"search_context_size":"low"},"#), 1);
}

#[test]
fn detects_audio_input_and_output() {
    let has_sound = |rest: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
        inspect_body(ApiStyle::Chat, &body).unwrap().estimate.has_audio
    };
    assert!(has_sound(r#","modalities":["text","audio"],"audio":{"voice":"alloy"}"#));
    assert!(has_sound(r#","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#));
    assert!(has_sound(r#","messages":[{"role":"user","content":[{"type":"input\u005faudio"}]}]"#));
    assert!(!has_sound(r#","modalities":["text"]"#) && !has_sound(r#","messages":"my \"audio\"""#));
}

#[test]
fn detects_recordings_and_videos_in_all_formats() {
    let found = |style: ApiStyle, content: &str| {
        let field = if style == ApiStyle::Responses { "input" } else { "messages" };
        let body = format!(r#"{{"model":"m","{field}":[{{"role":"user","content":[{content}]}}]}}"#);
        let wanted = inspect_body(style, &Bytes::from(body)).unwrap().estimate;
        (wanted.has_audio, wanted.input > VIDEO_TOKENS)
    };
    let [chat, responses, messages] = [ApiStyle::Chat, ApiStyle::Responses, ApiStyle::Messages];
    for (style, sent) in [
        (chat, r#"{"type":"file","file":{"file_data":"data:audio/mp3;base64,AAAA"}}"#),
        (chat, r#"{"type":"image_url","image_url":{"url":"data:VIDEO\/mp4;base64,AAAA"}}"#),
        (chat, r#"{"type":"file","file":{"file_data":"data:\u0041UDIO/mp3;base64,AAAA"}}"#),
        (responses, r#"{"type":"input_audio","input_audio":{"format":"wav","data":"AAAA"}}"#),
        (responses, r#"{"type":"input_file","file_data":"data:audio\u002fwav;base64,AAAA"}"#),
        (messages, r#"{"type":"document","source":{"type":"base64","media_type":"audio/wav","data":"AAAA"}}"#),
    ] {
        assert_eq!(found(style, sent), (true, false), "{sent}");
    }
    let film = "https://www.youtube.com/watch?v=x";
    for (style, named) in [
        (chat, format!(r#"{{"type":"image_url","image_url":{{"url":"{film}"}}}}"#)),
        (chat, format!(r#"{{"type":"image\u005furl","image\u005furl":{{"url":"{film}"}}}}"#)),
        (chat, format!(r#"{{"type":"text","text":"\ud83d"}},{{"type":"image_url","image_url":{{"url":"{film}"}}}}"#)),
        (responses, format!(r#"{{"type":"input_file","file_url":"{film}"}}"#)),
        (messages, format!(r#"{{"type":"document","source":{{"type":"url","url":"{film}"}}}}"#)),
    ] {
        assert_eq!(found(style, &named), (true, true), "{named}");
    }
    for (style, plain) in [
        (chat, r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#),
        (messages, r#"{"type":"text","text":"see https://www.youtube.com/watch?v=x and audio"}"#),
    ] {
        assert_eq!(found(style, plain), (false, false), "{plain}");
    }
}

#[test]
fn detects_reproducible_requests() {
    let is_repeatable = |rest: &str| {
        let body = Bytes::from(format!(r#"{{"model":"m"{rest}}}"#));
        inspect_body(ApiStyle::Chat, &body).unwrap().is_repeatable
    };
    assert!([r#","temperature":0"#, r#","temperature":0.0"#, r#","seed":7"#].into_iter().all(is_repeatable));
    let others = ["", r#","temperature":0.1"#, r#","temperature":null,"seed":null"#, r#","temperature":"0""#];
    assert!(!others.into_iter().any(is_repeatable));
}

#[test]
fn reports_invalid_bodies() {
    for body in
        ["", "{", "[]", "3", r#"{"model":7}"#, r#"{"stream":true}"#, r#"{"model":""}"#, r#"{"model":"m","n":0}"#]
    {
        assert!(inspected(ApiStyle::Chat, body).is_err(), "{body}");
    }
    assert!(inspected(ApiStyle::Chat, r#"{"model":"m","stream":"yes"}"#).unwrap_err().contains("boolean"));
}

#[test]
fn counts_media_only_at_their_positions() {
    let data = "iVBORw0KGgo".repeat(20_000);
    let slashed = data.replace("Rw", "Rw\\/");
    let count = |content: &str| estimate(format!(r#"{{"messages":[{{"content":[{content}]}}]}}"#).as_bytes());
    for medium in [
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#),
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{slashed}"}}}}"#),
        format!(r#"{{"type":"input_image","image_url":"data:image/png;base64,{data}"}}"#),
        format!(r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#),
        format!(r#"{{"type":"input_audio","input_audio":{{"format":"wav","data":"{data}"}}}}"#),
        format!(r#"{{"type":"file","file":{{"filename":"a.pdf","file_data":"data:application/pdf;base64,{data}"}}}}"#),
    ] {
        let tokens = count(&medium);
        assert!((1_000..3_000).contains(&tokens), "{tokens}: {:.60}", medium);
    }
    for text in [
        format!(r#"{{"type":"text","text":"{data}"}}"#),
        format!(r#"{{"type":"text","text":"data:image/png;base64,{data}"}}"#),
        format!(r#"{{"type":"tool_use","input":{{"source":{{"data":"{data}"}}}}}}"#),
        format!(r#"{{"function":{{"arguments":{{"image_url":"{data}"}}}}}}"#),
        format!(r#"{{"parameters":{{"image_url":{{"url":"{data}"}}}}}}"#),
    ] {
        let tokens = count(&text);
        assert!(tokens > data.len() as u64 / 3, "{tokens}: {:.60}", text);
    }
    let asked = format!(r#"{{"input":[{{"content":[{{"type":"input_image","image_url":"{data}"}}]}}]}}"#);
    assert!(estimate(asked.as_bytes()) < 3_000, "the Responses API names its messages `input`");
    assert!(count(r#"{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}"#) > 1_000);
    assert!(count(r#"{"type":"file","file":{"file_id":"file-1"}}"#) > 20_000);
    let text = "what was said ".repeat(1_000);
    assert_eq!(estimate(text.as_bytes()), 3_500);
}

#[test]
fn limits_messages_and_parts() {
    let asked = |style, field: &str, count: usize, item: &str| {
        let items = vec![item; count].join(",");
        let body = Bytes::from(format!(r#"{{"model":"m","{field}":[{items}]}}"#));
        inspect_body(style, &body).err().and_then(|error| error.param)
    };
    let message = r#"{"role":"user","content":[{"type":"text","text":"{ { {"}]}"#;
    assert_eq!(asked(ApiStyle::Chat, "messages", 5_000, message), None);
    assert_eq!(asked(ApiStyle::Chat, "messages", 5_001, message).as_deref(), Some("messages"));
    assert_eq!(asked(ApiStyle::Responses, "input", 10_001, "{}").as_deref(), Some("input"));
    assert_eq!(asked(ApiStyle::Messages, "messages", 10_001, "{}").as_deref(), Some("messages"));
    let called = r#"{"role":"assistant","content":[{"type":"tool_use","input":{"rows":[{},{},{}]}}]}"#;
    assert_eq!(asked(ApiStyle::Messages, "messages", 5_000, called), None, "tool arguments are data");
    assert_eq!(asked(ApiStyle::Chat, "input", 200_000, "7"), None);
}

proptest! {
    #[test]
    fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let body = Bytes::from(body);
        let _ = (inspect_body(ApiStyle::Chat, &body).is_ok(), estimate(&body));
    }
}

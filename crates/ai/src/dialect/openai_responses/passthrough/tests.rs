use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::tapped_stream::Tap;

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"error\":null}}\n\n";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hello\"}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"status\":\"completed\",\"error\":null,\"output\":[],\"usage\":{\"input_tokens\":3,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":0}}}}\n\n";
const FAILED: &str = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}}\n\n";

const HOSTED: PassthroughTerms = PassthroughTerms { hosted: true, is_stored: false, thinks: None };

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn disables_storage_at_the_provider() {
    let rewritten = |body: &'static str| {
        rewrite_request(&bytes(body), "best", PassthroughTerms::default()).map(|request| request.body).unwrap()
    };
    assert_eq!(rewritten(r#"{"model":"m","input":"x"}"#), r#"{"store":false,"model":"best","input":"x"}"#);
    assert_eq!(rewritten(r#"{"store": true,"model":"m"}"#), r#"{"store": false,"model":"best"}"#);
    assert_eq!(rewritten(r#"{"model":"m","store":null}"#), r#"{"model":"best","store":false}"#);
}

#[test]
fn strips_hosted_tools_unless_allowed() {
    let rewritten = |body: String, hosted| {
        let terms = PassthroughTerms { hosted, ..PassthroughTerms::default() };
        let request = rewrite_request(&Bytes::from(body), "m", terms).unwrap();
        serde_json::from_slice::<Value>(&request.body).unwrap()
    };
    let custom = json!({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"}});
    let space = json!({"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]});
    let shell = json!({"type": "shell", "environment": {"type": "local"}});
    let away = json!({"type": "shell", "environment": {"type": "container_auto"}});
    let search = json!({"type": "web_search", "external_web_access": false});
    let later = |tools: Value| json!({"type": "additional_tools", "role": "developer", "tools": tools});
    let items = json!([
        {"role": "user", "content": "x"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "the word \"file_id\" is no file"},
    ]);
    let mut input = items.as_array().unwrap().clone();
    input.push(later(json!([search, space])));
    let body = json!({"model": "m", "store": false, "tools": [custom, search, space, shell, away, {"type": "image_generation"}], "input": input,
        "tool_choice": {"type": "web_search"}, "include": ["reasoning.encrypted_content"], "client_metadata": {"a": "b"}});
    let kept = rewritten(body.to_string(), false);
    assert_eq!((&kept["tools"], &kept["tool_choice"]), (&json!([custom, space, shell]), &json!("auto")));
    assert_eq!((&kept["input"][3], &kept["client_metadata"]), (&later(json!([space])), &json!({"a": "b"})));
    assert_eq!(kept["input"].as_array().unwrap()[..3], items.as_array().unwrap()[..]);
    assert_eq!(rewritten(body.to_string(), true), body);
    let own = json!({"model": "m", "store": false, "tools": [custom], "tool_choice": "required", "input": "x"});
    assert_eq!(rewritten(own.to_string(), false), own);
    let none = rewritten(json!({"model": "m", "tools": [search], "tool_choice": "required"}).to_string(), false);
    assert_eq!((&none["tools"], &none["tool_choice"]), (&json!([]), &json!("auto")));
    let hidden = r#"{"model":"m","input":[{"type":"additional\u005ftools","tools":[{"type":"web_search"}]}]}"#;
    assert_eq!(rewritten(hidden.to_owned(), false)["input"][0]["tools"], json!([]));
}

#[test]
fn strips_unreadable_reasoning() {
    let thought =
        |encrypted: Value| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypted});
    let (user, own) = (json!({"role": "user", "content": "x"}), thought(json!("gAAAAABo")));
    let open = json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]});
    let body = |input: &[&Value]| json!({"model": "m", "store": false, "input": input});
    let all = body(&[&user, &thought(json!("nt1.e30")), &own, &thought(Value::Null), &open]);
    let passed = rewrite_request(&Bytes::from(all.to_string()), "m", PassthroughTerms::default()).unwrap().body;
    assert_eq!(serde_json::from_slice::<Value>(&passed).unwrap(), body(&[&user, &own, &open]));
}

#[test]
fn shortens_call_ids() {
    let long = "codex_mcp__codex_apps__google_calendar.search_events_exec-0123456789abcdef";
    let body = |id: &str| {
        json!({"model": "m", "store": false, "input": [
            {"role": "user", "content": "the \"call_id\""},
            {"type": "function_call", "call_id": id, "name": "w", "arguments": "{}"},
            {"type": "function_call_output", "call_id": id, "output": "ok"},
            {"type": "custom_tool_call", "call_id": id, "name": "p", "input": id},
            {"type": "custom_tool_call_output", "call_id": id, "output": "ok"},
            {"type": "tool_search_output", "call_id": id, "tools": [{"type": "web_search"}]},
        ]})
    };
    let rewritten = |body: &Value| {
        let passed = rewrite_request(&Bytes::from(body.to_string()), "m", HOSTED).unwrap().body;
        serde_json::from_slice::<Value>(&passed).unwrap()
    };
    let passed = rewritten(&body(long));
    let ids: Vec<&str> = (1..6_usize).map(|at| passed["input"][at]["call_id"].as_str().unwrap()).collect();
    assert!(ids[0].len() <= 64 && ids.iter().all(|id| *id == ids[0]), "{passed}");
    assert_eq!(passed["input"][3]["input"], long);
    assert_eq!(rewritten(&body("call_1")), body("call_1"));
}

#[test]
fn requests_encrypted_reasoning_for_stored_answers() {
    let included = |body: Value, model: &str, terms: PassthroughTerms| {
        let passed = rewrite_request(&Bytes::from(body.to_string()), model, terms).unwrap().body;
        serde_json::from_slice::<Value>(&passed).unwrap()["include"].clone()
    };
    let include = |body: Value, model: &str, is_kept: bool| {
        included(body, model, PassthroughTerms { is_stored: is_kept, ..PassthroughTerms::default() })
    };
    let (thoughts, logprobs) = ("reasoning.encrypted_content", "message.output_text.logprobs");
    let plain = json!({"model": "m", "input": "x"});
    assert_eq!(include(plain.clone(), "gpt-5-mini", true), json!([thoughts]));
    assert_eq!(include(plain.clone(), "gpt-4o", true), Value::Null);
    for (model, thinks, found) in [("mine", true, json!([thoughts])), ("gpt-5-mini", false, Value::Null)] {
        let terms = PassthroughTerms { is_stored: true, thinks: Some(thinks), ..PassthroughTerms::default() };
        assert_eq!(included(plain.clone(), model, terms), found, "{model}");
    }
    assert_eq!(include(plain, "gpt-5-mini", false), Value::Null);
    assert_eq!(include(json!({"model": "m", "input": "x", "store": false}), "gpt-5-mini", true), Value::Null);
    let asked = |include: Value| json!({"model": "m", "input": "x", "include": include});
    assert_eq!(include(asked(json!([logprobs])), "o3", true), json!([logprobs, thoughts]));
    assert_eq!(include(asked(Value::Null), "o3", true), json!([thoughts]));
    assert_eq!(include(asked(json!([thoughts])), "o3", true), json!([thoughts]));
}

#[test]
fn rejects_references_to_stored_data() {
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]);
    let reference = json!([{"type": "item_reference", "id": "rs_1"}]);
    let hidden = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file\u005fid":"file-1"}]}]}"#;
    let refused = rewrite_request(&bytes(hidden), "m", HOSTED).err().and_then(|error| error.param);
    assert_eq!(refused.as_deref(), Some("input[0].content[0].file_id"));
    for (body, at) in [
        (json!({"model": "m", "input": "x", "previous_response_id": "r"}), "previous_response_id"),
        (json!({"model": "m", "input": "x", "background": true}), "background"),
        (json!({"model": "m", "input": file}), "input[0].content[0].file_id"),
        (json!({"model": "m", "input": reference}), "input[0].type"),
        (json!({"model": "m", "input": [{"role": "user", "content": "x"}, {"id": "msg_1"}]}), "input[1]"),
        (json!({"model": "m", "input": [{"type": null, "id": "msg_1"}]}), "input[0]"),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}),
            "tools[0].vector_store_ids",
        ),
        (
            json!({"model": "m", "input": "x", "tools": [{"type": "code_interpreter", "container": "c"}]}),
            "tools[0].container",
        ),
        (
            json!({"model": "m", "input": [{"type": "additional_tools", "tools": [{"type": "file_search", "vector_store_ids": ["vs"]}]}]}),
            "tools[0].vector_store_ids",
        ),
    ] {
        let refused = rewrite_request(&Bytes::from(body.to_string()), "m", HOSTED).err().and_then(|error| error.param);
        assert_eq!(refused.as_deref(), Some(at));
    }
    for (unreadable, at) in [
        (r#"{"model":"m","input":[{"type":"item_reference","id":"rs_1"},{"content":"\ud83d"}]}"#, "input"),
        (
            r#"{"model":"m","tools":[{"type":"file_search","vector_store_ids":["vs"],"max_num_results":1e999}]}"#,
            "tools",
        ),
    ] {
        let refused = rewrite_request(&bytes(unreadable), "m", HOSTED).err().and_then(|error| error.param);
        assert_eq!(refused.as_deref(), Some(at));
    }
    let own = json!({"model": "m", "input": [{"role": "assistant", "id": "msg_1", "content": "x"}, {"type": "reasoning", "id": "rs_1"}]});
    assert!(rewrite_request(&Bytes::from(own.to_string()), "m", HOSTED).is_ok());
    let open = json!({"model": "m", "previous_response_id": null, "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]});
    assert!(rewrite_request(&Bytes::from(open.to_string()), "m", HOSTED).is_ok());
}

#[test]
fn passes_events_unchanged_and_meters_the_last() {
    let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
    let mut out = Vec::new();
    for event in [CREATED, DELTA, COMPLETED] {
        out.extend(tap.pass(bytes(event), &meter).unwrap().unwrap());
    }
    assert_eq!(out, [CREATED, DELTA, COMPLETED].concat().into_bytes());
    let counted = Usage { input: Some(3), cached: Some(1), output: Some(2), reasoning: Some(0), ..Usage::default() };
    assert_eq!((meter.usage(), tap.is_done(), tap.sequence()), (counted, true, 3));
}

#[test]
fn meters_hosted_tools_as_they_complete() {
    const SEARCHED: &str = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"web_search_call\",\"action\":{\"type\":\"search\"}}}\n\n";
    const SEEN: &str = "data: {\"type\":\"response.image_generation_call.partial_image\",\"item_id\":\"ig_1\",\"partial_image_b64\":\"\"}\n\n";
    const DRAWN: &str = "data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"image_generation_call\",\"id\":\"ig_1\"}}\n\n";
    let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
    for event in [CREATED, SEARCHED, DELTA, SEARCHED] {
        tap.pass(bytes(event), &meter).unwrap();
    }
    assert_eq!(meter.usage().searches, Some(2), "usage if the caller disconnects now");
    tap.pass(bytes(COMPLETED), &meter).unwrap();
    let usage = meter.usage();
    assert_eq!((usage.searches, usage.input, usage.output), (Some(2), Some(3), Some(2)));

    let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
    for event in [CREATED, SEEN, SEEN, DRAWN] {
        tap.pass(bytes(event), &meter).unwrap();
        let expected = (event != CREATED).then_some(1);
        assert_eq!(meter.usage().images, expected, "a delivered picture is charged once");
    }
}

#[test]
fn reports_cut_and_failed_streams() {
    let (mut tap, meter) = (ResponsesTap::default(), Meter::default());
    assert!(tap.pass(bytes(FAILED), &meter).is_err(), "another provider can be tried");
    tap.pass(bytes(CREATED), &meter).unwrap();
    tap.pass(bytes(DELTA), &meter).unwrap();
    assert_eq!(tap.finish(Bytes::new(), &meter), Err(AiError::Truncated.into()));
    assert!(meter.usage().estimated);
    let beside = "data: {\"type\":\"response.failed\",\"response\":{\"error\":null},\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"slow\"}}\n\n";
    let failed = tap.pass(bytes(beside), &meter).unwrap_err().error;
    assert_eq!(failed, AiError::Busy { retry_after: None }, "the error may be next to the response");
    let both = Bytes::from([DELTA, FAILED].concat());
    assert_eq!(tap.pass(both, &meter).unwrap().unwrap(), DELTA);
    assert!(tap.failure().is_some());
    assert!(meter_whole(br#"{"error":{"message":"no","code":"server_error"},"output":[]}"#, &meter, None).is_err());
    assert!(meter_whole(br#"{"choices":[]}"#, &meter, None).is_err());
    let whole = br#"{"status":"incomplete","error":null,"output":[],"usage":{"input_tokens":1,"output_tokens":9}}"#;
    meter_whole(whole, &meter, None).unwrap();
    assert_eq!((meter.finish(), meter.usage().output), (Some(Finish::Length), Some(9)));
}

proptest! {
    #[test]
    fn garbage_never_panics(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let (mut tap, meter, body) = (ResponsesTap::default(), Meter::default(), Bytes::from(body));
        let _ = (rewrite_request(&body, "m", HOSTED).is_ok(), rewrite_request(&body, "m", PassthroughTerms::default()).is_ok(), meter_whole(&body, &meter, None).is_ok(), tap.pass(body.clone(), &meter).is_ok());
        let _ = tap.finish(body, &meter).is_ok();
    }
}

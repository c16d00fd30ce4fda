mod batches;
mod empty;
mod lists;
mod reports;
mod text_parts;
mod thoughts;

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{
    Profile, ROWS,
    adapt::{BodyFormat, adapt},
    refusal,
};
use crate::{ProviderKind, provider_http::failure};

fn mistral() -> ProviderKind {
    ProviderKind::from_name("mistral").unwrap()
}

fn profile(base: &str, model: &str) -> Profile {
    Profile::of(ProviderKind::OPENAI, &base.parse().unwrap(), model, [])
}

/// A chat request adapted to the profile, or unchanged.
fn adapted(profile: &Profile, body: &Value) -> Value {
    let bytes = Bytes::from(body.to_string());
    adapt(profile, BodyFormat::Chat, &bytes)
        .map_or_else(|| body.clone(), |bytes| serde_json::from_slice(&bytes).unwrap())
}

/// Messages of a chat request, adapted to the profile of a server.
fn messages(base: &str, model: &str, messages: Value) -> Value {
    adapted(&profile(base, model), &json!({"model": model, "messages": messages}))["messages"].take()
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "content": text})
}

fn call(id: &str) -> Value {
    json!({"role": "assistant", "content": null,
        "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
}

fn result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

const REMINDER: &str = "<system-reminder>\nr\n</system-reminder>";
const VLLM: &str = "http://127.0.0.1:8000/v1";
const OPENAI: &str = "https://api.openai.com/v1";
const DEEPSEEK: &str = "https://api.deepseek.com/v1";

#[test]
fn knows_all_settings_of_the_table() {
    for row in ROWS.iter() {
        for setting in &row.settings {
            assert!(Profile::default().set(setting), "{} {}: {setting}", row.server, row.model);
        }
    }
    let lines = include_str!("profiles.tsv").lines().filter(|line| !line.starts_with('#'));
    assert!(lines.clone().all(|line| line.split('\t').count() == 4 && !line.ends_with('\t')), "a row has no source");
    assert_eq!(ROWS.len(), lines.count());
    for unknown in [
        "",
        "system",
        "system=last",
        "images=maybe",
        "efforts=low,huge",
        "max_output=many",
        "batch=maybe",
        "batch_price=0",
        "batch_price=101",
        "drop=messages",
        "drop=model",
        "drop=tools.function.name",
        "drop=a b",
        "short=",
    ] {
        assert!(!Profile::default().set(unknown), "{unknown}");
    }
}

#[test]
fn matches_hosts_ports_kinds_and_models() {
    let differs = |base: &str, model: &str, plain: &str| profile(base, model) != profile(plain, model);
    assert!(differs("https://eu.api.openai.com/v1", "gpt-4o", VLLM));
    assert!(!differs("https://notopenai.com/v1", "gpt-4o", VLLM));
    assert!(differs("http://localhost:1234/v1", "m", "http://localhost:8000/v1"));
    assert!(differs("http://localhost:11434/v1", "m", VLLM));
    assert_ne!(profile(VLLM, "mistralai/Mistral-Small"), profile(VLLM, "qwen3"));
    let of_kind = Profile::of(mistral(), &VLLM.parse().unwrap(), "m", []);
    assert_ne!(of_kind, profile(VLLM, "m"));
    let own = Profile::of(
        ProviderKind::OPENAI,
        &VLLM.parse().unwrap(),
        "m",
        ["system=any", "developer=yes", "empty_answers=yes", "nonsense"],
    );
    assert_eq!(own, Profile::default());
}

#[test]
fn leaves_ordinary_requests_unchanged() {
    let body = json!({"model": "m", "messages": [said("system", "s"), said("user", "a"), call("c"), result("c", "1")],
        "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required", "stop": ["x"],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}, "reasoning_effort": "high",
        "max_tokens": 5, "user": "u".repeat(100)});
    let bytes = Bytes::from(body.to_string());
    for (base, model) in [(VLLM, "qwen3"), (OPENAI, "gpt-4o"), ("https://openrouter.ai/api/v1", "google/gemini-3-pro")]
    {
        assert_eq!(adapt(&profile(base, model), BodyFormat::Chat, &bytes), None, "{base}");
    }
    let developer = json!([said("developer", "d"), said("user", "a"), said("system", "r"), said("user", "b")]);
    assert_eq!(messages(OPENAI, "gpt-5", developer.clone()), developer);
    assert_eq!(adapt(&profile(VLLM, "m"), BodyFormat::Chat, &Bytes::from_static(b"{\"developer\"")), None);
}

#[test]
fn places_system_messages() {
    let (user, answer) = (said("user", "a"), said("assistant", "b"));
    for (given, placed) in [
        (json!([said("developer", "d"), user]), json!([said("system", "d"), user])),
        (json!([said("system", "s"), said("developer", "d"), user]), json!([said("system", "s\n\nd"), user])),
        (
            json!([said("system", "s"), user, answer, said("user", "c"), said("system", "r")]),
            json!([said("system", "s"), user, answer, said("user", &format!("c\n\n{REMINDER}"))]),
        ),
        (
            json!([user, said("system", "r"), answer, said("system", "r"), said("user", "c")]),
            json!([said("user", &format!("a\n\n{REMINDER}")), answer, said("user", &format!("{REMINDER}\n\nc"))]),
        ),
        (
            json!([user, call("c"), said("system", "r"), result("c", "1"), said("user", "d")]),
            json!([user, call("c"), result("c", "1"), said("user", &format!("{REMINDER}\n\nd"))]),
        ),
        (
            json!([user, answer, said("system", "<system-reminder>x</system-reminder>")]),
            json!([user, answer, said("user", "<system-reminder>x</system-reminder>")]),
        ),
        (
            json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}, said("system", "r")]),
            json!([{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:"}}, {"type": "text", "text": REMINDER}]}]),
        ),
    ] {
        assert_eq!(messages(VLLM, "qwen3", given.clone()), placed, "{given}");
    }
    let none = Profile::default().with(["system=none"]);
    let body = json!({"messages": [said("system", "s"), user, answer]});
    assert_eq!(adapted(&none, &body)["messages"], json!([said("user", "s\n\na"), answer]));
}

#[test]
fn orders_messages() {
    let mistral = Profile::of(mistral(), &VLLM.parse().unwrap(), "mistral-large-latest", []);
    let ordered = |given: Value| adapted(&mistral, &json!({"messages": given}))["messages"].take();
    let id = "abc123DEF";
    let history = [said("user", "a"), call(id), result(id, "1")];
    let with = |more: &[Value]| json!([history.as_slice(), more].concat());
    assert_eq!(ordered(with(&[said("user", "b")])), with(&[said("assistant", "OK."), said("user", "b")]));
    let told = json!([history[0], history[1], result(id, &format!("1\n\n{REMINDER}"))]);
    assert_eq!(ordered(with(&[said("user", REMINDER)])), told);
    assert_eq!(ordered(with(&[said("system", "r")])), told);
    let prefilled = json!([said("user", "a"), {"role": "assistant", "content": "{", "prefix": true}]);
    assert_eq!(ordered(json!([said("user", "a"), said("assistant", "{")])), prefilled);
    let shortened = ordered(json!([said("user", "a"), call("toolu_01AbC"), result("toolu_01AbC", "1")]));
    assert_eq!(shortened[1]["tool_calls"][0]["id"], shortened[2]["tool_call_id"]);
    assert_eq!(shortened[2]["tool_call_id"].as_str().unwrap().len(), 9);

    let perplexity = |given: Value| messages("https://api.perplexity.ai", "sonar", given);
    let neighbours = json!([said("user", "a"), said("user", "b"), said("assistant", "c"), said("assistant", "d")]);
    assert_eq!(
        perplexity(neighbours),
        json!([said("user", "a\n\nb"), said("assistant", "c\n\nd"), said("user", "Continue.")])
    );
}

#[test]
fn leaves_out_media_that_a_model_cannot_read() {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let given = json!([{"role": "user", "content": [{"type": "text", "text": "look"}, picture]}]);
    let note = "look\n[An image was left out: this model can't see images.]";
    assert_eq!(messages(DEEPSEEK, "deepseek-v4-flash", given.clone()), json!([said("user", note)]));
    assert_eq!(messages(VLLM, "qwen3-vl", given.clone()), given);
    let no_sound = Profile::default().with(["audio=no", "files=no"]);
    let given = json!({"messages": [{"role": "user", "content": [picture,
        {"type": "input_audio", "input_audio": {}}, {"type": "file", "file": {}}]}]});
    let content = adapted(&no_sound, &given)["messages"][0]["content"].take();
    assert_eq!((&content[0], &content[1]["type"], &content[2]["type"]), (&picture, &json!("text"), &json!("text")));
}

#[test]
fn adapts_tools_effort_and_format() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let changed = |profile: &Profile, fields: Value| {
        let mut body = json!({"messages": [said("user", "a")]});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut adapted = adapted(profile, &body);
        adapted.as_object_mut().unwrap().remove("messages");
        adapted
    };
    let with = |settings: &[&'static str]| Profile::default().with(settings.iter().copied());
    let named = json!({"type": "function", "function": {"name": "f"}});
    for (profile, given, expected) in [
        (
            profile(DEEPSEEK, "deepseek-v4-flash"),
            json!({"tools": tools, "tool_choice": "required", "reasoning_effort": "high"}),
            json!({"tools": tools, "tool_choice": "required", "thinking": {"type": "disabled"}}),
        ),
        (
            profile("https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen3.7-plus"),
            json!({"tools": tools, "tool_choice": named}),
            json!({"tools": tools, "tool_choice": named, "enable_thinking": false}),
        ),
        (
            profile("https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen3.7-plus"),
            json!({"reasoning_effort": "low"}),
            json!({"enable_thinking": true, "thinking_budget": 1024}),
        ),
        (
            profile("https://api.z.ai/api/paas/v4", "glm-5"),
            json!({"tools": tools, "tool_choice": named, "reasoning_effort": "none", "stop": ["a", "b"]}),
            json!({"tools": tools, "tool_choice": "auto", "thinking": {"type": "disabled"}, "stop": ["a"]}),
        ),
        (
            profile("http://localhost:1234/v1", "m"),
            json!({"tools": tools, "tool_choice": named, "response_format": {"type": "json_object"}}),
            json!({"tools": tools, "tool_choice": "required", "response_format":
                {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}}),
        ),
        (profile(OPENAI, "gpt-5.6"), json!({"tools": tools}), json!({"tools": tools, "reasoning_effort": "none"})),
        (profile(OPENAI, "gpt-5.4"), json!({"tools": tools, "reasoning_effort": "high"}), json!({"tools": tools})),
        (profile(OPENAI, "gpt-5.4"), json!({"reasoning_effort": "high"}), json!({"reasoning_effort": "high"})),
        (profile(VLLM, "m"), json!({"tools": [], "tool_choice": "auto"}), json!({})),
        (with(&["efforts=low,high"]), json!({"reasoning_effort": "max"}), json!({"reasoning_effort": "high"})),
        (with(&["efforts=low,high"]), json!({"reasoning_effort": "none"}), json!({"reasoning_effort": "low"})),
        (with(&["limit=max_completion_tokens"]), json!({"max_tokens": 5}), json!({"max_completion_tokens": 5})),
        (with(&["limit=max_tokens"]), json!({"max_completion_tokens": 5}), json!({"max_tokens": 5})),
        (with(&["max_output=8"]), json!({"max_tokens": 9}), json!({"max_tokens": 8})),
        (with(&["drop=seed", "drop=messages.name"]), json!({"seed": 1, "n": 1}), json!({"n": 1})),
        (with(&["stream=only"]), json!({}), json!({"stream": true, "stream_options": {"include_usage": true}})),
        (
            with(&["empty_parameters=no"]),
            json!({"tools": tools}),
            json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]}),
        ),
        (
            with(&["schema=object"]),
            json!({"response_format": schema}),
            json!({"response_format": {"type": "json_object"}}),
        ),
        (with(&["schema=no"]), json!({"response_format": schema}), json!({})),
    ] {
        assert_eq!(changed(&profile, given.clone()), expected, "{given}");
    }
    let told = adapted(&with(&["schema=object"]), &json!({"messages": [said("user", "a")], "response_format": schema}));
    let first = told["messages"][0]["content"].as_str().unwrap();
    assert!(told["messages"][0]["role"] == "system" && first.contains(r#"{"type":"object"}"#), "{told}");
    let object = json!({"type": "json_object"});
    let asked = |text: &str| json!({"messages": [said("user", text)], "response_format": object});
    let worded = with(&["json_word=yes"]);
    assert_eq!(adapted(&worded, &asked("as JSON")), asked("as JSON"));
    assert_eq!(adapted(&worded, &asked("a"))["messages"].as_array().unwrap().len(), 2);
}

/// Settings found for an error message about a chat request to the server at `VLLM`; `once` precedes
/// those that apply only to this request.
fn remedy(format: BodyFormat, status: u16, error: &Value, body: &Value) -> Option<String> {
    let status = StatusCode::from_u16(status).unwrap();
    let failure = failure::parse_response(status, &HeaderMap::new(), error.to_string().as_bytes());
    let profile = if format == BodyFormat::Chat { profile(VLLM, "m") } else { Profile::default() };
    let remedy = refusal::find(&*failure.refusal?, &profile, format, &Bytes::from(body.to_string()))?;
    let settings = remedy.settings.join(" ");
    Some(if remedy.is_general { settings } else { format!("once {settings}") })
}

/// An error of which only the message says something.
fn plain(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

/// A chat request with every field that the messages below are about.
fn full() -> Value {
    json!({"model": "m", "max_tokens": 20_000, "temperature": 0.5, "presence_penalty": 0, "reasoning_effort": "xhigh", "store": true,
        "stream": true, "prompt_cache_key": "k", "user": "u".repeat(65), "thinking_budget": 1, "grammar": "g", "web_search_options": {},
        "tools": [{"type": "function", "function": {"name": "f", "strict": true}}], "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
        "messages": [said("system", "s"), {"role": "user", "name": "n", "content": [
                {"type": "image_url", "image_url": {"url": "data:"}}, {"type": "file", "file": {}}]},
            call("toolu_1"), result("toolu_1", "1"), said("user", "b"), said("user", "c"),
            {"role": "assistant", "content": "d", "reasoning_content": "hm"}]})
}

#[test]
fn finds_remedies_by_message() {
    let about =
        |message: &str, param: &str, code: &str| json!({"error": {"message": message, "param": param, "code": code}});
    for (status, error, expected) in [
        (400, plain("System message must be at the beginning."), "system=none"),
        (500, plain("Jinja Exception: System message must be at the beginning."), "system=none"),
        (500, plain("System role not supported"), "system=none"),
        (400, plain("Conversation roles must alternate user/assistant/user/assistant/..."), "turns=alternate"),
        (
            400,
            plain(
                "After the (optional) system message(s), user or tool message(s) should alternate with assistant message(s).",
            ),
            "turns=alternate",
        ),
        (
            400,
            json!({"object": "error", "message": "Unexpected role 'user' after role 'tool'", "type": "invalid_request_message_order", "code": "3230"}),
            "user_after_tool=no",
        ),
        (
            400,
            plain("Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"),
            "last=prefix",
        ),
        (
            400,
            plain(
                "This model does not support assistant message prefill. The conversation must end with a user message.",
            ),
            "last=user",
        ),
        (400, plain("Last message must have role `user`."), "last=user"),
        (
            400,
            plain(
                "Failed to deserialize the JSON body into the target type: messages[3]: unknown variant `image_url`, expected `text` at line 1",
            ),
            "images=no",
        ),
        (404, plain("No endpoints found that support image input"), "images=no"),
        (
            400,
            about("Content blocks are expected to be either text or image_url type.", "messages[3]", "invalid_value"),
            "files=no",
        ),
        (400, plain("This response_format type is unavailable now"), "schema=object"),
        (
            400,
            about("This model does not support response format `json_schema`.", "response_format", "x"),
            "schema=object",
        ),
        (400, plain("Thinking mode does not support this tool_choice"), "forced_tool=not_thinking"),
        (
            400,
            plain("The tool_choice parameter does not support being set to required or object in thinking mode"),
            "forced_tool=not_thinking",
        ),
        (400, plain("tool_choice 'specified' is incompatible with thinking enabled"), "forced_tool=not_thinking"),
        (404, plain("No endpoints found that support the provided 'tool_choice' value"), "forced_tool=no"),
        (
            400,
            about(
                "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
                "reasoning_effort",
                "x",
            ),
            "tool_effort=none",
        ),
        (
            400,
            about(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                "max_tokens",
                "unsupported_parameter",
            ),
            "limit=max_completion_tokens",
        ),
        (
            400,
            about(
                "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
                "temperature",
                "unsupported_value",
            ),
            "drop=temperature",
        ),
        (400, plain("invalid temperature: only 1 is allowed for this model"), "drop=temperature"),
        (
            400,
            about(
                "max_tokens is too large: 20480. This model supports at most 16384 completion tokens, whereas you provided 20480.",
                "max_tokens",
                "invalid_value",
            ),
            "max_output=16384",
        ),
        (400, plain("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), "max_output=8192"),
        (
            400,
            plain("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]"),
            "max_output=8192",
        ),
        (
            400,
            about(
                "Expected max_completion_tokens: integer above maximum value, expected a value <= 12288, but got 32000 instead",
                "max_completion_tokens",
                "x",
            ),
            "max_output=12288",
        ),
        (
            400,
            plain(
                "This model's maximum context length is 16384 tokens. However, you requested 22946 tokens (2946 in the messages, 20000 in the completion).",
            ),
            "once max_output=13438",
        ),
        (
            400,
            about(
                "Expected a string with maximum length 64, but got a string with length 65 instead.",
                "user",
                "string_above_max_length",
            ),
            "short=user",
        ),
        (
            400,
            plain("This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium."),
            "efforts=high,low,max,medium",
        ),
        (400, plain("reasoning_effort must be one of none or default"), "efforts=none"),
        (
            400,
            plain("The model always engages in thinking and cannot be disabled; please use low, high, or max"),
            "efforts=low,high,max",
        ),
        (
            400,
            plain("'reasoning_effort' and 'thinking_budget' cannot be set simultaneously"),
            "drop=reasoning_effort drop=thinking_budget",
        ),
        (400, plain("Argument not supported on this model: presencePenalty"), "drop=presence_penalty"),
        (400, plain("Model m does not support parameter reasoningEffort."), "drop=reasoning_effort"),
        (
            400,
            plain(
                "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
            ),
            "drop=messages.reasoning_content",
        ),
        (400, plain("property 'store' is unsupported, did you mean 'stop'?"), "drop=store"),
        (400, plain("Extra inputs are not permitted, field: 'prompt_cache_key', value: 'k'"), "drop=prompt_cache_key"),
        (
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "messages", 6, "assistant", "reasoning_content"], "msg": "Extra inputs are not permitted"}]}),
            "drop=messages.assistant.reasoning_content",
        ),
        (
            422,
            json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "prompt_cache_key"], "msg": "Extra inputs are not permitted"}]}),
            "drop=prompt_cache_key",
        ),
        (
            400,
            json!({"detail": "Validation: Unsupported parameter(s): `prompt_cache_key`, `store`"}),
            "drop=prompt_cache_key drop=store",
        ),
        (
            400,
            about("Web search options not supported with this model.", "web_search_options", "x"),
            "drop=web_search_options",
        ),
        (400, plain("Cannot use custom grammar: unsupported with tools"), "drop=grammar"),
        (400, plain("Tool call id was toolu_1 but must be a-z, A-Z, 0-9, with a length of 9."), "call_ids=9"),
        (400, plain("invalid params, function parameters is empty (2013)"), "empty_parameters=no"),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, status, &error, &full()).as_deref(), Some(expected), "{error}");
    }
    let mut late = full();
    late["messages"].as_array_mut().unwrap().push(said("developer", "r"));
    let unknown =
        plain("messages[0].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`");
    assert_eq!(remedy(BodyFormat::Chat, 400, &unknown, &late).as_deref(), Some("developer=no"));
    let anthropic = json!({"model": "m", "max_tokens": 30_000, "output_config": {"effort": "xhigh"}, "thinking": {"type": "enabled"},
        "tool_choice": {"type": "any"}, "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "x"}}],
        "messages": [said("user", "a"), said("assistant", "{")]});
    for (message, expected) in [
        ("max_tokens: 30000 > 4096, which is the maximum allowed number of output tokens for m", "max_output=4096"),
        (
            "input length and `max_tokens` exceed context limit: 188059 + 30000 > 200000, decrease input length",
            "once max_output=11941",
        ),
        ("output_config: Extra inputs are not permitted", "drop=output_config"),
        (
            "system.0.cache_control.ephemeral.scope: Extra inputs are not permitted",
            "drop=system.cache_control.ephemeral.scope",
        ),
        ("Thinking may not be enabled when tool_choice forces tool use.", "forced_tool=not_thinking"),
        (
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            "last=user",
        ),
        (
            "This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium.",
            "efforts=high,low,max,medium",
        ),
    ] {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
        assert_eq!(remedy(BodyFormat::Messages, 400, &error, &anthropic).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn never_repairs_what_must_not_be_repaired() {
    for (status, error) in [
        (
            400,
            json!({"error": {"message": "The response was filtered: unsupported parameter 'temperature'", "code": "content_filter"}}),
        ),
        (401, json!({"error": {"message": "unsupported parameter 'temperature'"}})),
        (429, json!({"error": {"message": "unsupported parameter 'temperature'"}})),
        (402, json!({"error": {"message": "unsupported parameter 'temperature'"}})),
        (400, json!({"error": {"message": "unsupported parameter 'temperature'", "code": "insufficient_quota"}})),
        (404, json!({"error": {"message": "The model m does not exist: unsupported"}})),
        (400, json!({"error": {"message": "prompt is too long: 213462 tokens > 200000 maximum"}})),
        (400, json!({"error": {"message": "Unsupported parameter: 'messages'", "param": "messages"}})),
        (400, json!({"error": {"message": "Unsupported parameter: 'tools'", "param": "tools"}})),
        (400, json!({"error": {"message": "Unsupported parameter: 'stream_options'", "param": "stream_options"}})),
        (400, json!({"error": {"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens"}})),
        (400, json!({"error": {"message": "Something else."}})),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, status, &error, &full()), None, "{error}");
    }
    // What the profile does already isn't tried again.
    let repaired = json!({"messages": [said("system", "s"), said("user", "a")]});
    let error = json!({"error": {"message": "Conversation roles must alternate", "type": "x"}});
    let found = remedy(BodyFormat::Chat, 400, &error, &repaired);
    assert_eq!(found.as_deref(), Some("system=none"));
    assert_eq!(remedy(BodyFormat::Chat, 400, &error, &json!({"messages": [said("user", "a")]})), None);
}

#[test]
fn leaves_nonsense_to_the_provider() {
    let no_role = json!({"content": "a", "tool_calls": [], "reasoning": 1});
    for messages in [
        json!([no_role, 1, null, "developer", [], {"role": 1}, {"role": "system"}, {"role": "user"}, {"role": "system", "content": 1}]),
        json!([{"role": "developer"}, {"role": "tool"}, {"role": "user"}, {"role": "assistant"}, {"role": "assistant"}]),
        json!({"role": "developer"}),
        json!("developer"),
    ] {
        let body = json!({"messages": messages, "tools": [1, {"function": 1}, {"function": {}}], "tool_choice": 1, "stop": 1,
            "response_format": "json_object", "reasoning_effort": 1, "max_tokens": "many", "stream": 1});
        for row in ROWS.iter() {
            let profile = Profile::default().with(row.settings.iter().copied());
            _ = adapted(&profile, &body);
        }
        let all = [
            "system=none",
            "developer=no",
            "turns=alternate",
            "user_after_tool=no",
            "last=prefix",
            "images=no",
            "schema=no",
            "forced_tool=not_thinking",
            "thoughts=always",
            "call_ids=9",
            "empty_parameters=no",
            "stream=only",
            "drop=messages.name",
        ];
        _ = adapted(&Profile::default().with(all), &body);
    }
}

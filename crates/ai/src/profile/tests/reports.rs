//! Refusals from public reports about servers and gateways.

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::{call, full, plain, result, said};
use crate::{
    profile::{
        Profile,
        adapt::{BodyFormat, adapt},
        refusal,
    },
    provider_http::failure,
};

/// Settings that are learned from a refusal of this body.
fn learned(format: BodyFormat, status: u16, error: &Value, body: &Value) -> Option<String> {
    let status = StatusCode::from_u16(status).unwrap();
    let failure = failure::parse_response(status, &HeaderMap::new(), error.to_string().as_bytes());
    let remedy = refusal::find(&*failure.refusal?, &Profile::default(), format, &Bytes::from(body.to_string()))?;
    Some(remedy.settings.join(" "))
}

fn about(message: &str, param: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": param, "code": null}})
}

#[test]
fn recognises_models_without_images() {
    let body = full();
    for (status, error) in [
        (400, plain("Image input is not enabled for this model")),
        (400, plain("Image inputs are not supported by this model.")),
        (400, plain("Invalid request: Image input not supported for model")),
        (400, plain("this model is missing data required for image input")),
        (400, plain("At most 0 image(s) may be provided in one prompt.")),
        (400, plain("Content type 'image_url' is not supported by this model")),
        (400, plain("This model doesn't support the image content block that you provided.")),
        (400, json!({"object": "error", "message": "Llama-3.3 is not a multimodal model", "code": 400})),
        (404, json!({"error": {"code": 404, "message": "No endpoints found that support image input"}})),
        (
            500,
            json!({"error": {"code": 500, "message": "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj", "type": "server_error"}}),
        ),
        (400, json!({"error": {"code": "1210", "message": "messages.content.type 参数非法，取值范围 ['text']"}})),
    ] {
        assert_eq!(learned(BodyFormat::Chat, status, &error, &body).as_deref(), Some("images=no"), "{error}");
    }
    for error in [
        plain(
            "You uploaded an unsupported image. Please make sure your image has one of the formats png, jpeg, gif, webp.",
        ),
        plain("Unsupported image media type: image/heic"),
        plain("Image size 9000x9000 is too large and not supported"),
        plain("The image could not be decoded"),
    ] {
        assert_ne!(learned(BodyFormat::Chat, 400, &error, &body).as_deref(), Some("images=no"), "{error}");
    }
}

#[test]
fn fits_the_output_beside_the_input() {
    let body = full();
    for (error, left) in [
        (
            plain(
                "'max_tokens' or 'max_completion_tokens' is too large: 20000. This model's maximum context length is 16384 tokens and your request has 5000 input tokens (20000 > 16384 - 5000).",
            ),
            11_384,
        ),
        (
            plain(
                "This model's maximum context length is 16384 tokens. However, you requested 20000 output tokens and your prompt contains at least 769 input tokens, for a total of at least 20769 tokens.",
            ),
            15_615,
        ),
        (
            plain(
                "Requested token count exceeds the model's maximum context length of 16384 tokens. You requested a total of 21000 tokens: 1000 tokens from the input messages and 20000 tokens for the completion.",
            ),
            15_384,
        ),
        (
            json!({"error": {"code": 400, "message": "This endpoint's maximum context length is 16384 tokens. However, you requested about 23000 tokens (2000 of text input, 1000 of tool input, 20000 in the output). Please reduce the length."}}),
            13_384,
        ),
        (
            plain(
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 300 `inputs` tokens and 20000 `max_new_tokens`",
            ),
            7_893,
        ),
        (
            plain(
                "This model's maximum context length is 16384 tokens. However, you requested 22946 tokens (2946 in the messages, 20000 in the completion).",
            ),
            13_438,
        ),
    ] {
        let expected = format!("max_output={left}");
        assert_eq!(learned(BodyFormat::Chat, 400, &error, &body), Some(expected), "{error}");
    }
    for too_long in [
        "This model's maximum context length is 16384 tokens. However, your messages resulted in 44933 tokens.",
        "This model's maximum context length is 16384 tokens and your request has 20000 input tokens.",
    ] {
        assert_eq!(learned(BodyFormat::Chat, 400, &plain(too_long), &body), None, "{too_long}");
    }
}

#[test]
fn recognises_what_open_models_refuse() {
    let mut named = full();
    named["tool_choice"] = json!({"type": "function", "function": {"name": "f"}});
    let with = |name: &str, value: Value| {
        let mut body = full();
        body[name] = value;
        body
    };
    for (status, error, body, expected) in [
        (
            400,
            plain("Harmony does not support reasoning effort none"),
            with("reasoning_effort", json!("none")),
            "efforts=low,medium,high",
        ),
        (
            400,
            about(
                "Invalid value: 'json_schema'. Supported values are: 'text' and 'json_object'.",
                "response_format.type",
            ),
            full(),
            "schema=object",
        ),
        (400, plain("This model does not support structured outputs"), full(), "schema=object"),
        (
            400,
            plain("`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
            with("top_p", json!(0.9)),
            "drop=top_p",
        ),
        (
            400,
            plain("This model only support stream mode, please enable the stream parameter to access the model."),
            with("stream", json!(false)),
            "stream=only",
        ),
        (
            400,
            plain("Requests with max_tokens > 4096 must have stream=true"),
            with("stream", json!(false)),
            "stream=only",
        ),
        (400, plain("tool_choice is not supported for this model"), named.clone(), "named_tool=no"),
        (400, about("'required' is not supported by this model.", "tool_choice"), full(), "forced_tool=no"),
        (
            400,
            plain("Missing `reasoning_content` field in the assistant message at message index 2."),
            json!({"messages": [said("user", "a"), call("c"), result("c", "1")]}),
            "thoughts=always",
        ),
        (500, plain("Only user and assistant roles are supported!"), full(), "system=none"),
        (
            400,
            json!({"type": "error", "error": {"type": "bad_request_error", "message": "invalid params, invalid chat setting (2013)", "http_code": "400"}}),
            json!({"messages": [said("user", "a"), said("system", "r"), said("user", "b")]}),
            "system=first",
        ),
        (
            400,
            plain("messages[1].content must be a string"),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
            "text_parts=no",
        ),
    ] {
        assert_eq!(learned(BodyFormat::Chat, status, &error, &body).as_deref(), Some(expected), "{error}");
    }
}

#[test]
fn lowers_a_temperature_that_is_too_high() {
    let mut body = full();
    body["temperature"] = json!(1.5);
    let error = json!({"error": {"message": "Invalid 'temperature': decimal above maximum value. Expected a value <= 1, but got 1.5 instead.", "param": "temperature", "code": "decimal_above_max_value"}});
    assert_eq!(learned(BodyFormat::Chat, 400, &error, &body).as_deref(), Some("max_temperature=1"));
    let glm = Profile::of(crate::ProviderKind::OPENAI, &"https://api.z.ai/api/paas/v4".parse().unwrap(), "glm-5", []);
    let adapted =
        adapt(&glm, BodyFormat::Chat, &Bytes::from(json!({"temperature": 1.5, "messages": []}).to_string())).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&adapted).unwrap()["temperature"], 1);
}

#[test]
fn knows_models_without_images_at_any_server() {
    let image =
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]});
    for (model, is_left_out) in [
        ("meta-llama/llama-3.3-70b-instruct:free", true),
        ("moonshotai/kimi-k2:free", true),
        ("moonshotai/kimi-k2.5", false),
        ("z-ai/glm-4.6", true),
        ("z-ai/glm-4.6v", false),
        ("qwen/qwen3-235b-a22b", true),
        ("qwen/qwen3-vl-235b-a22b", false),
        ("us.openai.gpt-oss-120b", true),
        ("deepseek-chat", true),
        ("llama-4-scout", false),
    ] {
        let profile = Profile::of(crate::ProviderKind::OPENAI, &super::VLLM.parse().unwrap(), model, []);
        let adapted = adapt(&profile, BodyFormat::Chat, &Bytes::from(image.to_string()));
        assert_eq!(adapted.is_some(), is_left_out, "{model}");
    }
    for model in
        ["pixtral-large-2411", "open-mixtral-8x22b", "us.mistral.devstral-2-123b", "mistralai/mixtral-8x7b-instruct"]
    {
        let body = json!({"messages": [said("user", "a"), call("c"), result("c", "1"), said("user", "b")]});
        let profile = Profile::of(crate::ProviderKind::OPENAI, &super::VLLM.parse().unwrap(), model, []);
        assert!(adapt(&profile, BodyFormat::Chat, &Bytes::from(body.to_string())).is_some(), "{model}");
    }
}

#[test]
fn recognises_fields_by_their_names_elsewhere() {
    let mut body = full();
    (body["stop"], body["logprobs"], body["user"]) = (json!(["x"]), json!(true), json!("a b"));
    for (error, expected) in [
        (plain("This model doesn't support the stopSequences field. Remove stopSequences and try again."), "drop=stop"),
        (plain("You are not allowed to request logprobs from this model"), "drop=logprobs"),
        (about("Invalid 'user': string does not match pattern.", "user"), "drop=user"),
        (about("Invalid 'messages[1].name': string does not match pattern.", "messages[1].name"), "drop=messages.name"),
        (plain("reasoning_effort: Input should be 'low', 'medium' or 'high'"), "efforts=low,medium,high"),
    ] {
        assert_eq!(learned(BodyFormat::Chat, 400, &error, &body).as_deref(), Some(expected), "{error}");
    }
}

#[test]
fn adds_a_question_where_one_is_missing() {
    let body = json!({"messages": [said("system", "s")]});
    for error in
        ["No user query found in messages.", "messages 参数非法。请检查文档。", "messages parameter is illegal"]
    {
        assert_eq!(learned(BodyFormat::Chat, 400, &plain(error), &body).as_deref(), Some("last=user"), "{error}");
    }
    let profile = Profile::default().with(["last=user"]);
    let adapted = adapt(&profile, BodyFormat::Chat, &Bytes::from(body.to_string())).unwrap();
    let adapted: Value = serde_json::from_slice(&adapted).unwrap();
    assert_eq!(adapted["messages"], json!([said("system", "s"), said("user", "Continue.")]));
}

#[test]
fn removes_the_first_marks_above_the_maximum() {
    let mark = json!({"type": "ephemeral"});
    let text = |text: &str, is_marked: bool| {
        let mut block = json!({"type": "text", "text": text});
        if is_marked {
            block["cache_control"] = mark.clone();
        }
        block
    };
    let body = |first: bool| {
        let mut tool = json!({"name": "w", "input_schema": {"properties": {"cache_control": {}}}});
        if first {
            tool["cache_control"] = mark.clone();
        }
        let result =
            json!({"type": "tool_result", "tool_use_id": "t", "content": [text("r", true)], "cache_control": mark});
        json!({"tools": [tool], "system": [text("s", first), text("t", true)],
            "messages": [{"role": "user", "content": [result, text("x", true)]}]})
    };
    let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "A maximum of 4 blocks with cache_control may be provided. Found 6."}});
    assert_eq!(learned(BodyFormat::Messages, 400, &error, &body(true)).as_deref(), Some("cache_marks=4"));
    let profile = Profile::default().with(["cache_marks=4"]);
    let adapted = adapt(&profile, BodyFormat::Messages, &Bytes::from(body(true).to_string())).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&adapted).unwrap(), body(false));
    assert_eq!(adapt(&profile, BodyFormat::Messages, &Bytes::from(body(false).to_string())), None);
}

#[test]
fn repairs_schemas_of_tools() {
    let given = json!({"type": null, "required": null, "properties": {"path": {"type": "string", "pattern": "^(?!__)[^\\p{Cc}]+$"},
        "pattern": {"type": "string", "pattern": "^[a-z]+$"}}});
    let repaired = json!({"properties": {"path": {"type": "string"}, "pattern": {"type": "string", "pattern": "^[a-z]+$"}}, "type": "object"});
    let chat = |schema: &Value| json!({"tools": [{"type": "function", "function": {"name": "w", "parameters": schema}}], "messages": []});
    let messages = |schema: &Value| json!({"tools": [{"name": "w", "input_schema": schema}, {"type": "bash_20250124", "name": "bash"}], "messages": []});
    let responses = |schema: &Value| json!({"tools": [{"type": "function", "name": "w", "parameters": schema}, {"type": "web_search"}], "input": "x"});
    let profile = Profile::default().with(["tool_schemas=repaired"]);
    for (format, error, given, expected) in [
        (
            BodyFormat::Chat,
            "Invalid schema for function 'w': '^(?!__)[^p]+$' is not a 'regex'.",
            chat(&given),
            chat(&repaired),
        ),
        (
            BodyFormat::Chat,
            "Invalid schema for function 'w': schema must be a JSON Schema of 'type: \"object\"', got 'type: null'.",
            chat(&json!({})),
            chat(&json!({"type": "object", "properties": {}})),
        ),
        (
            BodyFormat::Chat,
            "Invalid schema for function 'w'",
            chat(&Value::Null),
            chat(&json!({"type": "object", "properties": {}})),
        ),
        (
            BodyFormat::Messages,
            "tools.67.custom.input_schema.required: Input should be a valid list",
            messages(&given),
            messages(&repaired),
        ),
        (
            BodyFormat::Responses,
            "Invalid schema for function 'w': is not a 'regex'.",
            responses(&given),
            responses(&repaired),
        ),
    ] {
        assert_eq!(learned(format, 400, &plain(error), &given).as_deref(), Some("tool_schemas=repaired"), "{error}");
        let adapted = adapt(&profile, format, &Bytes::from(given.to_string())).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&adapted).unwrap(), expected, "{error}");
        assert_eq!(adapt(&profile, format, &Bytes::from(expected.to_string())), None, "{error}");
    }
}

#[test]
fn recognises_unpaired_results() {
    let orphan = json!({"messages": [said("user", "a"), result("c", "1"), said("user", "b")]});
    let unanswered = json!({"messages": [said("user", "a"), call("c"), said("user", "b")]});
    for (error, body) in [
        (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: c",
            &unanswered,
        ),
        (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. (insufficient tool messages following tool_calls message)",
            &unanswered,
        ),
        (
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
            &orphan,
        ),
        ("Messages with role 'tool' must be a response to a preceding message with 'tool_calls'", &orphan),
        ("Not the same number of function calls and responses", &unanswered),
        ("Unexpected role 'tool' after role 'user'", &orphan),
        ("invalid params, tool result's tool id(c) not found (2013)", &orphan),
        ("Invalid request: tool_call_id  is not found", &orphan),
    ] {
        let found = learned(BodyFormat::Chat, 400, &plain(error), body);
        assert_eq!(found.as_deref(), Some("tool_results=paired"), "{error}");
    }
    let tool = json!({"type": "tool_use", "id": "t", "name": "w", "input": {}});
    let messages =
        json!({"messages": [said("user", "a"), {"role": "assistant", "content": [tool]}, said("user", "b")]});
    for error in [
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t.",
        "messages.3.content.1: `tool_use` ids must be unique",
    ] {
        let error = json!({"type": "error", "error": {"type": "invalid_request_error", "message": error}});
        let found = learned(BodyFormat::Messages, 400, &error, &messages);
        assert_eq!(found.as_deref(), Some("tool_results=paired"), "{error}");
    }
}

const BROKEN_OFF: &str = "It was broken off before it had a result.";

#[test]
fn pairs_results_of_chat_completions() {
    let profile = Profile::default().with(["tool_results=paired"]);
    let adapted = |messages: &Value| {
        let body = Bytes::from(json!({"messages": messages}).to_string());
        let adapted = adapt(&profile, BodyFormat::Chat, &body)?;
        Some(serde_json::from_slice::<Value>(&adapted).unwrap()["messages"].take())
    };
    let (user, orphan) = (said("user", "x"), said("user", "[What a tool has answered]\n1"));
    for (given, expected) in [
        (json!([result("c", "1"), user]), json!([orphan, user])),
        (json!([user, call("c"), user]), json!([user, call("c"), result("c", BROKEN_OFF), user])),
        (json!([user, call("c"), user, result("c", "1")]), json!([user, call("c"), result("c", "1"), user])),
        (
            json!([user, call("c"), result("c", "1"), result("c", "1")]),
            json!([user, call("c"), result("c", "1"), orphan]),
        ),
        (json!([user, call("c")]), json!([user, call("c"), result("c", BROKEN_OFF)])),
        (
            json!([call("c"), result("c", "1"), call("c"), result("c", "2"), call("c"), result("c", "3")]),
            json!([call("c"), result("c", "1"), call("c_2"), result("c_2", "2"), call("c_3"), result("c_3", "3")]),
        ),
    ] {
        assert_eq!(adapted(&given), Some(expected), "{given}");
    }
    assert_eq!(adapted(&json!([user, call("c"), result("c", "1"), said("assistant", "d"), user])), None);
}

#[test]
fn pairs_results_of_the_messages_api() {
    let profile = Profile::default().with(["tool_results=paired"]);
    let adapted = |messages: &Value| {
        let body = Bytes::from(json!({"messages": messages}).to_string());
        let adapted = adapt(&profile, BodyFormat::Messages, &body)?;
        Some(serde_json::from_slice::<Value>(&adapted).unwrap()["messages"].take())
    };
    let tool =
        |id: &str| json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "w", "input": {}}]});
    let of = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "1"});
    let broken = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": BROKEN_OFF, "is_error": true});
    let user = |blocks: &[Value]| json!({"role": "user", "content": blocks});
    let text = |text: &str| json!({"type": "text", "text": text});
    let orphan = text("[What a tool has answered]\n1");
    for (given, expected) in [
        (json!([user(&[of("t"), text("x")])]), json!([user(&[orphan.clone(), text("x")])])),
        (json!([tool("t"), said("user", "x")]), json!([tool("t"), user(&[broken("t"), text("x")])])),
        (json!([tool("t"), said("assistant", "d")]), json!([tool("t"), user(&[broken("t")]), said("assistant", "d")])),
        (json!([tool("t"), user(&[text("x")]), user(&[of("t")])]), json!([tool("t"), user(&[of("t"), text("x")])])),
        (
            json!([tool("t"), user(&[of("t")]), tool("t"), user(&[of("t")])]),
            json!([tool("t"), user(&[of("t")]), tool("t_2"), user(&[of("t_2")])]),
        ),
    ] {
        assert_eq!(adapted(&given), Some(expected), "{given}");
    }
    assert_eq!(adapted(&json!([tool("t"), user(&[of("t"), text("x")])])), None);
}

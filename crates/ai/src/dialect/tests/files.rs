//! Images, documents and text files, as clients label them and providers accept them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{openai_responses, read, translated, write};
use crate::{
    ApiStyle, ProviderKind,
    canonical::{Effort, ToolChoice},
};

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAA";
const PDF: &str = "JVBERi0xLjcKJeLjz9M=";

fn asked(part: &Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]})
}

fn as_picture(url: &str) -> Value {
    asked(&json!({"type": "image_url", "image_url": {"url": url}}))
}

fn as_file(data: &str) -> Value {
    asked(&json!({"type": "file", "file": {"filename": "a", "file_data": data}}))
}

/// Second part of the first message, as it is sent to Claude.
fn at_claude(body: &Value) -> Value {
    translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, body)["messages"][0]["content"][1].clone()
}

#[test]
fn detects_media_types_by_first_bytes() {
    let picture = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}});
    let lines = format!("{}\n{}\r\n", &PNG[..10], &PNG[10..]);
    for body in [
        as_picture(&format!("data:image/jpeg;base64,{PNG}")),
        as_picture(&format!("DATA:image/PNG;charset=utf-8;base64,{PNG}")),
        as_picture(&format!("data:application/octet-stream;base64,{lines}")),
        as_file(&format!("data:image/webp;base64,{PNG}")),
    ] {
        assert_eq!(at_claude(&body), picture, "{body}");
        let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
        assert_eq!(gemini["contents"][0]["parts"][1], json!({"inlineData": {"mimeType": "image/png", "data": PNG}}));
    }
    let document = json!({"type": "base64", "media_type": "application/pdf", "data": PDF});
    for body in [as_picture(&format!("data:application/pdf;base64,{PDF}")), as_file(PDF)] {
        let part = at_claude(&body);
        assert_eq!((&part["type"], &part["source"]), (&json!("document"), &document), "{body}");
    }
    for (bytes, mime) in
        [(b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"), (b"RIFF\x24\0\0\0WAVEfmt ", "application/octet-stream")]
    {
        let body = as_file(&format!("data:application/octet-stream;base64,{}", STANDARD.encode(bytes)));
        let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
        assert_eq!(gemini["contents"][0]["parts"][1]["inlineData"]["mimeType"], mime);
    }
    let source = json!({"type": "base64", "media_type": "image/jpeg", "data": PNG});
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]});
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &messages);
    assert_eq!(openai["messages"][0]["content"][0]["image_url"]["url"], format!("data:image/png;base64,{PNG}"));
    let object = json!({"url": format!("data:image/jpg;base64,{PNG}")});
    let responses =
        json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": object}]}]});
    let openai = translated(ApiStyle::Responses, ProviderKind::OPENAI, &responses);
    assert_eq!(openai["messages"][0]["content"][0]["image_url"]["url"], format!("data:image/png;base64,{PNG}"));
}

#[test]
fn sends_text_files_as_text_to_claude_and_openai() {
    for mime in ["text/plain", "text/csv", "application/json"] {
        let text = "{\"xin\": \"chào\"}";
        let body = as_file(&format!("data:{mime};base64,{}", STANDARD.encode(text)));
        let expected = json!({"type": "text", "media_type": "text/plain", "data": text});
        assert_eq!(at_claude(&body)["source"], expected, "{mime}");
        let openai = translated(ApiStyle::Chat, ProviderKind::OPENAI, &body);
        assert_eq!(
            openai["messages"][0]["content"][1],
            json!({"type": "text", "text": format!("a:\n{text}")}),
            "{mime}"
        );
    }
    let broken = as_file(&format!("data:text/plain;base64,{}", STANDARD.encode([0xff, 0xfe])));
    let request = read(ApiStyle::Chat, &broken).unwrap();
    assert_eq!(write(ProviderKind::ANTHROPIC, &request).unwrap_err().status(ApiStyle::Chat), 400);
}

#[test]
fn reads_file_parts_of_other_formats() {
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "sig"});
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"role": "assistant", "content": [thought, {"type": "redacted_thinking", "data": "d"}, {"type": "output_text", "text": "Look."}],
         "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}]},
        {"role": "tool", "tool_call_id": "c", "content": "31"}],
        "tools": [{"type": "function", "function": {"name": "f", "cache_control": {"type": "ephemeral"}}}]});
    let claude = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
    assert_eq!(
        claude["messages"][1]["content"],
        json!([thought, {"type": "redacted_thinking", "data": "d"}, {"type": "text", "text": "Look."}, {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}])
    );
    assert_eq!(claude["tools"][0]["cache_control"], json!({"type": "ephemeral"}));

    let of_claude = json!({"model": "m", "messages": [
        {"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "31"}]}],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}}]});
    let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &of_claude);
    assert_eq!(gemini["contents"][0]["parts"][0]["inlineData"]["data"], PNG);
    assert_eq!(gemini["contents"][1]["parts"][0]["functionCall"]["args"], json!({"a": 1}));
    assert_eq!(gemini["contents"][2]["parts"][0]["functionResponse"]["response"], json!({"result": 31}));
    let declared = &gemini["tools"][0]["functionDeclarations"][0];
    assert_eq!((&declared["name"], &declared["parametersJsonSchema"]["properties"]), (&json!("f"), &json!({"a": {}})));

    let kept = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [{"type": "compaction", "content": "It rained."}, {"type": "tool_use", "id": "c", "name": "f", "input": "{\"a\":1}"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]}],
        "tools": [{"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}, {"name": "f", "defer_loading": true, "input_schema": {}}]});
    let openai = translated(ApiStyle::Messages, ProviderKind::OPENAI, &kept);
    assert_eq!(openai["messages"][1]["content"], "It rained.");
    assert_eq!(openai["messages"][1]["tool_calls"][0]["function"]["arguments"], "{\"a\":1}");
    assert_eq!(openai["tools"].as_array().unwrap().len(), 1);

    let items = json!({"model": "m", "input": [
        {"type": "compaction", "encrypted_content": "gAAAA"}, {"type": "ghost_snapshot", "ghost_commit": {}}, {"role": "user", "content": "x"}]});
    let openai = translated(ApiStyle::Responses, ProviderKind::OPENAI, &items);
    let texts =
        [openai_responses::request::COMPACTED_PLACEHOLDER, "x"].map(|text| json!({"type": "text", "text": text}));
    assert_eq!(openai["messages"], json!([{"role": "user", "content": texts}]));
    let object = json!({"model": "m", "input": [{"role": "user", "content": {"type": "input_text", "text": "x"}}]});
    assert!(read(ApiStyle::Responses, &object).is_err(), "only tool results may be objects");
}

#[test]
fn reads_tool_choices_of_other_formats() {
    let tool = json!({"type": "function", "name": "f", "function": {"name": "f"}});
    let choice = |style: ApiStyle, choice: Value| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x", "tools": [tool], "tool_choice": choice});
        read(style, &body).unwrap().tool_choice
    };
    for (said, meant) in [
        (json!("any"), ToolChoice::Required),
        (json!({"type": "any"}), ToolChoice::Required),
        (json!({"type": "auto"}), ToolChoice::Auto),
        (json!({"type": "none"}), ToolChoice::None),
        (json!({"type": "tool", "name": "f"}), ToolChoice::Named("f".to_owned())),
        (json!({"type": "function", "function": {"name": "f"}}), ToolChoice::Named("f".to_owned())),
    ] {
        assert_eq!(choice(ApiStyle::Chat, said.clone()), Some(meant), "{said}");
    }
    assert_eq!(choice(ApiStyle::Responses, json!("any")), Some(ToolChoice::Required));
}

#[test]
fn reads_reasoning_settings_of_other_formats() {
    let asked = |field: &str, value: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        read(ApiStyle::Chat, &body).unwrap().reasoning.map(|asked| (asked.effort, asked.budget, asked.shown))
    };
    let (high, low, medium, off) = (Effort::High, Effort::Low, Effort::Medium, Effort::None);
    for (field, value, expected) in [
        ("reasoning", json!({"effort": "high"}), Some((Some(high), None, true))),
        ("reasoning", json!({"max_tokens": 2_000, "exclude": true}), Some((None, Some(2_000), false))),
        ("reasoning", json!({"enabled": true}), Some((Some(medium), None, true))),
        ("reasoning", json!({"enabled": false}), Some((Some(off), None, false))),
        ("reasoning", json!({}), None),
        ("reasoning", json!("whatever"), None),
        ("thinking", json!({"type": "enabled", "budget_tokens": 2_000}), Some((None, Some(2_000), true))),
        ("thinking", json!({"type": "disabled"}), Some((Some(off), None, false))),
        (
            "extra_body",
            json!({"google": {"thinking_config": {"thinking_budget": 9, "include_thoughts": true}}}),
            Some((None, Some(9), true)),
        ),
        ("google", json!({"thinking_config": {"thinking_level": "LOW"}}), Some((Some(low), None, false))),
        ("extra_body", json!({"other": 1}), None),
    ] {
        assert_eq!(asked(field, value.clone()), expected, "{field}: {value}");
    }
}

#[test]
fn anonymises_user_ids_for_anthropic() {
    let named = |user: &str| {
        let body = json!({"model": "m", "user": user, "messages": [{"role": "user", "content": "x"}]});
        let written = translated(ApiStyle::Chat, ProviderKind::ANTHROPIC, &body);
        written["metadata"]["user_id"].as_str().unwrap().to_owned()
    };
    let (longest, too_long) = ("a".repeat(256), "a".repeat(257));
    for plain in ["u-1", "an", longest.as_str(), "12345"] {
        assert_eq!(named(plain), plain);
    }
    for odd in ["an@example.org", "+84 (90) 123-4567", too_long.as_str()] {
        assert_eq!(named(odd).len(), 64, "{odd}");
        assert_eq!(named(odd), named(odd));
    }
}

#[test]
fn sends_videos_to_gemini() {
    let film = "https://www.youtube.com/watch?v=x";
    for (video, part) in [
        (json!({"url": film}), json!({"fileData": {"fileUri": film}})),
        (json!(film), json!({"fileData": {"fileUri": film}})),
        (
            json!({"url": "data:video/mp4;base64,AAAA"}),
            json!({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
        ),
    ] {
        let body = asked(&json!({"type": "video_url", "video_url": video}));
        let gemini = translated(ApiStyle::Chat, ProviderKind::GEMINI, &body);
        assert_eq!(gemini["contents"][0]["parts"][1], part, "{body}");
    }
}

//! Servers whose messages have a string as content, not a list of parts.

use serde_json::{Value, json};

use super::{DEEPSEEK, adapted, full, messages, plain, remedy, result, said};
use crate::profile::{Profile, adapt::BodyFormat};

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn parts(role: &str, parts: &[Value]) -> Value {
    json!({"role": role, "content": parts})
}

#[test]
fn joins_text_parts_into_one_string() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
    let joining = Profile::default().with(["text_parts=no"]);
    let in_parts = json!({"role": "tool", "tool_call_id": "c", "content": [text("1")]});
    for (given, expected) in [
        (parts("user", &[text("a"), text("b")]), said("user", "a\nb")),
        (parts("system", &[text("s")]), said("system", "s")),
        (parts("assistant", &[text("d")]), said("assistant", "d")),
        (in_parts, result("c", "1")),
        (said("user", "a \"text\""), said("user", "a \"text\"")),
        (parts("user", &[text("a"), image.clone()]), parts("user", &[text("a"), image.clone()])),
        (json!({"role": "assistant", "content": null}), json!({"role": "assistant", "content": null})),
        (json!("text"), json!("text")),
    ] {
        let body = json!({"messages": [given]});
        assert_eq!(adapted(&joining, &body)["messages"][0], expected, "{body}");
    }
    // What other settings join becomes a string too.
    let strict = Profile::default().with(["system=first", "turns=alternate", "text_parts=no", "images=no"]);
    let body = json!({"messages": [parts("system", &[text("s")]), said("system", "t"), said("user", "a"), parts("user", &[text("b"), image.clone()])]});
    let note = "a\n\nb\n[An image was left out: this model can't see images.]";
    assert_eq!(adapted(&strict, &body)["messages"], json!([said("system", "s\nt"), said("user", note)]));
    assert_eq!(
        messages(DEEPSEEK, "deepseek-v4-flash", json!([parts("user", &[text("a"), text("b")])])),
        json!([said("user", "a\nb")])
    );
}

#[test]
fn recognises_servers_that_take_only_strings() {
    let mut body = full();
    body["messages"] = json!([parts("user", &[text("a")])]);
    let with_image = full();
    for error in [
        plain(
            "Failed to deserialize the JSON body into the target type: messages[19]: invalid type: sequence, expected a string at line 1 column 9837",
        ),
        plain("messages[1].content: invalid type: sequence, expected a string"),
        json!({"code": 20015, "message": "Input should be a valid string", "data": null}),
        json!({"detail": [{"type": "string_type", "loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string", "input": []}]}),
        plain("Invalid type for 'messages[0].content': expected a string, but got an array instead."),
        plain(
            "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]",
        ),
        plain("json: cannot unmarshal array into Go struct field Message.messages.content of type string"),
    ] {
        assert_eq!(remedy(BodyFormat::Chat, 400, &error, &body).as_deref(), Some("text_parts=no"), "{error}");
        // A message with an image becomes a string only without the image.
        assert_eq!(remedy(BodyFormat::Chat, 400, &error, &with_image).as_deref(), Some("images=no"), "{error}");
    }
}

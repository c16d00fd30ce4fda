//! Messages of Ollama's API as those of chat completions.

use serde_json::{Value, json};

use crate::{
    GatewayError,
    canonical::Source,
    dialect::{
        fields::{self, Fields, data_url},
        openai_chat::request::read_arguments,
    },
};

type Read<T> = Result<T, GatewayError>;

/// Tool calls of the last assistant message that have no result yet: their ids and names.
#[derive(Default)]
struct OpenCalls {
    calls: Vec<(String, String)>,
    /// Number of calls in the conversation so far, which make up the ids of those without one.
    count: usize,
}

impl OpenCalls {
    /// Id of the call that a result belongs to. Few clients send ids, so the call is found by the
    /// id, otherwise by the name of the tool, otherwise by the order.
    fn close(&mut self, id: Option<&str>, name: Option<&str>) -> Option<String> {
        let by_id = || self.calls.iter().position(|call| id == Some(&*call.0));
        let by_name = || self.calls.iter().position(|call| name == Some(&*call.1));
        let place = by_id().or_else(by_name).or_else(|| (!self.calls.is_empty()).then_some(0))?;
        Some(self.calls.remove(place).0)
    }
}

/// Converts the messages of a conversation.
pub(super) fn convert(messages: &[Fields<'_>]) -> Read<Vec<Value>> {
    let mut open = OpenCalls::default();
    messages.iter().map(|message| convert_message(message, &mut open)).collect()
}

fn convert_message(message: &Fields<'_>, open: &mut OpenCalls) -> Read<Value> {
    match message.required_text("role")? {
        role @ ("system" | "user") => Ok(json!({"role": role, "content": content(message, "content")?})),
        "assistant" => convert_answer(message, open),
        "tool" => {
            let [id, name, other] = ["tool_call_id", "tool_name", "name"].map(|field| message.text(field));
            let (id, name) = (id?, name?.or(other?));
            let content = content(message, "content")?;
            Ok(match open.close(id, name) {
                Some(id) => json!({"role": "tool", "tool_call_id": id, "content": content}),
                // Servers refuse a result whose call the client has dropped.
                None => json!({"role": "user", "content": content}),
            })
        }
        _ => Err(message.error("role", "`role` must be system, user, assistant or tool.")),
    }
}

fn convert_answer(message: &Fields<'_>, open: &mut OpenCalls) -> Read<Value> {
    let text = message.text("content")?.unwrap_or_default();
    let mut converted = json!({"role": "assistant", "content": text});
    if let Some(thinking) = message.text("thinking")?.filter(|thinking| !thinking.is_empty()) {
        converted["reasoning_content"] = thinking.into();
    }
    open.calls.clear();
    let mut calls = Vec::new();
    for call in message.objects("tool_calls")? {
        let function = call.required_object("function")?;
        let name = function.required_text("name")?;
        let id = call.text("id")?.filter(|id| !id.is_empty());
        let id = id.map_or_else(|| format!("call_{}", open.count), str::to_owned);
        let written = json!({"name": name, "arguments": read_arguments(&function)?});
        calls.push(json!({"id": id, "type": "function", "function": written}));
        open.calls.push((id, name.to_owned()));
        open.count += 1;
    }
    if !calls.is_empty() {
        converted["tool_calls"] = calls.into();
        if text.is_empty() {
            converted["content"] = Value::Null;
        }
    }
    Ok(converted)
}

/// Content with this text field and the images of the message.
pub(super) fn content(message: &Fields<'_>, text: &str) -> Read<Value> {
    let text = message.text(text)?.unwrap_or_default();
    let images = message.list("images")?;
    if images.is_empty() {
        return Ok(text.into());
    }
    let mut parts = Vec::with_capacity(images.len() + 1);
    if !text.is_empty() {
        parts.push(json!({"type": "text", "text": text}));
    }
    for image in images {
        let image = image.as_str().filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| message.error("images", "`images` must be a list of images in base64."))?;
        parts.push(json!({"type": "image_url", "image_url": {"url": image_url(image)}}));
    }
    Ok(parts.into())
}

/// URL of an image in base64. Some clients send a URL instead.
fn image_url(image: &str) -> String {
    let is_url = data_url(image).is_some() || image.starts_with("https://") || image.starts_with("http://");
    if is_url {
        return image.to_owned();
    }
    match fields::data("image/png", image) {
        Source::Data { mime, data } => format!("data:{mime};base64,{data}"),
        Source::Url(url) => url,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(messages: &Value) -> Read<Value> {
        let body = json!({ "messages": messages });
        convert(&Fields::root(&body)?.objects("messages")?).map(Value::from)
    }

    #[test]
    fn converts_texts_images_and_thinking() {
        let sent = json!([
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "What is it?", "images": ["iVBORw0KGgoAAAA", "/9j/AAAA", "data:image/webp;base64,UklG"]},
            {"role": "user", "images": ["https://example.org/cat.png"]},
            {"role": "assistant", "content": "A cat.", "thinking": "Whiskers."},
        ]);
        let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
        let expected = json!([
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is it?"}, image("data:image/png;base64,iVBORw0KGgoAAAA"),
                image("data:image/jpeg;base64,/9j/AAAA"), image("data:image/webp;base64,UklG"),
            ]},
            {"role": "user", "content": [image("https://example.org/cat.png")]},
            {"role": "assistant", "content": "A cat.", "reasoning_content": "Whiskers."},
        ]);
        assert_eq!(converted(&sent).unwrap(), expected);
        for (message, param) in [
            (json!({"role": "critic", "content": "No."}), "messages[0].role"),
            (json!({"role": "user", "content": 7}), "messages[0].content"),
            (json!({"role": "user", "images": [7]}), "messages[0].images"),
            (json!({"role": "assistant", "tool_calls": [{"function": {}}]}), "messages[0].tool_calls[0].function.name"),
        ] {
            assert_eq!(converted(&json!([message])).unwrap_err().param.as_deref(), Some(param));
        }
    }

    #[test]
    fn matches_results_to_calls() {
        let call = |name: &str| json!({"function": {"name": name, "arguments": {"a": 1}}});
        let result = |name: &str| json!({"role": "tool", "tool_name": name, "content": name});
        let mut named = call("d");
        named["id"] = "call_x".into();
        let sent = json!([
            {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]},
            result("b"), result("a"), {"role": "tool", "content": "third"}, result("a"),
            {"role": "assistant", "content": "Next.", "tool_calls": [call("c"), named]},
            {"role": "tool", "tool_call_id": "call_x", "content": "d"}, {"role": "tool", "name": "c", "content": "c"},
        ]);
        let messages = converted(&sent).unwrap();
        let ids = |message: &Value| -> Vec<Value> {
            message["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].clone()).collect()
        };
        assert_eq!(ids(&messages[0]), ["call_0", "call_1", "call_2"]);
        assert_eq!(messages[0]["content"], Value::Null);
        assert_eq!(messages[0]["tool_calls"][0]["function"], json!({"name": "a", "arguments": "{\"a\":1}"}));
        let answered: Vec<&Value> = (1..4).map(|at| &messages[at]["tool_call_id"]).collect();
        assert_eq!(answered, ["call_1", "call_0", "call_2"]);
        assert_eq!(messages[4], json!({"role": "user", "content": "a"}), "its call has a result");
        assert_eq!(
            (ids(&messages[5]), &messages[5]["content"]),
            (vec![json!("call_3"), json!("call_x")], &json!("Next."))
        );
        assert_eq!((&messages[6]["tool_call_id"], &messages[7]["tool_call_id"]), (&json!("call_x"), &json!("call_3")));
    }
}

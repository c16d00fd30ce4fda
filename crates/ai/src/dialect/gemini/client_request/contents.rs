//! Parser of the conversation in a request.

use serde_json::Value;

use super::Read;
use crate::{
    canonical::{Media, MediaKind, Part, Request, Source, Speaker, ToolCall, ToolResult},
    dialect::{
        fields::{Fields, data, kind_of, render_server_tool},
        gemini::sealed_reasoning,
    },
};

/// Parts of tools that Google runs.
const SERVER_TOOL_PARTS: [&str; 4] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];
/// Fields in which Google's libraries return a text as the result of a function.
const RESULT_FIELDS: [&str; 2] = ["output", "result"];
const IMAGE_EXTENSIONS: [&str; 5] = [".png", ".jpg", ".jpeg", ".webp", ".gif"];

pub(super) fn read_system(fields: &Fields<'_>) -> Read<Vec<String>> {
    match fields.get("systemInstruction") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(_) => {
            let parts = fields.required_object("systemInstruction")?.objects("parts")?;
            let texts = parts.iter().map(|part| part.text("text")).collect::<Read<Vec<_>>>()?;
            Ok(texts.into_iter().flatten().map(str::to_owned).collect())
        }
    }
}

pub(super) fn read(fields: &Fields<'_>, request: &mut Request) -> Read<()> {
    let contents = fields.objects("contents")?;
    if contents.is_empty() {
        return Err(fields.error("contents", "`contents` must have at least one message."));
    }
    let mut open_calls = OpenCalls::default();
    let mut turns: Vec<(Speaker, Vec<Part>)> = Vec::with_capacity(contents.len());
    for content in &contents {
        let speaker = match content.text("role")? {
            None | Some("" | "user" | "function" | "tool") => Speaker::User,
            Some("model") => Speaker::Assistant,
            Some("system") => Speaker::System,
            Some(_) => return Err(content.error("role", "`role` must be user or model.")),
        };
        let is_next = turns.last().is_none_or(|(last, _)| *last != speaker);
        if is_next && speaker == Speaker::Assistant {
            open_calls.clear();
        }
        let mut parts = Vec::new();
        for part in content.objects("parts")? {
            parts.extend(read_part(&part, speaker, &mut open_calls)?);
        }
        match turns.last_mut().filter(|_| !is_next) {
            Some((_, before)) => before.append(&mut parts),
            None => turns.push((speaker, parts)),
        }
    }
    for (speaker, parts) in turns {
        match speaker {
            Speaker::User => request.append(speaker, parts),
            Speaker::Assistant => request.append(speaker, sealed_reasoning::restore(parts)),
            Speaker::System => request.append_instructions(parts.into_iter().filter_map(|part| match part {
                Part::Text(text) => Some(text),
                _ => None,
            })),
        }
    }
    Ok(())
}

/// Parses a part; `None` if it is empty.
fn read_part(part: &Fields<'_>, speaker: Speaker, open_calls: &mut OpenCalls) -> Read<Option<Part>> {
    if let Some(call) = part.object("functionCall")? {
        let name = call.required_text("name")?;
        return Ok(Some(Part::Call(ToolCall {
            id: open_calls.add(call.text("id")?, name),
            name: name.to_owned(),
            arguments: call.get("args").map_or_else(|| "{}".to_owned(), Value::to_string),
            signature: part.text("thoughtSignature")?.map(str::to_owned),
        })));
    }
    if let Some(response) = part.object("functionResponse")? {
        let id = open_calls.close(response.text("id")?, response.text("name")?);
        return Ok(Some(Part::Result(read_result(id, &response)?)));
    }
    if let Some(medium) = read_medium(part)? {
        // Other providers accept no files in the model's turns.
        return Ok(Some(match speaker {
            Speaker::Assistant => Part::Text("[A file was here.]".to_owned()),
            Speaker::User | Speaker::System => Part::Media(medium),
        }));
    }
    for kind in SERVER_TOOL_PARTS {
        if let Some(item) = part.object(kind)? {
            return Ok(Some(Part::Text(render_server_tool(kind, &item))));
        }
    }
    let Some(text) = part.text("text")?.map(str::to_owned) else { return Ok(None) };
    let is_thought = part.flag("thought")? == Some(true);
    Ok(Some(if is_thought { Part::Thinking { text, signature: None } } else { Part::Text(text) }))
}

fn read_medium(part: &Fields<'_>) -> Read<Option<Media>> {
    let (source, mime, name) = if let Some(inline) = part.object("inlineData")? {
        let mime = inline.text("mimeType")?.unwrap_or_default();
        (data(mime, inline.required_text("data")?), mime, inline.text("displayName")?)
    } else if let Some(file) = part.object("fileData")? {
        let url = file.required_text("fileUri")?;
        (Source::Url(url.to_owned()), file.text("mimeType")?.unwrap_or_default(), file.text("displayName")?)
    } else {
        return Ok(None);
    };
    let is_image = || match &source {
        Source::Url(url) if mime.is_empty() => IMAGE_EXTENSIONS.iter().any(|extension| url.ends_with(extension)),
        _ => mime.starts_with("image/"),
    };
    let sent_as = if is_image() {
        MediaKind::Image
    } else if mime.starts_with("audio/") {
        MediaKind::Audio
    } else {
        MediaKind::File
    };
    Ok(Some(Media { kind: kind_of(&source, sent_as), source, detail: None, name: name.map(str::to_owned) }))
}

fn read_result(id: String, response: &Fields<'_>) -> Read<ToolResult> {
    let only_text = |name: &str| {
        let fields = response.get("response")?.as_object().filter(|fields| fields.len() == 1)?;
        fields.get(name)?.as_str().map(str::to_owned)
    };
    let error = only_text("error");
    let is_error = error.is_some();
    let text = error.or_else(|| RESULT_FIELDS.iter().find_map(|name| only_text(name)));
    let text = text.unwrap_or_else(|| response.get("response").map(Value::to_string).unwrap_or_default());
    let mut parts = vec![Part::Text(text)];
    for part in response.objects("parts")? {
        parts.extend(read_medium(&part)?.map(Part::Media));
    }
    Ok(ToolResult { id, parts, is_error })
}

/// Calls of the last turn that have no result yet: id and name. Ids are optional in this API, and
/// some clients give only the results their own ones.
#[derive(Default)]
struct OpenCalls {
    calls: Vec<(String, String)>,
    /// Number of calls in the conversation.
    count: usize,
}

impl OpenCalls {
    fn clear(&mut self) {
        self.calls.clear();
    }

    /// Adds a call and returns its id.
    fn add(&mut self, id: Option<&str>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).map_or_else(|| format!("call_{}", self.count), str::to_owned);
        self.count += 1;
        self.calls.push((id.clone(), name.to_owned()));
        id
    }

    /// Removes the call that a result belongs to and returns its id.
    fn close(&mut self, id: Option<&str>, name: Option<&str>) -> String {
        let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
        let by_id = self.calls.iter().position(|(known, _)| known == id);
        let place = by_id.or_else(|| self.calls.iter().position(|(_, known)| known == name));
        match place {
            Some(place) => self.calls.remove(place).0,
            None if id.is_empty() => format!("call_{name}"),
            None => id.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_results_with_calls_by_id_and_name() {
        let mut open = OpenCalls::default();
        let ids = [open.add(None, "f"), open.add(Some("own"), "g"), open.add(None, "f")];
        assert_eq!(ids, ["call_0", "own", "call_2"]);
        let closed = [
            open.close(Some("own"), Some("f")),
            open.close(Some("made-by-the-client"), Some("f")),
            open.close(None, Some("f")),
            open.close(None, Some("f")),
            open.close(Some("late"), Some("g")),
        ];
        assert_eq!(closed, ["own", "call_0", "call_2", "call_f", "late"]);
    }
}

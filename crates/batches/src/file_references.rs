//! References to stored files in requests of the chat APIs. The files are inserted into the request
//! as inline data, so that every provider can read them.

use std::collections::HashMap;

use ::files::uploads::detect;
use appcore::{AppError, Code, GatewayFileId, view::GatewayEndpoint};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use gateway::{GatewayCaller, authorize_endpoint};
use memchr::memmem;
use serde_json::{Map, Value, json};

use crate::{BatchesService, files, owner_of, public_id};

/// Substrings of every body that refers to a file.
const MARKS: [&[u8]; 2] = [b"\"file_id\"", b"\"file-"];
/// Maximum number of files that a request refers to.
const MAX_FILES: usize = 16;

/// Part of a request that refers to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReferenceKind {
    /// `input_file` of the Responses API.
    InputFile,
    /// `input_image` of the Responses API.
    InputImage,
    /// `file` of chat completions.
    ChatFile,
    /// `source` of an image or a document in the Messages API.
    Source,
}

/// File that is inserted into a request.
struct InlineFile {
    name: String,
    media_type: String,
    content: Vec<u8>,
}

impl InlineFile {
    fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.media_type, STANDARD.encode(&self.content))
    }
}

/// Inserts the stored files that a request refers to. Returns `None` if it refers to none.
pub async fn expand(service: &BatchesService, caller: &GatewayCaller, body: &Bytes) -> Result<Option<Bytes>, AppError> {
    if !MARKS.into_iter().all(|mark| memmem::find(body, mark).is_some()) {
        return Ok(None);
    }
    let text = body.clone();
    let found = tokio::task::spawn_blocking(move || {
        // An invalid body is refused later.
        let mut value: Value = serde_json::from_slice(&text).ok()?;
        let mut ids = Vec::new();
        visit(&mut value, &mut |part| ids.extend(reference(part).map(|(_, id)| id)));
        ids.sort_unstable();
        ids.dedup();
        (!ids.is_empty()).then_some((value, ids))
    });
    let Some((mut value, ids)) = found.await.map_err(AppError::internal)? else { return Ok(None) };
    let inline = load(service, caller, &ids).await?;
    let expanded = tokio::task::spawn_blocking(move || {
        visit(&mut value, &mut |part| {
            if let Some((kind, id)) = reference(part)
                && let Some(file) = inline.get(&id)
            {
                insert(part, kind, file);
            }
        });
        Bytes::from(value.to_string())
    });
    expanded.await.map(Some).map_err(AppError::internal)
}

async fn load(
    service: &BatchesService,
    caller: &GatewayCaller,
    ids: &[GatewayFileId],
) -> Result<HashMap<GatewayFileId, InlineFile>, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Files)?;
    if ids.len() > MAX_FILES {
        let sentence = format!("A request can refer to up to {MAX_FILES} files.");
        return Err(AppError::refused(Code::TooLarge, sentence));
    }
    let mut room = service.config.gateway.max_body_bytes as u64;
    let mut inline = HashMap::new();
    for id in ids {
        let row = files::find_own(service, owner_of(caller), &public_id::file(*id)).await?;
        room = room.checked_sub(row.bytes.unsigned_abs()).ok_or_else(|| {
            AppError::refused(Code::TooLarge, "The files that the request refers to are too large together.")
        })?;
        let chunks: Vec<Bytes> = files::open_row(service, &row).await?.chunks.try_collect().await?;
        let content = chunks.concat();
        let media_type = detect(&content, "");
        inline.insert(*id, InlineFile { name: row.name, media_type, content });
    }
    Ok(inline)
}

/// Calls `change` with every object that may be a part of a message.
fn visit(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        Value::Object(fields) => {
            change(fields);
            // The arguments of a tool call are the model's, and schemas are no data.
            let is_tool_call = fields.get("type").is_some_and(|kind| kind == "tool_use");
            fields
                .iter_mut()
                .filter(|(name, _)| *name != "tools" && !is_tool_call)
                .for_each(|(_, field)| visit(field, change));
        }
        _ => {}
    }
}

fn reference(part: &Map<String, Value>) -> Option<(ReferenceKind, GatewayFileId)> {
    let own = part.get("file_id");
    let (kind, id) = match part.get("type")?.as_str()? {
        "input_file" => (ReferenceKind::InputFile, own?),
        "input_image" => (ReferenceKind::InputImage, own?),
        "file" => match own {
            Some(id) => (ReferenceKind::Source, id),
            None => (ReferenceKind::ChatFile, part.get("file")?.get("file_id")?),
        },
        _ => return None,
    };
    Some((kind, public_id::parse_file(id.as_str()?)?))
}

fn insert(part: &mut Map<String, Value>, kind: ReferenceKind, file: &InlineFile) {
    part.remove("file_id");
    match kind {
        ReferenceKind::InputFile => {
            part.entry("filename").or_insert_with(|| file.name.as_str().into());
            part.insert("file_data".to_owned(), file.data_url().into());
        }
        ReferenceKind::InputImage => {
            part.insert("image_url".to_owned(), file.data_url().into());
        }
        ReferenceKind::ChatFile => {
            part.insert("file".to_owned(), json!({ "filename": file.name, "file_data": file.data_url() }));
        }
        ReferenceKind::Source => match std::str::from_utf8(&file.content) {
            Ok(text) if file.media_type.starts_with("text/") => {
                *part = fields(json!({ "type": "text", "media_type": "text/plain", "data": text }));
            }
            _ => {
                let data = STANDARD.encode(&file.content);
                *part = fields(json!({ "type": "base64", "media_type": file.media_type, "data": data }));
            }
        },
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(mut body: Value, name: &str, content: &[u8]) -> Value {
        let file = InlineFile { name: name.to_owned(), media_type: detect(content, ""), content: content.to_owned() };
        visit(&mut body, &mut |part| {
            if let Some((kind, _)) = reference(part) {
                insert(part, kind, &file);
            }
        });
        body
    }

    #[test]
    fn inserts_files_in_the_form_of_each_api() {
        let id = public_id::file(GatewayFileId::new());
        let pdf = b"%PDF-1.7\n";
        let url = format!("data:application/pdf;base64,{}", STANDARD.encode(pdf));
        let part = |body: Value| expanded(json!([{ "content": [body] }]), "a.pdf", pdf)[0]["content"][0].clone();
        assert_eq!(
            part(json!({ "type": "input_file", "file_id": id })),
            json!({ "type": "input_file", "filename": "a.pdf", "file_data": url })
        );
        assert_eq!(
            part(json!({ "type": "input_image", "file_id": id, "detail": "low" })),
            json!({ "type": "input_image", "detail": "low", "image_url": url })
        );
        assert_eq!(
            part(json!({ "type": "file", "file": { "file_id": id } })),
            json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": url } })
        );
        let document = part(json!({ "type": "document", "source": { "type": "file", "file_id": id } }));
        let source = json!({ "type": "base64", "media_type": "application/pdf", "data": STANDARD.encode(pdf) });
        assert_eq!(document["source"], source);
        let text = expanded(json!({ "type": "file", "file_id": id }), "a.txt", b"one");
        assert_eq!(text, json!({ "type": "text", "media_type": "text/plain", "data": "one" }));
    }

    #[test]
    fn leaves_other_references_and_tool_calls() {
        let id = public_id::file(GatewayFileId::new());
        for body in [
            json!({ "type": "input_file", "file_id": "file-1" }),
            json!({ "type": "tool_use", "input": { "type": "file", "file_id": id } }),
            json!({ "tools": [{ "type": "file", "file_id": id }] }),
            json!({ "type": "container_upload", "file_id": id }),
        ] {
            assert_eq!(expanded(body.clone(), "a", b"x"), body);
        }
    }
}

//! Multipart forms of gateway calls.

use std::convert::Infallible;

use actix_web::http::header::CONTENT_TYPE;
use ai::{FormFile, GatewayError, MultipartForm};
use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;

use crate::Ctx;

/// Maximum number of text fields.
const MAX_FIELDS: usize = 64;
/// Maximum length of a text field, in bytes.
const MAX_FIELD_LEN: usize = 64 * 1024;
/// Maximum number of files.
const MAX_FILES: usize = 32;

/// Reads the form of a request, whose parts may arrive in any order. A part is a file if it has a
/// file name or is the field `file`.
pub(super) async fn read_form(ctx: &Ctx, body: Bytes) -> Result<MultipartForm, GatewayError> {
    let content_type = ctx.http().headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    parse_form(content_type.unwrap_or_default(), body).await
}

pub(super) async fn parse_form(content_type: &str, body: Bytes) -> Result<MultipartForm, GatewayError> {
    let unreadable = |_| GatewayError::invalid("The form couldn't be read. Send it as multipart/form-data.");
    let boundary = multer::parse_boundary(content_type).map_err(unreadable)?;
    let mut parts = Multipart::new(stream::once(async move { Ok::<_, Infallible>(body) }), boundary);
    let mut form = MultipartForm::default();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        let field = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        if file_name.is_some() || field == "file" {
            let content_type =
                part.content_type().map_or_else(|| "application/octet-stream".to_owned(), ToString::to_string);
            let name = file_name.unwrap_or_else(|| "recording".to_owned());
            let content = part.bytes().await.map_err(unreadable)?;
            if form.files.len() == MAX_FILES {
                return Err(GatewayError::invalid_param(field, format!("The form can have up to {MAX_FILES} files.")));
            }
            form.files.push(FormFile { field, name, content_type, content });
            continue;
        }
        let value = part.text().await.map_err(unreadable)?;
        if value.len() > MAX_FIELD_LEN || form.fields.len() == MAX_FIELDS {
            return Err(GatewayError::invalid("The form has too many fields, or too long ones."));
        }
        form.fields.push((field, value));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn reads_fields_and_files_in_any_order() {
        let body = "--b\r\ncontent-disposition: form-data; name=\"language\"\r\n\r\nvi\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"image[]\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\nPNG\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\nRIFF\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper\r\n--b--\r\n";
        let form = parse_form("multipart/form-data; boundary=b", Bytes::from(body)).await.unwrap();
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(form.fields, [text("language", "vi"), text("model", "whisper")]);
        let files: Vec<_> = form
            .files
            .iter()
            .map(|file| (file.field.as_str(), file.name.as_str(), file.content_type.as_str(), &file.content[..]))
            .collect();
        let image = ("image[]", "a.png", "image/png", &b"PNG"[..]);
        assert_eq!(files, [image, ("file", "recording", "application/octet-stream", &b"RIFF"[..])]);
        for (kind, body) in [("application/json", "{}"), ("multipart/form-data; boundary=b", "--b\r\n")] {
            assert!(parse_form(kind, Bytes::from(body)).await.is_err(), "{kind} {body}");
        }
    }
}

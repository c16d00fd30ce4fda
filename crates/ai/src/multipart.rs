//! Multipart forms.

use bytes::Bytes;
use reqwest::{
    Method, Request, Url,
    header::{CONTENT_TYPE, HeaderValue},
};

use crate::{AiError, route::Attempt};

/// Form of a request in `multipart/form-data`.
#[derive(Debug, Clone, Default)]
pub struct MultipartForm {
    /// Text fields, in the caller's order.
    pub fields: Vec<(String, String)>,
    pub files: Vec<FormFile>,
}

/// File in a form.
#[derive(Debug, Clone)]
pub struct FormFile {
    /// Name of the form field.
    pub field: String,
    pub name: String,
    pub content_type: String,
    pub content: Bytes,
}

impl MultipartForm {
    /// Builds the request to the provider, with the provider's name of the model.
    pub(crate) fn request(&self, url: Url, attempt: &Attempt<'_>) -> Result<Request, AiError> {
        let boundary = format!("natter-{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
        let mut request = Request::new(Method::POST, url);
        let headers = request.headers_mut();
        let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
        headers.insert(CONTENT_TYPE, content_type.map_err(|_| AiError::Rejected)?);
        attempt.upstream.authenticate(headers, &attempt.lease)?;
        *request.body_mut() = Some(self.encode(attempt.model, &boundary).into());
        Ok(request)
    }

    /// Encodes the form with this model.
    pub(crate) fn encode(&self, model: &str, boundary: &str) -> Bytes {
        // These characters would end the quoted name in the form's header.
        let clean = |text: &str| text.replace(['"', '\r', '\n'], "_");
        let mut form = Vec::with_capacity(self.files.iter().map(|file| file.content.len()).sum::<usize>() + 1_024);
        let is_file = |name: &str| self.files.iter().any(|file| file.field == name);
        let fields = self.fields.iter().filter(|(name, _)| name != "model" && !is_file(name));
        for (name, value) in fields.map(|(name, value)| (name.as_str(), value.as_str())).chain([("model", model)]) {
            let name = clean(name);
            let part = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            form.extend_from_slice(part.as_bytes());
        }
        for FormFile { field, name, content_type, content } in &self.files {
            let (field, name, content_type) = (clean(field), clean(name), clean(content_type));
            let head = format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\ncontent-type: {content_type}\r\n\r\n"
            );
            form.extend_from_slice(head.as_bytes());
            form.extend_from_slice(content);
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        form.into()
    }
}

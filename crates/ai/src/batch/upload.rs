//! Bodies by which jobs are submitted, encoded request by request: a form with a file for OpenAI,
//! and a list of requests for Anthropic.

use std::io;

use appcore::view::BatchFormat;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::{Value, value::RawValue};

use super::{BatchForm, EncodedRequest};

/// Encoder of a job's body: its beginning, its requests, its end.
#[derive(Debug)]
pub struct BatchBody {
    form: BatchForm,
    /// Unique name of the job. It begins the ids of its requests.
    tag: String,
    has_requests: bool,
}

/// Body of a job.
pub struct BatchUpload {
    pub content_type: String,
    /// Size in bytes.
    pub length: u64,
    pub chunks: BoxStream<'static, io::Result<Bytes>>,
}

impl BatchBody {
    #[must_use]
    pub fn new(form: BatchForm, tag: &str) -> Self {
        Self { form, tag: tag.to_owned(), has_requests: false }
    }

    #[must_use]
    pub fn content_type(&self) -> String {
        match self.form.0 {
            BatchFormat::OpenAi => format!("multipart/form-data; boundary={}", self.tag),
            BatchFormat::Anthropic => "application/json".to_owned(),
        }
    }

    /// Beginning of the body.
    #[must_use]
    pub fn start(&self) -> Bytes {
        let tag = &self.tag;
        match self.form.0 {
            BatchFormat::OpenAi => format!(
                "--{tag}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{tag}\r\ncontent-disposition: form-data; \
                 name=\"file\"; filename=\"{tag}.jsonl\"\r\ncontent-type: application/jsonl\r\n\r\n"
            )
            .into(),
            BatchFormat::Anthropic => Bytes::from_static(b"{\"requests\":["),
        }
    }

    /// Encodes a request, whose id consists of the job's name and `number`.
    #[must_use]
    pub fn encode(&mut self, number: i64, request: &EncodedRequest) -> Bytes {
        let id = custom_id(&self.tag, number);
        let body = on_one_line(&request.body);
        let is_first = !std::mem::replace(&mut self.has_requests, true);
        match self.form.0 {
            BatchFormat::OpenAi => {
                let endpoint = &request.endpoint;
                format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"{endpoint}\",\"body\":{body}}}\n")
                    .into()
            }
            BatchFormat::Anthropic => {
                let comma = if is_first { "" } else { "," };
                format!("{comma}{{\"custom_id\":\"{id}\",\"params\":{body}}}").into()
            }
        }
    }

    /// End of the body.
    #[must_use]
    pub fn finish(self) -> Bytes {
        match self.form.0 {
            BatchFormat::OpenAi => format!("\r\n--{}--\r\n", self.tag).into(),
            BatchFormat::Anthropic => Bytes::from_static(b"]}"),
        }
    }
}

/// Id of a request of a job.
pub(super) fn custom_id(tag: &str, number: i64) -> String {
    format!("{tag}-{number}")
}

/// Number of the request with this id; `None` if it belongs to another job.
pub(super) fn number_of(tag: &str, custom_id: &str) -> Option<i64> {
    custom_id.strip_prefix(tag)?.strip_prefix('-')?.parse().ok()
}

/// Returns JSON without line breaks, which separate requests.
fn on_one_line(body: &Bytes) -> String {
    let text = String::from_utf8_lossy(body).into_owned();
    if text.contains(['\n', '\r']) {
        return serde_json::from_str::<Value>(&text).map_or(text, |value| value.to_string());
    }
    text
}

/// Returns the bytes of a value of an answer.
pub(super) fn bytes_of(value: &RawValue) -> Bytes {
    Bytes::copy_from_slice(value.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(form: BatchFormat) -> String {
        let request = |body: &'static str| EncodedRequest {
            endpoint: "/v1/chat/completions".to_owned(),
            model: "small".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
            betas: None,
        };
        let mut body = BatchBody::new(BatchForm(form), "job");
        let parts = [body.start(), body.encode(1, &request("{\"a\":\n1}")), body.encode(3, &request("{}"))];
        let text: Vec<u8> = parts.concat().into_iter().chain(body.finish()).collect();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn encodes_one_request_per_line() {
        let text = body(BatchFormat::OpenAi);
        let lines: Vec<&str> = text.split("\r\n").nth(8).unwrap().lines().collect();
        let url = "/v1/chat/completions";
        let expected = |id: &str, body: &str| {
            format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"{url}\",\"body\":{body}}}")
        };
        assert_eq!(lines, [expected("job-1", "{\"a\":1}"), expected("job-3", "{}")]);
        assert!(text.ends_with("\r\n--job--\r\n"), "{text}");
    }

    #[test]
    fn encodes_a_list_of_requests() {
        let expected =
            "{\"requests\":[{\"custom_id\":\"job-1\",\"params\":{\"a\":1}},{\"custom_id\":\"job-3\",\"params\":{}}]}";
        assert_eq!(body(BatchFormat::Anthropic), expected);
    }

    #[test]
    fn recognises_its_own_ids() {
        assert_eq!(number_of("job", &custom_id("job", 17)), Some(17));
        assert_eq!((number_of("job", "job2-17"), number_of("job", "job-x")), (None, None));
    }
}

//! Lines of the result files, in the format of the batch.

use ai::{ApiStyle, GatewayError};
use appcore::{
    BatchId,
    view::{BatchFormat, BatchOutcome},
};
use bytes::Bytes;
use serde_json::{Value, json};

/// Result of a request that was executed or refused.
pub(crate) struct RequestResult<'a> {
    pub style: ApiStyle,
    pub request_id: &'a str,
    /// Body of the answer, or the error.
    pub answer: Result<Bytes, GatewayError>,
}

/// Id of a request of a batch, in OpenAI's format. It is also the id of the call in the usage log.
pub(crate) fn request_id(batch: BatchId, line: i64) -> String {
    format!("batch_req_{}_{line}", batch.0.simple())
}

/// Renders the result of a request.
pub(crate) fn render(format: BatchFormat, custom_id: &str, result: RequestResult<'_>) -> (BatchOutcome, String) {
    let RequestResult { style, request_id, answer } = result;
    let outcome = if answer.is_ok() { BatchOutcome::Succeeded } else { BatchOutcome::Errored };
    let (status, body) = match answer {
        Ok(body) => (200, body.to_vec()),
        Err(error) => {
            let rendered = error.render(style, request_id);
            (rendered.status, rendered.body)
        }
    };
    // Every line is one line, although a provider may send an answer with line breaks.
    let body: Value =
        serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    let line = match (format, outcome) {
        (BatchFormat::OpenAi, _) => json!({
            "id": request_id,
            "custom_id": custom_id,
            "response": { "status_code": status, "request_id": request_id, "body": body },
            "error": null,
        }),
        (BatchFormat::Anthropic, BatchOutcome::Succeeded) => {
            json!({ "custom_id": custom_id, "result": { "type": "succeeded", "message": body } })
        }
        (BatchFormat::Anthropic, _) => {
            json!({ "custom_id": custom_id, "result": { "type": "errored", "error": body } })
        }
    };
    (outcome, line.to_string())
}

/// Renders the result of a request that was not executed.
pub(crate) fn render_skipped(format: BatchFormat, custom_id: &str, request_id: &str, outcome: BatchOutcome) -> String {
    let (code, message) = if outcome == BatchOutcome::Expired {
        ("batch_expired", "This request could not be executed before the completion window expired.")
    } else {
        ("batch_cancelled", "This request was not executed, because the batch was cancelled.")
    };
    match format {
        BatchFormat::OpenAi => json!({
            "id": request_id,
            "custom_id": custom_id,
            "response": null,
            "error": { "code": code, "message": message },
        }),
        BatchFormat::Anthropic => json!({ "custom_id": custom_id, "result": { "type": outcome.as_str() } }),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(format: BatchFormat, style: ApiStyle, answer: Result<&str, GatewayError>) -> (BatchOutcome, Value) {
        let answer = answer.map(|text| Bytes::from(text.to_owned()));
        let (outcome, line) = render(format, "mine", RequestResult { style, request_id: "r", answer });
        assert!(!line.contains('\n'), "{line}");
        (outcome, serde_json::from_str(&line).unwrap())
    }

    #[test]
    fn renders_the_lines_of_openai() {
        let (outcome, line) = rendered(BatchFormat::OpenAi, ApiStyle::Chat, Ok("{\n \"id\": \"x\"\n}"));
        let response = json!({ "status_code": 200, "request_id": "r", "body": { "id": "x" } });
        let expected = json!({ "id": "r", "custom_id": "mine", "response": response, "error": null });
        assert_eq!((outcome, line), (BatchOutcome::Succeeded, expected));
        let refused = Err(GatewayError::invalid_param("n", "Wrong."));
        let (outcome, line) = rendered(BatchFormat::OpenAi, ApiStyle::Chat, refused);
        assert_eq!((outcome, &line["response"]["status_code"]), (BatchOutcome::Errored, &json!(400)));
        assert_eq!(line["response"]["body"]["error"]["param"], "n");
        let skipped = render_skipped(BatchFormat::OpenAi, "mine", "r", BatchOutcome::Expired);
        let line: Value = serde_json::from_str(&skipped).unwrap();
        assert_eq!((&line["response"], &line["error"]["code"]), (&Value::Null, &json!("batch_expired")));
    }

    #[test]
    fn renders_the_lines_of_anthropic() {
        let (_, line) = rendered(BatchFormat::Anthropic, ApiStyle::Messages, Ok("{\"id\":\"x\"}"));
        assert_eq!(line, json!({ "custom_id": "mine", "result": { "type": "succeeded", "message": { "id": "x" } } }));
        let refused = Err(GatewayError::invalid("Wrong."));
        let (_, line) = rendered(BatchFormat::Anthropic, ApiStyle::Messages, refused);
        let error = &line["result"]["error"];
        assert_eq!((&line["result"]["type"], &error["type"]), (&json!("errored"), &json!("error")));
        assert_eq!(error["error"]["type"], "invalid_request_error");
        let skipped = render_skipped(BatchFormat::Anthropic, "mine", "r", BatchOutcome::Canceled);
        assert_eq!(skipped, "{\"custom_id\":\"mine\",\"result\":{\"type\":\"canceled\"}}");
    }
}

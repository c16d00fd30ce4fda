//! OpenAI's batch API: the requests are uploaded as a file, and the results are files.

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{
    BatchError, BatchResult, BatchUpload, JobSearch, JobSignature, ProviderJob, ProviderJobState, RecordedAnswer,
    client::{ApiBody, ApiRequest, BatchClient},
    upload::bytes_of,
};

/// Name of the metadata entry that contains the name of a job.
const TAG_FIELD: &str = "natter-job";
/// Maximum number of pages of the list that are searched for a job.
const MAX_PAGES: usize = 5;
const PAGE: &str = "100";
/// Status of a request that failed without an answer of the model.
const SERVER_ERROR: u16 = 500;

#[derive(Deserialize)]
struct File {
    id: String,
}

#[derive(Deserialize)]
struct Batch {
    id: String,
    status: String,
    input_file_id: Option<String>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    errors: Option<Value>,
    request_counts: Option<Counts>,
}

#[derive(Deserialize)]
struct Counts {
    total: Option<u64>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Batch>,
    has_more: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct ResultLine<'a> {
    pub custom_id: String,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    error: Option<LineError>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LineError {
    code: Option<String>,
    message: Option<String>,
}

impl From<Batch> for ProviderJob {
    fn from(batch: Batch) -> Self {
        let state = match batch.status.as_str() {
            "completed" | "expired" | "cancelled" => ProviderJobState::Ended,
            "failed" => {
                let code = batch.errors.as_ref().and_then(|errors| errors["data"][0]["code"].as_str());
                ProviderJobState::Failed(code.unwrap_or("failed").to_owned())
            }
            _ => ProviderJobState::Running,
        };
        let files = [batch.output_file_id, batch.error_file_id].into_iter().flatten();
        let files = files.filter(|file| !file.is_empty()).collect();
        Self { id: batch.id, state, total: batch.request_counts.and_then(|counts| counts.total), files }
    }
}

impl From<ResultLine<'_>> for BatchResult {
    fn from(line: ResultLine<'_>) -> Self {
        match (line.response, line.error) {
            (Some(Response { status_code: status, body: Some(body) }), _) => {
                Self::Answer(RecordedAnswer { status, body: bytes_of(body) })
            }
            (_, Some(LineError { code: Some(code), .. })) if code == "batch_expired" => Self::Expired,
            (_, Some(LineError { code: Some(code), .. })) if code == "batch_cancelled" => Self::Canceled,
            (_, error) => {
                let message = error.and_then(|error| error.message).unwrap_or_default();
                let body = json!({ "error": { "type": "server_error", "message": message } });
                Self::Answer(RecordedAnswer { status: SERVER_ERROR, body: body.to_string().into() })
            }
        }
    }
}

pub(super) async fn upload(client: &BatchClient, key: usize, upload: BatchUpload) -> Result<String, BatchError> {
    let request = ApiRequest::post(["files"], Some(ApiBody::Upload(upload)));
    client.call::<File>(key, request).await.map(|file| file.id)
}

pub(super) async fn create(
    client: &BatchClient,
    key: usize,
    file_id: &str,
    endpoint: &str,
    tag: &str,
) -> Result<ProviderJob, BatchError> {
    let body = json!({
        "input_file_id": file_id,
        "endpoint": endpoint,
        "completion_window": "24h",
        "metadata": { TAG_FIELD: tag },
    });
    let request = ApiRequest::post(["batches"], Some(ApiBody::Json(body)));
    client.call::<Batch>(key, request).await.map(ProviderJob::from)
}

pub(super) async fn job(client: &BatchClient, key: usize, id: &str) -> Result<ProviderJob, BatchError> {
    client.call::<Batch>(key, ApiRequest::get(["batches", id])).await.map(ProviderJob::from)
}

/// Finds a job by its input file, which no other job has. The list begins with the newest.
pub(super) async fn find(
    client: &BatchClient,
    key: usize,
    signature: JobSignature<'_>,
) -> Result<JobSearch, BatchError> {
    let mut after: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut query = vec![("limit", PAGE)];
        query.extend(after.as_deref().map(|id| ("after", id)));
        let List { data, has_more } = client.call(key, ApiRequest { query, ..ApiRequest::get(["batches"]) }).await?;
        after = data.last().map(|batch| batch.id.clone());
        let found = data.into_iter().find(|batch| batch.input_file_id.as_deref() == signature.file_id);
        if let Some(batch) = found {
            return Ok(JobSearch::Found(batch.into()));
        }
        if has_more != Some(true) || after.is_none() {
            break;
        }
    }
    Ok(JobSearch::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(line: &str) -> BatchResult {
        serde_json::from_str::<ResultLine<'_>>(line).unwrap().into()
    }

    #[test]
    fn reads_results() {
        let answer = |status, body: &'static str| BatchResult::Answer(RecordedAnswer { status, body: body.into() });
        let line = "{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"request_id\":\"r\",\"body\":{\"id\":\"x\"}},\"error\":null}";
        assert_eq!(result(line), answer(200, "{\"id\":\"x\"}"));
        let failed = |code: &str| {
            format!("{{\"custom_id\":\"a\",\"response\":null,\"error\":{{\"code\":\"{code}\",\"message\":\"No.\"}}}}")
        };
        assert_eq!(result(&failed("batch_expired")), BatchResult::Expired);
        assert_eq!(result(&failed("batch_cancelled")), BatchResult::Canceled);
        let other = answer(500, "{\"error\":{\"type\":\"server_error\",\"message\":\"No.\"}}");
        assert_eq!(result(&failed("server_error")), other);
    }

    #[test]
    fn reads_the_states_of_jobs() {
        let job = |status: &str| -> ProviderJob {
            let batch = json!({ "id": "b", "status": status, "output_file_id": "f", "error_file_id": null,
                "errors": { "data": [{ "code": "token_limit_exceeded" }] }, "request_counts": { "total": 2 } });
            serde_json::from_value::<Batch>(batch).unwrap().into()
        };
        assert_eq!((job("completed").state, job("completed").total), (ProviderJobState::Ended, Some(2)));
        assert_eq!(job("completed").files, ["f"]);
        assert_eq!(job("finalizing").state, ProviderJobState::Running);
        assert_eq!(job("failed").state, ProviderJobState::Failed("token_limit_exceeded".to_owned()));
    }
}

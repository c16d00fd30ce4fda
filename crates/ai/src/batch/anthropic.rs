//! Anthropic's message batches: the requests are submitted with the job.

use std::time::Duration;

use appcore::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    BatchError, BatchResult, BatchUpload, JobSearch, JobSignature, ProviderJob, ProviderJobState, RecordedAnswer,
    client::{ApiBody, ApiRequest, BatchClient},
    upload::bytes_of,
};

const BATCHES: [&str; 2] = ["messages", "batches"];
/// Length of the list that is searched for a job.
const PAGE: &str = "100";
/// Tolerated difference of the clocks of this server and the provider.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Batch {
    id: String,
    processing_status: String,
    created_at: String,
    request_counts: Counts,
}

#[derive(Deserialize)]
struct Counts {
    processing: u64,
    succeeded: u64,
    errored: u64,
    canceled: u64,
    expired: u64,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Batch>,
}

#[derive(Deserialize)]
pub(super) struct ResultLine<'a> {
    pub custom_id: String,
    #[serde(borrow)]
    result: LineResult<'a>,
}

#[derive(Deserialize)]
struct LineResult<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorObject {
    error: Option<ErrorType>,
}

#[derive(Deserialize)]
struct ErrorType {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl From<Batch> for ProviderJob {
    fn from(batch: Batch) -> Self {
        let Counts { processing, succeeded, errored, canceled, expired } = batch.request_counts;
        let is_ended = batch.processing_status == "ended";
        let state = if is_ended { ProviderJobState::Ended } else { ProviderJobState::Running };
        let total = Some(processing + succeeded + errored + canceled + expired);
        Self { id: batch.id, state, total, files: Vec::new() }
    }
}

impl From<ResultLine<'_>> for BatchResult {
    fn from(ResultLine { result, .. }: ResultLine<'_>) -> Self {
        match (result.kind.as_str(), result.message, result.error) {
            ("succeeded", Some(message), _) => Self::Answer(RecordedAnswer { status: 200, body: bytes_of(message) }),
            ("expired", ..) => Self::Expired,
            ("canceled", ..) => Self::Canceled,
            (_, _, error) => {
                let body = error.map(bytes_of).unwrap_or_default();
                Self::Answer(RecordedAnswer { status: status_of(&body), body })
            }
        }
    }
}

/// Status that a request on its own would have been answered with.
fn status_of(error: &[u8]) -> u16 {
    let object: Option<ErrorObject> = serde_json::from_slice(error).ok();
    match object.and_then(|object| object.error?.kind).as_deref() {
        Some("invalid_request_error") => 400,
        Some("authentication_error") => 401,
        Some("billing_error") => 402,
        Some("permission_error") => 403,
        Some("not_found_error") => 404,
        Some("request_too_large") => 413,
        Some("rate_limit_error") => 429,
        Some("overloaded_error") => 529,
        _ => 500,
    }
}

pub(super) async fn create(
    client: &BatchClient,
    key: usize,
    upload: BatchUpload,
    betas: Option<&str>,
) -> Result<ProviderJob, BatchError> {
    let request = ApiRequest { betas, ..ApiRequest::post(BATCHES, Some(ApiBody::Upload(upload))) };
    client.call::<Batch>(key, request).await.map(ProviderJob::from)
}

pub(super) async fn job(client: &BatchClient, key: usize, id: &str) -> Result<ProviderJob, BatchError> {
    client.call::<Batch>(key, ApiRequest::get(["messages", "batches", id])).await.map(ProviderJob::from)
}

/// Finds a job by the ids of its requests, which are known when it has ended. Until then, any job of
/// the same size that was created at that time may be the one.
pub(super) async fn find(
    client: &BatchClient,
    key: usize,
    signature: JobSignature<'_>,
) -> Result<JobSearch, BatchError> {
    let since = signature.since.minus(CLOCK_TOLERANCE);
    let query = vec![("limit", PAGE)];
    let List { data } = client.call(key, ApiRequest { query, ..ApiRequest::get(BATCHES) }).await?;
    let is_new = |batch: &Batch| Timestamp::parse(&batch.created_at).is_ok_and(|created_at| created_at >= since);
    let candidates = data
        .into_iter()
        .filter(is_new)
        .map(ProviderJob::from)
        .filter(|job| job.total == Some(signature.total) && !signature.others.contains(&job.id));
    let mut is_undecided = false;
    for job in candidates {
        if job.state == ProviderJobState::Running {
            is_undecided = true;
        } else if client.results(key, signature.tag, &job).next().await?.is_some() {
            return Ok(JobSearch::Found(job));
        }
    }
    Ok(if is_undecided { JobSearch::Undecided } else { JobSearch::Missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(result: &str) -> BatchResult {
        let line = format!("{{\"custom_id\":\"a\",\"result\":{result}}}");
        serde_json::from_str::<ResultLine<'_>>(&line).unwrap().into()
    }

    #[test]
    fn reads_results() {
        let answer = |status, body: &str| BatchResult::Answer(RecordedAnswer { status, body: body.to_owned().into() });
        assert_eq!(result("{\"type\":\"succeeded\",\"message\":{\"id\":\"m\"}}"), answer(200, "{\"id\":\"m\"}"));
        assert_eq!(result("{\"type\":\"expired\"}"), BatchResult::Expired);
        assert_eq!(result("{\"type\":\"canceled\"}"), BatchResult::Canceled);
        let error = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Busy\"}}";
        assert_eq!(result(&format!("{{\"type\":\"errored\",\"error\":{error}}}")), answer(529, error));
        assert_eq!(result("{\"type\":\"errored\"}"), answer(500, ""));
    }
}

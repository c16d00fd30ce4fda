//! Client of a provider's batch API.

use std::{sync::Arc, time::Duration};

use appcore::{Timestamp, view::BatchFormat};
use reqwest::{
    Body, Method, Request, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{BatchForm, BatchUpload, ResultReader, anthropic, openai};
use crate::{
    Ai, AiError, Secret,
    ai::Upstream,
    dialect::EndpointPath,
    keys::{KeyPool, NoKeyAvailable},
    provider_http::{ByteStream, failure::Failure},
};

/// Timeout of a request without a large body.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Timeout of the upload of a job.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Batch API of a provider.
pub struct BatchClient {
    upstream: Arc<Upstream>,
    keys: Vec<Secret>,
    form: BatchForm,
    /// Maximum size of a result, in bytes.
    max_result: usize,
}

/// Failure of a call of the batch API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchError {
    /// The provider refused; the code says why.
    Refused(&'static str),
    /// The provider may have received the request or not.
    Unclear(&'static str),
}

/// Job at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderJob {
    pub id: String,
    pub state: ProviderJobState,
    /// Number of requests, if the provider says it.
    pub total: Option<u64>,
    /// Files with results.
    pub files: Vec<String>,
}

/// State of a job at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderJobState {
    Running,
    /// Completed, expired or cancelled.
    Ended,
    /// The provider didn't start it; its code says why.
    Failed(String),
}

/// Properties by which a job is found whose creation was not confirmed.
#[derive(Debug, Clone, Copy)]
pub struct JobSignature<'a> {
    /// Unique name of the job.
    pub tag: &'a str,
    pub file_id: Option<&'a str>,
    pub total: u64,
    /// Time of the request that may have created it.
    pub since: Timestamp,
    /// Ids of other jobs.
    pub others: &'a [String],
}

/// Result of the search for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobSearch {
    Found(ProviderJob),
    /// A job in progress may be the one.
    Undecided,
    Missing,
}

impl Ai {
    /// Batch API of this provider; `None` if it is unknown.
    #[must_use]
    pub fn batch_client(&self, provider: &str, form: BatchForm) -> Option<BatchClient> {
        let upstreams = self.upstreams();
        let known = upstreams.providers().iter().find(|known| known.settings.name == provider)?;
        Some(BatchClient {
            upstream: Arc::clone(&known.upstream),
            keys: known.settings.keys.clone(),
            form,
            max_result: self.limits().max_answer_bytes,
        })
    }
}

impl From<Failure> for BatchError {
    fn from(failure: Failure) -> Self {
        failure.error.into()
    }
}

impl From<AiError> for BatchError {
    fn from(error: AiError) -> Self {
        match error {
            AiError::Unavailable { .. } | AiError::Timeout | AiError::Truncated | AiError::Garbled => {
                Self::Unclear(error.code())
            }
            error => Self::Refused(error.code()),
        }
    }
}

/// Request to the batch API.
pub(super) struct ApiRequest<'a> {
    pub method: Method,
    pub path: Vec<&'a str>,
    pub query: Vec<(&'static str, &'a str)>,
    pub body: Option<ApiBody>,
    /// Value of the `anthropic-beta` header.
    pub betas: Option<&'a str>,
}

pub(super) enum ApiBody {
    Json(Value),
    Upload(BatchUpload),
}

impl<'a> ApiRequest<'a> {
    pub fn get<const COUNT: usize>(path: [&'a str; COUNT]) -> Self {
        Self { method: Method::GET, path: path.to_vec(), query: Vec::new(), body: None, betas: None }
    }

    pub fn post<const COUNT: usize>(path: [&'a str; COUNT], body: Option<ApiBody>) -> Self {
        Self { method: Method::POST, body, ..Self::get(path) }
    }
}

impl BatchClient {
    #[must_use]
    pub const fn form(&self) -> BatchForm {
        self.form
    }

    /// Index of the key that submits a job of this model. Fails if no key is ready.
    pub fn choose_key(&self, model: &str) -> Result<usize, BatchError> {
        match self.upstream.keys.acquire(model, 0, &[]) {
            Ok(lease) => Ok(lease.index()),
            Err(NoKeyAvailable::CoolingDown(_)) => Err(BatchError::Unclear("provider_busy")),
            Err(NoKeyAvailable::Disabled) => Err(AiError::Credentials.into()),
        }
    }

    /// Indexes of all keys, `first` before the others: the order of keys in the configuration may
    /// have changed since the job was submitted.
    #[must_use]
    pub fn keys_from(&self, first: usize) -> Vec<usize> {
        let others = (0..self.keys.len().max(1)).filter(|key| *key != first);
        std::iter::once(first).chain(others).collect()
    }

    /// Uploads the requests of a job as a file, and returns its id. `None` if the provider gets the
    /// requests with the job itself.
    pub async fn upload(&self, key: usize, upload: BatchUpload) -> Result<Option<String>, BatchError> {
        match self.form.0 {
            BatchFormat::OpenAi => openai::upload(self, key, upload).await.map(Some),
            BatchFormat::Anthropic => Ok(None),
        }
    }

    /// Creates a job of an uploaded file.
    pub async fn create_from_file(
        &self,
        key: usize,
        file_id: &str,
        endpoint: &str,
        tag: &str,
    ) -> Result<ProviderJob, BatchError> {
        openai::create(self, key, file_id, endpoint, tag).await
    }

    /// Creates a job of these requests.
    pub async fn create(
        &self,
        key: usize,
        upload: BatchUpload,
        betas: Option<&str>,
    ) -> Result<ProviderJob, BatchError> {
        anthropic::create(self, key, upload, betas).await
    }

    /// Finds a job whose creation was not confirmed.
    pub async fn find(&self, key: usize, signature: JobSignature<'_>) -> Result<JobSearch, BatchError> {
        match self.form.0 {
            BatchFormat::OpenAi => openai::find(self, key, signature).await,
            BatchFormat::Anthropic => anthropic::find(self, key, signature).await,
        }
    }

    /// Current state of a job.
    pub async fn job(&self, key: usize, id: &str) -> Result<ProviderJob, BatchError> {
        match self.form.0 {
            BatchFormat::OpenAi => openai::job(self, key, id).await,
            BatchFormat::Anthropic => anthropic::job(self, key, id).await,
        }
    }

    /// Requests the cancellation of a job.
    pub async fn cancel(&self, key: usize, id: &str) -> Result<(), BatchError> {
        let path = match self.form.0 {
            BatchFormat::OpenAi => vec!["batches", id, "cancel"],
            BatchFormat::Anthropic => vec!["messages", "batches", id, "cancel"],
        };
        self.send(key, ApiRequest { path, ..ApiRequest::post([], None) }).await.map(drop)
    }

    /// Opens the results of a job that has ended.
    #[must_use]
    pub fn results<'a>(&'a self, key: usize, tag: &'a str, job: &ProviderJob) -> ResultReader<'a> {
        let sources = match self.form.0 {
            BatchFormat::OpenAi => {
                job.files.iter().map(|file| vec!["files".to_owned(), file.clone(), "content".to_owned()]).collect()
            }
            BatchFormat::Anthropic => {
                vec![["messages", "batches", &job.id, "results"].map(str::to_owned).to_vec()]
            }
        };
        ResultReader::new(self, key, tag, sources)
    }

    /// Deletes what the provider stores of a job, and its input file.
    pub async fn discard(
        &self,
        key: usize,
        job: Option<&ProviderJob>,
        file_id: Option<&str>,
    ) -> Result<(), BatchError> {
        let paths: Vec<Vec<&str>> = match self.form.0 {
            BatchFormat::OpenAi => {
                let results = job.into_iter().flat_map(|job| &job.files).map(String::as_str);
                results.chain(file_id).map(|file| vec!["files", file]).collect()
            }
            BatchFormat::Anthropic => job.into_iter().map(|job| vec!["messages", "batches", &*job.id]).collect(),
        };
        for path in paths {
            self.send(key, ApiRequest { path, method: Method::DELETE, ..ApiRequest::get([]) }).await?;
        }
        Ok(())
    }

    pub(super) const fn max_result(&self) -> usize {
        self.max_result
    }

    /// Sends a request and reads its JSON answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, key: usize, request: ApiRequest<'_>) -> Result<T, BatchError> {
        let response = self.send(key, request).await?;
        let body = self.upstream.http.read_whole(response, Instant::now() + REQUEST_TIMEOUT).await?;
        serde_json::from_slice(&body).map_err(|_| AiError::Garbled.into())
    }

    /// Opens a body whose lines are results.
    pub(super) async fn open(&self, key: usize, path: Vec<&str>) -> Result<ByteStream, BatchError> {
        let response = self.send(key, ApiRequest { path, ..ApiRequest::get([]) }).await?;
        Ok(self.upstream.http.stream_body(response))
    }

    async fn send(&self, key: usize, request: ApiRequest<'_>) -> Result<Response, BatchError> {
        let ApiRequest { method, path, query, body, betas } = request;
        let segments = path.into_iter().map(str::to_owned).collect();
        let mut url = self.upstream.url(&EndpointPath { segments, query: None });
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        // A pool of one key, so that the other calls of the provider aren't affected.
        let own = self.keys.get(key).cloned().into_iter().collect();
        let lease = KeyPool::new(own, None, Duration::ZERO).acquire("", 0, &[]);
        let lease = lease.map_err(|_| AiError::Credentials)?;
        let mut request = Request::new(method, url);
        self.upstream.authenticate(request.headers_mut(), &lease)?;
        if let Some(Ok(betas)) = betas.map(HeaderValue::from_str) {
            request.headers_mut().insert("anthropic-beta", betas);
        }
        let mut timeout = REQUEST_TIMEOUT;
        match body {
            None => {}
            Some(ApiBody::Json(body)) => {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *request.body_mut() = Some(body.to_string().into());
            }
            Some(ApiBody::Upload(BatchUpload { content_type, length, chunks })) => {
                let content_type = HeaderValue::from_str(&content_type).map_err(|_| AiError::Rejected)?;
                request.headers_mut().insert(CONTENT_TYPE, content_type);
                request.headers_mut().insert(CONTENT_LENGTH, length.into());
                *request.body_mut() = Some(Body::wrap_stream(chunks));
                timeout = UPLOAD_TIMEOUT;
            }
        }
        Ok(self.upstream.http.send(request, None, false, Instant::now() + timeout).await?)
    }
}

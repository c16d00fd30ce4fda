//! Batch APIs in the forms of OpenAI and Anthropic. A job ends when the test ends it.

use serde_json::{Value, json};

use super::{Asked, UpstreamKind, dialect::Dialect};

/// Text of the answers to requests of jobs.
const ANSWER: &str = "Hello from the upstream.";

/// Reaction to the creation of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobCreation {
    #[default]
    Accept,
    /// The request is refused with this status.
    Refuse(u16),
    /// The job is created, and then fails because of a limit.
    Fail,
    /// The job is created, but the request isn't answered.
    Silent,
}

/// Result of a request of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobResult {
    Answer,
    /// The model refuses the request with this status.
    Refuse(u16),
    Expired,
    Canceled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum JobState {
    Running,
    Failed,
    Ended,
    Canceled,
}

/// Job of the batch API.
#[derive(Clone, Debug)]
pub struct BatchJob {
    pub id: String,
    /// Requests as they were submitted.
    pub requests: Vec<Value>,
    /// Number of times that its cancellation was requested.
    pub cancellations: usize,
    file_id: String,
    state: JobState,
    results: Vec<JobResult>,
}

/// Jobs of the provider.
#[derive(Default)]
pub struct Jobs {
    pub creation: JobCreation,
    pub results: Vec<JobResult>,
    jobs: Vec<BatchJob>,
    /// Ids of stored files, and their requests.
    files: Vec<(String, Vec<Value>)>,
    uploads: usize,
}

/// Reaction to a request of the batch API.
pub enum Reply {
    Json(u16, Value),
    Lines(String),
    Silent,
}

impl Jobs {
    pub fn all(&self) -> Vec<BatchJob> {
        self.jobs.clone()
    }

    pub fn stored_files(&self) -> usize {
        self.files.len()
    }

    pub fn finish_all(&mut self) {
        for at in 0..self.jobs.len() {
            self.finish(at, JobState::Ended, JobResult::Answer);
        }
    }

    fn finish(&mut self, at: usize, state: JobState, usual: JobResult) {
        let job = &mut self.jobs[at];
        if job.state == JobState::Running {
            job.state = state;
            let planned = self.results.iter().copied().chain(std::iter::repeat(usual));
            job.results = planned.take(job.requests.len()).collect();
            for kind in ["out", "err"] {
                self.files.push((format!("{kind}-{at}"), Vec::new()));
            }
        }
    }

    /// Answers a request of the batch API.
    pub fn answer(&mut self, dialect: Dialect, asked: &Asked) -> Option<Reply> {
        let path = asked.path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        let method = asked.method.as_str();
        match (dialect.0, method, segments.as_slice()) {
            (UpstreamKind::OpenAi, "POST", ["files"]) => Some(self.upload(asked)),
            (UpstreamKind::OpenAi, "GET", ["files", id, "content"]) => Some(Reply::Lines(self.lines(dialect, id))),
            (UpstreamKind::OpenAi, "DELETE", ["files", id]) => {
                self.files.retain(|(known, _)| known != id);
                Some(Reply::Json(200, json!({ "id": id, "object": "file", "deleted": true })))
            }
            (UpstreamKind::OpenAi, "POST", ["batches"]) => {
                let id = asked.body["input_file_id"].as_str().unwrap_or_default().to_owned();
                let requests = self.files.iter().find(|(known, _)| *known == id).map(|(_, requests)| requests.clone());
                Some(self.create(dialect, requests.unwrap_or_default(), id))
            }
            (UpstreamKind::Anthropic, "POST", ["messages", "batches"]) => {
                let requests = asked.body["requests"].as_array().cloned().unwrap_or_default();
                Some(self.create(dialect, requests, String::new()))
            }
            (UpstreamKind::OpenAi, _, ["batches", rest @ ..])
            | (UpstreamKind::Anthropic, _, ["messages", "batches", rest @ ..]) => {
                Some(self.about_jobs(dialect, method, rest))
            }
            _ => None,
        }
    }

    fn upload(&mut self, asked: &Asked) -> Reply {
        let form = String::from_utf8_lossy(&asked.bytes).into_owned();
        let requests = form.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        self.uploads += 1;
        let id = format!("in-{}", self.uploads);
        self.files.push((id.clone(), requests));
        Reply::Json(200, json!({ "id": id, "object": "file", "purpose": "batch" }))
    }

    fn create(&mut self, dialect: Dialect, requests: Vec<Value>, file_id: String) -> Reply {
        let state = match self.creation {
            JobCreation::Refuse(status) => return Reply::Json(status, refusal(dialect, status)),
            JobCreation::Fail => JobState::Failed,
            JobCreation::Accept | JobCreation::Silent => JobState::Running,
        };
        let at = self.jobs.len();
        let id = format!("job_{at}");
        self.jobs.push(BatchJob { id, requests, cancellations: 0, file_id, state, results: Vec::new() });
        if self.creation == JobCreation::Silent { Reply::Silent } else { Reply::Json(200, self.view(dialect, at)) }
    }

    fn about_jobs(&mut self, dialect: Dialect, method: &str, path: &[&str]) -> Reply {
        let Some(id) = path.first() else {
            let data: Vec<Value> = (0..self.jobs.len()).rev().map(|at| self.view(dialect, at)).collect();
            return Reply::Json(200, json!({ "object": "list", "data": data, "has_more": false }));
        };
        let Some(at) = self.jobs.iter().position(|job| job.id == *id) else {
            return Reply::Json(404, refusal(dialect, 404));
        };
        match (method, &path[1..]) {
            ("POST", ["cancel"]) => {
                self.jobs[at].cancellations += 1;
                self.finish(at, JobState::Canceled, JobResult::Canceled);
                Reply::Json(200, self.view(dialect, at))
            }
            ("GET", ["results"]) => Reply::Lines(self.results_of(dialect, at, |_| true)),
            _ => Reply::Json(200, self.view(dialect, at)),
        }
    }

    fn view(&self, dialect: Dialect, at: usize) -> Value {
        let job = &self.jobs[at];
        let count = |wanted: JobResult| job.results.iter().filter(|result| **result == wanted).count();
        let total = job.requests.len();
        if dialect.0 == UpstreamKind::Anthropic {
            let is_ended = job.state != JobState::Running;
            let refused = job.results.iter().filter(|result| matches!(result, JobResult::Refuse(_))).count();
            return json!({
                "id": job.id, "type": "message_batch", "processing_status": if is_ended { "ended" } else { "in_progress" },
                "request_counts": {
                    "processing": if is_ended { 0 } else { total }, "succeeded": count(JobResult::Answer), "errored": refused,
                    "canceled": count(JobResult::Canceled), "expired": count(JobResult::Expired),
                },
                // A time that every clock of a test is before.
                "created_at": "2099-01-01T00:00:00Z", "results_url": null,
            });
        }
        let status = match job.state {
            JobState::Running => "in_progress",
            JobState::Failed => "failed",
            JobState::Ended => "completed",
            JobState::Canceled => "cancelled",
        };
        let errors = json!({ "object": "list", "data": [{ "code": "token_limit_exceeded", "message": "Too many." }] });
        let file = |kind: &str| if job.results.is_empty() { Value::Null } else { json!(format!("{kind}-{at}")) };
        json!({
            "id": job.id, "object": "batch", "status": status, "input_file_id": job.file_id,
            "errors": if job.state == JobState::Failed { errors } else { Value::Null },
            "output_file_id": file("out"), "error_file_id": file("err"),
            "request_counts": { "total": total, "completed": count(JobResult::Answer), "failed": 0 },
        })
    }

    /// Content of a result file.
    fn lines(&self, dialect: Dialect, id: &str) -> String {
        let (kind, at) = id.split_once('-').unwrap_or_default();
        let is_output = kind == "out";
        let at = at.parse().unwrap_or(usize::MAX);
        self.results_of(dialect, at, |result| (result == JobResult::Answer) == is_output)
    }

    fn results_of(&self, dialect: Dialect, at: usize, is_meant: impl Fn(JobResult) -> bool) -> String {
        let Some(job) = self.jobs.get(at) else { return String::new() };
        let results = job.requests.iter().zip(&job.results).filter(|(_, result)| is_meant(**result));
        results.map(|(request, result)| format!("{}\n", render(dialect, &request["custom_id"], *result))).collect()
    }
}

fn render(dialect: Dialect, custom_id: &Value, result: JobResult) -> Value {
    if dialect.0 == UpstreamKind::Anthropic {
        let result = match result {
            JobResult::Answer => json!({ "type": "succeeded", "message": dialect.whole(ANSWER) }),
            JobResult::Refuse(status) => json!({ "type": "errored", "error": refusal(dialect, status) }),
            JobResult::Expired => json!({ "type": "expired" }),
            JobResult::Canceled => json!({ "type": "canceled" }),
        };
        return json!({ "custom_id": custom_id, "result": result });
    }
    let answered = |status: u16, body: Value| json!({ "status_code": status, "request_id": "req_1", "body": body });
    let failed = |code: &str| json!({ "code": code, "message": "The test says so." });
    let (response, error) = match result {
        JobResult::Answer => (answered(200, dialect.whole(ANSWER)), Value::Null),
        JobResult::Refuse(status) => (answered(status, refusal(dialect, status)), Value::Null),
        JobResult::Expired => (Value::Null, failed("batch_expired")),
        JobResult::Canceled => (Value::Null, failed("batch_cancelled")),
    };
    json!({ "id": "batch_req_1", "custom_id": custom_id, "response": response, "error": error })
}

fn refusal(dialect: Dialect, status: u16) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        404 => "not_found_error",
        _ => "api_error",
    };
    let error = json!({ "message": "refused by the test", "type": kind });
    if dialect.0 == UpstreamKind::Anthropic {
        json!({ "type": "error", "error": error })
    } else {
        json!({ "error": error })
    }
}

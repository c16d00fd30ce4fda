//! Index in the operator's Meilisearch (`search.url`).
//!
//! Meilisearch receives the same words as the other indexes, and no texts. It determines similar words itself, so
//! words are indexed twice: in an attribute with typo tolerance and in one without. The indexed positions in the event
//! logs are also stored there, in a separate index: if Meilisearch loses its data, the index is filled again.
//!
//! Meilisearch executes requests asynchronously, as a queue of tasks. Positions are advanced only after the preceding
//! tasks are done.

mod codec;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ::search::{Batch, Candidate, Change, FillState, Plan, Term};
use anyhow::anyhow;
use appcore::{AppError, config::Config, secret::Secret};
use async_trait::async_trait;
use dbcontext::{Database, Transaction, constraint::app_error};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{IndexWriter, SearchIndex, postgres};

/// Maximum time to wait for a response, and for the end of a task.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const TASK_TIMEOUT: Duration = Duration::from_secs(120);
const TASK_POLL_INTERVAL: Duration = Duration::from_millis(30);
/// Number of positions read per page.
const POSITIONS_PER_PAGE: usize = 1_000;
/// Name of the index; increment the number with every change of the tokenizer or of the indexed content.
const MESSAGES: &str = "natter_messages_1";
const STATE: &str = "natter_state_1";
/// Document in [`STATE`] with the state of the initial fill.
const FILL: &str = "fill";

#[derive(Clone)]
pub(super) struct MeilisearchIndex {
    client: Client,
    /// Base URL, without a trailing slash.
    url: String,
    key: Option<Secret>,
    db: Database,
    is_prepared: Arc<AtomicBool>,
}

impl MeilisearchIndex {
    /// Creates the index; `None` if no Meilisearch is configured.
    pub fn from_config(config: &Config, db: &Database) -> anyhow::Result<Option<Self>> {
        let Some(url) = &config.search.url else { return Ok(None) };
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
        let url = url.as_str().trim_end_matches('/').to_owned();
        let key = config.search.key.clone();
        Ok(Some(Self { client, url, key, db: db.clone(), is_prepared: Arc::default() }))
    }

    /// Sends a request; returns `None` for 404.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Option<Value>, AppError> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(AppError::unavailable)?;
        let status = answer.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer: Value = answer.json().await.map_err(AppError::unavailable)?;
        if status.is_success() {
            return Ok(Some(answer));
        }
        let why = answer["message"].as_str().unwrap_or_default();
        Err(AppError::unavailable(anyhow!("search engine returned {status}: {why}")))
    }

    /// Starts a task and waits until it is done; the inner error is the task's error code.
    async fn run_task(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Result<(), String>, AppError> {
        let asked = self.call(method, path, body).await?;
        let task = asked.as_ref().and_then(|asked| asked["taskUid"].as_u64());
        let task = task.ok_or_else(|| AppError::unavailable(anyhow!("search engine returned no task for {path}")))?;
        let begun = Instant::now();
        while begun.elapsed() < TASK_TIMEOUT {
            let looked = self.call(Method::GET, &format!("/tasks/{task}"), None).await?.unwrap_or_default();
            match looked["status"].as_str() {
                Some("succeeded") => return Ok(Ok(())),
                Some("failed" | "canceled") => {
                    return Ok(Err(looked["error"]["code"].as_str().unwrap_or("canceled").to_owned()));
                }
                _ => sleep(TASK_POLL_INTERVAL).await,
            }
        }
        Err(AppError::unavailable(anyhow!("search engine task {task} timed out")))
    }

    async fn run_task_or_fail(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(), AppError> {
        let done = self.run_task(method, path, body).await?;
        done.map_err(|code| AppError::unavailable(anyhow!("search engine task for {path} failed: {code}")))
    }

    /// Creates the indexes unless they exist.
    async fn prepare(&self) -> Result<(), AppError> {
        if self.is_prepared.load(Relaxed) && self.read_fill().await?.is_some() {
            return Ok(());
        }
        for (index, settings) in [(MESSAGES, codec::settings_of_messages()), (STATE, codec::settings_of_state())] {
            let made = json!({ "uid": index, "primaryKey": "id" });
            match self.run_task(Method::POST, "/indexes", Some(&made)).await? {
                Err(code) if code != "index_already_exists" => {
                    return Err(AppError::unavailable(anyhow!("failed to create search engine index: {code}")));
                }
                _ => {}
            }
            self.run_task_or_fail(Method::PATCH, &format!("/indexes/{index}/settings"), Some(&settings)).await?;
        }
        self.is_prepared.store(true, Relaxed);
        Ok(())
    }

    async fn documents(&self, body: &Value) -> Result<Vec<Value>, AppError> {
        let path = format!("/indexes/{STATE}/documents/fetch");
        let mut found = self.call(Method::POST, &path, Some(body)).await?.unwrap_or_default();
        Ok(match found["results"].take() {
            Value::Array(found) => found,
            _ => Vec::new(),
        })
    }

    async fn read_positions(&self, ids: &[Uuid]) -> Result<Vec<(Uuid, i64)>, AppError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let body = json!({ "filter": [codec::one_of("id", ids)], "limit": ids.len() });
        Ok(self.documents(&body).await?.iter().filter_map(codec::position).collect())
    }

    async fn read_fill(&self) -> Result<Option<FillState>, AppError> {
        let found = self.call(Method::GET, &format!("/indexes/{STATE}/documents/{FILL}"), None).await?;
        Ok(found.as_ref().and_then(codec::fill))
    }

    async fn apply(&self, batch: &Batch) -> Result<(), AppError> {
        let path = format!("/indexes/{MESSAGES}/documents");
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for change in &batch.changes {
            match change {
                Change::Upsert(document) => put.push(codec::document(document)),
                Change::Remove(message) => removed.push(json!(message)),
            }
        }
        if !removed.is_empty() {
            self.run_task_or_fail(Method::POST, &format!("{path}/delete-batch"), Some(&removed.into())).await?;
        }
        if !put.is_empty() {
            self.run_task_or_fail(Method::POST, &path, Some(&put.into())).await?;
        }
        if !batch.removed_conversations.is_empty() {
            let body = json!({ "filter": codec::one_of("conversation", &batch.removed_conversations) });
            self.run_task_or_fail(Method::POST, &format!("{path}/delete"), Some(&body)).await?;
        }
        let mut state: Vec<Value> = batch.positions.iter().map(|(id, seq)| json!({ "id": id, "seq": seq })).collect();
        state.extend(batch.fill.map(|fill| json!({ "id": FILL, "below": fill.below, "is_done": fill.is_done })));
        if state.is_empty() {
            return Ok(());
        }
        self.run_task_or_fail(Method::POST, &format!("/indexes/{STATE}/documents"), Some(&state.into())).await
    }
}

#[async_trait]
impl SearchIndex for MeilisearchIndex {
    async fn candidates(&self, plan: Plan) -> Result<Vec<Candidate>, AppError> {
        if plan.conversations.is_empty() || plan.authors.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let path = format!("/indexes/{MESSAGES}/search");
        let found = self.call(Method::POST, &path, Some(&codec::encode_query(&plan))).await?.unwrap_or_default();
        Ok(found["hits"].as_array().into_iter().flatten().filter_map(codec::candidate).collect())
    }

    fn has_builtin_similarity(&self) -> bool {
        true
    }

    async fn terms_after(&self, _number: i64) -> Result<Vec<Term>, AppError> {
        Ok(Vec::new())
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        self.read_fill().await
    }

    async fn messages(&self) -> Result<u64, AppError> {
        let found = self.call(Method::GET, &format!("/indexes/{MESSAGES}/stats"), None).await?.unwrap_or_default();
        Ok(found["numberOfDocuments"].as_u64().unwrap_or_default())
    }

    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        self.read_positions(&ids).await
    }

    async fn incomplete_conversations(&self, db: &Database) -> Result<Vec<(Uuid, i64)>, AppError> {
        let mut read = Vec::new();
        for page in 0.. {
            let found =
                self.documents(&json!({ "offset": page * POSITIONS_PER_PAGE, "limit": POSITIONS_PER_PAGE })).await?;
            read.extend(found.iter().filter_map(codec::position));
            if found.len() < POSITIONS_PER_PAGE {
                break;
            }
        }
        super::incomplete(db, read).await
    }

    async fn acquire_writer(&self) -> Result<Option<Box<dyn IndexWriter>>, AppError> {
        let lock = if self.db.is_sqlite() {
            None
        } else {
            let Some(held) = postgres::begin_locked(&self.db).await? else { return Ok(None) };
            Some(held)
        };
        self.prepare().await?;
        let writing = MeilisearchWriter { engine: self.clone(), lock };
        Ok(Some(Box::new(writing) as Box<dyn IndexWriter>))
    }

    async fn clear(&self) -> Result<(), AppError> {
        self.prepare().await?;
        // The state is deleted last, because the index is filled again as soon as it is missing.
        for index in [MESSAGES, STATE] {
            self.run_task_or_fail(Method::DELETE, &format!("/indexes/{index}/documents"), None).await?;
        }
        Ok(())
    }
}

/// Write access. In a cluster the writer holds a lock in the database.
struct MeilisearchWriter {
    engine: MeilisearchIndex,
    lock: Option<Transaction>,
}

#[async_trait]
impl IndexWriter for MeilisearchWriter {
    async fn positions(&self, ids: Vec<Uuid>) -> Result<Vec<(Uuid, i64)>, AppError> {
        self.engine.read_positions(&ids).await
    }

    async fn fill_state(&self) -> Result<Option<FillState>, AppError> {
        self.engine.read_fill().await
    }

    async fn abort(self: Box<Self>) -> Result<(), AppError> {
        match self.lock {
            Some(lock) => lock.rollback().await.map_err(app_error),
            None => Ok(()),
        }
    }

    async fn commit(self: Box<Self>, batch: Batch) -> Result<(), AppError> {
        self.engine.apply(&batch).await?;
        match self.lock {
            Some(lock) => lock.commit().await.map_err(app_error),
            None => Ok(()),
        }
    }
}

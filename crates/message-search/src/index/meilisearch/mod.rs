//! Index in the operator's Meilisearch (`search.url`).
//!
//! Meilisearch receives the same words as the other indexes, and no texts. It determines similar words itself, so
//! words are indexed twice: in an attribute with typo tolerance and in one without. The state of the index is also
//! stored there, in a separate index: if Meilisearch loses its data, the index is filled again. It names the instance
//! that writes, and until when.
//!
//! Meilisearch executes requests asynchronously, as a queue of tasks. The state is changed only after the preceding
//! tasks are done.

mod codec;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ::search::Vocabulary;
use anyhow::anyhow;
use appcore::{AppError, Timestamp, clock::Clock, config::Config, secret::Secret};
use async_trait::async_trait;
use dbcontext::{Database, constraint::app_error, query::search as rows};
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use uuid::Uuid;

use super::{Batch, Candidate, Change, IndexState, Plan, SearchIndex};

/// Maximum time to wait for a response, and for the end of a task.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const TASK_TIMEOUT: Duration = Duration::from_secs(120);
const TASK_POLL_INTERVAL: Duration = Duration::from_millis(30);
/// Time for which an instance stays the writer, and after which it renews that.
const LEASE_TIME: Duration = Duration::from_secs(30);
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// Name of the index; increment the number with every change of the tokenizer or of the indexed content.
const MESSAGES: &str = "natter_messages_1";
const STATE: &str = "natter_state_2";
/// The document in [`STATE`].
const STATE_ID: &str = "state";

#[derive(Clone)]
pub(super) struct MeilisearchIndex {
    client: Client,
    /// Base URL, without a trailing slash.
    url: String,
    key: Option<Secret>,
    db: Database,
    clock: Clock,
    is_prepared: Arc<AtomicBool>,
    /// This instance as a writer.
    writer: Uuid,
    /// Time at which this instance became the writer or renewed that; `None` if another one is.
    leased_at: Arc<Mutex<Option<Instant>>>,
}

/// State of the index, with the instance that writes it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredState {
    id: String,
    writer: Uuid,
    renewed_at: Timestamp,
    state: Option<IndexState>,
}

impl MeilisearchIndex {
    /// Creates the index; `None` if no Meilisearch is configured.
    pub fn from_config(config: &Config, db: &Database) -> anyhow::Result<Option<Self>> {
        let Some(url) = &config.search.url else { return Ok(None) };
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
        let url = url.as_str().trim_end_matches('/').to_owned();
        let key = config.search.key.clone();
        Ok(Some(Self {
            client,
            url,
            key,
            db: db.clone(),
            clock: Clock::system(),
            is_prepared: Arc::default(),
            writer: Uuid::now_v7(),
            leased_at: Arc::default(),
        }))
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
        if self.is_prepared.load(Relaxed) && self.stored_state().await?.is_some() {
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

    async fn stored_state(&self) -> Result<Option<StoredState>, AppError> {
        let found = self.call(Method::GET, &format!("/indexes/{STATE}/documents/{STATE_ID}"), None).await?;
        // An unreadable state is that of another version.
        Ok(found.and_then(|found| serde_json::from_value(found).ok()))
    }

    async fn store_state(&self, state: Option<IndexState>) -> Result<(), AppError> {
        let stored = StoredState { id: STATE_ID.to_owned(), writer: self.writer, renewed_at: self.clock.now(), state };
        let body = json!([stored]);
        self.run_task_or_fail(Method::POST, &format!("/indexes/{STATE}/documents"), Some(&body)).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), AppError> {
        let path = format!("/indexes/{MESSAGES}/documents");
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for change in batch.changes {
            match change {
                Change::Put(document) => put.push(codec::document(&document)),
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
        self.store_state(Some(batch.state)).await
    }

    /// Becomes the writer if there is none, or renews this instance's lease.
    async fn lease(&self) -> Result<bool, AppError> {
        self.prepare().await?;
        let now = self.clock.now();
        let stored = self.stored_state().await?;
        let is_held = |stored: &StoredState| stored.writer != self.writer && stored.renewed_at.plus(LEASE_TIME) > now;
        if stored.as_ref().is_some_and(is_held) {
            return Ok(false);
        }
        self.store_state(stored.and_then(|stored| stored.state)).await?;
        Ok(true)
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

    fn vocabulary(&self) -> Option<Arc<dyn Vocabulary + Send + Sync>> {
        None
    }

    async fn state(&self) -> Result<Option<IndexState>, AppError> {
        Ok(self.stored_state().await?.and_then(|stored| stored.state))
    }

    async fn messages(&self) -> Result<u64, AppError> {
        let found = self.call(Method::GET, &format!("/indexes/{MESSAGES}/stats"), None).await?.unwrap_or_default();
        Ok(found["numberOfDocuments"].as_u64().unwrap_or_default())
    }

    async fn is_writer(&self) -> Result<bool, AppError> {
        let mut leased_at = self.leased_at.lock().await;
        if leased_at.is_some_and(|at| at.elapsed() < LEASE_RENEWAL) {
            return Ok(true);
        }
        *leased_at = None;
        // Only one instance at a time reads and changes the lease.
        let lock = if self.db.is_sqlite() {
            None
        } else {
            let tx = self.db.begin().await.map_err(app_error)?;
            rows::lock_shared_index(&tx).await?;
            Some(tx)
        };
        let is_writer = self.lease().await?;
        if let Some(lock) = lock {
            lock.commit().await.map_err(app_error)?;
        }
        *leased_at = is_writer.then(Instant::now);
        Ok(is_writer)
    }

    async fn write(&self, batch: Batch) -> Result<(), AppError> {
        let stored = self.stored_state().await?;
        if stored.is_none_or(|stored| stored.writer != self.writer) {
            *self.leased_at.lock().await = None;
            return Err(AppError::unavailable(anyhow!("search engine lost its data, or another instance writes")));
        }
        self.apply(batch).await
    }

    async fn clear(&self) -> Result<(), AppError> {
        self.prepare().await?;
        self.run_task_or_fail(Method::DELETE, &format!("/indexes/{MESSAGES}/documents"), None).await?;
        self.store_state(None).await
    }
}

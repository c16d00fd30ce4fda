//! Results of a job, read line by line.

use std::time::Duration;

use appcore::view::BatchFormat;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::{BatchClient, BatchError, RecordedAnswer, anthropic, openai, upload::number_of};
use crate::{AiError, provider_http::ByteStream};

/// Maximum silence while results arrive.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchAnswer {
    /// Number of the request in the job.
    pub number: i64,
    pub result: BatchResult,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchResult {
    Answer(RecordedAnswer),
    /// The request was not executed in time.
    Expired,
    /// The request was not executed, because the job was cancelled.
    Canceled,
}

/// Reader of the results of a job. Results of other jobs are skipped.
pub struct ResultReader<'a> {
    client: &'a BatchClient,
    key: usize,
    tag: &'a str,
    /// Paths of the bodies with results that were not opened yet, the last one first.
    sources: Vec<Vec<String>>,
    body: Option<ByteStream>,
    buffer: BytesMut,
}

impl<'a> ResultReader<'a> {
    pub(super) fn new(client: &'a BatchClient, key: usize, tag: &'a str, mut sources: Vec<Vec<String>>) -> Self {
        sources.reverse();
        Self { client, key, tag, sources, body: None, buffer: BytesMut::new() }
    }

    /// Returns the next result, or `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<BatchAnswer>, BatchError> {
        while let Some(line) = self.next_line().await? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let unreadable = |_| BatchError::from(AiError::Garbled);
            let (custom_id, result) = match self.client.form().0 {
                BatchFormat::OpenAi => {
                    let line: openai::ResultLine<'_> = serde_json::from_slice(&line).map_err(unreadable)?;
                    (line.custom_id.clone(), line.into())
                }
                BatchFormat::Anthropic => {
                    let line: anthropic::ResultLine<'_> = serde_json::from_slice(&line).map_err(unreadable)?;
                    (line.custom_id.clone(), line.into())
                }
            };
            if let Some(number) = number_of(self.tag, &custom_id) {
                return Ok(Some(BatchAnswer { number, result }));
            }
        }
        Ok(None)
    }

    async fn next_line(&mut self) -> Result<Option<Bytes>, BatchError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                return Ok(Some(self.buffer.split_to(end + 1).freeze()));
            }
            let Some(body) = &mut self.body else {
                let Some(source) = self.sources.pop() else { return Ok(None) };
                let path = source.iter().map(String::as_str).collect();
                self.body = Some(self.client.open(self.key, path).await?);
                continue;
            };
            match timeout(IDLE_TIMEOUT, body.next()).await.map_err(|_| AiError::Timeout)? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk?),
                None => {
                    self.body = None;
                    if !self.buffer.is_empty() {
                        return Ok(Some(self.buffer.split().freeze()));
                    }
                }
            }
            if self.buffer.len() > self.client.max_result() {
                return Err(AiError::TooLarge.into());
            }
        }
    }
}

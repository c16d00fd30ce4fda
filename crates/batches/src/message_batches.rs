//! Message batches in Anthropic's format, `/v1/messages/batches`.
//!
//! The requests of the body are written to an internal file, so that these batches run like those
//! of OpenAI's format.

use std::collections::HashSet;

use appcore::{
    AppError, BatchId, Code,
    view::{BatchFormat, BatchStatus, GatewayEndpoint},
};
use bytes::Bytes;
use dbcontext::query::{
    gateway_batches::{self as rows, BatchCursor, BatchRow},
    gateway_files,
};
use gateway::{GatewayCaller, authorize_endpoint};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    BatchInput, BatchesService, MAX_REQUESTS, cancel_batch,
    files::{self, FileContent},
    find_batch, insert_batch, new_batch, owner_of, public_id, sweep,
};

const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 1_000;
const MAX_ID_LEN: usize = 64;
/// Purpose of the internal files.
const PURPOSE: &str = "message_batch";
/// Size of the chunks in which the input is written, in bytes.
const CHUNK: usize = 256 * 1024;
/// Beta feature that stands for batches themselves and means nothing to a single request.
const BATCHES_BETA: &str = "message-batches-";

#[derive(Deserialize)]
struct CreateRequest<'a> {
    #[serde(borrow)]
    requests: Vec<MessageRequest<'a>>,
}

#[derive(Deserialize)]
struct MessageRequest<'a> {
    custom_id: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

/// Query of a list of batches.
#[derive(Clone, Debug, Default)]
pub struct BatchQuery {
    pub before_id: Option<String>,
    pub after_id: Option<String>,
    pub limit: Option<u64>,
}

/// Creates a batch from a request body. `betas` is the list of beta features in the request's
/// headers.
pub async fn create(
    service: &BatchesService,
    caller: &GatewayCaller,
    body: Bytes,
    betas: Option<String>,
    base_url: &str,
) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    authorize_endpoint(caller, GatewayEndpoint::Messages)?;
    let size = body.len() as u64;
    let encoded = tokio::task::spawn_blocking(move || encode_input(&body)).await.map_err(AppError::internal)?;
    let (input, total) = encoded?;
    let owner = owner_of(caller);
    let mut upload = files::start_pending(service, owner, Some(size), true).await?;
    for start in (0..input.len()).step_by(CHUNK) {
        let chunk = input.slice(start..input.len().min(start + CHUNK));
        if let Err(error) = upload.write(service, &chunk).await {
            upload.abort(service).await;
            return Err(error);
        }
    }
    let file = upload.store(service, "requests.jsonl".to_owned(), PURPOSE.to_owned(), None).await?;
    let input = BatchInput { endpoint: GatewayEndpoint::Messages, file_id: file.id, total };
    let mut row = new_batch(caller, BatchId::new(), BatchFormat::Anthropic, input, service.clock.now());
    row.betas = betas.and_then(|list| request_betas(&list));
    if let Err(error) = insert_batch(service, row.clone()).await {
        gateway_files::mark_deleted(service.db.writer(), file.id).await?;
        sweep::sweep_file(service, file.id).await?;
        return Err(error);
    }
    Ok(render(&row, base_url))
}

/// Returns the beta features of the requests: those of the batch, without that of batches.
fn request_betas(list: &str) -> Option<String> {
    let names: Vec<&str> =
        list.split(',').map(str::trim).filter(|name| !name.is_empty() && !name.starts_with(BATCHES_BETA)).collect();
    (!names.is_empty()).then(|| names.join(","))
}

/// Converts the requests of a body to an input file; returns it with the number of requests.
fn encode_input(body: &[u8]) -> Result<(Bytes, i64), AppError> {
    let CreateRequest { requests } = serde_json::from_slice(body).map_err(|error| {
        AppError::refused(Code::MalformedBody, format!("The request body couldn't be read: {error}."))
    })?;
    if !(1..=MAX_REQUESTS).contains(&requests.len()) {
        let message = format!("A batch has from 1 to {MAX_REQUESTS} requests.");
        return Err(AppError::field("requests", "invalid", message));
    }
    let total = i64::try_from(requests.len()).unwrap_or(i64::MAX);
    let mut input = String::with_capacity(body.len());
    let mut ids = HashSet::with_capacity(requests.len());
    for (at, MessageRequest { custom_id, params }) in requests.into_iter().enumerate() {
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if custom_id.is_empty() || custom_id.len() > MAX_ID_LEN || !custom_id.chars().all(is_allowed) {
            let message = format!("`custom_id` has 1 to {MAX_ID_LEN} letters, digits, `_` and `-`.");
            return Err(AppError::field(format!("requests.{at}.custom_id"), "invalid", message));
        }
        let params = compact(params, at)?;
        input.push_str(&format!("{{\"custom_id\":\"{custom_id}\",\"params\":{params}}}\n"));
        if !ids.insert(custom_id) {
            let message = "Each request needs a `custom_id` of its own.";
            return Err(AppError::field(format!("requests.{at}.custom_id"), "duplicate", message));
        }
    }
    Ok((input.into(), total))
}

/// Returns the parameters of a request on one line.
fn compact(params: &RawValue, at: usize) -> Result<String, AppError> {
    let text = params.get();
    let invalid = || AppError::field(format!("requests.{at}.params"), "invalid", "`params` must be an object.");
    if !text.starts_with('{') {
        return Err(invalid());
    }
    if !text.contains(['\n', '\r']) {
        return Ok(text.to_owned());
    }
    serde_json::from_str::<Value>(text).map(|value| value.to_string()).map_err(|_| invalid())
}

pub async fn find(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: &str,
    base_url: &str,
) -> Result<Value, AppError> {
    find_own(service, caller, id).await.map(|row| render(&row, base_url))
}

pub async fn list(
    service: &BatchesService,
    caller: &GatewayCaller,
    query: BatchQuery,
    base_url: &str,
) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    let limit = files::check_limit(query.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursor = match (query.before_id, query.after_id) {
        (Some(_), Some(_)) => {
            let message = "Use either `before_id` or `after_id`.";
            return Err(AppError::field("before_id", "invalid", message));
        }
        (Some(id), None) => Some(BatchCursor::Before(find_own(service, caller, &id).await?.id)),
        (None, Some(id)) => Some(BatchCursor::After(find_own(service, caller, &id).await?.id)),
        (None, None) => None,
    };
    let (owner, format) = (owner_of(caller), BatchFormat::Anthropic);
    let mut found = rows::list(service.db.reader(), owner, format, cursor, limit + 1).await?;
    let has_more = found.len() as u64 > limit;
    if has_more && matches!(cursor, Some(BatchCursor::Before(_))) {
        // The surplus row is the one that is farthest from the cursor.
        found.remove(0);
    }
    files::truncate(&mut found, limit);
    let data: Vec<Value> = found.iter().map(|row| render(row, base_url)).collect();
    Ok(json!({
        "first_id": data.first().map(|batch| &batch["id"]),
        "last_id": data.last().map(|batch| &batch["id"]),
        "has_more": has_more,
        "data": data,
    }))
}

pub async fn cancel(
    service: &BatchesService,
    caller: &GatewayCaller,
    id: &str,
    base_url: &str,
) -> Result<Value, AppError> {
    let row = find_own(service, caller, id).await?;
    let row = cancel_batch(service, row).await?;
    Ok(render(&row, base_url))
}

/// Deletes a batch that has ended.
pub async fn delete(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<Value, AppError> {
    let row = find_own(service, caller, id).await?;
    if !row.status.is_final() {
        let sentence = "This batch is in progress. Cancel it, and delete it when it has ended.";
        return Err(AppError::refused(Code::WrongState, sentence));
    }
    sweep::delete_batch(service, &row).await?;
    Ok(json!({ "id": public_id::batch(BatchFormat::Anthropic, row.id), "type": "message_batch_deleted" }))
}

/// Opens the results of a batch that has ended.
pub async fn open_results(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<FileContent, AppError> {
    let row = find_own(service, caller, id).await?;
    let Some(file) = row.output_file_id else {
        return Err(AppError::refused(Code::NotFound, "This batch has no results yet. It hasn't ended."));
    };
    let file = gateway_files::find(service.db.writer(), owner_of(caller), file, service.clock.now()).await?;
    let file = file.ok_or_else(|| AppError::refused(Code::NotFound, "The results of this batch have expired."))?;
    files::open_row(service, &file).await
}

async fn find_own(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<BatchRow, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    find_batch(service, caller, BatchFormat::Anthropic, id).await
}

fn render(row: &BatchRow, base_url: &str) -> Value {
    let id = public_id::batch(BatchFormat::Anthropic, row.id);
    let processing_status = match row.status {
        status if status.is_final() => "ended",
        BatchStatus::Cancelling => "canceling",
        _ => "in_progress",
    };
    let processing = if row.status.is_final() { 0 } else { row.total };
    let results_url =
        row.output_file_id.map(|_| format!("{}/v1/messages/batches/{id}/results", base_url.trim_end_matches('/')));
    json!({
        "id": id,
        "type": "message_batch",
        "processing_status": processing_status,
        "request_counts": {
            "processing": processing,
            "succeeded": row.succeeded,
            "errored": row.errored,
            "canceled": row.canceled,
            "expired": row.expired,
        },
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "ended_at": row.ended_at,
        "cancel_initiated_at": row.cancelled_at,
        "archived_at": null,
        "results_url": results_url,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_requests_to_lines() {
        let body = "{\"requests\":[{\"custom_id\":\"a\",\"params\":{\"b\":1,\n \"a\":2}},{\"params\":{},\"custom_id\":\"b\"}]}";
        let (input, total) = encode_input(body.as_bytes()).unwrap();
        assert_eq!(total, 2);
        let lines = "{\"custom_id\":\"a\",\"params\":{\"b\":1,\"a\":2}}\n{\"custom_id\":\"b\",\"params\":{}}\n";
        assert_eq!(&input[..], lines.as_bytes());
    }

    #[test]
    fn names_the_invalid_request() {
        let refused = |requests: Value| {
            let error = encode_input(json!({ "requests": requests }).to_string().as_bytes()).unwrap_err();
            error.fields().first().map(|field| field.field.to_string())
        };
        let one = |id: &str, params: Value| json!({ "custom_id": id, "params": params });
        assert_eq!(refused(json!([])), Some("requests".to_owned()));
        assert_eq!(refused(json!([one("", json!({}))])), Some("requests.0.custom_id".to_owned()));
        assert_eq!(refused(json!([one("a b", json!({}))])), Some("requests.0.custom_id".to_owned()));
        assert_eq!(refused(json!([one(&"a".repeat(65), json!({}))])), Some("requests.0.custom_id".to_owned()));
        assert_eq!(refused(json!([one("a", json!({})), one("a", json!({}))])), Some("requests.1.custom_id".to_owned()));
        assert_eq!(refused(json!([one("a", json!([]))])), Some("requests.0.params".to_owned()));
        assert_eq!(refused(json!([{ "custom_id": "a" }])), None);
    }

    #[test]
    fn passes_other_betas_on() {
        assert_eq!(request_betas("message-batches-2024-09-24"), None);
        assert_eq!(request_betas("message-batches-2024-09-24, a,b").as_deref(), Some("a,b"));
    }
}

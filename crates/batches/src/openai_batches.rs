//! Batches in OpenAI's format, `/v1/batches`.

use std::time::Duration;

use appcore::{
    AppError, BatchId, Timestamp,
    view::{BatchFormat, BatchStatus, GatewayEndpoint},
};
use dbcontext::query::gateway_batches::{self as rows, BatchCounts, BatchCursor, BatchRow};
use gateway::{GatewayCaller, authorize_endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    BatchInput, BatchesService, cancel_batch, files, find_batch, insert_batch, new_batch, owner_of, public_id,
};

/// Endpoints whose requests a batch may have, by path.
pub(crate) const ENDPOINTS: [(&str, GatewayEndpoint); 5] = [
    ("/v1/chat/completions", GatewayEndpoint::Chat),
    ("/v1/responses", GatewayEndpoint::Responses),
    ("/v1/embeddings", GatewayEndpoint::Embeddings),
    ("/v1/completions", GatewayEndpoint::Completions),
    ("/v1/moderations", GatewayEndpoint::Moderations),
];
const WINDOW: &str = "24h";
/// Limits of the metadata: number of entries, and length of a key and a value in characters.
const MAX_METADATA: (usize, usize, usize) = (16, 64, 512);
const DEFAULT_LIMIT: u64 = 20;
const MAX_LIMIT: u64 = 100;
/// Field with the lifetime of the result files.
const LIFETIME_FIELD: &str = "output_expires_after";

#[derive(Deserialize)]
struct CreateRequest {
    input_file_id: Option<Value>,
    endpoint: Option<Value>,
    completion_window: Option<Value>,
    metadata: Option<Value>,
    output_expires_after: Option<Value>,
}

/// Creates a batch from a request body.
pub async fn create(service: &BatchesService, caller: &GatewayCaller, body: &[u8]) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    let request: CreateRequest = serde_json::from_slice(body).map_err(|error| {
        AppError::refused(appcore::Code::MalformedBody, format!("The request body couldn't be read: {error}."))
    })?;
    let endpoint = check_endpoint(request.endpoint.as_ref())?;
    authorize_endpoint(caller, endpoint)?;
    if request.completion_window.as_ref().and_then(Value::as_str) != Some(WINDOW) {
        return Err(AppError::field("completion_window", "invalid", "`completion_window` must be `24h`."));
    }
    let metadata = check_metadata(request.metadata)?;
    let lifetime = request.output_expires_after.as_ref().filter(|value| !value.is_null()).map(check_lifetime);
    let lifetime = lifetime.transpose()?;
    let input = request.input_file_id.as_ref().and_then(Value::as_str);
    let input = input.ok_or_else(|| AppError::field("input_file_id", "required", "`input_file_id` is required."))?;
    let file = files::find_own(service, owner_of(caller), input).await?;
    if file.purpose != files::BATCH_PURPOSE {
        return Err(AppError::field("input_file_id", "invalid", "The purpose of the input file must be `batch`."));
    }
    let input = BatchInput { endpoint, file_id: file.id, total: 0 };
    let mut row = new_batch(caller, BatchId::new(), BatchFormat::OpenAi, input, service.clock.now());
    row.metadata = metadata;
    row.output_lifetime = lifetime.map(|lifetime| i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    insert_batch(service, row.clone()).await?;
    Ok(render(&row, BatchCounts::default()))
}

pub async fn find(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    let row = find_batch(service, caller, BatchFormat::OpenAi, id).await?;
    describe(service, &row).await
}

pub async fn list(
    service: &BatchesService,
    caller: &GatewayCaller,
    after: Option<&str>,
    limit: Option<u64>,
) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    let limit = files::check_limit(limit, DEFAULT_LIMIT, MAX_LIMIT)?;
    let cursor = match after {
        Some(id) => Some(BatchCursor::After(find_batch(service, caller, BatchFormat::OpenAi, id).await?.id)),
        None => None,
    };
    let owner = owner_of(caller);
    let mut found = rows::list(service.db.reader(), owner, BatchFormat::OpenAi, cursor, limit + 1).await?;
    let has_more = files::truncate(&mut found, limit);
    let mut data = Vec::with_capacity(found.len());
    for row in &found {
        data.push(describe(service, row).await?);
    }
    Ok(json!({
        "object": "list",
        "first_id": data.first().map(|batch| &batch["id"]),
        "last_id": data.last().map(|batch| &batch["id"]),
        "has_more": has_more,
        "data": data,
    }))
}

pub async fn cancel(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Batches)?;
    let row = find_batch(service, caller, BatchFormat::OpenAi, id).await?;
    let row = cancel_batch(service, row).await?;
    describe(service, &row).await
}

async fn describe(service: &BatchesService, row: &BatchRow) -> Result<Value, AppError> {
    let is_running = matches!(row.status, BatchStatus::InProgress | BatchStatus::Finalizing | BatchStatus::Cancelling);
    let counts = if is_running { rows::counts(service.db.reader(), row.id).await? } else { ended_counts(row) };
    Ok(render(row, counts))
}

fn ended_counts(row: &BatchRow) -> BatchCounts {
    BatchCounts { succeeded: row.succeeded, errored: row.errored, canceled: row.canceled, expired: row.expired }
}

fn check_endpoint(endpoint: Option<&Value>) -> Result<GatewayEndpoint, AppError> {
    let path = endpoint.and_then(Value::as_str);
    let known = ENDPOINTS.into_iter().find(|(known, _)| path == Some(*known));
    known.map(|(_, endpoint)| endpoint).ok_or_else(|| {
        let message = format!("`endpoint` is one of {}.", ENDPOINTS.map(|(path, _)| format!("`{path}`")).join(", "));
        AppError::field("endpoint", "invalid", message)
    })
}

/// Path of the endpoint of a batch.
pub(crate) fn path_of(endpoint: GatewayEndpoint) -> &'static str {
    ENDPOINTS.into_iter().find(|(_, known)| *known == endpoint).map_or("", |(path, _)| path)
}

fn check_metadata(metadata: Option<Value>) -> Result<Option<String>, AppError> {
    let (most, key_chars, value_chars) = MAX_METADATA;
    let invalid = || {
        let message = format!(
            "`metadata` is an object with up to {most} texts of up to {value_chars} characters; their names have up to {key_chars}."
        );
        AppError::field("metadata", "invalid", message)
    };
    let fields: Map<String, Value> = match metadata {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(invalid()),
    };
    let fits = |(key, value): (&String, &Value)| {
        key.chars().count() <= key_chars && value.as_str().is_some_and(|text| text.chars().count() <= value_chars)
    };
    if fields.len() > most || !fields.iter().all(fits) {
        return Err(invalid());
    }
    Ok(Some(Value::Object(fields).to_string()))
}

fn check_lifetime(value: &Value) -> Result<Duration, AppError> {
    files::check_lifetime(LIFETIME_FIELD, value["anchor"].as_str(), value["seconds"].as_u64())
}

fn render(row: &BatchRow, counts: BatchCounts) -> Value {
    let at = |time: Option<Timestamp>| time.map(Timestamp::seconds);
    let ended = |status: BatchStatus| at(row.ended_at.filter(|_| row.status == status));
    let stored = |text: Option<&String>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let errors = stored(row.errors.as_ref()).map(|errors| json!({ "object": "list", "data": errors }));
    json!({
        "id": public_id::batch(BatchFormat::OpenAi, row.id),
        "object": "batch",
        "endpoint": path_of(row.endpoint),
        "errors": errors,
        "input_file_id": public_id::file(row.input_file_id),
        "completion_window": WINDOW,
        "status": row.status.as_str(),
        "output_file_id": row.output_file_id.map(public_id::file),
        "error_file_id": row.error_file_id.map(public_id::file),
        "created_at": row.created_at.seconds(),
        "in_progress_at": at(row.started_at),
        "expires_at": row.expires_at.seconds(),
        "finalizing_at": at(row.finalizing_at),
        "completed_at": ended(BatchStatus::Completed),
        "failed_at": ended(BatchStatus::Failed),
        "expired_at": ended(BatchStatus::Expired),
        "cancelling_at": at(row.cancelled_at),
        "cancelled_at": ended(BatchStatus::Cancelled),
        "request_counts": { "total": row.total, "completed": counts.succeeded, "failed": counts.errored },
        "metadata": stored(row.metadata.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validates_metadata() {
        let check = |value: Value| check_metadata(Some(value)).map_err(|error| error.fields()[0].field.to_string());
        assert_eq!(check(Value::Null), Ok(None));
        assert_eq!(check(json!({ "a": "b" })), Ok(Some("{\"a\":\"b\"}".to_owned())));
        let many: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("x"))).collect();
        for wrong in [json!("x"), json!({ "a": 1 }), json!({ "a": "x".repeat(513) }), many.into()] {
            assert_eq!(check(wrong), Err("metadata".to_owned()));
        }
    }

    #[test]
    fn knows_the_endpoints_of_batches() {
        for (path, endpoint) in ENDPOINTS {
            assert_eq!(check_endpoint(Some(&json!(path))).ok(), Some(endpoint));
            assert_eq!(path_of(endpoint), path);
        }
        assert!(check_endpoint(Some(&json!("/v1/images/generations"))).is_err() && check_endpoint(None).is_err());
    }
}

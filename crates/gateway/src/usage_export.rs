//! CSV export of requests to models.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use appcore::{AppError, Timestamp, UserId, auth::Principal};
use bytes::Bytes;
use dbcontext::{
    entity::usage_request,
    query::{
        service_accounts,
        usage::{self as rows, UsageFilter},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use platform::csv::{encode, escape_formula, format_credits};
use uuid::Uuid;

use crate::{
    GatewayService,
    usage::{UsageQuery, is_unstorable, wait_for_pending},
    usage_row::parse_tags,
};

/// Maximum number of requests read per query.
const CHUNK_SIZE: u64 = 1_000;
const COLUMNS: usize = 26;
const HEADER: [&str; COLUMNS] = [
    "time",
    "request_id",
    "key_id",
    "user_id",
    "workspace_id",
    "end_user",
    "tags",
    "endpoint",
    "asked_model",
    "model_name",
    "model",
    "deployment",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "credits",
    "price_version",
    "estimated",
    "status",
    "first_token_ms",
    "duration_ms",
    "tries",
    "service_account",
];

/// Exports requests as CSV, the oldest first. Requests during the export are left out.
pub async fn export(
    service: Arc<GatewayService>,
    by: &Principal,
    query: UsageQuery<'_>,
) -> Result<impl Stream<Item = Result<Bytes, AppError>> + use<>, AppError> {
    let now = service.clock.now();
    let UsageFilter { user_id, key_id, end_user, tag, from, to } = query.filter(by, now)?;
    let to = to.min(Timestamp(now.0.saturating_add(1)));
    let labels = (end_user.map(str::to_owned), tag.map(str::to_owned));
    let is_empty = [end_user, tag].into_iter().flatten().any(is_unstorable);
    wait_for_pending(&service).await;
    let start = (!is_empty).then_some((from, Uuid::nil()));
    // No other caller sees the usage of service accounts.
    let sees_all = by.may_administer();
    let header = stream::once(async { encode(vec![HEADER.map(str::to_owned)]) });
    let chunks = stream::try_unfold((service, labels, start), move |(service, labels, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let (end_user, tag) = (labels.0.as_deref(), labels.1.as_deref());
        let filter = UsageFilter { user_id, key_id, end_user, tag, from, to };
        let found = rows::list_after(&service.db.replica().await, filter, after, CHUNK_SIZE).await?;
        let is_last = (found.len() as u64) < CHUNK_SIZE;
        let next = found.last().map(|row| (row.created_at, row.id)).filter(|_| !is_last);
        let users: HashSet<UserId> = found.iter().map(|row| row.user_id).filter(|_| sees_all).collect();
        let names = service_accounts::names(service.db.reader(), users).await?;
        let chunk = encode(found.into_iter().map(|row| csv_row(row, &names)).collect())?;
        Ok::<_, AppError>(Some((chunk, (service, labels, next))))
    });
    Ok(header.chain(chunks))
}

/// Columns of a request. `names` are those of the service accounts.
fn csv_row(row: usage_request::Model, names: &HashMap<UserId, String>) -> [String; COLUMNS] {
    [
        row.created_at.to_string(),
        escape_formula(row.request_id),
        row.key_id.map(|id| id.to_string()).unwrap_or_default(),
        row.user_id.to_string(),
        row.workspace_id.map(|id| id.to_string()).unwrap_or_default(),
        escape_formula(row.end_user.unwrap_or_default()),
        escape_formula(parse_tags(row.tags.as_deref()).join(",")),
        row.endpoint,
        escape_formula(row.requested_model),
        escape_formula(row.model_name.unwrap_or_default()),
        escape_formula(row.model),
        escape_formula(row.deployment),
        row.input_tokens.to_string(),
        row.cached_tokens.to_string(),
        row.cache_write_tokens.to_string(),
        row.output_tokens.to_string(),
        row.reasoning_tokens.to_string(),
        row.audio_tokens.to_string(),
        format_credits(row.cost),
        escape_formula(row.price_version),
        row.estimated.to_string(),
        row.status.to_string(),
        row.first_token_ms.map(|millis| millis.to_string()).unwrap_or_default(),
        row.duration_ms.to_string(),
        row.attempts.to_string(),
        escape_formula(names.get(&row.user_id).cloned().unwrap_or_default()),
    ]
}

//! Usage statistics for users and administrators.

use std::time::Duration;

use appcore::{
    ApiKeyId, AppError, Code, Timestamp, UserId,
    auth::Principal,
    page::{Page, PageRequest},
    view::{UsageGroup, UsageGrouping, UsageRequest, UsageRequestDetails},
};
use dbcontext::{
    entity::usage_request,
    query::usage::{self as rows, UsageAggregate, UsageFilter},
};
use uuid::Uuid;

use crate::{GatewayService, call_details::CallDetails, usage_row::parse_tags};

const DAY: Duration = Duration::from_secs(86_400);
/// Default period, in days.
const DEFAULT_DAYS: u32 = 30;
/// Maximum time that a reader waits for pending writes.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Filter of a usage query.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsageQuery<'a> {
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    pub to: Option<Timestamp>,
    pub key_id: Option<ApiKeyId>,
    /// User whose usage is queried; by default the caller, and for administrators all users.
    pub user_id: Option<UserId>,
    pub end_user: Option<&'a str>,
    pub tag: Option<&'a str>,
}

impl<'a> UsageQuery<'a> {
    pub(crate) fn filter(self, by: &Principal, now: Timestamp) -> Result<UsageFilter<'a>, AppError> {
        let to = self.to.unwrap_or(Timestamp(i64::MAX));
        let from = self.from.unwrap_or_else(|| now.minus(DAY * DEFAULT_DAYS));
        if from > to {
            return Err(AppError::field("from", "invalid", "The start must be before the end."));
        }
        let sees_all = by.may_administer();
        let user_id = match self.user_id {
            Some(user_id) if sees_all || user_id == by.user_id => Some(user_id),
            Some(_) => return Err(Code::Forbidden.into()),
            None => (!sees_all).then_some(by.user_id),
        };
        Ok(UsageFilter { user_id, key_id: self.key_id, end_user: self.end_user, tag: self.tag, from, to })
    }
}

/// Returns daily totals by group, optionally of one model.
pub async fn list_groups(
    service: &GatewayService,
    by: &Principal,
    query: UsageQuery<'_>,
    model: Option<&str>,
    grouping: UsageGrouping,
    page: PageRequest,
) -> Result<Page<UsageGroup>, AppError> {
    let mut filter = query.filter(by, service.clock.now())?;
    // A partial first day is included as a whole.
    filter.from = Timestamp(filter.from.0.div_euclid(86_400_000) * 86_400_000);
    if model.is_some_and(is_unstorable) || [filter.end_user, filter.tag].into_iter().flatten().any(is_unstorable) {
        return Ok(Page::new(Vec::new(), page, 0));
    }
    wait_for_pending(service).await;
    let (groups, total) = rows::grouped(service.db.reader(), filter, model, grouping, page).await?;
    Ok(Page::new(groups.into_iter().map(group).collect(), page, total))
}

/// Lists requests, newest first.
pub async fn list_requests(
    service: &GatewayService,
    by: &Principal,
    query: UsageQuery<'_>,
    page: PageRequest,
) -> Result<Page<UsageRequest>, AppError> {
    let filter = query.filter(by, service.clock.now())?;
    if [filter.end_user, filter.tag].into_iter().flatten().any(is_unstorable) {
        return Ok(Page::new(Vec::new(), page, 0));
    }
    wait_for_pending(service).await;
    let (found, total) = rows::list(service.db.reader(), filter, page).await?;
    Ok(Page::new(found.into_iter().map(request).collect(), page, total))
}

/// Returns the calls of a request by its id, the oldest first: one of a program, or those for an
/// answer in a chat. Administrators see those of all users.
pub async fn find_request(
    service: &GatewayService,
    by: &Principal,
    request_id: &str,
    page: PageRequest,
) -> Result<Page<UsageRequestDetails>, AppError> {
    if is_unstorable(request_id) {
        return Err(Code::NotFound.into());
    }
    let user_id = (!by.may_administer()).then_some(by.user_id);
    wait_for_pending(service).await;
    let (found, total) = rows::with_request_id(service.db.reader(), request_id, user_id, page).await?;
    if total == 0 {
        return Err(Code::NotFound.into());
    }
    Ok(Page::new(found.into_iter().map(|row| details(service, row)).collect(), page, total))
}

fn details(service: &GatewayService, row: usage_request::Model) -> UsageRequestDetails {
    let CallDetails { failed_attempts, repairs, refusal, batch_price_percent } =
        CallDetails::parse(row.details.as_deref());
    let (workspace_id, model_name) = (row.workspace_id, row.model_name.clone());
    let model = service.find_model(model_name.as_deref().unwrap_or(&row.requested_model));
    let price = model.filter(|model| *model.price_version == *row.price_version).and_then(|model| model.price);
    let request = request(row);
    UsageRequestDetails {
        request,
        workspace_id,
        model_name,
        failed_attempts,
        repairs,
        refusal,
        price,
        batch_price_percent,
    }
}

/// True for a text with NUL, which no stored name contains and databases can't search for.
pub(crate) fn is_unstorable(text: &str) -> bool {
    text.contains('\0')
}

/// Waits for pending writes, so that callers find the rows of their latest requests.
pub(crate) async fn wait_for_pending(service: &GatewayService) {
    let _ = tokio::time::timeout(FLUSH_TIMEOUT, service.flush()).await;
}

fn group(row: UsageAggregate) -> UsageGroup {
    let id = |id: Uuid| if id.is_nil() { String::new() } else { id.to_string() };
    let day = |day: i64| Timestamp(day).to_string().chars().take("2026-11-23".len()).collect();
    UsageGroup {
        key: row.day.map(day).or(row.name).or(row.id.map(id)).unwrap_or_default(),
        requests: to_unsigned(row.requests),
        failed: to_unsigned(row.failed),
        input_tokens: to_unsigned(row.input_tokens),
        cached_tokens: to_unsigned(row.cached_tokens),
        output_tokens: to_unsigned(row.output_tokens),
        cost: row.cost,
    }
}

fn request(row: usage_request::Model) -> UsageRequest {
    UsageRequest {
        id: row.id,
        created_at: row.created_at,
        request_id: row.request_id,
        key_id: row.key_id,
        user_id: row.user_id,
        end_user: row.end_user,
        tags: parse_tags(row.tags.as_deref()),
        endpoint: row.endpoint,
        asked_model: row.requested_model,
        model: row.model,
        deployment: row.deployment,
        input_tokens: to_unsigned(row.input_tokens),
        cached_tokens: to_unsigned(row.cached_tokens),
        cache_write_tokens: to_unsigned(row.cache_write_tokens),
        output_tokens: to_unsigned(row.output_tokens),
        reasoning_tokens: to_unsigned(row.reasoning_tokens),
        audio_tokens: to_unsigned(row.audio_tokens),
        cost: row.cost,
        price_version: row.price_version,
        estimated: row.estimated,
        status: u16::try_from(row.status).unwrap_or_default(),
        first_token_ms: row.first_token_ms.map(to_unsigned),
        duration_ms: to_unsigned(row.duration_ms),
        tries: u32::try_from(row.attempts).unwrap_or_default(),
    }
}

fn to_unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

//! Usage of AI models: one row per request, and daily aggregates.

use std::collections::{BTreeMap, HashSet};

use appcore::{ApiKeyId, AppError, Timestamp, UserId, credits::MicroCredits, page::PageRequest, view::UsageGrouping};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder,
    QuerySelect, Select, Value,
    sea_query::{Expr, ExprTrait as _, Func},
};
use uuid::Uuid;

use super::{
    budgets::BudgetSubject,
    page,
    pieces::{Change, Piece},
    raw,
    rows::{Column, padded_to_power_of_two},
};
use crate::{
    constraint::app_error,
    entity::usage_request::{self, Entity, Model},
};

/// Length of a day in milliseconds.
const DAY: i64 = 86_400_000;
/// Maximum number of ids per statement.
const IDS_PER_STATEMENT: usize = 512;
/// Lowest status of requests that count as failed. Requests that the client cancelled have
/// [`CANCELLED_STATUS`] and don't count as failed.
const MIN_FAILED_STATUS: i64 = 400;
const CANCELLED_STATUS: i64 = 499;

/// Filter of usage by owner and period. Without an owner, it matches all usage.
#[derive(Clone, Copy, Debug)]
pub struct UsageFilter<'a> {
    pub user_id: Option<UserId>,
    pub key_id: Option<ApiKeyId>,
    pub end_user: Option<&'a str>,
    pub tag: Option<&'a str>,
    pub from: Timestamp,
    /// End of the period, exclusive.
    pub to: Timestamp,
}

/// Inserts requests into the usage log.
pub fn insert(requests: &[Model]) -> Piece {
    static INSERT: Change<27> = Change::insert(
        "usage_requests",
        [
            Column::Uuid("id"),
            Column::Int("created_at"),
            Column::Text("request_id"),
            Column::Uuid("key_id"),
            Column::Uuid("user_id"),
            Column::Uuid("workspace_id"),
            Column::Text("end_user"),
            Column::Text("tags"),
            Column::Text("endpoint"),
            Column::Text("requested_model"),
            Column::Text("model_name"),
            Column::Text("model"),
            Column::Text("deployment"),
            Column::Int("input_tokens"),
            Column::Int("cached_tokens"),
            Column::Int("cache_write_tokens"),
            Column::Int("output_tokens"),
            Column::Int("reasoning_tokens"),
            Column::Int("audio_tokens"),
            Column::Int("cost"),
            Column::Text("price_version"),
            Column::Bool("estimated"),
            Column::Int("status"),
            Column::Int("first_token_ms"),
            Column::Int("duration_ms"),
            Column::Int("attempts"),
            Column::Text("details"),
        ],
    );
    let rows = requests.iter().map(|request| {
        [
            request.id.into(),
            request.created_at.0.into(),
            request.request_id.clone().into(),
            request.key_id.map(|id| id.0).into(),
            request.user_id.0.into(),
            request.workspace_id.map(|id| id.0).into(),
            request.end_user.clone().into(),
            request.tags.clone().into(),
            request.endpoint.clone().into(),
            request.requested_model.clone().into(),
            request.model_name.clone().into(),
            request.model.clone().into(),
            request.deployment.clone().into(),
            request.input_tokens.into(),
            request.cached_tokens.into(),
            request.cache_write_tokens.into(),
            request.output_tokens.into(),
            request.reasoning_tokens.into(),
            request.audio_tokens.into(),
            request.cost.0.into(),
            request.price_version.clone().into(),
            request.estimated.into(),
            request.status.into(),
            request.first_token_ms.into(),
            request.duration_ms.into(),
            request.attempts.into(),
            request.details.clone().into(),
        ]
    });
    INSERT.piece(rows)
}

/// Usage of one user on one day, of one model and by one key.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    requests: i64,
    failed: i64,
    input: i64,
    cached: i64,
    output: i64,
    cost: MicroCredits,
}

/// Adds requests to the daily aggregates, under the public names of their models. Updates rows in a
/// fixed order, so that two instances can't deadlock.
pub fn add_to_days<'a>(requests: impl IntoIterator<Item = (&'a Model, &'a str)>) -> Piece {
    static UPSERT: Change<10> = Change::new(
        [
            Column::Int("day"),
            Column::Uuid("user_id"),
            Column::Uuid("key_id"),
            Column::Text("model"),
            Column::Int("requests"),
            Column::Int("failed"),
            Column::Int("input_tokens"),
            Column::Int("cached_tokens"),
            Column::Int("output_tokens"),
            Column::Int("cost"),
        ],
        "INSERT INTO usage_days (day, user_id, key_id, model, requests, failed, input_tokens, cached_tokens, output_tokens, cost) \
         SELECT day, user_id, key_id, model, requests, failed, input_tokens, cached_tokens, output_tokens, cost FROM {} WHERE TRUE \
         ON CONFLICT (user_id, day, key_id, model) DO UPDATE SET requests = usage_days.requests + excluded.requests, \
           failed = usage_days.failed + excluded.failed, input_tokens = usage_days.input_tokens + excluded.input_tokens, \
           cached_tokens = usage_days.cached_tokens + excluded.cached_tokens, \
           output_tokens = usage_days.output_tokens + excluded.output_tokens, cost = usage_days.cost + excluded.cost",
        "INSERT INTO usage_days (day, user_id, key_id, model, requests, failed, input_tokens, cached_tokens, output_tokens, cost) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (user_id, day, key_id, model) DO UPDATE SET requests = usage_days.requests + excluded.requests, \
           failed = usage_days.failed + excluded.failed, input_tokens = usage_days.input_tokens + excluded.input_tokens, \
           cached_tokens = usage_days.cached_tokens + excluded.cached_tokens, \
           output_tokens = usage_days.output_tokens + excluded.output_tokens, cost = usage_days.cost + excluded.cost",
    );
    let mut sums: BTreeMap<(UserId, i64, Uuid, &str), Sum> = BTreeMap::new();
    for (request, model) in requests {
        let day = request.created_at.0.div_euclid(DAY) * DAY;
        let key = request.key_id.map_or(Uuid::nil(), |id| id.0);
        let sum = sums.entry((request.user_id, day, key, model)).or_default();
        sum.requests += 1;
        sum.failed += i64::from(request.status >= MIN_FAILED_STATUS && request.status != CANCELLED_STATUS);
        sum.input += request.input_tokens;
        sum.cached += request.cached_tokens;
        sum.output += request.output_tokens;
        sum.cost += request.cost;
    }
    let rows = sums.into_iter().map(|((user, day, key, model), sum)| {
        [
            day.into(),
            user.0.into(),
            key.into(),
            model.to_owned().into(),
            sum.requests.into(),
            sum.failed.into(),
            sum.input.into(),
            sum.cached.into(),
            sum.output.into(),
            sum.cost.0.into(),
        ]
    });
    UPSERT.piece(rows)
}

/// True if the request is stored. Needed because a commit without a response may have succeeded.
pub async fn is_stored<C: ConnectionTrait>(db: &C, id: Uuid) -> Result<bool, AppError> {
    Ok(Entity::find_by_id(id).one(db).await.map_err(app_error)?.is_some())
}

/// Returns the ids of those of these requests that are stored.
pub async fn existing<C: ConnectionTrait>(db: &C, ids: &[Uuid]) -> Result<HashSet<Uuid>, AppError> {
    let mut found = HashSet::new();
    for ids in ids.chunks(IDS_PER_STATEMENT) {
        let query = Entity::find().select_only().column(usage_request::Column::Id);
        let query = query.filter(usage_request::Column::Id.is_in(padded_to_power_of_two(ids)));
        found.extend(query.into_tuple::<Uuid>().all(db).await.map_err(app_error)?);
    }
    Ok(found)
}

/// Lists requests, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    filter: UsageFilter<'_>,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let query =
        matching(filter).order_by_desc(usage_request::Column::CreatedAt).order_by_desc(usage_request::Column::Id);
    page::select(db, query, page).await
}

/// Returns at most `most` requests, the oldest first, that follow the cursor `after`.
pub async fn list_after<C: ConnectionTrait>(
    db: &C,
    filter: UsageFilter<'_>,
    after: (Timestamp, Uuid),
    most: u64,
) -> Result<Vec<Model>, AppError> {
    use usage_request::Column::{CreatedAt, Id};
    let from = Ord::max(filter.from, after.0);
    let same_time = Condition::all().add(CreatedAt.eq(after.0)).add(Id.gt(after.1));
    matching(UsageFilter { from, ..filter })
        .filter(Condition::any().add(CreatedAt.gt(after.0)).add(same_time))
        .order_by_asc(CreatedAt)
        .order_by_asc(Id)
        .limit(most)
        .all(db)
        .await
        .map_err(app_error)
}

fn matching(filter: UsageFilter<'_>) -> Select<Entity> {
    let mut query = Entity::find()
        .filter(usage_request::Column::CreatedAt.gte(filter.from))
        .filter(usage_request::Column::CreatedAt.lt(filter.to));
    if let Some(user_id) = filter.user_id {
        query = query.filter(usage_request::Column::UserId.eq(user_id));
    }
    if let Some(key_id) = filter.key_id {
        query = query.filter(usage_request::Column::KeyId.eq(key_id));
    }
    if let Some(end_user) = filter.end_user {
        query = query.filter(usage_request::Column::EndUser.eq(end_user));
    }
    if let Some(tag) = filter.tag {
        let tags = || Expr::col(usage_request::Column::Tags);
        let without_tag = Func::cust("REPLACE").args([tags(), Expr::val(json_string(tag)), Expr::val("")]);
        query = query.filter(Expr::expr(without_tag).ne(tags()));
    }
    query
}

/// Lists the calls with this request id, the oldest first: an answer in a chat may have several.
pub async fn with_request_id<C: ConnectionTrait>(
    db: &C,
    request_id: &str,
    user_id: Option<UserId>,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    let mut query = Entity::find().filter(usage_request::Column::RequestId.eq(request_id));
    if let Some(user_id) = user_id {
        query = query.filter(usage_request::Column::UserId.eq(user_id));
    }
    let query = query.order_by_asc(usage_request::Column::CreatedAt).order_by_asc(usage_request::Column::Id);
    page::select(db, query, page).await
}

/// Usage aggregated per day, model, key, user, end user or tag.
#[derive(Clone, Debug, FromQueryResult)]
pub struct UsageAggregate {
    /// Day; set only when grouped by day.
    pub day: Option<i64>,
    /// Id of the key or user; set only when grouped by key or user.
    pub id: Option<Uuid>,
    /// Model, end user or tag; set only when grouped by it.
    pub name: Option<String>,
    pub requests: i64,
    pub failed: i64,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub cost: MicroCredits,
}

/// Requests in the form of the daily aggregates, with their end users and tags, which the aggregates
/// lack.
const REQUESTS: &str = "(SELECT created_at - created_at % 86400000 AS day, user_id, key_id, \
    COALESCE(model_name, requested_model) AS model, end_user, tags, 1 AS requests, \
    CASE WHEN status >= 400 AND status <> 499 THEN 1 ELSE 0 END AS failed, input_tokens, cached_tokens, \
    output_tokens, cost FROM usage_requests WHERE created_at >= $1 AND created_at < $2) AS u";

/// Returns aggregates. Days are in chronological order; models, keys, users, end users and tags are
/// ordered by cost, highest first. Usage by end user and tag is known as long as single requests
/// are kept.
pub async fn grouped<C: ConnectionTrait>(
    db: &C,
    filter: UsageFilter<'_>,
    model: Option<&str>,
    by: UsageGrouping,
    page: PageRequest,
) -> Result<(Vec<UsageAggregate>, u64), AppError> {
    let backend = db.get_database_backend();
    let has_labels = filter.end_user.is_some() || filter.tag.is_some();
    let by_request = has_labels || matches!(by, UsageGrouping::EndUser | UsageGrouping::Tag);
    let (source, end) = if by_request { (REQUESTS, day_end(filter.to)) } else { ("usage_days", filter.to) };
    let each_tag = match (by, backend) {
        (UsageGrouping::Tag, DatabaseBackend::Postgres) => {
            " CROSS JOIN jsonb_array_elements_text(u.tags::jsonb) AS t(tag)"
        }
        (UsageGrouping::Tag, _) => " JOIN json_each(u.tags) AS t",
        _ => "",
    };
    let mut values: Vec<Value> = vec![filter.from.0.into(), end.0.into()];
    let mut conditions = "day >= $1 AND day < $2".to_owned();
    for (column, id) in [("user_id", filter.user_id.map(|id| id.0)), ("key_id", filter.key_id.map(|id| id.0))] {
        if let Some(id) = id {
            values.push(id.into());
            conditions.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    for (column, text) in [("model", model), ("end_user", filter.end_user)] {
        if let Some(text) = text {
            values.push(text.into());
            conditions.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    if let Some(tag) = filter.tag {
        values.push(json_string(tag).into());
        conditions.push_str(&format!(" AND REPLACE(tags, ${}, '') <> tags", values.len()));
    }
    let tag = if backend == DatabaseBackend::Postgres { "tag" } else { "t.value" };
    let by_tag = (tag, format!("{tag} AS name"), format!("cost DESC, {tag}"));
    let (column, shown, order) = match by {
        UsageGrouping::Day => ("day", "day", "day"),
        UsageGrouping::Model => ("model", "model AS name", "cost DESC, model"),
        UsageGrouping::EndUser => ("end_user", "end_user AS name", "cost DESC, end_user"),
        UsageGrouping::Tag => (by_tag.0, &*by_tag.1, &*by_tag.2),
        UsageGrouping::Key => ("key_id", "key_id AS id", "cost DESC, key_id"),
        UsageGrouping::User => ("user_id", "user_id AS id", "cost DESC, user_id"),
    };
    let missing = match by {
        UsageGrouping::Day => "CAST(NULL AS TEXT) AS name, NULL AS id",
        UsageGrouping::Model | UsageGrouping::EndUser | UsageGrouping::Tag => "CAST(NULL AS BIGINT) AS day, NULL AS id",
        UsageGrouping::Key | UsageGrouping::User => "CAST(NULL AS BIGINT) AS day, CAST(NULL AS TEXT) AS name",
    };
    // PostgreSQL treats an untyped NULL as text.
    let missing = if backend == DatabaseBackend::Postgres {
        missing.replace("NULL AS id", "NULL::uuid AS id")
    } else {
        missing.to_owned()
    };
    // PostgreSQL returns sums of integers as numerics, so they are cast back.
    let sums: String = ["requests", "failed", "input_tokens", "cached_tokens", "output_tokens", "cost"]
        .map(|name| format!("CAST(SUM({name}) AS BIGINT) AS {name}"))
        .join(", ");
    let from = format!("FROM {source}{each_tag} WHERE {conditions}");
    let total =
        page::count(db, &format!("FROM (SELECT 1 AS one {from} GROUP BY {column}) AS g"), values.clone()).await?;
    let (limit, offset) = (values.len() + 1, values.len() + 2);
    values.push(raw::limit(page.page_size));
    values.push(raw::limit(page.offset()));
    let sql = format!(
        "SELECT {shown}, {missing}, {sums} {from} GROUP BY {column} ORDER BY {order} LIMIT ${limit} OFFSET ${offset}"
    );
    let groups = raw::find::<_, UsageAggregate>(db, sql, values).await?;
    Ok((groups, total))
}

/// Text as a JSON string, in the form in which it is part of the stored tags.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// End of the day that contains the last moment before `end`.
fn day_end(end: Timestamp) -> Timestamp {
    Timestamp(end.0.saturating_sub(1).div_euclid(DAY).saturating_add(1).saturating_mul(DAY))
}

/// Returns the amount that the calls of a budget have cost since a day.
pub async fn spent_since<C: ConnectionTrait>(
    db: &C,
    subject: BudgetSubject<'_>,
    since: Timestamp,
) -> Result<MicroCredits, AppError> {
    #[derive(FromQueryResult)]
    struct Spent {
        cost: MicroCredits,
    }
    let (sql, id) = match subject {
        BudgetSubject::Key(id) => ("FROM usage_days WHERE key_id = $1 AND day >= $2", id.0),
        BudgetSubject::User(id) => ("FROM usage_days WHERE user_id = $1 AND day >= $2", id.0),
        BudgetSubject::Workspace(id) => ("FROM usage_requests WHERE workspace_id = $1 AND created_at >= $2", id.0),
        BudgetSubject::EndUser(key, _) => {
            ("FROM usage_requests WHERE key_id = $1 AND created_at >= $2 AND end_user = $3", key.0)
        }
        BudgetSubject::Model(key, _) => ("FROM usage_days WHERE key_id = $1 AND day >= $2 AND model = $3", key.0),
        BudgetSubject::Tag(key, _) => {
            ("FROM usage_requests WHERE key_id = $1 AND created_at >= $2 AND REPLACE(tags, $3, '') <> tags", key.0)
        }
    };
    let mut values: Vec<Value> = vec![id.into(), since.0.into()];
    match subject {
        BudgetSubject::Tag(_, tag) => values.push(json_string(tag).into()),
        subject => values.extend(subject.part().map(|(_, name)| name.into())),
    }
    let sql = format!("SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost {sql}");
    let spent = raw::find_one::<_, Spent>(db, sql, values).await?;
    Ok(spent.map_or(MicroCredits::ZERO, |spent| spent.cost))
}

/// Deletes at most `most` requests from before the given time. The daily aggregates stay.
pub async fn delete_before<C: ConnectionTrait>(db: &C, before: Timestamp, most: u64) -> Result<u64, AppError> {
    let sql = "DELETE FROM usage_requests WHERE id IN (SELECT id FROM usage_requests WHERE created_at < $1 LIMIT $2)";
    let values = [before.0.into(), raw::limit(most)];
    raw::execute(db, sql, values).await
}

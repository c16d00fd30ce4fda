//! Announcements, their audiences and delivery receipts.
//!
//! An audience is a condition on `users u` ([`concerns`]): its users are counted, read in pages or
//! checked individually, but never stored as a list.

use std::collections::{HashMap, HashSet};

use appcore::{
    AppError, BroadcastId, Timestamp, UserId,
    page::PageRequest,
    view::{Audience, BroadcastStatus, Severity},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, DatabaseBackend, EntityTrait, FromQueryResult,
    IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Set, Value,
};
use uuid::Uuid;

use super::{
    raw,
    rows::{Column, Rows},
    single,
};
pub use crate::entity::broadcast::Model as BroadcastRow;
use crate::{constraint::app_error, entity::broadcast};

/// Delivery counts of an announcement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct DeliveryCounts {
    pub delivered: i64,
    pub seen: i64,
    pub dismissed: i64,
}

/// Filter of announcements.
#[derive(Clone, Debug, Default)]
pub struct BroadcastFilter {
    pub status: Option<BroadcastStatus>,
    pub severity: Option<Severity>,
    /// Text that the title contains, in lower case.
    pub title: Option<String>,
}

pub async fn insert<C: ConnectionTrait>(db: &C, row: BroadcastRow) -> Result<(), AppError> {
    single::insert(db, row.into_active_model()).await
}

pub async fn update<C: ConnectionTrait>(db: &C, row: BroadcastRow) -> Result<(), AppError> {
    let id = row.id;
    let changed = broadcast::ActiveModel { id: NotSet, ..row.into_active_model().reset_all() };
    broadcast::Entity::update_many()
        .set(changed)
        .filter(broadcast::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn find<C: ConnectionTrait>(db: &C, id: BroadcastId) -> Result<Option<BroadcastRow>, AppError> {
    broadcast::Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// [`find`], locked until the transaction ends.
pub async fn lock<C: ConnectionTrait>(db: &C, id: BroadcastId) -> Result<Option<BroadcastRow>, AppError> {
    broadcast::Entity::find_by_id(id).lock_exclusive().one(db).await.map_err(app_error)
}

/// Lists announcements, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    sought: BroadcastFilter,
    now: Timestamp,
    page: PageRequest,
) -> Result<(Vec<BroadcastRow>, u64), AppError> {
    let (mut of, mut values) = ("FROM broadcasts b WHERE TRUE".to_owned(), Vec::<Value>::new());
    if let Some(status) = sought.status {
        of.push_str(" AND ");
        of.push_str(&has_status(status, now));
    }
    if let Some(severity) = sought.severity {
        of.push_str(&format!(" AND b.severity = '{severity}'"));
    }
    if let Some(title) = sought.title {
        let part: String = title
            .chars()
            .flat_map(|character| matches!(character, '%' | '_' | '\\').then_some('\\').into_iter().chain([character]))
            .collect();
        values.push(format!("%{part}%").into());
        of.push_str(" AND b.search_title LIKE $1 ESCAPE '\\'");
    }
    let sql = format!("SELECT b.* {of} ORDER BY b.id DESC LIMIT {} OFFSET {}", page.page_size, page.offset());
    let rows = raw::find::<_, BroadcastRow>(db, sql, values.clone()).await?;
    Ok((rows, super::page::count(db, &of, values).await?))
}

fn has_status(status: BroadcastStatus, now: Timestamp) -> String {
    let now = now.0;
    match status {
        BroadcastStatus::Withdrawn => "b.withdrawn_at IS NOT NULL".to_owned(),
        BroadcastStatus::Scheduled => format!("b.withdrawn_at IS NULL AND b.starts_at > {now}"),
        BroadcastStatus::Active => {
            format!("b.withdrawn_at IS NULL AND b.starts_at <= {now} AND (b.ends_at IS NULL OR b.ends_at > {now})")
        }
        BroadcastStatus::Ended => {
            format!("b.withdrawn_at IS NULL AND b.starts_at <= {now} AND b.ends_at <= {now}")
        }
    }
}

/// Lists announcements in force, earliest first.
pub async fn active<C: ConnectionTrait>(db: &C, now: Timestamp) -> Result<Vec<BroadcastRow>, AppError> {
    let sql = format!(
        "SELECT b.* FROM broadcasts b WHERE {} ORDER BY b.starts_at, b.id",
        has_status(BroadcastStatus::Active, now)
    );
    raw::find::<_, BroadcastRow>(db, sql, []).await
}

/// Returns the announcements whose state was published after `since`.
pub async fn published_since<C: ConnectionTrait>(db: &C, since: Timestamp) -> Result<Vec<BroadcastRow>, AppError> {
    let announced = broadcast::Entity::find().filter(broadcast::Column::AnnouncedAt.gte(since));
    announced.order_by_asc(broadcast::Column::AnnouncedAt).all(db).await.map_err(app_error)
}

/// Records the published state and the size of the audience at that time.
pub async fn record_published<C: ConnectionTrait>(
    db: &C,
    id: BroadcastId,
    told: &str,
    recipients: Option<i64>,
    at: Timestamp,
) -> Result<(), AppError> {
    let announced = broadcast::ActiveModel {
        announced_state: Set(Some(told.to_owned())),
        announced_at: Set(Some(at)),
        recipients: recipients.map_or(NotSet, Set),
        ..Default::default()
    };
    broadcast::Entity::update_many()
        .set(announced)
        .filter(broadcast::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Records up to which user the emails were sent.
pub async fn record_mailed<C: ConnectionTrait>(
    db: &C,
    id: BroadcastId,
    to: Option<UserId>,
    ended_at: Option<Timestamp>,
) -> Result<(), AppError> {
    let mailed = broadcast::ActiveModel {
        last_mailed_user_id: to.map_or(NotSet, |user| Set(Some(user))),
        mailed_at: Set(ended_at),
        ..Default::default()
    };
    broadcast::Entity::update_many()
        .set(mailed)
        .filter(broadcast::Column::Id.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Number of users in an audience.
pub async fn count_audience<C: ConnectionTrait>(db: &C, audience: &Audience, now: Timestamp) -> Result<u64, AppError> {
    let of = format!("FROM users u WHERE {}", audience_condition(db.get_database_backend(), audience, now));
    super::page::count(db, &of, []).await
}

/// Returns those of the given users who are in the audience.
pub async fn in_audience<C: ConnectionTrait>(
    db: &C,
    audience: &Audience,
    people: &[UserId],
    now: Timestamp,
) -> Result<Vec<UserId>, AppError> {
    if people.is_empty() {
        return Ok(Vec::new());
    }
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, people.iter().map(|id| id.0));
    let concerns = audience_condition(backend, audience, now);
    let sql = format!("SELECT u.id FROM {} JOIN users u ON u.id = w.id WHERE {concerns}", asked.table());
    ids(db, sql, Some(asked.parameter()?.into())).await
}

/// Lists the users in an audience whose ids are greater than the given one, ordered by id.
pub async fn audience_after<C: ConnectionTrait>(
    db: &C,
    audience: &Audience,
    after: Option<UserId>,
    most: u64,
    now: Timestamp,
) -> Result<Vec<UserId>, AppError> {
    let backend = db.get_database_backend();
    let concerns = audience_condition(backend, audience, now);
    let after = after.map(|id| format!("AND u.id > {} ", literal(backend, id.0))).unwrap_or_default();
    let sql = format!("SELECT u.id FROM users u WHERE {concerns} {after}ORDER BY u.id LIMIT {most}");
    ids(db, sql, None).await
}

async fn ids<C: ConnectionTrait>(db: &C, sql: String, asked: Option<Value>) -> Result<Vec<UserId>, AppError> {
    #[derive(FromQueryResult)]
    struct Recipient {
        id: UserId,
    }
    let rows = raw::find::<_, Recipient>(db, sql, asked).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Condition that the user `u` is in the audience.
fn audience_condition(backend: DatabaseBackend, audience: &Audience, now: Timestamp) -> String {
    let mut conditions = vec!["NOT u.is_deleted".to_owned()];
    if !audience.workspace_ids.is_empty() {
        conditions.push(format!(
            "EXISTS (SELECT 1 FROM workspace_members m JOIN workspaces s ON s.id = m.workspace_id AND NOT s.is_deleted \
             WHERE m.user_id = u.id AND NOT m.is_deleted AND m.workspace_id IN ({}))",
            id_list(backend, audience.workspace_ids.iter().map(|id| id.0))
        ));
    }
    if !audience.roles.is_empty() {
        let roles: Vec<String> = audience.roles.iter().map(|role| format!("'{role}'")).collect();
        conditions.push(format!("u.role IN ({})", roles.join(", ")));
    }
    if !audience.plan_ids.is_empty() {
        let plans = id_list(backend, audience.plan_ids.iter().map(|id| id.0));
        let now = now.0;
        conditions.push(format!(
            "(EXISTS (SELECT 1 FROM subscriptions o WHERE o.account_id = u.id AND o.ends_at > {now} AND o.plan_id IN ({plans})) \
             OR EXISTS (SELECT 1 FROM payment_credits c JOIN subscriptions t ON t.payment_id = c.payment_id AND t.workspace_id IS NOT NULL \
             JOIN workspace_members m ON m.workspace_id = t.workspace_id AND m.user_id = u.id AND NOT m.is_deleted \
             WHERE c.account_id = u.id AND t.ends_at > {now} AND t.plan_id IN ({plans})))"
        ));
    }
    if !audience.user_ids.is_empty() {
        conditions.push(format!("u.id IN ({})", id_list(backend, audience.user_ids.iter().map(|id| id.0))));
    }
    conditions.join(" AND ")
}

fn id_list(backend: DatabaseBackend, ids: impl Iterator<Item = Uuid>) -> String {
    ids.map(|id| literal(backend, id)).collect::<Vec<_>>().join(", ")
}

fn literal(backend: DatabaseBackend, id: Uuid) -> String {
    match backend {
        DatabaseBackend::Sqlite => format!("x'{}'", id.simple()),
        _ => format!("'{id}'::uuid"),
    }
}

/// Records that the announcement was delivered to these users.
pub async fn record_delivered<C: ConnectionTrait>(
    db: &C,
    id: BroadcastId,
    people: &[UserId],
    at: Timestamp,
) -> Result<(), AppError> {
    if people.is_empty() {
        return Ok(());
    }
    let columns = [Column::Uuid("broadcast_id"), Column::Uuid("user_id"), Column::Int("delivered_at")];
    let rows = people.iter().map(|user| [id.0.into(), user.0.into(), at.0.into()]);
    let rows = Rows::new(db.get_database_backend(), columns, rows);
    // `WHERE TRUE` tells SQLite's parser that `ON CONFLICT` doesn't belong to a join.
    let sql = format!(
        "INSERT INTO broadcast_receipts (broadcast_id, user_id, delivered_at) \
         SELECT w.broadcast_id, w.user_id, w.delivered_at FROM {} WHERE TRUE ON CONFLICT (broadcast_id, user_id) DO NOTHING",
        rows.table()
    );
    rows.execute(db, sql).await.map(drop)
}

/// Records that a user has seen the announcement.
pub async fn record_seen<C: ConnectionTrait>(
    db: &C,
    id: BroadcastId,
    user: UserId,
    at: Timestamp,
) -> Result<(), AppError> {
    let sql = "INSERT INTO broadcast_receipts (broadcast_id, user_id, delivered_at, seen_at) VALUES ($1, $2, $3, $3) \
               ON CONFLICT (broadcast_id, user_id) DO UPDATE SET seen_at = COALESCE(broadcast_receipts.seen_at, excluded.seen_at)";
    raw::run(db, sql, vec![id.into(), user.into(), at.into()]).await
}

/// Records that a user has dismissed the announcement.
pub async fn record_dismissed<C: ConnectionTrait>(
    db: &C,
    id: BroadcastId,
    user: UserId,
    at: Timestamp,
) -> Result<(), AppError> {
    let sql = "INSERT INTO broadcast_receipts (broadcast_id, user_id, delivered_at, seen_at, dismissed_at) VALUES ($1, $2, $3, $3, $3) \
               ON CONFLICT (broadcast_id, user_id) DO UPDATE SET seen_at = COALESCE(broadcast_receipts.seen_at, excluded.seen_at), \
               dismissed_at = COALESCE(broadcast_receipts.dismissed_at, excluded.dismissed_at)";
    raw::run(db, sql, vec![id.into(), user.into(), at.into()]).await
}

/// Returns which of these announcements were delivered to the user, and which of them the user has
/// dismissed.
pub async fn receipts_of<C: ConnectionTrait>(
    db: &C,
    user: UserId,
    ids: &[BroadcastId],
) -> Result<(HashSet<BroadcastId>, HashSet<BroadcastId>), AppError> {
    #[derive(FromQueryResult)]
    struct Receipt {
        broadcast_id: BroadcastId,
        dismissed_at: Option<Timestamp>,
    }
    let backend = db.get_database_backend();
    let asked = Rows::ids(backend, ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT r.broadcast_id, r.dismissed_at FROM {} JOIN broadcast_receipts r ON r.broadcast_id = w.id WHERE r.user_id = {}",
        asked.table(),
        literal(backend, user.0)
    );
    let rows = asked.find::<_, Receipt>(db, sql).await?;
    let dismissed = rows.iter().filter(|row| row.dismissed_at.is_some()).map(|row| row.broadcast_id).collect();
    Ok((rows.into_iter().map(|row| row.broadcast_id).collect(), dismissed))
}

/// Delivery counts; announcements without deliveries are left out.
pub async fn counts<C: ConnectionTrait>(
    db: &C,
    ids: &[BroadcastId],
) -> Result<HashMap<BroadcastId, DeliveryCounts>, AppError> {
    #[derive(FromQueryResult)]
    struct CountsRow {
        broadcast_id: BroadcastId,
        delivered: i64,
        seen: i64,
        dismissed: i64,
    }
    let asked = Rows::ids(db.get_database_backend(), ids.iter().map(|id| id.0));
    let sql = format!(
        "SELECT r.broadcast_id, COUNT(*) AS delivered, COUNT(r.seen_at) AS seen, COUNT(r.dismissed_at) AS dismissed \
         FROM {} JOIN broadcast_receipts r ON r.broadcast_id = w.id GROUP BY r.broadcast_id",
        asked.table()
    );
    let rows = asked.find::<_, CountsRow>(db, sql).await?;
    let counted = rows.into_iter().map(|CountsRow { broadcast_id, delivered, seen, dismissed }| {
        (broadcast_id, DeliveryCounts { delivered, seen, dismissed })
    });
    Ok(counted.collect())
}

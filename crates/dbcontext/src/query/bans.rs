//! Bans of networks.

use appcore::{AppError, BanId, Timestamp, UserId, page::PageRequest};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, Set,
    sea_query::{Expr, Func, LikeExpr},
};

use crate::{constraint::app_error, entity::ban};

pub struct NewBan {
    pub network: String,
    pub reason: String,
    pub is_automatic: bool,
    pub created_by: Option<UserId>,
    pub at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the network or of the reason.
    pub text: String,
    /// True for bans by the firewall, false for those by administrators.
    pub is_automatic: Option<bool>,
}

/// Expiry of the bans of a network, separately for those by the firewall and by administrators.
#[derive(Clone, Debug, FromQueryResult)]
pub struct ActiveBan {
    pub network: String,
    pub is_automatic: bool,
    pub expires_at: Timestamp,
}

pub async fn insert<C: ConnectionTrait>(db: &C, new: NewBan) -> Result<ban::Model, AppError> {
    let row = ban::ActiveModel {
        id: Set(BanId::new()),
        network: Set(new.network),
        reason: Set(new.reason),
        is_automatic: Set(new.is_automatic),
        created_by: Set(new.created_by),
        created_at: Set(new.at),
        expires_at: Set(new.expires_at),
        lifted_at: Set(None),
    };
    row.insert(db).await.map_err(app_error)
}

/// Number of bans in force.
pub async fn count<C: ConnectionTrait>(db: &C, now: Timestamp) -> Result<u64, AppError> {
    in_force_query(now).count(db).await.map_err(app_error)
}

/// Lists the bans in force, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    filter: &Filter,
    page: PageRequest,
) -> Result<(Vec<ban::Model>, u64), AppError> {
    let mut query = in_force_query(now);
    if let Some(is_automatic) = filter.is_automatic {
        query = query.filter(ban::Column::IsAutomatic.eq(is_automatic));
    }
    let text = filter.text.trim().to_lowercase();
    if !text.is_empty() {
        let like =
            |column| Func::lower(Expr::col(column)).like(LikeExpr::new(super::like_containing(&text)).escape('\\'));
        query = query.filter(Condition::any().add(like(ban::Column::Network)).add(like(ban::Column::Reason)));
    }
    let query = query.order_by_desc(ban::Column::CreatedAt).order_by_desc(ban::Column::Id);
    super::page::select(db, query, page).await
}

/// At most `most` networks that are banned now, latest expiry first.
pub async fn active<C: ConnectionTrait>(db: &C, now: Timestamp, most: u64) -> Result<Vec<ActiveBan>, AppError> {
    let query = in_force_query(now).select_only().column(ban::Column::Network).column(ban::Column::IsAutomatic);
    let latest = ban::Column::ExpiresAt.max();
    query
        .column_as(latest.clone(), "expires_at")
        .group_by(ban::Column::Network)
        .group_by(ban::Column::IsAutomatic)
        .order_by_desc(latest)
        .limit(most)
        .into_model()
        .all(db)
        .await
        .map_err(app_error)
}

/// Expiry of the network's bans, if any are in force.
pub async fn active_of<C: ConnectionTrait>(
    db: &C,
    network: &str,
    is_automatic: bool,
    now: Timestamp,
) -> Result<Option<Timestamp>, AppError> {
    in_force_query(now)
        .filter(ban::Column::Network.eq(network))
        .filter(ban::Column::IsAutomatic.eq(is_automatic))
        .order_by_desc(ban::Column::ExpiresAt)
        .select_only()
        .column(ban::Column::ExpiresAt)
        .into_tuple()
        .one(db)
        .await
        .map_err(app_error)
}

/// Number of automatic bans of this network that ended after `since` and were not lifted.
pub async fn count_automatic<C: ConnectionTrait>(db: &C, network: &str, since: Timestamp) -> Result<u64, AppError> {
    ban::Entity::find()
        .filter(ban::Column::Network.eq(network))
        .filter(ban::Column::IsAutomatic.eq(true))
        .filter(ban::Column::ExpiresAt.gt(since))
        .filter(ban::Column::LiftedAt.is_null())
        .count(db)
        .await
        .map_err(app_error)
}

/// Ends a ban in force and returns it; `None` if there is none.
pub async fn lift<C: ConnectionTrait>(db: &C, id: BanId, now: Timestamp) -> Result<Option<ban::Model>, AppError> {
    let row = ban::ActiveModel { lifted_at: Set(Some(now)), ..Default::default() };
    let lifted = ban::Entity::update_many()
        .set(row)
        .filter(ban::Column::Id.eq(id))
        .filter(ban::Column::LiftedAt.is_null())
        .filter(ban::Column::ExpiresAt.gt(now))
        .exec_with_returning(db)
        .await
        .map_err(app_error)?;
    Ok(lifted.into_iter().next())
}

/// Ends all bans of this network; returns their number.
pub async fn lift_all<C: ConnectionTrait>(db: &C, network: &str, now: Timestamp) -> Result<u64, AppError> {
    let row = ban::ActiveModel { lifted_at: Set(Some(now)), ..Default::default() };
    let done = ban::Entity::update_many()
        .set(row)
        .filter(ban::Column::Network.eq(network))
        .filter(ban::Column::LiftedAt.is_null())
        .filter(ban::Column::ExpiresAt.gt(now))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected)
}

/// Deletes the bans that ended before the given time.
pub async fn delete_ended<C: ConnectionTrait>(db: &C, before: Timestamp) -> Result<(), AppError> {
    ban::Entity::delete_many().filter(ban::Column::ExpiresAt.lt(before)).exec(db).await.map_err(app_error)?;
    Ok(())
}

fn in_force_query(now: Timestamp) -> Select<ban::Entity> {
    ban::Entity::find().filter(ban::Column::LiftedAt.is_null()).filter(ban::Column::ExpiresAt.gt(now))
}

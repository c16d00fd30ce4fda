//! The audit log.

use appcore::{AppError, AuditEntryId, Timestamp, UserId, page::PageRequest, view::AuditEntry};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, Set,
    sea_query::{Expr, Query},
};

use crate::{
    constraint::app_error,
    entity::{audit_entry, user},
};

/// A new line.
pub struct NewEntry {
    pub action: &'static str,
    pub actor: Option<UserId>,
    pub target: Option<String>,
    pub address: Option<String>,
    pub at: Timestamp,
}

/// Writes a line.
pub async fn insert<C: ConnectionTrait>(db: &C, new: NewEntry) -> Result<(), AppError> {
    let row = audit_entry::ActiveModel {
        id: Set(AuditEntryId::new()),
        action: Set(new.action.to_owned()),
        actor: Set(new.actor),
        target: Set(new.target),
        address: Set(new.address),
        created_at: Set(new.at),
    };
    // Nobody reads it back, so it need not be sent back.
    audit_entry::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

#[derive(FromQueryResult)]
struct Row {
    id: AuditEntryId,
    action: String,
    actor: Option<UserId>,
    actor_name: Option<String>,
    target: Option<String>,
    address: Option<String>,
    created_at: Timestamp,
}

/// The lines, of one action where it is named, the newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    action: Option<&str>,
    page: PageRequest,
) -> Result<(Vec<AuditEntry>, u64), AppError> {
    let to_user = audit_entry::Entity::belongs_to(user::Entity)
        .from(audit_entry::Column::Actor)
        .to(user::Column::Id)
        .on_condition(|_, person| Condition::all().add(Expr::col((person, user::Column::IsDeleted)).eq(false)));
    let mut query = audit_entry::Entity::find();
    if let Some(action) = action {
        query = query.filter(audit_entry::Column::Action.eq(action));
    }
    let query = query
        .join(JoinType::LeftJoin, to_user.into())
        .column_as(user::Column::DisplayName, "actor_name")
        .order_by_desc(audit_entry::Column::CreatedAt)
        .order_by_desc(audit_entry::Column::Id);
    let (rows, total) = super::page::select::<_, _, Row>(db, query, page).await?;
    Ok((rows.into_iter().map(AuditEntry::from).collect(), total))
}

/// Forgets at most `most` of what is older; how many it were.
pub async fn forget<C: ConnectionTrait>(db: &C, before: Timestamp, most: u64) -> Result<u64, AppError> {
    let oldest = Query::select()
        .column(audit_entry::Column::Id)
        .from(audit_entry::Entity)
        .and_where(audit_entry::Column::CreatedAt.lt(before))
        .limit(most)
        .to_owned();
    let done = audit_entry::Entity::delete_many()
        .filter(audit_entry::Column::Id.in_subquery(oldest))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected)
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        let Row { id, action, actor, actor_name, target, address, created_at } = row;
        Self { id, action, actor, actor_name, target, address, place: None, created_at }
    }
}

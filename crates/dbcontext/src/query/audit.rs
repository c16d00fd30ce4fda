//! Audit log.

use appcore::{AppError, AuditEntryId, Timestamp, UserId, page::PageRequest, view::AuditEntry};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, Select, Set,
    sea_query::{Expr, LikeExpr, Query},
};

use crate::{
    constraint::app_error,
    entity::{audit_entry, user},
};

pub struct NewEntry {
    pub action: &'static str,
    pub actor: Option<UserId>,
    pub target: Option<String>,
    pub address: Option<String>,
    pub at: Timestamp,
}

pub async fn insert<C: ConnectionTrait>(db: &C, new: NewEntry) -> Result<(), AppError> {
    let row = audit_entry::ActiveModel {
        id: Set(AuditEntryId::new()),
        action: Set(new.action.to_owned()),
        actor: Set(new.actor),
        target: Set(new.target),
        address: Set(new.address),
        created_at: Set(new.at),
    };
    // The row isn't read back, so `RETURNING` is not needed.
    audit_entry::Entity::insert(row).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

#[derive(FromQueryResult)]
struct EntryRow {
    id: AuditEntryId,
    action: String,
    actor: Option<UserId>,
    actor_name: Option<String>,
    target: Option<String>,
    address: Option<String>,
    created_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub action: Option<String>,
    /// Prefix of the action, such as `auth`.
    pub subject: Option<String>,
    pub actor: Option<UserId>,
    /// Part of the target, of the network address, or of the actor's name.
    pub text: Option<String>,
    pub from: Option<Timestamp>,
    /// End of the period, exclusive.
    pub to: Option<Timestamp>,
}

/// Lists entries, newest first, with the total count.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    page: PageRequest,
) -> Result<(Vec<AuditEntry>, u64), AppError> {
    let (rows, total) = super::page::select::<_, _, EntryRow>(db, filter_query(filter), page).await?;
    Ok((rows.into_iter().map(AuditEntry::from).collect(), total))
}

/// Lists at most `most` entries that precede the given one, newest first.
pub async fn list_before<C: ConnectionTrait>(
    db: &C,
    filter: &Filter,
    (at, id): (Timestamp, AuditEntryId),
    most: u64,
) -> Result<Vec<AuditEntry>, AppError> {
    let same = Condition::all().add(audit_entry::Column::CreatedAt.eq(at)).add(audit_entry::Column::Id.lt(id));
    let earlier = Condition::any().add(audit_entry::Column::CreatedAt.lt(at)).add(same);
    let rows: Vec<EntryRow> =
        filter_query(filter).filter(earlier).limit(most).into_model().all(db).await.map_err(app_error)?;
    Ok(rows.into_iter().map(AuditEntry::from).collect())
}

fn filter_query(filter: &Filter) -> Select<audit_entry::Entity> {
    let to_user = audit_entry::Entity::belongs_to(user::Entity)
        .from(audit_entry::Column::Actor)
        .to(user::Column::Id)
        .on_condition(|_, person| Condition::all().add(Expr::col((person, user::Column::IsDeleted)).eq(false)));
    let column = |column| Expr::col((audit_entry::Entity, column));
    let mut query = audit_entry::Entity::find().join(JoinType::LeftJoin, to_user.into());
    if let Some(action) = &filter.action {
        query = query.filter(audit_entry::Column::Action.eq(action.as_str()));
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(column(audit_entry::Column::Action).like(like(format!("{}.%", escaped(subject)))));
    }
    if let Some(actor) = filter.actor {
        query = query.filter(audit_entry::Column::Actor.eq(actor));
    }
    if let Some(from) = filter.from {
        query = query.filter(audit_entry::Column::CreatedAt.gte(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(audit_entry::Column::CreatedAt.lt(to));
    }
    if let Some(text) = filter.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let pattern = || like(super::like_containing(&text.to_lowercase()));
        let name = super::like_containing(&::search::fold_name(text));
        query = query.filter(
            Condition::any()
                .add(column(audit_entry::Column::Target).like(pattern()))
                .add(column(audit_entry::Column::Address).like(pattern()))
                .add(Expr::col((user::Entity, user::Column::SearchName)).like(like(name))),
        );
    }
    query
        .column_as(user::Column::DisplayName, "actor_name")
        .order_by_desc(audit_entry::Column::CreatedAt)
        .order_by_desc(audit_entry::Column::Id)
}

fn like(pattern: String) -> LikeExpr {
    LikeExpr::new(pattern).escape('\\')
}

fn escaped(text: &str) -> String {
    super::like_containing(text).trim_matches('%').to_owned()
}

/// Deletes at most `most` entries older than `before`; returns the number of deleted rows.
pub async fn delete_older<C: ConnectionTrait>(db: &C, before: Timestamp, most: u64) -> Result<u64, AppError> {
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

impl From<EntryRow> for AuditEntry {
    fn from(row: EntryRow) -> Self {
        let EntryRow { id, action, actor, actor_name, target, address, created_at } = row;
        Self { id, action, actor, actor_name, target, address, place: None, created_at }
    }
}

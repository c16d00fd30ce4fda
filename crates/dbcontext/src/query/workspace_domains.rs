//! Email domains whose users may join a workspace.

use appcore::{AppError, UserId, WorkspaceId, page::PageRequest};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait as _, QueryFilter, QueryOrder, Set,
    sea_query::{Query, SelectStatement},
};

use crate::{
    constraint::app_error,
    entity::{workspace, workspace_domain, workspace_member},
};

/// Domains of these workspaces, in alphabetical order.
pub async fn by_workspaces<C: ConnectionTrait>(
    db: &C,
    ids: &[WorkspaceId],
) -> Result<Vec<(WorkspaceId, String)>, AppError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = workspace_domain::Entity::find()
        .filter(workspace_domain::Column::WorkspaceId.is_in(ids.iter().copied()))
        .order_by_asc(workspace_domain::Column::Domain)
        .all(db)
        .await
        .map_err(app_error)?;
    Ok(rows.into_iter().map(|row| (row.workspace_id, row.domain)).collect())
}

/// Replaces the domains of a workspace.
pub async fn replace<C: ConnectionTrait>(db: &C, id: WorkspaceId, domains: &[String]) -> Result<(), AppError> {
    workspace_domain::Entity::delete_many()
        .filter(workspace_domain::Column::WorkspaceId.eq(id))
        .exec(db)
        .await
        .map_err(app_error)?;
    if domains.is_empty() {
        return Ok(());
    }
    let rows = domains
        .iter()
        .map(|domain| workspace_domain::ActiveModel { workspace_id: Set(id), domain: Set(domain.clone()) });
    workspace_domain::Entity::insert_many(rows).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Lists the workspaces that users of this email domain may join, by name. Leaves out those of
/// which `by` is a member or from which `by` was removed.
pub async fn joinable<C: ConnectionTrait>(
    db: &C,
    by: UserId,
    domain: &str,
    page: PageRequest,
) -> Result<(Vec<workspace::Model>, u64), AppError> {
    let joined = Query::select()
        .column(workspace_member::Column::WorkspaceId)
        .from(workspace_member::Entity)
        .and_where(workspace_member::Column::UserId.eq(by))
        .and_where(workspace_member::Column::IsDeleted.eq(false).or(workspace_member::Column::RemovedAt.is_not_null()))
        .to_owned();
    let query = workspace::Entity::find()
        .filter(workspace::Column::IsDeleted.eq(false))
        .filter(workspace::Column::Id.in_subquery(of_domain(domain)))
        .filter(workspace::Column::Id.not_in_subquery(joined))
        .order_by_asc(workspace::Column::Name)
        .order_by_asc(workspace::Column::Id);
    super::page::select(db, query, page).await
}

/// True if users of this email domain may join the workspace.
pub async fn allows<C: ConnectionTrait>(db: &C, id: WorkspaceId, domain: &str) -> Result<bool, AppError> {
    let row = workspace_domain::Entity::find_by_id((id, domain.to_owned())).one(db).await.map_err(app_error)?;
    Ok(row.is_some())
}

fn of_domain(domain: &str) -> SelectStatement {
    Query::select()
        .column(workspace_domain::Column::WorkspaceId)
        .from(workspace_domain::Entity)
        .and_where(workspace_domain::Column::Domain.eq(domain))
        .to_owned()
}

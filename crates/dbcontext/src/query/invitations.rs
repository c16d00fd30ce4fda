//! Invitations. Managers list those of their workspace; invited people look one up by its token.

use appcore::{
    AppError, InvitationId, Timestamp, UserId, WorkspaceId,
    auth::Email,
    page::PageRequest,
    view::{WorkspaceKind, WorkspaceRole},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, IntoActiveModel, JoinType, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, RelationDef, Select, sea_query::Expr,
};

use crate::{
    constraint::app_error,
    entity::{
        invitation::{Column, Entity, Model},
        workspace,
    },
};

pub async fn insert<C: ConnectionTrait>(db: &C, row: Model) -> Result<(), AppError> {
    Entity::insert(row.into_active_model()).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Lists a workspace's valid invitations, newest first.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    now: Timestamp,
    page: PageRequest,
) -> Result<(Vec<Model>, u64), AppError> {
    super::page::select(db, valid_query(id, now).order_by_desc(Column::CreatedAt).order_by_desc(Column::Id), page).await
}

/// Invitation with the name of its workspace.
#[derive(Clone, Debug, FromQueryResult)]
pub struct NamedInvitation {
    #[sea_orm(nested)]
    pub invitation: Model,
    pub workspace_name: String,
    pub workspace_kind: WorkspaceKind,
}

/// Lists the valid invitations of all workspaces or of one of them, newest first.
pub async fn list_all<C: ConnectionTrait>(
    db: &C,
    workspace: Option<WorkspaceId>,
    now: Timestamp,
    page: PageRequest,
) -> Result<(Vec<NamedInvitation>, u64), AppError> {
    let mut query = valid(now)
        .join(JoinType::InnerJoin, to_workspace())
        .filter(workspace::Column::IsDeleted.eq(false))
        .column_as(workspace::Column::Name, "workspace_name")
        .column_as(workspace::Column::Kind, "workspace_kind");
    if let Some(id) = workspace {
        query = query.filter(Column::WorkspaceId.eq(id));
    }
    super::page::select(db, query.order_by_desc(Column::CreatedAt).order_by_desc(Column::Id), page).await
}

fn to_workspace() -> RelationDef {
    Entity::belongs_to(workspace::Entity).from(Column::WorkspaceId).to(workspace::Column::Id).into()
}

/// Returns those of these addresses that have a valid invitation to the workspace.
pub async fn open_addresses<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    addresses: &[Email],
    now: Timestamp,
) -> Result<Vec<String>, AppError> {
    let addresses = addresses.iter().map(Email::as_str);
    let query = valid_query(id, now).filter(Column::Email.is_in(addresses)).select_only().column(Column::Email);
    query.into_tuple().all(db).await.map_err(app_error)
}

/// Number of a workspace's valid invitations.
pub async fn count<C: ConnectionTrait>(db: &C, id: WorkspaceId, now: Timestamp) -> Result<u64, AppError> {
    valid_query(id, now).count(db).await.map_err(app_error)
}

/// Finds the invitation whose link has this token, even if it is no longer valid.
pub async fn by_token<C: ConnectionTrait>(db: &C, token_hash: &[u8]) -> Result<Option<Model>, AppError> {
    Entity::find().filter(Column::TokenHash.eq(token_hash)).one(db).await.map_err(app_error)
}

/// Finds an invitation, even if it is no longer valid.
pub async fn by_id<C: ConnectionTrait>(db: &C, id: InvitationId) -> Result<Option<Model>, AppError> {
    Entity::find_by_id(id).one(db).await.map_err(app_error)
}

/// Consumes one use of an invitation; returns `false` if none is left. Atomic, so concurrent uses
/// can't exceed the limit.
pub async fn consume<C: ConnectionTrait>(db: &C, id: InvitationId, now: Timestamp) -> Result<bool, AppError> {
    let done = Entity::update_many()
        .col_expr(Column::Uses, Expr::col(Column::Uses).add(1))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .filter(Expr::col(Column::Uses).lt(Expr::col(Column::MaxUses)))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Revokes an invitation to this workspace; returns `false` if there is none.
pub async fn revoke<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    id: InvitationId,
    now: Timestamp,
) -> Result<bool, AppError> {
    let done = Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::RevokedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Revokes a user's invitations to this workspace, except those to roles that the user may still
/// grant.
pub async fn revoke_made_by<C: ConnectionTrait>(
    db: &C,
    workspace: WorkspaceId,
    maker: UserId,
    kept: &[WorkspaceRole],
    now: Timestamp,
) -> Result<(), AppError> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::CreatedBy.eq(maker))
        .filter(Column::Role.is_not_in(kept.iter().map(|role| role.as_str())))
        .filter(Column::RevokedAt.is_null())
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

/// Times at which the user emailed invitations after `since`, newest first, including invitations that are no longer
/// valid.
pub async fn mailed_since<C: ConnectionTrait>(
    db: &C,
    maker: UserId,
    since: Timestamp,
    most: u64,
) -> Result<Vec<Timestamp>, AppError> {
    Entity::find()
        .filter(Column::CreatedBy.eq(maker))
        .filter(Column::CreatedAt.gt(since))
        .filter(Column::Email.is_not_null())
        .order_by_desc(Column::CreatedAt)
        .limit(most)
        .select_only()
        .column(Column::CreatedAt)
        .into_tuple()
        .all(db)
        .await
        .map_err(app_error)
}

fn valid_query(id: WorkspaceId, now: Timestamp) -> Select<Entity> {
    valid(now).filter(Column::WorkspaceId.eq(id))
}

fn valid(now: Timestamp) -> Select<Entity> {
    Entity::find()
        .filter(Column::RevokedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .filter(Expr::col((Entity, Column::Uses)).lt(Expr::col((Entity, Column::MaxUses))))
}

//! Workspaces and their members. Users who are not members of a workspace see nothing of it.

use appcore::{
    AppError, Timestamp, UserId, WorkspaceId,
    page::PageRequest,
    view::{self, UserRole, WorkspaceRole},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait as _, FromQueryResult, JoinType, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, RelationDef, Select, Set,
    sea_query::{Expr, OnConflict},
};

pub use appcore::view::WorkspaceKind;

use super::literal;
use crate::{
    constraint::app_error,
    entity::{user, workspace, workspace_member},
};

/// Workspace as seen by a member.
#[derive(Clone, Debug, FromQueryResult)]
pub struct SeenWorkspace {
    pub id: WorkspaceId,
    pub name: String,
    pub kind: WorkspaceKind,
    pub created_by: Option<UserId>,
    /// The member's role.
    pub role: WorkspaceRole,
}

impl SeenWorkspace {
    /// Converts the row to the view for the member `by`.
    #[must_use]
    pub fn view(self, by: UserId) -> view::Workspace {
        view::Workspace {
            id: self.id,
            role: self.role,
            name: self.name,
            personal: self.kind == WorkspaceKind::Personal && self.created_by == Some(by),
            shared: self.kind == WorkspaceKind::Shared,
            join_domains: None,
        }
    }
}

/// Inserts a workspace without members. Does nothing if only one workspace of its kind may exist
/// and it already does.
pub async fn insert<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    name: &str,
    kind: WorkspaceKind,
    created_by: Option<UserId>,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = workspace::ActiveModel {
        id: Set(id),
        name: Set(name.to_owned()),
        kind: Set(kind),
        created_by: Set(created_by),
        created_at: Set(at),
        updated_at: Set(at),
        is_deleted: Set(false),
    };
    // Uses a conflict clause, because in PostgreSQL a failed insert would abort the transaction.
    let nothing = OnConflict::new().do_nothing().to_owned();
    workspace::Entity::insert(row).on_conflict(nothing).exec_without_returning(db).await.map_err(app_error)?;
    Ok(())
}

/// Returns the shared workspace of the installation, without an access check.
pub async fn shared<C: ConnectionTrait>(db: &C) -> Result<Option<workspace::Model>, AppError> {
    find_shared().one(db).await.map_err(app_error)
}

pub(super) fn find_shared() -> sea_orm::Select<workspace::Entity> {
    workspace::Entity::find()
        .filter(workspace::Column::Kind.into_expr().eq(literal(WorkspaceKind::Shared.as_str())))
        .filter(workspace::Column::IsDeleted.into_expr().eq(literal(false)))
}

/// Returns the number of members who occupy a seat; guests don't.
pub async fn count_seats<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<i64, AppError> {
    let query = workspace_member::Entity::find()
        .join(JoinType::InnerJoin, to_user())
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .filter(workspace_member::Column::Role.ne(WorkspaceRole::Guest.as_str()))
        .filter(user::Column::IsDeleted.eq(false));
    let count = query.count(db).await.map_err(app_error)?;
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Locks a workspace against other changes until the transaction ends.
pub async fn lock<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<(), AppError> {
    workspace::Entity::find_by_id(id).lock_exclusive().one(db).await.map_err(app_error)?;
    Ok(())
}

/// Locks a workspace and the memberships of these users against removal until the transaction ends;
/// returns `false` if the workspace or one of the memberships doesn't exist.
///
/// When a membership ends, the clean-up runs after that commit, so it also finds rows that were
/// created under this lock.
pub async fn lock_members<C: ConnectionTrait>(db: &C, id: WorkspaceId, users: &[UserId]) -> Result<bool, AppError> {
    let there = workspace::Entity::find_by_id(id)
        .filter(workspace::Column::IsDeleted.eq(false))
        .lock_shared()
        .one(db)
        .await
        .map_err(app_error)?;
    if there.is_none() {
        return Ok(false);
    }
    let held = workspace_member::Entity::find()
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::UserId.is_in(users.iter().copied()))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .order_by_asc(workspace_member::Column::UserId)
        .lock_shared()
        .all(db)
        .await
        .map_err(app_error)?;
    Ok(held.len() == users.len())
}

/// Name of a workspace, without an access check; `None` if it doesn't exist.
pub async fn name<C: ConnectionTrait>(db: &C, id: WorkspaceId) -> Result<Option<String>, AppError> {
    let found = workspace::Entity::find_by_id(id).filter(workspace::Column::IsDeleted.eq(false));
    found.select_only().column(workspace::Column::Name).into_tuple().one(db).await.map_err(app_error)
}

/// Soft-deletes a workspace and its memberships.
pub async fn delete<C: ConnectionTrait>(db: &C, id: WorkspaceId, at: Timestamp) -> Result<(), AppError> {
    let row = workspace::ActiveModel { is_deleted: Set(true), updated_at: Set(at), ..Default::default() };
    workspace::Entity::update_many().set(row).filter(workspace::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    let row = workspace_member::ActiveModel { is_deleted: Set(true), updated_at: Set(at), ..Default::default() };
    workspace_member::Entity::update_many()
        .set(row)
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

pub async fn rename<C: ConnectionTrait>(db: &C, id: WorkspaceId, name: &str, at: Timestamp) -> Result<(), AppError> {
    let row = workspace::ActiveModel { name: Set(name.to_owned()), updated_at: Set(at), ..Default::default() };
    workspace::Entity::update_many().set(row).filter(workspace::Column::Id.eq(id)).exec(db).await.map_err(app_error)?;
    Ok(())
}

/// Lists a user's workspaces: the shared one, then the personal one, then the others by name.
pub async fn list<C: ConnectionTrait>(
    db: &C,
    by: UserId,
    page: PageRequest,
) -> Result<(Vec<SeenWorkspace>, u64), AppError> {
    let rank = Expr::case(workspace::Column::Kind.eq(WorkspaceKind::Shared.as_str()), 0)
        .case(workspace::Column::Kind.eq(WorkspaceKind::Personal.as_str()), 1)
        .finally(2);
    let query = seen_by(by)
        .order_by_asc(Expr::Case(Box::new(rank)))
        .order_by_asc(workspace::Column::Name)
        .order_by_asc(workspace::Column::Id);
    super::page::select(db, query, page).await
}

/// Finds a workspace of which `by` is a member.
pub async fn find<C: ConnectionTrait>(db: &C, by: UserId, id: WorkspaceId) -> Result<Option<SeenWorkspace>, AppError> {
    seen_by(by).filter(workspace::Column::Id.eq(id)).into_model().one(db).await.map_err(app_error)
}

/// Returns the default workspace of a user: the shared one, or otherwise the personal one.
pub async fn default_of<C: ConnectionTrait>(db: &C, by: UserId) -> Result<Option<SeenWorkspace>, AppError> {
    let named = [WorkspaceKind::Shared.as_str(), WorkspaceKind::Personal.as_str()];
    let mut rows: Vec<SeenWorkspace> =
        seen_by(by).filter(workspace::Column::Kind.is_in(named)).into_model().all(db).await.map_err(app_error)?;
    // A user may also be a member of another user's personal workspace.
    rows.retain(|row| row.kind == WorkspaceKind::Shared || row.created_by == Some(by));
    rows.sort_by_key(|row| row.kind != WorkspaceKind::Shared);
    Ok(rows.into_iter().next())
}

/// Member with the profile that others may see.
#[derive(Clone, Debug, FromQueryResult)]
pub struct MemberRow {
    pub id: UserId,
    pub display_name: String,
    pub role: UserRole,
    pub created_at: Timestamp,
    pub timezone: Option<String>,
    pub show_timezone: bool,
    pub title: Option<String>,
    pub pronouns: Option<String>,
    pub member_role: WorkspaceRole,
}

/// Lists the members of a workspace whom `by` may see, by name, optionally only those whose name
/// contains `text`.
pub async fn members<C: ConnectionTrait>(
    db: &C,
    by: UserId,
    id: WorkspaceId,
    text: &str,
    page: PageRequest,
) -> Result<(Vec<MemberRow>, u64), AppError> {
    let query = memberships(id).filter(super::users::visible_in(id, by)).filter(super::users::matches_text(text));
    let query = with_names(query).order_by_asc(user::Column::SearchName).order_by_asc(user::Column::Id);
    super::page::select(db, query, page).await
}

/// Finds a member without an access check.
pub async fn member<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
) -> Result<Option<MemberRow>, AppError> {
    with_names(memberships(id).filter(workspace_member::Column::UserId.eq(user_id)))
        .into_model()
        .one(db)
        .await
        .map_err(app_error)
}

/// Role of a user in a workspace; `None` if the user is not a member.
pub async fn role<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
) -> Result<Option<WorkspaceRole>, AppError> {
    memberships(id)
        .filter(workspace_member::Column::UserId.eq(user_id))
        .select_only()
        .column(workspace_member::Column::Role)
        .into_tuple()
        .one(db)
        .await
        .map_err(app_error)
}

/// Returns the number of workspaces that a user owns.
pub async fn count_owned<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<u64, AppError> {
    seen_by(user_id)
        .filter(workspace_member::Column::Role.eq(WorkspaceRole::Owner.as_str()))
        .count(db)
        .await
        .map_err(app_error)
}

/// Reason for the end of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipEnd {
    /// The member left.
    Left,
    /// The member was removed by someone else. The removal is recorded, so that the user needs an
    /// invitation to return.
    Removed,
}

/// Ends a membership; returns `false` if there is none.
pub async fn end_membership<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
    end: MembershipEnd,
    at: Timestamp,
) -> Result<bool, AppError> {
    let removed_at = (end == MembershipEnd::Removed).then_some(at);
    let row = workspace_member::ActiveModel {
        is_deleted: Set(true),
        updated_at: Set(at),
        removed_at: Set(removed_at),
        ..Default::default()
    };
    let done = workspace_member::Entity::update_many()
        .set(row)
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::UserId.eq(user_id))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(done.rows_affected > 0)
}

/// Returns the time at which a user was removed from a workspace; `None` if the user has returned
/// since.
pub async fn removed_at<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
) -> Result<Option<Timestamp>, AppError> {
    let row = workspace_member::Entity::find_by_id((id, user_id)).one(db).await.map_err(app_error)?;
    Ok(row.filter(|row| row.is_deleted).and_then(|row| row.removed_at))
}

/// Returns how many of these users are members.
pub async fn count_members<C: ConnectionTrait>(db: &C, id: WorkspaceId, users: &[UserId]) -> Result<u64, AppError> {
    memberships(id)
        .filter(workspace_member::Column::UserId.is_in(users.iter().copied()))
        .count(db)
        .await
        .map_err(app_error)
}

/// True if a workspace has a member with this role.
pub async fn has_role<C: ConnectionTrait>(db: &C, id: WorkspaceId, role: WorkspaceRole) -> Result<bool, AppError> {
    let count = memberships(id).filter(workspace_member::Column::Role.eq(role.as_str())).count(db).await;
    Ok(count.map_err(app_error)? > 0)
}

/// Adds a member or restores a former one; returns `false` if the user is already a member.
pub async fn add<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
    role: WorkspaceRole,
    at: Timestamp,
) -> Result<bool, AppError> {
    let row = workspace_member::ActiveModel {
        workspace_id: Set(id),
        user_id: Set(user_id),
        role: Set(role),
        created_at: Set(at),
        updated_at: Set(at),
        is_deleted: Set(false),
        removed_at: Set(None),
    };
    let mut again = OnConflict::columns([workspace_member::Column::WorkspaceId, workspace_member::Column::UserId]);
    again
        .update_columns([
            workspace_member::Column::Role,
            workspace_member::Column::CreatedAt,
            workspace_member::Column::UpdatedAt,
            workspace_member::Column::IsDeleted,
            workspace_member::Column::RemovedAt,
        ])
        .action_and_where(workspace_member::Column::IsDeleted.eq(true));
    let done =
        workspace_member::Entity::insert(row).on_conflict(again).exec_without_returning(db).await.map_err(app_error)?;
    Ok(done > 0)
}

pub async fn set_role<C: ConnectionTrait>(
    db: &C,
    id: WorkspaceId,
    user_id: UserId,
    role: WorkspaceRole,
    at: Timestamp,
) -> Result<(), AppError> {
    let row = workspace_member::ActiveModel { role: Set(role), updated_at: Set(at), ..Default::default() };
    workspace_member::Entity::update_many()
        .set(row)
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::UserId.eq(user_id))
        .exec(db)
        .await
        .map_err(app_error)?;
    Ok(())
}

fn seen_by(by: UserId) -> Select<workspace::Entity> {
    workspace::Entity::find()
        .join(JoinType::InnerJoin, to_member())
        .filter(workspace_member::Column::UserId.eq(by))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .filter(workspace::Column::IsDeleted.eq(false))
        .column(workspace_member::Column::Role)
}

/// Query of the current members of an existing workspace.
fn memberships(id: WorkspaceId) -> Select<workspace_member::Entity> {
    workspace_member::Entity::find()
        .join(JoinType::InnerJoin, to_user())
        .join(JoinType::InnerJoin, to_workspace())
        .filter(workspace_member::Column::WorkspaceId.eq(id))
        .filter(workspace_member::Column::IsDeleted.eq(false))
        .filter(user::Column::IsDeleted.eq(false))
        .filter(workspace::Column::IsDeleted.eq(false))
}

fn with_names(query: Select<workspace_member::Entity>) -> Select<workspace_member::Entity> {
    query
        .select_only()
        .column(user::Column::Id)
        .column(user::Column::DisplayName)
        .column(user::Column::Timezone)
        .column(user::Column::ShowTimezone)
        .column(user::Column::Title)
        .column(user::Column::Pronouns)
        .column(user::Column::Role)
        .column(user::Column::CreatedAt)
        .column_as(workspace_member::Column::Role, "member_role")
}

fn to_member() -> RelationDef {
    workspace::Entity::belongs_to(workspace_member::Entity)
        .from(workspace::Column::Id)
        .to(workspace_member::Column::WorkspaceId)
        .into()
}

fn to_user() -> RelationDef {
    workspace_member::Entity::belongs_to(user::Entity)
        .from(workspace_member::Column::UserId)
        .to(user::Column::Id)
        .into()
}

fn to_workspace() -> RelationDef {
    workspace_member::Entity::belongs_to(workspace::Entity)
        .from(workspace_member::Column::WorkspaceId)
        .to(workspace::Column::Id)
        .into()
}

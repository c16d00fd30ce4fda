//! Workspace membership: permission checks, and the memberships of new accounts. Workspaces are
//! managed in the crate `conversations`.

mod change_events;
pub mod default_channel;
pub mod invitation;
pub mod quota;

use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
    auth::{Permission, Principal},
    config::Config,
    view::{UserRole, WorkspaceRole},
};
use dbcontext::query::workspaces::{self as rows, SeenWorkspace, WorkspaceKind};
use sea_orm::ConnectionTrait;

pub use self::change_events::WorkspaceChangeEvent;
use crate::IdentityService;

/// Name of personal workspaces.
const PERSONAL_NAME: &str = "Personal";

/// Workspace, and the caller's role in it.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub id: WorkspaceId,
    pub role: WorkspaceRole,
}

/// Resolves the workspace of a request: the given one, of which the caller must be a member. If none
/// is given, the shared workspace is used, or else the personal one. The caller's role must have the
/// permission.
pub async fn resolve(
    service: &IdentityService,
    by: &Principal,
    id: Option<WorkspaceId>,
    permission: Permission,
) -> Result<Membership, AppError> {
    let seen = match id {
        Some(id) => rows::find(service.db.reader(), by.user_id, id).await?,
        None => rows::default_of(service.db.reader(), by.user_id).await?,
    };
    let seen = seen.ok_or(Code::NotFound)?;
    let place = Membership { id: seen.id, role: seen.role };
    if place.role.may(permission) { Ok(place) } else { Err(Code::Forbidden.into()) }
}

/// Checks that the caller's role has the permission. For non-members, the workspace seems not to
/// exist.
pub async fn authorize(
    service: &IdentityService,
    by: &Principal,
    id: WorkspaceId,
    permission: Permission,
) -> Result<(), AppError> {
    let role = rows::role(service.db.reader(), id, by.user_id).await?.ok_or(Code::NotFound)?;
    if role.may(permission) { Ok(()) } else { Err(Code::Forbidden.into()) }
}

/// Checks the permission like [`admit`], within a transaction.
pub async fn authorize_in<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    id: WorkspaceId,
    permission: Permission,
) -> Result<SeenWorkspace, AppError> {
    let seen = rows::find(db, by.user_id, id).await?.ok_or(Code::NotFound)?;
    if seen.role.may(permission) { Ok(seen) } else { Err(Code::Forbidden.into()) }
}

/// True if all users are members of the workspace.
pub async fn are_members(service: &IdentityService, id: WorkspaceId, users: &[UserId]) -> Result<bool, AppError> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    Ok(rows::count_members(service.db.reader(), id, &users).await? == users.len() as u64)
}

/// Creates a new account's personal workspace and adds it to the shared one, in the caller's transaction.
pub async fn add_new_account<C: ConnectionTrait>(
    db: &C,
    config: &Config,
    user_id: UserId,
    role: UserRole,
    now: Timestamp,
) -> Result<(), AppError> {
    let personal = WorkspaceId::new();
    rows::insert(db, personal, PERSONAL_NAME, WorkspaceKind::Personal, Some(user_id), now).await?;
    rows::add(db, personal, user_id, WorkspaceRole::Owner, now).await?;
    let Some(name) = config.shared_workspace() else { return Ok(()) };
    let shared = shared(db, name, config.names_shared_workspace(), user_id, now).await?;
    // The first administrator becomes the owner of the shared workspace.
    let role = match role {
        UserRole::User => WorkspaceRole::Member,
        UserRole::Admin if rows::has_role(db, shared, WorkspaceRole::Owner).await? => WorkspaceRole::Admin,
        UserRole::Admin => WorkspaceRole::Owner,
    };
    rows::add(db, shared, user_id, role, now).await?;
    // There is nobody to notify, since a new account has no connections.
    let _ = default_channel::sync_member(db, shared, user_id, role, now).await?;
    Ok(())
}

/// Returns the shared workspace. Creates it for the first account. If the setting for its name is
/// set, renames it.
async fn shared<C: ConnectionTrait>(
    db: &C,
    name: &str,
    is_set: bool,
    first: UserId,
    now: Timestamp,
) -> Result<WorkspaceId, AppError> {
    let is_new = rows::shared(db).await?.is_none();
    if is_new {
        rows::insert(db, WorkspaceId::new(), name, WorkspaceKind::Shared, None, now).await?;
    }
    // The workspace is the one created here or by a concurrent sign-up.
    let workspace =
        rows::shared(db).await?.ok_or_else(|| AppError::internal(anyhow::anyhow!("no shared workspace")))?;
    if is_new {
        default_channel::create(db, workspace.id, first, now).await?;
    }
    if is_set && workspace.name != name {
        rows::rename(db, workspace.id, name, now).await?;
    }
    Ok(workspace.id)
}

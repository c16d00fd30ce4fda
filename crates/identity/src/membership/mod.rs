//! Who is in which workspace, and what that allows: rules that others ask, and what a membership begins with. What people do with their workspaces is
//! `workspaces`.

pub mod default_channel;
pub mod invitation;
mod change_events;
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

/// What everybody's own workspace is called.
const PERSONAL_NAME: &str = "Personal";

/// A workspace that somebody is in, and what they are there.
#[derive(Clone, Copy, Debug)]
pub struct Membership {
    pub id: WorkspaceId,
    pub role: WorkspaceRole,
}

/// The workspace that is meant: the named one, where the caller is a member, else the shared one, else their own. Their role there
/// must allow it.
pub async fn resolve(
    service: &IdentityService,
    by: &Principal,
    id: Option<WorkspaceId>,
    permission: Permission,
) -> Result<Membership, AppError> {
    let seen = match id {
        Some(id) => rows::find(service.db.reader(), by.user_id, id).await?,
        None => rows::usual(service.db.reader(), by.user_id).await?,
    };
    let seen = seen.ok_or(Code::NotFound)?;
    let place = Membership { id: seen.id, role: seen.role()? };
    if place.role.may(permission) { Ok(place) } else { Err(Code::Forbidden.into()) }
}

/// Lets a member in whose role allows it; for everybody else the workspace is not there.
pub async fn admit(
    service: &IdentityService,
    by: &Principal,
    id: WorkspaceId,
    permission: Permission,
) -> Result<(), AppError> {
    let role = rows::role(service.db.reader(), id, by.user_id).await?.ok_or(Code::NotFound)?;
    if role.may(permission) { Ok(()) } else { Err(Code::Forbidden.into()) }
}

/// [`admit`] within a transaction, where it is still so when that ends.
pub async fn permitted<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    id: WorkspaceId,
    permission: Permission,
) -> Result<SeenWorkspace, AppError> {
    let seen = rows::find(db, by.user_id, id).await?.ok_or(Code::NotFound)?;
    if seen.role()?.may(permission) { Ok(seen) } else { Err(Code::Forbidden.into()) }
}

/// Whether all these people are members of the workspace.
pub async fn are_together(service: &IdentityService, id: WorkspaceId, users: &[UserId]) -> Result<bool, AppError> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    Ok(rows::count_members(service.db.reader(), id, &users).await? == users.len() as u64)
}

/// Gives a new account its own workspace and its place in the shared one, in the caller's transaction.
pub async fn settle<C: ConnectionTrait>(
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
    // The first administrator who comes owns what belongs to everybody.
    let role = match role {
        UserRole::User => WorkspaceRole::Member,
        UserRole::Admin if rows::has_role(db, shared, WorkspaceRole::Owner).await? => WorkspaceRole::Admin,
        UserRole::Admin => WorkspaceRole::Owner,
    };
    rows::add(db, shared, user_id, role, now).await?;
    // A new account has no connections that would have to be told.
    let _ = default_channel::settle(db, shared, user_id, role, now).await?;
    Ok(())
}

/// The shared workspace, by the name that the setting gives it, where `is_set`; made when the first account needs it.
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
    // Ours, or that of a sign-up that was quicker.
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

//! Workspaces: tenants. Whoever is not a member of one does not learn that it is there.

mod members;
#[cfg(test)]
mod tests;

pub use members::{NewMember, Who, add_member, members, set_role};

use appcore::{
    AppError, Code, Timestamp, UserId, WorkspaceId,
    auth::Principal,
    config::Config,
    page::{Page, PageRequest},
    text::parse_line,
    view::{UserRole, Workspace, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    query::workspaces::{self as rows, WorkspaceKind},
};
use sea_orm::ConnectionTrait;

use crate::App;

const MAX_NAME_CHARS: usize = 80;
/// What everybody's own workspace is called.
const PERSONAL_NAME: &str = "Personal";

/// The caller's workspaces.
pub async fn list(app: &App, by: &Principal, page: PageRequest) -> Result<Page<Workspace>, AppError> {
    let (seen, total) = rows::list(app.db.reader(), by.user_id, page).await?;
    let items = seen.into_iter().map(|row| row.view(by.user_id)).collect::<Result<_, _>>()?;
    Ok(Page::new(items, page, total))
}

/// One of the caller's workspaces.
pub async fn find(app: &App, by: &Principal, id: WorkspaceId) -> Result<Workspace, AppError> {
    rows::find(app.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?.view(by.user_id)
}

/// Makes a workspace that the caller owns.
pub async fn create(app: &App, by: &Principal, name: &str) -> Result<Workspace, AppError> {
    let name = parse_line("name", name, MAX_NAME_CHARS)?;
    let (id, now) = (WorkspaceId::new(), app.clock.now());
    let tx = app.db.begin().await.map_err(app_error)?;
    rows::insert(&tx, id, &name, WorkspaceKind::Team, Some(by.user_id), now).await?;
    rows::add(&tx, id, by.user_id, WorkspaceRole::Owner, now).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(Workspace { id, name, role: WorkspaceRole::Owner, personal: false })
}

/// The workspace that is meant: the named one, where the caller is a member, else the shared one, else their own.
pub async fn resolve(app: &App, by: &Principal, id: Option<WorkspaceId>) -> Result<WorkspaceId, AppError> {
    let seen = match id {
        Some(id) => rows::find(app.db.reader(), by.user_id, id).await?,
        None => rows::usual(app.db.reader(), by.user_id).await?,
    };
    Ok(seen.ok_or(Code::NotFound)?.id)
}

/// Whether all these people are members of the workspace.
pub async fn are_together(app: &App, id: WorkspaceId, users: &[UserId]) -> Result<bool, AppError> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    Ok(rows::count_members(app.db.reader(), id, &users).await? == users.len() as u64)
}

/// Gives a new account its own workspace and its place in the shared one, in the caller's transaction.
pub(crate) async fn settle<C: ConnectionTrait>(
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
    let shared = shared(db, name, now).await?;
    // The first administrator who comes owns what belongs to everybody.
    let role = match role {
        UserRole::User => WorkspaceRole::Member,
        UserRole::Admin if rows::has_role(db, shared, WorkspaceRole::Owner).await? => WorkspaceRole::Admin,
        UserRole::Admin => WorkspaceRole::Owner,
    };
    rows::add(db, shared, user_id, role, now).await?;
    Ok(())
}

/// The shared workspace, by the name that the setting gives it; made when the first account needs it.
async fn shared<C: ConnectionTrait>(db: &C, name: &str, now: Timestamp) -> Result<WorkspaceId, AppError> {
    if rows::shared(db).await?.is_none() {
        rows::insert(db, WorkspaceId::new(), name, WorkspaceKind::Shared, None, now).await?;
    }
    // Ours, or that of a sign-up that was quicker.
    let workspace =
        rows::shared(db).await?.ok_or_else(|| AppError::internal(anyhow::anyhow!("no shared workspace")))?;
    if workspace.name != name {
        rows::rename(db, workspace.id, name, now).await?;
    }
    Ok(workspace.id)
}

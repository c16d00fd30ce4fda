//! Administration of workspaces by administrators of the installation, who need not be members.
//! Messages are never shown to them.

use appcore::{
    AppError, Code, UserId, WorkspaceId,
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::{AdminWorkspace, AdminWorkspaceMember, WorkspaceKind, WorkspaceRole},
};
pub use dbcontext::query::admin_workspaces::Filter;
use dbcontext::{
    constraint::app_error,
    query::{admin_workspaces as seen, workspaces as rows},
};
use identity::{
    accounts::Confirmed,
    membership::{WorkspaceChangeEvent, default_channel},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{delete_rows, departure, invitations, wrong_state};
use crate::ConversationsService;

/// Workspaces, newest first.
pub async fn list(
    service: &ConversationsService,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<AdminWorkspace>, AppError> {
    validate_search_text(&filter.text)?;
    let (items, total) = seen::list(service.db.reader(), &filter, page).await?;
    Ok(Page::new(items, page, total))
}

pub async fn find(service: &ConversationsService, id: WorkspaceId) -> Result<AdminWorkspace, AppError> {
    seen::find(service.db.reader(), id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Members of a workspace, by name.
pub async fn members(
    service: &ConversationsService,
    id: WorkspaceId,
    text: &str,
    page: PageRequest,
) -> Result<Page<AdminWorkspaceMember>, AppError> {
    validate_search_text(text)?;
    rows::name(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let (items, total) = seen::members(service.db.reader(), id, text, page).await?;
    Ok(Page::new(items, page, total))
}

/// Transfers the workspace to another member; the former owner becomes an administrator of it.
pub async fn set_owner(
    service: &ConversationsService,
    by: &Confirmed,
    id: WorkspaceId,
    owner: UserId,
) -> Result<AdminWorkspace, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let workspace = seen::find(&tx, id).await?.ok_or(Code::NotFound)?;
    if workspace.kind == WorkspaceKind::Personal {
        return Err(wrong_state("A personal workspace belongs to one person for as long as their account exists."));
    }
    let unknown = || AppError::field("owner_id", "not_found", "This person isn't a member of the workspace.");
    let role = rows::role(&tx, id, owner).await?.ok_or_else(unknown)?;
    if role == WorkspaceRole::Guest {
        return Err(AppError::field("owner_id", "invalid", "A guest can't own a workspace. Choose a member."));
    }
    let former = workspace.owner.map(|owner| owner.id).filter(|former| *former != owner);
    if let Some(former) = former {
        rows::set_role(&tx, id, former, WorkspaceRole::Admin, now).await?;
        invitations::revoke_exceeding(&tx, id, former, Some(WorkspaceRole::Admin), now).await?;
    }
    rows::set_role(&tx, id, owner, WorkspaceRole::Owner, now).await?;
    let channel = default_channel::sync_member(&tx, id, owner, WorkspaceRole::Owner, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceOwnerChanged, Some(format!("{id}:{owner}"))))
        .await?;
    tx.commit().await.map_err(app_error)?;
    // The two users are the same person if the owner didn't change; duplicates are notified only
    // once.
    WorkspaceChangeEvent::of(id, [former.unwrap_or(owner), owner]).publish(&service.identity);
    channel.publish(&service.identity);
    seen::find(service.db.writer(), id).await?.ok_or_else(|| Code::NotFound.into())
}

/// Deletes a workspace with all its conversations. `name` must match, as a safeguard against
/// deleting the wrong one.
pub async fn delete(
    service: &ConversationsService,
    by: &Confirmed,
    id: WorkspaceId,
    name: &str,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let workspace = seen::find(&tx, id).await?.ok_or(Code::NotFound)?;
    if workspace.kind != WorkspaceKind::Team {
        return Err(wrong_state("Only team workspaces can be deleted."));
    }
    if workspace.name != name.trim() {
        return Err(AppError::field("name", "invalid", "Enter the workspace's name exactly as it is."));
    }
    delete_rows(&tx, service, id).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceRemoved, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::workspace_ended(id).publish(&service.identity);
    departure::dissolve(service, id).await
}

//! Administration of workspaces by administrators of the installation, who need not be members.
//! Messages are never shown to them.

use appcore::{
    AppError, Code, InvitationId, UserId, WorkspaceId,
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::{AdminInvitation, AdminWorkspace, AdminWorkspaceMember, WorkspaceKind, WorkspaceReference, WorkspaceRole},
};
pub use dbcontext::query::admin_workspaces::Filter;
use dbcontext::{
    constraint::app_error,
    query::{admin_workspaces as seen, invitations as invitation_rows, users, workspaces as rows},
};
use identity::{
    accounts::Confirmed,
    membership::{WorkspaceChangeEvent, default_channel},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    delete_rows, departure,
    invitations::{self, CreatedInvitation, NewInvitation},
    wrong_state,
};
use crate::ConversationsService;

/// Workspaces, newest first.
pub async fn list(
    service: &ConversationsService,
    filter: Filter,
    page: PageRequest,
) -> Result<Page<AdminWorkspace>, AppError> {
    validate_search_text(&filter.text)?;
    let (items, total) = seen::list(&service.db.replica().await, &filter, page).await?;
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
    let (items, total) = seen::members(&service.db.replica().await, id, text, page).await?;
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

/// Open invitations of all workspaces or of one of them, newest first.
pub async fn invitations_of(
    service: &ConversationsService,
    workspace: Option<WorkspaceId>,
    page: PageRequest,
) -> Result<Page<AdminInvitation>, AppError> {
    let (found, total) =
        invitation_rows::list_all(&service.db.replica().await, workspace, service.clock.now(), page).await?;
    let view = |row: invitation_rows::NamedInvitation| AdminInvitation {
        workspace: WorkspaceReference {
            id: row.invitation.workspace_id,
            name: row.workspace_name,
            kind: row.workspace_kind,
        },
        invitation: invitations::view(row.invitation),
    };
    Ok(Page::new(found.into_iter().map(view).collect(), page, total))
}

/// Creates an invitation to a workspace of which the caller need not be a member. The operator has no
/// account, so their invitations are those of the owner of the workspace.
pub async fn invite(
    service: &ConversationsService,
    by: &Confirmed,
    id: WorkspaceId,
    new: NewInvitation,
    base_url: &str,
) -> Result<CreatedInvitation, AppError> {
    let now = service.clock.now();
    let new = new.validate(now)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let unknown = || AppError::field("workspace_id", "not_found", "This workspace doesn't exist.");
    let workspace = seen::find(&tx, id).await?.ok_or_else(unknown)?;
    if workspace.kind == WorkspaceKind::Personal {
        return Err(wrong_state("People can't be invited to a personal workspace."));
    }
    if new.role == WorkspaceRole::Owner {
        let message = "A new member can't be the owner. Add them first, then make them the owner.";
        return Err(AppError::field("role", "invalid", message));
    }
    invitations::check_room(&tx, id, new.role, now).await?;
    let maker = by.account_id().or(workspace.owner.map(|owner| owner.id));
    let maker =
        maker.ok_or_else(|| wrong_state("This workspace has no owner in whose name you could invite people."))?;
    let inviter = users::by_id(&tx, maker).await?;
    let created = invitations::insert(&tx, by, (id, maker), inviter, new, now, base_url).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(created)
}

/// Revokes an invitation to any workspace. Members who joined by it stay.
pub async fn revoke_invitation(
    service: &ConversationsService,
    by: &Confirmed,
    id: InvitationId,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let workspace = invitation_rows::by_id(&tx, id).await?.ok_or(Code::NotFound)?.workspace_id;
    invitations::revoke_one(&tx, by, workspace, id, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)
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

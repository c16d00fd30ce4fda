//! Members of a workspace and their roles.

use appcore::{
    AppError, Code, UserId, WorkspaceId,
    auth::{Email, Permission, Principal},
    page::{Page, PageRequest},
    text_field::validate_search_text,
    view::{User, WorkspaceMember, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    query::{
        users,
        workspaces::{self as rows, MemberRow, MembershipEnd, WorkspaceKind},
    },
};
use identity::{
    accounts::add_presence,
    membership::{WorkspaceChangeEvent, authorize_in, default_channel},
};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::{departure, invitations, wrong_state};
use crate::ConversationsService;

/// Request to add a member.
pub struct NewWorkspaceMember {
    pub who: MemberIdentifier,
    pub role: Option<WorkspaceRole>,
}

pub enum MemberIdentifier {
    Id(UserId),
    /// Complete email address.
    Email(String),
}

/// Lists the members of a workspace whom the caller may see, by name. A non-empty `text` filters
/// them.
pub async fn members(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    text: &str,
    page: PageRequest,
) -> Result<Page<WorkspaceMember>, AppError> {
    validate_search_text(text)?;
    rows::find(service.db.reader(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let (members, total) = rows::members(&service.db.replica().await, by.user_id, id, text, page).await?;
    let mut items = members.into_iter().map(view).collect::<Vec<_>>();
    add_presence(&service.identity, items.iter_mut().map(|member| &mut member.user)).await;
    Ok(Page::new(items, page, total))
}

/// Adds any existing account as a member. Requires an owner or administrator of the workspace.
pub async fn add_member(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    new: NewWorkspaceMember,
) -> Result<WorkspaceMember, AppError> {
    let role = new.role.unwrap_or(WorkspaceRole::Member);
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    check_may_add(&tx, by, id, role).await?;
    identity::membership::quota::check_members(&tx, id, role, service.clock.now()).await?;
    let user = match new.who {
        MemberIdentifier::Id(user_id) => users::by_id(&tx, user_id).await?,
        MemberIdentifier::Email(email) => {
            let email = Email::parse(&email).map_err(|error| AppError::Invalid(vec![error]))?;
            users::by_email(&tx, email.as_str()).await?
        }
    };
    let user = user.ok_or_else(|| AppError::refused(Code::NotFound, "No account found."))?;
    if !rows::add(&tx, id, user.id, role, service.clock.now()).await? {
        return Err(Code::AlreadyMember.into());
    }
    let channel = default_channel::sync_member(&tx, id, user.id, role, service.clock.now()).await?;
    let member = rows::member(&tx, id, user.id).await?.ok_or(Code::NotFound)?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceMemberAdded, membership(id, user.id))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_joined(id, user.id).publish(&service.identity);
    channel.publish(&service.identity);
    Ok(view(member))
}

/// Refuses callers who may not add a member with this role. Refuses personal workspaces too.
pub(super) async fn check_may_add<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    id: WorkspaceId,
    role: WorkspaceRole,
) -> Result<(), AppError> {
    let seen = authorize_in(db, by, id, Permission::ManageMembers).await?;
    if role == WorkspaceRole::Owner {
        return Err(AppError::field(
            "role",
            "invalid",
            "A new member can't be the owner. Add them first, then make them the owner.",
        ));
    }
    check_may_grant(seen.role, role)?;
    if seen.kind == WorkspaceKind::Personal {
        return Err(wrong_state("You can't add people to a personal workspace. Create a new workspace instead."));
    }
    Ok(())
}

/// Changes a member's role. `owner` transfers the ownership: the former owner becomes an
/// administrator.
pub async fn set_role(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    user_id: UserId,
    role: WorkspaceRole,
) -> Result<WorkspaceMember, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let own = own_role(&tx, by, id).await?;
    let member = rows::member(&tx, id, user_id).await?.ok_or(Code::NotFound)?;
    check_may_grant(own, role)?;
    check_may_grant(own, member.member_role)?;
    if member.member_role == WorkspaceRole::Owner && role != WorkspaceRole::Owner {
        return Err(Code::OwnerMustTransfer.into());
    }
    if role == WorkspaceRole::Owner && user_id != by.user_id {
        rows::set_role(&tx, id, by.user_id, WorkspaceRole::Admin, now).await?;
        invitations::revoke_exceeding(&tx, id, by.user_id, Some(WorkspaceRole::Admin), now).await?;
    }
    if member.member_role == WorkspaceRole::Guest {
        identity::membership::quota::check_members(&tx, id, role, now).await?;
    }
    rows::set_role(&tx, id, user_id, role, now).await?;
    invitations::revoke_exceeding(&tx, id, user_id, Some(role), now).await?;
    let channel = default_channel::sync_member(&tx, id, user_id, role, now).await?;
    let member = rows::member(&tx, id, user_id).await?.ok_or(Code::NotFound)?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceRoleChanged, membership(id, user_id))).await?;
    tx.commit().await.map_err(app_error)?;
    // The caller is included, because a transfer of ownership changes the caller's role as well.
    WorkspaceChangeEvent::of(id, [by.user_id, user_id]).publish(&service.identity);
    channel.publish(&service.identity);
    Ok(view(member))
}

/// Removes a member from the workspace and all of its conversations, and revokes their invitations.
/// They can't rejoin by themselves: see [`MembershipEnd::Removed`].
pub async fn remove_member(
    service: &ConversationsService,
    by: &Principal,
    id: WorkspaceId,
    user_id: UserId,
) -> Result<(), AppError> {
    if user_id == by.user_id {
        return leave(service, by, id).await;
    }
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let own = authorize_in(&tx, by, id, Permission::ManageMembers).await?.role;
    let member = rows::member(&tx, id, user_id).await?.ok_or(Code::NotFound)?;
    check_may_grant(own, member.member_role)?;
    let now = service.clock.now();
    rows::end_membership(&tx, id, user_id, MembershipEnd::Removed, now).await?;
    invitations::revoke_exceeding(&tx, id, user_id, None, now).await?;
    departure::enqueue_cleanup(&tx, now, id, Some(user_id)).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceMemberRemoved, membership(id, user_id)))
        .await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_left(id, user_id).publish(&service.identity);
    departure::remove_from_conversations(service, id, user_id).await
}

/// Leaves a workspace and revokes the caller's invitations. The owner must transfer the workspace
/// first.
pub async fn leave(service: &ConversationsService, by: &Principal, id: WorkspaceId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::lock(&tx, id).await?;
    let seen = authorize_in(&tx, by, id, Permission::View).await?;
    if seen.kind == WorkspaceKind::Personal {
        return Err(wrong_state("You can't leave your personal workspace."));
    }
    if seen.role == WorkspaceRole::Owner {
        return Err(Code::OwnerMustTransfer.into());
    }
    let now = service.clock.now();
    rows::end_membership(&tx, id, by.user_id, MembershipEnd::Left, now).await?;
    invitations::revoke_exceeding(&tx, id, by.user_id, None, now).await?;
    departure::enqueue_cleanup(&tx, now, id, Some(by.user_id)).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::WorkspaceLeft, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_left(id, by.user_id).publish(&service.identity);
    departure::remove_from_conversations(service, id, by.user_id).await
}

async fn own_role<C: ConnectionTrait>(db: &C, by: &Principal, id: WorkspaceId) -> Result<WorkspaceRole, AppError> {
    Ok(rows::member(db, id, by.user_id).await?.ok_or(Code::NotFound)?.member_role)
}

/// Formats a membership as the target of an audit entry.
fn membership(id: WorkspaceId, user_id: UserId) -> Option<String> {
    Some(format!("{id}/{user_id}"))
}

fn check_may_grant(own: WorkspaceRole, role: WorkspaceRole) -> Result<(), AppError> {
    if own.may_assign(role) { Ok(()) } else { Err(Code::Forbidden.into()) }
}

fn view(row: MemberRow) -> WorkspaceMember {
    let role = row.member_role;
    let user = User {
        id: row.id,
        email: None,
        email_verified: None,
        has_password: None,
        second_factor: None,
        language: None,
        show_timezone: None,
        chosen_presence: None,
        display_name: row.display_name,
        role: row.role,
        presence: None,
        last_seen: None,
        custom_status: None,
        timezone: row.timezone.filter(|_| row.show_timezone),
        title: row.title,
        pronouns: row.pronouns,
        created_at: row.created_at,
    };
    WorkspaceMember { user, role }
}

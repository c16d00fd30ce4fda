//! Invitations: by email for one address, or as a link for a limited number of people.
//!
//! The token is shown once, to the creator. Only its fingerprint is stored. An emailed invitation
//! has a second token that is only in the mail: presenting it proves access to the mailbox. An
//! emailed invitation is valid only for an account with its address, once that address is verified.
//!
//! An invitation is valid as long as its creator may grant its role ([`revoke_exceeding`]). A
//! removed member can only rejoin with an invitation created after the removal.

use std::time::Duration;

use appcore::{
    AppError, Code, InvitationId, Language, Secret, Timestamp, UserId, WorkspaceId,
    auth::{Email, Permission, Principal, token},
    page::{Page, PageRequest},
    view::{Invitation, InvitationDetails, UserRole, WorkspaceRole},
};
use dbcontext::{
    constraint::app_error,
    entity::{invitation, user},
    query::{invitations as rows, users, workspaces},
};
use identity::{
    mail::{self, MailContent, Recipient},
    membership::{WorkspaceChangeEvent, authorize, invitation::find},
};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::members::check_may_add;
use crate::ConversationsService;

/// Default validity of an invitation.
const DEFAULT_TTL: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Maximum validity of an invitation.
const MAX_TTL: Duration = Duration::from_secs(366 * 24 * 3_600);
const MAX_USES: i64 = 10_000;
/// Maximum number of open invitations per workspace.
const MAX_OPEN: u64 = 1_000;
/// Maximum number of emailed invitations per user in [`DAY`], across all workspaces. They are
/// limited because they go to strangers.
const MAX_MAILS_PER_DAY: u32 = 50;
/// The same for administrators, who invite whole companies.
const MAX_ADMIN_MAILS_PER_DAY: u32 = 1_000;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Request for an invitation: by email to one address, or as a link with a maximum number of uses.
pub struct NewInvitation {
    pub email: Option<String>,
    pub max_uses: Option<i64>,
    pub role: Option<WorkspaceRole>,
    pub expires_at: Option<Timestamp>,
}

/// New invitation with its link, which is shown only once.
pub struct CreatedInvitation {
    pub invitation: Invitation,
    pub token: Secret,
    pub url: String,
}

/// Valid request for an invitation.
pub(super) struct ValidInvitation {
    email: Option<Email>,
    max_uses: i64,
    pub(super) role: WorkspaceRole,
    expires_at: Timestamp,
}

impl NewInvitation {
    pub(super) fn validate(self, now: Timestamp) -> Result<ValidInvitation, AppError> {
        let (email, max_uses) = match (&self.email, self.max_uses) {
            (Some(email), None | Some(1)) => {
                (Some(Email::parse(email).map_err(|error| AppError::Invalid(vec![error]))?), 1)
            }
            (Some(_), Some(_)) => {
                return Err(AppError::field(
                    "max_uses",
                    "invalid",
                    "An email invitation can only be used by one person.",
                ));
            }
            (None, Some(uses)) if (1..=MAX_USES).contains(&uses) => (None, uses),
            (None, Some(_)) => {
                return Err(AppError::field(
                    "max_uses",
                    "invalid",
                    format!("A link can be used by 1 to {MAX_USES} people."),
                ));
            }
            (None, None) => {
                return Err(AppError::field("max_uses", "required", "Provide an email, or max_uses for a link."));
            }
        };
        let expires_at = self.expires_at.unwrap_or_else(|| now.plus(DEFAULT_TTL));
        if expires_at <= now || expires_at > now.plus(MAX_TTL) {
            return Err(AppError::field("expires_at", "invalid", "Choose an expiration date within the next year."));
        }
        Ok(ValidInvitation { email, max_uses, role: self.role.unwrap_or(WorkspaceRole::Member), expires_at })
    }
}

/// Creates an invitation to a workspace, and mails it if it is for an address. The returned link
/// starts with `base_url`, links in mails with `server.public_url`.
pub async fn create(
    service: &ConversationsService,
    by: &Principal,
    workspace_id: WorkspaceId,
    new: NewInvitation,
    base_url: &str,
) -> Result<CreatedInvitation, AppError> {
    let now = service.clock.now();
    let new = new.validate(now)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    workspaces::lock(&tx, workspace_id).await?;
    check_may_add(&tx, by, workspace_id, new.role).await?;
    check_room(&tx, workspace_id, new.role, now).await?;
    let inviter = match &new.email {
        Some(_) => Some(check_may_mail(&tx, by, now).await?),
        None => None,
    };
    let created = insert(&tx, by, (workspace_id, by.user_id), inviter, new, now, base_url).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(created)
}

/// Invitations by email to several addresses with one role.
pub struct NewInvitations {
    pub emails: Vec<String>,
    pub role: Option<WorkspaceRole>,
    pub expires_at: Option<Timestamp>,
}

/// Result of [`create_many`].
#[derive(Default)]
pub struct CreatedInvitations {
    pub invited: Vec<Invitation>,
    /// Addresses that were not invited, and why.
    pub skipped: Vec<(String, Code)>,
}

/// Invites each address on its own, so that one that can't be invited doesn't prevent the others. An
/// address with an open invitation is skipped.
pub async fn create_many(
    service: &ConversationsService,
    by: &Principal,
    workspace_id: WorkspaceId,
    new: NewInvitations,
    base_url: &str,
) -> Result<CreatedInvitations, AppError> {
    let mut done = CreatedInvitations::default();
    let mut addresses: Vec<Email> = Vec::new();
    for text in new.emails {
        match Email::parse(&text) {
            Ok(email) if addresses.contains(&email) => {}
            Ok(email) => addresses.push(email),
            Err(_) => done.skipped.push((text, Code::Invalid)),
        }
    }
    let open = rows::open_addresses(service.db.reader(), workspace_id, &addresses, service.clock.now()).await?;
    for email in addresses {
        let email = email.as_str().to_owned();
        if open.contains(&email) {
            done.skipped.push((email, Code::WrongState));
            continue;
        }
        let one =
            NewInvitation { email: Some(email.clone()), max_uses: None, role: new.role, expires_at: new.expires_at };
        match create(service, by, workspace_id, one, base_url).await {
            Ok(created) => done.invited.push(created.invitation),
            // The caller may not invite at all, or not with this role.
            Err(AppError::Refused { code: code @ (Code::Forbidden | Code::NotFound), message, retry_after }) => {
                return Err(AppError::Refused { code, message, retry_after });
            }
            Err(AppError::Refused { code, .. }) => done.skipped.push((email, code)),
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Checks that a member with this role fits into the plan of the workspace, and that it may have
/// another invitation.
pub(super) async fn check_room<C: ConnectionTrait>(
    db: &C,
    workspace_id: WorkspaceId,
    role: WorkspaceRole,
    now: Timestamp,
) -> Result<(), AppError> {
    identity::membership::quota::check_members(db, workspace_id, role, now).await?;
    if rows::count(db, workspace_id, now).await? >= MAX_OPEN {
        return Err(AppError::refused(
            Code::WrongState,
            format!("You have {MAX_OPEN} open invitations. Revoke some first."),
        ));
    }
    Ok(())
}

/// Stores an invitation by `maker`, enqueues its mail in the name of `inviter`, and writes the audit
/// entry of `by`. Refuses the address of a member.
pub(super) async fn insert<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    (workspace_id, maker): (WorkspaceId, UserId),
    inviter: Option<user::Model>,
    new: ValidInvitation,
    now: Timestamp,
    base_url: &str,
) -> Result<CreatedInvitation, AppError> {
    let ValidInvitation { email, max_uses, role, expires_at } = new;
    let known = match &email {
        Some(email) => users::by_email(db, email.as_str()).await?,
        None => None,
    };
    if let Some(known) = &known
        && workspaces::role(db, workspace_id, known.id).await?.is_some()
    {
        return Err(Code::AlreadyMember.into());
    }
    let token = token::random_token().map_err(AppError::internal)?;
    let row = invitation::Model {
        id: InvitationId::new(),
        workspace_id,
        email: email.as_ref().map(|email| email.as_str().to_owned()),
        role,
        token_hash: token::hash_token(&token),
        uses: 0,
        max_uses,
        created_by: maker,
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    rows::insert(db, row.clone()).await?;
    if let (Some(email), Some(inviter)) = (email, inviter) {
        let reader = known.as_ref().unwrap_or(&inviter);
        let to = Recipient::Address { email, language: Language::from_stored_tag(&reader.language) };
        let letter = MailContent::Invitation {
            invitation_id: row.id.0,
            workspace: workspaces::name(db, workspace_id).await?.unwrap_or_default(),
            inviter: inviter.display_name,
            expires_at,
        };
        mail::enqueue(db, now, to, letter).await?;
    }
    audit::record(db, NewAuditEntry::by_principal(by, Action::InvitationCreated, Some(row.id.to_string()))).await?;
    let url = format!("{base_url}/invite?token={token}");
    Ok(CreatedInvitation { invitation: view(row), token: token.into(), url })
}

/// Locks the caller's account and checks that it may email another invitation.
async fn check_may_mail<C: ConnectionTrait>(db: &C, by: &Principal, now: Timestamp) -> Result<user::Model, AppError> {
    let account = users::lock(db, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !account.is_verified() && by.role != UserRole::Admin {
        let message = "Verify your email before you invite people by email, or share an invitation link.";
        return Err(AppError::refused(Code::Forbidden, message));
    }
    let limit = if by.role == UserRole::Admin { MAX_ADMIN_MAILS_PER_DAY } else { MAX_MAILS_PER_DAY };
    let mailed = rows::mailed_since(db, by.user_id, now.minus(DAY), limit.into()).await?;
    let Some(oldest) = mailed.last().filter(|_| mailed.len() >= limit as usize) else { return Ok(account) };
    let wait = oldest.plus(DAY).millis() - now.millis();
    Err(AppError::Refused {
        code: Code::RateLimited,
        message: Some(
            format!("You can email up to {limit} invitations a day. Share an invitation link instead.").into(),
        ),
        retry_after: Some(Duration::from_secs(u64::try_from(wait).unwrap_or_default().div_ceil(1_000).max(1))),
    })
}

/// Revokes the invitations made by `maker` whose role the maker may no longer grant, given their
/// new `role`. With `None`, revokes all of them.
pub(crate) async fn revoke_exceeding<C: ConnectionTrait>(
    db: &C,
    workspace_id: WorkspaceId,
    maker: UserId,
    role: Option<WorkspaceRole>,
    now: Timestamp,
) -> Result<(), AppError> {
    let kept: Vec<WorkspaceRole> = WorkspaceRole::ALL
        .into_iter()
        .filter(|given| role.is_some_and(|role| role.may(Permission::ManageMembers) && role.may_assign(*given)))
        .collect();
    rows::revoke_made_by(db, workspace_id, maker, &kept, now).await
}

/// Open invitations of a workspace, newest first.
pub async fn list(
    service: &ConversationsService,
    by: &Principal,
    workspace_id: WorkspaceId,
    page: PageRequest,
) -> Result<Page<Invitation>, AppError> {
    authorize(&service.identity, by, workspace_id, Permission::ManageMembers).await?;
    let (found, total) = rows::list(service.db.reader(), workspace_id, service.clock.now(), page).await?;
    Ok(Page::new(found.into_iter().map(view).collect(), page, total))
}

/// Revokes an invitation. Members who joined by it stay.
pub async fn revoke(
    service: &ConversationsService,
    by: &Principal,
    workspace_id: WorkspaceId,
    id: InvitationId,
) -> Result<(), AppError> {
    authorize(&service.identity, by, workspace_id, Permission::ManageMembers).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    revoke_one(&tx, by, workspace_id, id, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)
}

/// Revokes an invitation to this workspace, and writes the audit entry of `by`.
pub(super) async fn revoke_one<C: ConnectionTrait>(
    db: &C,
    by: &Principal,
    workspace_id: WorkspaceId,
    id: InvitationId,
    now: Timestamp,
) -> Result<(), AppError> {
    if !rows::revoke(db, workspace_id, id, now).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(db, NewAuditEntry::by_principal(by, Action::InvitationRevoked, Some(id.to_string()))).await
}

/// Details of an invitation for the holder of its token.
pub async fn preview(service: &ConversationsService, token: &str) -> Result<InvitationDetails, AppError> {
    let db = service.db.reader();
    let now = service.clock.now();
    let shown = find(db, token, now).await?.ok_or(Code::NotFound)?;
    shown.require_valid(now)?;
    shown.describe(db, shown.invitation.role).await
}

/// Accepts an invitation. An existing member keeps their role, and the invitation isn't used up.
pub async fn accept(
    service: &ConversationsService,
    by: &Principal,
    token: &str,
) -> Result<InvitationDetails, AppError> {
    let now = service.clock.now();
    // Invalid tokens are refused here already, before the write lock is taken.
    find(service.db.reader(), token, now).await?.ok_or(Code::NotFound)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let shown = find(&tx, token, now).await?.ok_or(Code::NotFound)?;
    let id = shown.invitation.workspace_id;
    workspaces::lock(&tx, id).await?;
    if let Some(role) = workspaces::role(&tx, id, by.user_id).await? {
        return shown.describe(&tx, role).await;
    }
    shown.require_valid(now)?;
    let user = users::by_id(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !shown.is_for(&user) {
        return Err(Code::InvitationMismatch.into());
    }
    if workspaces::removed_at(&tx, id, by.user_id).await?.is_some_and(|at| shown.invitation.created_at <= at) {
        let message = "You were removed from this workspace. Ask one of its admins for a new invitation.";
        return Err(AppError::refused(Code::Forbidden, message));
    }
    let led_to = shown.describe(&tx, shown.invitation.role).await?;
    let channel = shown.add_member(&tx, by.user_id, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::InvitationAccepted, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    WorkspaceChangeEvent::user_joined(id, by.user_id).publish(&service.identity);
    channel.publish(&service.identity);
    Ok(led_to)
}

pub(super) fn view(row: invitation::Model) -> Invitation {
    Invitation {
        role: row.role,
        id: row.id,
        email: row.email,
        uses: row.uses,
        max_uses: row.max_uses,
        expires_at: row.expires_at,
        created_by: row.created_by,
        created_at: row.created_at,
    }
}

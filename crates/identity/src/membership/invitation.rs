//! Invitations: validation of a presented token, and the membership that results.

use std::net::IpAddr;

use appcore::{
    AppError, Code, InvitationId, Timestamp, UserId,
    auth::{Email, token},
    view::{InvitationDetails, OfferedWorkspace, WorkspaceRole},
};
use dbcontext::{
    entity::{invitation, user},
    query::{
        invitations as rows,
        mail_tokens::{self, Purpose},
        users, workspaces,
    },
};
use platform::audit::{self, Action, NewAuditEntry};
use sea_orm::ConnectionTrait;

use super::{default_channel, quota};

/// Maximum length of a presented token. Our tokens have 43 characters.
const MAX_TOKEN_BYTES: usize = 128;

/// Invitation whose token was presented.
pub struct PresentedInvitation {
    pub invitation: invitation::Model,
    /// True if the presented token is the one that was mailed to the invitation's address.
    by_mail: bool,
}

/// Returns the invitation for a token presented at sign-up, if it is valid for this email address.
pub async fn validate<C: ConnectionTrait>(
    db: &C,
    token: &str,
    email: &Email,
    now: Timestamp,
) -> Result<PresentedInvitation, AppError> {
    let unknown = || AppError::field("invitation", "not_found", "This invitation doesn't exist.");
    let shown = find(db, token, now).await?.ok_or_else(unknown)?;
    workspaces::lock(db, shown.invitation.workspace_id).await?;
    shown.require_valid(now)?;
    if shown.invitation.email.as_deref().is_some_and(|invited| invited != email.as_str()) {
        return Err(Code::InvitationMismatch.into());
    }
    shown.describe(db, shown.invitation.role).await?;
    Ok(shown)
}

impl PresentedInvitation {
    /// True if the presented token proves that the user has access to the mailbox.
    pub const fn proves_address(&self) -> bool {
        self.by_mail
    }

    /// Adds a new user to the workspace. A user whose address isn't verified yet has to accept the
    /// invitation afterwards. `address` is the client address of the request.
    pub async fn accept_at_sign_up<C: ConnectionTrait>(
        &self,
        db: &C,
        user_id: UserId,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), AppError> {
        if self.invitation.email.is_some() && !self.by_mail {
            return Ok(());
        }
        // There is nobody to notify, since a new account has no connections.
        let _ = self.add_member(db, user_id, now).await?;
        let target = Some(self.invitation.workspace_id.to_string());
        let entry = NewAuditEntry { action: Action::InvitationAccepted, actor: Some(user_id), target, address };
        audit::record(db, entry).await
    }

    pub async fn add_member<C: ConnectionTrait>(
        &self,
        db: &C,
        user_id: UserId,
        now: Timestamp,
    ) -> Result<default_channel::DefaultChannelChange, AppError> {
        if !rows::consume(db, self.invitation.id, now).await? {
            return Err(Code::InvitationExpired.into());
        }
        let (id, role) = (self.invitation.workspace_id, self.invitation.role);
        quota::check_members(db, id, role, now).await?;
        workspaces::add(db, id, user_id, role, now).await?;
        default_channel::sync_member(db, id, user_id, role, now).await
    }

    pub fn require_valid(&self, now: Timestamp) -> Result<(), AppError> {
        let row = &self.invitation;
        if row.revoked_at.is_some() || row.expires_at <= now || row.uses >= row.max_uses {
            return Err(Code::InvitationExpired.into());
        }
        Ok(())
    }

    pub fn is_for(&self, user: &user::Model) -> bool {
        match &self.invitation.email {
            None => true,
            Some(email) => *email == user.email && user.is_verified(),
        }
    }

    pub async fn describe<C: ConnectionTrait>(
        &self,
        db: &C,
        role: WorkspaceRole,
    ) -> Result<InvitationDetails, AppError> {
        let id = self.invitation.workspace_id;
        let name = workspaces::name(db, id).await?.ok_or(Code::InvitationExpired)?;
        let inviter = users::by_id(db, self.invitation.created_by).await?.map(|user| user.display_name);
        Ok(InvitationDetails { workspace: OfferedWorkspace { id, name }, role, inviter })
    }
}

pub async fn find<C: ConnectionTrait>(
    db: &C,
    token: &str,
    now: Timestamp,
) -> Result<Option<PresentedInvitation>, AppError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Ok(None);
    }
    let hash = token::hash_token(token);
    if let Some(invitation) = rows::by_token(db, &hash).await? {
        return Ok(Some(PresentedInvitation { invitation, by_mail: false }));
    }
    let Some(subject) = mail_tokens::find(db, Purpose::Invitation, &hash, now).await? else { return Ok(None) };
    let found = rows::by_id(db, InvitationId(subject)).await?;
    Ok(found.map(|invitation| PresentedInvitation { invitation, by_mail: true }))
}

//! Administration of other users' access: account creation, password reset, sessions, second factor.

use std::time::Duration;

use appcore::{
    AppError, Code, Language, SessionId, Timestamp, UserId,
    auth::{Email, Principal, token},
    page::{Page, PageRequest},
    view::{InvitedUser, SentLink, UserRole, UserSession},
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    query::{
        mail_tokens::{self, Purpose},
        second_factors, sessions as rows, users,
    },
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{Confirmed, audit_entry, lock, read_changed, reject_own_account};
use crate::IdentityService;
use crate::{
    accounts::{
        sessions::{announce_ended, views},
        signup,
    },
    mail::{self, MailContent, PASSWORD_RESET_TTL, Recipient, WELCOME_TTL},
};

/// User to be invited.
pub struct NewAccount {
    pub email: String,
    /// Display name; by default the part of the address before the `@`. The user can change it in
    /// Settings.
    pub display_name: Option<String>,
    pub role: UserRole,
    pub language: Language,
}

/// Creates an account without a password, and a link with which its owner sets one. This works even
/// if sign-up is closed.
pub async fn invite(
    service: &IdentityService,
    by: &Confirmed,
    new: NewAccount,
    own_url: &str,
) -> Result<InvitedUser, AppError> {
    let email = Email::parse(&new.email).map_err(|error| AppError::Invalid(vec![error]))?;
    let name = new.display_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| email.as_str().split('@').next().unwrap_or_default());
    let (id, now) = (UserId::new(), service.clock.now());
    let row = users::NewUser {
        id,
        display_name: signup::parse_name(name)?,
        email: email.as_str().to_owned(),
        password_hash: None,
        role: new.role,
        verified_at: None,
        language: new.language,
        at: now,
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    signup::create(&tx, &service.config, row).await?;
    let link = link(&tx, service, id, MailContent::Welcome, (now, WELCOME_TTL), own_url).await?;
    audit::record(&tx, audit_entry(by, Action::UserInvited, id)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(InvitedUser { user: read_changed(service, id).await?, link })
}

/// Sends a password reset link. The current password stays valid until the link is used.
pub async fn send_reset(
    service: &IdentityService,
    by: &Confirmed,
    id: UserId,
    own_url: &str,
) -> Result<SentLink, AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    lock(&tx, id).await?;
    let link = link(&tx, service, id, MailContent::PasswordReset, (now, PASSWORD_RESET_TTL), own_url).await?;
    audit::record(&tx, audit_entry(by, Action::UserPasswordReset, id)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(link)
}

/// Mails the link. If no mail server is configured, returns it instead, so that the administrator
/// can pass it on.
async fn link(
    tx: &Transaction,
    service: &IdentityService,
    id: UserId,
    letter: MailContent,
    (now, lifetime): (Timestamp, Duration),
    own_url: &str,
) -> Result<SentLink, AppError> {
    let expires_at = now.plus(lifetime);
    if service.config.mail.smtp_url.is_some() {
        mail::enqueue(tx, now, Recipient::User(id), letter).await?;
        return Ok(SentLink { mailed: true, url: None, expires_at });
    }
    let token = token::random_token().map_err(AppError::internal)?;
    let hash = token::hash_token(&token);
    mail_tokens::upsert(tx, Purpose::PasswordReset, id.0, hash, now, expires_at).await?;
    Ok(SentLink { mailed: false, url: Some(format!("{own_url}/reset-password?token={token}")), expires_at })
}

/// Lists a user's sessions, last used first.
pub async fn sessions_of(
    service: &IdentityService,
    by: &Principal,
    id: UserId,
    page: PageRequest,
) -> Result<Page<UserSession>, AppError> {
    users::by_id(service.db.reader(), id).await?.ok_or(Code::NotFound)?;
    let (sessions, total) = rows::list(service.db.reader(), id, service.clock.now(), page).await?;
    Ok(Page::new(views(by, sessions), page, total))
}

/// Ends all of a user's sessions.
pub async fn terminate_sessions(service: &IdentityService, by: &Confirmed, id: UserId) -> Result<(), AppError> {
    reject_own_account(by, id)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    lock(&tx, id).await?;
    let ended = rows::end_all(&tx, id, None, service.clock.now()).await?;
    audit::record(&tx, audit_entry(by, Action::UserSessionsEnded, id)).await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, ended).await;
    Ok(())
}

/// Ends one of a user's sessions.
pub async fn terminate_session(
    service: &IdentityService,
    by: &Confirmed,
    id: UserId,
    session: SessionId,
) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    if !rows::end(&tx, id, session, service.clock.now()).await? {
        return Err(Code::NotFound.into());
    }
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::UserSessionsEnded, Some(format!("{id}:{session}"))))
        .await?;
    tx.commit().await.map_err(app_error)?;
    announce_ended(service, vec![session]).await;
    Ok(())
}

/// Removes a user's authenticator and recovery codes.
pub async fn remove_second_factor(service: &IdentityService, by: &Confirmed, id: UserId) -> Result<(), AppError> {
    reject_own_account(by, id)?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    if !lock(&tx, id).await?.second_factor {
        return Err(AppError::refused(Code::WrongState, "This account doesn't use two-step verification."));
    }
    second_factors::remove(&tx, id).await?;
    users::set_second_factor(&tx, id, false, now).await?;
    mail::enqueue(&tx, now, Recipient::User(id), MailContent::SecondFactorRemoved { at: now }).await?;
    audit::record(&tx, audit_entry(by, Action::UserSecondFactorRemoved, id)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    service.notify_account_changed(id)
}

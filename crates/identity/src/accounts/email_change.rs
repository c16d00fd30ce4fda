//! Change of an account's email address.
//!
//! The owner requests it with a fresh sign-in. Links that are mailed to the new address and to the
//! current one confirm it, in any order and on any device. An address that was never verified
//! doesn't have to confirm, because it may not be the owner's. The change takes effect with the last
//! confirmation, and the previous address gets a notice. A new password cancels a change that waits
//! ([`cancel_all`]): somebody else may have requested it.

use std::{net::IpAddr, time::Duration};

use appcore::{
    AppError, Code, Language, Timestamp, UserId,
    auth::{Email, token},
};
use dbcontext::{
    constraint::app_error,
    entity::{pending_sign_in, user},
    query::{
        mail_tokens::{self, Purpose},
        pending_sign_ins as pending, users,
    },
};
use platform::{
    audit::{self, Action, NewAuditEntry},
    throttle::Quota,
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Confirmed, email_links::fingerprint, pending::PendingKind};
use crate::IdentityService;
use crate::mail::{self, EMAIL_CHANGE_TTL, MailContent, Recipient};

const KIND: &str = PendingKind::EmailChange.as_str();
/// Limit on the changes that a user may request. It is needed because each mails a stranger.
const REQUEST_QUOTA: Quota = Quota { limit: 5, window: Duration::from_secs(3_600) };

/// Address that has to confirm a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAddress {
    Current,
    New,
}

impl ChangeAddress {
    const ALL: [Self; 2] = [Self::Current, Self::New];

    const fn purpose(self) -> Purpose {
        match self {
            Self::Current => Purpose::EmailChangeCurrent,
            Self::New => Purpose::EmailChangeNew,
        }
    }
}

/// Change of an email address.
pub struct EmailChange {
    /// New address.
    pub email: Email,
    /// Addresses whose confirmation is missing; none once the change has taken effect.
    pub awaiting: Vec<ChangeAddress>,
    pub expires_at: Timestamp,
}

/// Stored state of a change. Contains no secrets.
#[derive(Serialize, Deserialize)]
struct ChangeState {
    email: Email,
    current_confirmed: bool,
    new_confirmed: bool,
}

impl ChangeState {
    fn read(row: &pending_sign_in::Model) -> Result<Self, AppError> {
        serde_json::from_slice(&row.state).map_err(AppError::internal)
    }

    fn bytes(&self) -> Result<Vec<u8>, AppError> {
        serde_json::to_vec(self).map_err(AppError::internal)
    }

    const fn confirm(&mut self, address: ChangeAddress) {
        match address {
            ChangeAddress::Current => self.current_confirmed = true,
            ChangeAddress::New => self.new_confirmed = true,
        }
    }

    fn into_change(self, expires_at: Timestamp) -> EmailChange {
        let is_missing = |address: &ChangeAddress| match address {
            ChangeAddress::Current => !self.current_confirmed,
            ChangeAddress::New => !self.new_confirmed,
        };
        let awaiting = ChangeAddress::ALL.into_iter().filter(is_missing).collect();
        EmailChange { email: self.email, awaiting, expires_at }
    }
}

/// Requests a change and mails the links. It replaces an earlier change that waits.
pub async fn request_email_change(
    service: &IdentityService,
    by: &Confirmed,
    email: &str,
) -> Result<EmailChange, AppError> {
    by.require_session()?;
    let email = Email::parse(email).map_err(|error| AppError::Invalid(vec![error]))?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if account.email == email.as_str() {
        return Err(AppError::field("email", "unchanged", "This is your email address already."));
    }
    if users::by_email(service.db.reader(), email.as_str()).await?.is_some() {
        return Err(Code::EmailTaken.into());
    }
    if !service.attempts.consume(format!("email-change:{}", by.user_id), REQUEST_QUOTA).await? {
        return Err(Code::RateLimited.into());
    }
    let now = service.clock.now();
    let expires_at = now.plus(EMAIL_CHANGE_TTL);
    let state = ChangeState { email, current_confirmed: account.email_verified_at.is_none(), new_confirmed: false };
    let tx = service.db.begin().await.map_err(app_error)?;
    users::lock(&tx, account.id).await?.ok_or(Code::Unauthenticated)?;
    cancel_all(&tx, account.id).await?;
    let new = pending::NewPendingSignIn {
        kind: KIND,
        user_id: Some(account.id),
        // The mails contain tokens of their own, so nobody gets this handle.
        handle_hash: token::hash_token(&token::random_token().map_err(AppError::internal)?),
        state: state.bytes()?,
        at: now,
        expires_at,
    };
    let id = pending::insert(&tx, new).await?;
    if !state.current_confirmed {
        let letter = MailContent::EmailChangeCurrent { pending: id, new_address: state.email.clone() };
        mail::enqueue(&tx, now, Recipient::User(account.id), letter).await?;
    }
    let to = Recipient::Address { email: state.email.clone(), language: language(&account) };
    mail::enqueue(&tx, now, to, MailContent::EmailChangeNew { pending: id }).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::EmailChangeRequested, None)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    service.notify_account_changed(account.id)?;
    Ok(state.into_change(expires_at))
}

/// Returns the caller's change that waits.
pub async fn email_change(service: &IdentityService, user_id: UserId) -> Result<EmailChange, AppError> {
    let row = pending::of_user(service.db.reader(), KIND, user_id, service.clock.now()).await?.ok_or(Code::NotFound)?;
    Ok(ChangeState::read(&row)?.into_change(row.expires_at))
}

/// Cancels the caller's change that waits.
pub async fn cancel_email_change(service: &IdentityService, user_id: UserId) -> Result<(), AppError> {
    if !cancel_all(service.db.writer(), user_id).await? {
        return Err(Code::NotFound.into());
    }
    service.notify_account_changed(user_id)
}

/// Cancels a change that waits, in the caller's transaction; returns `false` if there is none. Its
/// links become invalid.
pub(super) async fn cancel_all<C: ConnectionTrait>(db: &C, user_id: UserId) -> Result<bool, AppError> {
    pending::delete_kind(db, KIND, user_id).await
}

/// Confirms a change by the token of one of its links. With the last confirmation it takes effect.
pub async fn confirm_email_change(
    service: &IdentityService,
    shown: &str,
    address: Option<IpAddr>,
) -> Result<EmailChange, AppError> {
    let hash = fingerprint(shown)?;
    let now = service.clock.now();
    let (confirmed_by, id) = find_link(service, &hash, now).await?.ok_or(Code::TokenInvalid)?;
    let row = pending::by_id(service.db.reader(), KIND, id, now).await?.ok_or(Code::TokenInvalid)?;
    let user_id = row.user_id.ok_or(Code::TokenInvalid)?;
    let tx = service.db.begin().await.map_err(app_error)?;
    // The lock orders the confirmations of both addresses.
    let account = users::lock(&tx, user_id).await?.ok_or(Code::TokenInvalid)?;
    let row = pending::by_id(&tx, KIND, id, now).await?.ok_or(Code::TokenInvalid)?;
    if mail_tokens::consume(&tx, confirmed_by.purpose(), &hash, now).await? != Some(id) {
        return Err(Code::TokenInvalid.into());
    }
    let mut state = ChangeState::read(&row)?;
    state.confirm(confirmed_by);
    let is_complete = state.current_confirmed && state.new_confirmed;
    if is_complete {
        apply(&tx, &account, &state.email, now).await?;
        audit::record(
            &tx,
            NewAuditEntry { action: Action::EmailChanged, actor: Some(account.id), target: None, address },
        )
        .await?;
    } else {
        pending::set_state(&tx, id, state.bytes()?).await?;
    }
    tx.commit().await.map_err(app_error)?;
    if is_complete {
        service.wake_workers();
    }
    service.notify_account_changed(account.id)?;
    Ok(state.into_change(row.expires_at))
}

async fn find_link(
    service: &IdentityService,
    hash: &[u8],
    now: Timestamp,
) -> Result<Option<(ChangeAddress, Uuid)>, AppError> {
    for address in ChangeAddress::ALL {
        if let Some(id) = mail_tokens::find(service.db.reader(), address.purpose(), hash, now).await? {
            return Ok(Some((address, id)));
        }
    }
    Ok(None)
}

/// Sets the new address and informs the previous one. Links that were mailed to the previous address
/// become invalid.
async fn apply<C: ConnectionTrait>(
    tx: &C,
    account: &user::Model,
    email: &Email,
    now: Timestamp,
) -> Result<(), AppError> {
    if users::by_email(tx, email.as_str()).await?.is_some() {
        return Err(Code::EmailTaken.into());
    }
    users::set_email(tx, account.id, email.as_str(), now).await?;
    cancel_all(tx, account.id).await?;
    mail_tokens::remove(tx, account.id.0).await?;
    let previous = Email::parse(&account.email).map_err(|error| AppError::internal(anyhow::anyhow!(error.message)))?;
    let to = Recipient::Address { email: previous, language: language(account) };
    mail::enqueue(tx, now, to, MailContent::EmailChanged { at: now, new_address: email.clone() }).await
}

fn language(account: &user::Model) -> Language {
    Language::from_stored_tag(&account.language)
}

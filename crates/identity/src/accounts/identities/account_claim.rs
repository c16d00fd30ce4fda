//! Claim of an account that was created with somebody else's address, perhaps by an attacker
//! (pre-hijacking). The owner of the address gets the account through a mail.
//!
//! A claim is only offered if a trusted provider confirms the address. Otherwise a stranger could
//! trigger the mail, and its reader would let the stranger into the account.

use std::time::Duration;

use appcore::{AppError, Code, UserId, auth::token};
use dbcontext::{
    Transaction,
    entity::user,
    query::{identities, passkeys, pending_sign_ins as pending, second_factors, users},
};
use oidc::Identity;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::account_linking;
use crate::IdentityService;
use crate::{
    accounts::{Device, pending::PendingKind},
    mail::{self, MailContent, Recipient},
};

/// Lifetime of an offer. It is longer than that of the mailed link, because the mail may be
/// delayed.
const OFFER_TTL: Duration = Duration::from_secs(24 * 3_600);
/// Minimum interval between mails, so that repeated attempts don't fill the owner's mailbox.
const MIN_MAIL_INTERVAL: Duration = Duration::from_secs(600);

/// Identity that the claim links to the account. Contains no secrets.
#[derive(Serialize, Deserialize)]
struct ClaimOffer {
    provider: String,
    identity: Identity,
}

/// Offers an account with an unverified address to the reader of that address's mail.
pub(super) async fn offer(
    tx: &Transaction,
    service: &IdentityService,
    taken: &user::Model,
    provider: &str,
    identity: &Identity,
) -> Result<(), AppError> {
    let now = service.clock.now();
    if taken.email_verified_at.is_some() || !identity.email_verified {
        return Ok(());
    }
    if pending::any_since(tx, PendingKind::Claim.as_str(), taken.id, now.minus(MIN_MAIL_INTERVAL)).await? {
        return Ok(());
    }
    let offer = ClaimOffer { provider: provider.to_owned(), identity: identity.clone() };
    let new = pending::NewPendingSignIn {
        kind: PendingKind::Claim.as_str(),
        user_id: Some(taken.id),
        // The mail contains a token of its own, so nobody gets this handle.
        handle_hash: token::hash_token(&token::random_token().map_err(AppError::internal)?),
        state: serde_json::to_vec(&offer).map_err(AppError::internal)?,
        at: now,
        expires_at: now.plus(OFFER_TTL),
    };
    let id = pending::insert(tx, new).await?;
    let letter = MailContent::Claim { provider: provider.to_owned(), pending: id };
    mail::enqueue(tx, now, Recipient::User(taken.id), letter).await
}

/// Gives the account to the reader of the mail. The identity becomes the account's only sign-in
/// method; the caller must end its sessions and remove its password in the same transaction.
pub async fn claim(tx: &Transaction, service: &IdentityService, offer: Uuid) -> Result<UserId, AppError> {
    let row =
        pending::by_id(tx, PendingKind::Claim.as_str(), offer, service.clock.now()).await?.ok_or(Code::TokenInvalid)?;
    let offer: ClaimOffer = serde_json::from_slice(&row.state).map_err(AppError::internal)?;
    let user_id = row.user_id.ok_or(Code::TokenInvalid)?;
    let account = users::lock(tx, user_id).await?.filter(|account| account.email_verified_at.is_none());
    let account = account.ok_or(Code::TokenInvalid)?;
    if !pending::consume(tx, row.id).await? {
        return Err(Code::TokenInvalid.into());
    }
    remove_other_methods(tx, service, account.id).await?;
    if identities::by_subject(tx, &offer.identity.issuer, &offer.identity.subject).await?.is_some() {
        return Err(Code::TokenInvalid.into());
    }
    account_linking::insert(tx, service, &account, &offer.provider, &offer.identity, &Device::default()).await?;
    Ok(account.id)
}

/// Removes every sign-in method except the password, and the second factor, after an account turned out to belong to
/// someone other than its creator.
pub async fn remove_other_methods(
    tx: &Transaction,
    service: &IdentityService,
    user_id: UserId,
) -> Result<(), AppError> {
    identities::remove_all(tx, user_id).await?;
    passkeys::remove_all(tx, user_id).await?;
    second_factors::remove(tx, user_id).await?;
    pending::delete_all(tx, user_id).await?;
    users::set_second_factor(tx, user_id, false, service.clock.now()).await
}

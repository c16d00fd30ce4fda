//! Enrolment and removal of an authenticator app.

use appcore::{
    AppError, Code, Secret,
    auth::{Principal, token},
};
use dbcontext::{
    constraint::app_error,
    query::{second_factors as rows, users},
};
use platform::audit::{self, Action, NewAuditEntry};

use super::{CodeCheck, invalid_code, recovery, totp, try_code};
use crate::IdentityService;
use crate::accounts::reauthenticate;

/// Length of a secret: 160 bits, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

/// Setup data of an authenticator app.
#[derive(Debug)]
pub struct Enrolment {
    /// Secret in base32, for typing it in.
    pub secret: Secret,
    /// `otpauth` URI, for a QR code.
    pub uri: Secret,
}

/// Creates a secret. It becomes active once [`confirm`] has verified one of its codes.
pub async fn enrol(service: &IdentityService, by: &Principal, password: Option<String>) -> Result<Enrolment, AppError> {
    let account = reauthenticate::require_password(service, by, password).await?;
    let secret = token::random_bytes::<SECRET_BYTES>().map_err(AppError::internal)?;
    let (stored, is_sealed) = totp::encrypt(account.id, &secret, service.config.auth.key_encryption_secret.as_ref())?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, account.id).await?.ok_or(Code::Unauthenticated)?;
    if account.second_factor {
        return Err(AppError::refused(
            Code::WrongState,
            "You already have an authenticator app set up. Remove it first.",
        ));
    }
    rows::start_enrolment(&tx, account.id, stored, is_sealed, service.clock.now()).await?;
    tx.commit().await.map_err(app_error)?;
    let authenticator = totp::authenticator(&secret, &account.email)?;
    let uri = authenticator.to_url().map_err(|error| AppError::internal(anyhow::anyhow!("{error}")))?;
    Ok(Enrolment {
        secret: authenticator.secret().to_base32().into(),
        // The parameters are stated explicitly, although they are the defaults of authenticator apps.
        uri: format!("{uri}&algorithm=SHA1&digits=6&period=30").into(),
    })
}

/// Verifies a code, activates the second factor, and returns the recovery codes.
pub async fn confirm(service: &IdentityService, by: &Principal, code: &str) -> Result<Vec<Secret>, AppError> {
    let now = service.clock.now();
    let codes = recovery::make()?;
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if account.second_factor {
        return Err(AppError::refused(Code::WrongState, "Your authenticator app is already set up."));
    }
    if rows::lock(&tx, account.id).await?.is_none() {
        return Err(AppError::refused(Code::WrongState, "Set up an authenticator app first."));
    }
    if try_code(&tx, service, account.id, code, now).await? == CodeCheck::Wrong {
        tx.commit().await.map_err(app_error)?;
        return Err(invalid_code());
    }
    rows::confirm(&tx, account.id, now).await?;
    rows::replace_codes(&tx, account.id, codes.iter().map(|code| recovery::fingerprint(code)).collect()).await?;
    users::set_second_factor(&tx, account.id, true, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SecondFactorAdded, None)).await?;
    tx.commit().await.map_err(app_error)?;
    service.notify_account_changed(account.id)?;
    Ok(codes.into_iter().map(Secret::from).collect())
}

/// Removes the second factor after checking a code of the authenticator or a recovery code.
pub async fn remove(service: &IdentityService, by: &Principal, code: &str) -> Result<(), AppError> {
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !account.second_factor {
        return Err(AppError::refused(Code::WrongState, "You don't have an authenticator app set up."));
    }
    let recovered = rows::consume_code(&tx, account.id, &recovery::fingerprint(code), now).await?;
    if !recovered && try_code(&tx, service, account.id, code, now).await? == CodeCheck::Wrong {
        tx.commit().await.map_err(app_error)?;
        return Err(invalid_code());
    }
    rows::remove(&tx, account.id).await?;
    users::set_second_factor(&tx, account.id, false, now).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::SecondFactorRemoved, None)).await?;
    tx.commit().await.map_err(app_error)?;
    service.notify_account_changed(account.id)
}

//! Sign-in with address and password.

use appcore::{AppError, Code, UserId, auth::Email, limit::Violation};
use dbcontext::{constraint::app_error, query::users};
use platform::audit::{self, Action, NewAuditEntry};

use super::{
    Device, SignedIn,
    hashing::QueuedCaller,
    login_throttle,
    password_hash::PasswordCheck,
    session_start::{self, AuthMethod},
};
use crate::IdentityService;

/// Signs in. The response and its duration are the same for an unknown account and a wrong
/// password.
pub async fn signin(
    service: &IdentityService,
    email: &str,
    password: &str,
    device: Device,
) -> Result<SignedIn, AppError> {
    // A malformed address is treated as unknown.
    let email = Email::parse(email).ok();
    let account = match &email {
        Some(email) => users::by_email(service.db.reader(), email.as_str()).await?,
        None => None,
    };
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let account_id = account.as_ref().map(|account| account.id);
    let name = email.as_ref().map_or("", Email::as_str);
    let guess = match login_throttle::begin(service, name, account_id, &device).await {
        Ok(guess) => guess,
        Err(refusal) => {
            count_violation(service, account_id, &device).await;
            return Err(refusal);
        }
    };
    let verdict = service.accounts.hashing.verify(guess.applicant(), password.to_owned(), stored.clone()).await?;
    let (Some(account), PasswordCheck::Right | PasswordCheck::RightButOutdated) = (account, verdict) else {
        guess.record_failure().await;
        return Err(refuse(service, account_id, &device).await);
    };
    guess.record_success().await;
    let renewed = match verdict {
        PasswordCheck::RightButOutdated => {
            Some(service.accounts.hashing.hash(QueuedCaller::user(account.id), password.to_owned()).await?)
        }
        _ => None,
    };
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    // A concurrent password change ends all sessions. A session must not be opened after that, so
    // the password must still be the one that was checked.
    let account = users::lock(&tx, account.id).await?.filter(|account| account.password_hash == stored);
    let account = account.ok_or(Code::InvalidCredentials)?;
    if let Some(hash) = renewed {
        users::set_password(&tx, account.id, &hash, now).await?;
    }
    let signed_in = session_start::start_session(&tx, service, &account, AuthMethod::Password, &device).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(signed_in)
}

async fn refuse(service: &IdentityService, account: Option<UserId>, device: &Device) -> AppError {
    record_failure(service, account, device).await;
    Code::InvalidCredentials.into()
}

/// Records a failed attempt, in the same way whether the account exists or not.
pub(super) async fn record_failure(service: &IdentityService, account: Option<UserId>, device: &Device) {
    let target = account.map(|id| id.to_string());
    audit::record_detached(
        service,
        NewAuditEntry { action: Action::SignInFailed, actor: None, target, address: device.ip() },
    )
    .await;
    count_violation(service, account, device).await;
}

/// Counts a sign-in to an unknown account as a violation, because guessing account names is a sign
/// of an attack. A wrong password for an existing account is no violation, since users mistype
/// theirs; [`login_throttle`] limits those.
async fn count_violation(service: &IdentityService, account: Option<UserId>, device: &Device) {
    if account.is_none() {
        service.firewall.record_violation(device.source(), Violation::FailedSignin).await;
    }
}

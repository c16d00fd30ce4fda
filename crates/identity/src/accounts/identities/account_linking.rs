//! Sign-in and sign-up by an external identity.

use appcore::{AppError, Code, Language, UserId, auth::Email, config};
use dbcontext::{
    Transaction,
    constraint::app_error,
    entity::user,
    query::{identities as rows, users},
};
use oidc::Identity;
use platform::audit::{self, Action, NewAuditEntry};
use serde_json::json;

use super::{account_claim, providers};
use crate::IdentityService;
use crate::{
    accounts::{
        Device, SignedIn,
        session_start::{self, AuthMethod},
        signin,
        signup::{self, parse_name},
    },
    mail::{self, MailContent, Recipient},
};

/// Data for a new account that is not part of the identity.
pub(super) struct NewAccountData<'a> {
    pub(super) provider: &'a str,
    pub(super) name: Option<String>,
    pub(super) language: Language,
}

/// Detail of a rejected sign-in: name of the claim that should hold the address.
const MISSING_CLAIM: &str = "missing_claim";
/// Display name if the provider reports none that can be shown.
const DEFAULT_NAME: &str = "Newcomer";

/// Signs in with an ID token that the client obtained itself, as mobile apps do.
pub async fn sign_in_by_id_token(
    service: &IdentityService,
    provider: &str,
    id_token: &str,
    nonce: Option<&str>,
    language: Language,
    device: Device,
) -> Result<SignedIn, AppError> {
    let provider = service.accounts.providers.find(provider)?;
    let shown = async {
        let verified = provider.verify(id_token, nonce, service.clock.now()).await;
        let identity = verified.map_err(|error| providers::app_error(provider, error))?;
        let newcomer = NewAccountData { provider: provider.name(), name: identity.name.clone(), language };
        sign_in(service, identity, newcomer, &device).await
    };
    let signed_in = shown.await;
    if let Err(error) = &signed_in {
        record_rejection(service, provider.name(), error, &device).await;
    }
    signed_in
}

/// Records a rejected sign-in. A missing address is no attack but a matter of the settings, so it isn't counted as a
/// violation, and the audit log names the provider and the claim.
pub(super) async fn record_rejection(service: &IdentityService, provider: &str, error: &AppError, device: &Device) {
    if error.code() != Code::OauthInvalid {
        return;
    }
    let claim = error.details().and_then(|details| details[MISSING_CLAIM].as_str());
    let Some(claim) = claim else { return signin::record_failure(service, None, device).await };
    let target = Some(format!("auth.oauth.{provider}: no claim {claim}"));
    let entry = NewAuditEntry { action: Action::SignInFailed, actor: None, target, address: device.ip() };
    audit::record_detached(service, entry).await;
}

/// Signs in the user whom the provider has authenticated.
pub(super) async fn sign_in(
    service: &IdentityService,
    identity: Identity,
    newcomer: NewAccountData<'_>,
    device: &Device,
) -> Result<SignedIn, AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    consume_token(&tx, service, &identity).await?;
    let account = match linked_account(&tx, service, &identity).await? {
        Some(account) => account,
        None => match account_by_address(&tx, &identity).await? {
            Some(taken) => {
                account_claim::offer(&tx, service, &taken, newcomer.provider, &identity).await?;
                // The transaction is committed although the sign-in is refused: the token is
                // consumed and the claim is offered.
                tx.commit().await.map_err(app_error)?;
                service.wake_workers();
                return Err(Code::LinkRequired.into());
            }
            None => create(&tx, service, &identity, newcomer, device).await?,
        },
    };
    let signed_in = session_start::start_session(&tx, service, &account, AuthMethod::IdentityProvider, device).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(signed_in)
}

/// Consumes an ID token, so that it can't be used for a second sign-in, by whatever endpoint.
pub(super) async fn consume_token(
    tx: &Transaction,
    service: &IdentityService,
    identity: &Identity,
) -> Result<(), AppError> {
    let (hash, until) = (identity.token_hash.clone(), identity.usable_until);
    if rows::consume_id_token(tx, hash, until, service.clock.now()).await? {
        Ok(())
    } else {
        Err(Code::OauthInvalid.into())
    }
}

async fn linked_account(
    tx: &Transaction,
    service: &IdentityService,
    identity: &Identity,
) -> Result<Option<user::Model>, AppError> {
    let Some(row) = rows::by_subject(tx, &identity.issuer, &identity.subject).await? else { return Ok(None) };
    let account = users::lock(tx, row.user_id).await?.ok_or(Code::OauthInvalid)?;
    rows::record_sign_in(tx, row.id, identity.email.clone(), service.clock.now()).await?;
    Ok(Some(account))
}

async fn account_by_address(tx: &Transaction, identity: &Identity) -> Result<Option<user::Model>, AppError> {
    match &identity.email {
        Some(email) => users::by_email(tx, email).await,
        None => Ok(None),
    }
}

async fn create(
    tx: &Transaction,
    service: &IdentityService,
    identity: &Identity,
    newcomer: NewAccountData<'_>,
    device: &Device,
) -> Result<user::Model, AppError> {
    if service.config.auth.signup != config::SignUpPolicy::Open {
        return Err(Code::SignupClosed.into());
    }
    let email = identity.email.as_deref().and_then(|email| Email::parse(email).ok());
    let email = email.ok_or_else(|| missing_address(service, newcomer.provider, identity))?;
    let name = newcomer.name.as_deref().and_then(sanitised_name).or_else(|| sanitised_name(email.local()));
    let now = service.clock.now();
    let new = users::NewUser {
        id: UserId::new(),
        email: email.as_str().to_owned(),
        display_name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        password_hash: None,
        // A user who comes from the provider's page had no chance to enter the setup token.
        role: signup::role_of_newcomer(tx, service, (None, device.source())).await.map_err(|error| match error {
            AppError::Invalid(_) => AppError::refused(
                Code::SignupClosed,
                "Create the first account with the setup token from the server's log.",
            ),
            other => other,
        })?,
        verified_at: identity.email_verified.then_some(now),
        language: newcomer.language,
        at: now,
    };
    let created = signup::create(tx, &service.config, new).await;
    let account = created
        // A concurrent sign-up has taken the address.
        .map_err(|error| if error.code() == Code::EmailTaken { Code::LinkRequired.into() } else { error })?;
    let entry = NewAuditEntry { action: Action::SignUp, actor: Some(account.id), target: None, address: device.ip() };
    audit::record(tx, entry).await?;
    if !identity.email_verified {
        mail::enqueue(tx, now, Recipient::User(account.id), MailContent::Verification).await?;
    }
    insert(tx, service, &account, newcomer.provider, identity, device).await?;
    Ok(account)
}

/// Logs that the identity has no address, with the names of its claims, and creates the error.
fn missing_address(service: &IdentityService, provider: &str, identity: &Identity) -> AppError {
    let claim = service.accounts.providers.find(provider).map_or("email", oidc::Provider::email_claim);
    tracing::warn!(
        provider,
        email_claim = claim,
        claims = identity.claim_names.join(" "),
        "provider sign-in rejected: no e-mail address in the claim; auth.oauth.*.email_claim can name another one"
    );
    AppError::Detailed {
        code: Code::OauthInvalid,
        message: Some("The provider didn't share your email. Allow it there, then try again.".into()),
        details: Box::new(json!({ MISSING_CLAIM: claim })),
    }
}

pub(super) async fn insert(
    tx: &Transaction,
    service: &IdentityService,
    account: &user::Model,
    provider: &str,
    identity: &Identity,
    device: &Device,
) -> Result<(), AppError> {
    let new = rows::NewIdentity {
        user_id: account.id,
        provider: provider.to_owned(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        email: identity.email.clone(),
        at: service.clock.now(),
    };
    let target = Some(rows::insert(tx, new).await?.to_string());
    let entry = NewAuditEntry { action: Action::IdentityLinked, actor: Some(account.id), target, address: device.ip() };
    audit::record(tx, entry).await
}

/// Removes control characters from a name and limits its length.
fn sanitised_name(text: &str) -> Option<String> {
    let mut text: String = text.chars().filter(|character| !character.is_control()).take(80).collect();
    text.truncate(text.trim_end().len());
    parse_name(&text).ok()
}

//! Passkeys: sign-in with a credential on a device, unlocked by biometrics or PIN, without a name and a password.
//!
//! A passkey verifies the user, so it is both factors in one. The challenge is stored in a row and consumed by the
//! first answer ([`super::pending`]). The passkey's user handle is the account's id.

use std::time::Duration;

use appcore::{
    AppError, Code, PasskeyId, Timestamp, UserId,
    auth::Principal,
    config::Config,
    page::{Page, PageRequest},
    text_field::parse_line,
};
use dbcontext::{
    Transaction,
    constraint::app_error,
    entity::{passkey, user},
    query::{passkeys as rows, users},
};
use platform::audit::{self, Action, NewAuditEntry};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use url::{Host, Url};
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{DiscoverableAuthentication, Passkey, PasskeyRegistration, WebauthnError},
};

use super::{
    Confirmed, Device, SignedIn, TokenPair, methods,
    pending::{self, PendingKind},
    session_start::{self, AuthMethod},
    signin,
};
use crate::IdentityService;

/// Lifetime of a challenge.
const CEREMONY_TTL: Duration = Duration::from_secs(300);
/// Maximum number of passkeys per account. When another one is registered, all of them are sent to
/// the browser.
const MAX_PASSKEYS: usize = 50;
const MAX_NAME_CHARS: usize = 80;
const DEFAULT_NAME: &str = "Passkey";
const RELYING_PARTY: &str = "Natter";

/// Challenge for the authenticator.
#[derive(Debug)]
pub struct WebauthnChallenge {
    /// Id of the challenge, sent back with the answer. Valid once.
    pub id: String,
    /// WebAuthn options as JSON.
    pub public_key: Value,
}

/// Passkey of the caller.
#[derive(Clone, Debug)]
pub struct OwnPasskey {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// WebAuthn relying party. `None` if the server has no domain name but only an IP address, which
/// WebAuthn does not allow.
pub(super) fn relying_party(config: &Config) -> anyhow::Result<Option<Webauthn>> {
    let mut public = Url::parse(&config.server.public_url())?;
    // Only the origin identifies a relying party, so the path is removed.
    public.set_path("/");
    // WebAuthn doesn't allow IP addresses. On a developer's machine, 127.0.0.1 is opened as
    // localhost instead.
    let is_told = config.server.public_url.is_some();
    let here = match public.host() {
        Some(Host::Domain(_)) => public,
        _ if !is_told => Url::parse(&format!("http://localhost:{}", config.server.port))?,
        _ => return Ok(None),
    };
    let Some(name) = here.domain().map(str::to_owned) else { return Ok(None) };
    let built = WebauthnBuilder::new(&name, &here)
        // Without `server.public_url`, the port that clients use may differ from the server's.
        .and_then(|builder| builder.rp_name(RELYING_PARTY).timeout(CEREMONY_TTL).allow_any_port(!is_told).build());
    built.map(Some).map_err(|error| anyhow::anyhow!("server.public_url can't have passkeys: {error}"))
}

/// Confirmed caller, on a server that supports passkeys. Only [`Self::ask`] constructs it.
#[derive(Debug)]
pub struct PasskeyEnrolment(Confirmed);

impl PasskeyEnrolment {
    /// Checks that the server supports passkeys before it requires a confirmation of the caller.
    pub async fn authorize(service: &IdentityService, by: &Principal) -> Result<Self, AppError> {
        open_site(service)?;
        Ok(Self(Confirmed::authorize(service, by).await?))
    }
}

/// Starts the registration of a passkey.
pub async fn start_registration(
    service: &IdentityService,
    PasskeyEnrolment(by): &PasskeyEnrolment,
) -> Result<WebauthnChallenge, AppError> {
    let site = open_site(service)?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let known = rows::credential_ids(service.db.reader(), account.id).await?;
    if known.len() >= MAX_PASSKEYS {
        return Err(AppError::refused(Code::Conflict, "You've reached the limit of 50 passkeys. Remove one first."));
    }
    let (mut asked, state) = site
        .start_passkey_registration(account.id.0, &account.email, &account.display_name, Some(known))
        .map_err(challenge_error)?;
    // At sign-in no account name is entered, so the authenticator must store the account with the
    // passkey (resident key).
    if let Some(selection) = &mut asked.public_key.authenticator_selection {
        selection.require_resident_key = true;
    }
    let mut public_key = json(&asked.public_key)?;
    public_key["authenticatorSelection"]["residentKey"] = "required".into();
    store_challenge(service, PendingKind::PasskeyRegistration, Some(account.id), &state, public_key).await
}

/// Stores the passkey that the authenticator has created.
pub async fn finish_registration(
    service: &IdentityService,
    by: &Principal,
    ceremony: &str,
    credential: Value,
    name: Option<&str>,
) -> Result<OwnPasskey, AppError> {
    let site = open_site(service)?;
    let name = name.map(|name| parse_line("name", name, MAX_NAME_CHARS)).transpose()?;
    let credential = read(credential)?;
    let (owner, state) =
        consume_challenge::<PasskeyRegistration>(service, PendingKind::PasskeyRegistration, ceremony).await?;
    if owner != Some(by.user_id) {
        return Err(challenge_expired());
    }
    let made = site.finish_passkey_registration(&credential, &state).map_err(refused)?;
    let new = rows::NewPasskey {
        user_id: by.user_id,
        credential_id: made.cred_id().to_vec(),
        credential: serde_json::to_string(&made).map_err(AppError::internal)?,
        name: name.unwrap_or_else(|| DEFAULT_NAME.to_owned()),
        at: service.clock.now(),
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    let kept = rows::insert(&tx, new).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PasskeyAdded, Some(kept.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(view(kept))
}

/// Starts a sign-in with any passkey of this site.
pub async fn start_sign_in(service: &IdentityService) -> Result<WebauthnChallenge, AppError> {
    let (asked, state) = open_site(service)?.start_discoverable_authentication().map_err(challenge_error)?;
    let public_key = json(&asked.public_key)?;
    store_challenge(service, PendingKind::PasskeySignIn, None, &state, public_key).await
}

/// Verifies the answer and signs in the owner of the passkey.
pub async fn finish_sign_in(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
    device: Device,
) -> Result<TokenPair, AppError> {
    let answered = check_answer(service, ceremony, credential, &device).await;
    if let Err(AppError::Refused { code: Code::InvalidCredentials, .. }) = &answered {
        signin::record_failure(service, None, &device).await;
    }
    answered
}

async fn check_answer(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
    device: &Device,
) -> Result<TokenPair, AppError> {
    let (tx, account) = identify(service, ceremony, credential).await?;
    let signed_in = session_start::start_session(&tx, service, &account, AuthMethod::Passkey, device).await?;
    let SignedIn::Tokens(pair) = signed_in else {
        return Err(AppError::internal(anyhow::anyhow!("unexpected second-factor challenge after passkey")));
    };
    tx.commit().await.map_err(app_error)?;
    Ok(*pair)
}

/// Verifies a passkey's answer for a user who is already signed in. The challenge is created as for
/// a sign-in.
pub(super) async fn verify_answer(
    service: &IdentityService,
    user_id: UserId,
    ceremony: &str,
    credential: Value,
) -> Result<(), AppError> {
    let (tx, account) = identify(service, ceremony, credential).await?;
    if account.id != user_id {
        return Err(Code::InvalidCredentials.into());
    }
    tx.commit().await.map_err(app_error)
}

/// Verifies a passkey's answer and returns the account. The caller must commit the transaction.
async fn identify(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
) -> Result<(Transaction, user::Model), AppError> {
    let site = open_site(service)?;
    let credential = read(credential)?;
    let (_, state) =
        consume_challenge::<DiscoverableAuthentication>(service, PendingKind::PasskeySignIn, ceremony).await?;
    let (user_id, credential_id) = site.identify_discoverable_authentication(&credential).map_err(refused)?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, UserId(user_id)).await?.ok_or(Code::InvalidCredentials)?;
    let row = rows::lock(&tx, account.id, credential_id).await?.ok_or(Code::InvalidCredentials)?;
    let mut known: Passkey = serde_json::from_str(&row.credential).map_err(AppError::internal)?;
    let seen = site.finish_discoverable_authentication_v2(&credential, state, &known).map_err(refused)?;
    // The library rejects a counter that did not increase, which indicates a copied passkey.
    known.update_credential(&seen);
    let stored = serde_json::to_string(&known).map_err(AppError::internal)?;
    rows::record_use(&tx, row.id, stored, now).await?;
    Ok((tx, account))
}

/// Lists the caller's passkeys, oldest first.
pub async fn list(service: &IdentityService, by: &Principal, page: PageRequest) -> Result<Page<OwnPasskey>, AppError> {
    let (found, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    Ok(Page::new(found.into_iter().map(view).collect(), page, total))
}

/// Renames one of the caller's passkeys.
pub async fn rename(
    service: &IdentityService,
    by: &Principal,
    id: PasskeyId,
    name: &str,
) -> Result<OwnPasskey, AppError> {
    let name = parse_line("name", name, MAX_NAME_CHARS)?;
    let renamed = rows::rename(service.db.writer(), by.user_id, id, &name).await?;
    renamed.map(view).ok_or_else(|| Code::NotFound.into())
}

/// Removes one of the caller's passkeys, unless it is the only sign-in method.
pub async fn remove(service: &IdentityService, by: &Confirmed, id: PasskeyId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !rows::remove(&tx, account.id, id).await? {
        return Err(Code::NotFound.into());
    }
    methods::require_any(&tx, &account).await?;
    audit::record(&tx, NewAuditEntry::by_principal(by, Action::PasskeyRemoved, Some(id.to_string()))).await?;
    tx.commit().await.map_err(app_error)
}

fn open_site(service: &IdentityService) -> Result<&Webauthn, AppError> {
    service.accounts.relying_party.as_ref().ok_or_else(|| {
        AppError::refused(
            Code::WrongState,
            "Passkeys need a domain name. They don't work when the server is opened by IP address.",
        )
    })
}

async fn store_challenge<T: Serialize>(
    service: &IdentityService,
    kind: PendingKind,
    user_id: Option<UserId>,
    state: &T,
    public_key: Value,
) -> Result<WebauthnChallenge, AppError> {
    let begun = pending::store(service.db.writer(), kind, user_id, state, service.clock.now(), CEREMONY_TTL).await?;
    Ok(WebauthnChallenge { id: begun.handle, public_key })
}

async fn consume_challenge<T: DeserializeOwned>(
    service: &IdentityService,
    kind: PendingKind,
    ceremony: &str,
) -> Result<(Option<UserId>, T), AppError> {
    pending::consume(&service.db, kind, ceremony, service.clock.now()).await?.ok_or_else(challenge_expired)
}

fn read<T: DeserializeOwned>(credential: Value) -> Result<T, AppError> {
    serde_json::from_value(credential)
        .map_err(|_| AppError::field("credential", "invalid", "Couldn't read the passkey response. Try again."))
}

fn json<T: Serialize>(value: &T) -> Result<Value, AppError> {
    serde_json::to_value(value).map_err(AppError::internal)
}

fn view(row: passkey::Model) -> OwnPasskey {
    OwnPasskey { id: row.id, name: row.name, created_at: row.created_at, last_used_at: row.last_used_at }
}

/// Error for a challenge that has expired, was answered before, or belongs to somebody else.
fn challenge_expired() -> AppError {
    AppError::field("challenge_id", "invalid", "This request timed out or was already used. Try again.")
}

fn refused(error: WebauthnError) -> AppError {
    tracing::info!(%error, "authenticator answer rejected");
    Code::InvalidCredentials.into()
}

fn challenge_error(error: WebauthnError) -> AppError {
    AppError::internal(anyhow::anyhow!("failed to create passkey challenge: {error}"))
}

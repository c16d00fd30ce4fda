//! Passkeys: signing in with what a device keeps and opens for a finger or a PIN, without a name and without a password.
//!
//! A passkey has seen the person, so it is both factors in one. What is asked of the authenticator waits in a row and is used up by
//! the first answer ([`super::pending`]). Which account a passkey opens is said by its user handle, which is the account's id.

use std::time::Duration;

use appcore::{
    AppError, Code, PasskeyId, Timestamp, UserId,
    auth::Principal,
    config::Config,
    text_field::parse_line,
    page::{Page, PageRequest},
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
    Confirmed, Device, SignedIn, TokenPair,
    session_start::{self, AuthMethod},
    methods,
    pending::{self, PendingKind},
    signin,
};
use crate::IdentityService;

/// How long a passkey's answer may take.
const CEREMONY_TTL: Duration = Duration::from_secs(300);
/// The most passkeys of an account; all of them are sent along when another one is made.
const MAX_PASSKEYS: usize = 50;
const MAX_NAME_CHARS: usize = 80;
const NAMELESS: &str = "Passkey";
const SITE: &str = "Natter";

/// What a browser asks the authenticator.
#[derive(Debug)]
pub struct WebauthnChallenge {
    /// For the answer, once.
    pub id: String,
    /// WebAuthn's own JSON.
    pub public_key: Value,
}

/// A passkey that belongs to the caller.
#[derive(Clone, Debug)]
pub struct OwnPasskey {
    pub id: PasskeyId,
    pub name: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// The site that passkeys are made for. None: it has no name, only an address, which WebAuthn does not allow.
pub(super) fn site(config: &Config) -> anyhow::Result<Option<Webauthn>> {
    let mut public = Url::parse(&config.server.public_url())?;
    // A site is an origin.
    public.set_path("/");
    // An address can't have passkeys; on one's own machine 127.0.0.1 is opened as localhost.
    let is_told = config.server.public_url.is_some();
    let here = match public.host() {
        Some(Host::Domain(_)) => public,
        _ if !is_told => Url::parse(&format!("http://localhost:{}", config.server.port))?,
        _ => return Ok(None),
    };
    let Some(name) = here.domain().map(str::to_owned) else { return Ok(None) };
    let built = WebauthnBuilder::new(&name, &here)
        // Without `server.public_url` the port outside may be another one.
        .and_then(|builder| builder.rp_name(SITE).timeout(CEREMONY_TTL).allow_any_port(!is_told).build());
    built.map(Some).map_err(|error| anyhow::anyhow!("server.public_url can't have passkeys: {error}"))
}

/// A confirmed caller of a server that can have passkeys. Only [asking](Self::ask) makes one.
#[derive(Debug)]
pub struct PasskeyEnrolment(Confirmed);

impl PasskeyEnrolment {
    /// Nobody is asked to confirm for what isn't possible here.
    pub async fn ask(service: &IdentityService, by: &Principal) -> Result<Self, AppError> {
        open_site(service)?;
        Ok(Self(Confirmed::ask(service, by).await?))
    }
}

/// Asks for a new passkey of the caller's.
pub async fn begin_registration(service: &IdentityService, PasskeyEnrolment(by): &PasskeyEnrolment) -> Result<WebauthnChallenge, AppError> {
    let site = open_site(service)?;
    let account = users::by_id(service.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    let known = rows::credential_ids(service.db.reader(), account.id).await?;
    if known.len() >= MAX_PASSKEYS {
        return Err(AppError::refused(Code::Conflict, "You've reached the limit of 50 passkeys. Remove one first."));
    }
    let (mut asked, state) = site
        .start_passkey_registration(account.id.0, &account.email, &account.display_name, Some(known))
        .map_err(defect)?;
    // Without a name to sign in with, the authenticator itself must know which account it is.
    if let Some(selection) = &mut asked.public_key.authenticator_selection {
        selection.require_resident_key = true;
    }
    let mut public_key = json(&asked.public_key)?;
    public_key["authenticatorSelection"]["residentKey"] = "required".into();
    begin(service, PendingKind::PasskeyRegistration, Some(account.id), &state, public_key).await
}

/// Keeps the passkey that the authenticator has made.
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
    let (owner, state) = take::<PasskeyRegistration>(service, PendingKind::PasskeyRegistration, ceremony).await?;
    if owner != Some(by.user_id) {
        return Err(late());
    }
    let made = site.finish_passkey_registration(&credential, &state).map_err(refused)?;
    let new = rows::NewPasskey {
        user_id: by.user_id,
        credential_id: made.cred_id().to_vec(),
        credential: serde_json::to_string(&made).map_err(AppError::internal)?,
        name: name.unwrap_or_else(|| NAMELESS.to_owned()),
        at: service.clock.now(),
    };
    let tx = service.db.begin().await.map_err(app_error)?;
    let kept = rows::insert(&tx, new).await?;
    audit::record(&tx, NewAuditEntry::by(by, Action::PasskeyAdded, Some(kept.id.to_string()))).await?;
    tx.commit().await.map_err(app_error)?;
    Ok(view(kept))
}

/// Asks for any passkey of this site.
pub async fn begin_sign_in(service: &IdentityService) -> Result<WebauthnChallenge, AppError> {
    let (asked, state) = open_site(service)?.start_discoverable_authentication().map_err(defect)?;
    let public_key = json(&asked.public_key)?;
    begin(service, PendingKind::PasskeySignIn, None, &state, public_key).await
}

/// Signs in whose passkey has answered.
pub async fn finish_sign_in(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
    device: Device,
) -> Result<TokenPair, AppError> {
    let answered = check_answer(service, ceremony, credential, &device).await;
    if let Err(AppError::Refused { code: Code::InvalidCredentials, .. }) = &answered {
        signin::note_failure(service, None, &device).await;
    }
    answered
}

async fn check_answer(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
    device: &Device,
) -> Result<TokenPair, AppError> {
    let (tx, account) = recognise(service, ceremony, credential).await?;
    let signed_in = session_start::admit(&tx, service, &account, AuthMethod::Passkey, device).await?;
    let SignedIn::Tokens(pair) = signed_in else {
        return Err(AppError::internal(anyhow::anyhow!("a passkey was asked for a second factor")));
    };
    tx.commit().await.map_err(app_error)?;
    Ok(*pair)
}

/// Accepts a passkey's answer from a person who is signed in already; it was requested as for a sign-in.
pub(super) async fn show(
    service: &IdentityService,
    user_id: UserId,
    ceremony: &str,
    credential: Value,
) -> Result<(), AppError> {
    let (tx, account) = recognise(service, ceremony, credential).await?;
    if account.id != user_id {
        return Err(Code::InvalidCredentials.into());
    }
    tx.commit().await.map_err(app_error)
}

/// The account whose passkey has answered. The caller commits.
async fn recognise(
    service: &IdentityService,
    ceremony: &str,
    credential: Value,
) -> Result<(Transaction, user::Model), AppError> {
    let site = open_site(service)?;
    let credential = read(credential)?;
    let (_, state) = take::<DiscoverableAuthentication>(service, PendingKind::PasskeySignIn, ceremony).await?;
    let (user_id, credential_id) = site.identify_discoverable_authentication(&credential).map_err(refused)?;
    let now = service.clock.now();
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, UserId(user_id)).await?.ok_or(Code::InvalidCredentials)?;
    let row = rows::lock(&tx, account.id, credential_id).await?.ok_or(Code::InvalidCredentials)?;
    let mut known: Passkey = serde_json::from_str(&row.credential).map_err(AppError::internal)?;
    let seen = site.finish_discoverable_authentication_v2(&credential, state, &known).map_err(refused)?;
    // The library has refused a counter that did not rise, which is the sign of a copied passkey.
    known.update_credential(&seen);
    let stored = serde_json::to_string(&known).map_err(AppError::internal)?;
    rows::used(&tx, row.id, stored, now).await?;
    Ok((tx, account))
}

/// The caller's passkeys, in the order in which they were made.
pub async fn list(service: &IdentityService, by: &Principal, page: PageRequest) -> Result<Page<OwnPasskey>, AppError> {
    let (found, total) = rows::list(service.db.reader(), by.user_id, page).await?;
    Ok(Page::new(found.into_iter().map(view).collect(), page, total))
}

/// Gives one of the caller's passkeys another name.
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

/// Takes one of the caller's passkeys away, unless it is their only way in.
pub async fn remove(service: &IdentityService, by: &Confirmed, id: PasskeyId) -> Result<(), AppError> {
    let tx = service.db.begin().await.map_err(app_error)?;
    let account = users::lock(&tx, by.user_id).await?.ok_or(Code::Unauthenticated)?;
    if !rows::remove(&tx, account.id, id).await? {
        return Err(Code::NotFound.into());
    }
    methods::require_one(&tx, &account).await?;
    audit::record(&tx, NewAuditEntry::by(by, Action::PasskeyRemoved, Some(id.to_string()))).await?;
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

async fn begin<T: Serialize>(
    service: &IdentityService,
    kind: PendingKind,
    user_id: Option<UserId>,
    state: &T,
    public_key: Value,
) -> Result<WebauthnChallenge, AppError> {
    let begun = pending::begin(service.db.writer(), kind, user_id, state, service.clock.now(), CEREMONY_TTL).await?;
    Ok(WebauthnChallenge { id: begun.handle, public_key })
}

async fn take<T: DeserializeOwned>(
    service: &IdentityService,
    kind: PendingKind,
    ceremony: &str,
) -> Result<(Option<UserId>, T), AppError> {
    pending::take(&service.db, kind, ceremony, service.clock.now()).await?.ok_or_else(late)
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

/// The challenge has expired, was answered before, or belongs to someone else.
fn late() -> AppError {
    AppError::field("challenge_id", "invalid", "This request timed out or was already used. Try again.")
}

fn refused(error: WebauthnError) -> AppError {
    tracing::info!(%error, "the answer of an authenticator was refused");
    Code::InvalidCredentials.into()
}

fn defect(error: WebauthnError) -> AppError {
    AppError::internal(anyhow::anyhow!("a passkey can't be asked for: {error}"))
}

//! Session creation and token issuance.

use appcore::{AppError, Language, Secret, SessionId, Timestamp, auth::token, view};
use dbcontext::{entity::user, query::sessions};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::Device;
use crate::IdentityService;

/// Tokens of a successful sign-in.
#[derive(Clone, Debug)]
pub struct TokenPair {
    pub user: view::User,
    pub session_id: SessionId,
    pub access_token: Secret,
    pub access_expires_at: Timestamp,
    pub refresh_token: Secret,
    pub refresh_expires_at: Timestamp,
}

/// Part of a [`TokenPair`] that is new for each issuance. It is stored encrypted, for repeated
/// requests.
#[derive(Serialize, Deserialize)]
pub(super) struct IssuedTokens {
    access_token: String,
    access_expires_at: Timestamp,
    refresh_token: String,
    refresh_expires_at: Timestamp,
}

impl IssuedTokens {
    /// Creates the tokens of a session. They expire no later than the session, which ends at
    /// `expires_at`.
    pub(super) fn make(
        service: &IdentityService,
        user: &view::User,
        session_id: SessionId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Self, AppError> {
        let access_expires_at = now.plus(service.config.auth.access_ttl).min(expires_at);
        let access_token = service
            .accounts
            .keys
            .ring()
            .sign(user.id, session_id, user.role, now, access_expires_at)
            .map_err(AppError::internal)?;
        let refresh_token = token::random_token().map_err(AppError::internal)?;
        Ok(Self { access_token, access_expires_at, refresh_token, refresh_expires_at: expires_at })
    }

    /// Fingerprint of the refresh token. It is stored instead of the token.
    pub(super) fn fingerprint(&self) -> Vec<u8> {
        token::hash_token(&self.refresh_token)
    }

    pub(super) fn for_user(self, user: view::User, session_id: SessionId) -> TokenPair {
        TokenPair {
            user,
            session_id,
            access_token: self.access_token.into(),
            access_expires_at: self.access_expires_at,
            refresh_token: self.refresh_token.into(),
            refresh_expires_at: self.refresh_expires_at,
        }
    }
}

/// Opens a session in the caller's transaction.
pub(super) async fn open_session<C: ConnectionTrait>(
    db: &C,
    service: &IdentityService,
    user: &user::Model,
    device: &Device,
) -> Result<TokenPair, AppError> {
    let now = service.clock.now();
    let session_id = SessionId::new();
    let expires_at = now.plus(service.config.auth.refresh_ttl);
    let user = own_view(user);
    let tokens = IssuedTokens::make(service, &user, session_id, now, expires_at)?;
    let session = sessions::NewSession {
        id: session_id,
        user_id: user.id,
        device: device.session_data(&service.geoip, now),
        expires_at,
    };
    sessions::insert(db, session).await?;
    sessions::insert_token(db, session_id, tokens.fingerprint(), now).await?;
    Ok(tokens.for_user(user, session_id))
}

/// View of an account for its owner.
pub fn own_view(user: &user::Model) -> view::User {
    view::User {
        email: Some(user.email.clone()),
        email_verified: Some(user.email_verified_at.is_some()),
        has_password: Some(user.password_hash.is_some()),
        second_factor: Some(user.second_factor),
        language: Some(Language::from_stored_tag(&user.language)),
        show_timezone: Some(user.show_timezone),
        chosen_presence: Some(user.chosen_presence.unwrap_or_default()),
        timezone: user.timezone.clone(),
        ..others_view(user)
    }
}

/// View of an account for other users.
pub(super) fn others_view(user: &user::Model) -> view::User {
    view::User {
        id: user.id,
        email: None,
        email_verified: None,
        has_password: None,
        second_factor: None,
        language: None,
        show_timezone: None,
        chosen_presence: None,
        display_name: user.display_name.clone(),
        role: user.role,
        presence: None,
        last_seen: None,
        custom_status: None,
        timezone: user.timezone.clone().filter(|_| user.show_timezone),
        title: user.title.clone(),
        pronouns: user.pronouns.clone(),
        created_at: user.created_at,
    }
}

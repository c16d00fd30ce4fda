//! Accounts: users, their sessions, and their credentials.
//!
//! A sign-in is a *session* (`user_sessions`): it has a chain of refresh tokens, of which only the
//! last is unused, and any number of short-lived access tokens that contain its id. A refresh token
//! that is used twice counts as stolen, and the session ends ([`refresh`]). An access token is
//! valid only as long as its session: [`authenticate`] looks up the session and caches the result
//! for a few seconds. The end of a session is published to all instances at once
//! ([`credential_status`]).
//!
//! A program acts for a user by an API key ([`api_keys`]), which may have fewer permissions than a
//! sign-in, and expires. Every sign-in, whatever its method, ends in [`session_start::admit`],
//! which requires the second factor if there is one ([`second_factor`]). A multi-step sign-in in
//! progress is a row ([`pending`]).
//!
//! Passwords are hashed on the blocking pool, a few at a time ([`hashing`]). The keys that sign
//! access tokens are in the database, so that every instance verifies what any other has signed
//! ([`keys`]).

mod administer;
pub mod api_keys;
mod authenticate;
mod change_events;
mod credential_status;
mod device;
mod email_change;
mod email_links;
mod hashing;
pub mod identities;
pub mod key_policy;
mod keys;
mod known_devices;
pub mod login_throttle;
mod methods;
pub mod passkeys;
mod password_hash;
pub mod pending;
mod picture;
mod profile;
pub mod reauthenticate;
mod refresh;
pub mod second_factor;
mod session_start;
pub mod session_tokens;
pub mod sessions;
mod setup;
mod signin;
mod signup;
pub mod tickets;
pub mod user_admin;
mod verified_tokens;

pub use administer::{create_admin, operator_token, reset_password};
pub use authenticate::authenticate;
pub use change_events::announce_user_change;
pub use device::Device;
pub use email_change::{
    ChangeAddress, EmailChange, cancel_email_change, confirm_email_change, email_change, request_email_change,
};
pub use email_links::{forgot_password, resend_verification, reset_password_by_token, verify_email};
pub use keys::rotate as rotate_keys;
pub use picture::{pictures, remove_picture, set_picture};
pub use profile::add_presence;
pub use profile::{PasswordChange, ProfileChange, find, me, search, update_me};
pub use reauthenticate::{ConfirmMethod, Confirmation, Confirmed, Freshness, confirm, freshness};
pub use refresh::{refresh, token_family};
pub use session_start::{Challenge, SecondFactorMethod, SignedIn};
pub use session_tokens::TokenPair;
pub use sessions::logout;
pub use signin::signin;
pub use signup::{SignUp, signup};
pub use tickets::{issue_ticket, redeem_ticket};

use std::sync::Arc;

use appcore::{AppError, Clock, RequestSource, config::Config, event::EventBus};
use dbcontext::Database;

use self::{
    credential_status::CredentialStatusCache, hashing::PasswordHasher, keys::SigningKeys,
    verified_tokens::VerifiedTokenCache,
};

/// Account state of an instance.
pub struct Accounts {
    keys: Arc<SigningKeys>,
    setup: setup::SetupToken,
    verified_tokens: VerifiedTokenCache,
    hashing: PasswordHasher,
    credential_status: CredentialStatusCache,
    lookups: authenticate::LookUpBatchers,
    providers: identities::Providers,
    /// WebAuthn relying party; `None` if the server has no domain name for passkeys.
    relying_party: Option<webauthn_rs::Webauthn>,
}

impl Accounts {
    /// Loads the signing keys, creates the first one if there is none, and subscribes to messages
    /// about ended sessions.
    pub async fn load(db: &Database, config: &Arc<Config>, clock: &Clock, bus: &dyn EventBus) -> anyhow::Result<Self> {
        let keys = SigningKeys::load(db, config, clock).await?;
        second_factor::seal_all(db, config).await?;
        tokio::task::spawn_blocking(password_hash::prepare).await?;
        Ok(Self {
            keys,
            setup: setup::SetupToken::load(db, config).await?,
            verified_tokens: VerifiedTokenCache::new(),
            hashing: PasswordHasher::new(),
            credential_status: CredentialStatusCache::start(bus),
            lookups: Default::default(),
            providers: identities::Providers::build(&config.auth)?,
            relying_party: passkeys::relying_party(config)?,
        })
    }

    /// True if the next account will be the first one and its creation requires the setup token.
    pub async fn asks_for_setup_token(&self, db: &Database, source: RequestSource) -> Result<bool, AppError> {
        self.setup.is_required(db, source).await
    }

    /// Public keys, for `/.well-known/jwks.json`.
    #[must_use]
    pub fn published_keys(&self) -> serde_json::Value {
        self.keys.ring().jwks()
    }
}

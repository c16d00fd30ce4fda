//! Sign-in by identity providers: Google, Microsoft, Apple, and any other that supports OpenID Connect.
//!
//! [`Provider::begin`] creates the URL that a browser is sent to, [`Provider::finish`] exchanges the returned code for
//! an [`Identity`], and [`Provider::verify`] verifies an ID token that a client already has. Deviations of the
//! providers are in [`quirks`]: Microsoft's issuer template, Apple's client secret that is signed for each request.
//!
//! Only the needed claims are parsed ([`claims`]), whatever form the others have. The requests are those of the
//! authorization code flow with PKCE ([`authorization`], [`tokens`]). Signatures are verified with the provider's
//! published keys ([`keys`]). The cryptography is that of aws-lc-rs, used through `jsonwebtoken`.
//!
//! A provider's document and keys are fetched on first use and cached ([`document_cache`]). Only one request fetches at
//! a time. If a token names an unknown key, the keys are fetched again, at most once a minute. Expired values are used
//! while the provider is unavailable.
//!
//! This crate knows neither the database nor Natter's HTTP API; its callers map identities to accounts.

mod authorization;
mod claims;
mod discovery;
mod document_cache;
mod error;
mod http;
mod id_token;
mod keys;
mod provider;
mod quirks;
mod tokens;
mod user_info;

pub use appcore::config::OauthKind as Kind;
pub use error::OidcError;
pub use id_token::Identity;
pub use provider::{AuthorizationRedirect, FlowState, Provider};
pub use quirks::name_of_form;

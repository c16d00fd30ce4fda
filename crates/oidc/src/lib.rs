//! Signing in by a provider of identities: Google, Microsoft, Apple, and whoever else speaks OpenID Connect.
//!
//! [`Provider::begin`] makes the address that a browser is sent to, [`Provider::finish`] turns the code that it comes back with
//! into an [`Identity`], and [`Provider::verify`] reads an ID token that somebody has already. What the providers do differently
//! is in [`Kind`]'s methods ([`quirks`]): Microsoft's issuer that is a template, Apple's secret that is signed anew each time.
//!
//! Only the needed claims are read ([`claims`]), whatever form the others have. The requests are those of the authorization code
//! flow with PKCE ([`authorization`], [`tokens`]). Signatures are verified with the provider's published keys ([`keys`]); the
//! cryptography is aws-lc-rs, by way of `jsonwebtoken`.
//!
//! A provider's document and keys are fetched when they are first needed and kept ([`kept`]): by one request at a time, again
//! when a token names a key that is not known, but not more than once a minute, and the old ones stay while the provider is away.
//!
//! This crate knows neither the database nor our requests; mapping identities to accounts is the service's task.

mod authorization;
mod claims;
mod discovery;
mod error;
mod http;
mod id_token;
mod document_cache;
mod keys;
mod provider;
mod quirks;
mod tokens;
mod user_info;

pub use appcore::config::OauthKind as Kind;
pub use error::OidcError;
pub use id_token::Identity;
pub use provider::{AuthorizationRedirect, Provider, FlowState};
pub use quirks::name_of_form;

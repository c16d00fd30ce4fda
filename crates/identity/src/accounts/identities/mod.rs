//! Sign-in by identity providers, and the identities linked to an account.
//!
//! An identity consists of an issuer and its subject, never of an address. A known identity signs
//! in to its account, an unknown one gets a new account. If the address is taken, the identity is
//! never linked silently, whatever the provider says, because an attacker may have created the
//! account beforehand. The owner signs in by another method and links the identity
//! ([`oauth_flow`]). For an account with an unverified address a mail is sent there, and its reader
//! can take over the account ([`claim`]).

mod account_claim;
mod account_linking;
mod linked_identities;
mod oauth_flow;
mod providers;

pub use self::{
    account_claim::{claim, remove_other_methods},
    account_linking::sign_in_by_id_token,
    linked_identities::{LinkedIdentity, list, unlink},
    oauth_flow::{OauthCallback, OauthRedirect, OauthSignIn, finish_oauth, start_oauth},
    providers::{ProviderName, Providers, available},
};

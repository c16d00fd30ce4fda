//! Signing in by a provider of identities, and which of them belong to an account.
//!
//! An identity is an issuer and its subject, never an address: whoever comes with a known one is signed in, whoever comes with an
//! unknown one gets a new account. Where the address is taken already nobody is let in silently, whoever says so: an account may
//! have been made beforehand by somebody who waits for its owner. Its owner signs in by another way and links the identity
//! ([`visit`]); an account that has never shown that the address is its own gets a mail there, and whoever answers it has the account
//! to themselves ([`claim`]).

mod admission;
mod claim;
mod own;
mod providers;
mod visit;

pub use self::{
    admission::by_id_token,
    claim::{claim, forget_other_ways},
    own::{OwnIdentity, list, unlink},
    providers::{ProviderName, Providers, available},
    visit::{Arrival, Departure, Returned, arrive, depart},
};

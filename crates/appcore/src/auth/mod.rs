//! Who is calling, what they may do, and the proofs of it: addresses, passwords, tokens.

mod email;
pub mod password;
mod permission;
mod principal;
mod scope;
pub mod seal;
pub mod token;

pub use email::Email;
pub use password::Password;
pub use permission::Permission;
pub use principal::{Credential, CredentialId, Principal};
pub use scope::{Scope, Scopes};

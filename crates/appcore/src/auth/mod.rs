//! Authentication and authorization: principals, scopes, permissions, e-mail addresses, passwords
//! and tokens.

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

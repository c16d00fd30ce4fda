//! Who is calling, what they may do, and the proofs of it: addresses, passwords, tokens.

mod email;
pub mod password;
mod principal;
pub mod seal;
pub mod token;

pub use email::Email;
pub use password::Password;
pub use principal::Principal;

//! Sign-in methods of an account.

use appcore::{AppError, Code};
use dbcontext::{
    Transaction,
    entity::user,
    query::{identities, passkeys},
};

/// Fails if the account has no sign-in method left. Must be called after a method was removed, in
/// the same transaction.
pub(super) async fn require_any(tx: &Transaction, account: &user::Model) -> Result<(), AppError> {
    let left = account.password_hash.is_some()
        || identities::count(tx, account.id).await? > 0
        || passkeys::count(tx, account.id).await? > 0;
    if left { Ok(()) } else { Err(Code::LastMethod.into()) }
}

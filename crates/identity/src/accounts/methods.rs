//! The ways in that an account has.

use appcore::{AppError, Code};
use dbcontext::{
    Transaction,
    entity::user,
    query::{identities, passkeys},
};

/// Refuses to take the last way in away; the caller has taken it already, in this transaction.
pub(super) async fn require_one(tx: &Transaction, account: &user::Model) -> Result<(), AppError> {
    let left = account.password_hash.is_some()
        || identities::count(tx, account.id).await? > 0
        || passkeys::count(tx, account.id).await? > 0;
    if left { Ok(()) } else { Err(Code::LastMethod.into()) }
}

//! Before something is changed that would let a thief stay: that it is really them who ask.

use std::time::Duration;

use appcore::{
    AppError, Code,
    auth::{Principal, password::Verdict},
};
use dbcontext::{
    entity::user,
    query::{sessions, users},
};

use crate::App;

/// How long a sign-in says that somebody is there, where there is no password to ask for.
const FRESH: Duration = Duration::from_secs(600);

/// The caller's account, once its password was right. One without a password must have signed in a moment ago.
pub(super) async fn check(app: &App, by: &Principal, password: Option<String>) -> Result<user::Model, AppError> {
    let account = users::by_id(app.db.reader(), by.user_id).await?.ok_or(Code::Unauthenticated)?;
    match (&account.password_hash, password) {
        (Some(stored), Some(shown)) => {
            if app.accounts.hashing.verify(shown, Some(stored.clone())).await? == Verdict::Wrong {
                return Err(Code::PasswordWrong.into());
            }
        }
        (Some(_), None) => return Err(AppError::field("password", "required", "Type your password.")),
        (None, _) => {
            let since =
                sessions::begun_at(app.db.reader(), by.require_session()?).await?.ok_or(Code::Unauthenticated)?;
            if since.plus(FRESH) <= app.clock.now() {
                return Err(AppError::refused(
                    Code::PasswordWrong,
                    "Sign in again first: that was too long ago for something as important as this.",
                ));
            }
        }
    }
    Ok(account)
}

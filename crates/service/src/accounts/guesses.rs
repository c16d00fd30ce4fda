//! How often a password may be guessed: by address, and by account, whether there is such an account or not.
//!
//! From an address that somebody has signed in from before, their account's count is not asked and not raised: a stranger who guesses
//! can't lock them out.

use appcore::{AppError, UserId, auth::token};

use super::{Device, known};
use crate::{
    App,
    attempts::{Attempt, Quota},
};

/// Takes the place of one guess at the account that `name` is the address of, if there is one; `account` says which that is.
pub(super) async fn begin(
    app: &App,
    name: &str,
    account: Option<UserId>,
    device: &Device,
) -> Result<Attempt, AppError> {
    let mut subjects = vec![format!("signin:address:{}", device.network())];
    if !known::is_known(app.db.reader(), account, device).await? {
        subjects.push(format!("signin:account:{}", hex(&token::fingerprint(name))));
    }
    let quota = Quota { limit: app.config.auth.failed_signins, window: app.config.auth.failed_window };
    app.attempts.begin(subjects, quota).await
}

/// Nobody's address stands in Redis.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

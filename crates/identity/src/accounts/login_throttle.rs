//! Throttle of password guesses. There are limits per pair of account and address, per address, and
//! per account, whether the account exists or not.
//!
//! The first limit is narrow, so that typing errors lock out only the person who makes them. The
//! other two are wider: they stop guesses at many accounts from one address, and guesses at one
//! account from many addresses. An address from which the account was signed in before neither
//! counts against the account's limit nor is rejected by it, so that strangers can't lock the owner
//! out by guessing.
//!
//! An address banned by the firewall may still sign in, because others may share it. During a ban,
//! accounts not used there before share a fourth, narrow limit, so that a guesser gets fewer
//! guesses than without a ban.

use appcore::{AppError, UserId, auth::token};
use platform::throttle::{Attempt, ThrottleSubject};

use super::{
    Device,
    hashing::{Priority, QueuedCaller},
    known_devices,
};
use crate::IdentityService;

/// Password guess in progress.
pub struct PasswordGuess {
    attempt: Attempt,
    applicant: QueuedCaller,
}

impl PasswordGuess {
    /// Queue entry for hashing the guessed password.
    pub(super) fn applicant(&self) -> QueuedCaller {
        self.applicant.clone()
    }

    pub async fn record_failure(self) {
        self.attempt.record_failure().await;
    }

    pub async fn record_success(self) {
        self.attempt.record_success().await;
    }
}

/// Starts a guess at the account with the email address `name`. `account` is the account's id, if
/// it exists.
pub async fn begin(
    service: &IdentityService,
    name: &str,
    account: Option<UserId>,
    device: &Device,
) -> Result<PasswordGuess, AppError> {
    let (settings, address, name) = (&service.config.auth, device.network(), subject(name));
    let mut subjects = vec![
        ThrottleSubject { name: format!("signin:pair:{name}:{address}"), limit: settings.failed_signins },
        ThrottleSubject { name: format!("signin:address:{address}"), limit: settings.failed_signins_per_address },
    ];
    let is_known = known_devices::is_known(service.db.reader(), account, device).await?;
    if !is_known {
        let limit = settings.failed_signins_per_account;
        subjects.push(ThrottleSubject { name: format!("signin:account:{name}"), limit });
        if service.firewall.is_banned_automatically(|| device.source().address) {
            subjects.push(ThrottleSubject { name: format!("signin:banned:{address}"), limit: settings.failed_signins });
        }
    }
    let attempt = service.attempts.begin(subjects, settings.failed_window).await?;
    let priority = if is_known {
        Priority::Known
    } else if attempt.has_recent_failures() {
        Priority::Suspicious
    } else {
        Priority::New
    };
    Ok(PasswordGuess { attempt, applicant: QueuedCaller::new(priority, device) })
}

/// Fingerprint of an email address, so that Redis never stores the address itself.
fn subject(name: &str) -> String {
    hex::encode(&token::hash_token(name)[..16])
}

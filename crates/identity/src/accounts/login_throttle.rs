//! How often a password may be guessed: at one account from one address, from one address, and at one account, whether there is such an
//! account or not.
//!
//! The first bound is narrow, so that a typo locks out only its author. The other two are wider: they stop guesses at many accounts, and from
//! many addresses. An address from which the account was signed in before neither counts against the account's bound nor is refused by it, so
//! strangers who guess can't lock the owner out.
//!
//! An address that the firewall has banned may still sign in, because others may share it. Meanwhile, accounts that were not used there before get a
//! fourth, narrow bound together, so that a ban leaves a guesser fewer guesses and not more.

use appcore::{AppError, UserId, auth::token};
use platform::throttle::{Attempt, ThrottleSubject};

use super::{
    Device,
    hashing::{QueuedCaller, Priority},
    known_devices,
};
use crate::IdentityService;

/// A guess that is under way.
pub struct PasswordGuess {
    attempt: Attempt,
    applicant: QueuedCaller,
}

impl PasswordGuess {
    /// Who waits for the password to be checked.
    pub(super) fn applicant(&self) -> QueuedCaller {
        self.applicant.clone()
    }

    pub async fn failed(self) {
        self.attempt.failed().await;
    }

    pub async fn passed(self) {
        self.attempt.passed().await;
    }
}

/// Takes the place of one guess at the account that `name` is the address of, if there is one; `account` says which that is.
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
    } else if attempt.is_doubted() {
        Priority::Doubted
    } else {
        Priority::New
    };
    Ok(PasswordGuess { attempt, applicant: QueuedCaller::new(priority, device) })
}

/// Redis gets fingerprints, never addresses.
fn subject(name: &str) -> String {
    hex::encode(&token::hash_token(name)[..16])
}

//! Mail to people, in their language.
//!
//! A service [posts](post) a [`Letter`] in the transaction of the change that it is about, as a [job](job). A worker composes it ([`compose`], with
//! the texts of [`texts`]) and hands it to the mail server or, where none is configured, writes it to a file ([`transport`]). The job holds no
//! token: the worker makes the one for the letter's link when it sends and stores its fingerprint; a retry replaces it.

mod compose;
mod job;
#[cfg(test)]
mod tests;
mod texts;
mod transport;

use std::time::Duration;

use appcore::{AppError, Language, Place, Timestamp, UserId, auth::Email};
use dbcontext::query::mail_tokens::Purpose;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{attempts::Quota, jobs};

pub(crate) use job::MailJob;
pub(crate) use transport::Mailer;

/// How long the link of a mail is good.
const VERIFICATION: Duration = Duration::from_secs(24 * 3_600);
const PASSWORD_RESET: Duration = Duration::from_secs(3_600);
/// How many letters of a kind one address gets: strangers can ask for most of them.
const MOST: Quota = Quota { limit: 10, window: Duration::from_secs(3_600) };

/// Who gets a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    User(UserId),
    /// The account with this address, if any. The worker looks it up, so that neither the answer nor its timing reveals whether there is one.
    Account(Email),
    /// An address that need not have an account.
    Address {
        email: Email,
        language: Language,
    },
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Letter {
    /// Confirm your address; only where it is not proven yet.
    Verification,
    PasswordReset,
    Invitation {
        invitation_id: Uuid,
        workspace: String,
        inviter: String,
        expires_at: Timestamp,
    },
    /// A sign-in through a provider has the address of an account that never verified it.
    Claim {
        provider: String,
        /// What is to happen on proof.
        pending: Uuid,
    },
    /// A sign-in from a new device or place.
    NewDevice {
        user_agent: Option<String>,
        address: Option<String>,
        /// Where that is. Letters of older versions say nothing of it.
        #[serde(default)]
        place: Option<Place>,
        at: Timestamp,
    },
    PasswordChanged {
        at: Timestamp,
    },
    /// A sign-up with the address of an existing account.
    SignUpAttempt,
}

/// A link in a letter, before it has its token.
struct Link {
    purpose: Purpose,
    subject: Uuid,
    page: &'static str,
    expires_at: Timestamp,
}

impl Letter {
    const fn name(&self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::Invitation { .. } => "invitation",
            Self::Claim { .. } => "claim",
            Self::NewDevice { .. } => "new_device",
            Self::PasswordChanged { .. } => "password_changed",
            Self::SignUpAttempt => "sign_up_attempt",
        }
    }

    fn link(&self, user: Option<UserId>, now: Timestamp) -> Option<Link> {
        let of_user = |purpose, page, lifetime| {
            user.map(|user| Link { purpose, subject: user.0, page, expires_at: now.plus(lifetime) })
        };
        match self {
            Self::Verification => of_user(Purpose::Verification, "verify-email", VERIFICATION),
            Self::PasswordReset => of_user(Purpose::PasswordReset, "reset-password", PASSWORD_RESET),
            Self::Invitation { invitation_id, expires_at, .. } => Some(Link {
                purpose: Purpose::Invitation,
                subject: *invitation_id,
                page: "invite",
                expires_at: *expires_at,
            }),
            Self::Claim { pending, .. } => Some(Link {
                purpose: Purpose::Claim,
                subject: *pending,
                page: "verify-email",
                expires_at: now.plus(PASSWORD_RESET),
            }),
            Self::NewDevice { .. } | Self::PasswordChanged { .. } | Self::SignUpAttempt => None,
        }
    }
}

/// Asks for a letter, in the caller's transaction. It is on its way within a second; [`jobs::wake`] after the commit makes haste.
pub(crate) async fn post<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    to: Recipient,
    letter: Letter,
) -> Result<(), AppError> {
    jobs::ask(db, now, &MailJob { to, letter }).await
}

//! Mail: what is written to people, in their language, and how it gets on its way.
//!
//! Whoever has something to say [posts](post) a [`Letter`] in the transaction that makes it true. A job carries it from there
//! ([`job`]): a worker writes it ([`compose`], with the texts of [`texts`]) and hands it to the mail server, or, where none is
//! configured, puts it into a file ([`transport`]). A job holds no token: the worker makes the one for the letter's link when it sends,
//! and stores what is kept of it; when it has to send again, the newer token takes the place of the one before.

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
    /// Whoever has an account with this address, which the worker finds out: so nobody can tell from an answer, or from how long it
    /// takes, whether there is one.
    Account(Email),
    /// Somebody who need not have an account.
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
    /// Somebody signs in through a provider with an address whose account was never proven to be theirs.
    Claim {
        provider: String,
        /// What is to happen on proof.
        pending: Uuid,
    },
    /// Somebody signed in from where nobody had.
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
    /// Somebody wanted to create an account with an address that has one.
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

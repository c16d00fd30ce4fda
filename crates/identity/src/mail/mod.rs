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

use appcore::{
    AppError, Clock, JobId, Language, GeoLocation, Timestamp, UserId, auth::Email, config::Config, view::StoppedTopUp,
};
use dbcontext::query::mail_tokens::Purpose;
use platform::throttle::Quota;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::IdentityService;

pub use job::{MailJob, send_listed};
pub use transport::{Mailer, sends_password_in_clear};

/// How long the link of a mail is good.
const VERIFICATION: Duration = Duration::from_secs(24 * 3_600);
pub const PASSWORD_RESET: Duration = Duration::from_secs(3_600);
/// For somebody who has been given an account.
pub const WELCOME: Duration = Duration::from_secs(7 * 86_400);
/// How many letters of a kind one address gets: strangers can ask for most of them.
const MOST: Quota = Quota { limit: 10, window: Duration::from_secs(3_600) };

/// Whether the mail server of the settings takes us; false where none is set.
pub async fn probe(config: &Config) -> anyhow::Result<bool> {
    Mailer::build(config, Clock::system())?.probe().await
}

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
pub enum MailContent {
    /// Confirm your address; only where it is not proven yet.
    Verification,
    PasswordReset,
    /// An administrator has made an account for them.
    Welcome,
    /// An administrator wants to know whether mail arrives.
    Test,
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
        place: Option<GeoLocation>,
        at: Timestamp,
    },
    PasswordChanged {
        at: Timestamp,
    },
    /// An administrator has suspended their account.
    Suspended {
        at: Timestamp,
    },
    /// They are let in again.
    Restored,
    /// An administrator has taken their authenticator away.
    SecondFactorRemoved {
        at: Timestamp,
    },
    /// A sign-up with the address of an existing account.
    SignUpAttempt,
    /// A payment was made. `number` is its receipt's; `page` is where it is seen, here and below.
    Paid {
        plan: String,
        amount: String,
        number: String,
        page: String,
    },
    /// Money went back. `number` is the credit note's.
    Refunded {
        amount: String,
        number: String,
        page: String,
    },
    /// What was to be charged for the next period was declined.
    ChargeFailed {
        plan: String,
        amount: String,
        again_at: Option<Timestamp>,
        until: Timestamp,
        page: String,
    },
    /// A period is over, and nobody has paid the next one.
    PlanUnpaid {
        plan: String,
        until: Timestamp,
        page: String,
    },
    PlanEnded {
        plan: String,
        page: String,
    },
    /// A period ends soon: it has to be paid by hand.
    PlanExpiring {
        plan: String,
        amount: String,
        at: Timestamp,
        page: String,
    },
    /// A period ends soon: the next one is charged by itself.
    PlanRenewing {
        plan: String,
        amount: String,
        at: Timestamp,
        page: String,
    },
    TrialEnding {
        plan: String,
        at: Timestamp,
        page: String,
    },
    /// Few credits are left: on a workspace's account, where one is named.
    CreditsLow {
        workspace: Option<String>,
        credits: String,
        page: String,
    },
    /// Credits are not bought by themselves any more.
    TopUpStopped {
        why: StoppedTopUp,
        page: String,
    },
    /// What somebody has missed. It is sent as soon as it is written.
    Missed {
        count: usize,
        /// One on each line.
        lines: String,
        page: String,
    },
    /// Something that the administrators announce.
    Announcement {
        title: String,
        /// Markdown, which reads well as it is.
        body: String,
        page: String,
    },
}

/// A link in a letter, before it has its token.
struct MailLink {
    purpose: Purpose,
    subject: Uuid,
    page: &'static str,
    expires_at: Timestamp,
}

impl MailContent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::PasswordReset => "password_reset",
            Self::Welcome => "welcome",
            Self::Test => "test",
            Self::Invitation { .. } => "invitation",
            Self::Claim { .. } => "claim",
            Self::NewDevice { .. } => "new_device",
            Self::PasswordChanged { .. } => "password_changed",
            Self::Suspended { .. } => "suspended",
            Self::Restored => "restored",
            Self::SecondFactorRemoved { .. } => "second_factor_removed",
            Self::SignUpAttempt => "sign_up_attempt",
            Self::Paid { .. } => "paid",
            Self::Refunded { .. } => "refunded",
            Self::ChargeFailed { .. } => "charge_failed",
            Self::PlanUnpaid { .. } => "plan_unpaid",
            Self::PlanEnded { .. } => "plan_ended",
            Self::PlanExpiring { .. } => "plan_expiring",
            Self::PlanRenewing { .. } => "plan_renewing",
            Self::TrialEnding { .. } => "trial_ending",
            Self::CreditsLow { .. } => "credits_low",
            Self::TopUpStopped { .. } => "top_up_stopped",
            Self::Missed { .. } => "missed",
            Self::Announcement { .. } => "announcement",
        }
    }

    /// The page that it links to, where no token is needed for it: letters that strangers can't ask for.
    fn page(&self) -> Option<&str> {
        match self {
            Self::Paid { page, .. }
            | Self::Refunded { page, .. }
            | Self::ChargeFailed { page, .. }
            | Self::PlanUnpaid { page, .. }
            | Self::PlanEnded { page, .. }
            | Self::PlanExpiring { page, .. }
            | Self::PlanRenewing { page, .. }
            | Self::TrialEnding { page, .. }
            | Self::CreditsLow { page, .. }
            | Self::TopUpStopped { page, .. }
            | Self::Missed { page, .. }
            | Self::Announcement { page, .. } => Some(page),
            _ => None,
        }
    }

    fn link(&self, user: Option<UserId>, now: Timestamp) -> Option<MailLink> {
        let of_user = |purpose, page, lifetime| {
            user.map(|user| MailLink { purpose, subject: user.0, page, expires_at: now.plus(lifetime) })
        };
        match self {
            Self::Verification => of_user(Purpose::Verification, "verify-email", VERIFICATION),
            Self::PasswordReset => of_user(Purpose::PasswordReset, "reset-password", PASSWORD_RESET),
            Self::Welcome => of_user(Purpose::PasswordReset, "reset-password", WELCOME),
            Self::Invitation { invitation_id, expires_at, .. } => Some(MailLink {
                purpose: Purpose::Invitation,
                subject: *invitation_id,
                page: "invite",
                expires_at: *expires_at,
            }),
            Self::Claim { pending, .. } => Some(MailLink {
                purpose: Purpose::Claim,
                subject: *pending,
                page: "verify-email",
                expires_at: now.plus(PASSWORD_RESET),
            }),
            _ => None,
        }
    }
}

/// Sends a letter to show that mail arrives, at once. The error is what the mail server said.
pub async fn try_out(service: &IdentityService, to: &Email, language: Language) -> Result<(), String> {
    let written = compose::write(&MailContent::Test, language, &service.config.server.public_host(), None);
    let written = written.map_err(|error| error.to_string())?;
    match service.mailer.send(JobId::new(), to, written).await {
        Ok(()) => Ok(()),
        Err(transport::SendError::Rejected(reason)) => Err(reason),
        Err(transport::SendError::Temporary(cause)) => Err(format!("{cause:#}")),
    }
}

/// Asks for a letter, in the caller's transaction. It is on its way within a second; [`jobs::wake`] after the commit makes haste.
pub async fn post<C: ConnectionTrait>(db: &C, now: Timestamp, to: Recipient, letter: MailContent) -> Result<(), AppError> {
    jobs::ask(db, now, &MailJob { to, letter }).await
}

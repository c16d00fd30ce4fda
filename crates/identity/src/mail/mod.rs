//! Mails to users, in their language.
//!
//! A service [posts](post) a [`MailContent`] in the transaction of the change that it is about, as a [job](job). A worker
//! composes it ([`compose`], with the texts of [`texts`]) and sends it to the mail server or, if none is configured,
//! writes it to a file ([`transport`]). The job holds no token: the worker creates the token of the mail's link when
//! sending, and stores its fingerprint; a retry replaces it.

mod compose;
mod job;
#[cfg(test)]
mod tests;
mod texts;
mod transport;

use std::time::Duration;

use appcore::{
    AppError, Clock, GeoLocation, JobId, Language, Timestamp, UserId, auth::Email, config::Config, view::StoppedTopUp,
};
use dbcontext::query::mail_tokens::Purpose;
use platform::throttle::Quota;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::IdentityService;

pub use job::{MailJob, send_subscription_mail};
pub use transport::{Mailer, sends_password_in_clear};

/// Lifetime of a verification link.
const VERIFICATION_TTL: Duration = Duration::from_secs(24 * 3_600);
pub const PASSWORD_RESET_TTL: Duration = Duration::from_secs(3_600);
/// Lifetime of the link to set the first password of an account created by an administrator.
pub const WELCOME_TTL: Duration = Duration::from_secs(7 * 86_400);
/// Rate limit of mails of one kind per address, because strangers can trigger most of them.
const ADDRESS_QUOTA: Quota = Quota { limit: 10, window: Duration::from_secs(3_600) };

/// Tests the connection to the configured mail server; false if there is none.
pub async fn probe(config: &Config) -> anyhow::Result<bool> {
    Mailer::build(config, Clock::system())?.probe().await
}

/// Recipient of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    User(UserId),
    /// The account with this address, if any. The worker looks it up, so that neither the answer nor its timing reveals
    /// whether there is one.
    Account(Email),
    /// An address without an account, or with one.
    Address {
        email: Email,
        language: Language,
    },
}

/// Kind of mail, with its data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailContent {
    /// Address verification; skipped if the address is already verified.
    Verification,
    PasswordReset,
    /// An administrator has created an account.
    Welcome,
    /// Test mail requested by an administrator.
    Test,
    Invitation {
        invitation_id: Uuid,
        workspace: String,
        inviter: String,
        expires_at: Timestamp,
    },
    /// A sign-in by a provider has the address of an account that never verified it.
    Claim {
        provider: String,
        /// Id of the pending claim.
        pending: Uuid,
    },
    /// Sign-in from a new device or network.
    NewDevice {
        user_agent: Option<String>,
        address: Option<String>,
        /// Approximate location; missing in jobs of older versions.
        #[serde(default)]
        place: Option<GeoLocation>,
        at: Timestamp,
    },
    PasswordChanged {
        at: Timestamp,
    },
    /// An administrator has suspended the account.
    Suspended {
        at: Timestamp,
    },
    /// An administrator has restored the account.
    Restored,
    /// An administrator has removed the second factor.
    SecondFactorRemoved {
        at: Timestamp,
    },
    /// Sign-up with the address of an existing account.
    SignUpAttempt,
    /// A payment was made. `number` is the receipt number; `page` is the path of the linked page, as in the following
    /// kinds.
    Paid {
        plan: String,
        amount: String,
        number: String,
        page: String,
    },
    /// A refund was made. `number` is the credit note number.
    Refunded {
        amount: String,
        number: String,
        page: String,
    },
    /// The charge for the next period was declined.
    ChargeFailed {
        plan: String,
        amount: String,
        again_at: Option<Timestamp>,
        until: Timestamp,
        page: String,
    },
    /// The period is over, and the next one is not paid.
    PlanUnpaid {
        plan: String,
        until: Timestamp,
        page: String,
    },
    PlanEnded {
        plan: String,
        page: String,
    },
    /// The period ends soon, and the next one must be paid manually.
    PlanExpiring {
        plan: String,
        amount: String,
        at: Timestamp,
        page: String,
    },
    /// The period ends soon, and the next one is charged automatically.
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
    /// Low balance, of a workspace if one is named.
    CreditsLow {
        workspace: Option<String>,
        credits: String,
        page: String,
    },
    /// The automatic top-up has stopped.
    TopUpStopped {
        why: StoppedTopUp,
        page: String,
    },
    /// Digest of missed events. Composed and sent immediately.
    Missed {
        count: usize,
        /// Events, separated by line breaks.
        lines: String,
        page: String,
    },
    /// Announcement by the administrators.
    Announcement {
        title: String,
        /// Markdown, used as plain text.
        body: String,
        page: String,
    },
}

/// Link of a mail, before the token is created.
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

    /// Path of the linked page, for mails without a token. Strangers can't trigger these mails.
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
            Self::Verification => of_user(Purpose::Verification, "verify-email", VERIFICATION_TTL),
            Self::PasswordReset => of_user(Purpose::PasswordReset, "reset-password", PASSWORD_RESET_TTL),
            Self::Welcome => of_user(Purpose::PasswordReset, "reset-password", WELCOME_TTL),
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
                expires_at: now.plus(PASSWORD_RESET_TTL),
            }),
            _ => None,
        }
    }
}

/// Sends a test mail immediately. The error is the mail server's answer.
pub async fn send_test(service: &IdentityService, to: &Email, language: Language) -> Result<(), String> {
    let written = compose::compose_mail(&MailContent::Test, language, &service.config.server.public_host(), None);
    let written = written.map_err(|error| error.to_string())?;
    match service.mailer.send(JobId::new(), to, written).await {
        Ok(()) => Ok(()),
        Err(transport::SendError::Rejected(reason)) => Err(reason),
        Err(transport::SendError::Temporary(cause)) => Err(format!("{cause:#}")),
    }
}

/// Enqueues a mail in the caller's transaction. It is sent within a second; [`jobs::wake`] after the commit speeds this
/// up.
pub async fn enqueue<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    to: Recipient,
    letter: MailContent,
) -> Result<(), AppError> {
    jobs::enqueue(db, now, &MailJob { to, letter }).await
}

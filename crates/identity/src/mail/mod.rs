//! Mails to users, in their language.
//!
//! A service [enqueues](post) a [`MailContent`] as a [job](job), in the transaction of the change
//! that the mail is about. A worker composes it ([`compose`], with the texts of [`texts`]) and
//! sends it to the mail server or, if none is configured, writes it to a file ([`transport`]). The
//! job contains no token: the worker creates the token of the mail's link when it sends the mail,
//! and stores the token's fingerprint. A retry replaces both.

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

pub use job::{MailJob, send_subscription_mail};
pub use transport::{Mailer, sends_password_in_clear, server_address};

/// Lifetime of a verification link.
const VERIFICATION_TTL: Duration = Duration::from_secs(24 * 3_600);
/// Lifetime of a change of the email address and of its links.
pub const EMAIL_CHANGE_TTL: Duration = Duration::from_secs(24 * 3_600);
pub const PASSWORD_RESET_TTL: Duration = Duration::from_secs(3_600);
/// Lifetime of the link to set the first password of an account created by an administrator.
pub const WELCOME_TTL: Duration = Duration::from_secs(7 * 86_400);
/// Limit on mails of one kind per address. It is needed because strangers can trigger most of them.
const ADDRESS_QUOTA: Quota = Quota { limit: 10, window: Duration::from_secs(3_600) };

/// Tests the connection to the configured mail server. Returns false if none is configured.
pub async fn probe(config: &Config) -> anyhow::Result<bool> {
    Mailer::build(config, Clock::system())?.probe().await
}

/// Recipient of a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    User(UserId),
    /// Account with this address, if there is one. The worker looks it up, so that neither the
    /// response nor its timing reveals whether there is one.
    Account(Email),
    /// Address, whether or not it belongs to an account.
    Address {
        email: Email,
        language: Language,
    },
}

/// Kind of mail, with the values for its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailContent {
    /// Address verification; skipped if the address is already verified.
    Verification,
    PasswordReset,
    /// Notice that an administrator has created an account for the recipient.
    Welcome,
    /// Test mail requested by an administrator.
    Test,
    Invitation {
        invitation_id: Uuid,
        workspace: String,
        inviter: String,
        expires_at: Timestamp,
    },
    /// Offer to claim an account: a provider sign-in has the address of an account that never
    /// verified it.
    Claim {
        provider: String,
        /// Id of the pending claim.
        pending: Uuid,
    },
    /// Sign-in from a new device or network.
    NewDevice {
        user_agent: Option<String>,
        address: Option<String>,
        /// Approximate location. It is missing in jobs of older versions.
        #[serde(default)]
        place: Option<GeoLocation>,
        at: Timestamp,
    },
    PasswordChanged {
        at: Timestamp,
    },
    /// Link for the new address that confirms a change of the email address.
    EmailChangeNew {
        /// Id of the pending change.
        pending: Uuid,
    },
    /// Link for the current address that confirms a change of the email address.
    EmailChangeCurrent {
        /// Id of the pending change.
        pending: Uuid,
        new_address: Email,
    },
    /// Notice to the previous address.
    EmailChanged {
        at: Timestamp,
        new_address: Email,
    },
    /// Notice that an administrator has suspended the account.
    Suspended {
        at: Timestamp,
    },
    /// Notice that an administrator has restored the account.
    Restored,
    /// Notice that an administrator has removed the second factor.
    SecondFactorRemoved {
        at: Timestamp,
    },
    /// Notice to the owner of an account that somebody tried to sign up with its address.
    SignUpAttempt,
    /// Notice of a payment. `number` is the receipt number. `page` is the path of the linked page,
    /// as in the following kinds.
    Paid {
        plan: String,
        amount: String,
        number: String,
        page: String,
    },
    /// Notice of a refund. `number` is the credit note number.
    Refunded {
        amount: String,
        number: String,
        page: String,
    },
    /// Notice that the charge for the next period was declined.
    ChargeFailed {
        plan: String,
        amount: String,
        again_at: Option<Timestamp>,
        until: Timestamp,
        page: String,
    },
    /// Notice that the period is over and the next one is not paid.
    PlanUnpaid {
        plan: String,
        until: Timestamp,
        page: String,
    },
    PlanEnded {
        plan: String,
        page: String,
    },
    /// Notice that the period ends soon and the next one must be paid manually.
    PlanExpiring {
        plan: String,
        amount: String,
        at: Timestamp,
        page: String,
    },
    /// Notice that the period ends soon and the next one is charged automatically.
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
    /// Notice of a low credit balance; of a workspace if one is named, otherwise of the user.
    CreditsLow {
        workspace: Option<String>,
        credits: String,
        page: String,
    },
    /// Notice that the automatic top-up has stopped.
    TopUpStopped {
        why: StoppedTopUp,
        page: String,
    },
    /// Digest of missed events. It is composed and sent at once, not as a job.
    Missed {
        count: usize,
        /// Events, separated by line breaks.
        lines: String,
        page: String,
    },
    /// Announcement by the administrators.
    Announcement {
        title: String,
        /// Markdown source, which is sent as plain text.
        body: String,
        page: String,
    },
}

/// Purpose and lifetime of a mail's link, before its token is created.
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
            Self::EmailChangeNew { .. } => "email_change_new",
            Self::EmailChangeCurrent { .. } => "email_change_current",
            Self::EmailChanged { .. } => "email_changed",
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

    /// Path of the linked page, for mails whose link has no token. Strangers can't trigger these
    /// mails.
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
        let of_change = |purpose, pending| MailLink {
            purpose,
            subject: pending,
            page: "confirm-email",
            expires_at: now.plus(EMAIL_CHANGE_TTL),
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
            Self::EmailChangeNew { pending } => Some(of_change(Purpose::EmailChangeNew, *pending)),
            Self::EmailChangeCurrent { pending, .. } => Some(of_change(Purpose::EmailChangeCurrent, *pending)),
            _ => None,
        }
    }
}

/// Sends a test mail at once. The error is the mail server's response.
pub async fn send_test(config: &Config, mailer: &Mailer, to: &Email, language: Language) -> Result<(), String> {
    let written = compose::compose_mail(&MailContent::Test, language, &config.server.public_host(), None);
    let written = written.map_err(|error| error.to_string())?;
    match mailer.send(JobId::new(), to, written).await {
        Ok(()) => Ok(()),
        Err(transport::SendError::Rejected(reason)) => Err(reason),
        Err(transport::SendError::Temporary(cause)) => Err(format!("{cause:#}")),
    }
}

/// Enqueues a mail in the caller's transaction. It is sent within a second, or at once if the
/// caller wakes the workers after the commit.
pub async fn enqueue<C: ConnectionTrait>(
    db: &C,
    now: Timestamp,
    to: Recipient,
    letter: MailContent,
) -> Result<(), AppError> {
    jobs::enqueue(db, now, &MailJob { to, letter }).await
}

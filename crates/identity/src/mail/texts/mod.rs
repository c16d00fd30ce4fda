//! Mail texts, one file per language. A missing text is a compile error.
//!
//! Sentences are templates without markup: `{{ host }}` stands for the name of this installation,
//! other variables for the values of the mail.

mod de;
mod en;
mod es;
mod fr;
mod ja;
mod vi;

use appcore::Language;

use super::MailContent;

/// All texts of one language.
pub(super) struct Texts {
    verification: Text,
    password_reset: Text,
    welcome: Text,
    test: Text,
    invitation: Text,
    claim: Text,
    new_device: Text,
    password_changed: Text,
    email_change_new: Text,
    email_change_current: Text,
    email_changed: Text,
    suspended: Text,
    restored: Text,
    second_factor_removed: Text,
    sign_up_attempt: Text,
    paid: Text,
    refunded: Text,
    charge_failed: Text,
    plan_unpaid: Text,
    plan_ended: Text,
    plan_expiring: Text,
    plan_renewing: Text,
    trial_ending: Text,
    credits_low: Text,
    top_up_stopped: Text,
    missed: Text,
    announcement: Text,
    /// Sentence that says why the recipient gets the mail.
    pub footer: &'static str,
}

/// Texts of one mail.
pub(super) struct Text {
    pub subject: &'static str,
    /// Paragraphs before the link.
    pub before: &'static [&'static str],
    /// Label of the link.
    pub action: &'static str,
    pub after: &'static [&'static str],
}

pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::En => &en::TEXTS,
        Language::De => &de::TEXTS,
        Language::Es => &es::TEXTS,
        Language::Fr => &fr::TEXTS,
        Language::Ja => &ja::TEXTS,
        Language::Vi => &vi::TEXTS,
    }
}

impl Texts {
    pub(super) fn of_letter(&self, letter: &MailContent) -> &Text {
        match letter {
            MailContent::Verification => &self.verification,
            MailContent::PasswordReset => &self.password_reset,
            MailContent::Welcome => &self.welcome,
            MailContent::Test => &self.test,
            MailContent::Invitation { .. } => &self.invitation,
            MailContent::Claim { .. } => &self.claim,
            MailContent::NewDevice { .. } => &self.new_device,
            MailContent::PasswordChanged { .. } => &self.password_changed,
            MailContent::EmailChangeNew { .. } => &self.email_change_new,
            MailContent::EmailChangeCurrent { .. } => &self.email_change_current,
            MailContent::EmailChanged { .. } => &self.email_changed,
            MailContent::Suspended { .. } => &self.suspended,
            MailContent::Restored => &self.restored,
            MailContent::SecondFactorRemoved { .. } => &self.second_factor_removed,
            MailContent::SignUpAttempt => &self.sign_up_attempt,
            MailContent::Paid { .. } => &self.paid,
            MailContent::Refunded { .. } => &self.refunded,
            MailContent::ChargeFailed { .. } => &self.charge_failed,
            MailContent::PlanUnpaid { .. } => &self.plan_unpaid,
            MailContent::PlanEnded { .. } => &self.plan_ended,
            MailContent::PlanExpiring { .. } => &self.plan_expiring,
            MailContent::PlanRenewing { .. } => &self.plan_renewing,
            MailContent::TrialEnding { .. } => &self.trial_ending,
            MailContent::CreditsLow { .. } => &self.credits_low,
            MailContent::TopUpStopped { .. } => &self.top_up_stopped,
            MailContent::Missed { .. } => &self.missed,
            MailContent::Announcement { .. } => &self.announcement,
        }
    }
}

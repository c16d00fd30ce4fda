//! The texts of letters, one file per language. A text that is missing does not compile.
//!
//! Sentences are templates: `{{ host }}` is the name of this installation, other values are those of the letter. They hold no markup.

mod de;
mod en;
mod vi;

use appcore::Language;

use super::Letter;

/// All that is written in one language.
pub(super) struct Texts {
    verification: Text,
    password_reset: Text,
    welcome: Text,
    test: Text,
    invitation: Text,
    claim: Text,
    new_device: Text,
    password_changed: Text,
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
    /// Why one gets this.
    pub footer: &'static str,
}

/// One letter.
pub(super) struct Text {
    pub subject: &'static str,
    /// The paragraphs before the link.
    pub before: &'static [&'static str],
    /// What the link does.
    pub action: &'static str,
    pub after: &'static [&'static str],
}

pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::En => &en::TEXTS,
        Language::De => &de::TEXTS,
        Language::Vi => &vi::TEXTS,
    }
}

impl Texts {
    pub(super) fn of_letter(&self, letter: &Letter) -> &Text {
        match letter {
            Letter::Verification => &self.verification,
            Letter::PasswordReset => &self.password_reset,
            Letter::Welcome => &self.welcome,
            Letter::Test => &self.test,
            Letter::Invitation { .. } => &self.invitation,
            Letter::Claim { .. } => &self.claim,
            Letter::NewDevice { .. } => &self.new_device,
            Letter::PasswordChanged { .. } => &self.password_changed,
            Letter::Suspended { .. } => &self.suspended,
            Letter::Restored => &self.restored,
            Letter::SecondFactorRemoved { .. } => &self.second_factor_removed,
            Letter::SignUpAttempt => &self.sign_up_attempt,
            Letter::Paid { .. } => &self.paid,
            Letter::Refunded { .. } => &self.refunded,
            Letter::ChargeFailed { .. } => &self.charge_failed,
            Letter::PlanUnpaid { .. } => &self.plan_unpaid,
            Letter::PlanEnded { .. } => &self.plan_ended,
            Letter::PlanExpiring { .. } => &self.plan_expiring,
            Letter::PlanRenewing { .. } => &self.plan_renewing,
            Letter::TrialEnding { .. } => &self.trial_ending,
            Letter::CreditsLow { .. } => &self.credits_low,
            Letter::TopUpStopped { .. } => &self.top_up_stopped,
            Letter::Missed { .. } => &self.missed,
            Letter::Announcement { .. } => &self.announcement,
        }
    }
}

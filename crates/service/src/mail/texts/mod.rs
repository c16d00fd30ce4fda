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
    invitation: Text,
    claim: Text,
    new_device: Text,
    password_changed: Text,
    sign_up_attempt: Text,
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
            Letter::Invitation { .. } => &self.invitation,
            Letter::Claim { .. } => &self.claim,
            Letter::NewDevice { .. } => &self.new_device,
            Letter::PasswordChanged { .. } => &self.password_changed,
            Letter::SignUpAttempt => &self.sign_up_attempt,
        }
    }
}

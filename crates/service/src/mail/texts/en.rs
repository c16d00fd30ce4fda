//! English.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Verify your email",
        before: &["An account on {{ host }} was created with this email address. If that was you, verify your email:"],
        action: "Verify email",
        after: &[
            "This link works once and expires in 24 hours. On a device where you aren't signed in, you'll be asked for your password.",
            "If it wasn't you, ignore this email. No one will know you received it.",
        ],
    },
    password_reset: Text {
        subject: "Reset your password",
        before: &[
            "We received a request to reset the password for your account on {{ host }}. If that was you, choose a new one:",
        ],
        action: "Reset password",
        after: &[
            "This link works once and expires in one hour. A new password signs you out on all devices.",
            "If it wasn't you, ignore this email. Your password won't change.",
        ],
    },
    invitation: Text {
        subject: "You're invited to a workspace",
        before: &[
            "You've been invited to a workspace on {{ host }}.",
            "{% if workspace %}Workspace: \"{{ workspace }}\". {% endif %}{% if inviter %}Invited by: \"{{ inviter }}\".{% endif %}",
        ],
        action: "View invitation",
        after: &[
            "The invitation is for this email address only and expires on {{ time }}.",
            "If you don't know this person, ignore this email.",
        ],
    },
    claim: Text {
        subject: "Is this your account?",
        before: &[
            "Someone signed in to {{ host }} through {{ provider }} with this email address. An account with it already exists, but the address was never verified.",
            "If that was you, claim the account:",
        ],
        action: "Claim account",
        after: &[
            "This link works once and expires in one hour. Claiming the account removes its current password and signs out all its devices.",
            "If it wasn't you, ignore this email.",
        ],
    },
    new_device: Text {
        subject: "New sign-in to your account",
        before: &[
            "Your account on {{ host }} was used to sign in from a new device or location.",
            "Time: {{ time }}{% if address %}. IP address: {{ address }}{% endif %}{% if place %}. Location: {{ place }}{% endif %}{% if user_agent %}. Device: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "If that was you, you don't need to do anything.",
            "If it wasn't you, change your password in Settings, then sign out all other devices under Devices.",
        ],
    },
    password_changed: Text {
        subject: "Your password was changed",
        before: &["The password for your account on {{ host }} was changed on {{ time }}."],
        action: "",
        after: &[
            "If that was you, you don't need to do anything.",
            "If it wasn't you, reset your password on the sign-in page right away.",
        ],
    },
    sign_up_attempt: Text {
        subject: "You already have an account",
        before: &[
            "Someone tried to create an account on {{ host }} with this email address, but you already have one.",
            "If that was you, sign in instead. Forgot your password? Reset it on the sign-in page.",
        ],
        action: "",
        after: &["If it wasn't you, ignore this email. Your account hasn't changed."],
    },
    footer: "Sent by Natter on {{ host }}. Replies to this email aren't read.",
};

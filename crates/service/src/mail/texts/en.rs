//! English.

use super::{Text, Texts};

pub(super) const TEXTS: Texts = Texts {
    verification: Text {
        subject: "Confirm your e-mail address",
        before: &["Somebody created an account at {{ host }} with this e-mail address. If that was you, confirm it:"],
        action: "Confirm the address",
        after: &[
            "The link is good for 24 hours and works once. You will be asked to sign in again.",
            "If that was not you, do nothing: nobody learns that you got this mail.",
        ],
    },
    password_reset: Text {
        subject: "Choose a new password",
        before: &["Somebody asked for a new password for your account at {{ host }}. If that was you, choose one:"],
        action: "Choose a new password",
        after: &[
            "The link is good for one hour and works once. All your devices will be signed out.",
            "If that was not you, do nothing: your password stays as it is.",
        ],
    },
    invitation: Text {
        subject: "{{ inviter }} invites you to {{ workspace }}",
        before: &["{{ inviter }} invites you to the workspace \"{{ workspace }}\" at {{ host }}."],
        action: "See the invitation",
        after: &[
            "The invitation is good until {{ time }}, for this e-mail address only.",
            "If you don't know who that is, do nothing.",
        ],
    },
    claim: Text {
        subject: "Is this your account?",
        before: &[
            "Somebody signed in at {{ host }} through {{ provider }} with this e-mail address. There is an account with the address already, but nobody has ever confirmed it.",
            "If you signed in, take the account over:",
        ],
        action: "This is my account",
        after: &[
            "The link is good for one hour and works once. The password that the account has now, and everybody who is signed in to it, will be out.",
            "If that was not you, do nothing.",
        ],
    },
    new_device: Text {
        subject: "New sign-in to your account",
        before: &[
            "Somebody signed in to your account at {{ host }} from a device or a place that we had not seen before.",
            "Time: {{ time }}{% if address %}. Address: {{ address }}{% endif %}{% if place %}. Place: {{ place }}{% endif %}{% if user_agent %}. Device: {{ user_agent }}{% endif %}",
        ],
        action: "",
        after: &[
            "If that was you, there is nothing to do.",
            "If not, change your password and sign all other devices out, in the settings under Devices.",
        ],
    },
    password_changed: Text {
        subject: "Your password was changed",
        before: &["The password of your account at {{ host }} was changed at {{ time }}."],
        action: "",
        after: &[
            "If that was you, there is nothing to do.",
            "If not, ask for a new password on the sign-in page at once.",
        ],
    },
    sign_up_attempt: Text {
        subject: "You have an account already",
        before: &[
            "Somebody tried to create an account at {{ host }} with this e-mail address, but you have one already.",
            "If that was you, sign in instead; on the sign-in page you can ask for a new password.",
        ],
        action: "",
        after: &["If that was not you, do nothing: your account stays as it is."],
    },
    footer: "This mail was sent by Natter at {{ host }}. Nobody reads answers to it.",
};

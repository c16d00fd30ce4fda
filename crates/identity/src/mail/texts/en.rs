//! English texts.

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
    welcome: Text {
        subject: "You have an account on {{ host }}",
        before: &["An admin of {{ host }} has created an account with this email address for you. Choose a password:"],
        action: "Choose a password",
        after: &[
            "This link works once and expires in 7 days. After that, use \"Forgot password?\" on the sign-in page.",
            "If you weren't expecting this, ignore this email.",
        ],
    },
    test: Text {
        subject: "Email from {{ host }} works",
        before: &["You asked {{ host }} for a test message. It arrived, so people will get theirs too."],
        action: "",
        after: &[],
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
    email_change_new: Text {
        subject: "Confirm your new email address",
        before: &["You asked to use this email address for your account on {{ host }}. Confirm it:"],
        action: "Confirm email address",
        after: &[
            "This link works once and expires in 24 hours. If your current address is verified, it has to confirm the change too.",
            "If it wasn't you, ignore this email.",
        ],
    },
    email_change_current: Text {
        subject: "Confirm the change of your email address",
        before: &[
            "You asked to change the email address of your account on {{ host }} to {{ new_address }}. If that was you, confirm it here too:",
        ],
        action: "Confirm the change",
        after: &[
            "This link works once and expires in 24 hours.",
            "If it wasn't you, don't open the link. Change your password in Settings right away: that cancels the change.",
        ],
    },
    email_changed: Text {
        subject: "Your email address was changed",
        before: &[
            "The email address of your account on {{ host }} was changed to {{ new_address }} on {{ time }}. From now on, emails go there, and you sign in with it.",
        ],
        action: "",
        after: &[
            "If that was you, you don't need to do anything.",
            "If it wasn't you, tell an admin of {{ host }} right away.",
        ],
    },
    suspended: Text {
        subject: "Your account is suspended",
        before: &[
            "An admin of {{ host }} suspended your account on {{ time }}. You can't sign in, and programs with your API keys are refused.",
        ],
        action: "",
        after: &["Nothing was deleted. If you think this is a mistake, ask an admin of {{ host }}."],
    },
    restored: Text {
        subject: "Your account works again",
        before: &[
            "An admin of {{ host }} has restored your account. Everything is as you left it, and your API keys work again.",
        ],
        action: "",
        after: &["Sign in as before."],
    },
    second_factor_removed: Text {
        subject: "Two-step verification was removed",
        before: &[
            "An admin of {{ host }} removed two-step verification from your account on {{ time }}. Your recovery codes no longer work.",
        ],
        action: "",
        after: &[
            "If you asked for that, sign in and set it up again in Settings.",
            "If you didn't, change your password right away and tell an admin of {{ host }}.",
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
    paid: Text {
        subject: "Receipt {{ number }}",
        before: &[
            "Thank you. We received {{ amount }} for{% if plan %} {{ plan }}{% else %} your plan{% endif %} on {{ host }}. Your receipt number is {{ number }}.",
        ],
        action: "View payment and receipt",
        after: &[],
    },
    refunded: Text {
        subject: "Refund of {{ amount }}",
        before: &[
            "We refunded {{ amount }} that you paid on {{ host }} to your payment method. Your credit note number is {{ number }}.",
        ],
        action: "View payment",
        after: &["Your bank may take a few days to show it."],
    },
    charge_failed: Text {
        subject: "Your payment was declined",
        before: &[
            "We couldn't charge {{ amount }} for{% if plan %} {{ plan }}{% else %} your plan{% endif %} on {{ host }}.",
            "{% if again %}We'll try again on {{ again }}. {% endif %}Your plan works until {{ time }}.",
        ],
        action: "Pay now",
        after: &["If you don't want to keep the plan, you don't need to do anything."],
    },
    plan_unpaid: Text {
        subject: "Your plan is waiting for payment",
        before: &[
            "The billing period of{% if plan %} {{ plan }}{% else %} your plan{% endif %} on {{ host }} has ended. The plan still works until {{ time }}.",
        ],
        action: "Pay now",
        after: &["If you don't want to keep the plan, you don't need to do anything."],
    },
    plan_ended: Text {
        subject: "Your plan has ended",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Your plan{% endif %} on {{ host }} has ended. You keep your account, your chats and the credits you bought.",
        ],
        action: "Choose a plan",
        after: &[],
    },
    plan_expiring: Text {
        subject: "Your plan ends soon",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Your plan{% endif %} on {{ host }} ends on {{ time }}. To keep it, pay the next period{% if amount %}: {{ amount }}{% endif %}.",
        ],
        action: "Pay now",
        after: &["Nothing is charged automatically."],
    },
    plan_renewing: Text {
        subject: "Your plan renews soon",
        before: &[
            "{% if plan %}{{ plan }}{% else %}Your plan{% endif %} on {{ host }} renews on {{ time }}. {% if amount %}{{ amount }} will be charged to your saved payment method.{% endif %}",
        ],
        action: "Manage your plan",
        after: &["If you don't want that, cancel before then. You keep the plan until the end of the period."],
    },
    trial_ending: Text {
        subject: "Your trial ends soon",
        before: &[
            "Your trial of{% if plan %} {{ plan }}{% else %} the plan{% endif %} on {{ host }} ends on {{ time }}. Nothing is charged.",
        ],
        action: "Keep the plan",
        after: &[],
    },
    credits_low: Text {
        subject: "Your credits are running low",
        before: &[
            "{% if workspace %}The workspace {{ workspace }} on {{ host }} has {{ credits }} credit{% if credits != '1' %}s{% endif %} left. When they are used up, its members pay with their own.{% else %}You have {{ credits }} credit{% if credits != '1' %}s{% endif %} left on {{ host }}.{% endif %}",
        ],
        action: "Buy credits",
        after: &["On the same page, you can choose when to get this email and turn on automatic top-up."],
    },
    top_up_stopped: Text {
        subject: "Credits are no longer bought automatically",
        before: &[
            "{% if why == 'declined' %}Your payment was declined, so automatic top-up on {{ host }} is off. You won't be charged again.{% elif why == 'method_removed' %}Automatic top-up on {{ host }} is off because its payment method was removed.{% elif why == 'plan_withdrawn' %}Automatic top-up on {{ host }} is off because its credits are no longer sold at this price.{% else %}Automatic top-up on {{ host }} has reached your limit for this month. It continues next month.{% endif %}",
        ],
        action: "View credits",
        after: &[],
    },
    missed: Text {
        subject: "{{ count }} unread on {{ host }}",
        before: &["You've missed:", "{{ lines }}"],
        action: "Open your activity",
        after: &[
            "To reply, open Natter. Replies to this email don't reach anyone.",
            "You get one email for everything you miss. Change this in Settings, under Notifications.",
        ],
    },
    announcement: Text {
        subject: "An announcement on {{ host }}",
        before: &["{{ title }}", "{{ body }}"],
        action: "Open Natter",
        after: &[],
    },
    footer: "Sent by Natter on {{ host }}. Replies to this email aren't read.",
};

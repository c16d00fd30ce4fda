//! Table of error codes: the code in responses, the HTTP status, and the message for users.

use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $sentence:literal;)*) => {
        /// Reason for refusing a request. Each row of the table is the name in the code, the code
        /// in responses, the HTTP status and the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// All codes, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// Code in responses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code),* }
            }

            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status),* }
            }

            /// Message for users. It says what they can do.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Code::$name => $sentence),* }
            }
        }
    };
}

codes! {
    MalformedBody = "malformed_body", 400, "The request body couldn't be read. Check its format.";
    MalformedRequest = "malformed_request", 400, "The request isn't valid. Check it and try again.";
    MalformedFrame = "malformed_frame", 400, "The frame isn't valid. Check its format.";
    OauthState = "oauth_state", 400, "This sign-in timed out, started in another browser or has already finished. Start again.";
    UnknownType = "unknown_type", 400, "This command type doesn't exist.";
    TokenInvalid = "token_invalid", 400, "This link has expired or was already used. Ask for a new one.";
    Unauthenticated = "unauthenticated", 401, "Sign in first.";
    InvalidCredentials = "invalid_credentials", 401, "Wrong email or password.";
    RefreshReused = "refresh_reused", 401, "For your security, this session was ended because its token was used twice. Sign in again.";
    MfaInvalid = "mfa_invalid", 401, "That code is wrong, expired or already used. Wait for the next one, or sign in again.";
    OauthInvalid = "oauth_invalid", 401, "Couldn't verify your sign-in with this provider. Try again.";
    OutOfCredits = "out_of_credits", 402, "You don't have enough credits for this.";
    QuotaReached = "quota_reached", 402, "You've reached your plan's limit for today.";
    BudgetExceeded = "budget_exceeded", 402, "The budget for this is used up.";
    Forbidden = "forbidden", 403, "You don't have permission to do this.";
    AccountSuspended = "account_suspended", 403, "This account is suspended. Ask an admin of this server.";
    CrossSite = "cross_site", 403, "This request was blocked because it came from another site.";
    AddressBanned = "address_banned", 403, "Too many attempts from your network. Try again later.";
    OauthDenied = "oauth_denied", 403, "Sign-in wasn't completed with the provider. Try again.";
    PasswordWrong = "password_wrong", 403, "That's not your current password.";
    PasswordRequired = "password_required", 403, "Enter the account's password to verify this email.";
    FreshSignInRequired = "fresh_sign_in_required", 403, "It's been a while since you signed in. Confirm it's you, then try again.";
    ScopeMissing = "scope_missing", 403, "This API key doesn't have permission for this.";
    InvitationMismatch = "invitation_mismatch", 403, "This invitation is for a different email, or yours isn't verified yet.";
    SignupClosed = "signup_closed", 403, "Sign-up is closed here. Ask for an invitation.";
    NotAMember = "not_a_member", 403, "Join this channel first.";
    Removed = "removed", 403, "You were removed from this channel. Ask someone who manages it to add you.";
    NotFound = "not_found", 404, "This doesn't exist, or you don't have access to it.";
    MethodNotAllowed = "method_not_allowed", 405, "This endpoint doesn't support this method.";
    NotAcceptable = "not_acceptable", 406, "The response isn't available in any type you accept.";
    Conflict = "conflict", 409, "This conflicts with something that already exists.";
    EmailTaken = "email_taken", 409, "An account with this email already exists.";
    LinkRequired = "link_required", 409, "An account with this email already exists. Sign in as usual, then link the provider in Settings.";
    LastMethod = "last_method", 409, "This is your only way to sign in. Add another one first.";
    AlreadyMember = "already_member", 409, "This person is already a member.";
    LastAdmin = "last_admin", 409, "This is the last admin of this server. Make someone else an admin first.";
    OwnerMustTransfer = "owner_must_transfer", 409, "Make someone else the owner first.";
    NameTaken = "name_taken", 409, "A channel with this name already exists. Choose another name.";
    GatewayOff = "gateway_off", 409, "This payment method is turned off right now. Choose another one.";
    Stale = "stale", 409, "Someone else changed this first. Review it, then make your change again.";
    PlanChanged = "plan_changed", 409, "This plan has changed. Review it before you pay.";
    Archived = "archived", 409, "This conversation is archived. You can read it, but no one can post.";
    DefaultChannel = "default_channel", 409, "This is the workspace's default channel. Everyone stays in it.";
    ConfirmMention = "confirm_mention", 409, "This notifies many people. Send it again to confirm.";
    WrongState = "wrong_state", 409, "This can't be done right now.";
    CursorExpired = "cursor_expired", 410, "These events are no longer stored. Reload the conversation.";
    InvitationExpired = "invitation_expired", 410, "This invitation has expired or was already used. Ask for a new one.";
    TusVersion = "tus_version", 412, "Use version 1.0.0 of tus.";
    TooLarge = "too_large", 413, "This exceeds the size limit.";
    QuotaExceeded = "quota_exceeded", 413, "There's no storage left for this file.";
    UnsupportedMediaType = "unsupported_media_type", 415, "Send JSON or MessagePack.";
    TypeRefused = "type_refused", 415, "Files of this type aren't allowed here.";
    UploadConflict = "upload_conflict", 409, "The upload's offset doesn't match. Request the current offset, then continue from there.";
    WrongHost = "wrong_host", 421, "This server doesn't answer to this name. Ask your admin for its address.";
    Invalid = "invalid", 422, "Some fields aren't valid. Check them and try again.";
    TooMany = "too_many", 422, "That's too many. Choose fewer.";
    WordRefused = "word_refused", 422, "Your message contains a word that isn't allowed in this channel.";
    RateLimited = "rate_limited", 429, "Too many requests. Wait a moment, then try again.";
    TooManySignins = "too_many_signins", 429, "Too many failed attempts. Wait a while, then try again.";
    TooManyAnswers = "too_many_answers", 429, "The assistants are still answering your last messages. Wait for some of them, then try again.";
    SlowMode = "slow_mode", 429, "This channel is in slow mode. Wait a moment before you write again.";
    TooManyConnections = "too_many_connections", 429, "You have too many open connections. Close one, then try again.";
    /// The client is gone. The code only appears in the log, since there is nobody to send it to.
    ClientGone = "client_gone", 499, "The connection was closed before the response was ready.";
    Internal = "internal", 500, "Something went wrong on the server. Try again. If it keeps happening, give your admin the request ID.";
    Unavailable = "unavailable", 503, "The server is temporarily unavailable. Try again in a moment.";
    StorageFull = "storage_full", 507, "The server's storage is full, so nothing can be saved. You can still read. Ask your admin to free up space.";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_have_a_sentence() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} is a duplicate");
            assert!(code.sentence().ends_with('.'), "{code} has no sentence");
            assert!((400..=599).contains(&code.status()));
        }
    }
}

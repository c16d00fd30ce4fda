//! The table of error codes: what a program reads, with its HTTP status and the sentence that a person reads.

use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal, $sentence:literal;)*) => {
        /// Why something was refused. One row each: name, code on the wire, HTTP status, sentence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// As it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code),* }
            }

            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status),* }
            }

            /// A sentence that a person can act on.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Code::$name => $sentence),* }
            }
        }
    };
}

codes! {
    MalformedBody = "malformed_body", 400, "The request's body could not be read.";
    MalformedRequest = "malformed_request", 400, "The request could not be understood.";
    MalformedFrame = "malformed_frame", 400, "The frame could not be read.";
    OauthState = "oauth_state", 400, "This sign-in was begun elsewhere, too long ago, or is over already. Begin again.";
    UnknownType = "unknown_type", 400, "There is no command of this type.";
    TokenInvalid = "token_invalid", 400, "This link is no longer good. Ask for a new one.";
    Unauthenticated = "unauthenticated", 401, "Sign in first.";
    InvalidCredentials = "invalid_credentials", 401, "The e-mail address or the password is wrong.";
    RefreshReused = "refresh_reused", 401, "This session was ended for safety because its token was used twice. Sign in again.";
    MfaInvalid = "mfa_invalid", 401, "This code is wrong, was used before, or came too late. Try the next one, or sign in again.";
    OauthInvalid = "oauth_invalid", 401, "The sign-in by this provider failed. Try again.";
    OutOfCredits = "out_of_credits", 402, "There are not enough credits left for this.";
    Forbidden = "forbidden", 403, "You are not allowed to do this.";
    CrossSite = "cross_site", 403, "This request came from another site.";
    AddressBanned = "address_banned", 403, "Too much went wrong from your network address. Wait before you try again.";
    OauthDenied = "oauth_denied", 403, "The sign-in was broken off at the provider.";
    PasswordWrong = "password_wrong", 403, "The current password is wrong.";
    FreshSignInRequired = "fresh_sign_in_required", 403, "Confirm first that it is you: the sign-in was too long ago for this.";
    ScopeMissing = "scope_missing", 403, "This API key may not be used for this.";
    InvitationMismatch = "invitation_mismatch", 403, "This invitation is for another e-mail address, or yours is not verified yet.";
    SignupClosed = "signup_closed", 403, "New accounts can't be created here. Ask for an invitation.";
    NotFound = "not_found", 404, "There is nothing here that you can see.";
    MethodNotAllowed = "method_not_allowed", 405, "This address does not take this method.";
    NotAcceptable = "not_acceptable", 406, "None of the accepted types can be produced.";
    Conflict = "conflict", 409, "This conflicts with what is already there.";
    EmailTaken = "email_taken", 409, "There is already an account with this e-mail address.";
    LinkRequired = "link_required", 409, "There is an account with this e-mail address already. Sign in to it in the usual way, then link the provider in the settings.";
    LastMethod = "last_method", 409, "This is the only way left to sign in. Add another one first.";
    AlreadyMember = "already_member", 409, "This person is already a member.";
    OwnerMustTransfer = "owner_must_transfer", 409, "Hand the ownership to somebody else first.";
    WrongState = "wrong_state", 409, "This can't be done in the present state.";
    CursorExpired = "cursor_expired", 410, "The events that you ask for are no longer kept. Load the conversation afresh.";
    InvitationExpired = "invitation_expired", 410, "This invitation has expired or was used up. Ask for another one.";
    TooLarge = "too_large", 413, "This is larger than what is accepted.";
    UnsupportedMediaType = "unsupported_media_type", 415, "Send JSON or MessagePack.";
    Invalid = "invalid", 422, "Some fields need another value.";
    RateLimited = "rate_limited", 429, "That was too fast. Wait a moment and try again.";
    TooManySignins = "too_many_signins", 429, "There were too many failed attempts. Wait a while and try again.";
    TooManyConnections = "too_many_connections", 429, "Too many connections are open. Close one and try again.";
    Internal = "internal", 500, "Something went wrong on our side. Try again; if it stays, tell the operator the request id.";
    Unavailable = "unavailable", 503, "The service can't answer just now. Try again in a moment.";
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
    fn each_code_stands_once_and_reads_like_a_sentence() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert!(code.sentence().ends_with('.'), "{code} has no sentence");
            assert!((400..=599).contains(&code.status()));
        }
    }
}

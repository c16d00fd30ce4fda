//! Rate limits: groups of calls, the limit of each, and violations that are counted per address.

use std::time::Duration;

use serde::Deserialize;

/// Calls that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateGroup {
    /// Sign-up, sign-in and the calls that send or follow an email.
    Auth,
    /// Session refresh. Counted by token family.
    Refresh,
    MessageSend,
    /// Uploads.
    Upload,
    /// Calls of API clients to AI providers, under `/v1`.
    Gateway,
    /// Frames that are forwarded and not stored: `typing`, `presence`.
    Ephemeral,
    /// New Socket.IO sessions, before authentication.
    Handshake,
    Read,
    /// Creating conversations and adding people, who can't decline.
    Conversation,
    Write,
}

impl RateGroup {
    pub const ALL: [Self; 10] = [
        Self::Auth,
        Self::Refresh,
        Self::MessageSend,
        Self::Upload,
        Self::Gateway,
        Self::Ephemeral,
        Self::Handshake,
        Self::Read,
        Self::Conversation,
        Self::Write,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Refresh => "refresh",
            Self::MessageSend => "message_send",
            Self::Upload => "upload",
            Self::Gateway => "gateway",
            Self::Ephemeral => "ephemeral",
            Self::Handshake => "handshake",
            Self::Read => "read",
            Self::Conversation => "conversation",
            Self::Write => "write",
        }
    }
}

/// Rate limiting algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// `limit` in each window; windows start at multiples of their length since the Unix epoch.
    FixedWindow,
    /// `limit` in the window that ends now; the previous window is weighted by its share that is
    /// still inside (<https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>).
    SlidingWindow,
    /// A bucket of `limit` tokens, refilled evenly over a window (the generic cell rate algorithm,
    /// ITU-T I.371).
    TokenBucket,
    /// `limit` at the same time, by address.
    Concurrency,
}

/// Limit of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub strategy: Strategy,
    pub limit: u32,
    #[serde(deserialize_with = "crate::config::seconds")]
    pub window: Duration,
}

/// Indicator of an attack. An address with too many violations is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// A request that only scanners send: `/.env`, `/.git/config`, `/wp-login.php`.
    Probe,
    /// A call without credentials beyond a limit by address.
    RateLimited,
    /// A sign-in to an account that doesn't exist.
    FailedSignin,
    /// Credentials that this server has not issued.
    ForgedToken,
}

impl Violation {
    /// Name in the setting and in the reason of a ban.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::RateLimited => "rate_limited",
            Self::FailedSignin => "failed_signin",
            Self::ForgedToken => "forged_token",
        }
    }
}

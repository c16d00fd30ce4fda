//! Rate limits: groups of calls, the limit of each group, and violations, which are counted per
//! address.

use std::time::Duration;

use serde::Deserialize;

/// Group of calls that share a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateGroup {
    /// Sign-up, sign-in, and calls that send an e-mail or use the link in one.
    Auth,
    /// Session refresh. It is counted by token family.
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
    /// Creating conversations and adding people to them. It has its own limit because people can't
    /// decline to be added.
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
    /// Allows `limit` calls in each window. Windows start at multiples of their length since the
    /// Unix epoch.
    FixedWindow,
    /// Allows `limit` calls in the window that ends now. It is estimated: the calls of the previous
    /// window are weighted by the share of it that is still inside
    /// (<https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>).
    SlidingWindow,
    /// Bucket of `limit` tokens, which is refilled evenly in the course of a window (the generic
    /// cell rate algorithm, ITU-T I.371).
    TokenBucket,
    /// Allows `limit` calls of an address at the same time.
    Concurrency,
}

/// Limit of a group of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub strategy: Strategy,
    pub limit: u32,
    #[serde(deserialize_with = "crate::config::seconds")]
    pub window: Duration,
}

/// Sign of an attack. An address with too many violations is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// Request that only scanners send, such as `/.env`, `/.git/config` or `/wp-login.php`.
    Probe,
    /// Call without credentials that exceeds the limit of its address.
    RateLimited,
    /// Sign-in to an account that doesn't exist.
    FailedSignin,
    /// Credentials that this server has not issued.
    ForgedToken,
}

impl Violation {
    pub const ALL: [Self; 4] = [Self::Probe, Self::RateLimited, Self::FailedSignin, Self::ForgedToken];

    /// Name of the violation in the setting and in the reason of a ban.
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

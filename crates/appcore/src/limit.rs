//! How often something may be done: groups of calls, the limit of each, and what counts against an address.

use std::time::Duration;

use serde::Deserialize;

/// Calls that count against the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RateGroup {
    /// Sign-up, sign-in and the calls that send an email or follow one.
    Auth,
    /// Renewing a session. Counted by token family.
    Refresh,
    MessageSend,
    /// Files that come in.
    Upload,
    /// What programs ask of AI providers, under `/v1`.
    Gateway,
    /// Frames that are told to others and kept nowhere: `typing`, `presence`.
    Ephemeral,
    /// New Socket.IO sessions, before it is known whose they are.
    Handshake,
    Read,
    /// Beginning conversations and adding people, who are not asked.
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

/// How calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// `limit` in each window; windows begin at multiples of their length since 1970.
    FixedWindow,
    /// `limit` in the window that ends now, where the window before counts by the share of it that is still inside
    /// (<https://blog.cloudflare.com/counting-things-a-lot-of-different-things/>).
    SlidingWindow,
    /// A bucket that holds `limit` tokens and is refilled evenly over a window (the generic cell rate algorithm, ITU-T I.371).
    TokenBucket,
    /// `limit` at the same time, by address.
    Concurrency,
}

/// What a group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub strategy: Strategy,
    pub limit: u32,
    #[serde(deserialize_with = "crate::config::seconds")]
    pub window: Duration,
}

/// Signs of an attack. An address with too many of them is banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// A request that only scanners make: `/.env`, `/.git/config`, `/wp-login.php`.
    Probe,
    /// A call without credentials beyond a limit that counts by address.
    RateLimited,
    /// A sign-in to an account that doesn't exist.
    FailedSignin,
    /// Credentials that this installation has not issued.
    ForgedToken,
}

impl Violation {
    /// As it stands in the setting and in a ban's reason.
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

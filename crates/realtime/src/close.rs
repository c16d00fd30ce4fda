//! Reasons for which the server closes a connection. All close codes are defined here.
//!
//! Codes below 3000 are those of RFC 6455, codes from 4000 on are ours. Each tells the client
//! whether to reconnect, so that clients don't retry in vain and don't stay away after a restart.

/// Close code and reason of a WebSocket close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    /// Human-readable reason; at most 123 bytes, the limit of a control frame.
    pub reason: &'static str,
    pub reconnect: Reconnect,
}

/// Reconnect behaviour expected of the client after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// Don't reconnect: the connection would be refused again until something changes.
    No,
    /// Reconnect after a backoff.
    Yes,
    /// Reconnect after a random delay. Many clients are disconnected at about the same time and
    /// must not reconnect all at once.
    WithJitter,
}

impl Close {
    /// The client has closed the connection.
    pub const NORMAL: Self = Self::new(1000, "bye", Reconnect::No);
    /// The client has sent invalid WebSocket frames (RFC 6455) or invalid Engine.IO packets.
    pub const PROTOCOL: Self = Self::new(1002, "protocol error", Reconnect::Yes);
    /// The client has sent text that isn't valid UTF-8.
    pub const NOT_UTF8: Self = Self::new(1007, "text is not UTF-8", Reconnect::Yes);
    /// The client has sent a message of more than 64 KiB, in one frame or in fragments.
    pub const TOO_LARGE: Self = Self::new(1009, "frame too large", Reconnect::Yes);
    /// The client's address is banned.
    pub const BANNED: Self = Self::new(1008, "address banned", Reconnect::WithJitter);
    /// This instance is shutting down.
    pub const RESTARTING: Self = Self::new(1012, "restarting", Reconnect::WithJitter);
    /// A dependency such as the database is unavailable.
    pub const TRY_LATER: Self = Self::new(1013, "try again later", Reconnect::WithJitter);
    /// The credentials were revoked, have expired or were never sent.
    pub const CREDENTIALS: Self = Self::new(4401, "credentials ended", Reconnect::No);
    /// A page of another origin has opened the connection with the user's cookie.
    pub const ORIGIN: Self = Self::new(4403, "origin not allowed", Reconnect::No);
    /// The client has not answered heartbeats in time.
    pub const HEARTBEAT: Self = Self::new(4408, "heartbeat missed", Reconnect::Yes);
    /// The client has sent too many frames per second, or the user has too many connections.
    pub const FLOOD: Self = Self::new(4429, "too many frames", Reconnect::WithJitter);
    /// The client reads more slowly than its events arrive.
    pub const TOO_SLOW: Self = Self::new(4508, "too slow", Reconnect::Yes);

    /// All reasons, for the documentation and tests.
    pub const ALL: &'static [Self] = &[
        Self::NORMAL,
        Self::PROTOCOL,
        Self::NOT_UTF8,
        Self::TOO_LARGE,
        Self::BANNED,
        Self::RESTARTING,
        Self::TRY_LATER,
        Self::CREDENTIALS,
        Self::ORIGIN,
        Self::HEARTBEAT,
        Self::FLOOD,
        Self::TOO_SLOW,
    ];

    /// Answer to a client's close frame, with the code that the client sent.
    #[must_use]
    pub fn echo(code: Option<u16>) -> Self {
        Self { code: code.unwrap_or(Self::NORMAL.code), reason: "", reconnect: Reconnect::Yes }
    }

    const fn new(code: u16, reason: &'static str, reconnect: Reconnect) -> Self {
        Self { code, reason, reconnect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_unique_and_reasons_fit_a_control_frame() {
        let mut seen = std::collections::HashSet::new();
        for close in Close::ALL {
            assert!(seen.insert(close.code), "{} stands twice", close.code);
            assert!(close.reason.len() <= 123);
            assert!(matches!(close.code, 1000..=1014 | 4000..=4999));
        }
    }
}

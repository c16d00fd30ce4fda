//! Every reason for which the server ends a connection: the only place where close codes are born.
//!
//! Codes below 3000 are those of RFC 6455, those from 4000 on are ours. Each says what the client should do next, so that
//! nobody hammers a server that will refuse again, and nobody stays away who was only asked to move.

/// Why a connection ends, as it stands in the WebSocket close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    pub code: u16,
    /// For people who read logs; at most 123 bytes, the room that a control frame has.
    pub reason: &'static str,
    pub reconnect: Reconnect,
}

/// What the client should do after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// It would be refused again until something about it changes.
    No,
    /// After a short, growing pause.
    Yes,
    /// Everybody was told at about the same time: spread out first.
    WithJitter,
}

impl Close {
    /// The client said goodbye.
    pub const NORMAL: Self = Self::new(1000, "bye", Reconnect::No);
    /// The bytes are not WebSocket frames as RFC 6455 has them, or not Engine.IO packets.
    pub const PROTOCOL: Self = Self::new(1002, "protocol error", Reconnect::Yes);
    /// A text frame was not UTF-8.
    pub const NOT_UTF8: Self = Self::new(1007, "text is not UTF-8", Reconnect::Yes);
    /// A message was over 64 KiB, in one frame or in several.
    pub const TOO_LARGE: Self = Self::new(1009, "frame too large", Reconnect::Yes);
    /// The address was banned.
    pub const BANNED: Self = Self::new(1008, "address banned", Reconnect::WithJitter);
    /// This instance is about to stop.
    pub const RESTARTING: Self = Self::new(1012, "restarting", Reconnect::WithJitter);
    /// Something that the connection needs is away, such as the database.
    pub const TRY_LATER: Self = Self::new(1013, "try again later", Reconnect::WithJitter);
    /// The credentials were revoked or ran out, or never came.
    pub const CREDENTIALS: Self = Self::new(4401, "credentials ended", Reconnect::No);
    /// A cookie was shown from a page of another site.
    pub const ORIGIN: Self = Self::new(4403, "origin not allowed", Reconnect::No);
    /// No sign of life.
    pub const HEARTBEAT: Self = Self::new(4408, "heartbeat missed", Reconnect::Yes);
    /// Too many frames in a second, or too many connections.
    pub const FLOOD: Self = Self::new(4429, "too many frames", Reconnect::WithJitter);
    /// The client reads more slowly than its conversations are written.
    pub const TOO_SLOW: Self = Self::new(4508, "too slow", Reconnect::Yes);

    /// All of them, for the documentation and the tests.
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

    /// What a goodbye of the client is answered with: its own code.
    #[must_use]
    pub fn answer(code: Option<u16>) -> Self {
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
    fn every_code_stands_once_and_fits_a_control_frame() {
        let mut seen = std::collections::HashSet::new();
        for close in Close::ALL {
            assert!(seen.insert(close.code), "{} stands twice", close.code);
            assert!(close.reason.len() <= 123);
            assert!(matches!(close.code, 1000..=1014 | 4000..=4999));
        }
    }
}

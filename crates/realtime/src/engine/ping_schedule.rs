//! Ping schedule and timeouts of a session.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Deadline, SessionHandler, Settings, packet};
use crate::{close::Close, sender::Sender};

/// Ping schedule of one session. The first ping is sent a full interval after the session's start.
/// So the pings of all sessions are spread over time like their starts.
pub(super) struct PingSchedule {
    next_ping: Instant,
    interval: Duration,
    silence_timeout: Duration,
    deadline: Option<Deadline>,
}

impl PingSchedule {
    pub fn new(settings: &Settings, guest: &impl SessionHandler) -> Self {
        Self {
            next_ping: Instant::now() + settings.ping_interval,
            interval: settings.ping_interval,
            silence_timeout: settings.silence_timeout,
            deadline: guest.deadline(),
        }
    }

    /// True if the session has a deadline that is not met yet, which means that the client isn't
    /// authenticated.
    pub fn is_unauthenticated(&self) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| !deadline.is_met.get())
    }

    /// Returns the close reason if the session has timed out.
    pub fn timeout_reason(&mut self, sender: &Sender, now: Instant) -> Option<Close> {
        if sender.silence(now) >= self.silence_timeout {
            return Some(Close::HEARTBEAT);
        }
        if !self.is_unauthenticated() {
            self.deadline = None;
        }
        self.deadline.as_ref().filter(|deadline| now >= deadline.at).map(|deadline| deadline.close)
    }

    /// Sends pings until the session has timed out, and returns the close reason. Cancel safe.
    pub async fn run(&mut self, sender: &Sender) -> Close {
        loop {
            let now = Instant::now();
            if let Some(close) = self.timeout_reason(sender, now) {
                return close;
            }
            if now >= self.next_ping {
                self.next_ping = now.max(self.next_ping + self.interval);
                if !sender.push(packet::encode_empty(packet::PING)) {
                    return Close::TOO_SLOW;
                }
                sender.flush();
            }
            let end = sender.last_activity() + self.silence_timeout;
            let deadline = self.deadline.as_ref().map_or(end, |deadline| deadline.at);
            sleep_until(self.next_ping.min(end).min(deadline)).await;
        }
    }
}

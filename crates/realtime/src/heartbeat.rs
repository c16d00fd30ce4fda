//! Heartbeats, spread over time by a timer wheel.
//!
//! Each connection is in one of [`SLOTS`] slots of its thread's wheel, and a timer visits one slot
//! at a time. A thread with ten thousand connections sends forty pings every tenth of a second
//! instead of ten thousand at once. A visit also closes connections that have been silent for too
//! long and reports those with expiring credentials.

use std::{rc::Rc, time::Duration};

use appcore::Timestamp;
use tokio::time::Instant;

use crate::{close::Close, connection_handle::ConnectionHandle};

/// Number of slots of the wheel.
const SLOTS: usize = 256;

/// Time without a sign of life after which a connection is closed, in heartbeat intervals: 60 s at
/// the default of 25 s.
const TIMEOUT_HEARTBEATS: f64 = 2.4;

/// Timer wheel with the connections of one thread.
pub struct HeartbeatWheel {
    slots: Vec<Vec<Rc<ConnectionHandle>>>,
    heartbeat: Duration,
    /// Slot that the last added connection was put into.
    next: usize,
    /// Slot that was visited last.
    last_slot: usize,
}

impl HeartbeatWheel {
    #[must_use]
    pub fn new(heartbeat: Duration) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), heartbeat, next: 0, last_slot: 0 }
    }

    /// Interval between two visits.
    #[must_use]
    pub fn tick(&self) -> Duration {
        (self.heartbeat / SLOTS as u32).max(Duration::from_millis(1))
    }

    /// Time without a sign of life after which a connection is closed.
    #[must_use]
    pub fn silence_timeout(&self) -> Duration {
        self.heartbeat.mul_f64(TIMEOUT_HEARTBEATS)
    }

    pub fn add(&mut self, out: &Rc<ConnectionHandle>) {
        self.next = (self.next + 1) % SLOTS;
        out.set_slot(self.next as u8);
        self.slots[self.next].push(Rc::clone(out));
    }

    pub fn remove(&mut self, out: &Rc<ConnectionHandle>) {
        let slot = &mut self.slots[usize::from(out.slot())];
        if let Some(at) = slot.iter().position(|other| Rc::ptr_eq(other, out)) {
            slot.swap_remove(at);
        }
        if slot.is_empty() {
            *slot = Vec::new();
        }
    }

    /// Visits the next slot and sends its pings. Returns the connections whose credentials expire
    /// before `soon`.
    pub fn visit(&mut self, now: Instant, soon: Timestamp) -> Vec<Rc<ConnectionHandle>> {
        self.last_slot = (self.last_slot + 1) % SLOTS;
        let patience = self.silence_timeout();
        let mut expiring = Vec::new();
        for out in &self.slots[self.last_slot] {
            if out.expires_at <= soon {
                expiring.push(Rc::clone(out));
            }
            let Some(question) = out.wire.heartbeat() else { continue };
            if out.silence(now) >= patience {
                out.close(Close::HEARTBEAT);
            } else {
                out.push(question);
                out.flush();
            }
        }
        expiring
    }

    pub fn all(&self) -> impl Iterator<Item = &Rc<ConnectionHandle>> {
        self.slots.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use appcore::{SessionId, UserId, auth::CredentialId};

    use std::sync::Arc;

    use super::*;
    use crate::{backlog::Backlog, codec::Wire, connection_handle::Identity};

    fn identity(expires_at: Timestamp) -> Identity {
        Identity { user_id: UserId::new(), credential: CredentialId::Session(SessionId::new()), expires_at }
    }

    fn backlog() -> Arc<Backlog> {
        Arc::new(Backlog::fixed(1_000))
    }

    fn silent(wire: Wire) -> Rc<ConnectionHandle> {
        ConnectionHandle::new(&identity(Timestamp(i64::MAX)), wire, None, &backlog())
    }

    fn turn(wheel: &mut HeartbeatWheel, now: Instant) {
        for _ in 0..SLOTS {
            wheel.visit(now, Timestamp(0));
        }
    }

    #[tokio::test]
    async fn pings_each_connection_once_per_heartbeat() {
        let mut wheel = HeartbeatWheel::new(Duration::from_secs(25));
        assert!(wheel.tick() * SLOTS as u32 <= Duration::from_secs(25));
        let outs: Vec<_> = (0..600).map(|_| silent(Wire::Json)).collect();
        outs.iter().for_each(|out| wheel.add(out));
        turn(&mut wheel, Instant::now());
        assert!(outs.iter().all(|out| out.pop().as_deref() == Some(&[0x89, 0][..]) && out.pop().is_none()));
    }

    #[tokio::test]
    async fn closes_silent_connections() {
        let mut wheel = HeartbeatWheel::new(Duration::from_secs(25));
        let (gone, other, stream) = (silent(Wire::Json), silent(Wire::SocketIo), silent(Wire::Sse));
        [&gone, &other, &stream].into_iter().for_each(|out| wheel.add(out));
        let later = Instant::now() + Duration::from_secs(59);
        turn(&mut wheel, later);
        assert!(gone.is_open());
        turn(&mut wheel, later + Duration::from_secs(2));
        assert_eq!(gone.close_reason(), Some(Close::HEARTBEAT));
        assert!(other.is_open(), "the Socket.IO engine has its own heartbeat");
        assert!(stream.is_open(), "an SSE client can't send anything");
    }

    #[tokio::test]
    async fn reports_connections_with_expiring_credentials() {
        let mut wheel = HeartbeatWheel::new(Duration::from_secs(25));
        let out = ConnectionHandle::new(&identity(Timestamp(1_000)), Wire::Json, None, &backlog());
        wheel.add(&out);
        let mut named = |soon| (0..SLOTS).map(|_| wheel.visit(Instant::now(), soon).len()).sum::<usize>();
        assert_eq!(named(Timestamp(999)), 0);
        assert_eq!(named(Timestamp(1_000)), 1);
    }

    #[tokio::test]
    async fn does_not_ping_removed_connections() {
        let mut wheel = HeartbeatWheel::new(Duration::from_secs(25));
        let out = silent(Wire::Json);
        wheel.add(&out);
        wheel.remove(&out);
        turn(&mut wheel, Instant::now());
        assert!(out.pop().is_none());
        assert_eq!(Rc::strong_count(&out), 1);
    }
}

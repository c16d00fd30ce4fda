//! Typing state of one user in one conversation: announced immediately, then at most once per
//! [`MIN_INTERVAL`].
//!
//! Clients repeat `typing` while the user types. Of several changes in quick succession only the
//! last is announced, at the end of [`MIN_INTERVAL`]. So toggling the state causes no more traffic
//! to the other members than typing does.

use std::time::Duration;

use tokio::time::Instant;

/// Lifetime of a typing indicator that is not repeated. Clients use the same value.
const LIFETIME: Duration = Duration::from_secs(6);
/// Minimum interval between two announcements that the user is typing.
const MIN_INTERVAL: Duration = Duration::from_secs(3);

/// Typing state of one connection in one conversation.
#[derive(Debug, Default)]
pub(super) struct TypingState {
    /// Time of the last announcement that the user is typing.
    announced_at: Option<Instant>,
    /// State announced last.
    is_shown: bool,
    /// Expiry of the typing state, unless the client repeats it.
    until: Option<Instant>,
    /// True if the client has repeated the typing state since the last announcement.
    is_repeated: bool,
}

impl TypingState {
    /// Records the state that the client reports. Returns the state to announce now, if any.
    pub(super) fn set(&mut self, active: bool, now: Instant) -> Option<bool> {
        self.until = active.then(|| now + LIFETIME);
        self.is_repeated = active;
        self.announcement(now)
    }

    /// Returns the state to announce now, if any.
    pub(super) fn announcement(&mut self, now: Instant) -> Option<bool> {
        let is_active = self.until.is_some_and(|until| now < until);
        if !is_active {
            self.until = None;
            return std::mem::take(&mut self.is_shown).then_some(false);
        }
        let is_news = !self.is_shown || self.is_repeated;
        if !is_news || self.announced_at.is_some_and(|told_at| now < told_at + MIN_INTERVAL) {
            return None;
        }
        self.announced_at = Some(now);
        self.is_shown = true;
        self.is_repeated = false;
        Some(true)
    }

    /// Returns the time of the next call of [`Self::announcement`]. `None` means that the state can
    /// be dropped.
    pub(super) fn next_check(&self, now: Instant) -> Option<Instant> {
        let may_repeat = self.announced_at.map(|told_at| told_at + MIN_INTERVAL);
        match self.until {
            Some(until) if self.is_repeated => Some(may_repeat.unwrap_or(now).min(until)),
            Some(until) => Some(until),
            None => may_repeat.filter(|moment| now < *moment),
        }
    }

    /// True if the other members see the user typing.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates reports at the given times, in milliseconds. Returns the announcements with their
    /// times.
    fn told(said: &[(u64, bool)], end: u64) -> Vec<(u64, bool)> {
        let (begin, mut state, mut told) = (Instant::now(), TypingState::default(), Vec::new());
        for at in 0..=end {
            let now = begin + Duration::from_millis(at);
            for (_, active) in said.iter().filter(|(moment, _)| *moment == at) {
                told.extend(state.set(*active, now).map(|active| (at, active)));
            }
            if state.next_check(now).is_some_and(|moment| moment <= now) {
                told.extend(state.announcement(now).map(|active| (at, active)));
            }
        }
        told
    }

    #[test]
    fn announces_immediately_repeats_every_three_seconds_and_expires_after_six() {
        assert_eq!(told(&[(0, true)], 10_000), [(0, true), (6_000, false)]);
        assert_eq!(
            told(&[(0, true), (1_000, true), (4_000, true)], 20_000),
            [(0, true), (3_000, true), (6_000, true), (10_000, false)]
        );
        assert_eq!(told(&[(0, true), (500, false)], 10_000), [(0, true), (500, false)]);
    }

    #[test]
    fn toggling_is_throttled_and_the_last_state_is_announced() {
        let toggled: Vec<(u64, bool)> = (0..600).map(|n| (n * 10, n % 2 == 0)).collect();
        // The state at the end of each interval of three seconds is announced. After the toggling
        // the user isn't typing.
        let all = told(&toggled, 20_000);
        assert!(all.len() <= 6, "{all:?}");
        assert_eq!(all.last().map(|(_, active)| *active), Some(false));
        assert_eq!(
            told(&[(0, true), (100, false), (200, true)], 20_000),
            [(0, true), (100, false), (3_000, true), (6_200, false)]
        );
    }

    #[test]
    fn drops_an_expired_state_once_a_new_announcement_is_allowed() {
        let (now, mut state) = (Instant::now(), TypingState::default());
        assert_eq!(state.next_check(now), None);
        state.set(true, now);
        state.set(false, now);
        assert_eq!(state.next_check(now), Some(now + MIN_INTERVAL));
        assert_eq!(state.next_check(now + MIN_INTERVAL), None);
    }
}

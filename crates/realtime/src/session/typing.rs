//! Whether one person is seen typing in one conversation: told at once, and then at most every [`REPEAT`].
//!
//! A client repeats `typing` while its user types. Of two changes in quick succession only the last is told, once [`REPEAT`] has passed, so
//! toggling costs the other members no more than typing does.

use std::time::Duration;

use tokio::time::Instant;

/// How long `typing` counts unless it is repeated. Clients let it expire after the same time.
const LIFETIME: Duration = Duration::from_secs(6);
/// The shortest time between two announcements that somebody is typing.
const REPEAT: Duration = Duration::from_secs(3);

/// What one connection has announced in one conversation.
#[derive(Debug, Default)]
pub(super) struct TypingState {
    /// When the other members were last told that the person types.
    told_at: Option<Instant>,
    /// What they were told last.
    is_shown: bool,
    /// Until when the person types, unless the client says so again.
    until: Option<Instant>,
    /// The client has said so again since the others were told.
    is_repeated: bool,
}

impl TypingState {
    /// What the client says. Answers what the other members are to be told now, if anything.
    pub(super) fn set(&mut self, active: bool, now: Instant) -> Option<bool> {
        self.until = active.then(|| now + LIFETIME);
        self.is_repeated = active;
        self.announcement(now)
    }

    /// What the other members are to be told now, if anything.
    pub(super) fn announcement(&mut self, now: Instant) -> Option<bool> {
        let is_active = self.until.is_some_and(|until| now < until);
        if !is_active {
            self.until = None;
            return std::mem::take(&mut self.is_shown).then_some(false);
        }
        let is_news = !self.is_shown || self.is_repeated;
        if !is_news || self.told_at.is_some_and(|told_at| now < told_at + REPEAT) {
            return None;
        }
        self.told_at = Some(now);
        self.is_shown = true;
        self.is_repeated = false;
        Some(true)
    }

    /// When [`Self::announcement`] is to be asked next. None: nothing has to be remembered any more.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let may_repeat = self.told_at.map(|told_at| told_at + REPEAT);
        match self.until {
            Some(until) if self.is_repeated => Some(may_repeat.unwrap_or(now).min(until)),
            Some(until) => Some(until),
            None => may_repeat.filter(|moment| now < *moment),
        }
    }

    /// Whether the other members see the person typing.
    pub(super) fn is_shown(&self) -> bool {
        self.is_shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows the state for so long, with what the client says at which millisecond; answers what was told at which.
    fn told(said: &[(u64, bool)], end: u64) -> Vec<(u64, bool)> {
        let (begin, mut state, mut told) = (Instant::now(), TypingState::default(), Vec::new());
        for at in 0..=end {
            let now = begin + Duration::from_millis(at);
            for (_, active) in said.iter().filter(|(moment, _)| *moment == at) {
                told.extend(state.set(*active, now).map(|active| (at, active)));
            }
            if state.next_look(now).is_some_and(|moment| moment <= now) {
                told.extend(state.announcement(now).map(|active| (at, active)));
            }
        }
        told
    }

    #[test]
    fn typing_is_told_at_once_repeated_every_three_seconds_and_ends_after_six() {
        assert_eq!(told(&[(0, true)], 10_000), [(0, true), (6_000, false)]);
        assert_eq!(
            told(&[(0, true), (1_000, true), (4_000, true)], 20_000),
            [(0, true), (3_000, true), (6_000, true), (10_000, false)]
        );
        assert_eq!(told(&[(0, true), (500, false)], 10_000), [(0, true), (500, false)]);
    }

    #[test]
    fn toggling_does_not_evade_the_three_seconds_and_the_last_state_is_told() {
        let toggled: Vec<(u64, bool)> = (0..600).map(|n| (n * 10, n % 2 == 0)).collect();
        // The state when three seconds are over is the one that is told; the end of the toggling is an inactive one.
        let all = told(&toggled, 20_000);
        assert!(all.len() <= 6, "{all:?}");
        assert_eq!(all.last().map(|(_, active)| *active), Some(false));
        assert_eq!(
            told(&[(0, true), (100, false), (200, true)], 20_000),
            [(0, true), (100, false), (3_000, true), (6_200, false)]
        );
    }

    #[test]
    fn what_is_over_is_forgotten_once_it_may_be_told_anew() {
        let (now, mut state) = (Instant::now(), TypingState::default());
        assert_eq!(state.next_look(now), None);
        state.set(true, now);
        state.set(false, now);
        assert_eq!(state.next_look(now), Some(now + REPEAT));
        assert_eq!(state.next_look(now + REPEAT), None);
    }
}

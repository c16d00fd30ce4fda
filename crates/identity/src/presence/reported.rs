//! What the connections of people to this instance say of them: of those of one person the most active counts.

use std::{
    collections::HashMap,
    num::NonZeroU64,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use appcore::{UserId, view::PresenceStatus};

/// A connection that says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceReporter(NonZeroU64);

#[derive(Debug, Default)]
pub struct ReportedPresence {
    people: Mutex<HashMap<UserId, Vec<(PresenceReporter, PresenceStatus)>>>,
    speakers: AtomicU64,
}

impl ReportedPresence {
    pub(super) fn speaker(&self) -> PresenceReporter {
        PresenceReporter(NonZeroU64::MIN.saturating_add(self.speakers.fetch_add(1, Ordering::Relaxed)))
    }

    pub(super) fn say(&self, person: UserId, speaker: PresenceReporter, status: PresenceStatus) {
        let mut people = self.people();
        let said = people.entry(person).or_default();
        match said.iter_mut().find(|(one, _)| *one == speaker) {
            Some((_, known)) => *known = status,
            None => said.push((speaker, status)),
        }
    }

    /// A connection is over. Answers whether something else is said of the person without it.
    pub(super) fn leave(&self, person: UserId, speaker: PresenceReporter) -> bool {
        let mut people = self.people();
        let Some(said) = people.get_mut(&person) else { return false };
        let before = most_active(said.iter().map(|(_, status)| *status));
        said.retain(|(one, _)| *one != speaker);
        let after = most_active(said.iter().map(|(_, status)| *status));
        if said.is_empty() {
            people.remove(&person);
        }
        before != after
    }

    /// None where no connection says anything.
    pub(super) fn of(&self, person: UserId) -> Option<PresenceStatus> {
        most_active(self.people().get(&person)?.iter().map(|(_, status)| *status))
    }

    fn people(&self) -> MutexGuard<'_, HashMap<UserId, Vec<(PresenceReporter, PresenceStatus)>>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever is not to be disturbed says so for all they use, and whoever is away from one thing may be at another.
pub(super) fn most_active(said: impl Iterator<Item = PresenceStatus>) -> Option<PresenceStatus> {
    said.max_by_key(|status| match status {
        PresenceStatus::Offline => 0,
        PresenceStatus::Away => 1,
        PresenceStatus::Online => 2,
        PresenceStatus::Dnd => 3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_active_connection_counts() {
        let (spoken, person) = (ReportedPresence::default(), UserId::new());
        let (one, two) = (spoken.speaker(), spoken.speaker());
        assert_eq!(spoken.of(person), None);
        spoken.say(person, one, PresenceStatus::Away);
        assert_eq!(spoken.of(person), Some(PresenceStatus::Away));
        spoken.say(person, two, PresenceStatus::Online);
        spoken.say(person, one, PresenceStatus::Away);
        assert_eq!(spoken.of(person), Some(PresenceStatus::Online));
        spoken.say(person, one, PresenceStatus::Dnd);
        assert_eq!(spoken.of(person), Some(PresenceStatus::Dnd));
        assert!(spoken.leave(person, one));
        assert_eq!(spoken.of(person), Some(PresenceStatus::Online));
        assert!(!spoken.leave(person, one), "it has left");
        assert!(spoken.leave(person, two));
        assert_eq!(spoken.of(person), None);
        assert!(spoken.people().is_empty(), "nobody is remembered for longer than their connections");
    }
}

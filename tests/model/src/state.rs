//! Effects of the steps on the state.

use crate::{Broken, Link, Request, Set, State, Sync, Texts, Version};

/// Maximum number of concurrent syncs of a reader. More of them would not lead to different
/// behaviour.
const SYNCS: usize = 2;
/// Sequence number of the event that creates the message.
pub(crate) const CREATION: u8 = 1;

impl State {
    /// True if every reader has everything.
    pub(crate) fn is_complete(&self) -> bool {
        self.noted.is_empty()
            && self.readers.iter().all(|reader| {
                matches!(reader.link, Link::Live(_)) && reader.cursor == self.head && reader.text == self.version
            })
    }

    pub(crate) fn commit(&mut self, i: usize, count: u8) {
        let group = Set::range(self.head + 1, self.head + count);
        self.left.events -= count;
        if self.head == 0 {
            self.version = 1;
            self.texts.set(CREATION, self.version);
        }
        self.head += count;
        self.noted = self.noted.and(group);
        self.instances[i].committed.push_back(group);
    }

    /// Returns the events with an outbox entry that no running writer will publish; the outbox
    /// publisher must find them.
    pub(crate) fn untold(&self) -> Set {
        self.instances
            .iter()
            .flat_map(|instance| &instance.committed)
            .fold(self.noted, |noted, group| noted.without(*group))
    }

    /// True if a reader depends on the events that this instance receives.
    pub(crate) fn listens(&self, i: usize) -> bool {
        self.readers.iter().any(|reader| match reader.link {
            Link::Away => false,
            Link::Arriving(at) | Link::Known(at, _) | Link::Live(at) => at == i,
        })
    }

    /// True if a reader keeps the channel of this instance open.
    pub(crate) fn wants_channel(&self, i: usize) -> bool {
        let is_reader = |link| matches!(link, Link::Known(at, _) | Link::Live(at) if at == i);
        !self.left.channels || self.readers.iter().any(|reader| is_reader(reader.link))
    }

    /// Publishes events within the process and, if Redis accepts them, to the other instances.
    pub(crate) fn publish(&mut self, i: usize, events: Set, redis_takes_them: bool) {
        self.instances[i].own = self.instances[i].own.and(events);
        for (j, other) in self.instances.iter_mut().enumerate() {
            if redis_takes_them && j != i && other.is_up && other.is_subscribed && other.is_open {
                other.remote = other.remote.and(events);
            }
        }
    }

    pub(crate) fn crash(&mut self, i: usize) {
        self.left.crashes -= 1;
        for r in 0..self.readers.len() {
            if matches!(self.readers[r].link, Link::Arriving(at) | Link::Known(at, _) | Link::Live(at) if at == i) {
                self.leave(r);
            }
        }
        let instance = &mut self.instances[i];
        instance.is_up = false;
        instance.is_subscribed = false;
        instance.opened = false;
        instance.committed.clear();
        instance.own = Set::default();
        instance.remote = Set::default();
        instance.gap = false;
        instance.outage = false;
        instance.look = None;
        instance.look_again = false;
        instance.fill = None;
    }

    /// Breaks the subscription. Messages in transit are lost.
    pub(crate) fn cut(&mut self, i: usize) {
        let instance = &mut self.instances[i];
        instance.remote = Set::default();
        if std::mem::take(&mut instance.is_subscribed) {
            instance.gap = true;
        }
    }

    pub(crate) fn leave(&mut self, r: usize) {
        let reader = &mut self.readers[r];
        let left = std::mem::replace(&mut reader.link, Link::Away);
        reader.is_unopened = false;
        reader.passes = None;
        reader.sync = None;
        reader.asked.clear();
        let (Link::Arriving(i) | Link::Known(i, _) | Link::Live(i)) = left else { return };
        self.forget_arrivals(i);
        if !self.readers.iter().any(|reader| reader.link == Link::Live(i)) {
            self.instances[i].room = None;
        }
    }

    pub(crate) fn forget_arrivals(&mut self, i: usize) {
        let arrives = |link| matches!(link, Link::Arriving(at) | Link::Known(at, _) if at == i);
        if !self.readers.iter().any(|reader| arrives(reader.link)) {
            self.instances[i].seen = 0;
        }
    }

    pub(crate) fn offer(&mut self, i: usize, seq: u8) {
        let mut passed = Vec::new();
        if let Some(room) = &mut self.instances[i].room {
            room.push(seq.into(), seq, &mut passed);
        }
        self.deliver(i, &passed);
    }

    /// Delivers live events to the readers of an instance.
    pub(crate) fn deliver(&mut self, i: usize, passed: &[u8]) {
        for seq in passed {
            for r in 0..self.readers.len() {
                let reader = &mut self.readers[r];
                if reader.link != Link::Live(i) || reader.passes.is_some_and(|until| i64::from(*seq) <= until) {
                    continue;
                }
                reader.passes = None;
                let text = self.sent_text(*seq);
                self.arrive_at(r, *seq, text);
            }
        }
    }

    /// Returns the text version with which an event was published. Copies on the bus keep this
    /// version.
    pub(crate) fn sent_text(&self, seq: u8) -> Version {
        if seq != CREATION && !self.edits.has(seq) {
            return 0;
        }
        // Each edit up to this event has created one more version.
        self.edits.iter().filter(|edit| *edit <= seq).fold(1, |version, _| version + 1)
    }

    /// Checks that a page that was just read from the log contains either the newest text or none.
    pub(crate) fn check_page(&mut self, r: usize, texts: Texts) {
        let newest = self.version;
        for event in CREATION..=self.head {
            let text = texts.of(event);
            if text != 0 && text != newest {
                self.broken.get_or_insert(Broken::EditedText { reader: r, event, text });
            }
        }
    }

    /// Delivers an event to a reader.
    pub(crate) fn arrive_at(&mut self, r: usize, seq: u8, text: Version) {
        let shows_text = seq == CREATION || self.edits.has(seq);
        let reader = &mut self.readers[r];
        if seq == reader.cursor + 1 {
            reader.cursor = seq;
            if shows_text {
                reader.text = text;
            }
        } else if !reader.is_syncing() {
            self.broken.get_or_insert(if seq <= reader.cursor {
                Broken::Repetition { reader: r, of: seq, at: reader.cursor }
            } else {
                Broken::Jump { reader: r, after: reader.cursor, to: seq }
            });
        }
    }

    pub(crate) fn tell_to_resync(&mut self, i: usize) {
        for reader in self.readers.iter_mut().filter(|reader| reader.link == Link::Live(i)) {
            if reader.asked.len() < SYNCS {
                reader.asked.push_back(Request { cursor: reader.cursor, head: None });
            }
        }
    }

    /// Starts to read the head of the log. If that is in progress, it is read again afterwards.
    pub(crate) fn start_look(&mut self, i: usize) {
        let head = self.head;
        let instance = &mut self.instances[i];
        if instance.look.is_some() {
            instance.look_again = true;
        } else {
            instance.look = Some(head);
        }
    }

    pub(crate) fn finish_look(&mut self, i: usize) {
        let head = self.head;
        let instance = &mut self.instances[i];
        if let (Some(found), Some(room)) = (instance.look, &mut instance.room) {
            room.announce(found.into());
        }
        instance.look = std::mem::take(&mut instance.look_again).then_some(head);
    }

    pub(crate) fn begin_sync(&mut self, r: usize) {
        let reader = &mut self.readers[r];
        let Some(Request { cursor, head }) = reader.asked.pop_front() else { return };
        // A stream always catches up. A sync for which there is nothing to send is complete.
        if head.is_some() || cursor < self.head {
            reader.passes = Some(i64::MAX);
            reader.sync = Some(Sync::At(cursor, head.unwrap_or(self.head)));
        }
    }
}

//! Model of event delivery from the commit to the readers, small enough for exhaustive checking.
//!
//! One conversation, two instances, a few events and readers. The resequencer of an instance's readers is the product's
//! own ([`realtime::order::Order`]). Its surroundings are modelled here, step by step as in the product:
//!
//! | model | product |
//! |---|---|
//! | commit, publish, outbox | `crates/event-log/src/events/writer` |
//! | outbox publisher | `crates/event-log/src/events/outbox_publisher.rs` |
//! | a bus that loses, duplicates and reorders | `crates/realtime/src/{bus,pubsub.rs}` |
//! | a shard with its gaps and its read of the log after an outage | `crates/realtime/src/shard` |
//! | joining | `crates/realtime/src/shard/subscriptions/joining.rs` |
//! | sync | `crates/realtime/src/catch_up.rs` |
//! | an edit and the log entries it rewrites | `crates/event-log/src/events/writer/{edits,removed}.rs` |
//!
//! Each step corresponds to what the program does without waiting. Where it waits for the database, Redis or a timer,
//! any other step may come first. There is no clock: a timer may expire at any moment. Instances and Redis die,
//! subscriptions break, readers disconnect and reads of the log fail, each as often as [`Bounds`] allow.
//!
//! The first event creates a message, and later ones may edit it. An edit rewrites the log in its own transaction: the
//! first event gets the newest text, and earlier edits lose theirs. Events on the bus keep the text they were sent with.
//!
//! Three properties are checked in every reachable state. A reader sees the next event, or one that it requested by a
//! sync, and never an unannounced gap or repetition. The log never returns text that was edited away. Whenever nothing
//! is left to do, everybody has every event and the current text of the message.

mod set;
mod state;
mod step;

use std::collections::VecDeque;

use realtime::resequencer::Resequencer;
use stateright::Property;

pub use set::Set;

pub const INSTANCES: usize = 2;

/// Limits on what may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub events: u8,
    /// Number of events that edit the first message.
    pub edits: u8,
    /// Maximum number of events in one transaction.
    pub group: u8,
    /// Maximum number of events in one read of the log.
    pub page: u8,
    pub readers: usize,
    /// Number of known events that are requested again because streams remember a time instead of a sequence number.
    pub margin: u8,
    /// Number of instance crashes.
    pub crashes: u8,
    /// Number of breaks of an instance's subscription or publishing connection.
    pub cuts: u8,
    /// Number of Redis crashes.
    pub outages: u8,
    /// Number of repeated messages, duplicated by the bus or by the outbox publisher.
    pub doubles: u8,
    /// Number of lost reader connections.
    pub drops: u8,
    /// Number of failed reads of the log.
    pub failures: u8,
}

impl Bounds {
    /// Bounds without faults.
    #[must_use]
    pub const fn calm(events: u8, readers: usize) -> Self {
        Self {
            events,
            edits: 0,
            group: 1,
            page: events,
            readers,
            margin: 0,
            crashes: 0,
            cuts: 0,
            outages: 0,
            doubles: 0,
            drops: 0,
            failures: 0,
        }
    }
}

/// A step of the algorithm that is left out or wrong; the check must find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    NoRelay,
    NoGapFill,
    /// An event that is not above the last one is forwarded anyway.
    KeepsRepetitions,
    /// An early event is forwarded at once.
    HoldsNothingBack,
    /// Events that pass while memberships are read are not recorded.
    ReadsBeforeItFollows,
    /// The subscription is renewed after reading the log instead of before.
    LooksBeforeItListens,
    /// A gap reported during a read of the log does not trigger a second read.
    ForgetsTheSecondLook,
    /// A joining reader uses a database answer from before a gap.
    ArrivesWithOldNews,
    /// A sync ends with its page although newer events have passed.
    EndsSyncsTooEarly,
    /// A sync ends at the position of its instance, which may be behind the log and the reader.
    EndsWhereItsInstanceIs,
    /// An outbox entry is deleted although Redis did not accept the event.
    ForgetsNotesTooEarly,
    /// A gap is skipped without notifying the readers.
    SkipsSilently,
    /// An edit leaves the previous text in the log.
    LeavesEditedText,
    /// An edit clears the text of its own event as well.
    EmptiesItsOwnEvent,
    /// An edit rewrites the log and appends no event.
    EditsWithoutEvent,
}

/// The algorithm, possibly with a mutation.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub bounds: Bounds,
    pub mutation: Option<Mutation>,
}

/// Version of the message's text: 0 for none, 1 for the first.
pub type Version = u8;

/// Text version of each event in the log, by sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Texts([Version; 8]);

impl Texts {
    #[must_use]
    pub fn of(self, seq: u8) -> Version {
        self.0[usize::from(seq)]
    }

    pub fn set(&mut self, seq: u8, text: Version) {
        self.0[usize::from(seq)] = text;
    }

    /// Texts of one page.
    #[must_use]
    pub fn page(self, after: u8, end: u8) -> Self {
        let mut page = Self::default();
        (after + 1..=end).for_each(|seq| page.set(seq, self.of(seq)));
        page
    }
}

/// Complete state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Head of the log, which holds events 1 to `head`.
    pub head: u8,
    /// Texts in the log.
    pub texts: Texts,
    /// Current version of the message.
    pub version: Version,
    /// Events that edit the message.
    pub edits: Set,
    /// Events in the outbox.
    pub noted: Set,
    pub redis_is_up: bool,
    pub instances: [Instance; INSTANCES],
    pub readers: Vec<Reader>,
    /// Remaining faults.
    pub left: Bounds,
    /// First violation seen by a reader.
    pub broken: Option<Broken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub is_up: bool,
    pub is_subscribed: bool,
    /// Groups that are committed and not yet published.
    pub committed: VecDeque<Set>,
    /// Events published locally and not yet received by the shard.
    pub own: Set,
    /// Events received from Redis.
    pub remote: Set,
    /// A gap was reported and not yet handled by the shard.
    pub gap: bool,
    /// An outage is known; readers were told to resync when it started.
    pub outage: bool,
    /// Head being read from the log, and whether it must be read again afterwards.
    pub look: Option<u8>,
    pub look_again: bool,
    pub room: Option<Resequencer<u8>>,
    /// Read of the log to fill a gap: last forwarded sequence number at its start, and the head it found.
    pub fill: Option<(i64, u8)>,
    /// Highest sequence number that passed while a reader joins.
    pub seen: u8,
}

/// State of a reader's connection to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Away,
    /// Registered; memberships are being read.
    Arriving(usize),
    /// The database answered with this head.
    Known(usize, u8),
    Live(usize),
}

/// State of a sync on the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Position sent so far and minimum end of the sync; the next page is requested.
    At(u8, u8),
    /// Page read: first and last event, minimum end of the sync, and its texts.
    Page(u8, u8, u8, Texts),
}

/// A sync that has not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Cursor of the reader.
    pub cursor: u8,
    /// Head in the hello of a stream. Without it, the head of the log when the sync starts.
    pub head: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub link: Link,
    /// Live events up to this one are not sent to this connection.
    pub passes: Option<i64>,
    pub sync: Option<Sync>,
    /// Syncs requested and not started.
    pub asked: VecDeque<Request>,
    /// Cursor of the reader.
    pub cursor: u8,
    /// Text version that the reader shows.
    pub text: Version,
}

impl Reader {
    /// True between a sync request and its answer.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.sync.is_some() || !self.asked.is_empty()
    }
}

/// Violations that a reader can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    Jump {
        reader: usize,
        after: u8,
        to: u8,
    },
    Repetition {
        reader: usize,
        of: u8,
        at: u8,
    },
    /// The log returned text that had been edited away.
    EditedText {
        reader: usize,
        event: u8,
        text: Version,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // Actions of users and faults.
    Commit(usize, u8),
    Edit(usize),
    Crash(usize),
    Cut(usize),
    PublishFails(usize),
    RedisDies,
    Drop(usize),
    Repeat(usize, u8),
    FillFails(usize),
    // Actions that happen by themselves.
    Publish(usize),
    Relay(usize),
    TakeOwn(usize, u8),
    TakeRemote(usize, u8),
    HearGap(usize),
    FinishLook(usize),
    ReadGap(usize),
    FillGap(usize),
    Subscribe(usize),
    Restart(usize),
    RedisReturns,
    Arrive(usize, usize),
    ReadMemberships(usize),
    Settle(usize),
    BeginSync(usize),
    ReadPage(usize),
    SendPage(usize),
}

impl stateright::Model for Delivery {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let instance = Instance {
            is_up: true,
            is_subscribed: true,
            committed: VecDeque::new(),
            own: Set::default(),
            remote: Set::default(),
            gap: false,
            outage: false,
            look: None,
            look_again: false,
            room: None,
            fill: None,
            seen: 0,
        };
        let reader = Reader { link: Link::Away, passes: None, sync: None, asked: VecDeque::new(), cursor: 0, text: 0 };
        vec![State {
            head: 0,
            texts: Texts::default(),
            version: 0,
            edits: Set::default(),
            noted: Set::default(),
            redis_is_up: true,
            instances: [instance.clone(), instance],
            readers: vec![reader; self.bounds.readers],
            left: self.bounds,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_none() {
            self.accidents(state, actions);
            self.goes_on(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.take(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(IN_ORDER, |_, state: &State| state.broken.is_none()),
            Property::always(EVERYTHING, |model: &Self, state: &State| !model.is_quiet(state) || state.is_complete()),
            Property::sometimes(
                "all accidents have happened and everybody has everything",
                |model: &Self, state: &State| {
                    let Bounds { crashes, cuts, outages, doubles, drops, failures, events, edits, .. } = state.left;
                    events + edits == 0
                        && crashes + cuts + outages + doubles + drops + failures == 0
                        && model.is_quiet(state)
                        && state.is_complete()
                },
            ),
        ]
    }
}

/// Property: each event once, in order, without an unannounced gap, and without edited text.
pub const IN_ORDER: &str = "in order, once, without a gap";
/// Property: when nothing is left to do, everybody has every event and the newest text.
pub const EVERYTHING: &str = "everything arrives";

impl Delivery {
    /// True if nothing is in progress.
    #[must_use]
    pub fn is_quiet(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.goes_on(state, &mut actions);
        actions.is_empty()
    }
}

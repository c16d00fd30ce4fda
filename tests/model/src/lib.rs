//! How an event gets from the commit to its readers, small enough that every way it can go is tried.
//!
//! One conversation, two instances, a few events and readers. The order of an instance's readers is the product's own
//! ([`realtime::order::Order`]); what surrounds it is written down here once more, step by step as in the product:
//!
//! | here | there |
//! |---|---|
//! | commit, publish, notes | `crates/event-log/src/events/writer` |
//! | relay | `crates/event-log/src/events/relay.rs` |
//! | a bus that loses, doubles and reorders | `crates/realtime/src/{bus,pubsub.rs}` |
//! | a shard's room, its gaps, its look at the log after an outage | `crates/realtime/src/shard` |
//! | arriving | `crates/realtime/src/shard/subscriptions/arrivals.rs` |
//! | sync | `crates/realtime/src/catch_up.rs` |
//! | an edit, and what it rewrites | `crates/event-log/src/events/writer/{edits,removed}.rs` |
//!
//! Each step does what the program does without waiting; wherever it waits, for the database, for Redis, for a timer, anything else
//! may happen first. There is no clock: a timer may run out at any moment. Instances die, Redis dies, subscriptions break, readers
//! drop off and reads of the log fail, each so often as [`Bounds`] allow.
//!
//! The first event creates a message, and later ones may edit it. An edit rewrites the log in its own transaction: the first event gets the
//! newest text, and earlier edits lose theirs. What is already on the bus keeps the text that it was sent with.
//!
//! Three things are checked in every state that can be reached. A reader sees the next event, or one that it asked for by a sync; never
//! a jump and never a repetition out of the blue. The log never gives a text that was edited away. And whenever nothing is left to do,
//! everybody has every event, and the message as it was last edited.

mod set;
mod state;
mod step;

use std::collections::VecDeque;

use realtime::resequencer::Resequencer;
use stateright::Property;

pub use set::Set;

pub const INSTANCES: usize = 2;

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub events: u8,
    /// How many of them edit the message that the first one created.
    pub edits: u8,
    /// Events that one transaction holds at most.
    pub group: u8,
    /// Events that one read of the log gives at most.
    pub page: u8,
    pub readers: usize,
    /// The readers are streams, which remember a moment and not a number: so many events that they have are asked for again.
    pub margin: u8,
    /// Instances that die.
    pub crashes: u8,
    /// Times that an instance's subscription breaks, or the connection by which it publishes.
    pub cuts: u8,
    /// Times that Redis dies.
    pub outages: u8,
    /// Messages that come again: doubled by the bus, or told again by a relay that did not know better.
    pub doubles: u8,
    /// Readers that lose their connection.
    pub drops: u8,
    /// Reads of the log that fail.
    pub failures: u8,
}

impl Bounds {
    /// Nothing goes wrong.
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

/// A part of the algorithm that is left out or wrong: the check must find each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    NoRelay,
    NoGapFill,
    /// An event that is not above the last one is passed on all the same.
    KeepsRepetitions,
    /// An early event is passed on at once.
    HoldsNothingBack,
    /// What passes by while memberships are read is not written down.
    ReadsBeforeItFollows,
    /// The subscription is renewed after the log was looked at, and not before.
    LooksBeforeItListens,
    /// A gap that is told while the log is being looked at asks for no second look.
    ForgetsTheSecondLook,
    /// Whoever arrives settles with an answer of the database from before a gap.
    ArrivesWithOldNews,
    /// A sync ends with the page that it read, whatever has passed by meanwhile.
    EndsSyncsTooEarly,
    /// A sync ends as soon as it is as far as its instance, which may be behind the log and behind the reader.
    EndsWhereItsInstanceIs,
    /// A note is taken away although Redis did not take the news.
    ForgetsNotesTooEarly,
    /// A gap is skipped without a word to the readers.
    SkipsSilently,
    /// An edit leaves the text before it in the log.
    LeavesEditedText,
    /// An edit empties its own event along with those before it.
    EmptiesItsOwnEvent,
    /// An edit rewrites the log and appends nothing to it.
    EditsWithoutEvent,
}

/// The algorithm, or one that lacks something.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub bounds: Bounds,
    pub mutation: Option<Mutation>,
}

/// A version of the message's text: 0 is none, 1 what it said first.
pub type Version = u8;

/// The text that each event of the log carries, by its number.
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

    /// Those of one page.
    #[must_use]
    pub fn page(self, after: u8, end: u8) -> Self {
        let mut page = Self::default();
        (after + 1..=end).for_each(|seq| page.set(seq, self.of(seq)));
        page
    }
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The log: events 1 to this.
    pub head: u8,
    /// What the log says of the message.
    pub texts: Texts,
    /// What the message says.
    pub version: Version,
    /// Events that edit it.
    pub edits: Set,
    /// Events whose group is noted as perhaps not told.
    pub noted: Set,
    pub redis_is_up: bool,
    pub instances: [Instance; INSTANCES],
    pub readers: Vec<Reader>,
    /// What may still go wrong.
    pub left: Bounds,
    /// The first thing that a reader saw and must not see.
    pub broken: Option<Broken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub is_up: bool,
    pub is_subscribed: bool,
    /// Groups that are committed and on their way to the bus.
    pub committed: VecDeque<Set>,
    /// What this process told itself and its shard has not taken.
    pub own: Set,
    /// What comes from Redis.
    pub remote: Set,
    /// A gap has been told, and the shard has not heard of it.
    pub gap: bool,
    /// An outage is known; readers were told to resync when it began.
    pub outage: bool,
    /// The head that is being read, and whether to read it once more after that.
    pub look: Option<u8>,
    pub look_again: bool,
    pub room: Option<Resequencer<u8>>,
    /// A read of the log to fill a gap: the last number that was passed on when it began, and the head that it found.
    pub fill: Option<(i64, u8)>,
    /// The highest number that passed by while somebody arrives.
    pub seen: u8,
}

/// Where a reader stands with the instance that it talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Away,
    /// Written down; memberships are being asked for.
    Arriving(usize),
    /// The database answered with this head.
    Known(usize, u8),
    Live(usize),
}

/// A sync, as the instance goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sync {
    /// Everything up to here was sent; the next page is asked for. It goes on up to the second number at least.
    At(u8, u8),
    /// The page is there: from here to there, and how far it goes at least; and the texts that were in it.
    Page(u8, u8, u8, Texts),
}

/// A sync that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// What the reader says that it has.
    pub cursor: u8,
    /// What the greeting of a stream named; without it, what the log has when the sync begins.
    pub head: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub link: Link,
    /// Live events up to this are not for this connection.
    pub passes: Option<i64>,
    pub sync: Option<Sync>,
    /// Syncs that the reader asked for and that have not begun.
    pub asked: VecDeque<Request>,
    /// What the reader has.
    pub cursor: u8,
    /// What it shows of the message.
    pub text: Version,
}

impl Reader {
    /// Between a sync that it sent and the answer.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.sync.is_some() || !self.asked.is_empty()
    }
}

/// What a reader must never see without having asked.
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
    /// The log gave a text that had been edited away.
    EditedText {
        reader: usize,
        event: u8,
        text: Version,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // What people and accidents do.
    Commit(usize, u8),
    Edit(usize),
    Crash(usize),
    Cut(usize),
    PublishFails(usize),
    RedisDies,
    Drop(usize),
    Repeat(usize, u8),
    FillFails(usize),
    // What goes on by itself.
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

/// Each event once, in order, without a gap that was not announced, and with no text that was edited away.
pub const IN_ORDER: &str = "in order, once, without a gap";
/// When nothing is left to do, everybody has everything, and the newest text.
pub const EVERYTHING: &str = "everything arrives";

impl Delivery {
    /// Nothing is under way.
    #[must_use]
    pub fn is_quiet(&self, state: &State) -> bool {
        let mut actions = Vec::new();
        self.goes_on(state, &mut actions);
        actions.is_empty()
    }
}

//! Model of event delivery from the commit to the readers, small enough for exhaustive checking.
//!
//! The model has one conversation, two instances, a few events and a few readers. For the readers
//! of an instance it uses the resequencer of the product itself. The code around the resequencer is
//! modelled here, with the same steps as in the product:
//!
//! | model | product |
//! |---|---|
//! | commit, publish, outbox | `crates/event-log/src/events/writer` |
//! | outbox publisher | `crates/event-log/src/events/outbox_publisher.rs` |
//! | a bus that loses, duplicates and reorders | `crates/realtime/src/{bus,pubsub.rs}` |
//! | a channel of the bus that is subscribed while it has readers | `crates/appcore/src/event/channels.rs`, `crates/realtime/src/shard/bus_channels.rs` |
//! | a shard with its gaps and its read of the log after an outage | `crates/realtime/src/shard` |
//! | joining | `crates/realtime/src/shard/subscriptions/joining.rs` |
//! | sync | `crates/realtime/src/catch_up.rs` |
//! | an edit and the log entries it rewrites | `crates/event-log/src/events/writer/{edits,removed}.rs` |
//!
//! A step corresponds to what the program does without waiting. Where the program waits for the
//! database, Redis or a timer, any other step may come first. There is no clock: a timer may expire
//! at any time. Instances and Redis crash, subscriptions break, readers disconnect and reads of the
//! log fail, each as often as [`Bounds`] allows.
//!
//! The first event creates a message, and later ones may edit it. An edit rewrites the log in its
//! own transaction: the first event gets the newest text, and earlier edits lose theirs. Events on
//! the bus keep the text they were sent with.
//!
//! Three properties are checked in every reachable state. A reader sees the next event, or one that
//! it requested by a sync, and never an unannounced gap or repetition. The log never returns text
//! that was edited away. Whenever no step is left, every reader has every event and the current
//! text of the message.

mod set;
mod state;
mod step;

use std::collections::VecDeque;

use realtime::resequencer::Resequencer;
use stateright::Property;

pub use set::Set;

pub const INSTANCES: usize = 2;

/// Limits on the number of events and faults.
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
    /// Number of events that are requested again although the reader has them, because streams
    /// remember a time instead of a sequence number.
    pub margin: u8,
    /// Maximum number of crashes of instances.
    pub crashes: u8,
    /// Maximum number of times that an instance's subscription or publishing connection breaks.
    pub cuts: u8,
    /// Maximum number of crashes of Redis.
    pub outages: u8,
    /// Maximum number of messages that the bus or the outbox publisher sends twice.
    pub doubles: u8,
    /// Maximum number of times that a reader loses the connection.
    pub drops: u8,
    /// Maximum number of times that reading the log fails.
    pub failures: u8,
    /// True if instances subscribe to the conversation's channel only while it has readers.
    pub channels: bool,
}

impl Bounds {
    /// Creates bounds without any faults.
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
            channels: false,
        }
    }
}

/// Defect of the algorithm: a step that is left out or wrong. The check must detect each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    NoRelay,
    NoGapFill,
    /// An event is forwarded although its sequence number is not above the last one.
    KeepsRepetitions,
    /// An event that arrives early is forwarded at once.
    HoldsNothingBack,
    /// Events that arrive while the memberships are read are not recorded.
    ReadsBeforeItFollows,
    /// The subscription is renewed after reading the log instead of before.
    LooksBeforeItListens,
    /// A gap that is reported during a read of the log doesn't cause a second read.
    ForgetsTheSecondLook,
    /// A reader that is joining uses an answer of the database from before a gap.
    ArrivesWithOldNews,
    /// A sync ends with its page although newer events have been delivered meanwhile.
    EndsSyncsTooEarly,
    /// A sync ends at the position of the reader's instance, which may be behind the log and the
    /// reader.
    EndsWhereItsInstanceIs,
    /// An outbox entry is deleted although Redis has not accepted the event.
    ForgetsNotesTooEarly,
    /// A gap is skipped and the readers are not notified.
    SkipsSilently,
    /// An edit leaves the previous text in the log.
    LeavesEditedText,
    /// An edit clears the text of its own event as well.
    EmptiesItsOwnEvent,
    /// An edit rewrites the log but appends no event.
    EditsWithoutEvent,
    /// The shard is not told that the channel was opened, so it doesn't read earlier events.
    OpensSilently,
    /// A reader whose memberships were read while the channel was closed relies on the bus.
    TrustsClosedChannels,
}

/// Algorithm to check, possibly with a defect.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub bounds: Bounds,
    pub mutation: Option<Mutation>,
}

/// Version of the message's text: 0 for no text, 1 for the first text.
pub type Version = u8;

/// Version of the text in each event of the log, by sequence number.
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

    /// Returns the texts of one page.
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
    /// Sequence number of the last event; the log contains the events 1 to `head`.
    pub head: u8,
    /// Text versions in the log.
    pub texts: Texts,
    /// Current version of the message.
    pub version: Version,
    /// Events that edit the message.
    pub edits: Set,
    /// Events that have an outbox entry.
    pub noted: Set,
    pub redis_is_up: bool,
    pub instances: [Instance; INSTANCES],
    pub readers: Vec<Reader>,
    /// Numbers of faults that may still happen.
    pub left: Bounds,
    /// First violation that a reader has seen.
    pub broken: Option<Broken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    pub is_up: bool,
    pub is_subscribed: bool,
    /// True if the conversation's channel is subscribed, as long as `is_subscribed` is true.
    pub is_open: bool,
    /// True if the channel was opened and the shard has not handled that yet.
    pub opened: bool,
    /// Groups of events that are committed but not published yet.
    pub committed: VecDeque<Set>,
    /// Events that were published within the process but not received by the shard yet.
    pub own: Set,
    /// Events that were received from Redis.
    pub remote: Set,
    /// True if a gap was reported that the shard has not handled yet.
    pub gap: bool,
    /// True if an outage is known; the readers were told to resync when it started.
    pub outage: bool,
    /// Head of the log that is being read; `look_again` is true if the log must be read again
    /// afterwards.
    pub look: Option<u8>,
    pub look_again: bool,
    pub room: Option<Resequencer<u8>>,
    /// Read of the log that fills a gap: the sequence number last forwarded when it started, and
    /// the head that it found.
    pub fill: Option<(i64, u8)>,
    /// Highest sequence number that was delivered while a reader is joining.
    pub seen: u8,
}

/// State of the connection of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    Away,
    /// Registered with the instance, which is reading the memberships.
    Arriving(usize),
    /// The database has answered with this head.
    Known(usize, u8),
    Live(usize),
}

/// State of a sync on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sync {
    /// The next page is being requested. Contains the position sent so far, and the minimum
    /// position at which the sync may end.
    At(u8, u8),
    /// A page was read. Contains its first and last event, the minimum position at which the sync
    /// may end, and the texts of the page.
    Page(u8, u8, u8, Texts),
}

/// Sync that was requested but has not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Position up to which the reader has all events.
    pub cursor: u8,
    /// Head that was announced in the `hello` of a stream. If `None`, the head of the log at the
    /// start of the sync is used.
    pub head: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    pub link: Link,
    /// True if the channel was closed when the memberships were read.
    pub is_unopened: bool,
    /// Sequence number up to which live events are not sent to this connection.
    pub passes: Option<i64>,
    pub sync: Option<Sync>,
    /// Syncs that were requested but have not started.
    pub asked: VecDeque<Request>,
    /// Position up to which the reader has all events.
    pub cursor: u8,
    /// Version of the text that the reader shows.
    pub text: Version,
}

impl Reader {
    /// True between the request of a sync and its answer.
    #[must_use]
    pub fn is_syncing(&self) -> bool {
        self.sync.is_some() || !self.asked.is_empty()
    }
}

/// Violation that a reader can see.
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
    /// The log has returned text that had been edited away.
    EditedText {
        reader: usize,
        event: u8,
        text: Version,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    // Actions of users, and faults.
    Commit(usize, u8),
    Edit(usize),
    Crash(usize),
    Cut(usize),
    PublishFails(usize),
    RedisDies,
    Drop(usize),
    Repeat(usize, u8),
    FillFails(usize),
    // Background steps, which no user triggers.
    Publish(usize),
    Relay(usize),
    TakeOwn(usize, u8),
    TakeRemote(usize, u8),
    HearGap(usize),
    FinishLook(usize),
    ReadGap(usize),
    FillGap(usize),
    Subscribe(usize),
    OpenChannel(usize),
    CloseChannel(usize),
    HearOpened(usize),
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
            is_open: !self.bounds.channels,
            opened: false,
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
        let reader = Reader {
            link: Link::Away,
            is_unopened: false,
            passes: None,
            sync: None,
            asked: VecDeque::new(),
            cursor: 0,
            text: 0,
        };
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

/// Property: readers get each event once and in order, without an unannounced gap, and never get
/// text that was edited away.
pub const IN_ORDER: &str = "in order, once, without a gap";
/// Property: when no step is left, every reader has every event and the newest text.
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

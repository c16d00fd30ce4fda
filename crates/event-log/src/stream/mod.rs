//! Event stream: publishes every durable event, and changes of accounts, to a message broker, from which other programs
//! receive them.
//!
//! The writer stores an entry with each batch (`event_stream_outbox`), and triggers of the database an event with each
//! change of an account (`user_event_outbox`). The publisher removes them once the broker has confirmed the events. One
//! instance publishes at a time: it holds a lease, so that the events of a conversation arrive in the order of `seq`, and
//! those of an account in the order of the changes. A crash between confirmation and removal repeats events; the broker
//! drops them by their id. A broker that is away or refuses an event delays the stream, never a sender.

mod jetstream;
#[cfg(feature = "kafka")]
mod kafka;
mod message;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use appcore::{
    AppError, ConversationId, EventId, Secret, Timestamp, WorkspaceId, config::Events, view::EventStreamState,
};
use async_trait::async_trait;
use dbcontext::{
    entity::conversation_event,
    query::{self, event_stream::Progress},
};
use jobs::catch_panic;
use metrics::metrics;
use platform::Core;
use uuid::Uuid;

use self::{jetstream::JetStream, message::StreamMessage};
use crate::{EventLogService, events::log};

/// Interval at which the publisher looks for new events.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Interval at which another instance tries to become the publisher, and delay after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// Duration of the publisher's lease. It is renewed when half of it has passed.
const LEASE: Duration = Duration::from_secs(15);
/// Timeout of a round, below half of the lease: a lease that isn't renewed at the start of the round outlasts the round.
const ROUND_TIMEOUT: Duration = Duration::from_secs(7);
/// Maximum number of batches per round.
const MAX_BATCHES: u32 = 256;
/// Maximum number of events of each kind per round, unless a single batch has more. A broker that syncs each message takes some seconds.
const MAX_EVENTS: usize = 500;

/// Header with the id of the event.
const EVENT_ID: &str = "natter-event-id";
/// Scheme of URLs of Kafka.
const KAFKA: &str = "kafka://";

/// Broker that stores the messages.
#[async_trait]
trait Broker: Send {
    /// Stores the messages in this order. After an error, some of the first messages may be stored; they are sent again.
    async fn publish(&mut self, messages: Vec<StreamMessage>) -> anyhow::Result<Progress>;

    fn is_connected(&self) -> bool;
}

async fn connect(url: &Secret, settings: &Events) -> anyhow::Result<Box<dyn Broker>> {
    #[cfg(feature = "kafka")]
    if is_kafka(url) {
        return Ok(Box::new(kafka::Kafka::connect(url, settings).await?));
    }
    Ok(Box::new(JetStream::connect(url, settings).await?))
}

fn is_kafka(url: &Secret) -> bool {
    url.expose().starts_with(KAFKA)
}

/// Fails if this program doesn't support the broker.
pub(crate) fn check_support(settings: &Events) -> anyhow::Result<()> {
    let is_unsupported = !cfg!(feature = "kafka") && settings.url.as_ref().is_some_and(is_kafka);
    anyhow::ensure!(
        !is_unsupported,
        "events.url names Kafka, but this program was built without the cargo feature kafka. Use a program with it, or NATS."
    );
    Ok(())
}

/// Starts the publisher if a broker is configured.
pub(crate) fn start(service: &Arc<EventLogService>) {
    let Some(url) = service.config.events.url.clone() else { return };
    tokio::spawn(run(Arc::clone(service), url));
}

/// Starts or stops to record changes of accounts, for all instances.
pub(crate) async fn record_user_events(core: &Core) -> Result<(), AppError> {
    query::event_stream::set_recording(core.db.writer(), core.config.events.url.is_some()).await
}

/// Shows the state of the stream to administrators.
pub async fn state(service: &EventLogService) -> Result<EventStreamState, AppError> {
    let Some(url) = &service.config.events.url else {
        return Ok(EventStreamState {
            kind: "none".to_owned(),
            connected: false,
            published_seq: 0,
            waiting: 0,
            last_error: None,
        });
    };
    let db = service.db.reader();
    let known = query::event_stream::state(db).await?;
    let waiting = u64::try_from(query::event_stream::count_waiting(db).await?).unwrap_or(0);
    let is_current = known.as_ref().is_some_and(|known| known.lease_until > service.clock.now());
    let last_error = known.as_ref().and_then(|known| known.last_error.clone());
    Ok(EventStreamState {
        kind: if is_kafka(url) { "kafka" } else { "nats" }.to_owned(),
        connected: is_current && last_error.is_none(),
        published_seq: known.map_or(0, |known| known.published),
        waiting,
        last_error,
    })
}

/// Returns the reason for which the publisher's last attempt failed; `None` after a success.
pub async fn last_error(service: &EventLogService) -> Result<Option<String>, AppError> {
    Ok(query::event_stream::state(service.db.reader()).await?.and_then(|state| state.last_error))
}

async fn run(service: Arc<EventLogService>, url: Secret) {
    let mut publisher = Publisher { broker: None, url, lease: None };
    let mut is_failing = false;
    while !service.stopping.is_cancelled() {
        let round = tokio::time::timeout(ROUND_TIMEOUT, catch_panic(publisher.run_round(&service))).await;
        let round = round.unwrap_or_else(|_| Err(AppError::unavailable(anyhow::anyhow!("the broker doesn't answer"))));
        let pause = match round {
            Ok(Round::More) => Duration::ZERO,
            Ok(Round::Done) => {
                if std::mem::take(&mut is_failing) {
                    tracing::info!("event stream restored");
                }
                POLL_INTERVAL
            }
            Ok(Round::NotPublisher) => RETRY_INTERVAL,
            Err(error) => {
                publisher.broker = None;
                publisher.lease = None;
                metrics().events.record_stream_failure();
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%error, "event stream interrupted, events wait in the database");
                }
                let text = error.to_string();
                if let Err(error) =
                    query::event_stream::record(service.db.writer(), service.instance_id, Progress::None, Some(&text))
                        .await
                {
                    tracing::debug!(%error, "failed to record the state of the event stream");
                }
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = service.stopping.cancelled() => {}
        }
    }
    if publisher.lease.is_some()
        && let Err(error) = query::event_stream::release_lease(service.db.writer(), service.instance_id).await
    {
        tracing::debug!(%error, "failed to release the lease of the event stream");
    }
}

/// Result of a round.
enum Round {
    /// More events may be waiting.
    More,
    Done,
    /// Another instance is the publisher.
    NotPublisher,
}

struct Publisher {
    /// Connection; `None` at first and after a failure.
    broker: Option<Box<dyn Broker>>,
    url: Secret,
    /// Lease of this instance; `None` if it must be acquired.
    lease: Option<Lease>,
}

/// Right to publish. Both clocks are checked: the monotonic one may stand still while the machine sleeps, and the other one
/// may be set back.
struct Lease {
    renewed: Instant,
    until: Timestamp,
}

impl Lease {
    fn outlasts_round(&self, now: Timestamp) -> bool {
        self.renewed.elapsed() < LEASE / 2 && now.plus(LEASE / 2) <= self.until
    }
}

impl Publisher {
    /// Ensures that this instance is the publisher for the duration of a round. Only reads if it is, or if another one is.
    async fn ensure_lease(&mut self, service: &EventLogService) -> Result<bool, AppError> {
        let (db, now, renewed) = (service.db.writer(), service.clock.now(), Instant::now());
        if self.lease.as_ref().is_some_and(|lease| lease.outlasts_round(now)) {
            return Ok(true);
        }
        self.lease = None;
        let known = query::event_stream::state(db).await?;
        let is_held = known
            .is_some_and(|known| known.lease_until > now && known.holder.is_some_and(|id| id != service.instance_id));
        let until = now.plus(LEASE);
        if !is_held && query::event_stream::acquire_lease(db, service.instance_id, now, until).await? {
            self.lease = Some(Lease { renewed, until });
        }
        Ok(self.lease.is_some())
    }

    async fn run_round(&mut self, service: &EventLogService) -> Result<Round, AppError> {
        if !self.ensure_lease(service).await? {
            self.broker = None;
            return Ok(Round::NotPublisher);
        }
        let db = service.db.writer();
        let broker = match &mut self.broker {
            Some(broker) => broker,
            None => {
                let broker = connect(&self.url, &service.config.events).await;
                let broker = self.broker.insert(broker.map_err(AppError::unavailable)?);
                query::event_stream::record(db, service.instance_id, Progress::None, None).await?;
                broker
            }
        };
        if !broker.is_connected() {
            return Err(AppError::unavailable(anyhow::anyhow!("the connection was lost")));
        }
        let user_events = query::event_stream::oldest_user_events(db, MAX_EVENTS).await?;
        let (entries, rows, mut is_cut) = next_events(service).await?;
        is_cut |= user_events.len() >= MAX_EVENTS;
        if entries.is_empty() && user_events.is_empty() {
            return Ok(Round::Done);
        }
        let published_users: Vec<EventId> = user_events.iter().map(|event| event.id).collect();
        let workspaces: HashMap<ConversationId, WorkspaceId> = {
            let ids = rows.iter().map(|row| row.conversation_id).collect::<std::collections::BTreeSet<_>>();
            query::event_stream::workspaces(service.db.reader(), ids).await?.into_iter().collect()
        };
        let chosen = &service.config.events;
        let of_conversations = rows.into_iter().filter(|row| chosen.includes(row.conversation_id)).map(|row| {
            let workspace = workspaces.get(&row.conversation_id).copied();
            StreamMessage::of(&log::envelope(row)?, workspace)
        });
        let messages = user_events.into_iter().map(StreamMessage::of_user).chain(of_conversations);
        let messages = messages.collect::<Result<Vec<_>, AppError>>()?;
        let count = messages.len();
        let published = if messages.is_empty() {
            Progress::None
        } else {
            broker.publish(messages).await.map_err(AppError::unavailable)?
        };
        if !published_users.is_empty() {
            query::event_stream::remove_user_events(db, published_users).await?;
        }
        if !entries.is_empty() {
            query::event_stream::remove(db, &entries).await?;
        }
        metrics().events.record_streamed(count);
        query::event_stream::record(db, service.instance_id, published, None).await?;
        Ok(if is_cut { Round::More } else { Round::Done })
    }
}

/// Returns the oldest waiting batches with their events, in the order in which they are published, and whether further
/// ones may be waiting.
async fn next_events(service: &EventLogService) -> Result<(Vec<Uuid>, Vec<conversation_event::Model>, bool), AppError> {
    let db = service.db.writer();
    let mut entries = query::event_stream::oldest(db, MAX_BATCHES).await?;
    let mut is_cut = entries.len() >= MAX_BATCHES as usize;
    if entries.is_empty() {
        return Ok((entries, Vec::new(), false));
    }
    let mut rows = query::events::of_outbox_entries(db, &entries).await?;
    if rows.len() > MAX_EVENTS {
        let mut counts: HashMap<Uuid, usize> = HashMap::new();
        rows.iter().filter_map(|row| row.outbox_id).for_each(|id| *counts.entry(id).or_default() += 1);
        let mut total = 0;
        let fitting = entries.iter().take_while(|id| {
            total += counts.get(*id).copied().unwrap_or(0);
            total <= MAX_EVENTS
        });
        let fitting = fitting.count().max(1);
        entries.truncate(fitting);
        rows.retain(|row| row.outbox_id.is_some_and(|id| entries.contains(&id)));
        is_cut = true;
    }
    if is_cut {
        let mut first = BTreeMap::new();
        for row in &rows {
            first.entry(row.conversation_id).or_insert(row.seq);
        }
        let earlier = query::event_stream::before(db, &first.into_iter().collect::<Vec<_>>()).await?;
        let missing: Vec<Uuid> = earlier.into_iter().filter(|id| !entries.contains(id)).collect();
        if !missing.is_empty() {
            entries.extend(missing);
            rows = query::events::of_outbox_entries(db, &entries).await?;
        }
    }
    Ok((entries, rows, is_cut))
}

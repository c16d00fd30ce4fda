//! [`WsBroadcaster`], the actor that every connection of this instance registers with: who is online, on how many connections, and their
//! presence.
//!
//! Events don't pass through it (see [`crate::shard`]). It does what concerns all threads at once: the limit of connections per person,
//! presence, and the goodbye when the instance stops.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult};
use app::App;
use appcore::{AppError, Code, UserId, view::Presence};
use identity::presence;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{backlog::Backlog, instruction::Instruction, per_address::PerAddress, sync_pace::SyncPace};

/// Changes of presence that go to the store together.
const NOTES: usize = 500;
/// How often it is looked who is gone.
const SETTLEMENT: Duration = Duration::from_secs(1);

/// Knows the connections of this instance.
pub struct WsBroadcaster {
    app: Arc<App>,
    shards: Vec<mpsc::UnboundedSender<Instruction>>,
    people: HashMap<UserId, usize>,
    notes: mpsc::UnboundedSender<Note>,
    total: watch::Sender<usize>,
    is_draining: bool,
}

/// What is to be written into the store.
enum Note {
    /// The person is here for so long, unless something else is said.
    Hold(UserId, Duration),
    /// Answered when all that came before is written.
    Flush(oneshot::Sender<()>),
}

impl WsBroadcaster {
    /// Starts it on the thread of the caller.
    #[must_use]
    pub fn start(app: Arc<App>) -> ShardHandle {
        let (total, counted) = watch::channel(0);
        let (notes, noted) = mpsc::unbounded_channel();
        actix_rt::spawn(keep_presence(Arc::clone(&app), noted));
        actix_rt::spawn(settle_presence(Arc::clone(&app)));
        let config = Arc::clone(&app.config);
        let is_limited = config.rate_limit.enabled;
        let (shards, people) = (Vec::new(), HashMap::new());
        let broadcaster = Actor::start(Self { app, shards, people, notes: notes.clone(), total, is_draining: false });
        ShardHandle {
            broadcaster,
            notes,
            total: counted,
            backlog: Arc::new(Backlog::of(&config.realtime)),
            sync_pace: Arc::new(SyncPace::new(is_limited.then_some(config.realtime.sync_bytes_per_second))),
            anonymous: PerAddress::new(if is_limited { config.realtime.max_anonymous_per_address } else { 0 }),
        }
    }

    fn hold(&self, user: UserId, how_long: Duration) {
        // The other end lives as long as this one.
        let _ = self.notes.send(Note::Hold(user, how_long));
    }
}

/// Keeps the store up to date: one change of a person after the other, so that a page that is loaded again does not end as gone.
async fn keep_presence(app: Arc<App>, mut notes: mpsc::UnboundedReceiver<Note>) {
    let mut received = Vec::new();
    while notes.recv_many(&mut received, NOTES).await > 0 {
        let (mut latest, mut flushes) = (HashMap::new(), Vec::new());
        for note in received.drain(..) {
            match note {
                Note::Hold(user, how_long) => {
                    latest.insert(user, how_long);
                }
                Note::Flush(flush) => flushes.push(flush),
            }
        }
        let (staying, leaving): (Vec<_>, Vec<_>) =
            latest.into_iter().partition(|(_, how_long)| *how_long > presence::GRACE);
        for (people, how_long) in [(staying, presence::HOLD), (leaving, presence::GRACE)] {
            let people: Vec<UserId> = people.into_iter().map(|(user, _)| user).collect();
            if !people.is_empty() {
                let came = app.identity.presence.hold(&people, app.instance_id, app.clock.now().plus(how_long)).await;
                announce(&app, &came).await;
            }
        }
        for flush in flushes {
            let _ = flush.send(());
        }
    }
}

/// Tells who went.
async fn settle_presence(app: Arc<App>) {
    let mut tick = tokio::time::interval(SETTLEMENT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let gone = app.identity.presence.settle(app.clock.now()).await;
        announce(&app, &gone).await;
    }
}

async fn announce(app: &App, changes: &[Presence]) {
    if let Err(error) = presence::announce(&app.identity, changes).await {
        tracing::debug!(%error, "changes of presence could not be told");
    }
}

impl Actor for WsBroadcaster {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(presence::RENEWAL, |this, _| {
            for user in this.people.keys() {
                this.hold(*user, presence::HOLD);
            }
        });
    }
}

/// A connection wants in. The answer is its permit, so that one for which nobody waits any more is given back by being dropped.
#[derive(Message)]
#[rtype(result = "Result<Permit, AppError>")]
struct Arrive(UserId);

impl Handler<Arrive> for WsBroadcaster {
    type Result = MessageResult<Arrive>;

    fn handle(&mut self, Arrive(user): Arrive, context: &mut Self::Context) -> Self::Result {
        if self.is_draining {
            return MessageResult(Err(AppError::unavailable(Stopping)));
        }
        let limit = self.app.config.realtime.max_connections_per_user;
        let held = self.people.entry(user).or_default();
        if limit > 0 && *held >= limit {
            return MessageResult(Err(Code::TooManyConnections.into()));
        }
        *held += 1;
        if *held == 1 {
            self.hold(user, presence::HOLD);
        }
        self.total.send_modify(|total| *total += 1);
        MessageResult(Ok(Permit { broadcaster: context.address(), user }))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("this instance is about to stop")]
struct Stopping;

/// A connection is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Depart(UserId);

impl Handler<Depart> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, Depart(user): Depart, _: &mut Self::Context) {
        if let Some(held) = self.people.get_mut(&user) {
            *held -= 1;
            if *held == 0 {
                self.people.remove(&user);
                self.hold(user, presence::GRACE);
            }
        }
        self.total.send_modify(|total| *total -= 1);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct AddShard(mpsc::UnboundedSender<Instruction>);

impl Handler<AddShard> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, AddShard(shard): AddShard, _: &mut Self::Context) {
        self.shards.push(shard);
    }
}

/// The instance stops: everybody is told, and nobody comes in any more.
#[derive(Message)]
#[rtype(result = "()")]
struct Drain(Duration);

impl Handler<Drain> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, Drain(window): Drain, _: &mut Self::Context) {
        self.is_draining = true;
        for shard in &self.shards {
            let _ = shard.send(Instruction::Drain(window));
        }
    }
}

/// The way to the broadcaster, from any thread.
#[derive(Clone)]
pub struct ShardHandle {
    broadcaster: Addr<WsBroadcaster>,
    notes: mpsc::UnboundedSender<Note>,
    total: watch::Receiver<usize>,
    backlog: Arc<Backlog>,
    sync_pace: Arc<SyncPace>,
    anonymous: Arc<PerAddress>,
}

impl ShardHandle {
    /// Registers a connection of this person.
    pub async fn admit(&self, user: UserId) -> Result<Permit, AppError> {
        match self.broadcaster.send(Arrive(user)).await {
            Ok(answer) => answer,
            Err(error) => Err(AppError::unavailable(error)),
        }
    }

    pub(crate) fn add_shard(&self, shard: mpsc::UnboundedSender<Instruction>) {
        self.broadcaster.do_send(AddShard(shard));
    }

    /// What may wait for the connections of this instance.
    #[must_use]
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// How fast people may read the log.
    #[must_use]
    pub(crate) fn sync_pace(&self) -> &SyncPace {
        &self.sync_pace
    }

    /// Socket.IO sessions whose client has not said who it is.
    #[must_use]
    pub(crate) fn anonymous(&self) -> &Arc<PerAddress> {
        &self.anonymous
    }

    /// Connections that are open.
    #[must_use]
    pub fn total(&self) -> usize {
        *self.total.borrow()
    }

    /// Says goodbye to all connections, spread over the window, and waits until they are gone and the store knows it.
    pub async fn drain(&self, window: Duration) {
        self.broadcaster.do_send(Drain(window));
        let mut total = self.total.clone();
        let _ = total.wait_for(|total| *total == 0).await;
        let (flush, flushed) = oneshot::channel();
        let _ = self.notes.send(Note::Flush(flush));
        let _ = flushed.await;
    }
}

/// The right to one connection; it ends when this is dropped.
pub struct Permit {
    broadcaster: Addr<WsBroadcaster>,
    user: UserId,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.broadcaster.do_send(Depart(self.user));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use appcore::{Clock, InstanceId, config, event::MemoryBus};
    use dbcontext::Database;
    use migration::{Migrator, MigratorTrait as _};

    use super::*;

    #[actix_rt::test]
    async fn a_connection_that_nobody_waits_for_any_more_is_not_counted_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/natter.db", folder.path().display());
        let database = Database::connect(&url, 2).await.unwrap();
        Migrator::up(database.schema(), None).await.unwrap();
        let data = folder.path().display().to_string();
        let settings = [
            ("NATTER__DATABASE__URL", &*url),
            ("NATTER__SERVER__DATA_DIR", &*data),
            ("NATTER__REALTIME__MAX_CONNECTIONS_PER_USER", "1"),
        ];
        let environment = settings.map(|(key, value)| (OsString::from(key), OsString::from(value)));
        let config = Arc::new(config::load_from(None, environment).unwrap().config);
        let bus = Arc::new(MemoryBus::new());
        let app = App::build(
            platform::Core::build(config, InstanceId::new(), Clock::system(), database, bus, None).await.unwrap(),
        )
        .await
        .unwrap();
        let (shards, user) = (WsBroadcaster::start(app), UserId::new());
        {
            let mut admitted = Box::pin(shards.admit(user));
            assert!(futures_util::poll!(&mut admitted).is_pending());
            // The client goes away before the answer comes.
        }
        let mut total = shards.total.clone();
        let permit = loop {
            match shards.admit(user).await {
                Ok(permit) => break permit,
                Err(error) => assert_eq!(error.code(), Code::TooManyConnections),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(shards.total(), 1);
        drop(permit);
        total.wait_for(|total| *total == 0).await.unwrap();
    }
}

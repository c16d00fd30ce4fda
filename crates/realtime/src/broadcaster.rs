//! [`WsBroadcaster`], the actor that all connections of this instance register with. It tracks
//! which users are online and their number of connections.
//!
//! Events don't pass through it (see [`crate::shard`]). It handles the tasks that concern all
//! threads: the connection limit per user, presence, and closing all connections on shutdown.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult};
use appcore::{AppError, Code, UserId, view::Presence};
use identity::presence;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    RealtimeServices,
    backlog::Backlog,
    instruction::{DrainSchedule, Instruction},
    per_address::PerAddress,
    sync_rate_limit::SyncRateLimit,
};

/// Maximum number of presence changes per write to the store.
const MAX_CHANGES_PER_WRITE: usize = 500;
/// Interval of the check for users who have gone offline.
const OFFLINE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Registry of the connections of this instance.
pub struct WsBroadcaster {
    services: Arc<RealtimeServices>,
    shards: Vec<mpsc::UnboundedSender<Instruction>>,
    people: HashMap<UserId, usize>,
    presence_commands: mpsc::UnboundedSender<PresenceCommand>,
    connection_count: watch::Sender<usize>,
    is_draining: bool,
}

/// Command for the presence task.
enum PresenceCommand {
    /// Keeps the user online for this time, unless it is renewed.
    KeepOnline(UserId, Duration),
    /// Requests an answer once all earlier commands are written.
    Flush(oneshot::Sender<()>),
}

impl WsBroadcaster {
    /// Starts the actor on the caller's thread.
    #[must_use]
    pub fn start(services: Arc<RealtimeServices>) -> ShardHandle {
        let (total, counted) = watch::channel(0);
        let (notes, noted) = mpsc::unbounded_channel();
        actix_rt::spawn(write_presence(Arc::clone(&services), noted));
        actix_rt::spawn(announce_offline(Arc::clone(&services)));
        let config = Arc::clone(&services.config);
        let is_limited = config.rate_limit.enabled;
        let (shards, people) = (Vec::new(), HashMap::new());
        let broadcaster = Actor::start(Self {
            services,
            shards,
            people,
            presence_commands: notes.clone(),
            connection_count: total,
            is_draining: false,
        });
        ShardHandle {
            broadcaster,
            presence_commands: notes,
            connection_count: counted,
            backlog: Arc::new(Backlog::from_settings(&config.realtime)),
            sync_pace: Arc::new(SyncRateLimit::new(is_limited.then_some(config.realtime.sync_bytes_per_second))),
            anonymous: PerAddress::new(if is_limited { config.realtime.max_anonymous_per_address } else { 0 }),
        }
    }

    fn keep_online(&self, user: UserId, how_long: Duration) {
        // Sending can't fail, because the receiver lives as long as this sender.
        let _ = self.presence_commands.send(PresenceCommand::KeepOnline(user, how_long));
    }
}

/// Writes presence changes to the store in the order in which they were made. Otherwise a user who
/// reloads a page could end up offline.
async fn write_presence(services: Arc<RealtimeServices>, mut notes: mpsc::UnboundedReceiver<PresenceCommand>) {
    let mut received = Vec::new();
    while notes.recv_many(&mut received, MAX_CHANGES_PER_WRITE).await > 0 {
        let (mut latest, mut flushes) = (HashMap::new(), Vec::new());
        for note in received.drain(..) {
            match note {
                PresenceCommand::KeepOnline(user, how_long) => {
                    latest.insert(user, how_long);
                }
                PresenceCommand::Flush(flush) => flushes.push(flush),
            }
        }
        let (staying, leaving): (Vec<_>, Vec<_>) =
            latest.into_iter().partition(|(_, how_long)| *how_long > presence::OFFLINE_GRACE);
        for (people, how_long) in [(staying, presence::LEASE), (leaving, presence::OFFLINE_GRACE)] {
            let people: Vec<UserId> = people.into_iter().map(|(user, _)| user).collect();
            if !people.is_empty() {
                let came = services
                    .identity
                    .presence
                    .renew_leases(&people, services.instance_id, services.clock.now().plus(how_long))
                    .await;
                announce(&services, &came).await;
            }
        }
        for flush in flushes {
            let _ = flush.send(());
        }
    }
}

/// Announces users who have gone offline.
async fn announce_offline(services: Arc<RealtimeServices>) {
    let mut tick = tokio::time::interval(OFFLINE_CHECK_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let gone = services.identity.presence.collect_offline(services.clock.now()).await;
        announce(&services, &gone).await;
    }
}

async fn announce(services: &RealtimeServices, changes: &[Presence]) {
    if let Err(error) = presence::announce(&services.identity, changes).await {
        tracing::debug!(%error, "failed to announce presence changes");
    }
}

impl Actor for WsBroadcaster {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(presence::RENEWAL_INTERVAL, |this, _| {
            for user in this.people.keys() {
                this.keep_online(*user, presence::LEASE);
            }
        });
    }
}

/// Registers a connection. The answer is its permit. If the requester is gone, the permit is
/// dropped, which releases it.
#[derive(Message)]
#[rtype(result = "Result<Permit, AppError>")]
struct Register(UserId);

impl Handler<Register> for WsBroadcaster {
    type Result = MessageResult<Register>;

    fn handle(&mut self, Register(user): Register, context: &mut Self::Context) -> Self::Result {
        if self.is_draining {
            return MessageResult(Err(AppError::unavailable(Stopping)));
        }
        let limit = self.services.config.realtime.max_connections_per_user;
        let held = self.people.entry(user).or_default();
        if limit > 0 && *held >= limit {
            return MessageResult(Err(Code::TooManyConnections.into()));
        }
        *held += 1;
        if *held == 1 {
            self.keep_online(user, presence::LEASE);
        }
        self.connection_count.send_modify(|total| *total += 1);
        MessageResult(Ok(Permit { broadcaster: context.address(), user }))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("this instance accepts no connections, because it is drained or about to stop")]
struct Stopping;

/// Unregisters a connection.
#[derive(Message)]
#[rtype(result = "()")]
struct Unregister(UserId);

impl Handler<Unregister> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, Unregister(user): Unregister, _: &mut Self::Context) {
        if let Some(held) = self.people.get_mut(&user) {
            *held -= 1;
            if *held == 0 {
                self.people.remove(&user);
                self.keep_online(user, presence::OFFLINE_GRACE);
            }
        }
        self.connection_count.send_modify(|total| *total -= 1);
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

/// Starts draining: all connections are closed and new ones are refused.
#[derive(Message)]
#[rtype(result = "()")]
struct Drain(Duration);

/// Ends draining: connections are accepted again.
#[derive(Message)]
#[rtype(result = "()")]
struct Resume;

impl Handler<Resume> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, Resume: Resume, _: &mut Self::Context) {
        self.is_draining = false;
        for shard in &self.shards {
            let _ = shard.send(Instruction::Resume);
        }
    }
}

impl Handler<Drain> for WsBroadcaster {
    type Result = ();

    fn handle(&mut self, Drain(window): Drain, _: &mut Self::Context) {
        self.is_draining = true;
        for (index, shard) in self.shards.iter().enumerate() {
            let _ = shard.send(Instruction::Drain(DrainSchedule::new(window, index, self.shards.len())));
        }
    }
}

/// Handle of the broadcaster, usable from any thread.
#[derive(Clone)]
pub struct ShardHandle {
    broadcaster: Addr<WsBroadcaster>,
    presence_commands: mpsc::UnboundedSender<PresenceCommand>,
    connection_count: watch::Receiver<usize>,
    backlog: Arc<Backlog>,
    sync_pace: Arc<SyncRateLimit>,
    anonymous: Arc<PerAddress>,
}

impl ShardHandle {
    /// Registers a connection of this user. Fails if the user has too many connections or the
    /// instance is draining.
    pub async fn register(&self, user: UserId) -> Result<Permit, AppError> {
        match self.broadcaster.send(Register(user)).await {
            Ok(answer) => answer,
            Err(error) => Err(AppError::unavailable(error)),
        }
    }

    pub(crate) fn add_shard(&self, shard: mpsc::UnboundedSender<Instruction>) {
        self.broadcaster.do_send(AddShard(shard));
    }

    /// Limits on queued bytes, shared by all connections of this instance.
    #[must_use]
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Rate limit for reading the event log.
    #[must_use]
    pub(crate) fn sync_pace(&self) -> &SyncRateLimit {
        &self.sync_pace
    }

    /// Counter of unauthenticated Socket.IO sessions per address.
    #[must_use]
    pub(crate) fn anonymous(&self) -> &Arc<PerAddress> {
        &self.anonymous
    }

    /// Number of open connections.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        *self.connection_count.borrow()
    }

    /// Accepts connections again after [`Self::drain`].
    pub fn resume(&self) {
        self.broadcaster.do_send(Resume);
    }

    /// Closes all connections, spread over `window`, and waits until they are gone and the presence
    /// store is updated.
    pub async fn drain(&self, window: Duration) {
        self.broadcaster.do_send(Drain(window));
        let mut total = self.connection_count.clone();
        let _ = total.wait_for(|total| *total == 0).await;
        let (flush, flushed) = oneshot::channel();
        let _ = self.presence_commands.send(PresenceCommand::Flush(flush));
        let _ = flushed.await;
    }
}

/// Permit for one connection; released on drop.
pub struct Permit {
    broadcaster: Addr<WsBroadcaster>,
    user: UserId,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.broadcaster.do_send(Unregister(self.user));
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
    async fn counts_no_connection_whose_requester_is_gone() {
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
        let config = Arc::new(config::load_core(None, environment).unwrap().config);
        let bus = Arc::new(MemoryBus::new());
        let core =
            platform::Core::build(config, InstanceId::new(), Clock::system(), database, bus, None).await.unwrap();
        let app = app::App::build(core).await.unwrap();
        let services = Arc::new(RealtimeServices {
            identity: Arc::clone(&app.identity),
            events: Arc::clone(&app.events),
            assistants: Arc::clone(&app.assistants),
            conversations: Arc::clone(&app.conversations),
            limits: Arc::clone(&app.requests.limits),
        });
        let (shards, user) = (WsBroadcaster::start(services), UserId::new());
        {
            let mut admitted = Box::pin(shards.register(user));
            assert!(futures_util::poll!(&mut admitted).is_pending());
            // The client disconnects before its registration is answered.
        }
        let mut total = shards.connection_count.clone();
        let permit = loop {
            match shards.register(user).await {
                Ok(permit) => break permit,
                Err(error) => assert_eq!(error.code(), Code::TooManyConnections),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(shards.connection_count(), 1);
        drop(permit);
        total.wait_for(|total| *total == 0).await.unwrap();
    }
}

//! Parts of an instance that every domain uses: configuration, clock, database, and the connections
//! to other instances and external services.

use std::sync::Arc;

use appcore::{
    AppError, Clock, InstanceId, Timestamp, UserId,
    config::Config,
    event::{BusMessage, Envelope, Event, EventBus, Topic},
};
use dbcontext::Database;
use outgoing::Outgoing;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{firewall::Firewall, geoip::GeoIp, redis::Redis, work_pools::WorkPools};

/// State of an instance, built once at the start. The state of each domain holds it in an `Arc`.
pub struct Core {
    pub config: Arc<Config>,
    pub instance_id: InstanceId,
    pub started_at: Timestamp,
    pub clock: Clock,
    pub db: Database,
    pub bus: Arc<dyn EventBus>,
    /// State shared by all instances. `None` on a single instance.
    pub redis: Option<Redis>,
    /// HTTP client for URLs entered by users or administrators. It refuses private networks unless
    /// the configuration allows them.
    pub outgoing: Outgoing,
    pub geoip: GeoIp,
    pub firewall: Arc<Firewall>,
    /// Fair admission to work with which one user could saturate the instance.
    pub work: WorkPools,
    /// True while this instance is drained: it has no real-time connections and accepts none.
    pub is_draining: watch::Sender<bool>,
    /// Cancelled when this instance is asked to stop.
    pub stopping: CancellationToken,
    /// Tasks that write to the database once [`Core::stopping`] is cancelled. The process waits for
    /// them before it closes the database.
    pub shutdown_tasks: TaskTracker,
}

impl Core {
    /// Loads the geolocation database and the bans. The database must be migrated already.
    pub async fn build(
        config: Arc<Config>,
        instance_id: InstanceId,
        clock: Clock,
        db: Database,
        bus: Arc<dyn EventBus>,
        redis: Option<Redis>,
    ) -> anyhow::Result<Arc<Self>> {
        let geoip = GeoIp::load(config.server.geoip_database.as_deref())?;
        let outgoing = Outgoing::new(&config.outgoing)?;
        let firewall = Firewall::start(&config, clock.clone(), db.clone(), Arc::clone(&bus), redis.clone());
        let firewall = firewall.await.map_err(start_error)?;
        Ok(Arc::new(Self {
            config,
            instance_id,
            started_at: clock.now(),
            clock,
            db,
            bus,
            redis,
            outgoing,
            geoip,
            firewall,
            work: WorkPools::default(),
            is_draining: watch::Sender::new(false),
            stopping: CancellationToken::new(),
            shutdown_tasks: TaskTracker::new(),
        }))
    }

    /// Sends an ephemeral event to a user's own connections on all instances. Does not wait for its delivery.
    pub fn notify_user(&self, user: UserId, event: &Event) -> Result<(), AppError> {
        let envelope = Envelope::seal(event, Topic::User(user), self.clock.now()).map_err(AppError::internal)?;
        drop(self.bus.publish(vec![BusMessage::Envelope(envelope.into())]));
        Ok(())
    }

    /// Notifies a user's own connections that the account changed, so that they reload it.
    pub fn notify_account_changed(&self, user_id: UserId) -> Result<(), AppError> {
        self.notify_user(user_id, &Event::OwnAccountChanged { user_id })
    }

    /// Wakes the workers of all instances. Workers that miss the signal find new jobs within a
    /// second.
    pub fn wake_workers(&self) {
        jobs::wake_workers(&*self.bus);
    }
}

/// Converts an error into the cause for which an instance can't start.
#[must_use]
pub fn start_error(error: AppError) -> anyhow::Error {
    match error {
        AppError::Unavailable(cause) | AppError::Internal(cause) => cause,
        other => other.into(),
    }
}

//! The parts of an instance that every domain uses: configuration, clock, database, and the ways to other instances and to the outside.

use std::sync::Arc;

use appcore::{
    AppError, Clock, InstanceId, Timestamp, UserId,
    config::Config,
    event::{BusMessage, Envelope, Event, EventBus, Topic},
};
use dbcontext::Database;
use outgoing::Outgoing;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{firewall::Firewall, geoip::GeoIp, redis::Redis, work_pools::WorkPools};

/// Built once by the program. Each domain's state holds it in an `Arc`.
pub struct Core {
    pub config: Arc<Config>,
    pub instance_id: InstanceId,
    pub started_at: Timestamp,
    pub clock: Clock,
    pub db: Database,
    pub bus: Arc<dyn EventBus>,
    /// State that all instances share. `None` if this instance is the only one.
    pub redis: Option<Redis>,
    /// HTTP client for addresses that people or administrators enter. It refuses private networks unless the configuration allows them.
    pub outgoing: Outgoing,
    pub geoip: GeoIp,
    pub firewall: Arc<Firewall>,
    /// Fair admission to work that one person could fill the instance with.
    pub work: WorkPools,
    /// Cancelled when this instance is told to stop.
    pub stopping: CancellationToken,
    /// Tasks that write to the database once [`Core::stopping`] is cancelled. The program waits for them before it closes the database.
    pub shutdown_tasks: TaskTracker,
}

impl Core {
    /// Reads the GeoIP database and the bans. The database is migrated already.
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

    /// Tells a user's own connections that the account changed, so that they read it again.
    pub fn notify_account_changed(&self, user_id: UserId) -> Result<(), AppError> {
        self.notify_user(user_id, &Event::OwnAccountChanged { user_id })
    }

    /// Makes the workers of all instances look for jobs at once. They find new jobs within a second without it.
    pub fn wake_workers(&self) {
        jobs::wake(&*self.bus);
    }
}

/// The cause of an error that keeps an instance from starting.
#[must_use]
pub fn start_error(error: AppError) -> anyhow::Error {
    match error {
        AppError::Unavailable(cause) | AppError::Internal(cause) => cause,
        other => other.into(),
    }
}

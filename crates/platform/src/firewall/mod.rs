//! Firewall: temporarily bans addresses with too many violations.
//!
//! Violations are [recorded](Firewall::note) where they happen. An address (for IPv6 its /64) with
//! too many of them within the window is banned. Each further ban within a week of the last one is
//! longer. Violations are counted in Redis and may be lost; bans are rows, and every instance has a
//! copy of those in force ([`BanIndex`]). Another instance's ban arrives over the bus at once, or
//! from the table within seconds while the bus is unavailable.
//!
//! Many people may share an address, so only signs of an attack count as violations. A user or key
//! that exceeds a limit does not. An automatic ban refuses only requests without valid credentials,
//! and open connections stay open. A ban by an administrator refuses all requests.
//!
//! A trusted proxy is never banned: the client's address is the one behind it, or unknown.

mod ban_index;
mod network;
mod violations;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use jobs::catch_panic;

use crate::audit::{self, Action, NewAuditEntry};
use appcore::{
    AppError, BanId, Clock, Code, RequestSource, Timestamp,
    auth::Principal,
    config::{self, Config},
    event::{BusMessage, EventBus, Listener, Signal},
    limit::Violation,
    page::{Page, PageRequest},
    text_field::{parse_line, validate_search_text},
    view::Ban,
};
pub use dbcontext::query::bans::Filter;
use dbcontext::{Database, constraint::app_error, entity::ban, query::bans as rows};
use ipnet::IpNet;
use metrics::metrics;
use tokio::sync::Notify;

use self::{ban_index::BanIndex, violations::Violations};

/// Interval of reading the table, in case a change was missed on the bus.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of bans in memory; those that end last are kept.
const MAX_BANS: u64 = 100_000;
/// Time without a ban after which the next ban has the first, shortest duration again.
const ESCALATION_RESET: Duration = Duration::from_secs(7 * 86_400);
/// Interval of deleting old bans. They are kept for `BAN_RETENTION` after their end.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3_600);
const BAN_RETENTION: Duration = Duration::from_secs(30 * 86_400);
/// Maximum time to wait until the signal of a ban, or of its end, has been sent to the other
/// instances.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum duration of a ban: ten years.
const MAX_BAN_SECONDS: u64 = 315_360_000;
const MAX_REASON_CHARS: usize = 200;

/// Firewall of this instance.
pub struct Firewall {
    is_on: bool,
    config: config::Firewall,
    trusted: Vec<IpNet>,
    clock: Clock,
    db: Database,
    bus: Arc<dyn EventBus>,
    /// Bans by the firewall itself.
    automatic: BanIndex,
    /// Bans by administrators.
    manual: BanIndex,
    violations: Violations,
    /// Wakes the task that reads the table, so that it does so at once.
    reload_due: Notify,
}

/// Ban requested by an administrator.
pub struct BanRequest {
    pub address: String,
    pub seconds: u64,
    pub reason: String,
}

impl Firewall {
    /// Loads the bans in force, and starts following changes.
    pub async fn start(
        config: &Config,
        clock: Clock,
        db: Database,
        bus: Arc<dyn EventBus>,
        redis: Option<crate::redis::Redis>,
    ) -> Result<Arc<Self>, AppError> {
        let settings = config.firewall.clone();
        let firewall = Arc::new(Self {
            is_on: config.rate_limit.enabled,
            trusted: config.server.trusted_proxies.clone(),
            violations: Violations::new(settings.violations_to_ban, settings.window, clock.clone(), redis),
            config: settings,
            clock,
            db,
            bus,
            automatic: BanIndex::default(),
            manual: BanIndex::default(),
            reload_due: Notify::new(),
        });
        if firewall.is_on {
            let envelope = firewall.bus.subscribe();
            firewall.reload().await?;
            tokio::spawn(Arc::clone(&firewall).follow(envelope));
            tokio::spawn(Arc::clone(&firewall).maintain());
        }
        Ok(firewall)
    }

    /// Refuses addresses that are banned by an administrator, for all callers. `address` is
    /// evaluated only if there are such bans.
    pub fn check_manual(&self, address: impl FnOnce() -> Option<IpAddr>) -> Result<(), AppError> {
        self.check(&self.manual, address)
    }

    /// Refuses addresses that are banned by the firewall. Applies only to callers without valid
    /// credentials.
    pub fn check_automatic(&self, address: impl FnOnce() -> Option<IpAddr>) -> Result<(), AppError> {
        self.check(&self.automatic, address)
    }

    fn check(&self, book: &BanIndex, address: impl FnOnce() -> Option<IpAddr>) -> Result<(), AppError> {
        if book.is_empty() {
            return Ok(());
        }
        let Some(until) = address().and_then(|address| self.banned_until(book, address)) else { return Ok(()) };
        metrics().gates.banned_request();
        let left = until.millis().saturating_sub(self.clock.now().millis());
        let left = u64::try_from(left).unwrap_or_default().div_ceil(1_000).max(1);
        let retry_after = Some(Duration::from_secs(left));
        Err(AppError::Refused { code: Code::AddressBanned, message: None, retry_after })
    }

    /// True if bans can apply to this address.
    #[must_use]
    pub fn may_ban(&self, address: IpAddr) -> bool {
        self.is_on && !self.is_trusted(address)
    }

    /// True if the firewall has banned this address. `address` is evaluated only if there are such
    /// bans.
    #[must_use]
    pub fn is_banned_automatically(&self, address: impl FnOnce() -> Option<IpAddr>) -> bool {
        !self.automatic.is_empty()
            && address().is_some_and(|address| self.banned_automatically_until(address).is_some())
    }

    /// End of the firewall's automatic ban of this address.
    #[must_use]
    pub fn banned_automatically_until(&self, address: IpAddr) -> Option<Timestamp> {
        self.banned_until(&self.automatic, address)
    }

    /// End of an administrator's ban of this address.
    #[must_use]
    pub fn banned_manually_until(&self, address: IpAddr) -> Option<Timestamp> {
        self.banned_until(&self.manual, address)
    }

    fn banned_until(&self, book: &BanIndex, address: IpAddr) -> Option<Timestamp> {
        if book.is_empty() {
            return None;
        }
        let address = address.to_canonical();
        book.banned_until(address, self.clock.now()).filter(|_| !self.is_trusted(address))
    }

    /// Records a violation by an address, unless a page of another site made a browser send the
    /// request. If the address has reached the limit, it is banned when this function returns.
    pub async fn record_violation(&self, source: RequestSource, violation: Violation) {
        let Some(address) = source.attributable_address().map(|address| address.to_canonical()) else { return };
        if !self.is_on || !self.config.violations.contains(&violation) || self.is_trusted(address) {
            return;
        }
        metrics().gates.violation(violation.as_str());
        let network = network::counted_network(address);
        if !self.violations.record(network).await {
            return;
        }
        let until = match self.ban_for(network, violation).await {
            Ok(until) => until,
            Err(error) => {
                // Without the database the ban applies only to this instance, and only until the
                // table can be read again.
                tracing::warn!(%error, %network, "failed to store ban");
                self.clock.now().plus(self.duration(0))
            }
        };
        metrics().gates.ban_added();
        tracing::info!(%network, %until, last = violation.as_str(), "address banned");
        self.automatic.extend(network, until);
        self.publish(Signal::Banned { network, until, is_manual: false }).await;
    }

    /// Lists the bans in force, the newest first.
    pub async fn list(&self, filter: &Filter, page: PageRequest) -> Result<Page<Ban>, AppError> {
        validate_search_text(&filter.text)?;
        let (bans, total) = rows::list(self.db.reader(), self.clock.now(), filter, page).await?;
        Ok(Page::new(bans.into_iter().map(view).collect(), page, total))
    }

    /// Bans a network on behalf of an administrator.
    pub async fn ban(&self, by: &Principal, request: BanRequest) -> Result<Ban, AppError> {
        let (network, reason) = self.parse(&request)?;
        let now = self.clock.now();
        let tx = self.db.begin().await.map_err(app_error)?;
        let new = rows::NewBan {
            network: network.to_string(),
            reason,
            is_automatic: false,
            created_by: by.account_id(),
            at: now,
            expires_at: now.plus(Duration::from_secs(request.seconds)),
        };
        let ban = rows::insert(&tx, new).await?;
        let target = Some(network.to_string());
        audit::record(&tx, NewAuditEntry::by_principal(by, Action::BanAdded, target)).await?;
        tx.commit().await.map_err(app_error)?;
        if self.is_on {
            self.manual.extend(network, ban.expires_at);
        }
        self.publish(Signal::Banned { network, until: ban.expires_at, is_manual: true }).await;
        Ok(view(ban))
    }

    /// Lifts a ban on every instance. Other bans of the network stay in force.
    pub async fn lift(&self, by: &Principal, id: BanId) -> Result<(), AppError> {
        let now = self.clock.now();
        let tx = self.db.begin().await.map_err(app_error)?;
        let ban::Model { network, is_automatic, .. } = rows::lift(&tx, id, now).await?.ok_or(Code::NotFound)?;
        let until = rows::active_of(&tx, &network, is_automatic, now).await?;
        let target = Some(network.clone());
        audit::record(&tx, NewAuditEntry::by_principal(by, Action::BanLifted, target)).await?;
        tx.commit().await.map_err(app_error)?;
        let network: IpNet = network.parse().map_err(AppError::internal)?;
        if self.is_on {
            self.bans_of(is_automatic).sync(network, until);
        }
        self.publish(Signal::BanLifted(network)).await;
        Ok(())
    }

    /// Validates all fields, so that a form can show all errors at once.
    fn parse(&self, request: &BanRequest) -> Result<(IpNet, String), AppError> {
        let network = network::parse(&request.address).and_then(|network| {
            if self.trusted.iter().any(|trusted| trusted.contains(&network)) {
                let sentence = "This is a trusted proxy and can't be banned.";
                return Err(AppError::field("address", "trusted", sentence));
            }
            Ok(network)
        });
        let seconds = if (1..=MAX_BAN_SECONDS).contains(&request.seconds) {
            Ok(())
        } else {
            Err(AppError::field(
                "seconds",
                "invalid",
                format!("Choose a duration from 1 to {MAX_BAN_SECONDS} seconds."),
            ))
        };
        let reason = parse_line("reason", &request.reason, MAX_REASON_CHARS);
        match (network, seconds, reason) {
            (Ok(network), Ok(()), Ok(reason)) => Ok((network, reason)),
            (network, seconds, reason) => {
                let errors = [network.err(), seconds.err(), reason.err()];
                Err(AppError::Invalid(errors.iter().flatten().flat_map(AppError::fields).cloned().collect()))
            }
        }
    }

    /// Stores an automatic ban. If another instance has stored one in the meantime, the end of that
    /// ban is returned.
    async fn ban_for(&self, network: IpNet, last: Violation) -> Result<Timestamp, AppError> {
        let (now, name) = (self.clock.now(), network.to_string());
        let tx = self.db.begin().await.map_err(app_error)?;
        if let Some(until) = rows::active_of(&tx, &name, true, now).await? {
            return Ok(until);
        }
        let earlier = rows::count_automatic(&tx, &name, now.minus(ESCALATION_RESET)).await?;
        let expires_at = now.plus(self.duration(earlier));
        let reason = format!(
            "{} violations within {} s, the last one: {}",
            self.config.violations_to_ban,
            self.config.window.as_secs(),
            last.as_str()
        );
        let new =
            rows::NewBan { network: name.clone(), reason, is_automatic: true, created_by: None, at: now, expires_at };
        rows::insert(&tx, new).await?;
        let entry = NewAuditEntry { action: Action::AddressBanned, actor: None, target: Some(name), address: None };
        audit::record(&tx, entry).await?;
        tx.commit().await.map_err(app_error)?;
        Ok(expires_at)
    }

    /// Duration of a ban that follows `earlier` recent ones.
    fn duration(&self, earlier: u64) -> Duration {
        let durations = &self.config.durations;
        let place = usize::try_from(earlier).unwrap_or(usize::MAX).min(durations.len().saturating_sub(1));
        // The configuration check guarantees a non-empty list.
        durations.get(place).copied().unwrap_or_default()
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    async fn publish(&self, signal: Signal) {
        let left = self.bus.publish(vec![BusMessage::Signal(signal)]);
        // If the bus is unavailable, the other instances read the table within seconds.
        if !matches!(tokio::time::timeout(PUBLISH_TIMEOUT, left).await, Ok(Ok(Ok(())))) {
            tracing::warn!("failed to publish ban change, other instances read it from the table");
        }
    }

    async fn reload(&self) -> Result<(), AppError> {
        let began = Instant::now();
        let rows = rows::active(self.db.reader(), self.clock.now(), MAX_BANS).await?;
        let (mut automatic, mut manual) = (HashMap::new(), HashMap::new());
        for row in rows {
            if let Ok(network) = row.network.parse::<IpNet>() {
                let standing = if row.is_automatic { &mut automatic } else { &mut manual };
                standing.insert(network, row.expires_at);
            }
        }
        self.automatic.replace(&automatic, began);
        self.manual.replace(&manual, began);
        Ok(())
    }

    const fn bans_of(&self, is_automatic: bool) -> &BanIndex {
        if is_automatic { &self.automatic } else { &self.manual }
    }

    async fn follow(self: Arc<Self>, mut envelope: Listener) {
        while let Some(message) = envelope.recv().await {
            match message {
                BusMessage::Signal(Signal::Banned { network, until, is_manual }) => {
                    self.bans_of(!is_manual).extend(network, until);
                }
                // A ban may be among the lost messages.
                BusMessage::Signal(Signal::BanLifted(_) | Signal::Gap) => self.reload_due.notify_one(),
                BusMessage::Signal(_) | BusMessage::Envelope(_) | BusMessage::Coalesced(_) => {}
            }
        }
    }

    async fn maintain(self: Arc<Self>) {
        let mut reading = tokio::time::interval(RELOAD_INTERVAL);
        reading.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut sweeping = tokio::time::interval(CLEANUP_INTERVAL);
        sweeping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                () = self.reload_due.notified() => catch_panic(self.reload()).await,
                _ = reading.tick() => {
                    self.violations.sweep();
                    catch_panic(self.reload()).await
                }
                _ = sweeping.tick() => catch_panic(rows::delete_ended(self.db.writer(), self.clock.now().minus(BAN_RETENTION))).await,
            };
            if let Err(error) = done {
                tracing::debug!(%error, "failed to read bans");
            }
        }
    }
}

/// Lifts all bans of a network from the command line. Running instances notice within seconds.
/// Returns the number of lifted bans.
pub async fn lift_all(db: &Database, clock: &Clock, address: &str) -> Result<u64, AppError> {
    let network = network::parse(address)?.to_string();
    let tx = db.begin().await.map_err(app_error)?;
    let lifted = rows::lift_all(&tx, &network, clock.now()).await?;
    if lifted > 0 {
        let entry = NewAuditEntry { action: Action::BanLifted, actor: None, target: Some(network), address: None };
        audit::record(&tx, entry).await?;
    }
    tx.commit().await.map_err(app_error)?;
    Ok(lifted)
}

fn view(row: ban::Model) -> Ban {
    let ban::Model { id, network, reason, created_by, created_at, expires_at, .. } = row;
    Ban { id, address: network, reason, created_by, created_at, expires_at }
}

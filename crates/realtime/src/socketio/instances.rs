//! Registry of the cluster's instances and their URLs.
//!
//! Each instance periodically writes its URL to Redis, reads all URLs in the same call, and answers
//! look-ups from memory. A request with a forged session id thus causes no extra Redis traffic, and
//! a dead instance is removed after [`LIFETIME`]. While Redis is unavailable, the instances known
//! so far are used.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use appcore::config::split_hosts;
use platform::redis::Redis;
use redis::Script;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::RealtimeServices;

/// Interval at which an instance renews its registration.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
/// Lifetime of a registration.
const LIFETIME: Duration = Duration::from_secs(15);
/// Minimum interval between refreshes, including those caused by unknown instances.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(250);
/// Port whose route is looked up if the URL of the bus has none.
const REDIS_PORT: u16 = 6379;
/// Timeout of a Redis call.
const REDIS_TIMEOUT: Duration = Duration::from_secs(1);

/// Instances of a cluster.
pub struct Instances {
    services: Arc<RealtimeServices>,
    own_url: String,
    instances: RwLock<HashMap<Uuid, InstanceEntry>>,
    /// Requests a refresh, because a session id contains an unknown instance.
    refresh_requested: Notify,
    /// Signals that a refresh has finished.
    refresh_finished: watch::Sender<()>,
}

#[derive(Clone)]
struct InstanceEntry {
    url: Arc<str>,
    seen_at: Instant,
}

impl Instances {
    /// Registers this instance and keeps it registered. Returns `None` without Redis, since there
    /// is only one instance then.
    pub async fn join(services: &Arc<RealtimeServices>) -> Option<Arc<Self>> {
        services.redis.as_ref()?;
        let instances = Arc::new(Self {
            services: Arc::clone(services),
            own_url: own_url(services),
            instances: RwLock::default(),
            refresh_requested: Notify::new(),
            refresh_finished: watch::Sender::new(()),
        });
        // The instance is registered before it issues its first session id.
        instances.refresh().await;
        actix_rt::spawn(Arc::clone(&instances).run());
        Some(instances)
    }

    /// Returns the URL of an instance; `None` if it is unknown.
    pub async fn find(&self, instance: Uuid) -> Option<Arc<str>> {
        if let Some(url) = self.cached_url(instance) {
            return Some(url);
        }
        let mut asked = self.refresh_finished.subscribe();
        // The first refresh that finishes may have started before the instance registered itself,
        // so a second one is awaited.
        for _ in 0..2 {
            self.refresh_requested.notify_one();
            // The look-up is repeated whether or not the refresh succeeded.
            let _ = timeout(REDIS_TIMEOUT + MIN_REFRESH_INTERVAL, asked.changed()).await;
            if let Some(url) = self.cached_url(instance) {
                return Some(url);
            }
        }
        None
    }

    fn cached_url(&self, instance: Uuid) -> Option<Arc<str>> {
        let known = self.instances.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).map(|neighbour| Arc::clone(&neighbour.url))
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL_INTERVAL) => {}
                () = self.refresh_requested.notified() => {}
            }
            self.refresh().await;
            tokio::time::sleep(MIN_REFRESH_INTERVAL).await;
        }
    }

    async fn refresh(&self) {
        if let Some(redis) = &self.services.redis {
            match redis.execute(REDIS_TIMEOUT, self.exchange(redis)).await {
                Ok(all) => self.update(all),
                Err(error) => tracing::debug!(error = format!("{error:#}"), "failed to refresh instance list"),
            }
        }
        self.refresh_finished.send_replace(());
    }

    async fn exchange(&self, redis: &Redis) -> anyhow::Result<HashMap<String, String>> {
        let mut connection = redis.connection().await?;
        let answer = Script::new(include_str!("instances.lua"))
            .key("natter:{instances}:alive")
            .key("natter:{instances}:addresses")
            .arg(self.services.instance_id.to_string())
            .arg(&self.own_url)
            .arg(LIFETIME.as_millis() as u64)
            .invoke_async(&mut connection)
            .await?;
        Ok(answer)
    }

    /// Adds the instances read from Redis. Known instances that are missing are kept until they
    /// expire, because Redis may have lost its data.
    fn update(&self, all: HashMap<String, String>) {
        let now = Instant::now();
        let mut known = self.instances.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, neighbour| now.duration_since(neighbour.seen_at) < LIFETIME);
        known.extend(all.into_iter().filter_map(|(instance, url)| {
            let instance = instance.parse().ok()?;
            Some((instance, InstanceEntry { url: url.trim_end_matches('/').into(), seen_at: now }))
        }));
    }
}

/// Returns the URL at which other instances reach this one. If the server listens on all addresses
/// and no URL is configured, it uses the local address from which it reaches the bus.
fn own_url(services: &RealtimeServices) -> String {
    let server = &services.config.server;
    let listens_everywhere = server.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    if server.advertise_url.is_some() || !listens_everywhere {
        return server.advertise_url();
    }
    let servers = services.config.bus_url().and_then(|url| split_hosts(url.expose())).unwrap_or_default();
    let address =
        servers.first().and_then(|server| outward_address(server.host_str()?, server.port().unwrap_or(REDIS_PORT)));
    let url = address.map(|address| format!("http://{}", SocketAddr::new(address, server.port)));
    url.unwrap_or_else(|| server.advertise_url())
}

/// Returns the local address from which this machine reaches a host.
fn outward_address(host: &str, port: u16) -> Option<IpAddr> {
    (host, port).to_socket_addrs().ok()?.find_map(|other| {
        let any: IpAddr = if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // No packet is sent; the kernel only selects the route.
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(other).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_to_loopback_uses_loopback_and_unknown_hosts_have_none() {
        assert_eq!(outward_address("127.0.0.1", 6379), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(outward_address("no-such-host.invalid", 6379), None);
    }
}

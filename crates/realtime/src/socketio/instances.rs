//! Where the instances of the cluster are reached.
//!
//! Each writes its address into Redis every few seconds, reads all of them in the same call, and answers from memory. So a request with a
//! made-up name of a session costs Redis nothing, and an instance that died is forgotten after [`LIFETIME`]. While Redis is away
//! everybody goes on with what they know.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use app::App;
use platform::redis::Redis;
use redis::Script;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use uuid::Uuid;

/// How often an instance says where it is.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long it is believed.
const LIFETIME: Duration = Duration::from_secs(15);
/// How often an unknown instance may make us ask out of turn.
const PAUSE: Duration = Duration::from_millis(250);
/// How long Redis may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The instances of a cluster.
pub struct Instances {
    app: Arc<App>,
    own_url: String,
    known: RwLock<HashMap<Uuid, Neighbour>>,
    /// Somebody looks for one that is not known.
    wanted: Notify,
    /// Tells those who wait that it was asked.
    asked: watch::Sender<()>,
}

#[derive(Clone)]
struct Neighbour {
    url: Arc<str>,
    seen_at: Instant,
}

impl Instances {
    /// Makes this instance known, and keeps it so. None: it is alone.
    pub async fn join(app: &Arc<App>) -> Option<Arc<Self>> {
        app.redis.as_ref()?;
        let instances = Arc::new(Self {
            app: Arc::clone(app),
            own_url: own_url(app),
            known: RwLock::default(),
            wanted: Notify::new(),
            asked: watch::Sender::new(()),
        });
        // Before the first session has a name that says whose it is.
        instances.refresh().await;
        actix_rt::spawn(Arc::clone(&instances).keep());
        Some(instances)
    }

    /// Where this instance is reached.
    pub async fn find(&self, instance: Uuid) -> Option<Arc<str>> {
        if let Some(url) = self.known(instance) {
            return Some(url);
        }
        let mut asked = self.asked.subscribe();
        // The answer that comes first may have been on its way before that instance was there.
        for _ in 0..2 {
            self.wanted.notify_one();
            // However it went, what is known then counts.
            let _ = timeout(PATIENCE + PAUSE, asked.changed()).await;
            if let Some(url) = self.known(instance) {
                return Some(url);
            }
        }
        None
    }

    fn known(&self, instance: Uuid) -> Option<Arc<str>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&instance).map(|neighbour| Arc::clone(&neighbour.url))
    }

    async fn keep(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RENEWAL) => {}
                () = self.wanted.notified() => {}
            }
            self.refresh().await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn refresh(&self) {
        if let Some(redis) = &self.app.redis {
            match redis.within(PATIENCE, self.exchange(redis)).await {
                Ok(all) => self.learn(all),
                Err(error) => tracing::debug!(error = format!("{error:#}"), "the instances could not be asked for"),
            }
        }
        self.asked.send_replace(());
    }

    async fn exchange(&self, redis: &Redis) -> anyhow::Result<HashMap<String, String>> {
        let mut connection = redis.connection().await?;
        let answer = Script::new(include_str!("instances.lua"))
            .key("natter:{instances}:alive")
            .key("natter:{instances}:addresses")
            .arg(self.app.instance_id.to_string())
            .arg(&self.own_url)
            .arg(LIFETIME.as_millis() as u64)
            .invoke_async(&mut connection)
            .await?;
        Ok(answer)
    }

    /// Who is missing may only be so because Redis has lost them: they count until their time is over.
    fn learn(&self, all: HashMap<String, String>) {
        let now = Instant::now();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, neighbour| now.duration_since(neighbour.seen_at) < LIFETIME);
        known.extend(all.into_iter().filter_map(|(instance, url)| {
            let instance = instance.parse().ok()?;
            Some((instance, Neighbour { url: url.trim_end_matches('/').into(), seen_at: now }))
        }));
    }
}

/// Where the others reach this instance. One that listens everywhere and was not told better gives the address by which it reaches Redis.
fn own_url(app: &App) -> String {
    let server = &app.config.server;
    let listens_everywhere = server.host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
    if server.advertise_url.is_some() || !listens_everywhere {
        return server.advertise_url();
    }
    let redis = app.config.redis.url.as_ref().and_then(|url| redis::Client::open(url.expose()).ok());
    let address = redis.and_then(|redis| match redis.get_connection_info().addr() {
        redis::ConnectionAddr::Tcp(host, port) | redis::ConnectionAddr::TcpTls { host, port, .. } => {
            outward_address(host, *port)
        }
        _ => None,
    });
    let url = address.map(|address| format!("http://{}", SocketAddr::new(address, server.port)));
    url.unwrap_or_else(|| server.advertise_url())
}

/// The address by which this machine reaches another.
fn outward_address(host: &str, port: u16) -> Option<IpAddr> {
    (host, port).to_socket_addrs().ok()?.find_map(|other| {
        let any: IpAddr = if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        // Nothing is sent: the kernel only chooses where it would go out.
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(other).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_reaches_itself_by_the_loopback_and_nobody_by_no_name() {
        assert_eq!(outward_address("127.0.0.1", 6379), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(outward_address("no-such-host.invalid", 6379), None);
    }
}

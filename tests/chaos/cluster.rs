//! Three instances behind a load balancer. Each is connected to PostgreSQL and to Redis through
//! separate proxies that inject faults.

use std::time::Duration;

use support::{Balancer, Caller, Instance, PostgresServer, Proxy, RedisServer, TestDatabase, Way};
use tempfile::TempDir;

pub const INSTANCES: usize = 3;
/// Time within which the cluster must have recovered.
const HEALING: Duration = Duration::from_secs(20);

pub struct Cluster {
    pub instances: Vec<Instance>,
    pub to_database: Vec<Proxy>,
    pub to_redis: Vec<Proxy>,
    pub balancer: Balancer,
    /// Proxy in front of the load balancer, which half of the clients use.
    pub door: Proxy,
    pub postgres: PostgresServer,
    pub redis: RedisServer,
    /// Logs of the processes that have ended, per instance.
    pub logs: Vec<Vec<String>>,
    _folder: TempDir,
}

impl Cluster {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("natter-chaos").tempdir().expect("a temporary folder");
        let postgres = tokio::task::block_in_place(PostgresServer::start);
        let redis = RedisServer::start().await;
        let (mut instances, mut to_database, mut to_redis) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..INSTANCES {
            let (database, events) = (Proxy::start(postgres.port()).await, Proxy::start(redis.port()).await);
            let settings: Vec<(String, String)> = [
                ("database.url", format!("postgres://natter@127.0.0.1:{}/postgres", database.port())),
                ("database.migrate_on_start", "true".into()),
                ("redis.url", format!("redis://127.0.0.1:{}", events.port())),
                ("workspaces.shared", "Home".into()),
                ("rate_limit.enabled", "false".into()),
                ("server.data_dir", folder.path().display().to_string()),
                ("uploads.url", folder.path().join("uploads").display().to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value))
            .into();
            instances.push(Instance::start(folder.path(), &settings).await);
            to_database.push(database);
            to_redis.push(events);
        }
        let balancer = Balancer::start(&instances).await;
        balancer.wait_until_all_are_up().await;
        let door = Proxy::start(balancer.port()).await;
        let logs = vec![Vec::new(); INSTANCES];
        Self { instances, to_database, to_redis, balancer, door, postgres, redis, logs, _folder: folder }
    }

    /// URL of the proxy in front of the load balancer.
    pub fn door_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.door.port())
    }

    /// Terminates all database connections from within PostgreSQL.
    pub async fn end_backends(&self) {
        let database = TestDatabase::of_a_server(self.postgres.url());
        database
            .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .await;
    }

    /// Starts a new process in place of one that has ended.
    pub async fn start_again(&mut self, place: usize) {
        let said = self.instances[place].log();
        self.logs[place].extend(said);
        self.logs[place].push("-------- ended; the next one begins --------".into());
        self.instances[place].start_again().await;
    }

    /// Returns the log of the current process at this index and of its predecessors.
    pub fn log(&self, place: usize) -> Vec<String> {
        let mut all = self.logs[place].clone();
        all.extend(self.instances[place].log());
        all
    }

    /// Removes all faults from the proxies.
    pub fn open_all_ways(&self) {
        for proxy in self.to_database.iter().chain(&self.to_redis).chain([&self.door]) {
            proxy.set(Way::Open);
        }
    }

    /// Returns the components that have not recovered within the timeout.
    pub async fn unhealed(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for instance in &self.instances {
            let caller = Caller::anonymous(&instance.url());
            let deadline = tokio::time::Instant::now() + HEALING;
            loop {
                let request = caller.request(reqwest::Method::GET, "/health").timeout(Duration::from_secs(5));
                let health = caller.try_send(request).await;
                let is_whole = health.as_ref().is_ok_and(|health| {
                    health.status == 200
                        && health.body["database"]["status"] == "up"
                        && health.body["redis"]["status"] == "up"
                });
                if is_whole {
                    break;
                }
                if tokio::time::Instant::now() > deadline {
                    wrong.push(format!("{} is not well: {health:?}", instance.url()));
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        wrong
    }
}

//! Client of the API as the operator, for the commands below `natter admin`.
//!
//! The commands call the same endpoints as the console, so that the same rules, audit entries and
//! events apply. They call the server of this installation on this machine. If none is running, an
//! instance without a public address is started for the duration of the command.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use app::App;
use appcore::{
    Clock, InstanceId,
    config::{Config, LoadedConfig, Role},
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::{sync::oneshot, task::JoinHandle};
use url::Url;

use identity::accounts;

use super::connect;
use crate::{probe, schema::SchemaState, serve};

/// Timeout of a request. A test email may take a minute.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of items that are requested per page of a list.
const PAGE_SIZE: &str = "100";

/// Connection to the API of the installation.
pub struct Operator {
    client: reqwest::Client,
    address: SocketAddr,
    token: String,
    /// Instance that was started for this command.
    local: Option<LocalServer>,
}

struct LocalServer {
    stop: oneshot::Sender<()>,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    pub async fn connect(loaded: LoadedConfig) -> anyhow::Result<Self> {
        require_database(&loaded.config)?;
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        if let Some(token) = token(&loaded.config).await? {
            let running = Self { client: client.clone(), address: probe::address(&loaded.config)?, token, local: None };
            if running.is_own_installation().await? {
                return Ok(running);
            }
        }
        let config = loaded.config.clone();
        let (local, address) = LocalServer::start(loaded).await?;
        let token = token(&config).await?.context("The installation has no signing key.")?;
        Ok(Self { client, address, token, local: Some(local) })
    }

    /// Stops the instance that was started for this command, after it has finished its work.
    pub async fn close(self) -> anyhow::Result<()> {
        let Some(LocalServer { stop, running }) = self.local else { return Ok(()) };
        // Otherwise it has stopped already.
        let _ = stop.send(());
        running.await?
    }

    /// True if a server of this installation responds, which is the one that accepts the token.
    async fn is_own_installation(&self) -> anyhow::Result<bool> {
        let Ok((status, answer)) = self.exchange(Method::GET, "/r1/admin/instances", &[], None).await else {
            return Ok(false);
        };
        match answer["status"].as_str() {
            Some("success") => Ok(true),
            Some(_) if status != StatusCode::UNAUTHORIZED => Err(refusal(&answer)),
            _ => Ok(false),
        }
    }

    /// Calls an endpoint and returns the data of its response.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        self.request(method, path, &[], body).await
    }

    /// Reads all pages of a list.
    pub async fn list(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        for page in 1_u64.. {
            let number = page.to_string();
            let query = [query, &[("page", number.as_str()), ("page_size", PAGE_SIZE)]].concat();
            let mut data = self.request(Method::GET, path, &query, None).await?;
            let Value::Array(found) = data["items"].take() else { bail!("The server's list has no items.") };
            let is_last = found.is_empty();
            items.extend(found);
            if is_last || items.len() as u64 >= data["total"].as_u64().unwrap_or(0) {
                break;
            }
        }
        Ok(items)
    }

    /// Returns the account with this address or id.
    pub async fn user(&self, name: &str) -> anyhow::Result<Value> {
        let found = self.list("/r1/admin/users", &[("q", name)]).await?;
        let is_meant = |user: &Value| {
            let is = |field: &str| user[field].as_str().is_some_and(|text| text.eq_ignore_ascii_case(name));
            is("email") || is("id")
        };
        found.into_iter().find(is_meant).with_context(|| format!("There is no account {name}."))
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (status, mut answer) = self.exchange(method, path, query, body).await?;
        ensure!(status.is_success(), refusal(&answer));
        Ok(answer["data"].take())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> anyhow::Result<(StatusCode, Value)> {
        let mut url = Url::parse(&format!("http://{}{path}", self.address))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let failed = || format!("The server at {} does not respond", self.address);
        let response = request.send().await.with_context(failed)?;
        let status = response.status();
        let answer = response.bytes().await.with_context(failed)?;
        let answer = serde_json::from_slice(&answer)
            .with_context(|| format!("The server at {} is not a Natter server", self.address))?;
        Ok((status, answer))
    }
}

impl LocalServer {
    /// Starts an instance on a free port of this machine, without backups and metrics.
    async fn start(mut loaded: LoadedConfig) -> anyhow::Result<(Self, SocketAddr)> {
        let config = &mut loaded.config;
        config.metrics.listen = None;
        if config.server.role == Role::Worker {
            config.server.role = Role::Web;
        }
        let (stop, stopped) = oneshot::channel();
        let (started, listening) = oneshot::channel();
        let listen = async |_: &App| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            // The command waits for the address until the server has started or failed.
            let _ = started.send(listener.local_addr()?);
            Ok((listener, async { _ = stopped.await }))
        };
        let running = actix_rt::spawn(serve::serve(loaded, InstanceId::new(), listen));
        match listening.await {
            Ok(address) => Ok((Self { stop, running }, address)),
            Err(_) => match running.await? {
                Ok(()) => bail!("The server stopped before the command was done."),
                Err(error) => Err(error),
            },
        }
    }
}

/// Fails if there is no database yet, because a command must not create one.
pub fn require_database(config: &Config) -> anyhow::Result<()> {
    if config.is_embedded() {
        let file = dbcontext::sqlite_file(config.database.url.expose())?;
        ensure!(
            file.exists(),
            "There is no database at {}. Start the server once, or check server.data_dir and database.url.",
            file.display()
        );
    }
    Ok(())
}

/// Signs a token for this command; `None` if no server of this version has been started yet.
async fn token(config: &Config) -> anyhow::Result<Option<String>> {
    let config = config.clone().with_key_file()?;
    let database = connect(&config).await?;
    let token = match SchemaState::of(&database).await?.pending {
        0 => accounts::operator_token(&database, &config, &Clock::system()).await?,
        _ => None,
    };
    database.close().await?;
    Ok(token)
}

/// Error that says what the server said, in one sentence.
fn refusal(answer: &Value) -> anyhow::Error {
    let fields = answer["errors"].as_array().into_iter().flatten();
    let mut sentences: Vec<&str> = fields.filter_map(|error| error["message"].as_str()).collect();
    if sentences.is_empty() {
        sentences.extend(answer["message"].as_str());
    }
    anyhow!("{}", sentences.join(" "))
}

//! Measured gateways. Each has its default configuration, but one worker and no log of calls.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::json;
use support::{ADMIN_EMAIL, Anonymous, Caller, Credentials, Engine, PASSWORD, TestDatabase, free_port};
use tempfile::TempDir;

use super::load::{Call, Load};
use crate::{machine::Cores, server::Server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// nginx, as a lower bound: it forwards bytes without parsing them.
    Nginx,
    Natter,
    /// Natter, with calls that are paid from credits.
    NatterPaid,
    SglangRouter,
    Portkey,
    LiteLlm,
}

/// Gateway that is ready for calls.
pub struct Running {
    pub server: Server,
    pub key: String,
    pub path: &'static str,
    _database: Option<TestDatabase>,
    _folder: TempDir,
}

/// Maximum time until a gateway is ready. LiteLLM takes half a minute.
const READY: Duration = Duration::from_secs(90);
/// Port of the upstream, for Portkey, which has no configuration file.
static UPSTREAM: AtomicU16 = AtomicU16::new(0);

pub fn custom_host() -> String {
    format!("http://127.0.0.1:{}/v1", UPSTREAM.load(Ordering::Relaxed))
}

impl Peer {
    pub const ALL: [Self; 5] = [Self::Nginx, Self::Natter, Self::SglangRouter, Self::Portkey, Self::LiteLlm];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx (floor)",
            Self::Natter => "Natter",
            Self::NatterPaid => "Natter, paid from credits",
            Self::SglangRouter => "sglang-router",
            Self::Portkey => "Portkey",
            Self::LiteLlm => "LiteLLM",
        }
    }

    pub fn start(self, cores: Cores, natter: &Path, peers: &Path, upstream: u16) -> anyhow::Result<Running> {
        self.start_on(None, cores, natter, peers, upstream)
    }

    /// Starts Natter with a database on the given engine instead of the default one.
    pub fn start_on(
        self,
        engine: Option<Engine>,
        cores: Cores,
        natter: &Path,
        peers: &Path,
        upstream: u16,
    ) -> anyhow::Result<Running> {
        UPSTREAM.store(upstream, Ordering::Relaxed);
        let scratch = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
        let (folder, port) = (scratch.path(), free_port());
        let start = |program: PathBuf, arguments: &str, environment: &[(&str, String)]| {
            let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
            let environment: Vec<_> =
                environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            Server::start(cores.server, folder, port, &program, &arguments, &environment)
        };
        let python = peers.join("python/bin");
        let (mut key, mut database) = ("sk-bench".to_owned(), None);
        let server = match self {
            Self::Nginx => {
                let file = folder.join("nginx.conf");
                let text = include_str!("../../peers/gateway-nginx.conf")
                    .replace("@FOLDER@", &folder.display().to_string())
                    .replace("@PORT@", &port.to_string())
                    .replace("@UPSTREAM@", &upstream.to_string());
                fs::write(&file, text)?;
                start("nginx".into(), &format!("-p {} -c {}", folder.display(), file.display()), &[])?
            }
            Self::Natter | Self::NatterPaid => {
                let mut settings = vec![
                    ("NATTER__SERVER__PORT", port.to_string()),
                    ("NATTER__SERVER__DATA_DIR", folder.display().to_string()),
                    ("NATTER__SERVER__WORKERS", "1".to_owned()),
                    // Limits are counted, but they are so high that a single caller doesn't reach
                    // them.
                    ("NATTER__RATE_LIMIT__GATEWAY__LIMIT", "1000000".to_owned()),
                    ("NATTER__RATE_LIMIT__FLOOD_PER_SECOND", "1000000".to_owned()),
                    ("NATTER__GATEWAY__DEFAULT_RPM", "0".to_owned()),
                    ("NATTER__AI__PROVIDERS__BENCH__KIND", "openai".to_owned()),
                    ("NATTER__AI__PROVIDERS__BENCH__BASE_URL", custom_host()),
                    ("NATTER__AI__PROVIDERS__BENCH__KEYS", "sk-bench".to_owned()),
                    ("NATTER__AI__PROVIDERS__BENCH__MODELS", "gpt-4o-mini".to_owned()),
                ];
                if self == Self::NatterPaid {
                    settings.push(("NATTER__PAYMENT__DEMO__ENABLED", "true".to_owned()));
                }
                if let Some(engine) = engine {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    let made = runtime.block_on(TestDatabase::copy(engine, folder));
                    settings.push(("NATTER__DATABASE__URL", made.url.clone()));
                    database = Some(made);
                }
                let server = start(natter.to_owned(), "serve", &settings)?;
                key = natter_key(&server, engine.is_some(), self == Self::NatterPaid)?;
                server
            }
            Self::SglangRouter => {
                let arguments = format!(
                    "-m sglang_router.launch_router --host 127.0.0.1 --port {port} --policy round_robin --worker-urls http://127.0.0.1:{upstream} --log-level error"
                );
                start(python.join("python"), &arguments, &[])?
            }
            // Streams of Portkey fail with newer releases of @hono/node-server than those that its
            // package.json allows.
            Self::Portkey => {
                let script = peers.join("node/node_modules/@portkey-ai/gateway/build/start-server.js");
                start("node".into(), &format!("{} --port={port} --headless", script.display()), &[])?
            }
            Self::LiteLlm => {
                let config = json!({
                    "model_list": [{ "model_name": "gpt-4o-mini", "litellm_params": { "model": "openai/gpt-4o-mini", "api_base": custom_host(), "api_key": "sk-bench" } }],
                    "general_settings": { "master_key": key },
                    "litellm_settings": { "telemetry": false },
                });
                let file = folder.join("litellm.yaml");
                // Writes JSON, which is valid YAML.
                fs::write(&file, config.to_string())?;
                let arguments = format!("--config {} --host 127.0.0.1 --port {port} --num_workers 1", file.display());
                start(
                    python.join("litellm"),
                    &arguments,
                    &[("LITELLM_LOG", "ERROR".to_owned()), ("LITELLM_LOCAL_MODEL_COST_MAP", "True".to_owned())],
                )?
            }
        };
        let running = Running { server, key, path: "/v1/chat/completions", _database: database, _folder: scratch };
        running.wait()?;
        Ok(running)
    }
}

impl Running {
    /// Waits until the gateway answers a call.
    fn wait(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let load = Load { address: self.server.address, key: self.key.clone(), path: self.path };
        let deadline = Instant::now() + READY;
        while let Err(error) = runtime.block_on(load.one_by_one(Call::Plain, 1)) {
            ensure!(Instant::now() < deadline, "{error:#}: {}", self.server.last_words());
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// Creates an API key with limits and a budget; if calls are paid, with credits instead.
fn natter_key(server: &Server, has_admin: bool, is_paid: bool) -> anyhow::Result<String> {
    let base = format!("http://{}", server.address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let nobody = Anonymous(Caller::anonymous(&base));
        let anna = if has_admin {
            nobody.sign_in(ADMIN_EMAIL, PASSWORD).await.data()
        } else {
            nobody.sign_up("anna@example.org", PASSWORD, "Anna").await.data_with(201)
        };
        let token = anna["access_token"].as_str().context("no access token")?;
        let caller = Caller::new(&base, Credentials::Bearer(token.to_owned()));
        let mut key = json!({
            "name": "bench", "scopes": ["gateway"], "rpm": 1_000_000_000, "tpm": 1_000_000_000, "parallel": 10_000,
        });
        if is_paid {
            // The first account is the administrator.
            let credits = json!({ "user_id": anna["user"]["id"], "amount": 1_000_000_000_000_u64, "reason": "bench" });
            caller.post("/r1/admin/credits", credits).await.data();
        } else {
            key["budget"] = json!({ "limit": 1_000_000_000_000_000_u64, "period": "day" });
        }
        let made = caller.post("/r1/api_keys", key).await.data_with(201);
        made["key"].as_str().map(str::to_owned).context("no key")
    })
}

//! Measured servers: Natter in its configurations, the servers with which it is compared, and a
//! lower bound.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::dialect::{Dialect, Form};
use crate::machine::Cores;
use crate::server::Server;
use crate::work::{LONG_MESSAGE, MESSAGE, Part};
use crate::world::{self, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    Floor,
    FloorLong,
    Nchan,
    NchanBuffer,
    Ws,
    SocketIo,
    SocketIoRedis,
    Socketioxide,
    NatterJson,
    NatterMsgpack,
    NatterSocketIo,
    NatterTyping,
    NatterTypingMsgpack,
    NatterTypingSocketIo,
}

impl Subject {
    pub const ALL: [Self; 14] = [
        Self::Floor,
        Self::FloorLong,
        Self::Nchan,
        Self::NchanBuffer,
        Self::Ws,
        Self::SocketIo,
        Self::SocketIoRedis,
        Self::Socketioxide,
        Self::NatterJson,
        Self::NatterMsgpack,
        Self::NatterSocketIo,
        Self::NatterTyping,
        Self::NatterTypingMsgpack,
        Self::NatterTypingSocketIo,
    ];

    /// Name shown in the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Floor => "loop of write(2)",
            Self::FloorLong => "loop of write(2), long frames",
            Self::Nchan => "Nchan, nothing kept",
            Self::NchanBuffer => "Nchan",
            Self::Ws => "ws",
            Self::SocketIo => "socket.io",
            Self::SocketIoRedis => "socket.io, Redis adapter",
            Self::Socketioxide => "socketioxide",
            Self::NatterJson => "Natter",
            Self::NatterMsgpack => "Natter, MessagePack",
            Self::NatterSocketIo => "Natter, Socket.IO",
            Self::NatterTyping => "Natter, passing",
            Self::NatterTypingMsgpack => "Natter, passing, MessagePack",
            Self::NatterTypingSocketIo => "Natter, passing, Socket.IO",
        }
    }

    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn is_natter(self) -> bool {
        self >= Self::NatterJson
    }

    /// True for servers other than Natter and the lower bound.
    pub fn is_peer(self) -> bool {
        self > Self::FloorLong && !self.is_natter()
    }

    /// Returns the kind of event to publish.
    pub fn form(self) -> Form {
        match self {
            Self::NatterTyping | Self::NatterTypingMsgpack | Self::NatterTypingSocketIo => Form::Typing,
            Self::FloorLong => Form::Message(LONG_MESSAGE),
            _ => Form::Message(MESSAGE),
        }
    }

    pub fn dialect(self) -> Dialect {
        match self {
            Self::Floor | Self::FloorLong => Dialect::Floor,
            Self::Nchan | Self::NchanBuffer | Self::Ws => Dialect::Path,
            Self::SocketIo | Self::SocketIoRedis | Self::Socketioxide => Dialect::Room,
            Self::NatterJson | Self::NatterTyping => Dialect::NatterJson,
            Self::NatterMsgpack | Self::NatterTypingMsgpack => Dialect::NatterMessagePack,
            Self::NatterSocketIo | Self::NatterTypingSocketIo => Dialect::NatterSocketIo,
        }
    }

    /// True if it makes sense to measure the server with this work.
    pub fn takes_part(self, part: Part) -> bool {
        match self {
            Self::Floor | Self::NatterTyping => part != Part::Idle,
            Self::FloorLong => matches!(part, Part::Fan1000 | Part::Fan1000Half),
            Self::NatterTypingMsgpack | Self::NatterTypingSocketIo => part == Part::Fan1000,
            Self::Nchan | Self::NatterMsgpack => matches!(part, Part::Fan1000 | Part::Eight),
            Self::NatterSocketIo => matches!(part, Part::Fan1000 | Part::Eight | Part::Idle),
            Self::SocketIoRedis => matches!(part, Part::Fan1000 | Part::Rooms),
            Self::NchanBuffer | Self::Ws | Self::SocketIo | Self::Socketioxide | Self::NatterJson => true,
        }
    }
}

/// Paths of the programs.
pub struct Programs {
    /// Folder with the builds `floor`, `peer-socketioxide` and `node/`.
    pub peers: PathBuf,
    pub natter: PathBuf,
}

/// Server that is ready for connections.
pub struct Running<'a> {
    pub subject: Subject,
    pub server: Server,
    pub world: Option<&'a World>,
    _redis: Option<Server>,
    _folder: TempDir,
}

impl Programs {
    pub fn new(natter: &Path, peers: &Path) -> anyhow::Result<Self> {
        Ok(Self { peers: std::path::absolute(peers)?, natter: std::path::absolute(natter)? })
    }

    pub fn start<'a>(
        &self,
        subject: Subject,
        cores: Cores,
        world: Option<&'a (World, PathBuf)>,
    ) -> anyhow::Result<Running<'a>> {
        let scratch = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
        let folder = scratch.path();
        let port = free_port()?;
        let text = port.to_string();
        let node = |script: &str, more: Option<String>| {
            let script = self.peers.join("node").join(script).display().to_string();
            let arguments: Vec<String> = [script, text.clone()].into_iter().chain(more).collect();
            Server::start(cores.server, folder, port, Path::new("node"), &arguments, &[])
        };
        let mut redis = None;
        let mut world_of = None;
        let server = match subject {
            Subject::Floor | Subject::FloorLong => {
                Server::start(cores.server, folder, port, &self.peers.join("floor"), &[text], &[])?
            }
            Subject::Nchan | Subject::NchanBuffer => {
                let file = folder.join("nginx.conf");
                let keeps = subject == Subject::NchanBuffer;
                fs::write(&file, nginx(folder, port, keeps)?)?;
                let arguments = ["-p".into(), folder.display().to_string(), "-c".into(), file.display().to_string()];
                Server::start(cores.server, folder, port, Path::new("nginx"), &arguments, &[])?
            }
            Subject::Ws => node("ws.js", None)?,
            Subject::SocketIo => node("socketio.js", None)?,
            Subject::SocketIoRedis => {
                let port = free_port()?;
                let arguments = format!("--port {port} --bind 127.0.0.1 --appendonly no --save");
                let mut arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
                arguments.push(String::new());
                // Redis runs on the load generator's core, so that the measured core has only the
                // server.
                let started = Server::start(cores.generator, folder, port, Path::new("redis-server"), &arguments, &[])?;
                redis = Some(started);
                node("socketio.js", Some(format!("redis://127.0.0.1:{port}")))?
            }
            Subject::Socketioxide => {
                Server::start(cores.server, folder, port, &self.peers.join("peer-socketioxide"), &[text], &[])?
            }
            _ => {
                let (world, database) = world.context("Natter's users are missing")?;
                world_of = Some(world);
                world::copy(database, &folder.join("natter.db"))?;
                let settings = [
                    ("SERVER__PORT", text),
                    ("SERVER__DATA_DIR", folder.display().to_string()),
                    ("RATE_LIMIT__ENABLED", "false".to_owned()),
                    ("REALTIME__MAX_CONNECTIONS_PER_USER", "0".to_owned()),
                    ("REALTIME__MAX_FRAMES_PER_SECOND", "1000000".to_owned()),
                ];
                let mut environment: Vec<(String, String)> =
                    settings.into_iter().map(|(key, value)| (format!("NATTER__{key}"), value)).collect();
                environment.push(("RUST_LOG".into(), "warn".into()));
                Server::start(cores.server, folder, port, &self.natter, &["serve".to_owned()], &environment)?
            }
        };
        Ok(Running { subject, server, world: world_of, _redis: redis, _folder: scratch })
    }
}

fn nginx(folder: &Path, port: u16, keeps: bool) -> anyhow::Result<String> {
    const PLACES: [&str; 2] = ["/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"];
    let module = PLACES.iter().map(|place| Path::new(place).join("ngx_nchan_module.so")).find(|file| file.exists());
    let Some(module) = module else { bail!("nginx has no Nchan; Debian has it as libnginx-mod-nchan") };
    Ok(include_str!("../peers/nginx.conf")
        .replace("@MODULE@", &module.display().to_string())
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@KEEPS@", if keeps { "on" } else { "off" }))
}

/// Returns a free port, a different one on each call. It is below the range that the kernel uses
/// for outgoing connections, so that it stays free until the server binds it.
fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    for _ in 0..10_000 {
        let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port")
}

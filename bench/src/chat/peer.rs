//! Servers of the comparison. Each has one process with both cores, and an empty database.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::ValueEnum;
use support::{Application, Engine, Member, Setup, TestDatabase, free_port};
use tempfile::TempDir;

use super::{
    Scenario, matrix, nats, natter,
    person::{Person, Tally},
    xmpp,
};
use crate::{
    machine::{self, Cpu},
    server::Server,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    Natter,
    Ejabberd,
    Prosody,
    Synapse,
    #[value(name = "jetstream")]
    JetStream,
}

pub struct Running {
    pub peer: Peer,
    program: Program,
    database: Option<TestDatabase>,
    _folder: TempDir,
}

enum Program {
    Natter(Box<Application>),
    Other(Server),
}

impl Peer {
    pub const ALL: [Self; 5] = [Self::Natter, Self::Ejabberd, Self::Prosody, Self::JetStream, Self::Synapse];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Natter => "Natter",
            Self::Ejabberd => "ejabberd",
            Self::Prosody => "Prosody",
            Self::Synapse => "Synapse",
            Self::JetStream => "NATS JetStream, `sync_interval: always`",
        }
    }

    pub async fn start(self, peers: &Path) -> anyhow::Result<Running> {
        let scratch = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
        let (folder, port) = (scratch.path(), free_port());
        if self == Self::Natter {
            let setup = Setup::new().on(Engine::Postgres).set("realtime.max_connections_per_user", 0);
            let application = setup.set("realtime.max_frames_per_second", 1_000_000).start().await;
            return Ok(Running {
                peer: self,
                program: Program::Natter(Box::new(application)),
                database: None,
                _folder: scratch,
            });
        }
        let database = match self {
            Self::JetStream => None,
            _ => Some(TestDatabase::empty(Engine::Postgres, folder).await),
        };
        let path = |name: &str| folder.join(name).display().to_string();
        let write = |name: &str, template: &str| -> anyhow::Result<String> {
            let url = database.as_ref().map_or("", |database| database.url.as_str());
            let (server, name_of_database) = url.rsplit_once('/').unwrap_or_default();
            let text = template
                .replace("@FOLDER@", &folder.display().to_string())
                .replace("@PORT@", &port.to_string())
                .replace("@DATABASE_PORT@", server.rsplit_once(':').unwrap_or_default().1)
                .replace("@DATABASE@", name_of_database);
            fs::write(folder.join(name), text)?;
            Ok(path(name))
        };
        let cores = machine::allowed_cores()?;
        let start = |program: &Path, arguments: &[&str], environment: &[(String, String)]| {
            let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            Server::start_on(&cores, folder, port, program, &arguments, environment)
        };
        let server = match self {
            Self::Natter => unreachable!("started above"),
            Self::Ejabberd => {
                let schema = fs::read_to_string("/usr/share/ejabberd/sql/pg.sql").context("no schema of ejabberd")?;
                database.as_ref().context("no database")?.run(&schema).await;
                let config = write("ejabberd.yml", include_str!("../../peers/chat/ejabberd.yml"))?;
                // Started without its script, which needs a user of its own and a name service.
                let quoted = |text: &str| format!("\"{text}\"");
                let arguments = [
                    "-noinput",
                    "+sbwt",
                    "none",
                    "-mnesia",
                    "dir",
                    &quoted(&path("mnesia")),
                    "-ejabberd",
                    "config",
                    &quoted(&config),
                    "log_path",
                    &quoted(&path("ejabberd.log")),
                    "-s",
                    "ejabberd",
                ];
                start(Path::new("erl"), &arguments, &[("ERL_LIBS".to_owned(), ERLANG.to_owned())])?
            }
            Self::Prosody => {
                let config = write("prosody.cfg.lua", include_str!("../../peers/chat/prosody.cfg.lua"))?;
                start(Path::new("prosody"), &["-F", "--config", &config], &[])?
            }
            Self::Synapse => {
                let config = write("homeserver.yaml", include_str!("../../peers/chat/homeserver.yaml"))?;
                write("log.yaml", "version: 1\nroot: {level: ERROR}\n")?;
                write("key", "ed25519 bench 9Zmkth0jIGbPcbHvMyVzDQOtcOxs34UxwY6ZF3YbrTI\n")?;
                let python: PathBuf = peers.join("synapse/bin/python");
                start(&python, &["-m", "synapse.app.homeserver", "-c", &config], &[])?
            }
            Self::JetStream => {
                let config = write("nats.conf", include_str!("../../peers/chat/nats.conf"))?;
                let server = start(&peers.join("nats/bin/nats-server"), &["--config", &config], &[])?;
                nats::prepare(port).await?;
                server
            }
        };
        Ok(Running { peer: self, program: Program::Other(server), database, _folder: scratch })
    }
}

/// Folder of Debian's Erlang libraries.
const ERLANG: &str = "/usr/lib/x86_64-linux-gnu";

impl Running {
    pub fn process(&self) -> u32 {
        match &self.program {
            Program::Natter(application) => application.instances[0].process_id(),
            Program::Other(server) => server.process(),
        }
    }

    /// Processor time of the server and of PostgreSQL, in seconds.
    pub fn cpu(&self) -> anyhow::Result<[f64; 2]> {
        Ok([Cpu::of(self.process())?.total(), Cpu::named("postgres")?.total()])
    }

    /// Number of stored messages.
    pub async fn stored(&self) -> anyhow::Result<i64> {
        let sql = match self.peer {
            Peer::Natter => "SELECT COUNT(*) FROM messages",
            Peer::Ejabberd => "SELECT COUNT(*) FROM archive",
            Peer::Prosody => "SELECT COUNT(*) FROM prosodyarchive",
            Peer::Synapse => "SELECT COUNT(*) FROM events WHERE type = 'm.room.message'",
            Peer::JetStream => return nats::stored(self.port()).await,
        };
        match &self.program {
            Program::Natter(application) => Ok(application.database.number(sql).await),
            Program::Other(_) => Ok(self.database.as_ref().context("no database")?.number(sql).await),
        }
    }

    /// Connects everyone, with their rooms.
    pub async fn connect(&self, scenario: Scenario, tally: &Arc<Tally>) -> anyhow::Result<Vec<Person>> {
        if let Program::Natter(application) = &self.program {
            return connect_natter(application, scenario, tally).await;
        }
        if self.peer == Peer::Synapse {
            return matrix::connect(self.port(), scenario, tally).await;
        }
        let mut people = Vec::new();
        for number in 0..scenario.people {
            let (person, ends) = Person::new();
            let rooms = scenario.rooms_of(number);
            if self.peer == Peer::JetStream {
                let (line, codec) = nats::connect(self.port(), number, &rooms).await?;
                line.run(codec, ends, tally);
            } else {
                let (line, codec) = xmpp::connect(self.port(), number, &rooms).await?;
                line.run(codec, ends, tally);
            }
            people.push(person);
        }
        Ok(people)
    }

    fn port(&self) -> u16 {
        match &self.program {
            Program::Natter(application) => port_of(&application.url()),
            Program::Other(server) => server.address.port(),
        }
    }
}

async fn connect_natter(
    application: &Application,
    scenario: Scenario,
    tally: &Arc<Tally>,
) -> anyhow::Result<Vec<Person>> {
    let members = application.crowd(scenario.people).await;
    let mut rooms = Vec::new();
    for room in 0..scenario.rooms {
        let inside: Vec<&Member> = (0..scenario.people)
            .filter(|person| scenario.rooms_of(*person).contains(&room))
            .map(|person| &members[person])
            .collect();
        rooms.push(inside[0].open_group("Room", &inside[1..]).await);
    }
    let rooms: Arc<[String]> = rooms.into();
    let port = port_of(&application.url());
    let mut people = Vec::new();
    for member in &members {
        let (person, ends) = Person::new();
        let (line, codec) = natter::connect(port, member, &rooms).await?;
        line.run(codec, ends, tally);
        people.push(person);
    }
    Ok(people)
}

fn port_of(url: &str) -> u16 {
    url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
}

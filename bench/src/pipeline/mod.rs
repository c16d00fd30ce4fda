//! Cost of the middleware around a request. The same small authenticated GET is answered in four
//! variants: with everything enabled, without limits and firewall, without the log line, and by a
//! plain actix-web handler that authenticates, reads the same row and writes the same bytes
//! ([`bare`]).
//!
//! All variants get the same load in turns of half a second. Disturbances on a shared machine last
//! for seconds, so they affect all variants alike. The server has its own core. Its maximum rate is
//! computed from the CPU time per answer, because other programs on the machine disturb this less
//! than the rate itself.

pub mod bare;
mod firewall;
mod load;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use support::{Anonymous, Caller, PASSWORD, free_port};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::machine::{self, Cores, Cpu, Quiet};
use crate::server::Server;

/// Path of the measured request.
pub const PATH: &str = "/r1/users/me";
const WARM_UP: Duration = Duration::from_secs(1);
const SLICE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Everything,
    WithoutLimits,
    WithoutLog,
    Bare,
}

impl Variant {
    const ALL: [Self; 4] = [Self::Everything, Self::WithoutLimits, Self::WithoutLog, Self::Bare];

    const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything on",
            Self::WithoutLimits => "limits and firewall off",
            Self::WithoutLog => "everything on but the log line",
            Self::Bare => "bare handler",
        }
    }
}

/// Server of one variant, with its own database.
struct Subject {
    variant: Variant,
    server: Server,
    token: String,
    /// Folder with the server's data; exists until the end of the measurement.
    _folder: TempDir,
}

/// Result of one turn of a variant.
struct Outcome {
    variant: Variant,
    per_second: f64,
    /// CPU time of the server per answer, in microseconds.
    cost: f64,
}

pub fn measure(natter: &Path, rounds: usize) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    let natter = std::path::absolute(natter)?;
    println!("{}", machine::describe());
    let (folder, _) = prepare(cores, &natter)?;
    firewall::measure(folder.path())?;
    let mut subjects =
        Variant::ALL.into_iter().map(|variant| begin(cores, &natter, variant)).collect::<anyhow::Result<Vec<_>>>()?;
    cores.pin_generator()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for subject in &subjects {
        runtime.block_on(load::send(subject.server.address, &subject.token, WARM_UP))?;
    }
    let quiet = Quiet::begin(cores)?;
    let mut outcomes = Vec::new();
    for _ in 0..rounds {
        for subject in &subjects {
            outcomes.push(measure_one(&runtime, subject)?);
        }
        subjects.rotate_left(1);
    }
    println!("{rounds} rounds, others had {:.0} %", quiet.disturbance()? * 100.0);
    println!("\n| | requests a second | processor time each, µs | slower than bare |\n|---|--:|--:|--:|");
    for variant in Variant::ALL {
        let of_variant = |value: fn(&Outcome) -> f64| {
            outcomes.iter().filter(move |outcome| outcome.variant == variant).map(value).collect::<Vec<_>>()
        };
        let costs = of_variant(|outcome| outcome.cost);
        let floors = outcomes.iter().filter(|outcome| outcome.variant == Variant::Bare).map(|bare| bare.cost);
        // The rate of a server with its own core is the inverse of the CPU time per answer.
        let slower = median(floors.zip(&costs).map(|(floor, cost)| (1.0 - floor / cost) * 100.0).collect());
        let rate = median(of_variant(|outcome| outcome.per_second));
        println!("| {} | {rate:.0} | {:.1} | {slower:.1} % |", variant.name(), median(costs));
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn begin(cores: Cores, natter: &Path, variant: Variant) -> anyhow::Result<Subject> {
    let (folder, token) = prepare(cores, natter)?;
    let server = start(cores, folder.path(), natter, variant)?;
    Ok(Subject { variant, server, token, _folder: folder })
}

/// Creates a database with one account. Returns its folder and the access token.
fn prepare(cores: Cores, natter: &Path) -> anyhow::Result<(TempDir, String)> {
    let folder = tempfile::tempdir()?;
    let server = start(cores, folder.path(), natter, Variant::WithoutLimits)?;
    let base = format!("http://{}", server.address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tokens = runtime.block_on(async {
        Anonymous(Caller::anonymous(&base)).sign_up("anna@example.org", PASSWORD, "Anna").await.data_with(201)
    });
    let token = tokens["access_token"].as_str().map(str::to_owned).context("no access token")?;
    Ok((folder, token))
}

fn start(cores: Cores, folder: &Path, natter: &Path, variant: Variant) -> anyhow::Result<Server> {
    let port = free_port();
    let limit = |key: &str, value: &str| (format!("NATTER__RATE_LIMIT__{key}"), value.to_owned());
    let mut environment = vec![
        ("NATTER__SERVER__DATA_DIR".to_owned(), folder.display().to_string()),
        ("NATTER__SERVER__PORT".to_owned(), port.to_string()),
        ("NATTER__SERVER__WORKERS".to_owned(), "1".to_owned()),
        // Uses the default log level, except in the variant without the log line.
        ("RUST_LOG".to_owned(), if variant == Variant::WithoutLog { "warn" } else { "info" }.to_owned()),
        // Limits are counted, but never reached.
        limit("READ__LIMIT", "1000000"),
        limit("READ__WINDOW", "1"),
    ];
    if variant == Variant::WithoutLimits {
        environment.push(limit("ENABLED", "false"));
    }
    let (program, arguments): (PathBuf, _) = match variant {
        Variant::Bare => (std::env::current_exe()?, bare::arguments()),
        _ => (natter.to_owned(), vec!["serve".to_owned()]),
    };
    Server::start(cores.server, folder, port, &program, &arguments, &environment)
}

fn measure_one(runtime: &Runtime, subject: &Subject) -> anyhow::Result<Outcome> {
    let Subject { variant, server, token, .. } = subject;
    let before = Cpu::of(server.process())?;
    let answered = runtime.block_on(load::send(server.address, token, SLICE))?;
    let used = Cpu::of(server.process())?.since(before).total();
    Ok(Outcome { variant: *variant, per_second: answered / SLICE.as_secs_f64(), cost: used / answered * 1e6 })
}

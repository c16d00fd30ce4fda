//! File uploads, one after the other, compared with PUT requests to nginx. Natter detects the file
//! type, counts the file against its owner's quota and writes a row; nginx only writes a file.
//!
//! The server has one core, and the load generator has the other.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rand::Rng;
use support::{Anonymous, Caller, PASSWORD, free_port};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    machine::{self, Cores, Cpu, Quiet},
    server::Server,
};

const MIB: usize = 1 << 20;
const SIZE: usize = 64 * MIB;
/// Number of files per measurement.
const FILES: usize = 8;

struct Outcome {
    per_second: f64,
    /// CPU time of the server per GiB, in seconds.
    cost: f64,
}

pub fn measure(natter: &Path, rounds: usize) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    cores.pin_generator()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut file = vec![0; SIZE];
    rand::rng().fill_bytes(&mut file);
    let mut outcomes: [Vec<Outcome>; 2] = Default::default();
    for round in 0..rounds {
        for at in [round % 2, (round + 1) % 2] {
            let folder = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
            let server = if at == 0 { nginx(cores, folder.path())? } else { start(natter, cores, folder.path())? };
            let head = if at == 0 { String::new() } else { runtime.block_on(owner(&server))? };
            runtime.block_on(upload(server.address, &head, &file, 0))?;
            let (quiet, cpu, begun) = (Quiet::begin(cores)?, Cpu::of(server.process())?, Instant::now());
            for number in 1..=FILES {
                runtime.block_on(upload(server.address, &head, &file, number))?;
            }
            let took = begun.elapsed();
            let cpu = Cpu::of(server.process())?.since(cpu).total();
            let outcome = outcome(took, cpu);
            let others = quiet.disturbance()? * 100.0;
            eprintln!(
                "{}: {:.0} MiB/s, {:.2} s/GiB, others had {others:.1} %",
                NAMES[at], outcome.per_second, outcome.cost
            );
            outcomes[at].push(outcome);
        }
    }
    println!("\n| files of {} MiB, one at a time | MiB/s | CPU of a GiB, s |\n|---|--:|--:|", SIZE / MIB);
    for (name, outcomes) in NAMES.iter().zip(&outcomes) {
        let median = |of: fn(&Outcome) -> f64| {
            let mut values: Vec<f64> = outcomes.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!("| {name} | {:.0} | {:.2} |", median(|one| one.per_second), median(|one| one.cost));
    }
    Ok(())
}

const NAMES: [&str; 2] = ["nginx, PUT", "Natter"];

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn outcome(took: Duration, cpu: f64) -> Outcome {
    let mib = (FILES * SIZE / MIB) as f64;
    Outcome { per_second: mib / took.as_secs_f64(), cost: cpu / mib * 1024.0 }
}

fn nginx(cores: Cores, folder: &Path) -> anyhow::Result<Server> {
    let (file, port) = (folder.join("nginx.conf"), free_port());
    let text = include_str!("../peers/uploads-nginx.conf")
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@PORT@", &port.to_string());
    fs::write(&file, text)?;
    // nginx's worker drops root privileges, so it needs permission to write here.
    fs::create_dir(folder.join("files"))?;
    for open in [folder.to_owned(), folder.join("files")] {
        fs::set_permissions(open, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    }
    let arguments = ["-p".to_owned(), folder.display().to_string(), "-c".to_owned(), file.display().to_string()];
    Server::start(cores.server, folder, port, "nginx".as_ref(), &arguments, &[])
}

fn start(natter: &Path, cores: Cores, folder: &Path) -> anyhow::Result<Server> {
    let port = free_port();
    let settings = [
        ("SERVER__PORT", port.to_string()),
        ("SERVER__DATA_DIR", folder.display().to_string()),
        ("SERVER__WORKERS", "1".to_owned()),
        ("RATE_LIMIT__ENABLED", "false".to_owned()),
        ("UPLOADS__UNSENT_BYTES", (100 * SIZE).to_string()),
    ];
    let settings = settings.map(|(name, value)| (format!("NATTER__{name}"), value));
    Server::start(cores.server, folder, port, natter, &["serve".to_owned()], &settings)
}

/// Returns the header `Authorization` for a user who may upload.
async fn owner(server: &Server) -> anyhow::Result<String> {
    let nobody = Anonymous(Caller::anonymous(&format!("http://{}", server.address)));
    let anna = nobody.sign_up("anna@example.org", PASSWORD, "Anna").await.data_with(201);
    Ok(format!("Authorization: Bearer {}\r\n", anna["access_token"].as_str().context("no access token")?))
}

/// Uploads a file on a new connection. Fails unless the server has created the file.
async fn upload(address: SocketAddr, head: &str, file: &[u8], number: usize) -> anyhow::Result<()> {
    let target = if head.is_empty() { format!("PUT /{number}.bin") } else { "POST /r1/uploads".to_owned() };
    let request = format!(
        "{target} HTTP/1.1\r\nHost: {address}\r\n{head}Content-Type: application/octet-stream\r\nX-Filename: {number}.bin\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        file.len()
    );
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(file).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

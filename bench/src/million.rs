//! As many idle connections as the machine can hold, on many instances of one installation, with one process for the
//! clients of each instance. A process can't have more than 20,000 files on some machines.

use std::{
    io::{BufRead as _, BufReader, Write as _, stdin},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use support::{Application, Engine, Member, Setup, json};

use crate::{
    crowd::Crowd,
    dialect::{Dialect, Form, Seat},
    machine::{self, Cpu, mebibytes},
};

#[derive(Args, Clone, Copy)]
pub struct MillionSize {
    /// Number of instances, and of processes with clients.
    #[arg(long, default_value_t = 50)]
    instances: usize,
    /// Number of connections of each instance.
    #[arg(long, default_value_t = 19_500)]
    each: usize,
}

/// Argument of the processes with clients.
pub const CLIENTS: &str = "--million-clients";
/// Number of people, to whom the connections belong.
const PEOPLE: usize = 1_000;
/// Number of connections that are opened before the commands of the parent process are read.
const BATCH: usize = 500;
/// Time during which the cost of idle connections is measured: two pings of each.
const IDLE: Duration = Duration::from_secs(60);
/// Time in which the clients start to connect again.
const STORM: Duration = Duration::from_secs(60);
/// Number of connections that every machine lets a process have.
const FILES: usize = 19_900;
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Process with the clients of one instance.
struct Clients {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl Clients {
    fn start(address: &str, each: usize, tokens: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(std::env::current_exe()?)
            .args([CLIENTS, address, &each.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut commands = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        for token in tokens {
            writeln!(commands, "{token}")?;
        }
        writeln!(commands)?;
        Ok(Self { child, commands, answers })
    }

    fn say(&mut self, command: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.commands, "{command}")?)
    }

    fn expect(&mut self, answer: &str) -> anyhow::Result<String> {
        let line = self.answers.recv_timeout(RESPONSE_TIMEOUT).with_context(|| format!("no {answer}"))?;
        Ok(line.strip_prefix(answer).with_context(|| format!("{line} in place of {answer}"))?.trim().to_owned())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn measure(size: MillionSize) -> anyhow::Result<()> {
    println!("{}", machine::describe());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (app, people, admin) = runtime.block_on(async {
        let setup = Setup::new().on(Engine::Postgres).instances(size.instances).set("database.max_connections", 4);
        let setup = setup.set("realtime.max_connections_per_user", 0).set("rate_limit.enabled", false);
        let app = setup.set("auth.access_ttl", 86_400).start().await;
        let people = app.crowd(PEOPLE).await;
        let admin = app.admin().await;
        (app, people, admin)
    });
    let tokens: Vec<String> = people.iter().map(|person| person.access_token().to_owned()).collect();
    let total = size.instances * size.each;
    #[expect(clippy::cast_precision_loss)]
    let count = total as f64;
    let (empty, kernel) = (memory(&app)?, kernel_memory()?);
    let begun = Instant::now();
    let mut clients = Vec::new();
    for instance in &app.instances {
        let address = instance.url();
        clients.push(Clients::start(address.trim_start_matches("http://"), size.each, &tokens)?);
    }
    for process in &mut clients {
        process.expect("ready")?;
    }
    let connecting = begun.elapsed().as_secs_f64();
    println!("| {total} idle connections, {} instances | |\n|---|--:|", size.instances);
    println!("| connections per second | {:.0} |", count / connecting);
    thread::sleep(Duration::from_secs(20));
    #[expect(clippy::cast_precision_loss)]
    let per_connection = |bytes: u64| bytes as f64 / count;
    let joined = memory(&app)?;
    println!("| bytes per connection, Natter | {:.0} |", per_connection(joined - empty));
    println!(
        "| bytes per connection, kernel, both ends | {:.0} |",
        per_connection(kernel_memory()?.saturating_sub(kernel))
    );
    println!("| memory of all instances, MiB | {:.0} |", mebibytes(joined));
    let cpu = cpu(&app)?;
    thread::sleep(IDLE);
    let idle = self::cpu(&app)? - cpu;
    println!("| CPU time per connection and minute, µs | {:.0} |", idle * 1e6 / count * 60.0 / IDLE.as_secs_f64());
    announce(&runtime, &app, &admin, &mut clients, idle / IDLE.as_secs_f64())?;
    storm(&app, &mut clients, count)?;
    if let [first, second, ..] = &app.instances[..]
        && size.each * 2 <= FILES
    {
        let address = second.url();
        drain(&runtime, &admin.at(&first.url()), &mut clients[0], address.trim_start_matches("http://"))?;
    }
    for process in &mut clients {
        process.say("count")?;
        let alive: usize = process.expect("alive")?.parse()?;
        ensure!(alive == size.each, "{alive} of {} connections are left", size.each);
    }
    Ok(())
}

/// Measures an announcement to everyone.
fn announce(
    runtime: &tokio::runtime::Runtime,
    app: &Application,
    admin: &Member,
    clients: &mut [Clients],
    idle: f64,
) -> anyhow::Result<()> {
    for process in &mut *clients {
        process.say("expect")?;
        process.expect("expecting")?;
    }
    let (before, begun) = (cpu(app)?, Instant::now());
    let body = json!({ "title": "Maintenance #000000000", "body": "At ten.", "severity": "info", "audience": { "all": true } });
    runtime.block_on(async { admin.post("/r1/broadcasts", body).await.data_with(201) });
    for process in &mut *clients {
        process.expect("delivered")?;
    }
    let took = begun.elapsed().as_secs_f64();
    println!("| an announcement has reached everyone after, s | {took:.1} |");
    println!("| CPU time of all instances for it, s | {:.1} |", cpu(app)? - before - idle * took);
    Ok(())
}

/// Measures a reconnect storm of all connections.
fn storm(app: &Application, clients: &mut [Clients], count: f64) -> anyhow::Result<()> {
    let (before, begun) = (cpu(app)?, Instant::now());
    for process in &mut *clients {
        process.say("reconnect")?;
    }
    for process in &mut *clients {
        process.expect("ready")?;
    }
    println!(
        "| everyone is back after a reconnect storm of {} s, s | {:.1} |",
        STORM.as_secs(),
        begun.elapsed().as_secs_f64()
    );
    println!("| CPU time of the storm per connection, µs | {:.0} |", (cpu(app)? - before) * 1e6 / count);
    println!("| memory of all instances after it, MiB | {:.0} |", mebibytes(memory(app)?));
    Ok(())
}

/// Measures the drain of the first instance, whose clients then connect to the second one.
fn drain(runtime: &tokio::runtime::Runtime, admin: &Member, clients: &mut Clients, second: &str) -> anyhow::Result<()> {
    clients.say(&format!("drain {second}"))?;
    let begun = Instant::now();
    runtime.block_on(async { admin.post("/r1/admin/drain", json!({})).await });
    let most = clients.expect("drained")?;
    println!("| an instance is drained after, s | {:.1} |", begun.elapsed().as_secs_f64());
    println!("| most connections that it closed within 100 ms | {most} |");
    clients.expect("ready")?;
    println!("| its clients are back after, s | {:.1} |", begun.elapsed().as_secs_f64());
    Ok(())
}

fn memory(app: &Application) -> anyhow::Result<u64> {
    app.instances.iter().map(|instance| machine::memory(instance.process_id())).sum()
}

fn cpu(app: &Application) -> anyhow::Result<f64> {
    app.instances.iter().map(|instance| Cpu::of(instance.process_id()).map(Cpu::total)).sum()
}

/// Memory of the kernel for sockets and files, in bytes.
fn kernel_memory() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("Slab:")).context("no Slab")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Program of a process with clients: `--million-clients ADDRESS COUNT`. Reads access tokens up to an empty line, and
/// then commands.
pub fn run_clients() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(2);
    let address: SocketAddr = arguments.next().context("no address")?.parse()?;
    let count: usize = arguments.next().context("no count")?.parse()?;
    let tokens: Vec<String> = stdin().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let (sender, commands) = mpsc::channel();
    thread::spawn(move || stdin().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut crowd = connect(address, count, &tokens, Duration::ZERO)?;
    println!("ready");
    let mut is_expecting = false;
    loop {
        crowd.turn(&mut |_| ())?;
        if is_expecting && crowd.is_all_delivered() {
            is_expecting = false;
            println!("delivered");
        }
        match commands.try_recv().as_deref() {
            Ok("expect") => {
                crowd.prepare(Form::Message(crate::work::MESSAGE));
                crowd.expect(0);
                is_expecting = true;
                println!("expecting");
            }
            Ok("reconnect") => {
                drop(crowd);
                crowd = connect(address, count, &tokens, STORM)?;
                println!("ready");
            }
            Ok(command) if let Some(address) = command.strip_prefix("drain ") => {
                println!("drained {}", wait_for_end(&mut crowd, count)?);
                crowd = connect(address.parse()?, count, &tokens, Duration::ZERO)?;
                println!("ready");
            }
            Ok("count") => println!("alive {}", count - crowd.ended),
            Ok(command) => bail!("unknown command {command}"),
            Err(TryRecvError::Empty) => thread::sleep(Duration::from_millis(5)),
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

/// Waits until the server has ended all connections; returns the most that it has ended within a tenth of a second.
fn wait_for_end(crowd: &mut Crowd, count: usize) -> anyhow::Result<usize> {
    let (mut ends, begun) = (vec![(Instant::now(), 0)], Instant::now());
    let mut most = 0;
    while crowd.ended < count {
        ensure!(begun.elapsed() < RESPONSE_TIMEOUT, "only {} connections have ended", crowd.ended);
        crowd.turn(&mut |_| ())?;
        let now = Instant::now();
        ends.push((now, crowd.ended));
        let old = ends.partition_point(|(time, _)| now.duration_since(*time) > Duration::from_millis(100));
        ends.drain(..old);
        most = most.max(crowd.ended - ends[0].1);
    }
    Ok(most)
}

/// Opens the connections, spread over this time.
fn connect(address: SocketAddr, count: usize, tokens: &[String], within: Duration) -> anyhow::Result<Crowd> {
    let mut crowd = Crowd::new(Dialect::NatterJson, address)?;
    let begun = Instant::now();
    for first in (0..count).step_by(BATCH) {
        #[expect(clippy::cast_precision_loss)]
        let due = within.mul_f64(first as f64 / count as f64);
        while begun.elapsed() < due {
            crowd.turn(&mut |_| ())?;
        }
        let seats = (first..count.min(first + BATCH)).map(|number| Seat {
            channel: 0,
            token: Some(tokens[number % tokens.len()].clone()),
            conversation: None,
        });
        crowd.connect(seats)?;
    }
    Ok(crowd)
}

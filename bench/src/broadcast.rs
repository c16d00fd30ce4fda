//! Cost of one broadcast on an instance with ten thousand connected users. Measured for a broadcast
//! to everyone, and for one to an audience that the database resolves.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use support::{ADMIN_EMAIL, Member, PASSWORD, Value, json};
use tokio::runtime::Runtime;

use crate::{
    crowd::{Count, Crowd},
    dialect::Seat,
    machine::{self, Cores, Cpu, Quiet},
    subject::{Programs, Subject},
    work::rest,
    world::{self, World},
};

/// Number of broadcasts of each kind. The result is the median.
const TIMES: usize = 5;
/// Maximum time for recording the deliveries.
const SETTLING: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);

/// Results of one broadcast: four times in milliseconds, then memory in MB.
type Outcome = [f64; 5];

const ROWS: [&str; 5] = [
    "half of them have it after, ms",
    "the last one has it after, ms",
    "processor time of the server until then, ms",
    "… with what is written down of it, ms",
    "memory more than before, MB",
];

pub fn measure(natter: &Path, peers: &Path, results: &Path) -> anyhow::Result<()> {
    let cores = Cores::choose()?;
    println!("{}", machine::describe());
    let programs = Programs::new(natter, peers)?;
    let world = World::open(results)?;
    cores.pin_generator()?;
    let running = programs.start(Subject::NatterJson, cores, Some(&world))?;
    let (address, process) = (running.server.address, running.server.process());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let admin = runtime.block_on(Member::sign_in(&format!("http://{address}"), ADMIN_EMAIL, PASSWORD));

    let connected = world::ROOMS * world::ROOM;
    eprintln!("{connected} people connect");
    let mut crowd = Crowd::new(Subject::NatterJson.dialect(), address)?;
    let tokens = &world.0.tokens[..connected];
    crowd.connect(tokens.iter().map(|token| Seat { channel: 0, token: Some(token.clone()), conversation: None }))?;
    crowd.prepare(Subject::NatterJson.form());
    rest(&mut crowd, SETTLING * 4)?;
    // Measures the cost of the idle connections, which is subtracted.
    let before = Cpu::of(process)?;
    rest(&mut crowd, SETTLING * 2)?;
    let idle = Cpu::of(process)?.since(before).total() / (SETTLING * 2).as_secs_f64();

    let audiences = [json!({ "all": true }), json!({ "roles": ["user"] })];
    let mut columns = Vec::with_capacity(audiences.len());
    for audience in &audiences {
        let mut outcomes = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let quiet = Quiet::begin(cores)?;
            let outcome = announce(&runtime, &admin, &mut crowd, process, audience, idle)?;
            eprintln!("{audience}: {outcome:.1?}, others had {:.1} %", quiet.disturbance()? * 100.0);
            outcomes.push(outcome);
        }
        columns.push(median(&outcomes));
    }
    println!(
        "\n| one announcement, {connected} connected to one instance on SQLite | everyone | a role |\n|---|--:|--:|"
    );
    for (row, name) in ROWS.iter().enumerate() {
        println!("| {name} | {:.1} | {:.1} |", columns[0][row], columns[1][row]);
    }
    Ok(())
}

/// Publishes a broadcast, waits until all users have received it, and withdraws it.
fn announce(
    runtime: &Runtime,
    admin: &Member,
    crowd: &mut Crowd,
    process: u32,
    audience: &Value,
    idle: f64,
) -> anyhow::Result<Outcome> {
    crowd.count = Count::default();
    let (memory, cpu, begun) = (machine::memory(process)?, Cpu::of(process)?, Instant::now());
    let number = crowd.expect(0);
    let title = format!("Maintenance at ten #{number:09}");
    let text = "The server is **away** from ten to half past ten. What you write meanwhile is sent afterwards.";
    let body = json!({ "title": title, "body": text, "severity": "warning", "audience": audience });
    let made = runtime.spawn({
        let admin = admin.clone();
        async move { admin.post("/r1/broadcasts", body).await.data_with(201) }
    });
    while !crowd.is_all_delivered() {
        crowd.turn(&mut |_| ())?;
        ensure!(begun.elapsed() < PATIENCE, "{} users were not notified", crowd.missing());
    }
    let told = Cpu::of(process)?.since(cpu).total() - idle * begun.elapsed().as_secs_f64();
    let made = runtime.block_on(made)?;
    rest(crowd, SETTLING)?;
    let settled = Cpu::of(process)?.since(cpu).total() - idle * begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss)]
    let more = machine::memory(process)?.saturating_sub(memory) as f64 / 1e6;
    ensure!(crowd.ended == 0, "{} connections ended", crowd.ended);
    ensure!(crowd.count.disorder == 0, "{} users were notified twice", crowd.count.disorder);
    let times = &mut crowd.count.times;
    times.sort_unstable();
    let after = |place: usize| times.get(place).map_or(0.0, |micros| f64::from(*micros) / 1e3);
    let outcome = [after(times.len() / 2), after(times.len().saturating_sub(1)), told * 1e3, settled * 1e3, more];
    let id = made["id"].as_str().context("announcement without id")?;
    runtime.block_on(admin.post(&format!("/r1/broadcasts/{id}/withdraw"), json!({}))).data_with(200);
    rest(crowd, SETTLING)?;
    Ok(outcome)
}

fn median(outcomes: &[Outcome]) -> Outcome {
    std::array::from_fn(|row| {
        let mut values: Vec<f64> = outcomes.iter().map(|outcome| outcome[row]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    })
}

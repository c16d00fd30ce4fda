//! The load generator. It starts the real binary, drives it over its own protocol, and prints what it reached.
//!
//! Generator, server and database share the machine, as they do wherever somebody runs `bench/run`, so the figures are lower
//! than those of a server that has its processors to itself.

mod fan_out;
mod idle;
mod latency;
mod stage;
mod throughput;
mod wire;

use std::time::Duration;

use clap::{Parser, ValueEnum};
use stage::Stage;

#[derive(Parser)]
struct Arguments {
    /// Short measurements, to see whether everything works.
    #[arg(long)]
    quick: bool,
    /// One stage only: sqlite or postgres.
    #[arg(long)]
    only: Option<String>,
    /// One measurement only.
    #[arg(long)]
    part: Option<Part>,
    /// Conversations that are written to at the same time.
    #[arg(long, default_value_t = 100)]
    conversations: usize,
    /// Messages a second at which the latency is measured.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Connections of the memory's measurement.
    #[arg(long, default_value_t = 5_000)]
    idle: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Messages,
    Idle,
    FanOut,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (warm_up, duration) = if arguments.quick { (1, 3) } else { (3, 15) };
    let (warm_up, duration) = (Duration::from_secs(warm_up), Duration::from_secs(duration));
    let mut rows = Vec::new();
    for stage in [Stage::Sqlite, Stage::Postgres] {
        let name = if stage == Stage::Sqlite { "sqlite" } else { "postgres" };
        if arguments.only.as_deref().is_none_or(|only| only == name) {
            rows.push((stage.name(), measure(stage, &arguments, warm_up, duration).await?));
        }
    }
    println!("| | {} |", rows.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(rows.len()));
    let Some((_, first)) = rows.first() else { anyhow::bail!("there is no such stage") };
    for (place, (label, _)) in first.iter().enumerate() {
        let values: Vec<_> = rows.iter().map(|(_, row)| row[place].1.clone()).collect();
        println!("| {label} | {} |", values.join(" | "));
    }
    Ok(())
}

async fn measure(
    stage: Stage,
    arguments: &Arguments,
    warm_up: Duration,
    duration: Duration,
) -> anyhow::Result<Vec<(String, String)>> {
    eprintln!("{}", stage.name());
    let mut row = Vec::new();
    let mut tell = |label: String, value: String| {
        eprintln!("  {label}: {value}");
        row.push((label, value));
    };

    let wants = |part: Part| arguments.part.is_none_or(|only| only == part);
    // Fresh processes for each part: memory and processor time without what came before.
    if wants(Part::Messages) {
        let app = stage.start().await;
        let pairs = stage::pairs(&app, arguments.conversations).await;
        let latency = latency::measure(&pairs, arguments.rate, warm_up, duration).await?;
        let rate = latency.rate;
        tell(format!("send to receipt at {rate}/s, p50"), format!("{:.2} ms", latency.p50));
        tell(format!("send to receipt at {rate}/s, p99"), format!("{:.2} ms", latency.p99));
        tell(format!("send to receipt at {rate}/s, longest"), format!("{:.1} ms", latency.max));
        let throughput = throughput::measure(&app, &pairs, warm_up, duration).await?;
        let conversations = arguments.conversations;
        tell(
            format!("persisted over {conversations} conversations"),
            format!("{:.0}/s", throughput.persisted_per_second),
        );
        tell("delivered to the other side".into(), format!("{:.0}/s", throughput.delivered_per_second));
    }
    if wants(Part::Idle) {
        let app = stage.start().await;
        let idle = idle::measure(&app, arguments.idle).await?;
        tell(format!("memory per idle connection, of {}", idle.connections), format!("{:.0} bytes", idle.bytes_each));
    }
    if wants(Part::FanOut) {
        let app = stage.start().await;
        let fan_out = fan_out::measure(&app, 1_000, 100, duration).await?;
        tell(
            format!("deliveries per CPU-second, {} readers of 100 messages/s", fan_out.readers),
            format!("{:.0}", fan_out.per_cpu_second),
        );
        tell("p99 of these deliveries".into(), format!("{:.1} ms", fan_out.p99));
    }
    Ok(row)
}

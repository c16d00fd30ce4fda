//! Work that all servers are given, and its measurement.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::crowd::{Count, Crowd};
use crate::dialect::Seat;
use crate::machine::{self, Cores, Cpu, Profiler, Quiet};
use crate::subject::{Running, Subject};
use crate::world;

/// Size of a message, in bytes.
pub const MESSAGE: usize = 256;
/// Size of such a message as Natter's JSON event, with ids, sender and position, in bytes.
pub const LONG_MESSAGE: usize = 840;
/// Number of messages in flight in the measurement in which a server may coalesce them.
const WINDOW: usize = 8;
/// Time without data after which nothing more is expected to arrive.
const SILENCE: Duration = Duration::from_secs(3);
/// Time between connecting and sending.
const SETTLING: Duration = Duration::from_secs(1);
const WARM_UP: Duration = Duration::from_secs(1);
const DURATION: Duration = Duration::from_secs(4);
/// Number of connections that fill pools and caches before memory is measured.
const FIRST: usize = 200;

/// Kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// 1,000 readers of one channel, 100 messages per second.
    #[value(name = "fan-1000")]
    Fan1000,
    /// 1,000 readers of one channel, 50 messages per second. Some servers can't send 100, and coalescing late messages
    /// would make their deliveries look cheaper.
    #[value(name = "fan-1000-half")]
    Fan1000Half,
    /// 1,000 readers of one channel; eight messages are always in flight.
    Eight,
    /// 10,000 readers of one channel, 10 messages per second.
    #[value(name = "fan-10000")]
    Fan10000,
    /// 1,000 conversations of 10 members, 2,000 messages per second.
    Rooms,
    /// 10,000 idle connections.
    Idle,
}

impl Part {
    pub const ALL: [Self; 6] = [Self::Fan1000, Self::Fan1000Half, Self::Eight, Self::Fan10000, Self::Rooms, Self::Idle];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fan1000 => "fan-1000",
            Self::Fan1000Half => "fan-1000-half",
            Self::Eight => "eight",
            Self::Fan10000 => "fan-10000",
            Self::Rooms => "rooms",
            Self::Idle => "idle",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Fan1000 => "1,000 readers of one channel, 100 messages a second",
            Self::Fan1000Half => "1,000 readers of one channel, 50 messages a second",
            Self::Eight => "1,000 readers of one channel, eight messages on their way at any time",
            Self::Fan10000 => "10,000 readers of one channel, 10 messages a second",
            Self::Rooms => "1,000 conversations of 10 readers, 2,000 messages a second",
            Self::Idle => "10,000 connections that do nothing",
        }
    }

    /// Returns the channel of each connection and, for Natter, the index of its user.
    fn seats(self) -> Vec<(usize, usize)> {
        match self {
            Self::Fan1000 | Self::Fan1000Half | Self::Eight => (0..1_000).map(|reader| (0, reader)).collect(),
            // Users are assigned in turn, so that all of them are connected with the first thousand
            // connections.
            Self::Fan10000 => (0..10_000).map(|reader| (0, reader % world::HALL)).collect(),
            Self::Rooms | Self::Idle => {
                (0..world::ROOMS * world::ROOM).map(|reader| (reader / world::ROOM, reader)).collect()
            }
        }
    }

    fn is_in_hall(self) -> bool {
        !matches!(self, Self::Rooms | Self::Idle)
    }

    /// Messages per second; `None` if a message is sent whenever an earlier one has been received.
    fn rate(self) -> Option<u32> {
        match self {
            Self::Fan1000 => Some(100),
            Self::Fan1000Half => Some(50),
            Self::Fan10000 => Some(10),
            Self::Rooms => Some(2_000),
            Self::Eight | Self::Idle => None,
        }
    }
}

/// Result of one server with one kind of work in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub part: Part,
    pub subject: Subject,
    pub round: usize,
    #[serde(default)]
    pub fan_out: Option<FanOut>,
    /// Resident memory per connection, in bytes.
    #[serde(default)]
    pub memory: Option<f64>,
    /// Share of both cores that other processes used, including other guests of the host.
    #[serde(default)]
    pub disturbance: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FanOut {
    pub messages: u64,
    pub deliveries: u64,
    /// Size of the frame that delivers a message, in bytes.
    pub frame: f64,
    pub seconds: f64,
    pub cpu: Cpu,
    /// Median latency, in milliseconds.
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub lost: u64,
    pub disorder: u64,
    /// Number of connections that the server ended.
    pub ended: usize,
    /// Share of the time for which the load generator was busy.
    pub generator: f64,
    /// Share of the time for which the host kept the load generator, and so presumably the server,
    /// from running.
    #[serde(default)]
    pub stalled: f64,
}

impl FanOut {
    pub fn per_cpu_second(&self) -> f64 {
        count(self.deliveries) / self.cpu.total()
    }

    pub fn user_microseconds(&self) -> f64 {
        self.cpu.user * 1e6 / count(self.deliveries)
    }

    pub fn system_microseconds(&self) -> f64 {
        self.cpu.system * 1e6 / count(self.deliveries)
    }
}

pub fn measure(
    running: &Running<'_>,
    cores: Cores,
    part: Part,
    round: usize,
    profile: Option<&Path>,
) -> anyhow::Result<Outcome> {
    let subject = running.subject;
    let seats: Vec<Seat> = part
        .seats()
        .into_iter()
        .map(|(channel, person)| Seat {
            channel,
            token: running.world.map(|world| world.tokens[person].clone()),
            conversation: running
                .world
                .map(|world| if part.is_in_hall() { world.hall.clone() } else { world.rooms[channel].clone() }),
        })
        .collect();
    let mut crowd = Crowd::new(subject.dialect(), running.server.address)?;
    let mut outcome = Outcome { part, subject, round, fan_out: None, memory: None, disturbance: 0.0 };
    if part == Part::Idle {
        outcome.memory = Some(idle(&mut crowd, seats, running)?);
        return Ok(outcome);
    }
    crowd.connect(seats)?;
    crowd.prepare(subject.form());
    rest(&mut crowd, SETTLING)?;
    drive(&mut crowd, part, WARM_UP)?;
    crowd.count = Count::default();
    let messages = crowd.messages();
    let before = Cpu::of(running.server.process())?;
    let profiler = profile.map(|file| Profiler::begin(running.server.process(), file)).transpose()?;
    let quiet = Quiet::begin(cores)?;
    let begun = Instant::now();
    drive(&mut crowd, part, DURATION)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = Cpu::of(running.server.process())?.since(before);
    if let Some(profiler) = profiler {
        profiler.end()?;
    }
    let mut count_now = std::mem::take(&mut crowd.count);
    let stalled = count_now.stalled.as_secs_f64() / count_now.asleep.as_secs_f64().max(f64::EPSILON);
    outcome.disturbance = quiet.disturbance()? + stalled;
    if count_now.deliveries == 0 {
        bail!("no delivery: {}", running.server.last_words());
    }
    count_now.times.sort_unstable();
    let share = |share: f64| percentile(&count_now.times, share);
    outcome.fan_out = Some(FanOut {
        messages: crowd.messages() - messages,
        deliveries: count_now.deliveries,
        frame: count(count_now.bytes) / count(count_now.deliveries),
        seconds,
        cpu,
        p50: share(0.5),
        p99: share(0.99),
        p999: share(0.999),
        lost: crowd.missing(),
        disorder: count_now.disorder,
        ended: crowd.ended,
        generator: count_now.busy.as_secs_f64() / seconds,
        stalled,
    });
    Ok(outcome)
}

/// Sends for this duration. Then waits until everything has arrived, or nothing arrives any more.
fn drive(crowd: &mut Crowd, part: Part, duration: Duration) -> anyhow::Result<()> {
    match part.rate() {
        Some(rate) => pace(crowd, rate, duration)?,
        None => fill(crowd, duration)?,
    }
    let mut known = (0, Instant::now());
    while !crowd.is_all_delivered() {
        crowd.turn(&mut Crowd::flush)?;
        if crowd.count.deliveries != known.0 {
            known = (crowd.count.deliveries, Instant::now());
        } else if known.1.elapsed() > SILENCE {
            break;
        }
    }
    Ok(())
}

/// Sends messages on a fixed schedule, whether or not earlier ones have arrived, so that the
/// latencies show when a server falls behind. The intervals are slightly irregular; otherwise they
/// would synchronise with the kernel's tick, by which it tells user time from system time.
fn pace(crowd: &mut Crowd, rate: u32, duration: Duration) -> anyhow::Result<()> {
    let gap = 1_000_000_000 / u64::from(rate);
    let mut slot = crowd.now();
    let end = slot + u64::try_from(duration.as_nanos())?;
    let mut random = StdRng::seed_from_u64(gap);
    let mut due = slot;
    let mut turn = 0;
    while slot < end {
        crowd.turn(&mut |crowd| {
            crowd.flush();
            while slot < end && due <= crowd.now() {
                crowd.publish(turn % crowd.channel_count(), due);
                turn += 1;
                slot += gap;
                due = slot + random.random_range(0..gap / 2);
            }
        })?;
    }
    Ok(())
}

/// Keeps a constant number of messages in flight: sends the next message when all readers have
/// received one.
fn fill(crowd: &mut Crowd, duration: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        crowd.turn(&mut |crowd| {
            crowd.flush();
            while crowd.outstanding(0) < WINDOW {
                crowd.publish(0, crowd.now());
            }
        })?;
    }
    Ok(())
}

fn idle(crowd: &mut Crowd, seats: Vec<Seat>, running: &Running<'_>) -> anyhow::Result<f64> {
    let mut seats = seats.into_iter();
    crowd.connect(seats.by_ref().take(FIRST))?;
    rest(crowd, SETTLING)?;
    let before = machine::memory(running.server.process())?;
    let more = seats.len();
    crowd.connect(seats)?;
    rest(crowd, SETTLING * 12)?;
    let after = machine::memory(running.server.process())?;
    if crowd.ended > 0 {
        bail!("{} connections ended", crowd.ended);
    }
    Ok(count(after.saturating_sub(before)) / count(more as u64))
}

/// Waits for this duration and answers heartbeats meanwhile.
pub fn rest(crowd: &mut Crowd, duration: Duration) -> anyhow::Result<()> {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        crowd.turn(&mut |_| ())?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss)]
pub fn count(number: u64) -> f64 {
    number as f64
}

/// Percentile of sorted values, in milliseconds.
fn percentile(sorted: &[u32], share: f64) -> f64 {
    if sorted.is_empty() {
        return 0.0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let place = (count(sorted.len() as u64 - 1) * share).round() as usize;
    f64::from(sorted[place]) / 1e3
}

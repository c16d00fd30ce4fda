//! Assignment of cores, and resource usage of processes.

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_current_timer_slack};
use serde::{Deserialize, Serialize};

/// Clock ticks per second in `/proc`. The kernel always reports hundredths of a second, whatever
/// its own clock is.
const TICKS: f64 = 100.0;

/// Separate cores for the server and for the load generator, so that neither takes CPU time from
/// the other.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub server: usize,
    pub generator: usize,
}

impl Cores {
    pub fn choose() -> anyhow::Result<Self> {
        let cores = allowed_cores()?;
        match (cores.first(), cores.last()) {
            (Some(server), Some(generator)) if server != generator => {
                Ok(Self { server: *server, generator: *generator })
            }
            _ => bail!("two cores are needed: one for the server and one for the load generator"),
        }
    }

    /// Pins this thread and its future children to the core of the load generator, and makes sleeps
    /// precise.
    pub fn pin_generator(self) -> anyhow::Result<()> {
        let mut set = CpuSet::new();
        set.set(self.generator);
        sched_setaffinity(None, &set)?;
        Ok(set_current_timer_slack(NonZeroU64::new(1))?)
    }

    /// Time for which both cores were busy, including steal time, in seconds.
    fn busy(self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string("/proc/stat")?;
        let mut busy = 0.0;
        for core in [self.server, self.generator] {
            let name = format!("cpu{core} ");
            let line = stat.lines().find_map(|line| line.strip_prefix(&name)).context("no such core")?;
            let fields: Vec<f64> = line.split(' ').filter_map(|field| field.parse().ok()).collect();
            // Excludes idle time and I/O wait, as well as guest time, which is already part of user
            // time.
            busy += fields.iter().take(8).sum::<f64>() - fields.get(3..5).map_or(0.0, |idle| idle.iter().sum());
        }
        Ok(busy / TICKS)
    }
}

/// Cores that this thread may use.
pub fn allowed_cores() -> anyhow::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
}

/// Detects how much CPU time other processes used during a measurement.
pub struct Quiet {
    cores: Cores,
    at: Instant,
    busy: f64,
    own: Cpu,
}

impl Quiet {
    pub fn begin(cores: Cores) -> anyhow::Result<Self> {
        Ok(Self { cores, at: Instant::now(), busy: cores.busy()?, own: Cpu::of(std::process::id())? })
    }

    /// Returns the share of both cores that was used neither by the load generator nor by its
    /// children.
    pub fn disturbance(&self) -> anyhow::Result<f64> {
        let own = Cpu::of(std::process::id())?.since(self.own).total();
        let others = self.cores.busy()? - self.busy - own;
        Ok((others / self.at.elapsed().as_secs_f64() / 2.0).max(0.0))
    }
}

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    /// Returns the CPU time of a process and its children, including ended ones.
    pub fn of(process: u32) -> anyhow::Result<Self> {
        let mut cpu = Self::default();
        for member in family(process)? {
            let Ok(stat) = fs::read_to_string(format!("/proc/{member}/stat")) else { continue };
            cpu.add(&stat)?;
        }
        Ok(cpu)
    }

    /// Returns the CPU time of all processes with this name.
    pub fn named(name: &str) -> anyhow::Result<Self> {
        let mut cpu = Self::default();
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            if fs::read_to_string(folder.join("comm")).is_ok_and(|command| command.trim() == name)
                && let Ok(stat) = fs::read_to_string(folder.join("stat"))
            {
                cpu.add(&stat)?;
            }
        }
        Ok(cpu)
    }

    fn add(&mut self, stat: &str) -> anyhow::Result<()> {
        // Clock ticks per second in `/proc`. The kernel always reports hundredths of a second,
        // whatever its own clock is.
        const TICKS: f64 = 100.0;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no such field");
        // The second field of each sum is the time of ended children.
        self.user += (ticks(11)? + ticks(13)?) / TICKS;
        self.system += (ticks(12)? + ticks(14)?) / TICKS;
        Ok(())
    }

    pub fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Resident memory of a process and its children, in bytes.
pub fn memory(process: u32) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for member in family(process)? {
        let Ok(status) = fs::read_to_string(format!("/proc/{member}/status")) else { continue };
        // A zombie process has no memory.
        let Some(kilobytes) = status.lines().find_map(|line| line.strip_prefix("VmRSS:")) else { continue };
        bytes += kilobytes.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    }
    Ok(bytes)
}

/// Total size of the files in a folder, in bytes.
pub fn folder_size(folder: &Path) -> anyhow::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file that was deleted meanwhile has no size.
        let Ok(metadata) = entry.metadata() else { continue };
        size += if metadata.is_dir() { folder_size(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}

/// Returns a process and all of its descendants.
fn family(process: u32) -> anyhow::Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).and_then(|id| id.parse().ok());
        children.entry(parent.unwrap_or(0)).or_default().push(id);
    }
    let mut found = vec![process];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        found.extend(children.get(parent).into_iter().flatten());
        next += 1;
    }
    Ok(found)
}

/// Recording of a process with `perf` during the measurement.
pub struct Profiler {
    child: Child,
    file: PathBuf,
}

impl Profiler {
    pub fn begin(process: u32, file: &Path) -> anyhow::Result<Self> {
        let child = Command::new("perf")
            .args(["record", "--quiet", "--event", "cpu-clock", "--freq", "4000", "--call-graph", "fp", "--output"])
            .arg(file)
            .args(["--pid", &process.to_string()])
            .spawn()
            .context("perf is missing; Debian has it as linux-perf")?;
        Ok(Self { child, file: file.to_owned() })
    }

    /// Ends the recording. Writes the profile next to the recorded file, one line per thread and
    /// function.
    pub fn end(mut self) -> anyhow::Result<()> {
        if let Some(process) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            rustix::process::kill_process(process, rustix::process::Signal::INT)?;
        }
        self.child.wait()?;
        let report = Command::new("perf")
            .args([
                "report",
                "--no-children",
                "--call-graph",
                "none",
                "--sort",
                "comm,dso,symbol",
                "--stdio",
                "--input",
            ])
            .arg(&self.file)
            .output()?;
        let text = String::from_utf8_lossy(&report.stdout);
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.trim().trim_end_matches([' ', '-']))
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        Ok(fs::write(self.file.with_extension("txt"), lines.join("\n"))?)
    }
}

/// Describes the machine, so that figures of different machines can be compared.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']).trim().to_owned();
    let virtual_machine = if info.contains(" hypervisor") { ", virtual" } else { "" };
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo");
    let kilobytes = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or("0 kB");
    let kilobytes: u64 = kilobytes.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    let system = read("/etc/os-release");
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{model}, {cores} cores{virtual_machine}, {} GiB, {}, Linux {}",
        (kilobytes + (1 << 19)) >> 20,
        system.trim_matches('"'),
        kernel.trim()
    )
}

/// Returns the first line that a program prints as its version.
pub fn version(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    Some(String::from_utf8_lossy(&said).lines().next()?.to_owned())
}

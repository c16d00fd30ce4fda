//! Attacks by one user on a running server, and their effect on other users: the figures of
//! `docs/security.md`.
//!
//! For each attack a server is started. Its settings are the defaults, except for an AI provider
//! that doesn't exist and a loopback address to which links may point. The server may use all
//! cores, the load generator only one. Other members make ordinary calls before and during the
//! attack.

mod answers;
mod attacker;
pub mod calls;
mod files;
mod others;
mod raw;
mod site;

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use clap::ValueEnum;
use support::free_port;

use self::{
    attacker::Attacker,
    others::{Call, Others},
};
use crate::{
    machine::{self, Cores},
    server::Server,
};

/// Duration of calls of the other members that are not measured. They open connections and fill
/// caches.
const WARM_UP: Duration = Duration::from_secs(1);
/// Duration of the measurement before an attack.
const BASELINE: Duration = Duration::from_secs(5);
/// Maximum duration of the measurement during an attack. Reached only if the attacker's thread has
/// panicked.
const MAX_DURATION: Duration = Duration::from_secs(60);
const MEMORY_INTERVAL: Duration = Duration::from_millis(20);

/// Attacks that a review found in November 2026. If no date is given, they were found on 28
/// November.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Attack {
    GatewayBodies,
    WebhookBodies,
    Pictures,
    ChunkedUploads,
    AnnouncedUploads,
    SubstringSearches,
    PhraseSearches,
    LinkPreviews,
    ProfileBombs,
    SlowDocuments,
    ManyPictures,
    Notes,
    Exports,
}

/// Row of the report about an attack.
struct Description {
    title: &'static str,
    /// Effect of the attack without the limits.
    found: &'static str,
    /// Calls of the other members that are measured in addition to [`Call::ALWAYS`].
    calls: &'static [Call],
}

impl Attack {
    const fn describe(self) -> Description {
        let (title, found, calls): (_, _, &[Call]) = match self {
            Self::GatewayBodies => {
                ("60 unfinished calls of `/v1` with 31 of 32 MiB, by one key", "all held; 71 → 2,016 MiB", &[])
            }
            Self::WebhookBodies => (
                "1,000 unfinished payment webhooks of maximum size, without an account",
                "628 of 1 MiB held; 59 → 1,029 MiB",
                &[],
            ),
            Self::Pictures => ("20 pictures of 49 megapixels at once", "→ 594 MiB", &[Call::Upload]),
            Self::ChunkedUploads => (
                "30 files of 60 MiB at once, of unknown length, where 1 GiB may wait to be sent",
                "30 × 201; 1,800 MiB on the disk",
                &[Call::Upload],
            ),
            Self::AnnouncedUploads => (
                "30 files of 100 MB announced at once by tus, where 1 GiB may wait to be sent",
                "30 × 201",
                &[Call::Upload],
            ),
            Self::SubstringSearches => (
                "Searches, 4 at once, for 24 times the substring that 220,000 words of the attacker share",
                "one search held a thread of the server for 1.6 s",
                &[Call::Search],
            ),
            Self::PhraseSearches => (
                "Searches, 16 at once, with an excluded phrase of 252 words",
                "others' searches 13 ms → 11 s",
                &[Call::Search],
            ),
            Self::LinkPreviews => (
                "Messages, 8 at once, with 3 links each to a page of one tag with 116,430 attributes",
                "others' median 6 → 439 ms, no previews for 60 s",
                &[Call::Preview],
            ),
            Self::ProfileBombs => (
                "48 PNGs of 261 KB, 8 at once, whose colour profile inflates to 256 MiB",
                "86 → 1,053 MiB",
                &[Call::Upload],
            ),
            Self::SlowDocuments => (
                "8 HTML files of 3 MB that are parsed for 15 s of a processor each",
                "another's file found after 0.5 → 172 s",
                &[Call::FindFile],
            ),
            Self::ManyPictures => {
                ("30 pictures of 49 megapixels at once", "another's upload of 10 bytes 0.02 → 24.5 s", &[Call::Upload])
            }
            Self::Notes => ("Notes of 400 KB, 4 at once, for 12 s", "254 MiB of text stored", &[]),
            Self::Exports => ("Exports of the attacker's own data, 100 at once", "others' median 5 → 113 ms", &[]),
        };
        Description { title, found, calls }
    }

    fn calls(self) -> Vec<Call> {
        [&Call::ALWAYS[..], self.describe().calls].concat()
    }
}

/// Measures the given attacks, or all if none are given, and prints the results.
pub fn measure(natter: &Path, only: &[Attack]) -> anyhow::Result<()> {
    let server_cores = machine::allowed_cores()?;
    println!("{}", machine::describe());
    Cores::choose()?.pin_generator()?;
    let site = site::start()?;
    println!(
        "\n| | without the limits | now | others' calls, p95 before → during | largest ratio (goal: ≤ 5) |\n|---|---|---|---|--:|"
    );
    for attack in if only.is_empty() { Attack::value_variants() } else { only } {
        println!("{}", run(*attack, natter, &server_cores, site)?);
    }
    Ok(())
}

/// Starts a server, attacks it, and returns the row for the report.
fn run(attack: Attack, natter: &Path, cores: &[usize], site: SocketAddr) -> anyhow::Result<String> {
    let folder = tempfile::Builder::new().prefix("natter-bench").tempdir()?;
    let server = start(natter, cores, folder.path())?;
    let others = Others::sign_up(server.address, site)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let attacker = runtime.block_on(Attacker::sign_up(server.address, site));

    let calls = attack.calls();
    others.measure(&calls, after(WARM_UP));
    let before = others.measure(&calls, after(BASELINE));
    others::ensure_success(&before)?;
    let idle = machine::memory(server.process())?;
    let file = runtime.block_on(attacker.prepare(attack))?;

    let has_ended = AtomicBool::new(false);
    let is_late = after(MAX_DURATION);
    let is_over = || has_ended.load(Ordering::Relaxed) || is_late();
    let (result, during, peak) = thread::scope(|scope| {
        let during = scope.spawn(|| others.measure(&calls, is_over));
        let peak = scope.spawn(|| peak_memory(server.process(), is_over));
        let result = runtime.block_on(attacker.attack(attack, &file));
        has_ended.store(true, Ordering::Relaxed);
        (result, during.join(), peak.join())
    });
    let panicked = |_| anyhow!("measuring thread panicked");
    let (during, peak) = (during.map_err(panicked)?, peak.map_err(panicked)??);
    let disk = machine::folder_size(folder.path())?;

    let (times, worst) = others::compare(&before, &during);
    let Description { title, found, .. } = attack.describe();
    let [idle, peak, disk] = [idle, peak, disk].map(machine::mebibytes);
    Ok(format!(
        "| {title} | {found} | {result}; {idle:.0} → {peak:.0} MiB, {disk:.0} MiB on the disk | {times} | {worst:.1} |"
    ))
}

fn start(natter: &Path, cores: &[usize], folder: &Path) -> anyhow::Result<Server> {
    let port = free_port();
    let settings = [
        ("SERVER__PORT", port.to_string()),
        ("SERVER__DATA_DIR", folder.display().to_string()),
        ("METRICS__LISTEN", "none".to_owned()),
        ("OUTGOING__ALLOW", site::HOST.to_owned()),
        ("AI__PROVIDERS__FAKE__KIND", "openai".to_owned()),
        ("AI__PROVIDERS__FAKE__BASE_URL", "http://127.0.0.1:9".to_owned()),
        ("AI__PROVIDERS__FAKE__KEYS", "key-one".to_owned()),
        ("AI__PROVIDERS__FAKE__MODELS", "small".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (format!("NATTER__{name}"), value));
    Server::start_on(cores, folder, port, natter, &["serve".to_owned()], &settings)
}

/// Returns a predicate that is true once `time` has passed since this call.
fn after(time: Duration) -> impl Fn() -> bool + Copy {
    let start = Instant::now();
    move || start.elapsed() >= time
}

/// Peak resident memory of a process and its children, in bytes.
fn peak_memory(process: u32, is_over: impl Fn() -> bool) -> anyhow::Result<u64> {
    let mut peak = 0;
    while !is_over() {
        peak = peak.max(machine::memory(process)?);
        thread::sleep(MEMORY_INTERVAL);
    }
    Ok(peak)
}

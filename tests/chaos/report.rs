//! Report of a run: a summary, and a folder with details of the violations.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::checker::{PROMPT, Verdict, kinds};
use crate::cluster::{Cluster, INSTANCES};
use crate::evidence::{Did, Evidence, Seen};
use crate::stage::moment;

/// Maximum number of findings listed in the report.
const SHOWN: usize = 200;
/// Time before and after a finding for which the frames of the reader are reported, in
/// milliseconds.
const AROUND: i64 = 1_500;
/// Length of the log excerpt before the first finding, in milliseconds; and maximum number of its
/// lines per instance.
const BEFORE: i64 = 8_000;
const LINES: usize = 30;
/// Length of a timestamp up to the milliseconds.
const MILLISECONDS: usize = "2026-11-20T12:00:00.000".len();

pub fn summary(seed: u64, took: Duration, evidence: &Evidence, verdict: &Verdict) -> String {
    let seen = || evidence.readers.iter().flat_map(|reader| reader.seen.iter().map(|(_, seen)| seen));
    let did = || evidence.writers.iter().flat_map(|writer| writer.did.iter().map(|(_, did)| did));
    let count = |wanted: fn(&Seen) -> bool| seen().filter(|seen| wanted(seen)).count();
    let mut faults: BTreeMap<_, usize> = BTreeMap::new();
    for fault in &evidence.faults {
        *faults.entry(format!("{:?}", fault.kind)).or_default() += 1;
    }
    let events: usize = evidence.conversations.iter().map(|conversation| conversation.log.len()).sum();
    let acknowledged = did().filter(|did| matches!(did, Did::Acknowledged { .. })).count();
    let sent = did().filter(|did| matches!(did, Did::Sent { .. })).count();
    let failed = did().filter(|did| matches!(did, Did::Failed { .. } | Did::PutOff { .. })).count();
    let list = |counts: Vec<String>| counts.join(", ");
    let mut text = String::new();
    let _ = writeln!(text, "chaos: seed {seed}, {} s", took.as_secs());
    let _ = writeln!(
        text,
        "chaos: faults: {} ({})",
        evidence.faults.len(),
        list(faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect())
    );
    let _ = writeln!(
        text,
        "chaos: messages: {sent} sent, {acknowledged} acknowledged, {failed} put off or unanswered; events: {events} ({})",
        list(kinds(evidence).iter().map(|(kind, count)| format!("{kind} {count}")).collect())
    );
    let _ = writeln!(
        text,
        "chaos: deliveries: {} to {} readers, {} passing events of the channel to viewers, {} visits, {} texts removed; connections: {}, syncs: {}, resyncs: {}",
        verdict.deliveries,
        evidence.readers.len(),
        verdict.passing,
        evidence.visits,
        evidence.removed.len(),
        count(|seen| matches!(seen, Seen::Hello { .. })),
        count(|seen| matches!(seen, Seen::Sync)),
        count(|seen| matches!(seen, Seen::Resync(_))),
    );
    let _ = write!(
        text,
        "chaos: the slowest: {}\nchaos: checks: {}, of them {} on time (the slowest {} ms, {} later than G3's {PROMPT}); findings: {}",
        verdict.slowest_was,
        verdict.checks,
        verdict.timed,
        verdict.slowest,
        verdict.late,
        verdict.findings.len()
    );
    text
}

/// Writes the findings, the faults, the frames around each finding and the logs of the instances to
/// a folder. Returns a summary for the output of the test, which ends with the findings.
pub fn write(seed: u64, evidence: &Evidence, verdict: &Verdict, cluster: &Cluster) -> String {
    let folder = std::env::var_os("CHAOS_REPORT")
        .map_or_else(|| std::env::temp_dir().join(format!("natter-chaos-{seed}")), PathBuf::from);
    fs::create_dir_all(&folder).expect("report folder created");
    let mut text = String::new();
    let _ = writeln!(text, "CHAOS_SEED={seed}\n\n{} findings:", verdict.findings.len());
    for finding in verdict.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "  {finding}");
    }
    let _ = writeln!(text, "\nFaults:");
    for fault in &evidence.faults {
        let _ = writeln!(text, "  {} to {}: {}", fault.from, fault.to, fault.what);
    }
    let mut told = String::new();
    if let Some(first) = verdict.findings.iter().filter(|finding| finding.at > 0).min_by_key(|finding| finding.at) {
        let _ = writeln!(text, "\nAround the first finding:");
        for reader in &evidence.readers {
            let near = |at: i64| (at - first.at).abs() < AROUND;
            for (at, seen) in reader.seen.iter().filter(|(at, _)| near(*at)) {
                let _ = writeln!(text, "  {at} {}: {seen:?}", reader.name);
            }
        }
        let before = |at: i64| first.at - BEFORE < at && at <= first.at;
        for place in 0..INSTANCES {
            let lines = cluster.log(place);
            let near = lines.iter().filter(|line| logged_at(line).is_some_and(before)).take(LINES);
            for line in near {
                let _ = writeln!(told, "instance {place}: {line}");
            }
        }
        for fault in evidence.faults.iter().filter(|fault| before(fault.from) || before(fault.to)) {
            let _ = writeln!(told, "{} to {}: {}", fault.from, fault.to, fault.what);
        }
    }
    fs::write(folder.join("report.txt"), text).expect("report written");
    for place in 0..INSTANCES {
        let log = cluster.log(place).join("\n");
        fs::write(folder.join(format!("instance-{place}.log")), log).expect("log written");
    }
    let _ = writeln!(told, "chaos: seed {seed} has {} findings; see {}", verdict.findings.len(), folder.display());
    for finding in verdict.findings.iter().take(10) {
        let _ = writeln!(told, "chaos: {finding}");
    }
    told
}

/// Returns the time at which a log line was written.
fn logged_at(line: &str) -> Option<i64> {
    let text = line.split("\"timestamp\":\"").nth(1)?;
    Some(moment(text.get(..MILLISECONDS)?))
}

//! What a run did, in a few lines; and what is wrong, in a folder.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::checker::{Verdict, kinds};
use crate::cluster::{Cluster, INSTANCES};
use crate::evidence::{Did, Evidence, Seen};

/// Findings that are written out.
const SHOWN: usize = 200;
/// What a reader saw before and after a finding, in milliseconds.
const AROUND: i64 = 1_500;

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
        "chaos: deliveries: {} to {} readers; connections: {}, syncs: {}, resyncs: {}",
        verdict.deliveries,
        evidence.readers.len(),
        count(|seen| matches!(seen, Seen::Hello { .. })),
        count(|seen| matches!(seen, Seen::Sync)),
        count(|seen| matches!(seen, Seen::Resync(_))),
    );
    let _ = write!(
        text,
        "chaos: checks: {}, of them {} on time (the slowest {} ms); findings: {}",
        verdict.checks,
        verdict.timed,
        verdict.slowest,
        verdict.findings.len()
    );
    text
}

/// Writes the findings, the faults, what was seen around each finding and the instances' logs; answers where.
pub fn write(seed: u64, evidence: &Evidence, verdict: &Verdict, cluster: &Cluster) -> PathBuf {
    let folder = std::env::var_os("CHAOS_REPORT")
        .map_or_else(|| std::env::temp_dir().join(format!("natter-chaos-{seed}")), PathBuf::from);
    fs::create_dir_all(&folder).expect("the report's folder can be made");
    let mut text = String::new();
    let _ = writeln!(text, "CHAOS_SEED={seed}\n\n{} findings:", verdict.findings.len());
    for finding in verdict.findings.iter().take(SHOWN) {
        let _ = writeln!(text, "  {finding}");
    }
    let _ = writeln!(text, "\nFaults:");
    for fault in &evidence.faults {
        let _ = writeln!(text, "  {} to {}: {}", fault.from, fault.to, fault.what);
    }
    if let Some(first) = verdict.findings.iter().find(|finding| finding.at > 0) {
        let _ = writeln!(text, "\nAround the first finding:");
        for reader in &evidence.readers {
            let near = |at: i64| (at - first.at).abs() < AROUND;
            for (at, seen) in reader.seen.iter().filter(|(at, _)| near(*at)) {
                let _ = writeln!(text, "  {at} {}: {seen:?}", reader.name);
            }
        }
    }
    fs::write(folder.join("report.txt"), text).expect("the report can be written");
    for place in 0..INSTANCES {
        let log = cluster.log(place).join("\n");
        fs::write(folder.join(format!("instance-{place}.log")), log).expect("a log can be written");
    }
    for finding in verdict.findings.iter().take(10) {
        eprintln!("chaos: {finding}");
    }
    folder
}

//! Checks delivery times (guarantee G3), except in periods for which a fault is an excuse.

use super::{Lie, PROMPT, Verdict};
use crate::evidence::{Evidence, Fault, Kind, Logged, Moment};

/// Time after other faults for which the bound [`PROMPT`] does not apply, in milliseconds, because
/// clients reconnect and catch up.
const AFTERMATH: i64 = 4_000;
/// Time that is excused after a connection has failed silently, in milliseconds. A connection
/// counts as lost after 4 s (Redis), or after 12 s and a retry (database).
const AFTER_DEAD_REDIS: i64 = 8_000;
const AFTER_DEAD_DATABASE: i64 = 26_000;

/// Time for which the consequences of a fault of this kind last after it is repaired, in
/// milliseconds.
pub(super) fn aftermath(kind: Kind) -> i64 {
    match kind {
        Kind::DeadDatabase => AFTER_DEAD_DATABASE,
        Kind::DeadRedis => AFTER_DEAD_REDIS,
        _ => AFTERMATH,
    }
}

/// Checks that an event has arrived in time.
pub(super) fn check(
    evidence: &Evidence,
    verdict: &mut Verdict,
    row: &Logged,
    settled: Moment,
    at: Moment,
    comes_and_goes: bool,
    name: impl Fn() -> String,
) {
    let is_promised = |fault: &Fault| {
        use Kind::{CutClients, CutRedis, DropClients, KillInstance, KillRedis, KillUntold, RollingRestart};
        matches!(
            fault.kind,
            KillInstance | KillUntold | KillRedis | CutRedis | RollingRestart | CutClients | DropClients
        )
    };
    // Without Redis, an instance learns within 4 s of members who were added on another instance
    // (docs/guarantees.md).
    let hides_members = |fault: &Fault| comes_and_goes && matches!(fault.kind, Kind::KillRedis | Kind::CutRedis);
    let excuses = |fault: &Fault| {
        let is_excuse = !is_promised(fault) || hides_members(fault);
        is_excuse && fault.from <= at && row.committed <= fault.to + aftermath(fault.kind)
    };
    if settled > row.committed || evidence.faults.iter().any(excuses) {
        return;
    }
    let stalls: i64 = evidence
        .stalls
        .iter()
        .filter(|(from, length)| *from <= at && row.committed <= from + length)
        .map(|(_, length)| length)
        .sum();
    let took = at - row.committed;
    verdict.timed += 1;
    let story = || {
        let during: Vec<&str> = evidence
            .faults
            .iter()
            .filter(|fault| fault.from <= at && row.committed <= fault.to)
            .map(|fault| fault.what.as_str())
            .collect();
        format!(
            "{} got {} {took} ms after its commit (the machine stood still for {stalls} ms); meanwhile: {during:?}",
            name(),
            row.seq
        )
    };
    if took - stalls > verdict.slowest {
        verdict.slowest = took - stalls;
        verdict.slowest_was = format!("{at} {}", story());
    }
    verdict.late += u64::from(took > PROMPT + stalls);
    verdict.check(took <= verdict.bound + stalls, Lie::Late, at, story);
}

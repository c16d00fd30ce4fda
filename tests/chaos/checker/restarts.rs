//! Checks that clients don't notice a rolling restart (guarantee G9 of `docs/guarantees.md`).

use super::{Lie, Verdict, times::aftermath};
use crate::evidence::{Did, Evidence, Fault, Kind, Moment, Seen};

/// Time after a rolling restart within which requests to the restarted instances may still end, in
/// milliseconds.
const REQUEST: i64 = 500;

/// Checks that no request fails during a rolling restart without other faults, and that connections
/// end with a close frame (G9).
pub(super) fn check(evidence: &Evidence, verdict: &mut Verdict) {
    let others: Vec<&Fault> = evidence.faults.iter().filter(|fault| fault.kind != Kind::RollingRestart).collect();
    for restart in evidence.faults.iter().filter(|fault| fault.kind == Kind::RollingRestart) {
        let (from, to) = (restart.from, restart.to);
        if others.iter().any(|other| other.from <= to && from <= other.to + aftermath(other.kind)) {
            continue;
        }
        // Effects of the next fault must not be attributed to the restart.
        let next = others.iter().map(|other| other.from).filter(|begins| *begins > to).min();
        let within = |at: Moment| from <= at && at <= to + REQUEST && next.is_none_or(|next| at < next);
        for writer in &evidence.writers {
            for (at, did) in writer.did.iter().filter(|(at, _)| within(*at)) {
                let failed = match did {
                    Did::Failed { what } => Some(what.as_str()),
                    Did::PutOff { .. } => Some("was refused"),
                    _ => None,
                };
                verdict.check(failed.is_none(), Lie::RestartShows, *at, || {
                    format!("{} saw a rolling restart: {}", writer.name, failed.unwrap_or_default())
                });
            }
        }
        for reader in &evidence.readers {
            for (at, seen) in reader.seen.iter().filter(|(at, _)| within(*at)) {
                if let Seen::Lost(code) = seen {
                    verdict.check(matches!(code, Some(1000 | 1012)), Lie::RestartShows, *at, || {
                        format!("{} lost its connection in a rolling restart without a goodbye", reader.name)
                    });
                }
            }
        }
    }
}

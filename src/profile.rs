//! CPU and heap profiles of this process, in pprof format.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use appcore::view::ProfileKind;
use pprof::{ProfilerGuardBuilder, protos::Message as _};

/// Number of samples per second. It doesn't divide common timer frequencies, so that the samples
/// aren't synchronised with them.
const SAMPLES_PER_SECOND: i32 = 99;
/// Libraries without frame pointers, at which stack unwinding stops.
const FRAMELESS_LIBRARIES: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

pub async fn record(kind: ProfileKind, time: Duration) -> anyhow::Result<Vec<u8>> {
    match kind {
        ProfileKind::Cpu => record_cpu(time).await,
        ProfileKind::Heap => record_heap(time).await,
    }
}

async fn record_cpu(time: Duration) -> anyhow::Result<Vec<u8>> {
    let looking = ProfilerGuardBuilder::default().frequency(SAMPLES_PER_SECOND).blocklist(&FRAMELESS_LIBRARIES).build();
    let looking = looking.context("failed to start the profiler")?;
    tokio::time::sleep(time).await;
    // Looking up symbols in the debug information takes a while, so it runs on a blocking thread.
    let naming = tokio::task::spawn_blocking(move || {
        let profile = looking.report().build()?.pprof()?;
        anyhow::Ok(profile.encode_to_vec())
    });
    naming.await?
}

/// Records the heap allocations that were made during `time` and are still in use at its end.
async fn record_heap(time: Duration) -> anyhow::Result<Vec<u8>> {
    let control = jemalloc_pprof::PROF_CTL.as_ref().context("heap profiling disabled at start")?;
    control.lock().await.activate()?;
    tokio::time::sleep(time).await;
    let naming = tokio::task::spawn_blocking(move || {
        let mut control = control.blocking_lock();
        let dumped = control.dump_pprof();
        control.deactivate()?;
        dumped
    });
    naming.await?.map_err(|error| anyhow!("failed to dump the heap profile: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn records_cpu_and_heap_profiles() {
        let busy = std::thread::spawn(|| {
            let begun = std::time::Instant::now();
            let mut kept = Vec::new();
            while begun.elapsed() < Duration::from_secs(3) {
                kept.push(vec![1_u8; 100_000]);
                if kept.len() == 1_000 {
                    kept.clear();
                }
            }
        });
        let profile = record(ProfileKind::Cpu, Duration::from_secs(1)).await.unwrap();
        let read = pprof::protos::Profile::decode(&profile[..]).unwrap();
        assert!(!read.sample.is_empty() && !read.function.is_empty(), "{read:?}");
        let profile = record(ProfileKind::Heap, Duration::from_secs(1)).await.unwrap();
        // The profile is compressed, as pprof expects.
        assert!(profile.starts_with(&[0x1f, 0x8b]) && profile.len() > 100, "{} bytes", profile.len());
        busy.join().unwrap();
    }
}

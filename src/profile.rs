//! Profiles of this process, in pprof's format: what its processors do, and who allocated what.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use appcore::view::ProfileKind;
use pprof::{ProfilerGuardBuilder, protos::Message as _};

/// How often the processors are looked at in a second. No divisor of what timers usually are, so that nothing is always or never seen.
const HERTZ: i32 = 99;
/// Where the walk of a stack would leave what has frame pointers.
const WITHOUT_FRAMES: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

pub async fn take(kind: ProfileKind, time: Duration) -> anyhow::Result<Vec<u8>> {
    match kind {
        ProfileKind::Cpu => of_processors(time).await,
        ProfileKind::Heap => of_heap(time).await,
    }
}

async fn of_processors(time: Duration) -> anyhow::Result<Vec<u8>> {
    let looking = ProfilerGuardBuilder::default().frequency(HERTZ).blocklist(&WITHOUT_FRAMES).build();
    let looking = looking.context("the profiler can't start")?;
    tokio::time::sleep(time).await;
    // Names are looked up in the program's debugging information, which takes its time.
    let naming = tokio::task::spawn_blocking(move || {
        let profile = looking.report().build()?.pprof()?;
        anyhow::Ok(profile.encode_to_vec())
    });
    naming.await?
}

/// What was allocated while this looked and is still in use.
async fn of_heap(time: Duration) -> anyhow::Result<Vec<u8>> {
    let control = jemalloc_pprof::PROF_CTL.as_ref().context("the allocator was started without profiling")?;
    control.lock().await.activate()?;
    tokio::time::sleep(time).await;
    let naming = tokio::task::spawn_blocking(move || {
        let mut control = control.blocking_lock();
        let dumped = control.dump_pprof();
        control.deactivate()?;
        dumped
    });
    naming.await?.map_err(|error| anyhow!("the allocator told nothing: {error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn profiles_tell_what_the_program_does() {
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
        let profile = take(ProfileKind::Cpu, Duration::from_secs(1)).await.unwrap();
        let read = pprof::protos::Profile::decode(&profile[..]).unwrap();
        assert!(!read.sample.is_empty() && !read.function.is_empty(), "{read:?}");
        let profile = take(ProfileKind::Heap, Duration::from_secs(1)).await.unwrap();
        // Compressed, as pprof reads it.
        assert!(profile.starts_with(&[0x1f, 0x8b]) && profile.len() > 100, "{} bytes", profile.len());
        busy.join().unwrap();
    }
}

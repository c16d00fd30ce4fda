//! Environment of the tests: free ports, programs and timeouts.

use std::fmt::Debug;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// Timeout for all conditions that a test waits for. It is long, because two cores run many
/// processes at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a free port. It is below the range that the kernel uses for outgoing connections, so
/// that it stays free until the server binds it, and again after the server is killed.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time have consecutive ids. Multiplying these by a prime
    // spreads the ports at which they start.
    let start = u16::try_from(std::process::id().wrapping_mul(7_919) % u32::from(COUNT)).unwrap_or_default();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// Returns the path of the server's program: the one that `NATTER_BIN` names, or otherwise the one
/// built with these tests.
#[must_use]
pub fn natter() -> PathBuf {
    if let Some(path) = std::env::var_os("NATTER_BIN") {
        return path.into();
    }
    let mut path = std::env::current_exe().expect("a test has a path");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.push("natter");
    assert!(path.exists(), "{} is not built: cargo build --package natter", path.display());
    path
}

/// Returns the path of a system program that may not be in PATH.
pub(crate) fn program(name: &str, places: &[&str]) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(places.iter().copied())
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|candidate| candidate.exists())
        .unwrap_or_else(|| panic!("{name} is not installed; scripts/test installs it"))
}

/// Replaces addresses and paths in a shipped configuration. Each of them must occur in it.
pub(crate) fn put_in_place(shipped: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(shipped.to_owned(), |text, (there, here)| {
        assert!(text.contains(there), "the shipped file does not contain {there:?}");
        text.replace(there, here)
    })
}

/// Polls until the condition is true.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, ask: impl FnMut() -> F) {
    wait_until_equal(what, &true, ask).await;
}

/// Polls until the result equals `expected`. If it doesn't in time, panics with the last result.
pub async fn wait_until_equal<T: PartialEq + Debug, F: Future<Output = T>>(
    what: &str,
    expected: &T,
    mut ask: impl FnMut() -> F,
) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if answer == *expected {
            return;
        }
        let is_in_time = tokio::time::Instant::now() < deadline;
        assert!(is_in_time, "{what}: {answer:?} and not {expected:?} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

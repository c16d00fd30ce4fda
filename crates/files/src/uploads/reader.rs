//! Starts the reader process, which parses foreign data with limits on its memory and processor time.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context as _;
use appcore::AppError;
use bytes::Bytes;
use extract::isolated::Task;
use futures_util::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use super::store::ByteChunks;

/// Factor between the limit on a task's processor time and its deadline. The deadline is longer
/// because the machine may be busy.
const DEADLINE_FACTOR: u32 = 8;
/// Maximum size of a result, in bytes: that of the longest text with escape sequences.
const MAX_RESULT: u64 = 4 * extract::MAX_TEXT as u64;

/// Output of a task, as lines of JSON.
pub(super) struct Parsed {
    output: Vec<u8>,
    /// True if the process exited successfully and kept its limits.
    pub is_complete: bool,
}

impl Parsed {
    /// Parses the value on a line; returns `None` if the process ended before it wrote this line.
    pub fn line<T: DeserializeOwned>(&self, number: usize) -> Result<Option<T>, AppError> {
        let mut lines = self.output.split_inclusive(|byte| *byte == b'\n');
        let Some(line) = lines.nth(number).filter(|line| self.is_complete || line.ends_with(b"\n")) else {
            return Ok(None);
        };
        serde_json::from_slice(line).context("the reader process wrote no JSON").map(Some).map_err(AppError::internal)
    }
}

/// Runs a task on bytes in memory.
pub(super) async fn parse_bytes(task: &Task, bytes: Bytes) -> Result<Parsed, AppError> {
    parse(task, stream::iter([Ok(bytes)]).boxed()).await
}

/// Runs a task in a separate process. Returns `Unavailable` if the process can't be started, or if
/// it misses its deadline. The latter means that the machine is busy, since the process has not
/// used up its processor time.
pub(super) async fn parse(task: &Task, pieces: ByteChunks) -> Result<Parsed, AppError> {
    let deadline = Duration::from_secs(task.seconds()) * DEADLINE_FACTOR;
    timeout(deadline, run(task, pieces)).await.map_err(AppError::unavailable)?
}

async fn run(task: &Task, mut pieces: ByteChunks) -> Result<Parsed, AppError> {
    let mut child = Command::new(own_program()?)
        .arg("read-file")
        .env_clear()
        // Each thread of a pool and each arena of glibc takes 128 MiB of address space, as much as
        // a small image may take.
        .env("RAYON_NUM_THREADS", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(AppError::unavailable)?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(AppError::internal(anyhow::anyhow!("reader process has no standard streams")));
    };
    let mut head = serde_json::to_vec(task).map_err(AppError::internal)?;
    head.push(b'\n');
    let writing = async move {
        // The process ends early if it needs no more input.
        if input.write_all(&head).await.is_err() {
            return Ok(());
        }
        while let Some(piece) = pieces.next().await {
            if input.write_all(&piece?).await.is_err() {
                break;
            }
        }
        Ok::<_, AppError>(())
    };
    let mut result = Vec::new();
    let mut output = output.take(MAX_RESULT);
    let (written, read) = tokio::join!(writing, output.read_to_end(&mut result));
    written?;
    read.map_err(AppError::unavailable)?;
    let ended = child.wait().await.map_err(AppError::unavailable)?;
    if !ended.success() {
        tracing::info!(%ended, "reader process exceeded its limits");
    }
    Ok(Parsed { output: result, is_complete: ended.success() })
}

/// Returns the path of this program. It stays valid even after the file was replaced by an upgrade.
fn own_program() -> Result<PathBuf, AppError> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().map_err(AppError::internal)
}

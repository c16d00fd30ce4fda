//! The text of a file, read by a process of its own.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::Context as _;
use appcore::AppError;
use bytes::Bytes;
use extract::{
    Section, Unreadable,
    isolated::{Outcome, SECONDS, Task},
};
use futures_util::{StreamExt as _, stream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::timeout,
};

use super::store::{Object, Pieces};
#[cfg(doc)]
use crate::work_pools::WorkPools;
use crate::{App, work_pools::WorkSlot};

/// How long a file may take, waits of a busy machine included.
const PATIENCE: Duration = Duration::from_secs(8 * SECONDS);
/// Bytes of what comes out: the text, escaped.
const MAX_OUTCOME: u64 = 4 * extract::MAX_TEXT as u64;

/// A file whose text is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub id: appcore::UploadId,
    pub name: String,
    pub media_type: String,
    pub size: i64,
}

/// The text of a file that was received whole. An error is ours and may be gone later; what is [`Unreadable`] stays so.
pub(crate) async fn sections(
    app: &App,
    source: &Source,
    slot: &WorkSlot,
) -> Result<Result<Vec<Section>, Unreadable>, AppError> {
    Ok(document(app, source, slot).await?.map(|document| document.sections))
}

/// The text of a file that was received whole, with how many pages it has. The caller holds a slot of [`WorkPools::parsing`].
pub(crate) async fn document(app: &App, source: &Source, _slot: &WorkSlot) -> Result<Outcome, AppError> {
    if !extract::is_readable(&source.media_type, &source.name) {
        return Ok(Err(Unreadable::Type));
    }
    let size = u64::try_from(source.size).unwrap_or_default();
    let pieces = app.uploads.store.read(Object::Whole(source.id), 0..size).await?;
    let task = Task { media_type: source.media_type.clone(), name: source.name.clone() };
    read_in_time(task, pieces).await
}

/// The text of what is no file of ours. The caller holds a slot of [`WorkPools::parsing`].
pub(crate) async fn of_bytes(
    name: &str,
    media_type: &str,
    bytes: Bytes,
    _slot: &WorkSlot,
) -> Result<Outcome, AppError> {
    if !extract::is_readable(media_type, name) {
        return Ok(Err(Unreadable::Type));
    }
    let task = Task { media_type: media_type.to_owned(), name: name.to_owned() };
    read_in_time(task, stream::iter([Ok(bytes)]).boxed()).await
}

async fn read_in_time(task: Task, pieces: Pieces) -> Result<Outcome, AppError> {
    match timeout(PATIENCE, read(task, pieces)).await {
        Ok(read) => read,
        // It has used less than it may: the machine is busy.
        Err(elapsed) => Err(AppError::unavailable(elapsed)),
    }
}

async fn read(task: Task, mut pieces: Pieces) -> Result<Outcome, AppError> {
    let mut child = Command::new(own_program()?)
        .arg("read-file")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(AppError::unavailable)?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(AppError::internal(anyhow::anyhow!("a process has no standard streams")));
    };
    let mut head = serde_json::to_vec(&task).map_err(AppError::internal)?;
    head.push(b'\n');
    let writing = async move {
        // It ends early where it has seen enough.
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
    let mut said = Vec::new();
    let mut output = output.take(MAX_OUTCOME);
    let (written, heard) = tokio::join!(writing, output.read_to_end(&mut said));
    written?;
    heard.map_err(AppError::unavailable)?;
    let ended = child.wait().await.map_err(AppError::unavailable)?;
    if !ended.success() {
        tracing::info!(name = %task.name, %ended, "a file could not be read within its limits");
        return Ok(Err(Unreadable::TooComplex));
    }
    serde_json::from_slice(&said).context("what was read of a file").map_err(AppError::internal)
}

/// This program, also after its file was replaced by a newer one.
fn own_program() -> Result<PathBuf, AppError> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    std::env::current_exe().map_err(AppError::internal)
}

//! Incoming files: written to disk and hashed, chunk by chunk.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use appcore::{
    AppError,
    disk::sync_range,
    work_pool::{WorkOwner, WorkPool},
};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use platform::host_health;

use super::run_blocking;

/// Size of the write buffer, in bytes.
const WRITE_BUFFER: usize = 256 * 1024;
/// Size of the chunks in which a received file is read, in bytes.
const READ_CHUNK: usize = 256 * 1024;

/// File that is being received. It is removed if it is dropped before it is complete.
pub struct IncomingFile {
    path: TemporaryFile,
    buffer: BytesMut,
    /// Open file with its hash so far; `None` during a write.
    file: Option<(File, Context)>,
    size: u64,
    floor: MinFreeSpace,
    disk: Arc<WorkPool>,
    owner: WorkOwner,
}

/// Minimum free disk space, in bytes. Needed because the database may be on the same disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinFreeSpace(pub u64);

impl MinFreeSpace {
    /// Fails if storing `bytes` more would leave less than the minimum free.
    pub fn check(self, place: &Path, bytes: u64) -> io::Result<()> {
        // If the free space can't be read, the check passes; a faulty disk then fails at the write.
        match host_health::free_bytes(place) {
            Ok(free) if free < self.0.saturating_add(bytes) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

/// Received file.
pub struct ReceivedFile {
    pub(crate) path: TemporaryFile,
    pub size: u64,
    /// SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
}

impl ReceivedFile {
    /// Reads the content chunk by chunk. The file is removed with the stream.
    pub fn into_chunks(self) -> BoxStream<'static, io::Result<Bytes>> {
        let opened: Option<File> = None;
        let chunks = stream::try_unfold((self, opened), |(received, opened)| async move {
            let path = received.path.path();
            let reading = tokio::task::spawn_blocking(move || -> io::Result<(File, Bytes)> {
                let mut file = opened.map_or_else(|| File::open(path), Ok)?;
                let mut chunk = vec![0; READ_CHUNK];
                let length = file.read(&mut chunk)?;
                chunk.truncate(length);
                Ok((file, chunk.into()))
            });
            let (file, chunk) = reading.await.map_err(io::Error::other)??;
            Ok((!chunk.is_empty()).then(|| (chunk, (received, Some(file)))))
        });
        chunks.boxed()
    }
}

/// File that is removed on drop, unless it was released before.
pub(crate) struct TemporaryFile(Option<PathBuf>);

impl TemporaryFile {
    pub const fn new(path: PathBuf) -> Self {
        Self(Some(path))
    }

    pub fn path(&self) -> PathBuf {
        self.0.clone().unwrap_or_default()
    }

    /// Releases the file, because it has been renamed; the drop then removes nothing.
    pub fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // The file may not exist yet.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl IncomingFile {
    /// Creates the file. Each chunk is written in the work pool `disk` on behalf of `owner`.
    pub(crate) async fn create(
        path: PathBuf,
        floor: MinFreeSpace,
        disk: Arc<WorkPool>,
        owner: WorkOwner,
    ) -> Result<Self, AppError> {
        let path = TemporaryFile::new(path);
        let place = path.path();
        let file = run_blocking(move || Ok(File::create(place)?)).await?;
        let file = Some((file, Context::new(&SHA256)));
        Ok(Self { path, buffer: BytesMut::new(), file, size: 0, floor, disk, owner })
    }

    pub async fn write(&mut self, piece: &Bytes) -> Result<(), AppError> {
        self.buffer.extend_from_slice(piece);
        self.size += piece.len() as u64;
        if self.buffer.len() >= WRITE_BUFFER { self.flush(false).await } else { Ok(()) }
    }

    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Completes the file and syncs it to disk.
    pub async fn close(mut self) -> Result<ReceivedFile, AppError> {
        self.flush(true).await?;
        let digest = self.file.take().map(|(_, context)| context.finish());
        let sha256 = digest.map(hex::encode).unwrap_or_default();
        Ok(ReceivedFile { path: self.path, size: self.size, sha256 })
    }

    async fn flush(&mut self, is_last: bool) -> Result<(), AppError> {
        let Some((mut file, mut context)) = self.file.take() else {
            return Err(AppError::internal(anyhow::anyhow!("earlier write failed")));
        };
        let gathered = self.buffer.split().freeze();
        let (floor, place) = (self.floor, self.path.path());
        let length = gathered.len() as u64;
        let start = self.size - length;
        let slot = self.disk.acquire_for_job(self.owner).await;
        let written = run_blocking(move || {
            let _slot = slot;
            floor.check(&place, length)?;
            context.update(&gathered);
            file.write_all(&gathered)?;
            if is_last {
                file.sync_all()?;
            } else {
                sync_range(&file, start, length)?;
            }
            Ok((file, context))
        });
        self.file = Some(written.await?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use appcore::UserId;

    use super::*;
    use platform::work_pools::WorkPools;

    fn user() -> WorkOwner {
        WorkOwner::user(UserId::new())
    }

    #[tokio::test]
    async fn large_uploads_of_one_user_do_not_delay_others() {
        let folder = tempfile::tempdir().unwrap();
        let disk = WorkPools::default().disk;
        let create = |name: &str, owner| {
            IncomingFile::create(folder.path().join(name), MinFreeSpace(0), Arc::clone(&disk), owner)
        };
        let (greedy, other) = (user(), user());
        let part = Bytes::from(vec![7; WRITE_BUFFER]);
        let mut large = create("large", greedy).await.unwrap();
        large.write(&part).await.unwrap();
        let running = disk.acquire_for_job(greedy).await;
        let waiting = tokio::spawn(async move {
            large.write(&Bytes::from(vec![7; WRITE_BUFFER])).await.unwrap();
            large.close().await.unwrap().size
        });
        let mut small = create("small", other).await.unwrap();
        small.write(&part).await.unwrap();
        small.write(&Bytes::from_static(b"the end")).await.unwrap();
        assert_eq!(small.close().await.unwrap().size, WRITE_BUFFER as u64 + 7);
        assert!(!waiting.is_finished());
        drop(running);
        assert_eq!(waiting.await.unwrap(), 2 * WRITE_BUFFER as u64);
    }
}

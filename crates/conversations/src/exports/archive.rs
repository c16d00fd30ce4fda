//! Streaming zip writer: compresses on a blocking thread and writes into an object that becomes
//! visible only when it is complete.

use std::io::{self, Write};

use appcore::AppError;
use bytes::Bytes;
use files::uploads::ReceivedFile;
use platform::work_pools::WorkOwner;
use tokio::{sync::mpsc, task::JoinHandle};
use zip::{ZipWriter, result::ZipError, write::SimpleFileOptions};

use crate::ConversationsService;

/// Capacity of the channels to and from the compressing thread, in messages.
const CHANNEL_CAPACITY: usize = 4;
/// Size of the chunks from the compressing thread, in bytes.
const CHUNK_SIZE: usize = 256 * 1024;

enum ArchiveStep {
    StartFile(String),
    Bytes(Bytes),
}

pub(super) struct Archive {
    steps: mpsc::Sender<ArchiveStep>,
    packing: JoinHandle<Result<(), ZipError>>,
    storing: JoinHandle<Result<ReceivedFile, AppError>>,
    size: u64,
}

impl Archive {
    pub async fn create(service: &ConversationsService, owner: WorkOwner) -> Result<Self, AppError> {
        let (steps, mut received) = mpsc::channel(CHANNEL_CAPACITY);
        let (packed, mut pieces) = mpsc::channel::<Bytes>(CHANNEL_CAPACITY);
        let packing = tokio::task::spawn_blocking(move || {
            let mut zip = ZipWriter::new_stream(ChunkWriter { out: packed, gathered: Vec::with_capacity(CHUNK_SIZE) });
            while let Some(step) = received.blocking_recv() {
                match step {
                    ArchiveStep::StartFile(name) => zip.start_file(name, SimpleFileOptions::default())?,
                    ArchiveStep::Bytes(bytes) => zip.write_all(&bytes)?,
                }
            }
            zip.finish()?.into_inner().forward()?;
            Ok(())
        });
        let mut incoming = service.files.uploads.store.receive(owner).await?;
        let storing = tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                incoming.write(&piece).await?;
            }
            incoming.close().await
        });
        Ok(Self { steps, packing, storing, size: 0 })
    }

    pub async fn start_file(&self, name: &str) -> Result<(), AppError> {
        self.send(ArchiveStep::StartFile(name.to_owned())).await
    }

    pub async fn write<T: Into<Bytes>>(&mut self, bytes: T) -> Result<(), AppError> {
        let bytes = bytes.into();
        self.size += bytes.len() as u64;
        self.send(ArchiveStep::Bytes(bytes)).await
    }

    /// Uncompressed bytes written so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Finishes the archive unless `filled` is an error. If compressing or storing failed, that
    /// error is returned, because the one in `filled` only follows from it.
    pub async fn finish(self, filled: Result<(), AppError>) -> Result<ReceivedFile, AppError> {
        let Self { steps, packing, storing, .. } = self;
        // The channel to the tasks is closed early only after an error.
        let is_stopped = steps.is_closed();
        if !is_stopped {
            filled?;
        }
        drop(steps);
        let packed = packing.await.map_err(AppError::internal)?;
        combine_results(packed, storing.await.map_err(AppError::internal)?)
    }

    async fn send(&self, step: ArchiveStep) -> Result<(), AppError> {
        // Compressing or storing has stopped early; `finish` returns the reason.
        self.steps.send(step).await.map_err(|_| AppError::unavailable(anyhow::anyhow!("failed to store export")))
    }
}

/// Combines the results of compressing and storing. A compression error that was not caused by
/// storing is a bug, so it isn't retried.
fn combine_results<T>(packed: Result<(), ZipError>, stored: Result<T, AppError>) -> Result<T, AppError> {
    let received = stored?;
    match packed {
        Ok(()) => Ok(received),
        Err(ZipError::Io(error)) => Err(files::uploads::storage_error(error)),
        Err(error) => Err(AppError::internal(error)),
    }
}

/// Forwards compressed bytes in chunks.
struct ChunkWriter {
    out: mpsc::Sender<Bytes>,
    gathered: Vec<u8>,
}

impl ChunkWriter {
    fn forward(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(CHUNK_SIZE));
        if piece.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(piece.into()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK_SIZE {
            self.forward()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use appcore::Code;

    use super::*;

    #[test]
    fn packing_errors_are_internal_unless_caused_by_storage() {
        let code = |packed, stored| combine_results(packed, stored).err().map(|error| error.code());
        assert_eq!(code(Ok(()), Ok(())), None);
        let is_there_twice = || Err(ZipError::InvalidArchive("Duplicate filename".into()));
        assert_eq!(code(is_there_twice(), Ok(())), Some(Code::Internal));
        let broken = || Err(ZipError::Io(io::ErrorKind::BrokenPipe.into()));
        assert_eq!(code(broken(), Ok(())), Some(Code::Unavailable));
        assert_eq!(code(broken(), Err(Code::StorageFull.into())), Some(Code::StorageFull));
    }
}

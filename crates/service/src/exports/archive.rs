//! A zip file that is written piece by piece: by a thread of its own, because packing takes the processor, and into a file that nobody sees until
//! it is whole.

use std::io::{self, Write};

use appcore::AppError;
use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinHandle};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{App, uploads::Received};

/// Pieces that may wait on either side.
const AHEAD: usize = 4;
/// What the thread hands on at a time.
const PIECE: usize = 256 * 1024;

enum Step {
    Begin(String),
    Bytes(Bytes),
}

pub(super) struct Archive {
    steps: mpsc::Sender<Step>,
    packing: JoinHandle<anyhow::Result<()>>,
    storing: JoinHandle<Result<Received, AppError>>,
    size: u64,
}

impl Archive {
    pub async fn create(app: &App) -> Result<Self, AppError> {
        let (steps, mut received) = mpsc::channel(AHEAD);
        let (packed, mut pieces) = mpsc::channel::<Bytes>(AHEAD);
        let packing = tokio::task::spawn_blocking(move || {
            let mut zip = ZipWriter::new_stream(Pieces { out: packed, gathered: Vec::with_capacity(PIECE) });
            while let Some(step) = received.blocking_recv() {
                match step {
                    Step::Begin(name) => zip.start_file(name, SimpleFileOptions::default())?,
                    Step::Bytes(bytes) => zip.write_all(&bytes)?,
                }
            }
            zip.finish()?.into_inner().hand_on()?;
            Ok(())
        });
        let mut incoming = app.uploads.store.receive().await?;
        let storing = tokio::spawn(async move {
            while let Some(piece) = pieces.recv().await {
                incoming.write(&piece).await?;
            }
            incoming.close().await
        });
        Ok(Self { steps, packing, storing, size: 0 })
    }

    pub async fn begin(&self, name: &str) -> Result<(), AppError> {
        self.send(Step::Begin(name.to_owned())).await
    }

    pub async fn write<T: Into<Bytes>>(&mut self, bytes: T) -> Result<(), AppError> {
        let bytes = bytes.into();
        self.size += bytes.len() as u64;
        self.send(Step::Bytes(bytes)).await
    }

    /// How much was put into it.
    pub const fn size(&self) -> u64 {
        self.size
    }

    pub async fn finish(self) -> Result<Received, AppError> {
        drop(self.steps);
        self.packing.await.map_err(AppError::internal)?.map_err(crate::uploads::away)?;
        self.storing.await.map_err(AppError::internal)?
    }

    async fn send(&self, step: Step) -> Result<(), AppError> {
        // One of them has ended early: what it ended of is told when it is finished, or the disk is full.
        self.steps.send(step).await.map_err(|_| AppError::unavailable(anyhow::anyhow!("an export could not be stored")))
    }
}

/// Hands on what is written.
struct Pieces {
    out: mpsc::Sender<Bytes>,
    gathered: Vec<u8>,
}

impl Pieces {
    fn hand_on(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        if piece.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(piece.into()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.hand_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

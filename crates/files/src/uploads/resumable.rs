//! Files that come in several requests (tus): each request adds pieces, and whichever instance gets the last one puts them together.
//!
//! A piece lies in the store under a name of its own and counts once its row is there; of two that begin at the same place one gets a row. So
//! what breaks off, or comes twice, or comes to another instance, leaves a file that goes on where its last piece ends. Whoever puts the pieces
//! together claims that first, so it is done once however often somebody asks; the claim of an instance that died ends by itself.

use std::time::Duration;

use appcore::{AppError, Code, Timestamp, UploadId, auth::Principal, view::UploadStatus};
use bytes::Bytes;
use dbcontext::query::uploads::{self as rows, UploadPart, StoredUpload};
use futures_util::StreamExt as _;
use platform::work_pools::WorkOwner;
use uuid::Uuid;

use super::{
    Announced, UNSENT, announce,
    receive::{Incoming, Received},
    store::Object,
    sweep, take_in,
};
use crate::FilesService;

/// Bytes of a piece: what is lost at most where an instance dies.
const PIECE: u64 = 8 * 1024 * 1024;

/// How long a claim to put pieces together holds without being renewed, and how often it is renewed.
const CLAIM: Duration = Duration::from_secs(30);
const RENEWAL: Duration = Duration::from_secs(5);
/// How often somebody who waits for another's claim looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub id: UploadId,
    pub offset: u64,
    pub length: u64,
    /// When it is removed unless it was sent.
    pub expires_at: Timestamp,
}

/// Announces a file that will come; `metadata`: what its client says of it.
pub async fn create(
    service: &FilesService,
    by: &Principal,
    announced: Announced,
    metadata: &str,
) -> Result<Progress, AppError> {
    let length = announced.size.unwrap_or_default();
    let (id, _) = announce(service, by, announced).await?;
    if !metadata.is_empty() {
        rows::set_metadata(service.db.writer(), id, metadata).await?;
    }
    Ok(Progress { id, offset: 0, length, expires_at: expiry(service.clock.now()) })
}

fn expiry(created_at: Timestamp) -> Timestamp {
    Timestamp(created_at.0.saturating_add(i64::try_from(UNSENT.as_millis()).unwrap_or(i64::MAX)))
}

/// What its client said of a file, as it was written.
pub async fn metadata(service: &FilesService, id: UploadId) -> Result<Option<String>, AppError> {
    rows::metadata(service.db.writer(), id).await
}

/// How far the caller's file has come. One that is all there and was not looked at yet, because an instance died, is now.
pub async fn progress(service: &FilesService, by: &Principal, id: UploadId) -> Result<Progress, AppError> {
    let (progress, row) = find(service, by, id).await?;
    if progress.offset == progress.length && row.status == UploadStatus::Pending.as_str() {
        complete(service, &row).await?;
    }
    Ok(progress)
}

async fn find(service: &FilesService, by: &Principal, id: UploadId) -> Result<(Progress, StoredUpload), AppError> {
    let row = rows::own_unsent(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let length = u64::try_from(row.size.ok_or(Code::NotFound)?).unwrap_or_default();
    let offset = if row.status == UploadStatus::Pending.as_str() {
        let parts = rows::parts(service.db.writer(), id).await?;
        parts.last().map_or(0, |part| u64::try_from(part.position + part.size).unwrap_or_default())
    } else {
        length
    };
    Ok((Progress { id, offset, length, expires_at: expiry(row.created_at) }, row))
}

/// More of a file, on its way in.
pub struct Appending<'a> {
    service: &'a FilesService,
    row: StoredUpload,
    progress: Progress,
    incoming: Incoming,
}

/// Begins to add to the caller's file, at the place where it ends so far.
pub async fn append<'a>(
    service: &'a FilesService,
    by: &Principal,
    id: UploadId,
    offset: Option<u64>,
) -> Result<Appending<'a>, AppError> {
    let (progress, row) = find(service, by, id).await?;
    let offset = offset.ok_or_else(|| AppError::field("upload_offset", "required", "Say where the piece belongs."))?;
    if progress.offset != offset {
        return Err(Code::UploadConflict.into());
    }
    let incoming = service.uploads.store.receive(WorkOwner::user(by.user_id)).await?;
    Ok(Appending { service, row, progress, incoming })
}

impl Appending<'_> {
    pub async fn write(&mut self, mut piece: Bytes) -> Result<(), AppError> {
        if self.progress.offset + self.incoming.size() + piece.len() as u64 > self.progress.length {
            return Err(AppError::refused(Code::TooLarge, "There is more of the file than was announced."));
        }
        while !piece.is_empty() {
            let space = usize::try_from(PIECE.saturating_sub(self.incoming.size())).unwrap_or(usize::MAX);
            self.incoming.write(&piece.split_to(space.min(piece.len()))).await?;
            if self.incoming.size() >= PIECE {
                self.store().await?;
            }
        }
        Ok(())
    }

    /// Keeps what came, also where the rest did not; a file that is all there is looked at.
    pub async fn end(mut self) -> Result<Progress, AppError> {
        self.store().await?;
        if self.progress.offset == self.progress.length && self.row.status == UploadStatus::Pending.as_str() {
            complete(self.service, &self.row).await?;
        }
        Ok(self.progress)
    }

    /// Makes a piece of what was received.
    async fn store(&mut self) -> Result<(), AppError> {
        let store = &self.service.uploads.store;
        let next = store.receive(owner(&self.row)).await?;
        let received = std::mem::replace(&mut self.incoming, next).close().await?;
        if received.size == 0 {
            return Ok(());
        }
        let (position, size) = (stored(self.progress.offset), stored(received.size));
        let part = UploadPart { position, size, part_id: Uuid::now_v7() };
        let object = Object::Part(self.row.id, part.part_id);
        store.put_file(object, received.path).await?;
        let _slot = self.service.work.disk.acquire_for_job(owner(&self.row)).await;
        if !rows::add_part(self.service.db.writer(), self.row.id, part).await? {
            store.remove(object).await?;
            return Err(Code::UploadConflict.into());
        }
        self.progress.offset += received.size;
        Ok(())
    }
}

fn stored(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Puts the pieces together and takes the file in. Where somebody else does so, that is waited for: who is told that all of it is there may use it.
async fn complete(service: &FilesService, row: &StoredUpload) -> Result<(), AppError> {
    let db = service.db.writer();
    loop {
        let now = service.clock.now();
        if rows::claim_joining(db, row.id, now, now.plus(CLAIM)).await? {
            break;
        }
        let known = rows::get_to_send(db, [row.id]).await?.pop().ok_or(Code::NotFound)?;
        if known.status != UploadStatus::Pending.as_str() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let joined = tokio::select! {
        joined = join(service, row) => joined,
        error = hold(service, row.id) => Err(error),
    };
    if joined.is_err() {
        rows::hold_joining(db, row.id, None).await?;
    }
    joined
}

/// Holds the claim for as long as that can be done.
async fn hold(service: &FilesService, id: UploadId) -> AppError {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let until = service.clock.now().plus(CLAIM);
        if let Err(error) = rows::hold_joining(service.db.writer(), id, Some(until)).await {
            return error;
        }
    }
}

async fn join(service: &FilesService, row: &StoredUpload) -> Result<(), AppError> {
    let owner = owner(row);
    let received = gather(service, row.id, owner).await?;
    if row.size != Some(stored(received.size)) {
        return Err(AppError::unavailable(anyhow::anyhow!("the pieces of the file {} are not all there", row.id)));
    }
    match take_in(service, (row.id, owner), &row.media_type, received).await {
        Ok(_) => sweep::remove_parts(service, row.id).await,
        Err(error) if super::is_final(&error) => {
            sweep::sweep(service, row.id).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

fn owner(row: &StoredUpload) -> WorkOwner {
    row.owner_id.map_or(WorkOwner::System, WorkOwner::user)
}

async fn gather(service: &FilesService, id: UploadId, owner: WorkOwner) -> Result<Received, AppError> {
    let store = &service.uploads.store;
    let mut whole = store.receive(owner).await?;
    for part in rows::parts(service.db.writer(), id).await? {
        let size = u64::try_from(part.size).unwrap_or_default();
        let mut pieces = store.read(Object::Part(id, part.part_id), 0..size).await?;
        while let Some(piece) = pieces.next().await {
            whole.write(&piece?).await?;
        }
    }
    whole.close().await
}

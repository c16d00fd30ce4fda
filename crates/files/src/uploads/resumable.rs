//! Resumable uploads (tus): each request adds parts, and the instance that receives the last part
//! joins them.
//!
//! Each part is a separate object in the store, and it counts only when its row is inserted. Of two
//! parts at the same offset, only one gets a row. So after an interrupted or repeated request, or
//! one to another instance, the upload can always continue after its last part. Joining the parts
//! requires a claim, so they are joined only once, however often that is requested. The claim of a
//! dead instance expires.

use std::time::Duration;

use appcore::{AppError, Code, Timestamp, UploadId, auth::Principal, view::UploadStatus};
use bytes::Bytes;
use dbcontext::query::uploads::{self as rows, StoredUpload, UploadPart};
use futures_util::StreamExt as _;
use platform::work_pools::WorkOwner;
use uuid::Uuid;

use super::{
    UNSENT_RETENTION, UploadMetadata, announce,
    receive::{IncomingFile, ReceivedFile},
    store::StoredObject,
    store_received, sweep,
};
use crate::FilesService;

/// Size of a part, in bytes. This is the most that is lost if an instance dies.
const PART_SIZE: u64 = 8 * 1024 * 1024;

/// Duration of a claim to join the parts, and interval at which the claim is renewed.
const CLAIM_TTL: Duration = Duration::from_secs(30);
const CLAIM_RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
/// Polling interval while waiting for the claim of another instance.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How much of an upload has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadProgress {
    pub id: UploadId,
    pub offset: u64,
    pub length: u64,
    /// Time at which the upload is removed unless it is sent in a message.
    pub expires_at: Timestamp,
}

/// Creates a resumable upload. `metadata` is the client's header `Upload-Metadata`.
pub async fn create(
    service: &FilesService,
    by: &Principal,
    announced: UploadMetadata,
    metadata: &str,
) -> Result<UploadProgress, AppError> {
    let length = announced.size.unwrap_or_default();
    let (id, _) = announce(service, by, announced).await?;
    if !metadata.is_empty() {
        rows::set_metadata(service.db.writer(), id, metadata).await?;
    }
    Ok(UploadProgress { id, offset: 0, length, expires_at: expiry(service.clock.now()) })
}

fn expiry(created_at: Timestamp) -> Timestamp {
    Timestamp(created_at.0.saturating_add(i64::try_from(UNSENT_RETENTION.as_millis()).unwrap_or(i64::MAX)))
}

/// Returns the client's header `Upload-Metadata`, as it was sent.
pub async fn metadata(service: &FilesService, id: UploadId) -> Result<Option<String>, AppError> {
    rows::metadata(service.db.writer(), id).await
}

/// Returns the progress of the caller's upload. If all parts are stored but not joined, because an
/// instance died, they are joined now.
pub async fn progress(service: &FilesService, by: &Principal, id: UploadId) -> Result<UploadProgress, AppError> {
    let (progress, row) = find(service, by, id).await?;
    if progress.offset == progress.length && row.status == UploadStatus::Pending {
        complete(service, &row).await?;
    }
    Ok(progress)
}

async fn find(
    service: &FilesService,
    by: &Principal,
    id: UploadId,
) -> Result<(UploadProgress, StoredUpload), AppError> {
    let row = rows::find_own_unsent(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
    let length = u64::try_from(row.size.ok_or(Code::NotFound)?).unwrap_or_default();
    let offset = if row.status == UploadStatus::Pending {
        let parts = rows::parts(service.db.writer(), id).await?;
        parts.last().map_or(0, |part| u64::try_from(part.position + part.size).unwrap_or_default())
    } else {
        length
    };
    Ok((UploadProgress { id, offset, length, expires_at: expiry(row.created_at) }, row))
}

/// Request that appends bytes to an upload.
pub struct UploadAppend<'a> {
    service: &'a FilesService,
    row: StoredUpload,
    progress: UploadProgress,
    incoming: IncomingFile,
}

/// Starts to append to the caller's upload at its current end. Returns `UploadConflict` if `offset`
/// is not the end.
pub async fn append<'a>(
    service: &'a FilesService,
    by: &Principal,
    id: UploadId,
    offset: Option<u64>,
) -> Result<UploadAppend<'a>, AppError> {
    let (progress, row) = find(service, by, id).await?;
    let offset =
        offset.ok_or_else(|| AppError::field("upload_offset", "required", "Provide the offset of this chunk."))?;
    if progress.offset != offset {
        return Err(Code::UploadConflict.into());
    }
    let incoming = service.uploads.store.receive(WorkOwner::user(by.user_id)).await?;
    Ok(UploadAppend { service, row, progress, incoming })
}

impl UploadAppend<'_> {
    pub async fn write(&mut self, mut piece: Bytes) -> Result<(), AppError> {
        if self.progress.offset + self.incoming.size() + piece.len() as u64 > self.progress.length {
            return Err(AppError::refused(Code::TooLarge, "The file is larger than announced."));
        }
        while !piece.is_empty() {
            let space = usize::try_from(PART_SIZE.saturating_sub(self.incoming.size())).unwrap_or(usize::MAX);
            self.incoming.write(&piece.split_to(space.min(piece.len()))).await?;
            if self.incoming.size() >= PART_SIZE {
                self.store().await?;
            }
        }
        Ok(())
    }

    /// Stores the received bytes, even if the request was interrupted. If the upload is complete,
    /// joins its parts.
    pub async fn finish(mut self) -> Result<UploadProgress, AppError> {
        self.store().await?;
        if self.progress.offset == self.progress.length && self.row.status == UploadStatus::Pending {
            complete(self.service, &self.row).await?;
        }
        Ok(self.progress)
    }

    /// Stores the received bytes as a part.
    async fn store(&mut self) -> Result<(), AppError> {
        let store = &self.service.uploads.store;
        let next = store.receive(owner(&self.row)).await?;
        let received = std::mem::replace(&mut self.incoming, next).close().await?;
        if received.size == 0 {
            return Ok(());
        }
        let (position, size) = (to_db_size(self.progress.offset), to_db_size(received.size));
        let part = UploadPart { position, size, part_id: Uuid::now_v7() };
        let object = StoredObject::Part(self.row.id, part.part_id);
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

fn to_db_size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Joins the parts and stores the file. Waits if another request is joining them, because a client
/// may use the file as soon as it is told that the upload is complete.
async fn complete(service: &FilesService, row: &StoredUpload) -> Result<(), AppError> {
    let db = service.db.writer();
    loop {
        let now = service.clock.now();
        if rows::claim_assembly(db, row.id, now, now.plus(CLAIM_TTL)).await? {
            break;
        }
        let known = rows::lock_to_send(db, [row.id]).await?.pop().ok_or(Code::NotFound)?;
        if known.status != UploadStatus::Pending {
            return Ok(());
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let joined = tokio::select! {
        joined = join(service, row) => joined,
        error = renew_claim(service, row.id) => Err(error),
    };
    if joined.is_err() {
        rows::extend_assembly(db, row.id, None).await?;
    }
    joined
}

/// Renews the claim repeatedly until that fails; returns the error.
async fn renew_claim(service: &FilesService, id: UploadId) -> AppError {
    loop {
        tokio::time::sleep(CLAIM_RENEWAL_INTERVAL).await;
        let until = service.clock.now().plus(CLAIM_TTL);
        if let Err(error) = rows::extend_assembly(service.db.writer(), id, Some(until)).await {
            return error;
        }
    }
}

async fn join(service: &FilesService, row: &StoredUpload) -> Result<(), AppError> {
    let owner = owner(row);
    let received = concatenate(service, row.id, owner).await?;
    if row.size != Some(to_db_size(received.size)) {
        return Err(AppError::unavailable(anyhow::anyhow!("parts of upload {} are missing", row.id)));
    }
    match store_received(service, (row.id, owner), &row.media_type, received).await {
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

async fn concatenate(service: &FilesService, id: UploadId, owner: WorkOwner) -> Result<ReceivedFile, AppError> {
    let store = &service.uploads.store;
    let mut whole = store.receive(owner).await?;
    for part in rows::parts(service.db.writer(), id).await? {
        let size = u64::try_from(part.size).unwrap_or_default();
        let mut pieces = store.read(StoredObject::Part(id, part.part_id), 0..size).await?;
        while let Some(piece) = pieces.next().await {
            whole.write(&piece?).await?;
        }
    }
    whole.close().await
}

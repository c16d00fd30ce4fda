//! Uploads: received, inspected, stored, and served to readers of a message with the file.
//!
//! The row of an upload is inserted before its bytes arrive, together with the [job](SweepJob) that
//! removes the upload a day later unless a message refers to it. So an interrupted upload leaves
//! nothing behind.

mod conversation_files;
mod image;
mod media_type;
mod previews;
mod reader;
mod receive;
pub mod resumable;
pub mod space;
mod store;
mod sweep;
pub mod text;

use std::{io, ops::Range, sync::Arc, time::Duration};

use appcore::{
    AppError, Code, ConversationId, UploadId, UserId,
    auth::Principal,
    config::Config,
    text_field::parse_line,
    view::{TranscriptState, Upload, UploadKind, UploadStatus},
};
use bytes::Bytes;
use dbcontext::{
    constraint::app_error,
    query::{
        pictures,
        uploads::{self as rows, NewUpload, StoredUpload},
        users,
    },
};
use extract::picture::{DecodePlan, MAX_READ};
use futures_util::TryStreamExt as _;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use billing::entitlements;
pub use conversation_files::of_conversation;
pub use image::THUMBNAILS;
pub use image::{SmallPicture, has_thumbnails};
pub use media_type::detect;
pub use media_type::{TEXT, inline_type, is_readable};
use platform::{
    cleanup::SweepJob,
    work_pools::{WorkOwner, WorkPool},
};
pub use previews::{remove_previews, store_preview};
pub use rows::FileFilter;
pub use store::StoredObject;
pub use store::{ByteChunks, open_s3};

use crate::{FilesService, quotas};
pub use receive::{IncomingFile, ReceivedFile};
use store::Store;

/// Time after which a file is removed if no message refers to it.
pub const UNSENT_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Maximum length of a file name, in bytes, which is also the limit of file systems; and maximum
/// length of the extension that is kept when a name is truncated.
const MAX_NAME: usize = 255;
const MAX_EXTENSION: usize = 16;
/// Number of loudness values that describe a recording.
const PEAKS: usize = 64;

/// File store, and memory budget for decoding images.
pub struct Uploads {
    pub store: Store,
    /// Memory budget for decoding images; each permit stands for one MiB.
    decoding: Arc<Semaphore>,
}

impl Uploads {
    pub(crate) fn open(config: &Config, disk: Arc<WorkPool>) -> anyhow::Result<Arc<Self>> {
        let decoding = Arc::new(Semaphore::new(image::DECODING_MEMORY_MIB));
        Ok(Arc::new(Self { store: Store::open(config, disk)?, decoding }))
    }
}

/// Metadata of a file, sent by the client before the content.
#[derive(Clone, Debug)]
pub struct UploadMetadata {
    pub name: String,
    pub media_type: String,
    pub size: Option<u64>,
    pub kind: UploadKind,
    pub peaks: Option<Vec<u8>>,
    /// Duration of a recording as reported by the client, in milliseconds.
    pub duration_ms: Option<i64>,
    /// Conversation in which the client intends to send the file.
    pub conversation_id: Option<ConversationId>,
}

impl UploadMetadata {
    /// Parses the loudness values of a recording from a query parameter.
    pub fn parse_peaks(text: &str) -> Result<Vec<u8>, AppError> {
        let peaks: Result<Vec<u8>, _> = text.split(',').map(|peak| peak.trim().parse()).collect();
        peaks.ok().filter(|peaks| peaks.len() == PEAKS).ok_or_else(|| {
            AppError::field("peaks", "invalid", format!("peaks are {PEAKS} numbers from 0 to 255, with commas."))
        })
    }
}

/// Upload in progress.
pub struct ActiveUpload {
    id: UploadId,
    owner: UserId,
    incoming: IncomingFile,
    claimed: String,
    /// Number of bytes reserved so far, for a file of unknown size; `None` if the size is known and
    /// completely reserved.
    reserved: Option<u64>,
}

/// Starts an upload after checking the permission and the available space.
pub async fn start(
    service: &FilesService,
    by: &Principal,
    announced: UploadMetadata,
) -> Result<ActiveUpload, AppError> {
    let (claimed, is_measured) = (announced.media_type.clone(), announced.size.is_some());
    let (id, taken) = announce(service, by, announced).await?;
    let incoming = service.uploads.store.receive(WorkOwner::user(by.user_id)).await?;
    let taken = (!is_measured).then_some(taken);
    Ok(ActiveUpload { id, owner: by.user_id, incoming, claimed, reserved: taken })
}

/// Inserts the row of an upload and reserves space for it. Returns the number of reserved bytes.
async fn announce(
    service: &FilesService,
    by: &Principal,
    announced: UploadMetadata,
) -> Result<(UploadId, u64), AppError> {
    let UploadMetadata { name, media_type, size, kind, peaks, duration_ms, conversation_id } = announced;
    if kind == UploadKind::Preview {
        return Err(AppError::field("kind", "invalid", "Choose either file or voice."));
    }
    let settings = &service.config.uploads;
    if settings.refuses_type(&media_type) {
        return Err(Code::TypeRefused.into());
    }
    let size = size.map(|size| i64::try_from(size).unwrap_or(i64::MAX));
    if size.is_some_and(|size| usize::try_from(size).is_ok_and(|size| size > settings.max_bytes)) {
        return Err(Code::TooLarge.into());
    }
    let name = file_name(&name);
    let now = service.clock.now();
    service.uploads.store.check_space(size.unwrap_or_default().unsigned_abs()).await?;
    if let Some(conversation) = conversation_id {
        space::check_workspace(service, by, conversation, size.unwrap_or_default()).await?;
    }
    let peaks = peaks.map(|peaks| serde_json::to_string(&peaks).map_err(AppError::internal)).transpose()?;
    let mut new = NewUpload {
        id: UploadId::new(),
        owner: Some(by.user_id),
        name,
        kind,
        media_type,
        size,
        reserved_bytes: None,
        peaks,
        duration_ms,
        transcript_state: transcript_state(service, kind),
        created_at: now,
    };
    let _slot = service.work.disk.acquire_for_job(WorkOwner::user(by.user_id)).await;
    let tx = service.db.begin().await.map_err(app_error)?;
    let taken = space::reserve(service, &tx, by.user_id, size).await?;
    new.reserved_bytes = size.is_none().then_some(taken);
    rows::insert(&tx, &new).await?;
    jobs::enqueue_after(&tx, now, &SweepJob::Upload(new.id), UNSENT_RETENTION).await?;
    tx.commit().await.map_err(app_error)?;
    Ok((new.id, taken.unsigned_abs()))
}

impl ActiveUpload {
    /// Appends received bytes to the file.
    pub async fn write(&mut self, service: &FilesService, piece: &Bytes) -> Result<(), AppError> {
        let size = self.incoming.size() + piece.len() as u64;
        if self.reserved.is_some_and(|taken| taken < size) {
            self.reserved = Some(space::extend_reservation(service, self.owner, self.id, size).await?);
        }
        self.incoming.write(piece).await
    }

    /// Completes the upload: inspects and stores the file.
    pub async fn finish(self, service: &FilesService) -> Result<Upload, AppError> {
        let Self { id, owner, incoming, claimed, .. } = self;
        let taken = match incoming.close().await {
            Ok(received) => store_received(service, (id, WorkOwner::user(owner)), &claimed, received).await,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            // Removes the upload; the client has to start again.
            remove(service, id, owner).await;
        }
        taken
    }

    /// Aborts the upload and removes what was received.
    pub async fn abort(self, service: &FilesService) {
        drop(self.incoming);
        remove(service, self.id, self.owner).await;
    }
}

async fn remove(service: &FilesService, id: UploadId, owner: UserId) {
    let _slot = service.work.disk.acquire_for_job(WorkOwner::user(owner)).await;
    // If this fails, the sweep job tries again.
    if let Err(error) = sweep::sweep(service, id).await {
        tracing::warn!(%error, "failed to remove aborted upload, leaving it to the job");
    }
}

/// Stores a file that was generated by this program, as the content of a pending upload.
pub async fn store_generated(
    service: &FilesService,
    id: UploadId,
    media_type: &str,
    written: ReceivedFile,
) -> Result<Upload, AppError> {
    store_received(service, (id, WorkOwner::System), media_type, written).await
}

/// Cancels a pending upload.
pub async fn cancel(service: &FilesService, id: UploadId) -> Result<(), AppError> {
    sweep::sweep(service, id).await
}

/// True if it is no use to try again to store the file.
fn is_final(error: &AppError) -> bool {
    matches!(error.code(), Code::TypeRefused | Code::QuotaExceeded)
}

/// Inspects a complete file and stores it. Images of different users are parsed in turns; other
/// files don't wait for that.
async fn store_received(
    service: &FilesService,
    (id, owner): (UploadId, WorkOwner),
    claimed: &str,
    received: ReceivedFile,
) -> Result<Upload, AppError> {
    let (path, claimed) = (received.path.path(), claimed.to_owned());
    let looked_at = path.clone();
    let mut looked = run_blocking(move || image::probe(&looked_at, &claimed)).await?;
    if looked.is_picture() {
        let _slot = service.work.parsing.acquire(owner).await?;
        let memory = match looked.measured {
            Some(measured) => Some(acquire_memory(service, measured).await.map_err(AppError::internal)?),
            None => None,
        };
        image::process(path, service.uploads.store.incoming(), &mut looked).await?;
        drop(memory);
    }
    if service.config.uploads.refuses_type(&looked.media_type) {
        return Err(Code::TypeRefused.into());
    }
    // The content of a completed upload is immutable, although a repeated request may bring other
    // bytes.
    let before = rows::lock_to_send(service.db.writer(), [id]).await?.pop();
    if let Some(ready) = before.filter(|row| row.status == UploadStatus::Ready) {
        return ready.try_into();
    }
    let store = &service.uploads.store;
    let (file, size, sha256) = match looked.rewritten {
        Some(rewritten) => (rewritten.path, rewritten.size, rewritten.sha256),
        None => (received.path, received.size, received.sha256),
    };
    for (size, bytes) in looked.thumbnails {
        store.put(StoredObject::Thumbnail(id, size), bytes, owner).await?;
    }
    store.put_file(StoredObject::Whole(id), file).await?;
    let done = rows::FinishedUpload {
        media_type: looked.media_type,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        sha256,
        dimensions: looked.dimensions,
        thumbhash: looked.thumbhash,
        thumbnail_type: looked.thumbnail_type,
    };
    let slot = service.work.disk.acquire_for_job(owner).await;
    let tx = service.db.begin().await.map_err(app_error)?;
    let announced = rows::get_all(&tx, [id]).await?.pop();
    let owner = announced.as_ref().and_then(|row| row.owner_id);
    if let (Some(owner), Some(row)) = (owner, &announced)
        && row.size != Some(done.size)
    {
        quotas::check_storage(service, &tx, owner, done.size, Some(id)).await?;
    }
    let is_finished = rows::finish(&tx, id, &done).await?;
    let row = rows::lock_to_send(&tx, [id]).await?.pop();
    tx.commit().await.map_err(app_error)?;
    drop(slot);
    if row.is_none() && !is_finished {
        // The upload was removed meanwhile, perhaps before these bytes were stored, so its objects
        // are removed again.
        sweep::remove_objects(service, id).await?;
    }
    if let Some(owner) = owner {
        entitlements::notify_user(&service.billing, owner);
    }
    row.ok_or(Code::NotFound)?.try_into()
}

/// Finds an upload that the caller may see.
pub async fn find(service: &FilesService, by: &Principal, id: UploadId) -> Result<Upload, AppError> {
    find_readable(service, by, id).await?.try_into()
}

async fn find_readable(service: &FilesService, by: &Principal, id: UploadId) -> Result<StoredUpload, AppError> {
    let db = service.db.reader();
    if let Some(found) = rows::find_readable(db, by.user_id, id).await? {
        return Ok(found);
    }
    // Otherwise it may be the profile picture of a user whom the caller may see.
    let owner = pictures::owner(db, id).await?.ok_or(Code::NotFound)?;
    if users::visible_among(db, by.user_id, &[owner]).await?.is_empty() {
        return Err(Code::NotFound.into());
    }
    rows::get_all(db, [id]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

/// Deletes an upload of the caller to which no message refers. Returns `WrongState` if it is in
/// use.
pub async fn delete(service: &FilesService, by: &Principal, id: UploadId) -> Result<(), AppError> {
    if rows::find_own_unsent(service.db.writer(), by.user_id, id).await?.is_none() {
        let sent = rows::find_readable(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
        let is_own = sent.owner_id == Some(by.user_id);
        let sentence = "This file was sent. Delete its message to delete it.";
        return Err(if is_own { AppError::refused(Code::WrongState, sentence) } else { Code::Forbidden.into() });
    }
    if rows::is_knowledge_file(service.db.writer(), id).await? {
        let sentence = "An assistant or a project has this file. Remove it there first.";
        return Err(AppError::refused(Code::WrongState, sentence));
    }
    if rows::is_emoji(service.db.writer(), id).await? {
        return Err(AppError::refused(Code::WrongState, "This picture is an emoji. Remove the emoji first."));
    }
    if pictures::owner(service.db.writer(), id).await?.is_some() {
        let sentence = "This is your profile picture. Remove it in your profile first.";
        return Err(AppError::refused(Code::WrongState, sentence));
    }
    sweep::sweep(service, id).await?;
    entitlements::notify_user(&service.billing, by.user_id);
    Ok(())
}

/// File that is about to be served.
#[derive(Clone, Debug)]
pub struct OpenedFile {
    pub id: UploadId,
    pub name: String,
    /// Type under which the file is displayed inline; `None` if it is only offered for download.
    pub inline: Option<&'static str>,
    /// Type under which the file is shown if a user explicitly asks to view it; `None` if it can't
    /// be viewed.
    pub viewed: Option<&'static str>,
    /// Size, in bytes.
    pub size: u64,
    /// Entity tag; differs whenever the bytes differ.
    pub etag: String,
    object: StoredObject,
}

/// Opens a file or its thumbnail for the caller.
pub async fn open(
    service: &FilesService,
    by: &Principal,
    id: UploadId,
    thumbnail: Option<u32>,
) -> Result<OpenedFile, AppError> {
    let row = find_readable(service, by, id).await?;
    if row.status != UploadStatus::Ready {
        return Err(Code::NotFound.into());
    }
    let tag = row.sha256.clone().unwrap_or_default();
    let Some(side) = thumbnail else {
        let size = u64::try_from(row.size.unwrap_or_default()).unwrap_or_default();
        return Ok(OpenedFile {
            id,
            name: row.name,
            inline: inline_type(&row.media_type),
            viewed: media_type::view_type(&row.media_type),
            size,
            etag: tag,
            object: StoredObject::Whole(id),
        });
    };
    let media_type = row.thumbnail_type.as_deref().ok_or(Code::NotFound)?;
    let object = StoredObject::Thumbnail(id, side);
    let size = service.uploads.store.size(object).await?;
    let tag = format!("{tag}-{side}");
    let inline = inline_type(media_type);
    Ok(OpenedFile { id, name: row.name, inline, viewed: inline, size, etag: tag, object })
}

impl OpenedFile {
    pub async fn read(&self, service: &FilesService, range: Range<u64>) -> Result<ByteChunks, AppError> {
        service.uploads.store.read(self.object, range).await
    }

    /// Detects the encoding of a text by the start of the file.
    pub async fn detect_charset(&self, service: &FilesService) -> Result<&'static str, AppError> {
        let pieces = self.read(service, 0..self.size.min(extract::DETECTION_BYTES as u64)).await?;
        let head: Vec<Bytes> = pieces.try_collect().await?;
        Ok(extract::text_charset(&head.concat()))
    }
}

/// Returns the file name without folders and control characters.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let cleaned: String = last.chars().filter(|char| !char.is_control()).collect();
    let cut = truncate_name(cleaned.trim());
    if cut.is_empty() || cut.chars().all(|char| char == '.') {
        return "file".to_owned();
    }
    // An invalid name is simplified rather than refused, because users don't rename a file in order
    // to upload it.
    parse_line("name", &cut, MAX_NAME).unwrap_or_else(|_| simplify_name(&cut))
}

/// Truncates a name to the length limit of file systems. The extension is kept.
fn truncate_name(name: &str) -> String {
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.len() <= MAX_EXTENSION => (stem, &name[stem.len()..]),
        _ => (name, ""),
    };
    let mut end = stem.len().min(MAX_NAME - extension.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &stem[..end])
}

fn simplify_name(name: &str) -> String {
    let plain: String = name.chars().filter(|char| char.is_alphanumeric() || " ._-()".contains(*char)).collect();
    let plain = plain.trim();
    if plain.is_empty() { "file".to_owned() } else { plain.to_owned() }
}

/// Acquires memory for decoding an image; it is held until the reader process has ended. The caller
/// must hold a slot of [`WorkPools::parsing`](platform::work_pools::WorkPools::parsing), which
/// distributes the work fairly: at most one image waits here.
async fn acquire_memory(service: &FilesService, measured: DecodePlan) -> Result<OwnedSemaphorePermit, AcquireError> {
    Arc::clone(&service.uploads.decoding).acquire_many_owned(measured.memory_mib()).await
}

/// Maximum size of an image file that is decoded, in bytes.
pub const MAX_PICTURE: u64 = MAX_READ;

/// Downscales an image that is not an upload to the size in which models get images; `None` if it
/// can't be read.
pub async fn downscale_for_model(service: &FilesService, owner: WorkOwner, bytes: Vec<u8>) -> Option<SmallPicture> {
    downscale(service, owner, bytes, THUMBNAILS[1]).await
}

/// Downscales an image so that its longer side has `side` pixels; `None` if it can't be read.
pub async fn downscale(service: &FilesService, owner: WorkOwner, bytes: Vec<u8>, side: u32) -> Option<SmallPicture> {
    let (media_type, measured) = image::measure_bytes(&bytes, side).ok()?;
    let _slot = service.work.parsing.acquire_for_job(owner).await;
    let _memory = acquire_memory(service, measured).await.ok()?;
    image::resize(bytes.into(), media_type, measured, side).await.ok()
}

/// Runs blocking work on another thread and waits for it.
pub(crate) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?.map_err(storage_error)
}

/// Error of a store that is unreachable, not writable or full.
pub fn storage_error(cause: impl Into<anyhow::Error>) -> AppError {
    let cause = cause.into();
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    };
    if cause.chain().any(is_full) {
        tracing::warn!(cause = format!("{cause:#}"), "disk for uploads is full");
        return Code::StorageFull.into();
    }
    AppError::unavailable(cause)
}

/// Returns the transcript state of a new upload.
fn transcript_state(service: &FilesService, kind: UploadKind) -> Option<TranscriptState> {
    let is_written = kind == UploadKind::Voice && service.config.ai.transcription_model.is_some();
    is_written.then_some(TranscriptState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitizes_and_truncates_file_names() {
        for (name, cut) in [
            ("a.txt".to_owned(), "a.txt".to_owned()),
            ("x".repeat(300), "x".repeat(255)),
            (format!("{}.txt", "ế".repeat(200)), format!("{}.txt", "ế".repeat(83))),
            (format!("{}.tar.gz", "x".repeat(300)), format!("{}.gz", "x".repeat(252))),
            (format!("a.{}", "x".repeat(300)), format!("a.{}", "x".repeat(253))),
            ("../..\\a.txt ".to_owned(), "a.txt".to_owned()),
            ("..".to_owned(), "file".to_owned()),
        ] {
            assert_eq!(file_name(&name), cut);
        }
    }
}

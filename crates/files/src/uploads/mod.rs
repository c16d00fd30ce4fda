//! Files that people upload: received, looked at, kept, given to whoever may read a message that carries them.
//!
//! The row of a file is there before its bytes are, and with it the [job](SweepJob) that removes it a day later unless a message carries it by
//! then. So nothing is left over, wherever something breaks off.

mod image;
mod media_type;
mod previews;
mod reader;
mod receive;
pub mod resumable;
mod sent;
pub mod space;
mod store;
mod sweep;
pub mod text;

use std::{io, ops::Range, sync::Arc, time::Duration};

use appcore::{
    AppError, Code, ConversationId, UploadId, UserId,
    auth::Principal,
    config::Config,
    line::parse_line,
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
use extract::picture::{MAX_READ, Measured};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use billing::entitlements;
pub use image::THUMBNAILS;
pub use image::{SmallPicture, has_thumbnails};
pub use media_type::detect;
pub use media_type::{inline, is_readable};
use platform::{
    cleanup::SweepJob,
    work_pools::{WorkOwner, WorkPool},
};
pub use previews::{drop_previews, keep_preview};
pub use rows::FileFilter;
pub use sent::of_conversation;
pub use store::Object;
pub use store::{Pieces, open_s3};

use crate::{FilesService, quotas};
pub use receive::{Incoming, Received};
use store::Store;

/// How long a file is kept that no message carries.
pub const UNSENT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest name, in bytes, as file systems have it; the longest ending that is kept where one is cut.
const MAX_NAME: usize = 255;
const MAX_EXTENSION: usize = 16;
/// Numbers that tell a recording's loudness.
const PEAKS: usize = 64;

/// The store, and the memory for decoding pictures.
pub struct Uploads {
    pub store: Store,
    /// Memory for decoding pictures, in MiB.
    decoding: Arc<Semaphore>,
}

impl Uploads {
    pub(crate) fn open(config: &Config, disk: Arc<WorkPool>) -> anyhow::Result<Arc<Self>> {
        let decoding = Arc::new(Semaphore::new(image::DECODING));
        Ok(Arc::new(Self { store: Store::open(config, disk)?, decoding }))
    }
}

/// What is said of a file before it comes.
#[derive(Clone, Debug)]
pub struct Announced {
    pub name: String,
    pub media_type: String,
    pub size: Option<u64>,
    pub kind: UploadKind,
    pub peaks: Option<Vec<u8>>,
    /// How long a recording is, as its client says.
    pub duration_ms: Option<i64>,
    /// Where it is to be sent.
    pub conversation_id: Option<ConversationId>,
}

impl Announced {
    /// Reads a recording's loudness as it is written in an address.
    pub fn parse_peaks(text: &str) -> Result<Vec<u8>, AppError> {
        let peaks: Result<Vec<u8>, _> = text.split(',').map(|peak| peak.trim().parse()).collect();
        peaks.ok().filter(|peaks| peaks.len() == PEAKS).ok_or_else(|| {
            AppError::field("peaks", "invalid", format!("peaks are {PEAKS} numbers from 0 to 255, with commas."))
        })
    }
}

/// A file that is being received.
pub struct Receiving {
    id: UploadId,
    owner: UserId,
    incoming: Incoming,
    claimed: String,
    /// Space that was taken for it; none: for all of it.
    taken: Option<u64>,
}

/// Begins a file: it may come, and there is space for it.
pub async fn begin(service: &FilesService, by: &Principal, announced: Announced) -> Result<Receiving, AppError> {
    let (claimed, is_measured) = (announced.media_type.clone(), announced.size.is_some());
    let (id, taken) = announce(service, by, announced).await?;
    let incoming = service.uploads.store.receive(WorkOwner::user(by.user_id)).await?;
    let taken = (!is_measured).then_some(taken);
    Ok(Receiving { id, owner: by.user_id, incoming, claimed, taken })
}

/// Makes the row of a file that will come, and takes space for it. Answers how much that was.
async fn announce(service: &FilesService, by: &Principal, announced: Announced) -> Result<(UploadId, u64), AppError> {
    let Announced { name, media_type, size, kind, peaks, duration_ms, conversation_id } = announced;
    if kind == UploadKind::Preview {
        return Err(AppError::field("kind", "invalid", "A file is sent as file or as voice."));
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
    service.uploads.store.check_room(size.unwrap_or_default().unsigned_abs()).await?;
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
    let taken = space::take(service, &tx, by.user_id, size).await?;
    new.reserved_bytes = size.is_none().then_some(taken);
    rows::insert(&tx, &new).await?;
    jobs::ask_after(&tx, now, &SweepJob::Upload(new.id), UNSENT).await?;
    tx.commit().await.map_err(app_error)?;
    Ok((new.id, taken.unsigned_abs()))
}

impl Receiving {
    /// The next bytes.
    pub async fn write(&mut self, service: &FilesService, piece: &Bytes) -> Result<(), AppError> {
        let size = self.incoming.size() + piece.len() as u64;
        if self.taken.is_some_and(|taken| taken < size) {
            self.taken = Some(space::take_more(service, self.owner, self.id, size).await?);
        }
        self.incoming.write(piece).await
    }

    /// All of it is there.
    pub async fn finish(self, service: &FilesService) -> Result<Upload, AppError> {
        let Self { id, owner, incoming, claimed, .. } = self;
        let taken = match incoming.close().await {
            Ok(received) => take_in(service, (id, WorkOwner::user(owner)), &claimed, received).await,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            // It comes anew, if at all.
            remove(service, id, owner).await;
        }
        taken
    }

    /// It broke off.
    pub async fn give_up(self, service: &FilesService) {
        drop(self.incoming);
        remove(service, self.id, self.owner).await;
    }
}

async fn remove(service: &FilesService, id: UploadId, owner: UserId) {
    let _slot = service.work.disk.acquire_for_job(WorkOwner::user(owner)).await;
    // Otherwise the job does so.
    if let Err(error) = sweep::sweep(service, id).await {
        tracing::warn!(%error, "a file that broke off is removed later");
    }
}

/// Takes in what this program has written into a file that was promised.
pub async fn take_written(
    service: &FilesService,
    id: UploadId,
    media_type: &str,
    written: Received,
) -> Result<Upload, AppError> {
    take_in(service, (id, WorkOwner::System), media_type, written).await
}

/// A file that was promised won't come.
pub async fn give_up(service: &FilesService, id: UploadId) -> Result<(), AppError> {
    sweep::sweep(service, id).await
}

/// Whether a file will never be taken in.
fn is_final(error: &AppError) -> bool {
    matches!(error.code(), Code::TypeRefused | Code::QuotaExceeded)
}

/// Looks at a file that is all there, and keeps it. Pictures are parsed in turns by person; other files wait for nobody.
async fn take_in(
    service: &FilesService,
    (id, owner): (UploadId, WorkOwner),
    claimed: &str,
    received: Received,
) -> Result<Upload, AppError> {
    let (path, claimed) = (received.path.path(), claimed.to_owned());
    let looked_at = path.clone();
    let mut looked = blocking(move || image::look(&looked_at, &claimed)).await?;
    if looked.is_picture() {
        let _slot = service.work.parsing.acquire(owner).await?;
        let memory = match looked.measured {
            Some(measured) => Some(memory(service, measured).await.map_err(AppError::internal)?),
            None => None,
        };
        image::process(path, service.uploads.store.incoming(), &mut looked).await?;
        drop(memory);
    }
    if service.config.uploads.refuses_type(&looked.media_type) {
        return Err(Code::TypeRefused.into());
    }
    // What can be used already stays as it is: whoever comes a second time may bring other bytes.
    let before = rows::get_to_send(service.db.writer(), [id]).await?.pop();
    if let Some(ready) = before.filter(|row| row.status == UploadStatus::Ready.as_str()) {
        return ready.try_into();
    }
    let store = &service.uploads.store;
    let (file, size, sha256) = match looked.rewritten {
        Some(rewritten) => (rewritten.path, rewritten.size, rewritten.sha256),
        None => (received.path, received.size, received.sha256),
    };
    for (size, bytes) in looked.thumbnails {
        store.put(Object::Thumbnail(id, size), bytes, owner).await?;
    }
    store.put_file(Object::Whole(id), file).await?;
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
    let row = rows::get_to_send(&tx, [id]).await?.pop();
    tx.commit().await.map_err(app_error)?;
    drop(slot);
    if row.is_none() && !is_finished {
        // It was removed while it was looked at, perhaps before these bytes came.
        sweep::remove_objects(service, id).await?;
    }
    if let Some(owner) = owner {
        entitlements::tell(&service.billing, owner);
    }
    row.ok_or(Code::NotFound)?.try_into()
}

/// A file that the caller may see.
pub async fn find(service: &FilesService, by: &Principal, id: UploadId) -> Result<Upload, AppError> {
    readable(service, by, id).await?.try_into()
}

async fn readable(service: &FilesService, by: &Principal, id: UploadId) -> Result<StoredUpload, AppError> {
    let db = service.db.reader();
    if let Some(found) = rows::readable(db, by.user_id, id).await? {
        return Ok(found);
    }
    // The picture of somebody whom the caller may see.
    let owner = pictures::owner(db, id).await?.ok_or(Code::NotFound)?;
    if users::visible(db, by.user_id, &[owner]).await?.is_empty() {
        return Err(Code::NotFound.into());
    }
    rows::get_all(db, [id]).await?.pop().ok_or_else(|| Code::NotFound.into())
}

/// Removes one's own file that was not sent yet.
pub async fn delete(service: &FilesService, by: &Principal, id: UploadId) -> Result<(), AppError> {
    if rows::own_unsent(service.db.writer(), by.user_id, id).await?.is_none() {
        let sent = rows::readable(service.db.writer(), by.user_id, id).await?.ok_or(Code::NotFound)?;
        let is_own = sent.owner_id == Some(by.user_id);
        let sentence = "This file was sent. Delete its message to delete it.";
        return Err(if is_own { AppError::refused(Code::WrongState, sentence) } else { Code::Forbidden.into() });
    }
    if rows::is_known(service.db.writer(), id).await? {
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
    entitlements::tell(&service.billing, by.user_id);
    Ok(())
}

/// What is to be read of a file.
#[derive(Clone, Debug)]
pub struct Readable {
    pub id: UploadId,
    pub name: String,
    /// What it is served as where a browser may show it; none: only to download.
    pub inline: Option<&'static str>,
    /// What it is served as where a browser was asked to show it.
    pub viewed: Option<&'static str>,
    /// In bytes.
    pub size: u64,
    /// Changes with the bytes.
    pub tag: String,
    object: Object,
}

/// A file that the caller may read, or its thumbnail.
pub async fn open(
    service: &FilesService,
    by: &Principal,
    id: UploadId,
    thumbnail: Option<u32>,
) -> Result<Readable, AppError> {
    let row = readable(service, by, id).await?;
    if row.status != UploadStatus::Ready.as_str() {
        return Err(Code::NotFound.into());
    }
    let tag = row.sha256.clone().unwrap_or_default();
    let Some(side) = thumbnail else {
        let size = u64::try_from(row.size.unwrap_or_default()).unwrap_or_default();
        return Ok(Readable {
            id,
            name: row.name,
            inline: inline(&row.media_type),
            viewed: media_type::viewed(&row.media_type),
            size,
            tag,
            object: Object::Whole(id),
        });
    };
    let media_type = row.thumbnail_type.as_deref().ok_or(Code::NotFound)?;
    let object = Object::Thumbnail(id, side);
    let size = service.uploads.store.size(object).await?;
    let tag = format!("{tag}-{side}");
    let inline = inline(media_type);
    Ok(Readable { id, name: row.name, inline, viewed: inline, size, tag, object })
}

impl Readable {
    pub async fn read(&self, service: &FilesService, range: Range<u64>) -> Result<Pieces, AppError> {
        service.uploads.store.read(self.object, range).await
    }
}

/// A name without folders and without what can't be seen.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let cleaned: String = last.chars().filter(|char| !char.is_control()).collect();
    let cut = cut_name(cleaned.trim());
    if cut.is_empty() || cut.chars().all(|char| char == '.') {
        return "file".to_owned();
    }
    // A name that would be refused elsewhere is made a plain one: nobody renames a file for us.
    parse_line("name", &cut, MAX_NAME).unwrap_or_else(|_| plain_name(&cut))
}

/// As much of a name as a file system takes, with what it ends with.
fn cut_name(name: &str) -> String {
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

fn plain_name(name: &str) -> String {
    let plain: String = name.chars().filter(|char| char.is_alphanumeric() || " ._-()".contains(*char)).collect();
    let plain = plain.trim();
    if plain.is_empty() { "file".to_owned() } else { plain.to_owned() }
}

/// Acquires memory for decoding a picture. It is held until the reader process has ended. The caller holds a slot of
/// [`WorkPools::parsing`](platform::work_pools::WorkPools::parsing), which makes the turns fair: at most one picture waits here.
async fn memory(service: &FilesService, measured: Measured) -> Result<OwnedSemaphorePermit, AcquireError> {
    Arc::clone(&service.uploads.decoding).acquire_many_owned(measured.mebibytes()).await
}

/// The largest picture that is decoded, in bytes.
pub const MAX_PICTURE: u64 = MAX_READ;

/// Makes a picture that nobody uploaded as small as models look at; none where it can't be read.
pub async fn small_picture(service: &FilesService, owner: WorkOwner, bytes: Vec<u8>) -> Option<SmallPicture> {
    sized_picture(service, owner, bytes, THUMBNAILS[1]).await
}

/// Makes the longer side of a picture as short as this; none where it can't be read.
pub async fn sized_picture(
    service: &FilesService,
    owner: WorkOwner,
    bytes: Vec<u8>,
    side: u32,
) -> Option<SmallPicture> {
    let (media_type, measured) = image::measure_bytes(&bytes, side).ok()?;
    let _slot = service.work.parsing.acquire_for_job(owner).await;
    let _memory = memory(service, measured).await.ok()?;
    image::sized(bytes.into(), media_type, measured, side).await.ok()
}

/// Does what would hold up the thread on another one.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, AppError> {
    tokio::task::spawn_blocking(work).await.map_err(AppError::internal)?.map_err(away)
}

/// The store can't be written to or reached, or its disk is full.
pub fn away(cause: impl Into<anyhow::Error>) -> AppError {
    let cause = cause.into();
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    };
    if cause.chain().any(is_full) {
        tracing::warn!(cause = format!("{cause:#}"), "the disk for files is full");
        return Code::StorageFull.into();
    }
    AppError::unavailable(cause)
}

/// How far the writing down of a new file is.
fn transcript_state(service: &FilesService, kind: UploadKind) -> Option<TranscriptState> {
    let is_written = kind == UploadKind::Voice && service.config.ai.transcription_model.is_some();
    is_written.then_some(TranscriptState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_on_a_disk() {
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

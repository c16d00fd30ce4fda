//! File store: a folder, or S3.
//!
//! A file is received into a local folder, where it can be inspected. When it is complete, it is
//! moved to the store; if the store is a folder, this is a rename.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use appcore::{
    AppError, GatewayFileId, UploadId,
    config::Config,
    private_folder,
    work_pool::{WorkOwner, WorkPool},
};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    GetOptions, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart, aws::AmazonS3Builder,
    local::LocalFileSystem, path::Path, prefix::PrefixStore,
};
use url::Url;
use uuid::Uuid;

use super::{
    receive::{IncomingFile, MinFreeSpace, ReceivedFile, TemporaryFile},
    run_blocking,
};

/// Size of the chunks in which files are read and uploaded to the store, in bytes.
const CHUNK_SIZE: usize = 256 * 1024;
/// Maximum number of parts of a multipart upload to S3 that are sent at the same time.
const MAX_CONCURRENT_PARTS: usize = 2;
/// Age from which incoming files, left by a dead instance, are removed at start-up.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Stored object that belongs to an upload, or a file of the AI gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredObject {
    Whole(UploadId),
    /// Thumbnail; the number is its longer side in pixels.
    Thumbnail(UploadId, u32),
    /// Part of a resumable upload.
    Part(UploadId, Uuid),
    GatewayFile(GatewayFileId),
}

impl StoredObject {
    /// Returns the path of the object. The folder is named by the end of the id, because ids start
    /// with the time and would otherwise put all new files into one folder.
    fn path(self) -> Path {
        let (id, name) = match self {
            Self::Whole(id) => (id.0, "whole".to_owned()),
            Self::Thumbnail(id, size) => (id.0, size.to_string()),
            Self::Part(id, part) => (id.0, part.simple().to_string()),
            Self::GatewayFile(id) => (id.0, "gateway".to_owned()),
        };
        let text = id.simple().to_string();
        Path::from_iter([&text[30..], text.as_str(), name.as_str()])
    }
}

/// Stream of an object's bytes.
pub type ByteChunks = BoxStream<'static, Result<Bytes, AppError>>;

pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Folder of the store; `None` for S3.
    folder: Option<PathBuf>,
    incoming: PathBuf,
    data_dir: PathBuf,
    floor: MinFreeSpace,
    disk: Arc<WorkPool>,
}

impl Store {
    /// Opens the store. If there are several instances, all of them must be able to reach it.
    pub fn open(config: &Config, disk: Arc<WorkPool>) -> anyhow::Result<Self> {
        let settings = &config.uploads;
        let data_dir = &config.server.data_dir;
        let floor = MinFreeSpace(config.server.min_free_bytes);
        if let Some(url) = settings.url.as_deref().filter(|url| url.starts_with("s3://")) {
            let url = Url::parse(url).context("The setting uploads.url is not a valid URL.")?;
            let incoming = data_dir.join("incoming");
            prepare(&incoming)?;
            let data_dir = data_dir.clone();
            return Ok(Self { objects: open_s3(config, &url)?, folder: None, incoming, data_dir, floor, disk });
        }
        let folder = match &settings.url {
            Some(folder) => PathBuf::from(folder.strip_prefix("file://").unwrap_or(folder)),
            None if config.bus_url().is_some() => anyhow::bail!(
                "The setting uploads.url is missing. Several instances need a shared folder or an S3 store for files."
            ),
            None => data_dir.join("uploads"),
        };
        let incoming = folder.join("incoming");
        prepare(&incoming)?;
        let folder = folder.canonicalize().with_context(|| format!("can't use the folder {}", folder.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&folder)?.with_automatic_cleanup(true);
        let (incoming, data_dir) = (folder.join("incoming"), data_dir.clone());
        Ok(Self { objects: Arc::new(objects), incoming, data_dir, folder: Some(folder), floor, disk })
    }

    /// Starts to receive a file on behalf of `owner`.
    pub async fn receive(&self, owner: WorkOwner) -> Result<IncomingFile, AppError> {
        IncomingFile::create(self.incoming(), self.floor, Arc::clone(&self.disk), owner).await
    }

    /// Refuses a file of this size if the disk would have too little space left.
    pub async fn check_space(&self, size: u64) -> Result<(), AppError> {
        let (floor, place) = (self.floor, self.incoming.clone());
        run_blocking(move || Ok(floor.check(&place, size)?)).await
    }

    /// Refuses a text of this size if the disk of the files or of `server.data_dir` would have less
    /// than `server.min_free_bytes` left.
    pub async fn check_space_for_text(&self, size: u64) -> Result<(), AppError> {
        let (floor, places) = (self.floor, [self.incoming.clone(), self.data_dir.clone()]);
        run_blocking(move || Ok(places.iter().try_for_each(|place| floor.check(place, size))?)).await
    }

    /// Returns the folder for incoming files, and whether its disk has enough free space.
    pub fn incoming_space(&self) -> (&FilePath, bool) {
        (&self.incoming, self.floor.check(&self.incoming, 0).is_ok())
    }

    /// Returns a path for a new incoming file.
    pub fn incoming(&self) -> PathBuf {
        self.incoming.join(Uuid::now_v7().simple().to_string())
    }

    /// Moves a received file into the store as it is, without inspecting it.
    pub async fn store_received(&self, object: StoredObject, file: ReceivedFile) -> Result<(), AppError> {
        self.put_file(object, file.path).await
    }

    /// Moves a received file into the store. The local file is removed even on failure.
    pub(crate) async fn put_file(&self, object: StoredObject, file: TemporaryFile) -> Result<(), AppError> {
        let path = object.path();
        if let Some(folder) = &self.folder {
            let target = folder.join(path.as_ref());
            return run_blocking(move || move_file(file, &target)).await;
        }
        let received = file.path();
        let received = run_blocking(move || Ok(File::open(received)?)).await?;
        let upload = self.objects.put_multipart(&path).await.map_err(super::storage_error)?;
        let mut upload = WriteMultipart::new(upload);
        let mut read = file_chunks(received, u64::MAX);
        while let Some(piece) = read.next().await {
            let waited = match piece {
                Ok(piece) => upload
                    .wait_for_capacity(MAX_CONCURRENT_PARTS)
                    .await
                    .map(|()| upload.put(piece))
                    .map_err(super::storage_error),
                Err(error) => Err(error),
            };
            if let Err(error) = waited {
                let _ = upload.abort().await;
                return Err(error);
            }
        }
        upload.finish().await.map(drop).map_err(super::storage_error)
    }

    /// Stores a small object.
    pub async fn put(&self, object: StoredObject, bytes: Bytes, owner: WorkOwner) -> Result<(), AppError> {
        if self.folder.is_some() {
            let file = TemporaryFile::new(self.incoming());
            let written = file.path();
            let slot = self.disk.acquire_for_job(owner).await;
            run_blocking(move || {
                let _slot = slot;
                write_file(&written, &bytes)
            })
            .await?;
            return self.put_file(object, file).await;
        }
        self.objects.put(&object.path(), PutPayload::from_bytes(bytes)).await.map(drop).map_err(super::storage_error)
    }

    /// Streams a range of an object. The stream completes even if the object is removed meanwhile,
    /// because the file is already open or the transfer has already started.
    pub async fn read(&self, object: StoredObject, range: Range<u64>) -> Result<ByteChunks, AppError> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let (start, length) = (range.start, range.end - range.start);
        let found = self.objects.get_opts(&object.path(), GetOptions::new().with_range(Some(range))).await;
        Ok(match found.map_err(store_error)?.payload {
            GetResultPayload::File(mut file, _) => {
                file.seek(SeekFrom::Start(start)).map_err(super::storage_error)?;
                file_chunks(file, length)
            }
            GetResultPayload::Stream(pieces) => pieces.map(|piece| piece.map_err(store_error)).boxed(),
        })
    }

    pub async fn size(&self, object: StoredObject) -> Result<u64, AppError> {
        Ok(self.objects.head(&object.path()).await.map_err(store_error)?.size)
    }

    /// Removes an object. Idempotent.
    pub async fn remove(&self, object: StoredObject) -> Result<(), AppError> {
        match self.objects.delete(&object.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }
}

/// Creates a store for `s3://bucket/prefix`, with the credentials in the settings `uploads.s3_…`.
pub fn open_s3(config: &Config, url: &Url) -> anyhow::Result<Arc<dyn ObjectStore>> {
    let settings = &config.uploads;
    let bucket = url.host_str().with_context(|| format!("{url} names no bucket."))?;
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(endpoint) = &settings.s3_endpoint {
        builder =
            builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(endpoint.scheme() == "http");
    }
    if let Some(region) = &settings.s3_region {
        builder = builder.with_region(region);
    }
    if let (Some(key), Some(secret)) = (&settings.s3_access_key_id, &settings.s3_secret_access_key) {
        builder = builder.with_access_key_id(key.expose()).with_secret_access_key(secret.expose());
    }
    let store = builder.build().with_context(|| format!("{url} can't be used"))?;
    let prefix = url.path().trim_matches('/');
    Ok(if prefix.is_empty() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) })
}

/// Creates the folder for incoming files and removes old files from it.
fn prepare(incoming: &FilePath) -> anyhow::Result<()> {
    let unusable = || format!("can't use the folder {}", incoming.display());
    private_folder::create(incoming).with_context(unusable)?;
    for entry in std::fs::read_dir(incoming).with_context(unusable)?.flatten() {
        let is_old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > LEFTOVER_AGE);
        if entry.metadata().and_then(|data| data.modified()).is_ok_and(is_old) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn move_file(file: TemporaryFile, target: &FilePath) -> anyhow::Result<()> {
    if let Some(parent) = target.parent() {
        private_folder::create(parent)?;
    }
    std::fs::rename(file.path(), target)?;
    file.release();
    // Syncs the folder, so that the file's name is as durable as its content, which was synced when
    // the file was complete.
    if let Some(parent) = target.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn write_file(path: &FilePath, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

/// Streams the remaining bytes of an open file, in chunks that are large enough for a blocking call
/// each.
fn file_chunks(file: File, length: u64) -> ByteChunks {
    let next = move |(mut file, left): (File, u64)| async move {
        if left == 0 {
            return Ok(None);
        }
        run_blocking(move || {
            let wanted = usize::try_from(left).unwrap_or(CHUNK_SIZE).min(CHUNK_SIZE);
            let mut piece = Vec::with_capacity(wanted);
            file.by_ref().take(wanted as u64).read_to_end(&mut piece)?;
            let left = left.saturating_sub(piece.len() as u64);
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, left))))
        })
        .await
    };
    stream::try_unfold((file, length), next).boxed()
}

/// Maps an error of the store.
fn store_error(error: object_store::Error) -> AppError {
    match error {
        object_store::Error::NotFound { .. } => appcore::Code::NotFound.into(),
        error => super::storage_error(error),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;
    use platform::work_pools::WorkPools;

    #[tokio::test]
    async fn reads_complete_after_removal() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = ("NATTER__SERVER__DATA_DIR".into(), folder.path().as_os_str().to_owned());
        let config = appcore::config::load_core(None, [data_dir]).unwrap().config;
        let store = Store::open(&config, WorkPools::default().disk).unwrap();
        let object = StoredObject::Whole(UploadId::new());
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(2 * CHUNK_SIZE + 7).collect();
        store.put(object, Bytes::from(bytes.clone()), WorkOwner::System).await.unwrap();
        let size = bytes.len() as u64;
        let whole = store.read(object, 0..size).await.unwrap();
        let end = store.read(object, 5..size).await.unwrap();
        store.remove(object).await.unwrap();
        assert!(whole.try_collect::<Vec<Bytes>>().await.unwrap().concat() == bytes);
        assert!(end.try_collect::<Vec<Bytes>>().await.unwrap().concat() == bytes[5..]);
        assert_eq!(store.read(object, 0..size).await.err().map(|error| error.code()), Some(appcore::Code::NotFound));
    }
}

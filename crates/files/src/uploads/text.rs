//! Text extraction from files, and metadata of web pages. Both run in the separate reader process.

use appcore::AppError;
use bytes::Bytes;
use extract::{
    ExtractError, Section,
    isolated::{Outcome, Task},
    page::Page,
};
use futures_util::{StreamExt as _, stream};
#[cfg(doc)]
use platform::work_pools::WorkPools;
use platform::work_pools::WorkSlot;

use super::{
    reader,
    store::{ByteChunks, StoredObject},
};
use crate::FilesService;

/// File from which to extract text.
#[derive(Clone, Debug)]
pub struct TextSource {
    pub id: appcore::UploadId,
    pub name: String,
    pub media_type: String,
    pub size: i64,
}

/// Extracts the text of a complete file. An `AppError` is temporary or internal; an
/// [`ExtractError`] is permanent.
pub async fn sections(
    service: &FilesService,
    source: &TextSource,
    slot: &WorkSlot,
) -> Result<Result<Vec<Section>, ExtractError>, AppError> {
    Ok(document(service, source, slot).await?.map(|document| document.sections))
}

/// Extracts the text of a complete file, with its number of pages. The caller must hold a slot of
/// [`WorkPools::parsing`].
pub async fn document(service: &FilesService, source: &TextSource, _slot: &WorkSlot) -> Result<Outcome, AppError> {
    if !extract::is_readable(&source.media_type, &source.name) {
        return Ok(Err(ExtractError::Type));
    }
    let size = u64::try_from(source.size).unwrap_or_default();
    let pieces = service.uploads.store.read(StoredObject::Whole(source.id), 0..size).await?;
    parse(&source.name, &source.media_type, pieces).await
}

/// Extracts the text of data that is not an upload. The caller must hold a slot of
/// [`WorkPools::parsing`].
pub async fn of_bytes(name: &str, media_type: &str, bytes: Bytes, _slot: &WorkSlot) -> Result<Outcome, AppError> {
    if !extract::is_readable(media_type, name) {
        return Ok(Err(ExtractError::Type));
    }
    parse(name, media_type, stream::iter([Ok(bytes)]).boxed()).await
}

/// Parses the metadata of a web page that was sent with this `Content-Type`; returns `None` if that exceeds the limits.
/// The caller must hold a slot of [`WorkPools::parsing`].
pub async fn page(html: Bytes, content_type: &str, _slot: &WorkSlot) -> Result<Option<Page>, AppError> {
    let charset = extract::charset_of(content_type).map(str::to_owned);
    reader::parse_bytes(&Task::Page { charset }, html).await?.line(0)
}

async fn parse(name: &str, media_type: &str, pieces: ByteChunks) -> Result<Outcome, AppError> {
    let task = Task::Document { media_type: media_type.to_owned(), name: name.to_owned() };
    let parsed = reader::parse(&task, pieces).await?;
    if !parsed.is_complete {
        tracing::info!(%name, "document exceeded the limits of the reader process");
        return Ok(Err(ExtractError::TooComplex));
    }
    parsed.line(0)?.ok_or_else(|| AppError::internal(anyhow::anyhow!("reader process wrote no output")))
}

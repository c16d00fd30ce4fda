//! Files that programs store under `/v1/files`, in OpenAI's format.
//!
//! The row of a file is inserted before its content arrives, together with the job that removes the
//! file a day later unless it is complete. So an interrupted upload leaves nothing behind.

use std::time::Duration;

use ::files::uploads::{ByteChunks, IncomingFile, ReceivedFile, StoredObject};
use appcore::{
    AppError, Code, GatewayFileId, Timestamp,
    view::{GatewayEndpoint, GatewayFileState},
};
use bytes::Bytes;
use dbcontext::{
    constraint::app_error,
    query::{
        gateway_files::{self as rows, FilePage, GatewayFileRow, GatewayOwner, ReceivedFileData},
        service_accounts,
    },
};
use gateway::{GatewayCaller, authorize_endpoint};
use platform::{cleanup::GatewaySweepJob, work_pools::WorkOwner};
use serde_json::{Value, json};

use crate::{BatchesService, RETENTION, owner_of, public_id, sweep};

/// Time after which a file that has not been received completely is removed.
pub(crate) const PENDING_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Delay of the removal of a file after its expiry, because the clocks of instances differ.
const SWEEP_DELAY: Duration = Duration::from_secs(60);
/// Purpose of the input file of a batch.
pub(crate) const BATCH_PURPOSE: &str = "batch";
/// Purpose of the result files of a batch.
pub(crate) const RESULT_PURPOSE: &str = "batch_output";
/// Purposes that a caller may choose.
const PURPOSES: [&str; 6] = ["assistants", BATCH_PURPOSE, "evals", "fine-tune", "user_data", "vision"];
/// Maximum number of files of a user.
const MAX_FILES: i64 = 20_000;
/// Maximum length of a file name, in characters.
const MAX_NAME_CHARS: usize = 255;
const MAX_LIST: u64 = 10_000;
/// Range of a file's lifetime, in seconds.
const LIFETIME_SECONDS: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;

/// Upload in progress.
pub struct FileUpload {
    id: GatewayFileId,
    owner: GatewayOwner,
    incoming: IncomingFile,
    created_at: Timestamp,
}

/// Form fields of an upload.
#[derive(Clone, Debug, Default)]
pub struct FileFields {
    pub name: String,
    pub purpose: Option<String>,
    pub expires_anchor: Option<String>,
    pub expires_seconds: Option<String>,
}

/// Query of a list of files.
#[derive(Clone, Debug, Default)]
pub struct FileQuery {
    pub purpose: Option<String>,
    pub limit: Option<u64>,
    pub after: Option<String>,
    pub order: Option<String>,
}

/// Content of a file.
pub struct FileContent {
    pub bytes: u64,
    pub chunks: ByteChunks,
}

/// Starts an upload. `content_length` is the size of the request, if known; it is reserved in the
/// quota until the file is complete.
pub async fn start(
    service: &BatchesService,
    caller: &GatewayCaller,
    content_length: Option<u64>,
) -> Result<FileUpload, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Files)?;
    start_pending(service, owner_of(caller), content_length, false).await
}

pub(crate) async fn start_pending(
    service: &BatchesService,
    owner: GatewayOwner,
    size: Option<u64>,
    is_internal: bool,
) -> Result<FileUpload, AppError> {
    let settings = &service.config.gateway;
    let reserved = size.unwrap_or(settings.file_bytes).min(settings.file_bytes);
    service.files.uploads.store.check_space(reserved).await?;
    let (id, now) = (GatewayFileId::new(), service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    service_accounts::lock_key_owner(&tx, owner.user_id).await?.ok_or(Code::Unauthenticated)?;
    let used = rows::usage(&tx, owner.user_id).await?;
    if used.files >= MAX_FILES {
        let sentence = format!("You have {MAX_FILES} files. Delete some first.");
        return Err(AppError::refused(Code::QuotaExceeded, sentence));
    }
    if used.bytes.unsigned_abs().saturating_add(reserved) > settings.user_file_bytes {
        let sentence = "Your files have no space left. Delete some first.";
        return Err(AppError::refused(Code::QuotaExceeded, sentence));
    }
    insert_pending(&tx, pending(owner, id, reserved, is_internal, now)).await?;
    tx.commit().await.map_err(app_error)?;
    let incoming = service.files.uploads.store.receive(work_owner(owner)).await?;
    Ok(FileUpload { id, owner, incoming, created_at: now })
}

fn pending(owner: GatewayOwner, id: GatewayFileId, bytes: u64, is_internal: bool, now: Timestamp) -> GatewayFileRow {
    GatewayFileRow {
        id,
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        name: String::new(),
        purpose: String::new(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        state: GatewayFileState::Pending,
        is_internal,
        expires_at: None,
        created_at: now,
    }
}

async fn insert_pending(tx: &dbcontext::Transaction, row: GatewayFileRow) -> Result<(), AppError> {
    let (id, now) = (row.id, row.created_at);
    rows::insert(tx, row).await?;
    jobs::enqueue_after(tx, now, &GatewaySweepJob::File(id), PENDING_RETENTION + SWEEP_DELAY).await
}

impl FileUpload {
    /// Appends received bytes. Returns `TooLarge` if the file exceeds its maximum size.
    pub async fn write(&mut self, service: &BatchesService, piece: &Bytes) -> Result<(), AppError> {
        let limit = service.config.gateway.file_bytes;
        if self.incoming.size() + piece.len() as u64 > limit {
            return Err(AppError::refused(Code::TooLarge, format!("A file can have up to {limit} bytes.")));
        }
        self.incoming.write(piece).await
    }

    /// Completes the upload and returns the file. If it fails, nothing is stored.
    pub async fn finish(self, service: &BatchesService, fields: FileFields) -> Result<Value, AppError> {
        let id = self.id;
        let finished = match check_fields(fields, self.created_at) {
            Ok((name, purpose, expires_at)) => self.store(service, name, purpose, expires_at).await,
            Err(error) => Err(error),
        };
        if finished.is_err() {
            remove(service, id).await;
        }
        Ok(render(&finished?))
    }

    /// Aborts the upload and removes what was received.
    pub async fn abort(self, service: &BatchesService) {
        drop(self.incoming);
        remove(service, self.id).await;
    }

    pub(crate) async fn store(
        self,
        service: &BatchesService,
        name: String,
        purpose: String,
        expires_at: Option<Timestamp>,
    ) -> Result<GatewayFileRow, AppError> {
        let Self { id, owner, incoming, created_at } = self;
        let received = incoming.close().await?;
        let bytes = i64::try_from(received.size).unwrap_or(i64::MAX);
        service.files.uploads.store.store_received(StoredObject::GatewayFile(id), received).await?;
        let data = ReceivedFileData { name, purpose, bytes, expires_at };
        let tx = service.db.begin().await.map_err(app_error)?;
        finish_pending(&tx, id, data.clone(), created_at).await?;
        tx.commit().await.map_err(app_error)?;
        let ReceivedFileData { name, purpose, .. } = data;
        let row = pending(owner, id, bytes.unsigned_abs(), false, created_at);
        Ok(GatewayFileRow { name, purpose, expires_at, state: GatewayFileState::Ready, ..row })
    }
}

/// Makes a stored file readable and enqueues its removal, if it expires.
pub(crate) async fn finish_pending(
    tx: &dbcontext::Transaction,
    id: GatewayFileId,
    data: ReceivedFileData,
    now: Timestamp,
) -> Result<(), AppError> {
    let expires_at = data.expires_at;
    if !rows::finish(tx, id, data).await? {
        return Err(Code::NotFound.into());
    }
    if let Some(at) = expires_at {
        let wait = Duration::from_millis(at.0.saturating_sub(now.0).max(0).unsigned_abs());
        jobs::enqueue_after(tx, now, &GatewaySweepJob::File(id), wait + SWEEP_DELAY).await?;
    }
    Ok(())
}

/// Stores the content of a result file. It becomes readable by [`finish_pending`].
pub(crate) async fn store_result(
    service: &BatchesService,
    owner: GatewayOwner,
    received: ReceivedFile,
    is_internal: bool,
) -> Result<GatewayFileId, AppError> {
    let (id, now) = (GatewayFileId::new(), service.clock.now());
    let tx = service.db.begin().await.map_err(app_error)?;
    insert_pending(&tx, pending(owner, id, received.size, is_internal, now)).await?;
    tx.commit().await.map_err(app_error)?;
    service.files.uploads.store.store_received(StoredObject::GatewayFile(id), received).await?;
    Ok(id)
}

async fn remove(service: &BatchesService, id: GatewayFileId) {
    let removed = async {
        rows::mark_deleted(service.db.writer(), id).await?;
        sweep::sweep_file(service, id).await
    };
    // If this fails, the sweep job tries again.
    if let Err(error) = removed.await {
        tracing::warn!(%error, file = %id, "failed to remove file, leaving it to the job");
    }
}

pub async fn list(service: &BatchesService, caller: &GatewayCaller, query: FileQuery) -> Result<Value, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Files)?;
    let limit = check_limit(query.limit, MAX_LIST, MAX_LIST)?;
    let is_ascending = match query.order.as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(AppError::field("order", "invalid", "`order` is either `asc` or `desc`.")),
    };
    let after = query.after.as_deref().map(|id| public_id::parse_file(id).ok_or_else(|| unknown(id))).transpose()?;
    let page = FilePage { purpose: query.purpose, after, is_ascending, limit: limit + 1 };
    let mut found = rows::list(service.db.reader(), owner_of(caller), &page, service.clock.now()).await?;
    let has_more = truncate(&mut found, limit);
    let data: Vec<Value> = found.iter().map(render).collect();
    Ok(json!({
        "object": "list",
        "first_id": data.first().map(|file| &file["id"]),
        "last_id": data.last().map(|file| &file["id"]),
        "has_more": has_more,
        "data": data,
    }))
}

pub async fn find(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<Value, AppError> {
    find_visible(service, caller, id).await.map(|row| render(&row))
}

pub async fn delete(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<Value, AppError> {
    let row = find_visible(service, caller, id).await?;
    let tx = service.db.begin().await.map_err(app_error)?;
    rows::mark_deleted(&tx, row.id).await?;
    jobs::enqueue(&tx, service.clock.now(), &GatewaySweepJob::File(row.id)).await?;
    tx.commit().await.map_err(app_error)?;
    service.wake_workers();
    Ok(json!({ "id": public_id::file(row.id), "object": "file", "deleted": true }))
}

/// Opens the content of a file.
pub async fn open(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<FileContent, AppError> {
    let row = find_visible(service, caller, id).await?;
    open_row(service, &row).await
}

pub(crate) async fn open_row(service: &BatchesService, row: &GatewayFileRow) -> Result<FileContent, AppError> {
    let bytes = row.bytes.unsigned_abs();
    let chunks = service.files.uploads.store.read(StoredObject::GatewayFile(row.id), 0..bytes).await?;
    Ok(FileContent { bytes, chunks })
}

async fn find_visible(service: &BatchesService, caller: &GatewayCaller, id: &str) -> Result<GatewayFileRow, AppError> {
    authorize_endpoint(caller, GatewayEndpoint::Files)?;
    find_own(service, owner_of(caller), id).await
}

pub(crate) async fn find_own(
    service: &BatchesService,
    owner: GatewayOwner,
    id: &str,
) -> Result<GatewayFileRow, AppError> {
    let parsed = public_id::parse_file(id).ok_or_else(|| unknown(id))?;
    let found = rows::find(service.db.writer(), owner, parsed, service.clock.now()).await?;
    found.filter(|row| !row.is_internal).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> AppError {
    let shown: String = id.chars().take(80).collect();
    AppError::refused(Code::NotFound, format!("There is no file with the ID `{shown}`."))
}

/// Validates the limit of a list.
pub(crate) fn check_limit(limit: Option<u64>, default: u64, most: u64) -> Result<u64, AppError> {
    let limit = limit.unwrap_or(default);
    if !(1..=most).contains(&limit) {
        return Err(AppError::field("limit", "invalid", format!("Choose a number from 1 to {most}.")));
    }
    Ok(limit)
}

/// Truncates a list that was read with one row more than `limit`; returns true if there are more.
pub(crate) fn truncate<T>(rows: &mut Vec<T>, limit: u64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    has_more
}

/// Validates the form fields of an upload; returns name, purpose and expiry.
fn check_fields(fields: FileFields, now: Timestamp) -> Result<(String, String, Option<Timestamp>), AppError> {
    let purpose = fields.purpose.ok_or_else(|| AppError::field("purpose", "required", "`purpose` is required."))?;
    if !PURPOSES.contains(&purpose.as_str()) {
        let message = format!("`purpose` is one of {}.", PURPOSES.map(|name| format!("`{name}`")).join(", "));
        return Err(AppError::field("purpose", "invalid", message));
    }
    let default = (purpose == BATCH_PURPOSE).then_some(RETENTION);
    let lifetime = match (fields.expires_anchor, fields.expires_seconds) {
        (None, None) => default,
        (anchor, seconds) => Some(check_lifetime(
            "expires_after",
            anchor.as_deref(),
            seconds.and_then(|seconds| seconds.trim().parse().ok()),
        )?),
    };
    let name: String = fields.name.chars().filter(|letter| !letter.is_control()).take(MAX_NAME_CHARS).collect();
    let name = if name.trim().is_empty() { "file".to_owned() } else { name };
    Ok((name, purpose, lifetime.map(|lifetime| now.plus(lifetime))))
}

/// Validates the parts of `expires_after`.
pub(crate) fn check_lifetime(field: &str, anchor: Option<&str>, seconds: Option<u64>) -> Result<Duration, AppError> {
    if anchor != Some("created_at") {
        return Err(AppError::field(format!("{field}.anchor"), "invalid", "The anchor must be `created_at`."));
    }
    match seconds.filter(|seconds| LIFETIME_SECONDS.contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs(seconds)),
        None => {
            let (least, most) = (LIFETIME_SECONDS.start(), LIFETIME_SECONDS.end());
            let message = format!("The number of seconds must be from {least} to {most}.");
            Err(AppError::field(format!("{field}.seconds"), "invalid", message))
        }
    }
}

pub(crate) fn work_owner(owner: GatewayOwner) -> WorkOwner {
    WorkOwner::User { user: owner.user_id, workspace: owner.workspace_id }
}

fn render(row: &GatewayFileRow) -> Value {
    json!({
        "id": public_id::file(row.id),
        "object": "file",
        "bytes": row.bytes,
        "created_at": row.created_at.seconds(),
        "expires_at": row.expires_at.map(Timestamp::seconds),
        "filename": row.name,
        "purpose": row.purpose,
        "status": "processed",
        "status_details": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validates_form_fields() {
        let now = Timestamp(5_000);
        let check = |purpose: Option<&str>, anchor: Option<&str>, seconds: Option<&str>| {
            let fields = FileFields {
                name: "a\u{0}.jsonl".to_owned(),
                purpose: purpose.map(str::to_owned),
                expires_anchor: anchor.map(str::to_owned),
                expires_seconds: seconds.map(str::to_owned),
            };
            check_fields(fields, now).map_err(|error| error.fields()[0].field.to_string())
        };
        let named = |purpose: &str, expires: Option<Duration>| {
            Ok(("a.jsonl".to_owned(), purpose.to_owned(), expires.map(|wait| now.plus(wait))))
        };
        assert_eq!(check(Some("user_data"), None, None), named("user_data", None));
        assert_eq!(check(Some("batch"), None, None), named("batch", Some(RETENTION)));
        let hour = Some(Duration::from_secs(3_600));
        assert_eq!(check(Some("vision"), Some("created_at"), Some("3600")), named("vision", hour));
        for (purpose, anchor, seconds, field) in [
            (None, None, None, "purpose"),
            (Some("batch_output"), None, None, "purpose"),
            (Some("batch"), Some("now"), Some("3600"), "expires_after.anchor"),
            (Some("batch"), None, Some("3600"), "expires_after.anchor"),
            (Some("batch"), Some("created_at"), None, "expires_after.seconds"),
            (Some("batch"), Some("created_at"), Some("3599"), "expires_after.seconds"),
            (Some("batch"), Some("created_at"), Some("-1"), "expires_after.seconds"),
        ] {
            assert_eq!(check(purpose, anchor, seconds), Err(field.to_owned()));
        }
    }
}

//! Files of programs, in OpenAI's format.

use std::{convert::Infallible, time::Duration};

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use appcore::{AppError, Code};
use batches::files::{self, FileFields, FileQuery, FileUpload};
use bytes::Bytes;
use futures_util::stream;
use multer::{Field, Multipart};
use natter_macro::{dto, endpoint};
use tokio::sync::mpsc;

use super::{call::authenticate_key, json_reply};
use crate::{Access, BodyStream, Bound, Ctx, Endpoint, EndpointDef, FailureForm, RateGroup, Raw, Reply};

pub(super) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CreateFile>(),
    EndpointDef::of::<ListGatewayFiles>(),
    EndpointDef::of::<ShowFile>(),
    EndpointDef::of::<DeleteFile>(),
    EndpointDef::of::<ReadFileContent>(),
];

/// Deadline of an upload, long enough for large files over slow connections.
const UPLOAD_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// Maximum size of a form without its file, in bytes.
const FORM_OVERHEAD: u64 = 64 * 1024;
/// Maximum length of a text field, in bytes.
const MAX_FIELD_LEN: usize = 1_024;
/// Maximum number of parts of a form.
const MAX_PARTS: usize = 16;

const fn max_body() -> Bound<usize> {
    Bound::Setting(|config| {
        usize::try_from(config.gateway.file_bytes.saturating_add(FORM_OVERHEAD)).unwrap_or(usize::MAX)
    })
}

#[dto(request)]
pub struct CreateFileRequest {
    #[from(stream)]
    pub body: BodyStream,
}

/// Upload a file (OpenAI)
///
/// A form with the fields `file` and `purpose`, and optionally `expires_after[anchor]`
/// (`created_at`) and `expires_after[seconds]`. Files belong to the key's owner and workspace.
#[endpoint(POST "/v1/files", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(TooLarge, QuotaExceeded), deadline = Bound::Fixed(UPLOAD_DEADLINE), max_body = max_body(), failure = FailureForm::Gateway)]
impl Endpoint for CreateFile {
    type Request = CreateFileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: CreateFileRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        let header = |name| ctx.http().headers().get(name).and_then(|value| value.to_str().ok());
        let boundary = multer::parse_boundary(header(CONTENT_TYPE).unwrap_or_default()).map_err(unreadable)?;
        let size = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let mut upload = files::start(ctx.batches(), &caller, size).await?;
        match receive(ctx, request.body, boundary, &mut upload).await {
            Ok(fields) => Ok(json_reply(&upload.finish(ctx.batches(), fields).await?)),
            Err(error) => {
                upload.abort(ctx.batches()).await;
                Err(error)
            }
        }
    }
}

/// Writes the file of a form to the upload and returns the other fields. The parser of forms needs a
/// stream that can be sent to other threads, so the body reaches it through a channel.
async fn receive(
    ctx: &Ctx,
    mut body: BodyStream,
    boundary: String,
    upload: &mut FileUpload,
) -> Result<FileFields, AppError> {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let feed = async move {
        while let Some(chunk) = body.next().await {
            // The parser reads no further if it has failed.
            if sender.send(chunk?).await.is_err() {
                break;
            }
        }
        Ok::<_, AppError>(())
    };
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (Ok::<_, Infallible>(chunk), receiver))
    });
    let (fed, parsed) = tokio::join!(feed, read_parts(ctx, Multipart::new(chunks, boundary), upload));
    // A body that was cut off is also a form without an end.
    fed.and(parsed)
}

async fn read_parts(ctx: &Ctx, mut parts: Multipart<'_>, upload: &mut FileUpload) -> Result<FileFields, AppError> {
    let (mut fields, mut count, mut has_file) = (FileFields::default(), 0, false);
    while let Some(mut part) = parts.next_field().await.map_err(unreadable)? {
        count += 1;
        if count > MAX_PARTS {
            return Err(AppError::refused(Code::MalformedBody, format!("The form can have up to {MAX_PARTS} fields.")));
        }
        let name = part.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" if has_file => {
                return Err(AppError::field("file", "invalid", "Upload one file at a time."));
            }
            "file" => {
                has_file = true;
                part.file_name().unwrap_or_default().clone_into(&mut fields.name);
                while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
                    upload.write(ctx.batches(), &chunk).await?;
                }
            }
            "purpose" => fields.purpose = Some(read_text(part, "purpose").await?),
            "expires_after[anchor]" => fields.expires_anchor = Some(read_text(part, "expires_after.anchor").await?),
            "expires_after[seconds]" => fields.expires_seconds = Some(read_text(part, "expires_after.seconds").await?),
            _ => return Err(AppError::field(name, "unknown", "The form has an unknown field.")),
        }
    }
    if !has_file {
        return Err(AppError::field("file", "required", "`file` is required."));
    }
    Ok(fields)
}

async fn read_text(mut part: Field<'_>, field: &'static str) -> Result<String, AppError> {
    let mut text = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(unreadable)? {
        if text.len() + chunk.len() > MAX_FIELD_LEN {
            return Err(AppError::field(field, "too_long", "The field is too long."));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| AppError::field(field, "invalid", "The field must be in UTF-8."))
}

fn unreadable(_: multer::Error) -> AppError {
    AppError::refused(Code::MalformedBody, "The form couldn't be read. Send it as multipart/form-data.")
}

#[dto(request)]
pub struct ListGatewayFilesRequest {
    #[from(query)]
    pub purpose: Option<String>,
    /// Page size, by default 10,000.
    #[from(query)]
    pub limit: Option<u64>,
    /// Id of the last file of the previous page.
    #[from(query)]
    pub after: Option<String>,
    /// Order by creation time, `asc` or `desc`, by default `desc`.
    #[from(query)]
    pub order: Option<String>,
}

/// List files (OpenAI)
#[endpoint(GET "/v1/files", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), errors(NotFound), failure = FailureForm::Gateway)]
impl Endpoint for ListGatewayFiles {
    type Request = ListGatewayFilesRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ListGatewayFilesRequest) -> Result<Reply<Raw>, AppError> {
        let ListGatewayFilesRequest { purpose, limit, after, order } = request;
        let caller = authenticate_key(ctx).await?;
        let query = FileQuery { purpose, limit, after, order };
        Ok(json_reply(&files::list(ctx.batches(), &caller, query).await?))
    }
}

#[dto(request)]
pub struct FileRequest {
    #[from(path)]
    pub id: String,
}

/// Show a file (OpenAI)
#[endpoint(GET "/v1/files/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for ShowFile {
    type Request = FileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: FileRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&files::find(ctx.batches(), &caller, &request.id).await?))
    }
}

/// Delete a file (OpenAI)
///
/// A batch in progress that reads the file is not affected.
#[endpoint(DELETE "/v1/files/{id}", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/json"), failure = FailureForm::Gateway)]
impl Endpoint for DeleteFile {
    type Request = FileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: FileRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        Ok(json_reply(&files::delete(ctx.batches(), &caller, &request.id).await?))
    }
}

/// Read the content of a file (OpenAI)
#[endpoint(GET "/v1/files/{id}/content", tag = "gateway", access = Access::Key, rate = RateGroup::Gateway, content("application/octet-stream"), failure = FailureForm::Gateway)]
impl Endpoint for ReadFileContent {
    type Request = FileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: FileRequest) -> Result<Reply<Raw>, AppError> {
        let caller = authenticate_key(ctx).await?;
        let content = files::open(ctx.batches(), &caller, &request.id).await?;
        Ok(Reply::sized("application/octet-stream", content.bytes, content.chunks))
    }
}

//! Uploads of files.

use std::{convert::Infallible, pin::pin, time::Duration};

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use appcore::{
    AppError, Code, ConversationId, UploadId, UserId,
    page::Slice,
    view::{ConversationFile, FileKind, Upload, UploadKind},
};
use bytes::Bytes;
use files::uploads::{self, FileFilter, UploadMetadata};
use futures_util::{Stream, StreamExt as _, stream};
use multer::Multipart;
use natter_macro::{dto, endpoint};

use super::conversations::DEFAULT_LIMIT;
use crate::{Access, BodyStream, Bound, Ctx, Endpoint, EndpointDef, NoData, RateGroup, Reply, file_name};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<UploadFile>(),
    EndpointDef::of::<ShowUpload>(),
    EndpointDef::of::<DeleteUpload>(),
    EndpointDef::of::<ListFiles>(),
];

/// Deadline of an upload, long enough for large files over slow connections.
pub(super) const DEADLINE: Duration = Duration::from_secs(4 * 60 * 60);
/// Maximum size of a file in a form, in bytes.
const MAX_FORM_FILE: usize = 5 * 1024 * 1024;
const FORM_OVERHEAD: usize = 64 * 1024;

#[dto(request)]
pub struct UploadFileRequest {
    /// File name in UTF-8, percent-encoded.
    #[from(header)]
    pub x_filename: Option<String>,
    /// Kind of upload; `voice` for a voice note.
    #[from(query)]
    pub kind: Option<UploadKind>,
    /// Waveform of a voice note: 64 numbers from 0 to 255, separated by commas.
    #[from(query)]
    pub peaks: Option<String>,
    /// Duration of a voice note, in milliseconds.
    #[from(query)]
    #[validate(range(min = 0, max = 86_400_000))]
    pub duration_ms: Option<i64>,
    /// Conversation for the file. An upload that exceeds its quota is refused at once.
    #[from(query)]
    pub conversation_id: Option<ConversationId>,
    #[from(stream)]
    pub body: BodyStream,
}

/// Upload a file
///
/// The body is the file, with its media type as `Content-Type`, or up to 5 MiB a form
/// (`multipart/form-data`) with the field `file`. The type is detected from the content. Image
/// metadata (location, camera, names) is removed. A file in no message after 24 hours is deleted.
/// For unreliable connections, see tus 1.0.0 at `/r1/uploads/tus`.
#[endpoint(POST "/r1/uploads", tag = "uploads", access = Access::User, rate = RateGroup::Upload, status = 201, errors(NotFound, NotAMember, TooLarge, QuotaExceeded, TypeRefused), deadline = Bound::Fixed(DEADLINE), max_body = Bound::Setting(|config| config.uploads.max_bytes))]
impl Endpoint for UploadFile {
    type Request = UploadFileRequest;
    type Response = Upload;

    async fn handle(ctx: &Ctx, request: UploadFileRequest) -> Result<Reply<Upload>, AppError> {
        let header = |name| ctx.http().headers().get(name).and_then(|value| value.to_str().ok());
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let mut announced = UploadMetadata {
            name: request.x_filename.as_deref().map(file_name::decode).unwrap_or_default(),
            media_type: content_type.to_owned(),
            size: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            kind: request.kind.unwrap_or(UploadKind::File),
            peaks: request.peaks.as_deref().map(UploadMetadata::parse_peaks).transpose()?,
            duration_ms: request.duration_ms,
            conversation_id: request.conversation_id,
        };
        let body = request.body;
        if content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
            let form = read_form(content_type, body).await?;
            announced = UploadMetadata {
                name: form.name.unwrap_or(announced.name),
                media_type: form.media_type,
                size: Some(form.bytes.len() as u64),
                ..announced
            };
            return receive(ctx, announced, stream::iter([Ok(form.bytes)])).await;
        }
        let pieces = stream::unfold(body, |mut body| async move { body.next().await.map(|piece| (piece, body)) });
        receive(ctx, announced, pieces).await
    }
}

/// Streams a file to storage. If the upload is aborted, nothing is stored.
async fn receive(
    ctx: &Ctx,
    announced: UploadMetadata,
    pieces: impl Stream<Item = Result<Bytes, AppError>>,
) -> Result<Reply<Upload>, AppError> {
    let mut receiving = uploads::start(ctx.files(), ctx.user()?, announced).await?;
    let mut pieces = pin!(pieces);
    while let Some(piece) = pieces.next().await {
        let written = match piece {
            Ok(piece) => receiving.write(ctx.files(), &piece).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            receiving.abort(ctx.files()).await;
            return Err(error);
        }
    }
    Ok(Reply::of(receiving.finish(ctx.files()).await?))
}

/// File field of a form.
struct FormFile {
    name: Option<String>,
    media_type: String,
    bytes: Bytes,
}

async fn read_form(content_type: &str, body: BodyStream) -> Result<FormFile, AppError> {
    let unreadable = |_| AppError::refused(Code::MalformedBody, "The form couldn't be read. Check its format.");
    let too_large = || {
        AppError::refused(Code::TooLarge, "A file in a form can have up to 5 MiB. Send larger ones as the body itself.")
    };
    let boundary = multer::parse_boundary(content_type).map_err(unreadable)?;
    let whole = body.read_up_to(MAX_FORM_FILE + FORM_OVERHEAD).await;
    let whole = whole.map_err(|error| if error.code() == Code::TooLarge { too_large() } else { error })?;
    let mut parts = Multipart::new(stream::once(async move { Ok::<_, Infallible>(whole) }), boundary);
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        if part.name() == Some("file") {
            let disposition = part.headers().get("content-disposition").map(|value| value.as_bytes());
            let name = file_name::from_disposition(disposition.unwrap_or_default(), part.file_name());
            let media_type = part.content_type().map(ToString::to_string).unwrap_or_default();
            let bytes = part.bytes().await.map_err(unreadable)?;
            return if bytes.len() > MAX_FORM_FILE {
                Err(too_large())
            } else {
                Ok(FormFile { name, media_type, bytes })
            };
        }
    }
    Err(AppError::field("file", "required", "The form has no field named file."))
}

#[dto(request)]
pub struct UploadRequest {
    #[from(path)]
    pub id: UploadId,
}

/// Show an upload
#[endpoint(GET "/r1/uploads/{id}", tag = "uploads", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ShowUpload {
    type Request = UploadRequest;
    type Response = Upload;

    async fn handle(ctx: &Ctx, request: UploadRequest) -> Result<Reply<Upload>, AppError> {
        Ok(Reply::of(uploads::find(ctx.files(), ctx.user()?, request.id).await?))
    }
}

/// Delete your unsent file
///
/// Sent files are deleted with their message.
#[endpoint(DELETE "/r1/uploads/{id}", tag = "uploads", access = Access::User, rate = RateGroup::Write, errors(Forbidden, WrongState))]
impl Endpoint for DeleteUpload {
    type Request = UploadRequest;
    type Response = NoData;

    async fn handle(ctx: &Ctx, request: UploadRequest) -> Result<Reply<NoData>, AppError> {
        uploads::delete(ctx.files(), ctx.user()?, request.id).await?;
        Ok(Reply::of(NoData))
    }
}

#[dto(request)]
pub struct ListFilesRequest {
    #[from(path)]
    pub id: ConversationId,
    #[from(query)]
    pub kind: Option<FileKind>,
    /// Only files sent by this user.
    #[from(query)]
    pub author: Option<UserId>,
    /// Text in the file name, regardless of case and diacritics.
    #[from(query)]
    pub q: Option<String>,
    /// Cursor: `seq` of the last item; lists files of earlier messages.
    #[from(query)]
    pub before_seq: Option<i64>,
    /// Maximum number of messages with files, at most 200.
    #[from(query)]
    pub limit: Option<u64>,
}

/// List the files of a conversation
///
/// Newest first. The files of a message are on one page, so there may be more items than `limit`.
#[endpoint(GET "/r1/conversations/{id}/files", tag = "uploads", access = Access::User, rate = RateGroup::Read)]
impl Endpoint for ListFiles {
    type Request = ListFilesRequest;
    type Response = Slice<ConversationFile>;

    async fn handle(ctx: &Ctx, request: ListFilesRequest) -> Result<Reply<Slice<ConversationFile>>, AppError> {
        let filter = FileFilter {
            begins_after: 0,
            before_seq: request.before_seq,
            kind: request.kind,
            author: request.author,
            text: request.q.unwrap_or_default(),
            limit: request.limit.unwrap_or(DEFAULT_LIMIT),
        };
        Ok(Reply::of(uploads::of_conversation(ctx.files(), ctx.user()?, request.id, filter).await?))
    }
}

//! Resumable uploads according to tus 1.0.0, with the extensions creation, creation-with-upload,
//! termination and expiration.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
    },
    web::Data,
};
use app::App;
use appcore::{AppError, Code, ConversationId, UploadId, view::UploadKind};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use files::uploads::{
    self, UploadMetadata,
    resumable::{self, UploadProgress},
};
use natter_macro::{dto, endpoint};

use super::uploads::DEADLINE;
use crate::{Access, BodyStream, Bound, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[
    EndpointDef::of::<CreateTusUpload>(),
    EndpointDef::of::<ShowTusUpload>(),
    EndpointDef::of::<AppendToTusUpload>(),
    EndpointDef::of::<DeleteTusUpload>(),
];

/// Path of the protocol.
const ROOT: &str = "/r1/uploads/tus";
pub(crate) const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-with-upload,termination,expiration";
/// Media type of file chunks.
const CHUNK_MEDIA_TYPE: &str = "application/offset+octet-stream";

#[dto(request)]
pub struct CreateTusUploadRequest {
    #[from(header)]
    pub tus_resumable: Option<String>,
    /// Size of the complete file, in bytes.
    #[from(header)]
    pub upload_length: u64,
    /// Metadata: keys `filename` and `filetype`, separated by commas, values in base64.
    #[from(header)]
    pub upload_metadata: Option<String>,
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
    #[from(stream, "application/offset+octet-stream")]
    pub body: BodyStream,
}

/// Start a resumable upload (tus)
///
/// `Location` is the URL for further chunks and ends with the id of the `Upload`. The body may
/// contain the first chunk.
#[endpoint(POST "/r1/uploads/tus", tag = "uploads", access = Access::User, rate = RateGroup::Upload, status = 201, content("application/octet-stream"), errors(NotFound, NotAMember, TooLarge, QuotaExceeded, TypeRefused, TusVersion), deadline = Bound::Fixed(DEADLINE), max_body = Bound::Setting(|config| config.uploads.max_bytes))]
impl Endpoint for CreateTusUpload {
    type Request = CreateTusUploadRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: CreateTusUploadRequest) -> Result<Reply<Raw>, AppError> {
        check_version(request.tus_resumable.as_deref())?;
        if ctx.http().headers().contains_key("upload-concat") {
            let sentence = "Parallel uploads aren't supported. Send the file in one sequence.";
            return Err(AppError::field("upload_concat", "invalid", sentence));
        }
        let metadata = request.upload_metadata.unwrap_or_default();
        let announced = UploadMetadata {
            name: metadata_value(&metadata, "filename").unwrap_or_default(),
            media_type: metadata_value(&metadata, "filetype").unwrap_or_default(),
            size: Some(request.upload_length),
            kind: request.kind.unwrap_or(UploadKind::File),
            peaks: request.peaks.as_deref().map(UploadMetadata::parse_peaks).transpose()?,
            duration_ms: request.duration_ms,
            conversation_id: request.conversation_id,
        };
        let mut progress = resumable::create(ctx.files(), ctx.user()?, announced, &metadata).await?;
        if is_chunk(ctx.http().headers()) {
            progress = append(ctx, progress.id, Some(0), request.body).await?;
        } else if progress.length == 0 {
            // An empty file is complete at once.
            progress = resumable::progress(ctx.files(), ctx.user()?, progress.id).await?;
        }
        let location = format!("{}/r1/uploads/tus/{}", ctx.app().config.server.base_path(), progress.id);
        let reply = with_header(empty(StatusCode::CREATED), LOCATION, &location);
        Ok(with_progress(reply, &progress))
    }
}

#[dto(request)]
pub struct TusUploadRequest {
    #[from(path)]
    pub id: UploadId,
    #[from(header)]
    pub tus_resumable: Option<String>,
}

/// Show the progress of a resumable upload (tus)
///
/// Like `HEAD`. `Upload-Offset` is the offset to resume from.
#[endpoint(GET "/r1/uploads/tus/{id}", tag = "uploads", access = Access::User, rate = RateGroup::Read, content("application/octet-stream"), errors(TusVersion, TypeRefused), deadline = Bound::Fixed(DEADLINE))]
impl Endpoint for ShowTusUpload {
    type Request = TusUploadRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: TusUploadRequest) -> Result<Reply<Raw>, AppError> {
        check_version(request.tus_resumable.as_deref())?;
        let progress = resumable::progress(ctx.files(), ctx.user()?, request.id).await?;
        let reply = with_progress(empty(StatusCode::OK), &progress);
        let reply = with_header(reply, HeaderName::from_static("upload-length"), &progress.length.to_string());
        let metadata = resumable::metadata(ctx.files(), progress.id).await?;
        Ok(metadata
            .iter()
            .fold(reply, |reply, text| with_header(reply, HeaderName::from_static("upload-metadata"), text)))
    }
}

#[dto(request)]
pub struct AppendToTusUploadRequest {
    #[from(path)]
    pub id: UploadId,
    #[from(header)]
    pub tus_resumable: Option<String>,
    /// Number of bytes received so far. Required.
    #[from(header)]
    pub upload_offset: Option<u64>,
    #[from(stream, "application/offset+octet-stream")]
    pub body: BodyStream,
}

/// Append to a resumable upload (tus)
///
/// Data received before a lost connection is kept. After the last byte the file is analysed, and
/// `GET /r1/uploads/{id}` returns its type.
#[endpoint(PATCH "/r1/uploads/tus/{id}", tag = "uploads", access = Access::User, rate = RateGroup::Upload, status = 204, content("application/octet-stream"), errors(TusVersion, UploadConflict, TooLarge, TypeRefused, UnsupportedMediaType), deadline = Bound::Fixed(DEADLINE), max_body = Bound::Setting(|config| config.uploads.max_bytes))]
impl Endpoint for AppendToTusUpload {
    type Request = AppendToTusUploadRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: AppendToTusUploadRequest) -> Result<Reply<Raw>, AppError> {
        check_version(request.tus_resumable.as_deref())?;
        let progress = append(ctx, request.id, request.upload_offset, request.body).await?;
        Ok(with_progress(empty(StatusCode::NO_CONTENT), &progress))
    }
}

/// Abort a resumable upload (tus)
#[endpoint(DELETE "/r1/uploads/tus/{id}", tag = "uploads", access = Access::User, rate = RateGroup::Write, status = 204, content("application/octet-stream"), errors(Forbidden, WrongState, TusVersion))]
impl Endpoint for DeleteTusUpload {
    type Request = TusUploadRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: TusUploadRequest) -> Result<Reply<Raw>, AppError> {
        check_version(request.tus_resumable.as_deref())?;
        uploads::delete(ctx.files(), ctx.user()?, request.id).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }
}

async fn append(
    ctx: &Ctx,
    id: UploadId,
    offset: Option<u64>,
    mut body: BodyStream,
) -> Result<UploadProgress, AppError> {
    let mut appending = resumable::append(ctx.files(), ctx.user()?, id, offset).await?;
    if !is_chunk(ctx.http().headers()) {
        return Err(AppError::refused(
            Code::UnsupportedMediaType,
            format!("Send chunks of a file as {CHUNK_MEDIA_TYPE}."),
        ));
    }
    let mut broken = None;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => appending.write(piece).await?,
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
    }
    let progress = appending.finish().await?;
    broken.map_or(Ok(progress), Err)
}

/// Response to an `OPTIONS` request, which needs no credentials: the capabilities of the server.
/// `None` for other requests.
pub(crate) fn options(http: &HttpRequest, path: &str) -> Option<HttpResponse> {
    if *http.method() != Method::OPTIONS || !path.starts_with(ROOT) {
        return None;
    }
    let config = &http.app_data::<Data<App>>()?.config;
    let mut response = HttpResponse::NoContent();
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("tus-resumable", VERSION))
        .insert_header(("tus-version", VERSION))
        .insert_header(("tus-extension", EXTENSIONS))
        .insert_header(("tus-max-size", config.uploads.max_bytes.to_string()));
    Some(response.finish())
}

/// Method that the request is meant to have. Some clients and proxies support only `POST` and send
/// the actual method in a header.
pub(crate) fn effective_method(http: &HttpRequest, path: &str) -> Method {
    let named = || http.headers().get("x-http-method-override").map(HeaderValue::as_bytes);
    let is_override = *http.method() == Method::POST && path.starts_with(ROOT);
    match is_override.then(named).flatten() {
        Some(b"PATCH") => Method::PATCH,
        Some(b"DELETE") => Method::DELETE,
        Some(b"HEAD") => Method::HEAD,
        _ => http.method().clone(),
    }
}

fn check_version(version: Option<&str>) -> Result<(), AppError> {
    if version == Some(VERSION) { Ok(()) } else { Err(Code::TusVersion.into()) }
}

fn is_chunk(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == CHUNK_MEDIA_TYPE.as_bytes())
}

/// Decoded value of a key in `Upload-Metadata`.
fn metadata_value(metadata: &str, name: &str) -> Option<String> {
    let mut pairs = metadata.split(',').filter_map(|pair| pair.trim().split_once(' '));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()
}

fn empty(status: StatusCode) -> Reply<Raw> {
    let reply = Reply::bytes("application/octet-stream", Bytes::new()).status(status);
    with_header(reply, HeaderName::from_static("tus-resumable"), VERSION)
}

fn with_progress(reply: Reply<Raw>, progress: &UploadProgress) -> Reply<Raw> {
    let expires = UNIX_EPOCH + Duration::from_millis(u64::try_from(progress.expires_at.0).unwrap_or_default());
    let reply = with_header(reply, HeaderName::from_static("upload-offset"), &progress.offset.to_string());
    with_header(reply, HeaderName::from_static("upload-expires"), &httpdate::fmt_http_date(expires))
}

fn with_header(reply: Reply<Raw>, name: HeaderName, value: &str) -> Reply<Raw> {
    match HeaderValue::from_str(value) {
        Ok(value) => reply.header(name, value),
        Err(_) => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_upload_metadata() {
        let metadata = "filename dOG7h3AudHh0, filetype dGV4dC9wbGFpbg==,other";
        assert_eq!(metadata_value(metadata, "filename").as_deref(), Some("tệp.txt"));
        assert_eq!(metadata_value(metadata, "filetype").as_deref(), Some("text/plain"));
        assert_eq!((metadata_value(metadata, "other"), metadata_value("filename !!", "filename")), (None, None));
    }
}

//! File downloads.

use std::ops::Range;

use actix_web::http::{
    StatusCode,
    header::{
        ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
        HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE,
    },
};
use appcore::{AppError, UploadId};
use bytes::Bytes;
use files::uploads::{self, OpenedFile, TEXT, THUMBNAILS};
use natter_macro::{dto, endpoint};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Access, Ctx, Endpoint, EndpointDef, RateGroup, Raw, Reply};

pub(crate) const ENDPOINTS: &[EndpointDef] = &[EndpointDef::of::<ReadFile>()];

const UNKNOWN: &str = "application/octet-stream";
/// Content security policy under which a file can't execute anything in the origin of the app.
const SANDBOX_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
const PDF: &str = "application/pdf";
/// Content security policy for PDF files. A PDF viewer doesn't start in a sandbox in every browser.
/// Scripts in a PDF run in the viewer, isolated from the origin of the app.
const VIEWER_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; object-src 'self'; style-src 'unsafe-inline'");
/// Caching of files. Their content never changes, but access to them can be revoked, so only the
/// browser's own cache may store them.
const CACHED: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// Characters of a file name that are not percent-encoded (RFC 5987).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[dto(request)]
pub struct ReadFileRequest {
    #[from(path)]
    pub id: UploadId,
    /// Name of the file; any name is accepted.
    #[from(path)]
    #[allow(dead_code, reason = "browsers name what they store by it")]
    pub name: String,
    /// Longer side of a thumbnail in pixels: 320 or 1280.
    #[from(query)]
    pub size: Option<u64>,
    /// True to show the file instead of downloading it: PDF in the browser's viewer (`#page=3`
    /// opens a page), Markdown, code and other text as plain text.
    #[from(query)]
    pub view: Option<bool>,
}

/// Download a file
///
/// Readable by its uploader, and by readers of a message that contains it; a user's picture by
/// everyone who can see the user. Images, audio, video and plain text are inline, and with
/// `view=true` PDF and other text as well; other files are attachments. Supports `Range`.
#[endpoint(GET "/files/{id}/{name}", tag = "uploads", access = Access::User, rate = RateGroup::Read, status(200, 206, 304, 416), content("application/octet-stream"))]
impl Endpoint for ReadFile {
    type Request = ReadFileRequest;
    type Response = Raw;

    async fn handle(ctx: &Ctx, request: ReadFileRequest) -> Result<Reply<Raw>, AppError> {
        let thumbnail = match request.size {
            None => None,
            Some(size) => {
                let known = THUMBNAILS.into_iter().find(|known| u64::from(*known) == size);
                Some(known.ok_or_else(|| AppError::field("size", "invalid", "size is 320 or 1280."))?)
            }
        };
        let file = uploads::open(ctx.files(), ctx.user()?, request.id, thumbnail).await?;
        let shown = if request.view == Some(true) { file.viewed } else { file.inline };
        let headers = ctx.http().headers();
        let tag = format!("\"{}\"", file.etag);
        if headers.get(IF_NONE_MATCH).is_some_and(|asked| contains_tag(asked, &tag)) {
            let same = Reply::bytes(UNKNOWN, Bytes::new()).status(StatusCode::NOT_MODIFIED);
            return Ok(with_headers(same, &file, shown, &tag));
        }
        let is_same = headers.get(IF_RANGE).is_none_or(|asked| asked.as_bytes() == tag.as_bytes());
        let content_type = shown.unwrap_or(UNKNOWN);
        let (status, range) = match requested_range(headers, file.size).filter(|_| is_same) {
            None => (StatusCode::OK, 0..file.size),
            Some(Some(range)) => (StatusCode::PARTIAL_CONTENT, range),
            Some(None) => {
                let refusal = Reply::bytes(UNKNOWN, Bytes::new()).status(StatusCode::RANGE_NOT_SATISFIABLE);
                return Ok(with_header(refusal, CONTENT_RANGE, &format!("bytes */{}", file.size)));
            }
        };
        let pieces = file.read(ctx.files(), range.clone()).await?;
        let mut reply = Reply::sized(content_type, range.end - range.start, pieces).status(status);
        if status == StatusCode::PARTIAL_CONTENT {
            let part = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.size);
            reply = with_header(reply, CONTENT_RANGE, &part);
        }
        if shown == Some(TEXT) {
            let charset = file.detect_charset(ctx.files()).await?.to_ascii_lowercase();
            reply = with_header(reply, CONTENT_TYPE, &format!("{TEXT}; charset={charset}"));
        }
        Ok(with_headers(reply, &file, shown, &tag))
    }
}

fn with_headers(reply: Reply<Raw>, file: &OpenedFile, shown: Option<&str>, tag: &str) -> Reply<Raw> {
    let kind = if shown.is_some() { "inline" } else { "attachment" };
    let disposition = format!("{kind}; filename*=UTF-8''{}", utf8_percent_encode(&file.name, NAME));
    let reply = with_header(with_header(reply, ETAG, tag), CONTENT_DISPOSITION, &disposition);
    reply
        .header(CONTENT_SECURITY_POLICY, if shown == Some(PDF) { VIEWER_POLICY } else { SANDBOX_POLICY })
        .header(CACHE_CONTROL, CACHED)
        .header(ACCEPT_RANGES, HeaderValue::from_static("bytes"))
}

/// Adds a header, unless its value is invalid.
fn with_header(reply: Reply<Raw>, name: HeaderName, value: &str) -> Reply<Raw> {
    match HeaderValue::from_str(value) {
        Ok(value) => reply.header(name, value),
        Err(_) => reply,
    }
}

/// True if a list of entity tags contains the tag of the file.
fn contains_tag(list: &HeaderValue, tag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == "*" || one == tag)
}

/// Byte range that the request asks for. The inner `None` means that the range can't be satisfied.
/// For several ranges, the whole file is returned.
fn requested_range(headers: &HeaderMap, size: u64) -> Option<Option<Range<u64>>> {
    let asked = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = asked.split_once('-').filter(|_| !asked.contains(','))?;
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if last >= first => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return None,
    };
    Some((!range.is_empty()).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_byte_ranges() {
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(text))]);
            requested_range(&headers, 10)
        };
        assert_eq!(read("bytes=0-0"), Some(Some(0..1)));
        assert_eq!(read("bytes=2-5"), Some(Some(2..6)));
        assert_eq!(read("bytes=2-99"), Some(Some(2..10)));
        assert_eq!(read("bytes=7-"), Some(Some(7..10)));
        assert_eq!(read("bytes=-3"), Some(Some(7..10)));
        assert_eq!(read("bytes=-99"), Some(Some(0..10)));
        for none in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(read(none), Some(None), "{none}");
        }
        for whole in ["bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=", "bytes=-"] {
            assert_eq!(read(whole), None, "{whole}");
        }
    }
}

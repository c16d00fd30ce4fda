//! Conversion of handler results into HTTP responses: envelope, format and common headers.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, body,
    http::{Method, StatusCode, header},
};
use appcore::{AppError, Code};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt as _};
use middleware::{client_socket::Client, rate_limit, tracing::request_id};

use crate::{
    compression::compress,
    content_negotiation::WireFormat,
    ctx::Ctx,
    endpoint_trait::EndpointDef,
    reply::{ChunkStream, Encoded, EncodedBody, RawBody},
};

pub(crate) fn finish(mut ctx: Ctx, def: &EndpointDef, result: Result<Encoded, AppError>) -> HttpResponse {
    let mut response = match result {
        Ok(encoded) => success(&mut ctx, def, encoded),
        Err(error) => def.failure.answer(ctx.http(), &error),
    };
    for cookie in ctx.cookies.take() {
        // A cookie consists of tokens and a fixed name, which are valid header values, so this
        // doesn't fail.
        if let Err(error) = response.add_cookie(&cookie) {
            return def.failure.answer(ctx.http(), &AppError::internal(error));
        }
    }
    response
}

fn success(ctx: &mut Ctx, def: &EndpointDef, encoded: Encoded) -> HttpResponse {
    let http = ctx.http();
    let declared = def.statuses.first().and_then(|status| StatusCode::from_u16(*status).ok()).unwrap_or(StatusCode::OK);
    let status = encoded.status.unwrap_or(declared);
    if let Some(location) = encoded.location {
        // Paths are relative to the server's base path; anything else is an absolute URL.
        let below = if location.starts_with('/') { ctx.app().config.server.base_path() } else { "" };
        let location = format!("{below}{location}");
        let mut response = HttpResponse::build(status);
        rate_limit::headers(http).for_each(|header| _ = response.insert_header(header));
        return response
            .insert_header((header::LOCATION, location))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            // The browser must not send this request's URL as referrer, because it may contain
            // secrets such as an authorization code.
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .finish();
    }
    let form = WireFormat::from_accept(http.headers()).unwrap_or(WireFormat::Json);
    match encoded.body {
        EncodedBody::Enveloped(body) => match form.transcode(body) {
            Ok(body) => buffered(
                http,
                def,
                with_headers(response_builder(http, status, form.content_type()), encoded.headers),
                Bytes::from(body),
            ),
            Err(error) => def.failure.answer(http, &error),
        },
        EncodedBody::Raw(..) if def.is_enveloped() && form != WireFormat::Json => {
            def.failure.answer(http, &AppError::refused(Code::NotAcceptable, "This is only available as JSON."))
        }
        EncodedBody::Raw(content_type, body) => {
            let mut response = with_headers(response_builder(http, status, content_type), encoded.headers);
            match body {
                RawBody::Whole(body) => buffered(http, def, response, body),
                RawBody::Sized(length, pieces) => {
                    let (id, _held) = (request_id(http), ctx.lease.take());
                    let pieces = StreamedBody { pieces, id, _permit: _held }.until_disconnect(None);
                    response.body(body::SizedStream::new(length, Box::pin(pieces)))
                }
                // A HEAD request must not wait for the end of the stream.
                RawBody::Streamed(_) if *http.method() == Method::HEAD => response.body(body::None::new()),
                RawBody::Streamed(pieces) => {
                    let client = def.ends_with_client.then(|| Client::of(http));
                    let id = request_id(http);
                    response.streaming(StreamedBody { pieces, id, _permit: ctx.lease.take() }.until_disconnect(client))
                }
            }
        }
    }
}

fn with_headers(
    mut response: HttpResponseBuilder,
    headers: Vec<(header::HeaderName, header::HeaderValue)>,
) -> HttpResponseBuilder {
    for header in headers {
        response.insert_header(header);
    }
    response
}

fn buffered(http: &HttpRequest, def: &EndpointDef, mut response: HttpResponseBuilder, body: Bytes) -> HttpResponse {
    response.append_header((header::VARY, "Accept-Encoding"));
    match compress(http, def.path, &body) {
        Some(small) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(small),
        None => response.body(body),
    }
}

/// Response body that is being sent. An error aborts it.
struct StreamedBody {
    pieces: ChunkStream,
    id: String,
    /// Held until the body is sent, so that the request counts as a concurrent one until then.
    _permit: Option<platform::rate_limits::ConcurrencyPermit>,
}

impl StreamedBody {
    /// Ends the stream when `client` disconnects, if it is given. The source is then dropped at
    /// once instead of at the next write.
    fn until_disconnect(self, client: Option<Client>) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
        let Self { pieces, id, _permit: _held } = self;
        let left = async move {
            match client {
                Some(client) => client.wait_until_disconnected().await,
                None => std::future::pending().await,
            }
        };
        pieces.take_until(Box::pin(left)).map(move |piece| {
            let _held = &_held;
            piece.map_err(|error| {
                tracing::error!(request_id = id, error = format!("{error:#}"), "response stream aborted");
                actix_web::error::ErrorInternalServerError("stream aborted")
            })
        })
    }
}

/// Response to a method that the path doesn't support.
pub(crate) fn method_not_allowed(http: &HttpRequest, allowed: &str) -> HttpResponse {
    let mut response = crate::failure(http, &Code::MethodNotAllowed.into());
    if let Ok(allowed) = header::HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

pub(crate) fn response_builder(
    http: &HttpRequest,
    status: StatusCode,
    content_type: &'static str,
) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for header in rate_limit::headers(http) {
        response.insert_header(header);
    }
    response
        .insert_header((header::CONTENT_TYPE, header::HeaderValue::from_static(content_type)))
        .insert_header((header::CACHE_CONTROL, header::HeaderValue::from_static("no-store")));
    response
}

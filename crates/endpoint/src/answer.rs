//! From a result to an answer: the envelope, its form, and the headers that belong to it.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use appcore::{
    AppError, Code,
    envelope::{Failure, FailureTag},
};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use middleware::{rate_limit, tracing::request_id};

use crate::{
    compression::compressed,
    ctx::Ctx,
    endpoint_trait::EndpointDef,
    reply::{Encoded, EncodedBody, Pieces},
    wire_form::WireForm,
};

pub(crate) fn finish(ctx: &Ctx, def: &EndpointDef, result: Result<Encoded, AppError>) -> HttpResponse {
    let mut response = match result {
        Ok(encoded) => success(ctx.http(), def, encoded),
        Err(error) => failure(ctx.http(), &error),
    };
    for cookie in ctx.cookies.take() {
        // Ours are made of tokens and fixed names, which a header can carry.
        if let Err(error) = response.add_cookie(&cookie) {
            return failure(ctx.http(), &AppError::internal(error));
        }
    }
    response
}

fn success(http: &HttpRequest, def: &EndpointDef, encoded: Encoded) -> HttpResponse {
    let declared = def.statuses.first().and_then(|status| StatusCode::from_u16(*status).ok()).unwrap_or(StatusCode::OK);
    let status = encoded.status.unwrap_or(declared);
    if let Some(location) = encoded.location {
        let mut response = HttpResponse::build(status);
        rate_limit::headers(http).for_each(|header| _ = response.insert_header(header));
        return response
            .insert_header((header::LOCATION, location))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            // What is in our own address, such as a code, is nobody else's business.
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .finish();
    }
    let form = WireForm::accepted(http.headers()).unwrap_or(WireForm::Json);
    match encoded.body {
        EncodedBody::Whole(body) => match form.transcode(body) {
            Ok(body) => whole(http, def, start(http, status, form), body),
            Err(error) => failure(http, &error),
        },
        EncodedBody::Pieces(_) if form != WireForm::Json => {
            failure(http, &AppError::refused(Code::NotAcceptable, "This is only available as JSON."))
        }
        EncodedBody::Pieces(pieces) => start(http, status, form).streaming(enveloped(pieces)),
    }
}

fn whole(http: &HttpRequest, def: &EndpointDef, mut response: HttpResponseBuilder, body: Vec<u8>) -> HttpResponse {
    response.append_header((header::VARY, "Accept-Encoding"));
    match compressed(http, def.path, &body) {
        Some(small) => response.insert_header((header::CONTENT_ENCODING, "gzip")).body(small),
        None => response.body(body),
    }
}

/// The envelope around data that comes piece by piece. What goes wrong on the way breaks the answer off.
fn enveloped(pieces: Pieces) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    let text = |text: &'static str| stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) });
    let data = pieces.map(|piece| {
        piece.map(Bytes::from).map_err(|error| {
            tracing::error!(error = format!("{error:#}"), "an answer broke off");
            actix_web::error::ErrorInternalServerError("broken off")
        })
    });
    text("{\"status\":\"success\",\"data\":").chain(data).chain(text(",\"message\":\"\"}"))
}

/// The answer to whatever could not be done. What is our own fault is logged, and not shown.
pub fn failure(http: &HttpRequest, error: &AppError) -> HttpResponse {
    let (code, request_id) = (error.code(), request_id(http));
    match error {
        AppError::Internal(cause) => tracing::error!(request_id, error = format!("{cause:#}"), "a request failed"),
        AppError::Unavailable(cause) => {
            tracing::warn!(request_id, error = format!("{cause:#}"), "a request could not be served");
        }
        AppError::Refused { .. } | AppError::Detailed { .. } | AppError::Invalid(_) => {}
    }
    let body = Failure {
        status: FailureTag::Error,
        data: (),
        message: error.sentence(),
        code,
        request_id: &request_id,
        details: error.details(),
        errors: error.fields(),
    };
    let form = WireForm::accepted(http.headers()).unwrap_or(WireForm::Json);
    // A failure is made of strings: that it can't be written is not possible, and an empty body is what would be left.
    let body =
        serde_json::to_vec(&body).map_err(AppError::internal).and_then(|json| form.transcode(json)).unwrap_or_default();
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = start(http, status, form);
    if let Some(after) = error.retry_after() {
        response.insert_header((header::RETRY_AFTER, after.as_secs().max(1).to_string()));
    }
    if code.status() == 401 {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.body(body)
}

/// What a path that exists says to a method that it does not take.
pub(crate) fn wrong_method(http: &HttpRequest, allowed: &str) -> HttpResponse {
    let mut response = failure(http, &Code::MethodNotAllowed.into());
    if let Ok(allowed) = header::HeaderValue::from_str(allowed) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

fn start(http: &HttpRequest, status: StatusCode, form: WireForm) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for header in rate_limit::headers(http) {
        response.insert_header(header);
    }
    response
        .insert_header((header::CONTENT_TYPE, form.content_type()))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    response
}

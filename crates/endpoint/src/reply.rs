//! Replies of handlers.

use actix_web::http::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use appcore::{AppError, envelope::Success};
use bytes::Bytes;
use futures_util::stream::{self, LocalBoxStream, Stream, StreamExt as _};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};

/// Result of a handler: data of a successful response, with its status.
pub struct Reply<T> {
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    location: Option<String>,
    data: Data<T>,
}

/// Chunks of a streamed body.
pub(crate) type ChunkStream = LocalBoxStream<'static, Result<Bytes, AppError>>;

enum Data<T> {
    Whole(T),
    /// Media type and body.
    Raw(&'static str, RawBody),
}

pub(crate) enum RawBody {
    Whole(Bytes),
    Streamed(ChunkStream),
    /// Stream whose length in bytes is known.
    Sized(u64, ChunkStream),
}

impl<T> Reply<T> {
    fn with(data: Data<T>) -> Self {
        Self { status: None, headers: Vec::new(), location: None, data }
    }

    /// Reply with the first status that the endpoint declares.
    pub fn of(data: T) -> Self {
        Self::with(Data::Whole(data))
    }

    /// Reply with status 200, for endpoints that declare another status first.
    pub fn ok(data: T) -> Self {
        Self { status: Some(StatusCode::OK), ..Self::with(Data::Whole(data)) }
    }

    /// Reply with status 202, for an operation that needs a further step.
    pub fn accepted(data: T) -> Self {
        Self { status: Some(StatusCode::ACCEPTED), ..Self::with(Data::Whole(data)) }
    }

    /// Streams JSON within the envelope, for data that is too large to buffer.
    pub fn stream_data(pieces: impl Stream<Item = Result<Vec<u8>, AppError>> + 'static) -> Self {
        let text = |text: &'static str| stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) });
        let data = pieces.map(|piece| piece.map(Bytes::from));
        let whole = text("{\"status\":\"success\",\"data\":").chain(data).chain(text(",\"message\":\"\"}"));
        Self::with(Data::Raw("application/json", RawBody::Streamed(whole.boxed_local())))
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets a status that the endpoint doesn't declare.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
}

impl Reply<Redirect> {
    /// Redirects the browser.
    #[must_use]
    pub fn redirect(location: String) -> Self {
        Self { location: Some(location), ..Self::with(Data::Whole(Redirect)) }
    }
}

impl Reply<Raw> {
    /// Replies with raw bytes.
    #[must_use]
    pub fn bytes(content_type: &'static str, bytes: Bytes) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Whole(bytes)))
    }

    /// Replies with a stream. An error aborts the response. The endpoint's deadline applies to the
    /// handler, but not to the stream.
    pub fn stream(content_type: &'static str, pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Streamed(pieces.boxed_local())))
    }

    /// Replies with a stream like [`Self::stream`], whose length in bytes is known.
    pub fn sized(
        content_type: &'static str,
        length: u64,
        pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static,
    ) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Sized(length, pieces.boxed_local())))
    }

    /// Splits off the body, which [`Self::with_body`] replaces.
    pub(crate) fn split_body(mut self) -> (Self, RawBody) {
        let data = std::mem::replace(&mut self.data, Data::Whole(Raw));
        let body = match data {
            Data::Raw(_, body) => body,
            Data::Whole(Raw) => RawBody::Whole(Bytes::new()),
        };
        (self, body)
    }

    /// Sets another body. Status and headers stay.
    pub(crate) fn with_body(self, content_type: &'static str, body: RawBody) -> Self {
        Self { data: Data::Raw(content_type, body), ..self }
    }
}

impl<T: Serialize> Reply<T> {
    pub(crate) fn encode(self) -> Result<Encoded, AppError> {
        let body = match self.data {
            Data::Whole(data) => {
                EncodedBody::Enveloped(serde_json::to_vec(&Success::new(&data)).map_err(AppError::internal)?)
            }
            Data::Raw(content_type, body) => EncodedBody::Raw(content_type, body),
        };
        Ok(Encoded { status: self.status, headers: self.headers, body, location: self.location })
    }
}

/// Reply without the type of its data.
pub(crate) struct Encoded {
    pub status: Option<StatusCode>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: EncodedBody,
    /// Redirect target. Such a reply has no body.
    pub location: Option<String>,
}

pub(crate) enum EncodedBody {
    /// JSON in the envelope. It is encoded later, in the format that the client accepts.
    Enveloped(Vec<u8>),
    Raw(&'static str, RawBody),
}

/// Response of endpoints that return no data. It is sent as `null`.
#[derive(Debug, Serialize)]
pub struct NoData;

impl PartialSchema for NoData {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for NoData {}

/// Response of endpoints that redirect the browser. It has no body.
#[derive(Debug, Serialize)]
pub struct Redirect;

impl PartialSchema for Redirect {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Redirect {}

/// Response that an endpoint writes itself, without the envelope. Its media types are those in
/// `content(…)`.
#[derive(Debug, Serialize)]
pub struct Raw;

impl Raw {
    /// Schema of a body with this media type.
    pub(crate) fn schema_of(content_type: &str) -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        match content_type {
            "application/json" | "multipart/form-data" => ObjectBuilder::new().schema_type(Type::Object).into(),
            text_type if text_type.starts_with("text/") => text.into(),
            _ => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into(),
        }
    }
}

impl PartialSchema for Raw {
    fn schema() -> RefOr<Schema> {
        Self::schema_of("application/octet-stream")
    }
}

impl ToSchema for Raw {}

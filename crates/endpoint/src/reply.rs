//! What a handler answers with.

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

/// The data of a successful answer, with its status.
pub struct Reply<T> {
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
    location: Option<String>,
    data: Data<T>,
}

/// A body that is sent as it comes into being.
pub(crate) type Pieces = LocalBoxStream<'static, Result<Bytes, AppError>>;

enum Data<T> {
    Whole(T),
    /// The body as it goes out, and what it is written in.
    Raw(&'static str, RawBody),
}

pub(crate) enum RawBody {
    Whole(Bytes),
    Pieces(Pieces),
    /// So many bytes, as they come into being.
    Sized(u64, Pieces),
}

impl<T> Reply<T> {
    fn with(data: Data<T>) -> Self {
        Self { status: None, headers: Vec::new(), location: None, data }
    }

    /// With the status that the endpoint declares.
    pub fn of(data: T) -> Self {
        Self::with(Data::Whole(data))
    }

    /// With 200, where the endpoint declares another one first.
    pub fn ok(data: T) -> Self {
        Self { status: Some(StatusCode::OK), ..Self::with(Data::Whole(data)) }
    }

    /// With 202: more is asked for first.
    pub fn accepted(data: T) -> Self {
        Self { status: Some(StatusCode::ACCEPTED), ..Self::with(Data::Whole(data)) }
    }

    /// With data that is too much to be held: its JSON, piece by piece, within the envelope.
    pub fn pieces(pieces: impl Stream<Item = Result<Vec<u8>, AppError>> + 'static) -> Self {
        let text = |text: &'static str| stream::once(async move { Ok(Bytes::from_static(text.as_bytes())) });
        let data = pieces.map(|piece| piece.map(Bytes::from));
        let whole = text("{\"status\":\"success\",\"data\":").chain(data).chain(text(",\"message\":\"\"}"));
        Self::with(Data::Raw("application/json", RawBody::Pieces(whole.boxed_local())))
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With another status than those that the endpoint declares.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
}

impl Reply<Redirect> {
    /// Sends the browser there.
    #[must_use]
    pub fn to(location: String) -> Self {
        Self { location: Some(location), ..Self::with(Data::Whole(Redirect)) }
    }
}

impl Reply<Raw> {
    /// These bytes, as they are.
    #[must_use]
    pub fn bytes(content_type: &'static str, bytes: Bytes) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Whole(bytes)))
    }

    /// Bytes as they come into being. An error breaks the answer off. How long it takes is nobody's concern: the endpoint's deadline is that
    /// of the handler.
    pub fn stream(content_type: &'static str, pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Pieces(pieces.boxed_local())))
    }

    /// [`Self::stream`], where it is known how many bytes they are.
    pub fn sized(
        content_type: &'static str,
        length: u64,
        pieces: impl Stream<Item = Result<Bytes, AppError>> + 'static,
    ) -> Self {
        Self::with(Data::Raw(content_type, RawBody::Sized(length, pieces.boxed_local())))
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

/// A reply without its type.
pub(crate) struct Encoded {
    pub status: Option<StatusCode>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: EncodedBody,
    /// Where a browser is sent; then there is no body.
    pub location: Option<String>,
}

pub(crate) enum EncodedBody {
    /// JSON with the envelope around it, to be written in the form that the caller wants.
    Enveloped(Vec<u8>),
    Raw(&'static str, RawBody),
}

/// For endpoints that have nothing to say but that it went well: `null`.
#[derive(Debug, Serialize)]
pub struct NoData;

impl PartialSchema for NoData {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for NoData {}

/// For endpoints that send a browser elsewhere: no body.
#[derive(Debug, Serialize)]
pub struct Redirect;

impl PartialSchema for Redirect {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Null).into()
    }
}

impl ToSchema for Redirect {}

/// For endpoints that write their answers themselves, without an envelope; `content(…)` says what in.
#[derive(Debug, Serialize)]
pub struct Raw;

impl Raw {
    /// How a body of this type is described.
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

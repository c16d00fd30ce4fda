//! What a handler answers with.

use actix_web::http::StatusCode;
use appcore::{AppError, envelope::Success};
use futures_util::stream::{LocalBoxStream, Stream, StreamExt as _};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

/// The data of a successful answer, with its status.
pub struct Reply<T> {
    status: Option<StatusCode>,
    location: Option<String>,
    data: Data<T>,
}

/// JSON that comes piece by piece.
pub(crate) type Pieces = LocalBoxStream<'static, Result<Vec<u8>, AppError>>;

enum Data<T> {
    Whole(T),
    Pieces(Pieces),
}

impl<T> Reply<T> {
    /// With the status that the endpoint declares.
    pub const fn of(data: T) -> Self {
        Self { status: None, data: Data::Whole(data), location: None }
    }

    /// With 200, where the endpoint declares another one first.
    pub const fn ok(data: T) -> Self {
        Self { status: Some(StatusCode::OK), data: Data::Whole(data), location: None }
    }

    /// With 202: more is asked for first.
    pub const fn accepted(data: T) -> Self {
        Self { status: Some(StatusCode::ACCEPTED), data: Data::Whole(data), location: None }
    }

    /// With data that is too much to be held: its JSON, piece by piece.
    pub fn pieces(pieces: impl Stream<Item = Result<Vec<u8>, AppError>> + 'static) -> Self {
        Self { status: None, data: Data::Pieces(pieces.boxed_local()), location: None }
    }
}

impl Reply<Redirect> {
    /// Sends the browser there.
    #[must_use]
    pub const fn to(location: String) -> Self {
        Self { status: None, data: Data::Whole(Redirect), location: Some(location) }
    }
}

impl<T: Serialize> Reply<T> {
    pub(crate) fn encode(self) -> Result<Encoded, AppError> {
        let body = match self.data {
            Data::Whole(data) => {
                EncodedBody::Whole(serde_json::to_vec(&Success::new(&data)).map_err(AppError::internal)?)
            }
            Data::Pieces(pieces) => EncodedBody::Pieces(pieces),
        };
        Ok(Encoded { status: self.status, body, location: self.location })
    }
}

/// A reply whose data is JSON within its envelope.
pub(crate) struct Encoded {
    pub status: Option<StatusCode>,
    pub body: EncodedBody,
    /// Where a browser is sent; then there is no body.
    pub location: Option<String>,
}

pub(crate) enum EncodedBody {
    /// With the envelope around it.
    Whole(Vec<u8>),
    /// The data alone.
    Pieces(Pieces),
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

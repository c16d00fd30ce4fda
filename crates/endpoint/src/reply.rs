//! What a handler answers with.

use actix_web::http::StatusCode;
use appcore::{AppError, envelope::Success};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

/// The data of a successful answer, with its status.
pub struct Reply<T> {
    status: Option<StatusCode>,
    data: T,
    location: Option<String>,
}

impl<T> Reply<T> {
    /// With the status that the endpoint declares.
    pub const fn of(data: T) -> Self {
        Self { status: None, data, location: None }
    }

    /// With 200, where the endpoint declares another one first.
    pub const fn ok(data: T) -> Self {
        Self { status: Some(StatusCode::OK), data, location: None }
    }

    /// With 202: more is asked for first.
    pub const fn accepted(data: T) -> Self {
        Self { status: Some(StatusCode::ACCEPTED), data, location: None }
    }
}

impl Reply<Redirect> {
    /// Sends the browser there.
    #[must_use]
    pub const fn to(location: String) -> Self {
        Self { status: None, data: Redirect, location: Some(location) }
    }
}

impl<T: Serialize> Reply<T> {
    pub(crate) fn encode(self) -> Result<Encoded, AppError> {
        let body = serde_json::to_vec(&Success::new(&self.data)).map_err(AppError::internal)?;
        Ok(Encoded { status: self.status, body, location: self.location })
    }
}

/// A reply whose data is JSON within its envelope.
pub(crate) struct Encoded {
    pub status: Option<StatusCode>,
    pub body: Vec<u8>,
    /// Where a browser is sent; then there is no body.
    pub location: Option<String>,
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

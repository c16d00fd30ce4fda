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
}

impl<T> Reply<T> {
    /// With the status that the endpoint declares.
    pub const fn of(data: T) -> Self {
        Self { status: None, data }
    }

    /// With 200, where the endpoint declares another one first.
    pub const fn ok(data: T) -> Self {
        Self { status: Some(StatusCode::OK), data }
    }
}

impl<T: Serialize> Reply<T> {
    pub(crate) fn encode(self) -> Result<Encoded, AppError> {
        let body = serde_json::to_vec(&Success::new(&self.data)).map_err(AppError::internal)?;
        Ok(Encoded { status: self.status, body })
    }
}

/// A reply whose data is JSON within its envelope.
pub(crate) struct Encoded {
    pub status: Option<StatusCode>,
    pub body: Vec<u8>,
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

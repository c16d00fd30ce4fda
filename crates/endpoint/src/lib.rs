//! REST API: the declarations of all endpoints, and everything that is derived from them.
//!
//! An [`Endpoint`] declares its route, request, response, access and rate limit. [`EndpointDef`] is
//! its type-erased form. The lists of those under `r1` and `v1` are the source of the routes
//! ([`configure`]), the OpenAPI document ([`openapi`]) and the access-matrix test. A request passes
//! the request guard, is parsed into an [`Input`] and reaches the endpoint. The module `answer`
//! turns the result into a response.

// The macros refer to this crate by name, also from within it.
extern crate self as endpoint;

mod answer;
mod body;
mod compact;
mod compression;
mod content_negotiation;
mod ctx;
mod description;
mod endpoint_trait;
mod failure;
mod file_name;
pub mod health;
mod input;
pub mod openapi;
mod openapi_extras;
mod precondition;
mod r1;
mod reply;
mod request_guard;
mod routes;
mod streams;
mod v1;

pub use actix_web::http::Method;
pub use appcore::{auth::Permission, limit::RateGroup};
pub use body::{BodyForm, BodyStream};
pub use ctx::Ctx;
pub use description::Description;
pub use endpoint_trait::{Bound, Endpoint, EndpointDef, Output, assert_path};
pub use failure::{FailureForm, failure, unknown_path_body};
pub use input::{Body, BoundChecks, Bounds, FromText, Input, NoInput, Source, Text};
pub use middleware::guard::Access;
pub use precondition::Precondition;
pub use reply::{NoData, Raw, Redirect, Reply};
pub use routes::{Routes, configure, only_get};

/// Every endpoint.
pub fn all() -> impl Iterator<Item = &'static EndpointDef> {
    r1::all().chain(v1::all())
}

//! The REST API: one declaration per endpoint, and everything that is derived from it.
//!
//! An [`Endpoint`] names its route, its request, its answer, who may call it and what it counts against. [`EndpointDef`] is the
//! same without its types, and the lists of those under `r1` and `v1` are what the routes ([`configure`]), the API's description
//! ([`openapi`]) and the access-matrix test are made of. A request goes through `gate`, into an [`Input`], to the endpoint, and
//! out through `answer`.

// The macros name this crate from inside as from outside.
extern crate self as endpoint;

mod answer;
mod body;
mod by_hand;
mod compact;
mod compression;
mod ctx;
mod description;
mod endpoint_trait;
mod failure;
mod file_name;
mod gate;
pub mod health;
mod input;
pub mod openapi;
mod r1;
mod reply;
mod requirement;
mod routes;
mod streams;
mod v1;
mod wire_form;

pub use actix_web::http::Method;
pub use appcore::{auth::Permission, limit::RateGroup};
pub use body::{BodyForm, BodyStream};
pub use ctx::Ctx;
pub use description::Description;
pub use endpoint_trait::{Bound, Endpoint, EndpointDef, Output, assert_path};
pub use failure::{FailureForm, failure};
pub use input::{Body, BoundChecks, Bounds, FromText, Input, NoInput, Source, Text};
pub use middleware::guard::Access;
pub use reply::{NoData, Raw, Redirect, Reply};
pub use requirement::Requirement;
pub use routes::{Routes, configure, only_get};

/// Every endpoint.
pub fn all() -> impl Iterator<Item = &'static EndpointDef> {
    r1::all().chain(v1::all())
}

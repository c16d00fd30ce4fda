//! The REST API: one declaration per endpoint, and everything that is derived from it.
//!
//! An [`Endpoint`] names its route, its request, its answer, who may call it and what it counts against. [`EndpointDef`] is the
//! same without its types, and the lists of those under [`r1`] are what the routes ([`configure`]), the API's description
//! ([`openapi`]) and the access-matrix test are made of. A request goes through `gate`, into an [`Input`], to the endpoint, and
//! out through `answer`.

// The macros name this crate from inside as from outside.
extern crate self as endpoint;

mod answer;
mod body;
mod by_hand;
mod compression;
mod ctx;
mod description;
mod endpoint_trait;
mod gate;
pub mod health;
mod input;
pub mod openapi;
pub mod r1;
mod reply;
mod routes;
mod streams;
mod wire_form;

pub use actix_web::http::Method;
pub use answer::failure;
pub use appcore::{auth::Permission, limit::RateGroup};
pub use ctx::Ctx;
pub use description::Description;
pub use endpoint_trait::{Endpoint, EndpointDef, Output, assert_path};
pub use input::{Body, FromText, Input, NoInput, Source, Text};
pub use middleware::guard::Access;
pub use reply::{NoData, Redirect, Reply};
pub use routes::{configure, only_get};

//! What every other crate speaks: ids, time, errors, the envelope, events, configuration and who is calling.
//!
//! Nothing in here opens a connection or knows a handler; everything else may depend on it.

// Derives of `natter_macro` name this crate by its path, in itself too.
extern crate self as appcore;

pub mod access;
pub mod audit;
pub mod auth;
pub mod breaker;
pub mod clock;
pub mod code;
pub mod config;
pub mod credits;
pub mod disk;
pub mod envelope;
pub mod error;
pub mod event;
pub mod ids;
mod language;
pub mod limit;
pub mod line;
pub mod page;
mod place;
mod runtime_bound;
pub mod secret;
mod source;
pub mod text;
pub mod view;
pub mod work_pool;

pub use clock::{Clock, Timestamp};
pub use code::Code;
pub use error::{AppError, FieldError};
pub use ids::*;
pub use language::Language;
pub use place::{Country, Place};
pub use runtime_bound::RuntimeBound;
pub use secret::Secret;
pub use source::RequestSource;

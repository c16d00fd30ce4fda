//! Core vocabulary of all crates: ids, time, errors, the envelope, events, configuration and
//! principals.
//!
//! This crate opens no connections and knows no handlers, so every other crate may depend on it.

// Derives of `natter_macro` refer to this crate by its name, also within it.
extern crate self as appcore;

pub mod access;
pub mod audit;
pub mod auth;
pub mod breaker;
mod client_address;
pub mod clock;
pub mod code;
pub mod config;
pub mod credits;
pub mod disk;
pub mod envelope;
pub mod error;
pub mod event;
mod geo;
pub mod ids;
mod language;
pub mod limit;
pub mod page;
mod runtime_bound;
pub mod secret;
pub mod text;
pub mod text_field;
pub mod view;
pub mod work_pool;

pub use client_address::RequestSource;
pub use clock::{Clock, Timestamp};
pub use code::Code;
pub use error::{AppError, FieldError};
pub use geo::{Country, GeoLocation};
pub use ids::*;
pub use language::Language;
pub use runtime_bound::RuntimeBound;
pub use secret::Secret;

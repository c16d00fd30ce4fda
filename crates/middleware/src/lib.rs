//! Middleware around the endpoints, one file per concern.
//!
//! Checks that don't depend on the endpoint ([`base_path::strip`], [`tracing::observe`],
//! [`flood_guard::FloodGuard`], [`security_headers::add`], [`host::check`], [`firewall::admit`],
//! [`cors::answer`]) are installed as actix middleware by the program's `app.rs`. Checks that
//! depend on it ([`auth`], [`origin`], [`rate_limit`], [`guard`]) are functions, called by the
//! endpoint crate's request guard and by the upgrade of real-time connections. Both kinds use the
//! services in [`RequestServices`].

pub mod address;
pub mod auth;
pub mod base_path;
pub mod client_socket;
pub mod cookies;
pub mod cors;
pub mod firewall;
pub mod flood_guard;
pub mod gemini_path;
pub mod guard;
pub mod host;
pub mod origin;
pub mod rate_limit;
pub mod security_headers;
pub mod tracing;

use std::{ops::Deref, sync::Arc};

use identity::IdentityService;
use platform::{
    Core,
    rate_limits::{RateLimits, ValidCredentials},
};

/// Services that the checks of a request use. Actix handlers find it as `Data<RequestServices>`.
/// Dereferences to [`Core`].
pub struct RequestServices {
    pub identity: Arc<IdentityService>,
    pub limits: Arc<RateLimits>,
    /// Cache of recently validated credentials. Calls with these are exempt from the flood guard.
    pub valid_credentials: ValidCredentials,
}

impl Deref for RequestServices {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.identity
    }
}

//! Shared services of all domain crates: the state of an instance ([`Core`]), the audit log, the
//! firewall, rate limits and throttling, Redis, fair work pools, batching, and small helpers
//! without a domain.
//!
//! Depends on `appcore`, `dbcontext`, `jobs`, `metrics`, `outgoing` and libraries. Domain crates
//! depend on this crate; it contains no code of any domain.

pub mod audit;
pub mod batcher;
pub mod bisect;
pub mod chunked_delete;
pub mod cleanup;
pub mod csv;
pub mod emoji;
pub mod firewall;
pub mod geoip;
pub mod host_health;
pub mod rate_limits;
pub mod redis;
pub mod small_picture;
mod state;
pub mod sweep_schedule;
pub mod throttle;
pub mod time_zone;
pub mod urls;
pub mod word_filter;
pub mod work_pools;

pub use state::{Core, start_error};

//! Interface to the program around the domain crates.

use std::time::Duration;

use appcore::view::{Check, ProfileKind};
use futures_util::future::BoxFuture;
use platform::Core;

pub trait Program: Send + Sync {
    /// Checks of the schema, the configuration and the backups.
    fn checks<'a>(&'a self, core: &'a Core) -> BoxFuture<'a, Vec<Check>>;

    /// Profiles the processors or the allocations for `time`, in pprof's format. Returns `None` if
    /// the program was built without profiling.
    fn profile(&self, kind: ProfileKind, time: Duration) -> Option<BoxFuture<'static, anyhow::Result<Vec<u8>>>>;
}

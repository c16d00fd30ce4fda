//! Interface to the program that contains the domain crates.

use std::time::Duration;

use appcore::view::{Check, ProfileKind};
use futures_util::future::BoxFuture;
use platform::Core;

pub trait Program: Send + Sync {
    /// Runs the checks of the schema, the configuration and the backups.
    fn checks<'a>(&'a self, core: &'a Core) -> BoxFuture<'a, Vec<Check>>;

    /// Takes a CPU or heap profile for `time`, in pprof's format. Returns `None` if the program was
    /// built without profiling.
    fn profile(&self, kind: ProfileKind, time: Duration) -> Option<BoxFuture<'static, anyhow::Result<Vec<u8>>>>;
}

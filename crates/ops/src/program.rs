//! What only the program around the domain crates can look at or do.

use std::time::Duration;

use appcore::view::{Check, ProfileKind};
use futures_util::future::BoxFuture;
use platform::Core;

pub trait Program: Send + Sync {
    /// The schema, the configuration and the backups.
    fn checks<'a>(&'a self, core: &'a Core) -> BoxFuture<'a, Vec<Check>>;

    /// What the processors do for so long, or what is allocated meanwhile, in pprof's format. None: the program was built without.
    fn profile(&self, kind: ProfileKind, time: Duration) -> Option<BoxFuture<'static, anyhow::Result<Vec<u8>>>>;
}

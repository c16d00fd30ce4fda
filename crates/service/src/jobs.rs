//! [Durable jobs](::jobs) of this program. Their kinds stand in a table where the [`App`] is built.

pub use ::jobs::Workers;
pub(crate) use ::jobs::{
    Ended, Job, Lease, Over, Stored, ask, ask_after, ask_for, ask_for_after, ask_for_at, cancel, caught,
};

use crate::App;

pub(crate) type Kind = ::jobs::Kind<App>;
pub(crate) type Work<'a> = ::jobs::Work<'a, App>;

/// Tells the workers of all instances that there is something to do.
pub(crate) fn wake(app: &App) {
    ::jobs::wake(&*app.bus);
}

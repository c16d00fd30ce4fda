//! A call that is counted when it is over, however that comes about.

use std::sync::Arc;

use ai::Meter;
use appcore::{Code, credits::MicroCredits};
use futures_util::{FutureExt as _, future::BoxFuture};
use gateway::{Admission, Held, Outcome, Refusal};

const DONE: u16 = 200;
/// The provider broke the answer off.
const BROKEN: u16 = 502;

/// The wait until more is held.
pub(super) type Growth = BoxFuture<'static, Result<Held, Refusal>>;

pub(super) struct Settling {
    /// None: it is settled.
    admission: Option<Admission>,
    meter: Arc<Meter>,
}

impl Settling {
    pub fn new(admission: Admission, meter: Arc<Meter>) -> Self {
        Self { admission: Some(admission), meter }
    }

    /// The client gets this status; what the call costs.
    pub fn end(mut self, status: u16) -> MicroCredits {
        self.settle(status)
    }

    /// The answer to a stream that has begun is that there is none.
    pub fn fail(&mut self, status: u16) {
        self.settle(status);
    }

    /// The last frame of a stream was sent.
    pub fn end_stream(&mut self) {
        let status = match (self.meter.cut(), self.meter.finish()) {
            (Some(_), _) => Code::BudgetExceeded.status(),
            (None, Some(_)) => DONE,
            (None, None) => BROKEN,
        };
        self.settle(status);
    }

    /// More is to be held for a stream that goes on for longer than was thought.
    pub fn growth(&self) -> Option<Growth> {
        Some(self.admission.as_ref()?.growth(&self.meter.usage())?.boxed())
    }

    /// Nothing more may be passed on before more is held.
    pub fn is_used_up(&self) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.is_used_up(&self.meter.usage()))
    }

    /// It is held, or the stream ends here.
    pub fn grown(&mut self, held: Result<Held, Refusal>) {
        match (held, &mut self.admission) {
            (Ok(held), Some(admission)) => admission.grown(held),
            (Ok(_), None) => {}
            (Err(refusal), _) => self.meter.cut_off(refusal.into()),
        }
    }

    fn settle(&mut self, status: u16) -> MicroCredits {
        let settle = |admission: Admission| admission.settle(Outcome::of(&self.meter, status));
        self.admission.take().map_or(MicroCredits::ZERO, settle)
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        // Some libraries hang up on the last frame; others before it is told what the answer has cost.
        let status = if self.meter.finish().is_some() { DONE } else { Code::ClientGone.status() };
        admission.settle_left(&self.meter, status);
    }
}

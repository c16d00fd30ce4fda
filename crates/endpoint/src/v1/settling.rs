//! A call that is counted when it is over, however that comes about.

use std::sync::Arc;

use ai::Meter;
use appcore::{Code, credits::MicroCredits};
use service::gateway::{Admission, Outcome};

const DONE: u16 = 200;
/// The provider broke the answer off.
const BROKEN: u16 = 502;

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

    /// The last frame of a stream was sent.
    pub fn end_stream(&mut self) {
        self.settle(if self.meter.finish().is_some() { DONE } else { BROKEN });
    }

    fn settle(&mut self, status: u16) -> MicroCredits {
        let settle = |admission: Admission| admission.settle(Outcome::of(&self.meter, status));
        self.admission.take().map_or(MicroCredits::ZERO, settle)
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        // Some libraries hang up on the last frame.
        let status = if self.meter.finish().is_some() { DONE } else { Code::ClientGone.status() };
        self.settle(status);
    }
}

//! Settlement of a call's reservation when the call ends, fails or is dropped.

use std::sync::Arc;

use ai::Meter;
use appcore::{Code, credits::MicroCredits};
use futures_util::{FutureExt as _, future::BoxFuture};
use gateway::{Admission, CallOutcome, Refusal, ReservationGuard};

const DONE: u16 = 200;
/// Status recorded for a call whose provider has aborted the answer.
const PROVIDER_ABORTED: u16 = 502;

/// Extension of a reservation that is in progress.
pub(super) type PendingExtension = BoxFuture<'static, Result<ReservationGuard, Refusal>>;

pub(super) struct CallSettlement {
    /// Admission with the reservation; `None` once the call is settled.
    admission: Option<Admission>,
    meter: Arc<Meter>,
}

impl CallSettlement {
    pub fn new(admission: Admission, meter: Arc<Meter>) -> Self {
        Self { admission: Some(admission), meter }
    }

    /// Settles the call with the status sent to the client. Returns its cost.
    pub fn finish(mut self, status: u16) -> MicroCredits {
        self.settle(status)
    }

    /// Settles a stream that has started although no answer arrived.
    pub fn fail(&mut self, status: u16) {
        self.settle(status);
    }

    /// Settles a stream after its last frame. Returns whether the answer is complete.
    pub fn finish_stream(&mut self) -> bool {
        let status = match (self.meter.abort_error(), self.meter.finish()) {
            (Some(_), _) => Code::BudgetExceeded.status(),
            (None, Some(_)) => DONE,
            (None, None) => PROVIDER_ABORTED,
        };
        self.settle(status);
        status == DONE
    }

    /// Starts to extend the reservation if the stream exceeds the estimate. Returns `None` if no
    /// extension is needed.
    pub fn extend(&self) -> Option<PendingExtension> {
        Some(self.admission.as_ref()?.extend_reservation(&self.meter.usage())?.boxed())
    }

    /// True if the reservation is exhausted, so that no more frames may be sent until it is extended.
    pub fn is_exhausted(&self) -> bool {
        self.admission.as_ref().is_some_and(|admission| admission.is_used_up(&self.meter.usage()))
    }

    /// Applies the extended reservation. If the extension was refused, the stream ends.
    pub fn apply_extension(&mut self, held: Result<ReservationGuard, Refusal>) {
        match (held, &mut self.admission) {
            (Ok(held), Some(admission)) => admission.add_reservation(held),
            (Ok(_), None) => {}
            (Err(refusal), _) => self.meter.abort(refusal.into()),
        }
    }

    fn settle(&mut self, status: u16) -> MicroCredits {
        let settle = |admission: Admission| admission.settle(CallOutcome::from_meter(&self.meter, status));
        self.admission.take().map_or(MicroCredits::ZERO, settle)
    }
}

impl Drop for CallSettlement {
    fn drop(&mut self) {
        let Some(admission) = self.admission.take() else { return };
        // Some libraries disconnect right after the last frame of the answer, even before the usage
        // is reported.
        let status = if self.meter.finish().is_some() { DONE } else { Code::ClientGone.status() };
        admission.settle_disconnected(&self.meter, status);
    }
}

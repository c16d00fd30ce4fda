//! Where the requests of a client that polls wait for their session's task.

use std::{cell::RefCell, collections::VecDeque};

use tokio::sync::Notify;

use super::Call;

/// What a session is asked and has not looked at. Each entry is a request that waits, so there are no more of them than connections.
#[derive(Default)]
pub(super) struct Mailbox {
    calls: RefCell<VecDeque<Call>>,
    arrived: Notify,
}

impl Mailbox {
    pub fn put(&self, call: Call) {
        self.calls.borrow_mut().push_back(call);
        self.arrived.notify_one();
    }

    /// The next, if there is one.
    pub fn take(&self) -> Option<Call> {
        self.calls.borrow_mut().pop_front()
    }

    /// The next, once there is one.
    pub async fn next(&self) -> Call {
        loop {
            if let Some(call) = self.take() {
                return call;
            }
            self.arrived.notified().await;
        }
    }
}

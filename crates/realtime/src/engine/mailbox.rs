//! Mailbox of a polling session's task.

use std::{cell::RefCell, collections::VecDeque};

use tokio::sync::Notify;

use super::SessionRequest;

/// Requests that the session's task hasn't handled yet. Each entry is a pending HTTP request, so
/// there can't be more entries than connections.
#[derive(Default)]
pub(super) struct Mailbox {
    calls: RefCell<VecDeque<SessionRequest>>,
    arrived: Notify,
}

impl Mailbox {
    pub fn push(&self, call: SessionRequest) {
        self.calls.borrow_mut().push_back(call);
        self.arrived.notify_one();
    }

    /// Removes the next request, if any.
    pub fn pop(&self) -> Option<SessionRequest> {
        self.calls.borrow_mut().pop_front()
    }

    /// Waits for the next request and removes it.
    pub async fn next(&self) -> SessionRequest {
        loop {
            if let Some(call) = self.pop() {
                return call;
            }
            self.arrived.notified().await;
        }
    }
}

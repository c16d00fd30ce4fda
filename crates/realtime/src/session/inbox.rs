//! Requests of a client that its session hasn't handled yet.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    task::{self, Poll, Waker},
};

use telemetry::Span;

use crate::{codec::Request, connection_handle::ConnectionHandle};

/// Maximum number of concurrent commands per connection.
const COMMAND_SLOTS: usize = 64;

/// Bounded queue of requests from a connection's task to its session. Both run on one thread, and
/// the command slots bound the length, so the queue needs neither locks nor channel buffers.
#[derive(Default)]
pub struct Inbox {
    requests: RefCell<VecDeque<(Request, CommandSlot)>>,
    session: RefCell<Option<Waker>>,
    is_closed: Cell<bool>,
    used_slots: Cell<usize>,
}

impl Inbox {
    /// True if another command is accepted.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.used_slots.get() < COMMAND_SLOTS
    }

    pub fn push(self: &Rc<Self>, request: Request, out: &Rc<ConnectionHandle>) {
        self.used_slots.set(self.used_slots.get() + 1);
        let slot = CommandSlot { inbox: Rc::clone(self), out: Rc::clone(out), span: Span::default() };
        self.requests.borrow_mut().push_back((request, slot));
        self.wake();
    }

    /// Closes the inbox; the session ends after handling the remaining requests.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.session.take() {
            waker.wake();
        }
    }

    pub(super) fn poll(&self, context: &mut task::Context<'_>) -> Poll<Option<(Request, CommandSlot)>> {
        let mut requests = self.requests.borrow_mut();
        if let Some(next) = requests.pop_front() {
            if requests.is_empty() {
                *requests = VecDeque::new();
            }
            return Poll::Ready(Some(next));
        }
        if self.is_closed.get() {
            return Poll::Ready(None);
        }
        self.session.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

/// Slot of a command in progress, released on drop.
pub struct CommandSlot {
    inbox: Rc<Inbox>,
    out: Rc<ConnectionHandle>,
    /// Tracing span of the command.
    pub(super) span: Span,
}

impl Drop for CommandSlot {
    fn drop(&mut self) {
        let was_full = !self.inbox.has_slot();
        self.inbox.used_slots.set(self.inbox.used_slots.get() - 1);
        if was_full {
            self.out.wake();
        }
    }
}
